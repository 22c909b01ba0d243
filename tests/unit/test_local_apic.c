/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arch/fake/fake.h>
#include <cmocka.h>
#include <mullion/vm.h>
#include <string.h>

#define VCPUS 3
#define ENABLED 0xfee00800ull
#define X2APIC 0xfee00c00ull
#define MASKED 0x10000u
#define MSR_BASE 0x1b
#define NONE (-1)

static struct vm vm;
static struct vcpu vcpus[VCPUS];
static struct local_apic *apic = &vcpus[0].apic;
static uint32_t kicks[VCPUS], requested[VCPUS];

void vcpu_kick(struct vcpu *vcpu)
{
	kicks[vcpu->index]++;
}

void vcpu_request(struct vcpu *vcpu, enum vcpu_request request)
{
	requested[vcpu->index] |= request;
}

static void write_at(uint32_t offset, uint32_t value)
{
	local_apic_mmio_write(&vcpus[0], offset, 4, value);
}

static uint32_t read_at(uint32_t offset)
{
	return (uint32_t)local_apic_mmio_read(&vcpus[0], offset, 4);
}

static enum error write_msr(uint32_t msr, uint64_t value)
{
	return local_apic_msr_write(&vcpus[0], msr, value);
}

static uint64_t read_msr(uint32_t msr)
{
	uint64_t value = 0;

	assert_int_equal(local_apic_msr_read(&vcpus[0], msr, &value), ERR_NONE);
	return value;
}

static void go_x2apic(uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		assert_int_equal(local_apic_msr_write(&vcpus[i], MSR_BASE,
						      X2APIC),
				 ERR_NONE);
}

/* All switched on by software, as a guest does first. */
static int fresh(void **state)
{
	(void)state;
	memset(&vm, 0, sizeof vm);
	memset(vcpus, 0, sizeof vcpus);
	memset(kicks, 0, sizeof kicks);
	memset(requested, 0, sizeof requested);
	fake_time = 1000000000;
	fake_time_khz = 1000000;
	vm.vcpu_count = VCPUS;
	for (uint32_t i = 0; i < VCPUS; i++) {
		vcpus[i].vm = &vm;
		vcpus[i].index = i;
		vm.vcpus[i] = &vcpus[i];
		local_apic_reset(&vcpus[i]);
		local_apic_mmio_write(&vcpus[i], 0xf0, 4, 0x1ff);
	}
	io_apic_reset(&vm);
	return 0;
}

/* ---- state -------------------------------------------------------------- */

static void a_reset_leaves_what_the_manual_says(void **state)
{
	(void)state;
	local_apic_reset(&vcpus[1]);
	assert_int_equal(vcpus[1].apic.base, ENABLED);
	assert_int_equal(apic->base, ENABLED | 0x100); /* bootstrap */
	assert_int_equal(local_apic_mmio_read(&vcpus[1], 0x20, 4), 1 << 24);
	assert_int_equal(local_apic_mmio_read(&vcpus[1], 0x30, 4), 0x50014);
	assert_int_equal(local_apic_mmio_read(&vcpus[1], 0xf0, 4), 0xff);
	assert_int_equal(local_apic_mmio_read(&vcpus[1], 0xe0, 4), 0xffffffff);
	for (uint32_t lvt = 0x320; lvt <= 0x370; lvt += 0x10)
		assert_int_equal(local_apic_mmio_read(&vcpus[1], lvt, 4),
				 MASKED);
	assert_true(vcpus[1].apic.timer_deadline == ARCH_NO_DEADLINE);
}

static void an_init_keeps_id_and_base_only(void **state)
{
	(void)state;
	go_x2apic(1);
	local_apic_raise(apic, 0x41, true);
	local_apic_set_cr8(apic, 5);
	local_apic_init(&vcpus[0]);
	assert_int_equal(apic->base, X2APIC | 0x100);
	assert_int_equal(read_msr(0x80f), 0xff);
	assert_int_equal(read_msr(0x808), 0);
	assert_int_equal(read_msr(0x822), 0);
	assert_int_equal(read_msr(0x81a), 0);
}

/* ---- priorities --------------------------------------------------------- */

