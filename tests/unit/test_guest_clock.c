/* SPDX-License-Identifier: MIT */
#include "guest_fixture.h"

#include <mullion/guest_clock.h>

#define PAGE 0x20040
#define SECOND 1000000000ull

/* Linux, Documentation/virt/kvm/x86/msr.rst */
struct time_info {
	uint32_t version, pad;
	uint64_t tsc_timestamp, system_time;
	uint32_t multiplier;
	int8_t shift;
	uint8_t flags, pad2[2];
};

struct wall_clock {
	uint32_t version, seconds, nanoseconds;
};

static struct time_info info(void)
{
	struct time_info info;

	assert_int_equal(guest_read(&vm.memory, gpa(PAGE), &info, sizeof info),
			 ERR_NONE);
	return info;
}

static void start_at(uint64_t khz)
{
	fake_time_khz = khz;
	guest_clock_start(1700000000);
	assert_int_equal(guest_clock_write(&vcpu, PAGE | 1, false), ERR_NONE);
}

/* As the guest's kernel computes it. */
static uint64_t nanoseconds(const struct time_info *clock, uint64_t tsc)
{
	uint64_t ticks = tsc - clock->tsc_timestamp;

	if (clock->shift < 0)
		ticks >>= -clock->shift;
	else
		ticks <<= clock->shift;
	return clock->system_time +
	       (uint64_t)((unsigned __int128)ticks * clock->multiplier >> 32);
}

static void it_is_right_at_any_rate(void **state)
{
	static const uint64_t rates[] = {
		/* kHz */
		1000,	 33333,	  100000,  999999,  1000000,  1000001,
		1999999, 2000000, 2400000, 3579545, 4000001,  4294967,
		4294968, 5800000, 7999999, 8589935, 10000000, 16000000,
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(rates); i++) {
		uint64_t hour = 3600 * rates[i] * 1000, was;
		struct time_info clock;

		vm.started_at = 12345;
		start_at(rates[i]);
		clock = info();
		was = nanoseconds(&clock, 12345 + hour);
		/* A millisecond an hour is a third of a millionth. */
		if (was > 3600 * SECOND + SECOND / 1000 ||
		    was < 3600 * SECOND - SECOND / 1000)
			fail_msg("at %lu kHz an hour has %lu ns",
				 (unsigned long)rates[i], (unsigned long)was);
		assert_int_equal(nanoseconds(&clock, 12345), 0);
	}
	fake_time_khz = 1000000;
}

static void its_page_is_as_kvm_writes_it(void **state)
{
	struct time_info clock;

	(void)state;
	vm.started_at = 777;
	start_at(1000000);
	clock = info();
	assert_int_equal(clock.version, 2); /* even: it does not change */
	assert_int_equal(clock.tsc_timestamp, 777);
	assert_int_equal(clock.system_time, 0);
	assert_int_equal(clock.flags, 1);
	assert_int_equal(vcpu.clock.msr, PAGE | 1);
	assert_int_equal(guest_clock_write(&vcpu, PAGE | 1, false), ERR_NONE);
	assert_int_equal(info().version, 4);
}

static void switched_off_it_writes_nothing(void **state)
{
	(void)state;
	guest_clock_start(0);
	assert_int_equal(guest_clock_write(&vcpu, PAGE, false), ERR_NONE);
	assert_int_equal(info().multiplier, 0);
	assert_int_equal(vcpu.clock.msr, PAGE);
	assert_int_equal(guest_clock_write(&vcpu, ~1ull, false), ERR_NONE);
}

static void after_a_pause_it_says_so(void **state)
{
	(void)state;
	start_at(1000000);
	guest_clock_write(&vcpu, vcpu.clock.msr, true);
	assert_int_equal(info().flags, 3);
	assert_int_equal(info().version, 4);
	assert_int_equal(info().tsc_timestamp, vm.started_at);
	guest_clock_write(&vcpu, PAGE, false); /* a guest without a clock */
	guest_clock_write(&vcpu, vcpu.clock.msr, true);
	assert_int_equal(info().version, 4);
}

static void wild_addresses_are_faults(void **state)
{
	static const uint64_t addresses[] = {
		RAM_BYTES, RAM_BYTES - 8, GIB(3),	 0xfee00000,
		PAGE | 2,  (uint64_t)-4,  (uint64_t)-32, 1ull << 63,
	};

	(void)state;
	guest_clock_start(0);
	for (size_t i = 0; i < ARRAY_COUNT(addresses); i++) {
		assert_int_not_equal(
			guest_clock_write(&vcpu, addresses[i] | 1, false),
			ERR_NONE);
		assert_int_equal(vcpu.clock.msr, 0);
		assert_int_not_equal(
			guest_clock_write_wall(&vcpu, addresses[i]), ERR_NONE);
	}
	assert_int_equal(complaints, 2 * ARRAY_COUNT(addresses));
	assert_int_equal(guest_clock_write(&vcpu, (RAM_BYTES - 32) | 1, false),
			 ERR_NONE);
	assert_int_equal(guest_clock_write_wall(&vcpu, RAM_BYTES - 12),
			 ERR_NONE);
	assert_int_not_equal(guest_clock_write_wall(&vcpu, PAGE | 1), ERR_NONE);
}

/* Two pages are two frames here. */
static void it_may_lie_across_pages(void **state)
{
	uint8_t bytes[32];

	(void)state;
	guest_clock_start(0);
	assert_int_equal(guest_clock_write(&vcpu, (MIB(2) - 16) | 1, false),
			 ERR_NONE);
	assert_int_equal(guest_read(&vm.memory, gpa(MIB(2) - 16), bytes, 32),
			 ERR_NONE);
	assert_int_equal(bytes[0], 2);
	assert_int_equal(bytes[29], 1);
}

static void the_wall_clock_is_that_of_the_vms_start(void **state)
{
	struct wall_clock wall;

	(void)state;
	fake_time = 500;
	guest_clock_start(1700000000);
	vm.started_at = 500 + 90 * SECOND + 250;
	assert_int_equal(guest_clock_write_wall(&vcpu, PAGE), ERR_NONE);
	guest_read(&vm.memory, gpa(PAGE), &wall, sizeof wall);
	assert_int_equal(wall.version, 2);
	assert_int_equal(wall.seconds, 1700000090);
	assert_int_equal(wall.nanoseconds, 250);
}

/* A rate that does not divide, and a century. */
static void the_wall_clock_does_not_drift(void **state)
{
	uint64_t hz = 2400000001ull / 1000 * 1000, years = 100ull;
	struct wall_clock wall;

	(void)state;
	fake_time = 0;
	fake_time_khz = hz / 1000;
	guest_clock_start(0);
	vm.started_at = years * 365 * 86400 * hz + hz / 2;
	guest_clock_write_wall(&vcpu, PAGE);
	guest_read(&vm.memory, gpa(PAGE), &wall, sizeof wall);
	fake_time_khz = 1000000;
	assert_int_equal(wall.seconds, years * 365 * 86400);
	assert_int_equal(wall.nanoseconds, SECOND / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(it_is_right_at_any_rate),
		TEST(its_page_is_as_kvm_writes_it),
		TEST(switched_off_it_writes_nothing),
		TEST(after_a_pause_it_says_so),
		TEST(wild_addresses_are_faults),
		TEST(it_may_lie_across_pages),
		TEST(the_wall_clock_is_that_of_the_vms_start),
		TEST(the_wall_clock_does_not_drift),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
