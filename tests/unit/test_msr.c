/* SPDX-License-Identifier: MIT */
#include "guest_fixture.h"

#include <mullion/guest_clock.h>

static bool read(uint32_t msr, uint64_t *value)
{
	const struct vm_exit exit = { .kind = EXIT_MSR_READ, .length = 2 };
	uint64_t rip = vcpu.rip;

	vcpu.has_event = false;
	vcpu.gpr[RCX] = 0xffffffff00000000 | msr;
	vcpu.gpr[RAX] = vcpu.gpr[RDX] = 0xdddddddddddddddd;
	exit_handle(&vcpu, &exit);
	if (vcpu.has_event) {
		assert_int_equal(vcpu.event.vector, 13);
		assert_int_equal(vcpu.event.error_code, 0);
		assert_int_equal(vcpu.rip, rip);
		/* Nothing of the hypervisor's came out. */
		assert_true(vcpu.gpr[RAX] == 0xdddddddddddddddd);
		assert_true(vcpu.gpr[RDX] == 0xdddddddddddddddd);
		return false;
	}
	assert_int_equal(vcpu.rip, rip + 2);
	assert_int_equal((vcpu.gpr[RAX] | vcpu.gpr[RDX]) >> 32, 0);
	*value = vcpu.gpr[RAX] | vcpu.gpr[RDX] << 32;
	return true;
}

static uint64_t value_of(uint32_t msr)
{
	uint64_t value = 0;

	assert_true(read(msr, &value));
	return value;
}

static bool write(uint32_t msr, uint64_t value)
{
	const struct vm_exit exit = { .kind = EXIT_MSR_WRITE, .length = 2 };
	uint64_t rip = vcpu.rip;

	vcpu.has_event = false;
	vcpu.gpr[RCX] = 0xffffffff00000000 | msr;
	vcpu.gpr[RAX] = 0xffffffff00000000 | (uint32_t)value;
	vcpu.gpr[RDX] = 0xffffffff00000000 | value >> 32;
	exit_handle(&vcpu, &exit);
	if (vcpu.has_event)
		assert_int_equal(vcpu.event.vector, 13);
	assert_int_equal(vcpu.rip, rip + (vcpu.has_event ? 0 : 2));
	return !vcpu.has_event;
}

/* The whole list of what guests have, apart from the x2APIC's registers. */
static bool is_offered(uint32_t msr)
{
	static const uint32_t offered[] = {
		0x10,	    0x11,	0x12,	    0x17,	0x1b,
		0x3a,	    0x79,	0x8b,	    0xfe,	0x174,
		0x175,	    0x176,	0x179,	    0x17a,	0x1a0,
		0x1d9,	    0x277,	0x2ff,	    0x6e0,	0x4b564d00,
		0x4b564d01, 0xc0000080, 0xc0000081, 0xc0000082, 0xc0000083,
		0xc0000084, 0xc0000100, 0xc0000101, 0xc0000102, 0xc0010004,
		0xc0010005, 0xc0010006, 0xc0010007, 0xc0010010, 0xc0010015,
		0xc001001f, 0xc0010020, 0xc0010055, 0xc0010114, 0xc0011020,
		0xc0011021, 0xc0011022, 0xc0011023, 0xc0011029,
	};

	for (size_t i = 0; i < ARRAY_COUNT(offered); i++)
		if (offered[i] == msr)
			return true;
	return false;
}

/* The fake vendor switches one MSR; here each in its turn. */
static void what_is_not_offered_is_a_fault(void **state)
{
	static const uint32_t starts[] = { 0,	       0x40000000, 0x4b564d00,
					   0xc0000000, 0xc0010000, 0xfffff000 };
	uint64_t value;

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(starts); i++)
		for (uint32_t msr = starts[i]; msr - starts[i] < 0x1100;
		     msr++) {
			if (msr >= 0x800 && msr < 0x900)
				continue;
			fake_virt.msr = msr;
			if (read(msr, &value) != is_offered(msr))
				fail_msg("RDMSR 0x%x", msr);
			if (!is_offered(msr) && write(msr, 0))
				fail_msg("WRMSR 0x%x", msr);
			if (msr == 0xffffffff)
				break;
		}
	assert_true(complaints > 0x5000);
	assert_int_equal(ends, 0);
}