static void the_highest_vector_is_delivered_first(void **state)
{
	(void)state;
	assert_int_equal(local_apic_pending(apic), NONE);
	local_apic_raise(apic, 0x31, false);
	local_apic_raise(apic, 0xfe, false);
	local_apic_raise(apic, 0x80, false);
	assert_int_equal(local_apic_pending(apic), 0xfe);
	local_apic_accept(apic, 0xfe);
	assert_int_equal(read_at(0x170), 1u << 30); /* ISR */
	assert_int_equal(read_at(0x270), 0);	    /* IRR */
	assert_int_equal(read_at(0xa0), 0xf0);
	assert_int_equal(local_apic_pending(apic), NONE);
	write_at(0xb0, 0);
	assert_int_equal(local_apic_pending(apic), 0x80);
	local_apic_accept(apic, 0x80);
	write_at(0xb0, 0);
	assert_int_equal(local_apic_pending(apic), 0x31);
}

static void a_vector_of_the_same_class_waits(void **state)
{
	(void)state;
	local_apic_raise(apic, 0x31, false);
	local_apic_accept(apic, 0x31);
	local_apic_raise(apic, 0x3f, false);
	assert_int_equal(local_apic_pending(apic), NONE);
	local_apic_raise(apic, 0x40, false);
	assert_int_equal(local_apic_pending(apic), 0x40);
}

static void the_task_priority_holds_vectors_back(void **state)
{
	(void)state;
	local_apic_raise(apic, 0x5f, false);
	write_at(0x80, 0x50);
	assert_int_equal(local_apic_pending(apic), NONE);
	assert_int_equal(local_apic_cr8(apic), 5);
	local_apic_set_cr8(apic, 4);
	assert_int_equal(read_at(0x80), 0x40);
	assert_int_equal(local_apic_pending(apic), 0x5f);
	local_apic_accept(apic, 0x5f);
	write_at(0x80, 0x57); /* the same class: PPR is the TPR */
	assert_int_equal(read_at(0xa0), 0x57);
}

static void a_disabled_apic_takes_and_delivers_nothing(void **state)
{
	(void)state;
	write_at(0xf0, 0xff);
	local_apic_raise(apic, 0x41, false);
	assert_int_equal(local_apic_pending(apic), NONE);
	write_at(0xf0, 0x1ff);
	assert_int_equal(local_apic_pending(apic), NONE);
	local_apic_raise(apic, 15, false); /* illegal */
	assert_int_equal(local_apic_pending(apic), NONE);
	assert_int_equal(read_at(0x200), 0);
}

static void an_end_without_an_interrupt_is_harmless(void **state)
{
	(void)state;
	write_at(0xb0, 0);
	assert_int_equal(local_apic_pending(apic), NONE);
}

static void the_end_of_a_level_interrupt_reaches_the_io_apic(void **state)
{
	(void)state;
	io_apic_write(&vm, 0, 4, 0x10 + 2 * 5);
	io_apic_write(&vm, 0x10, 4, 0x8041); /* level, to vCPU 0 */
	io_apic_set_line(&vm, 5, true);
	assert_int_equal(local_apic_pending(apic), 0x41);
	local_apic_accept(apic, 0x41);
	assert_int_equal(read_at(0x1a0), 1 << 1); /* TMR */
	write_at(0xb0, 0); /* the line is still high */
	assert_int_equal(local_apic_pending(apic), 0x41);
	local_apic_accept(apic, 0x41);
	io_apic_set_line(&vm, 5, false);
	write_at(0xb0, 0);
	assert_int_equal(local_apic_pending(apic), NONE);
	local_apic_raise(apic, 0x41, false);
	assert_int_equal(read_at(0x1a0), 0); /* an edge this time */
}

/* ---- registers ---------------------------------------------------------- */

static void odd_accesses_do_no_harm(void **state)
{
	(void)state;
	write_at(0x80, 0x31);
	local_apic_mmio_write(&vcpus[0], 0x80, 1, 0x77);
	local_apic_mmio_write(&vcpus[0], 0x80, 8, 0x77);
	local_apic_mmio_write(&vcpus[0], 0x82, 4, 0x77);
	local_apic_mmio_write(&vcpus[0], 0x84, 4, 0x77);
	assert_int_equal(read_at(0x80), 0x31);
	assert_int_equal(local_apic_mmio_read(&vcpus[0], 0x80, 1), 0x31);
	assert_int_equal(local_apic_mmio_read(&vcpus[0], 0x32, 2), 5);
	assert_int_equal(local_apic_mmio_read(&vcpus[0], 0x32, 4), 0);
	assert_int_equal(local_apic_mmio_read(&vcpus[0], 0x80, 8), 0);
	assert_int_equal(local_apic_mmio_read(&vcpus[0], 0x80, 0), 0);
	for (uint32_t offset = 0; offset < 0x1000; offset++)
		for (uint32_t size = 1; size <= 8; size *= 2) {
			local_apic_mmio_read(&vcpus[0], offset, size);
			local_apic_mmio_write(&vcpus[0], offset, size, ~0ull);
		}
}

