/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arch/x86/svm/svm.h>
#include <cmocka.h>
#include <string.h>

static struct vm_exit decode(uint64_t code, uint64_t info_1, uint64_t info_2,
			     uint64_t rip, uint64_t next_rip)
{
	const struct svm_raw raw = { code, info_1, info_2, rip, next_rip };
	struct vm_exit exit;

	memset(&exit, 0xee, sizeof exit); /* what the last exit left */
	svm_decode(&raw, &exit);
	assert_true(exit.raw[0] == code);
	assert_true(exit.raw[1] == info_1);
	assert_true(exit.raw[2] == info_2);
	return exit;
}

static void each_code_has_its_kind(void **state)
{
	static const struct {
		uint64_t code;
		enum exit_kind kind;
	} rows[] = {
		{ 0x60, EXIT_INTERRUPT },
		{ 0x61, EXIT_NMI },
		{ 0x62, EXIT_INTERRUPT },
		{ 0x64, EXIT_WINDOW },
		{ 0x6f, EXIT_COUNTER },
		{ 0x74, EXIT_VENDOR },
		{ 0x72, EXIT_CPUID },
		{ 0x76, EXIT_CACHE },
		{ 0x78, EXIT_HALT },
		{ 0x43, EXIT_BREAKPOINT },
		{ 0x75, EXIT_SOFTWARE_INTERRUPT },
		{ 0x7a, EXIT_PRIVILEGED },
		{ 0x7f, EXIT_TRIPLE_FAULT },
		{ 0x80, EXIT_PRIVILEGED },
		{ 0x81, EXIT_HYPERCALL },
		{ 0x82, EXIT_PRIVILEGED },
		{ 0x83, EXIT_PRIVILEGED },
		{ 0x84, EXIT_PRIVILEGED },
		{ 0x85, EXIT_PRIVILEGED },
		{ 0x86, EXIT_PRIVILEGED },
		{ 0x87, EXIT_PRIVILEGED },
		{ 0x89, EXIT_CACHE },
		{ 0x8a, EXIT_PRIVILEGED },
		{ 0x8b, EXIT_PRIVILEGED },
		{ 0x8c, EXIT_PRIVILEGED },
		{ 0x8d, EXIT_XSETBV },
		{ 0x8e, EXIT_PRIVILEGED },
		{ 0x400, EXIT_MEMORY },
		{ 0x7b, EXIT_PORT_IO },
		{ 0x7c, EXIT_MSR_READ },
		{ 0x18, EXIT_VENDOR },
		{ 0xffffffff, EXIT_ENTRY_FAILED },
		{ ~0ull, EXIT_ENTRY_FAILED },
	};
	size_t known = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
		assert_int_equal(decode(rows[i].code, 0, 0, 0, 0).kind,
				 rows[i].kind);
	for (uint64_t code = 0; code <= 0x500; code++)
		known += decode(code, 0, 0, 0, 0).kind != EXIT_UNKNOWN;
	/* The rows but the two of failed entries, and 31 more exceptions. */
	assert_int_equal(known, ARRAY_COUNT(rows) - 2 + 31);
	/* Exceptions are the vendor's own matter: #DB, #AC, #MC. */
	assert_int_equal(decode(0x41, 0, 0, 0, 0).kind, EXIT_VENDOR);
	assert_int_equal(decode(0x5f, 0, 0, 0, 0).kind, EXIT_VENDOR);
	assert_int_equal(decode(0x100000072, 0, 0, 0, 0).kind, EXIT_UNKNOWN);
}

static void the_length_is_the_way_to_the_next_rip(void **state)
{
	(void)state;
	assert_int_equal(decode(0x72, 0, 0, 0x1000, 0x1002).length, 2);
	assert_int_equal(decode(0x72, 0, 0, 0x1000, 0).length, 0);
	assert_int_equal(decode(0x72, 0, 0, ~0ull, 1).length, 2);
	assert_int_equal(decode(0x72, 0, 0, 0xffffffff, 1).length, 2);
}

