/* SPDX-License-Identifier: MIT */
#include "local_apic_fixture.h"

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
	assert_int_equal(write_msr(MSR_BASE, ENABLED | 0x100), ERR_NONE);
	assert_int_equal(read_msr(MSR_BASE), ENABLED | 0x100);
}

static void msrs_work_in_x2apic_mode_only(void **state)
{
	uint64_t value;

	(void)state;
	assert_int_not_equal(write_msr(0x808, 0), ERR_NONE);
	assert_int_not_equal(local_apic_msr_read(&vcpus[0], 0x802, &value),
			     ERR_NONE);
	assert_int_equal(write_msr(0x900, 0), ERR_NOT_FOUND);
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
	assert_int_equal(write_msr(0x838, 0xffffffff), ERR_NONE);
	assert_int_equal(read_msr(0x838), 0xffffffff);
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
	assert_int_equal(write_msr(0x83f, 0xff), ERR_NONE);
	assert_int_equal(local_apic_pending(apic), 0xff);
	assert_int_equal(write_msr(0x83f, 0x0f), ERR_NONE);
	assert_int_equal(write_msr(0x828, 0), ERR_NONE);
	assert_int_equal(read_msr(0x828), 0x20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
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