static void read_only_registers_stay(void **state)
{
	static const uint32_t offsets[] = { 0x20, 0x30, 0x90, 0xa0, 0x100,
					    0x180, 0x200, 0x390 };

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(offsets); i++) {
		uint32_t before = read_at(offsets[i]);

		write_at(offsets[i], ~before);
		assert_int_equal(read_at(offsets[i]), before);
	}
	write_at(0x280, 0);
	assert_int_equal(read_at(0x280), 0); /* and that is no error */
}

static void reserved_bits_are_not_kept(void **state)
{
	static const uint32_t kept[][2] = {
		{ 0x80, 0xff },	      { 0xd0, 0xff000000 },
		{ 0xe0, 0xffffffff }, { 0xf0, 0x1ff },
		{ 0x310, 0xff000000 }, { 0x320, 0x700ff },
		{ 0x330, 0x107ff },   { 0x340, 0x107ff },
		{ 0x350, 0x1a7ff },   { 0x360, 0x1a7ff },
		{ 0x370, 0x100ff },   { 0x3e0, 0xb },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(kept); i++) {
		write_at(kept[i][0], ~0u);
		assert_int_equal(read_at(kept[i][0]), kept[i][1]);
	}
	write_at(0xe0, 0);
	assert_int_equal(read_at(0xe0), 0x0fffffff);
}

static void lvt_entries_are_masked_while_software_is_off(void **state)
{
	(void)state;
	write_at(0x350, 0x700);
	assert_int_equal(read_at(0x350), 0x700);
	write_at(0xf0, 0xff);
	assert_int_equal(read_at(0x350), MASKED | 0x700);
	write_at(0x350, 0x700);
	assert_int_equal(read_at(0x350), MASKED | 0x700);
}

/* ---- errors ------------------------------------------------------------- */

static void an_error_interrupts_and_is_latched_by_a_write(void **state)
{
	(void)state;
	write_at(0x370, 0xe5);
	assert_int_equal(read_at(0x2f0), 0); /* CMCI: not there */
	assert_int_equal(local_apic_pending(apic), 0xe5);
	assert_int_equal(read_at(0x280), 0);
	write_at(0x280, 0);
	assert_int_equal(read_at(0x280), 0x80);
	write_at(0x280, 0);
	assert_int_equal(read_at(0x280), 0);
}

static void an_illegal_error_vector_does_not_recurse(void **state)
{
	(void)state;
	write_at(0x370, 5); /* the error interrupt itself is illegal */
	write_at(0x300, 7); /* and so is what is sent */
	write_at(0x280, 0);
	assert_int_equal(read_at(0x280), 0x60);
	assert_int_equal(local_apic_pending(apic), NONE);
	assert_int_equal(kicks[0], 0);
}

static void an_illegal_timer_vector_is_an_error(void **state)
{
	(void)state;
	write_at(0x370, 0xe5);
	write_at(0x320, 3);
	write_at(0x380, 1);
	local_apic_timer(&vcpus[0], fake_time + 1000);
	assert_int_equal(local_apic_pending(apic), 0xe5);
	write_at(0x280, 0);
	assert_int_equal(read_at(0x280), 0x40);
}

/* ---- the command register ----------------------------------------------- */

static void an_ipi_reaches_whom_it_names(void **state)
{
	(void)state;
	write_at(0x310, 2 << 24);
	write_at(0x300, 0xf1);
	assert_int_equal(local_apic_pending(&vcpus[2].apic), 0xf1);
	assert_int_equal(kicks[2], 1);
	assert_int_equal(kicks[0] + kicks[1], 0);
	assert_int_equal(local_apic_pending(&vcpus[1].apic), NONE);
	assert_int_equal(read_at(0x300), 0xf1);
	write_at(0x310, 77 << 24); /* nobody */
	write_at(0x300, 0xf2);
	assert_int_equal(kicks[0] + kicks[1] + kicks[2], 1);
}