static void any_value_may_be_written(void **state)
{
	static const uint64_t values[] = { 0,
					   1,
					   0xff,
					   ~0ull,
					   1ull << 63,
					   0x00007fffffffffff,
					   0x0000800000000000 };

	(void)state;
	for (uint32_t msr = 0; msr < 0x1000; msr++)
		for (size_t i = 0; i < ARRAY_COUNT(values); i++)
			write(msr, values[i]);
	assert_int_equal(ends, 0);
}

static void the_tsc_is_read_and_never_written(void **state)
{
	(void)state;
	fake_time = 0x123456789abcdef0;
	assert_true(value_of(0x10) == 0x123456789abcdef0);
	assert_true(write(0x10, 0));
	assert_true(value_of(0x10) == 0x123456789abcdef0);
}

static void misc_enable_keeps_what_a_guest_may_change(void **state)
{
	(void)state;
	vcpu.misc_enable = 1;
	assert_int_equal(value_of(0x1a0), 0x1801);
	assert_true(write(0x1a0, 0x400000000 | 0x1800));
	assert_true(value_of(0x1a0) == 0x400001800);
	assert_false(write(0x1a0, 1 << 18)); /* MONITOR */
	assert_false(write(0x1a0, 1 << 16)); /* SpeedStep */
	assert_true(value_of(0x1a0) == 0x400001800);
}

static void some_have_fixed_values(void **state)
{
	static const struct {
		uint32_t msr;
		uint64_t value;
		bool writable;
	} rows[] = {
		{ 0x17, 0, false },
		{ 0x3a, 1, false },
		{ 0x79, 0, true },
		{ 0x8b, 0, true },
		{ 0xfe, 0, false },
		{ 0x179, 0, true },
		{ 0x17a, 0, true },
		{ 0x1d9, 0, true },
		{ 0x2ff, 0x806, true },
		{ 0xc0010010, 0, true },
		{ 0xc0010015, BIT(24), true },
		{ 0xc0010114, 0, false },
		{ 0xc0011029, 2, true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		assert_true(value_of(rows[i].msr) == rows[i].value);
		assert_int_equal(write(rows[i].msr, ~0ull), rows[i].writable);
		assert_true(value_of(rows[i].msr) == rows[i].value);
	}
}

static void the_vendor_switches_some(void **state)
{
	(void)state;
	fake_virt.msr = 0xc0000080;
	assert_true(write(0xc0000080, 0xd01));
	assert_int_equal(fake_virt.msr_value, 0xd01);
	assert_int_equal(value_of(0xc0000080), 0xd01);
	fake_virt.msr_write_error = ERR_BAD_REQUEST;
	assert_false(write(0xc0000080, 1));
	assert_int_equal(value_of(0xc0000080), 0xd01);
	assert_false(write(0xc0000082, 1)); /* not by this vendor */
}

static void the_apic_has_its_own(void **state)
{
	uint64_t value;

	(void)state;
	assert_true(value_of(0x1b) == 0xfee00900);
	assert_false(read(0x802, &value)); /* not in x2APIC mode */
	assert_false(write(0x80b, 0));
	assert_true(write(0x1b, 0xfee00d00));
	assert_int_equal(value_of(0x802), 0);
	assert_true(write(0x80f, 0x1ff));
	assert_true(write(0x832, 0x40030));
	assert_true(write(0x6e0, fake_time + 5));
	assert_true(value_of(0x6e0) == fake_time + 5);
	assert_int_equal(vcpu.apic.timer_deadline, fake_time + 5);
}

static void the_clock_has_old_and_new_places(void **state)
{
	(void)state;
	assert_true(write(MSR_KVM_SYSTEM_TIME_NEW, 0x20001));
	assert_int_equal(value_of(MSR_KVM_SYSTEM_TIME), 0x20001);
	assert_true(write(MSR_KVM_SYSTEM_TIME, 0x30001));
	assert_int_equal(value_of(MSR_KVM_SYSTEM_TIME_NEW), 0x30001);
	assert_true(write(MSR_KVM_WALL_CLOCK, 0x40000));
	assert_true(write(MSR_KVM_WALL_CLOCK_NEW, 0x40000));
	assert_false(write(MSR_KVM_WALL_CLOCK_NEW, RAM_BYTES));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_not_offered_is_a_fault),
		TEST(any_value_may_be_written),
		TEST(the_tsc_is_read_and_never_written),
		TEST(misc_enable_keeps_what_a_guest_may_change),
		TEST(some_have_fixed_values),
		TEST(the_vendor_switches_some),
		TEST(the_apic_has_its_own),
		TEST(the_clock_has_old_and_new_places),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
