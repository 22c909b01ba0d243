/* SPDX-License-Identifier: MIT */
#include "guest_fixture.h"

#include <mullion/guest.h>

static uint32_t taken;

static void take_interrupt(void)
{
	taken++;
}

static void leave(enum exit_kind kind, uint8_t length)
{
	const struct vm_exit exit = { .kind = kind,
				      .length = length,
				      .raw = { 0xabc, 2, 3 } };

	exit_handle(&vcpu, &exit);
}

/* ---- dispatch ------------------------------------------------------------- */

/* Clients know the kinds by these words. */
static void every_kind_has_its_name(void **state)
{
	static const char *const names[EXIT_KIND_COUNT] = {
		[EXIT_NONE] = "none",
		[EXIT_INTERRUPT] = "interrupt",
		[EXIT_NMI] = "kick",
		[EXIT_WINDOW] = "interrupt-window",
		[EXIT_CPUID] = "cpuid",
		[EXIT_HALT] = "halt",
		[EXIT_PORT_IO] = "port-io",
		[EXIT_MSR_READ] = "msr-read",
		[EXIT_MSR_WRITE] = "msr-write",
		[EXIT_HYPERCALL] = "hypercall",
		[EXIT_MEMORY] = "memory",
		[EXIT_XSETBV] = "xsetbv",
		[EXIT_CACHE] = "cache",
		[EXIT_PRIVILEGED] = "privileged",
		[EXIT_COUNTER] = "counter",
		[EXIT_VENDOR] = "vendor",
		[EXIT_BAD_STATE] = "bad-state",
		[EXIT_TRIPLE_FAULT] = "triple-fault",
		[EXIT_BREAKPOINT] = "breakpoint",
		[EXIT_SOFTWARE_INTERRUPT] = "software-interrupt",
		[EXIT_ENTRY_FAILED] = "entry-failed",
		[EXIT_UNKNOWN] = "unknown",
		[EXIT_COMMAND] = "ipi",
	};

	(void)state;
	for (uint32_t i = 0; i < EXIT_KIND_COUNT; i++)
		assert_string_equal(exit_kind_name(i), names[i]);
	assert_string_equal(exit_kind_name(EXIT_KIND_COUNT), "?");
	assert_string_equal(exit_kind_name(~0u), "?");
}

static void some_ask_for_nothing(void **state)
{
	const struct vcpu before = vcpu;

	(void)state;
	leave(EXIT_NONE, 0);
	leave(EXIT_NMI, 0);
	leave(EXIT_VENDOR, 0);
	assert_memory_equal(&vcpu, &before, sizeof vcpu);
	assert_int_equal(ends, 0);
}

static void an_interrupt_is_taken(void **state)
{
	(void)state;
	taken = 0;
	fake_interrupts = take_interrupt;
	leave(EXIT_INTERRUPT, 0);
	assert_int_equal(taken, 1);
	assert_int_equal(vcpu.rip, CODE);
}

static void an_open_window_is_closed(void **state)
{
	(void)state;
	vcpu.wants_window = fake_virt.want_window = true;
	leave(EXIT_WINDOW, 0);
	assert_false(vcpu.wants_window);
	assert_false(fake_virt.want_window);
}

static void cpuid_fills_whole_registers(void **state)
{
	(void)state;
	vcpu.gpr[RAX] = 0xffffffff00000000 | MULL_CPUID_VERSION;
	vcpu.gpr[RBX] = vcpu.gpr[RCX] = vcpu.gpr[RDX] = ~0ull;
	leave(EXIT_CPUID, 2);
	assert_int_equal(vcpu.gpr[RAX], MULL_GUEST_ABI);
	assert_int_equal(vcpu.gpr[RBX] | vcpu.gpr[RCX] | vcpu.gpr[RDX], 0);
	assert_int_equal(vcpu.rip, CODE + 2);
}

static void halt_goes_on_behind_it(void **state)
{
	(void)state;
	vcpu.rflags |= RFLAGS_IF;
	leave(EXIT_HALT, 1);
	assert_int_equal(vcpu.state, VCPU_HALTED);
	assert_int_equal(vcpu.rip, CODE + 1);
	assert_int_equal(ends, 0);
	other.stuck = true;
	vcpu.rflags = 0;
	leave(EXIT_HALT, 1);
	assert_int_equal(end_reason, MULL_END_ALL_HALTED);
	assert_non_null(strstr(end_words, "0x10002"));
}

static void some_are_exceptions(void **state)
{
	static const struct {
		enum exit_kind kind;
		uint8_t vector;
		bool has_code;
	} rows[] = { { EXIT_PRIVILEGED, 6, false },
		     { EXIT_COUNTER, 13, true },
		     { EXIT_BAD_STATE, 13, true } };

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		vcpu.has_event = false;
		leave(rows[i].kind, 3);
		assert_int_equal(exception(), rows[i].vector);
		assert_int_equal(vcpu.event.has_error_code, rows[i].has_code);
		assert_int_equal(vcpu.event.error_code, 0);
		assert_int_equal(vcpu.rip, CODE); /* it is a fault */
	}
}