static void shorthands_need_no_destination(void **state)
{
	static const struct {
		uint32_t shorthand;
		int pending[VCPUS];
	} cases[] = {
		{ 0x40000, { 0x51, NONE, NONE } },
		{ 0x80000, { 0x51, 0x51, 0x51 } },
		{ 0xc0000, { NONE, 0x51, 0x51 } },
	};

	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		fresh(state);
		write_at(0x310, 1 << 24);
		write_at(0x300, cases[i].shorthand | 0x51);
		for (int v = 0; v < VCPUS; v++)
			assert_int_equal(local_apic_pending(&vcpus[v].apic),
					 cases[i].pending[v]);
	}
}

static void init_and_startup_become_requests(void **state)
{
	(void)state;
	write_at(0x310, 1 << 24);
	write_at(0x300, 0x8500); /* INIT, level, de-assert */
	assert_int_equal(requested[1], 0);
	write_at(0x300, 0xc500);
	assert_int_equal(requested[1], VCPU_INIT);
	write_at(0x300, 0x69a);
	assert_int_equal(requested[1], VCPU_INIT | VCPU_STARTUP);
	assert_int_equal(vcpus[1].startup_vector, 0x9a);
	write_at(0x300, 0xc0400); /* NMI to the others; its vector is nothing */
	assert_int_equal(requested[0], 0);
	assert_int_equal(requested[2], VCPU_NMI);
	write_at(0x280, 0);
	assert_int_equal(read_at(0x280), 0);
}

static void smi_and_extint_are_dropped(void **state)
{
	(void)state;
	write_at(0x310, 1 << 24);
	write_at(0x300, 0x241);
	write_at(0x300, 0x341);
	write_at(0x300, 0x741);
	assert_int_equal(requested[1] + kicks[1], 0);
}

static void other_trigger_modes_than_inits_are_ignored(void **state)
{
	(void)state;
	write_at(0x310, 1 << 24);
	write_at(0x300, 0xc041); /* level */
	assert_int_equal(local_apic_pending(&vcpus[1].apic), 0x41);
	assert_int_equal(local_apic_mmio_read(&vcpus[1], 0x1a0, 4), 0);
}

/* ---- destinations ------------------------------------------------------- */

static bool is_for(uint32_t vcpu, uint32_t destination, bool logical,
		   bool x2apic)
{
	struct apic_message message = { .destination = destination,
					.logical = logical,
					.x2apic = x2apic };

	return local_apic_is_destination(&vcpus[vcpu].apic, &message);
}

static void physical_destinations_are_ids(void **state)
{
	(void)state;
	assert_true(is_for(2, 2, false, false));
	assert_false(is_for(2, 1, false, false));
	assert_true(is_for(2, 0xff, false, false));
	assert_false(is_for(2, 0xff, false, true));
	assert_true(is_for(2, 0xffffffff, false, true));
	assert_false(is_for(2, 0x102, false, true));
}

static void flat_destinations_are_bit_masks(void **state)
{
	(void)state;
	write_at(0xd0, 0x05 << 24);
	assert_true(is_for(0, 0x04, true, false));
	assert_false(is_for(0, 0x0a, true, false));
	assert_true(is_for(0, 0xff, true, false));
	assert_false(is_for(0, 0x104, true, true));
	assert_false(is_for(1, 0x01, true, false)); /* LDR is 0 */
}

static void cluster_destinations_are_cluster_and_mask(void **state)
{
	(void)state;
	write_at(0xe0, 0x0fffffff);
	write_at(0xd0, 0x25 << 24);
	assert_true(is_for(0, 0x24, true, false));
	assert_false(is_for(0, 0x34, true, false));
	assert_false(is_for(0, 0x22, true, false));
	assert_true(is_for(0, 0xff, true, false));
}

static void x2apic_logical_ids_follow_from_the_id(void **state)
{
	(void)state;
	go_x2apic(2);
	apic->id = 0x23;
	assert_int_equal(read_msr(0x80d), 0x20008);
	assert_true(is_for(0, 0x2000c, true, true));
	assert_false(is_for(0, 0x10008, true, true));
	assert_false(is_for(0, 0x20004, true, true));
	assert_true(is_for(1, 2, true, false)); /* from the I/O APIC */
}