static void an_msr_exit_says_its_way(void **state)
{
	(void)state;
	assert_int_equal(decode(0x7c, 0, 0, 0, 2).kind, EXIT_MSR_READ);
	assert_int_equal(decode(0x7c, 1, 0, 0, 2).kind, EXIT_MSR_WRITE);
}

static void port_io_is_taken_apart(void **state)
{
	/* Port 0x3f8; IN AL */
	struct vm_exit exit = decode(0x7b, 0x03f80011, 0x1002, 0x1000, 0);

	(void)state;
	assert_int_equal(exit.port.port, 0x3f8);
	assert_int_equal(exit.port.size, 1);
	assert_true(exit.port.in);
	assert_false(exit.port.string);
	assert_false(exit.port.repeat);
	assert_int_equal(exit.length, 2);
	/* Port 0xffff; REP OUTSD, three bytes with a prefix, no next RIP */
	exit = decode(0x7b, 0xffff004c, 0x1003, 0x1000, 0);
	assert_int_equal(exit.port.port, 0xffff);
	assert_int_equal(exit.port.size, 4);
	assert_false(exit.port.in);
	assert_true(exit.port.string);
	assert_true(exit.port.repeat);
	assert_int_equal(exit.length, 3);
	exit = decode(0x7b, 0x00800020, 2, 0xffffffff, 0);
	assert_int_equal(exit.port.size, 2);
	assert_int_equal(exit.length, 3); /* across the end of 32 bits */
}

static void a_memory_exit_says_how_and_where(void **state)
{
	static const struct {
		uint64_t info;
		bool read, write, fetch, walk;
	} rows[] = {
		{ 0, true, false, false, false },
		{ 0x4, true, false, false, false },
		{ 0x6, false, true, false, false },
		{ 0x14, false, false, true, false },
		{ 0x100000004, true, false, false, false },
		{ 0x200000006, false, true, false, true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		struct vm_exit exit = decode(0x400, rows[i].info, 0xfee00020,
					     0x1000, 0x1003);

		assert_int_equal(exit.memory.address.value, 0xfee00020);
		assert_int_equal(exit.memory.read, rows[i].read);
		assert_int_equal(exit.memory.write, rows[i].write);
		assert_int_equal(exit.memory.fetch, rows[i].fetch);
		assert_int_equal(exit.memory.in_page_walk, rows[i].walk);
		/* The next RIP is of some other instruction. */
		assert_int_equal(exit.length, 0);
	}
}

/* A delivery that an exit interrupted is repeated, but what an instruction
 * caused is caused again by the instruction. */
static void an_interrupted_delivery_is_repeated(void **state)
{
	static const struct {
		uint64_t was, again;
	} rows[] = {
		{ 0, 0 },
		{ 0x00000041, 0 },	      /* not valid */
		{ 0x80000041, 0x80000041 },   /* interrupt */
		{ 0x80000202, 0x80000202 },   /* NMI */
		{ 0x80000306, 0x80000306 },   /* #UD */
		{ 0xf80000b0e, 0xf80000b0e }, /* #PF with its code */
		{ 0x80000301, 0x80000301 },   /* #DB */
		{ 0x80000303, 0 },	      /* INT3 */
		{ 0x80000304, 0 },	      /* INTO */
		{ 0x80000480, 0 },	      /* INT 0x80 */
		/* as QEMU 7.2 reports an interrupt and an NMI */
		{ 0x80000341, 0x80000041 },
		{ 0x800003ff, 0x800000ff },
		{ 0x80000320, 0x80000020 },
		{ 0x8000031f, 0x8000031f },
		{ 0x80000302, 0x80000202 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
		assert_true(svm_interrupted_event(rows[i].was) ==
			    rows[i].again);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_code_has_its_kind),
		cmocka_unit_test(the_length_is_the_way_to_the_next_rip),
		cmocka_unit_test(an_msr_exit_says_its_way),
		cmocka_unit_test(port_io_is_taken_apart),
		cmocka_unit_test(a_memory_exit_says_how_and_where),
		cmocka_unit_test(an_interrupted_delivery_is_repeated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