static void xsetbv_reaches_the_processor(void **state)
{
	(void)state;
	vcpu.gpr[RAX] = 0xffffffff00000007;
	vcpu.gpr[RDX] = 0xffffffff00000002;
	vcpu.gpr[RCX] = 0xffffffff00000000;
	leave(EXIT_XSETBV, 3);
	assert_true(fake_guest_xcr0 == 0x200000007);
	assert_int_equal(vcpu.rip, CODE + 3);
	vcpu.gpr[RCX] = 1;
	leave(EXIT_XSETBV, 3);
	assert_int_equal(exception(), 13);
	vcpu.has_event = false;
	vcpu.gpr[RCX] = 0;
	fake_guest_xcr0_error = ERR_BAD_REQUEST;
	leave(EXIT_XSETBV, 3);
	fake_guest_xcr0_error = ERR_NONE;
	assert_int_equal(exception(), 13);
	assert_int_equal(vcpu.rip, CODE + 3);
}

static void some_end_the_vm_in_words(void **state)
{
	(void)state;
	leave(EXIT_TRIPLE_FAULT, 0);
	assert_int_equal(end_reason, MULL_END_TRIPLE_FAULT);
	assert_string_equal(end_words, "triple fault on vCPU 0 at RIP 0x10000");
	leave(EXIT_ENTRY_FAILED, 0);
	assert_int_equal(end_reason, MULL_END_BAD_EXIT);
	assert_non_null(strstr(end_words, "0xabc"));
	leave(EXIT_UNKNOWN, 0);
	assert_int_equal(end_reason, MULL_END_BAD_EXIT);
	assert_non_null(strstr(end_words, "0xabc"));
	assert_int_equal(ends, 3);
}

/* ---- going on behind an instruction --------------------------------------- */

static void without_a_length_the_bytes_are_looked_at(void **state)
{
	static const struct {
		enum exit_kind kind;
		const char *bytes;
		uint8_t length;
	} rows[] = {
		{ EXIT_CPUID, "\x0f\xa2", 2 },
		{ EXIT_CPUID, "\x66\xf3\x0f\xa2", 4 },
		{ EXIT_HALT, "\xf4", 1 },
		{ EXIT_CACHE, "\x0f\x09", 2 },	   /* WBINVD */
		{ EXIT_CACHE, "\x0f\x08", 2 },	   /* INVD */
		{ EXIT_CACHE, "\xf3\x0f\x09", 3 }, /* WBNOINVD */
		{ EXIT_HYPERCALL, "\x0f\x01\xd9", 3 },
		{ EXIT_XSETBV, "\x0f\x01\xd1", 3 },
		{ EXIT_HALT, "\x90", 0 }, /* another vCPU changed it */
		{ EXIT_CPUID, "\x0f\x0b", 0 },
		{ EXIT_CACHE, "\x0f\xa2", 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		vcpu.rip = CODE;
		vcpu.rflags = RFLAGS_IF;
		put(CODE, rows[i].bytes, strlen(rows[i].bytes));
		leave(rows[i].kind, 0);
		assert_int_equal(vcpu.rip, CODE + rows[i].length);
		assert_int_equal(exception(), 0xff);
	}
}

static void code_has_a_segment(void **state)
{
	(void)state;
	fake_virt.system.segments[SEGMENT_CS].base = 0xfffff000;
	vcpu.rip = CODE + 0x1000;
	put(CODE, "\x0f\xa2", 2);
	leave(EXIT_CPUID, 0);
	assert_int_equal(vcpu.rip, CODE + 0x1002);
}

static void code_that_is_gone_is_tried_again(void **state)
{
	(void)state;
	vcpu.rip = GIB(2);
	leave(EXIT_CPUID, 0);
	assert_int_equal(vcpu.rip, GIB(2));
	assert_int_equal(exception(), 0xff);
	assert_int_equal(ends, 0);
}

static void rip_wraps_by_the_size_of_code(void **state)
{
	(void)state;
	vcpu.rip = 0xffffffff;
	leave(EXIT_CPUID, 2);
	assert_int_equal(vcpu.rip, 1);
	set_code_64();
	vcpu.rip = 0xffffffff;
	leave(EXIT_CPUID, 2);
	assert_true(vcpu.rip == 0x100000001);
}

/* Reading the system state is dear, so most skips must do without. */
static void a_known_length_needs_no_system_state(void **state)
{
	(void)state;
	set_code_64();
	vcpu.rip = 0xffffffff81000000;
	leave(EXIT_CACHE, 2);
	assert_true(vcpu.rip == 0xffffffff81000002);
	vcpu.rip = 0x1000;
	leave(EXIT_CACHE, 2);
	assert_int_equal(vcpu.rip, 0x1002);
	assert_int_equal(fake_virt.system_reads, 0);
}

static void a_single_step_ends_behind_it(void **state)
{
	(void)state;
	vcpu.rflags |= RFLAGS_TF | RFLAGS_IF;
	leave(EXIT_CPUID, 2);
	assert_int_equal(vcpu.rip, CODE + 2);
	assert_int_equal(exception(), 1);
	assert_int_equal(fake_virt.system.dr6, BIT(14));
	vcpu.has_event = false;
	put(CODE + 2, "\x90", 1);
	leave(EXIT_CPUID, 0); /* nothing was done */
	assert_int_equal(exception(), 0xff);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_kind_has_its_name),
		TEST(some_ask_for_nothing),
		TEST(an_interrupt_is_taken),
		TEST(an_open_window_is_closed),
		TEST(cpuid_fills_whole_registers),
		TEST(halt_goes_on_behind_it),
		TEST(some_are_exceptions),
		TEST(xsetbv_reaches_the_processor),
		TEST(some_end_the_vm_in_words),
		TEST(without_a_length_the_bytes_are_looked_at),
		TEST(code_has_a_segment),
		TEST(code_that_is_gone_is_tried_again),
		TEST(rip_wraps_by_the_size_of_code),
		TEST(a_known_length_needs_no_system_state),
		TEST(a_single_step_ends_behind_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