static void a_switched_off_apic_is_nobodys_destination(void **state)
{
	(void)state;
	assert_int_equal(write_msr(MSR_BASE, 0xfee00000), ERR_NONE);
	assert_false(is_for(0, 0, false, false));
	assert_false(is_for(0, 0xff, false, false));
	assert_true(local_apic_mmio_read(&vcpus[0], 0x30, 4) == ~0ull);
	local_apic_raise(apic, 0x41, false);
	assert_int_equal(local_apic_pending(apic), NONE);
}

/* ---- x2APIC ------------------------------------------------------------- */

static void modes_change_as_the_manual_allows(void **state)
{
	static const struct {
		uint64_t from, to;
		bool allowed;
	} cases[] = {
		{ 0x000, 0x000, true },	 { 0x000, 0x800, true },
		{ 0x000, 0xc00, false }, { 0x000, 0x400, false },
		{ 0x800, 0x000, true },	 { 0x800, 0x800, true },
		{ 0x800, 0xc00, true },	 { 0x800, 0x400, false },
		{ 0xc00, 0x000, true },	 { 0xc00, 0x800, false },
		{ 0xc00, 0xc00, true },	 { 0xc00, 0x400, false },
	};

	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		uint64_t to = cases[i].to, from = cases[i].from;

		fresh(state);
		if (from != 0x800)
			write_msr(MSR_BASE, 0xfee00000 | from);
		assert_int_equal(!write_msr(MSR_BASE, 0xfee00000 | to),
				 cases[i].allowed);
		assert_int_equal(read_msr(MSR_BASE),
				 0xfee00100 | (cases[i].allowed ? to : from));
	}
}

static void the_base_cannot_be_moved(void **state)
{
	(void)state;
	assert_int_not_equal(write_msr(MSR_BASE, 0xfed00900), ERR_NONE);
	assert_int_not_equal(write_msr(MSR_BASE, 0x1fee00900), ERR_NONE);
	assert_int_not_equal(write_msr(MSR_BASE, 0xfee00901), ERR_NONE);
	assert_int_not_equal(write_msr(MSR_BASE, 0xfee00b00), ERR_NONE);
	assert_int_equal(write_msr(MSR_BASE, ENABLED), ERR_NONE);
	assert_int_equal(read_msr(MSR_BASE), ENABLED | 0x100);
}

static void msrs_work_in_x2apic_mode_only(void **state)
{
	uint64_t value;

	(void)state;
	assert_int_not_equal(write_msr(0x808, 0), ERR_NONE);
	assert_int_not_equal(local_apic_msr_read(&vcpus[0], 0x802, &value),
			     ERR_NONE);
	assert_int_equal(local_apic_msr_read(&vcpus[0], 0x900, &value),
			 ERR_NOT_FOUND);
	assert_int_equal(local_apic_msr_read(&vcpus[0], 0x7ff, &value),
			 ERR_NOT_FOUND);
	go_x2apic(1);
	assert_int_equal(write_msr(0x808, 0x20), ERR_NONE);
	assert_int_equal(read_msr(0x808), 0x20);
	assert_int_equal(read_msr(0x803), 0x50014);
	assert_true(local_apic_mmio_read(&vcpus[0], 0x30, 4) == ~0ull);
	write_at(0x80, 0x30); /* the page is gone */
	assert_int_equal(read_msr(0x808), 0x20);
}

static bool readable(uint32_t msr)
{
	uint64_t value;

	return !local_apic_msr_read(&vcpus[0], msr, &value);
}

static void every_msr_is_there_or_refused(void **state)
{
	(void)state;
	go_x2apic(1);
	for (uint32_t n = 0; n < 0x100; n++) {
		bool there = n == 2 || n == 3 || n == 8 || n == 0xa ||
			     n == 0xd || n == 0xf || (n >= 0x10 && n <= 0x28) ||
			     n == 0x30 || (n >= 0x32 && n <= 0x39) || n == 0x3e;

		assert_int_equal(readable(0x800 + n), there);
	}
	for (uint32_t n = 0; n < 0x100; n++) {
		bool there = n == 8 || n == 0xb || n == 0xf || n == 0x28 ||
			     n == 0x30 || (n >= 0x32 && n <= 0x38) ||
			     n == 0x3e || n == 0x3f;

		assert_int_equal(!write_msr(0x800 + n, 0), there);
	}
}

static void reserved_bits_are_refused(void **state)
{
	static const struct {
		uint32_t msr;
		uint64_t value;
	} bad[] = {
		{ 0x808, 0x100 },      { 0x808, 1ull << 32 },
		{ 0x80b, 1 },	       { 0x80f, 0x200 },
		{ 0x828, 1 },	       { 0x832, 0x80000 },
		{ 0x832, 1ull << 63 }, { 0x833, 0x8000 },
		{ 0x835, 0x20000 },    { 0x837, 0x100 },
		{ 0x838, 1ull << 32 }, { 0x83e, 4 },
		{ 0x83f, 0x100 },      { 0x830, 0x100041 },
		{ 0x830, 0x10041 },    { 0x830, 0x2041 },
	};

	(void)state;
	go_x2apic(1);
	for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
		assert_int_not_equal(write_msr(bad[i].msr, bad[i].value),
				     ERR_NONE);
	assert_int_equal(write_msr(0x835, 0x5700), ERR_NONE); /* read-only */
	assert_int_equal(read_msr(0x835), 0x700);
}

static void x2apic_commands_carry_their_destination(void **state)
{
	(void)state;
	go_x2apic(VCPUS);
	assert_int_equal(write_msr(0x830, 2ull << 32 | 0xf1), ERR_NONE);
	assert_int_equal(local_apic_pending(&vcpus[2].apic), 0xf1);
	assert_int_equal(local_apic_pending(&vcpus[1].apic), NONE);
	assert_true(read_msr(0x830) == (2ull << 32 | 0xf1));
	assert_int_equal(write_msr(0x830, 3ull << 32 | 0x852), ERR_NONE);
	assert_int_equal(local_apic_pending(&vcpus[0].apic), 0x52);
	assert_int_equal(local_apic_pending(&vcpus[1].apic), 0x52);
	assert_int_equal(write_msr(0x830, 0xffffffff000000f3), ERR_NONE);
	for (int v = 0; v < VCPUS; v++)
		assert_int_equal(local_apic_pending(&vcpus[v].apic), 0xf3);
}

static void a_self_ipi_needs_no_kick(void **state)
{
	(void)state;
	go_x2apic(1);
	assert_int_equal(write_msr(0x83f, 0x61), ERR_NONE);
	assert_int_equal(local_apic_pending(apic), 0x61);
	assert_int_equal(kicks[0], 0);
	assert_int_equal(write_msr(0x83f, 0x0f), ERR_NONE);
	assert_int_equal(write_msr(0x828, 0), ERR_NONE);
	assert_int_equal(read_msr(0x828), 0x20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup(name, fresh)
		TEST(a_reset_leaves_what_the_manual_says),
		TEST(an_init_keeps_id_and_base_only),
		TEST(the_highest_vector_is_delivered_first),
		TEST(a_vector_of_the_same_class_waits),
		TEST(the_task_priority_holds_vectors_back),
		TEST(a_disabled_apic_takes_and_delivers_nothing),
		TEST(an_end_without_an_interrupt_is_harmless),
		TEST(the_end_of_a_level_interrupt_reaches_the_io_apic),
		TEST(odd_accesses_do_no_harm),
		TEST(read_only_registers_stay),
		TEST(reserved_bits_are_not_kept),
		TEST(lvt_entries_are_masked_while_software_is_off),
		TEST(an_error_interrupts_and_is_latched_by_a_write),
		TEST(an_illegal_error_vector_does_not_recurse),
		TEST(an_illegal_timer_vector_is_an_error),
		TEST(an_ipi_reaches_whom_it_names),
		TEST(shorthands_need_no_destination),
		TEST(init_and_startup_become_requests),
		TEST(smi_and_extint_are_dropped),
		TEST(other_trigger_modes_than_inits_are_ignored),
		TEST(physical_destinations_are_ids),
		TEST(flat_destinations_are_bit_masks),
		TEST(cluster_destinations_are_cluster_and_mask),
		TEST(x2apic_logical_ids_follow_from_the_id),
		TEST(a_switched_off_apic_is_nobodys_destination),
		TEST(modes_change_as_the_manual_allows),
		TEST(the_base_cannot_be_moved),
		TEST(msrs_work_in_x2apic_mode_only),
		TEST(every_msr_is_there_or_refused),
		TEST(reserved_bits_are_refused),
		TEST(x2apic_commands_carry_their_destination),
		TEST(a_self_ipi_needs_no_kick),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
