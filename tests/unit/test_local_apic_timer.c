/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arch/fake/fake.h>
#include <cmocka.h>
#include <mullion/vm.h>
#include <string.h>

#define VECTOR 0xec
#define MASKED 0x10000u
#define PERIODIC 0x20000u
#define TSC_DEADLINE 0x40000u
#define MSR_DEADLINE 0x6e0
#define START 1000000000ull
#define NONE (-1)

static struct vm vm;
static struct vcpu vcpu;
static struct local_apic *apic = &vcpu.apic;

void vcpu_kick(struct vcpu *kicked)
{
	(void)kicked;
}

void vcpu_request(struct vcpu *asked, enum vcpu_request request)
{
	(void)asked;
	(void)request;
}

static void write_at(uint32_t offset, uint32_t value)
{
	local_apic_mmio_write(&vcpu, offset, 4, value);
}

static uint32_t read_at(uint32_t offset)
{
	return (uint32_t)local_apic_mmio_read(&vcpu, offset, 4);
}

static void set_timer(uint32_t mode, uint32_t divide, uint32_t count)
{
	write_at(0x320, mode | VECTOR);
	write_at(0x3e0, divide);
	write_at(0x380, count);
}

static void set_deadline(uint64_t tsc)
{
	assert_int_equal(local_apic_msr_write(&vcpu, MSR_DEADLINE, tsc),
			 ERR_NONE);
}

static uint64_t read_deadline(void)
{
	uint64_t tsc;

	assert_int_equal(local_apic_msr_read(&vcpu, MSR_DEADLINE, &tsc),
			 ERR_NONE);
	return tsc;
}

/* Lets time pass; whether the timer has fired, which is then answered. */
static bool fires_at(uint64_t time)
{
	fake_time = time;
	local_apic_timer(&vcpu, time);
	if (local_apic_pending(apic) == NONE)
		return false;
	assert_int_equal(local_apic_pending(apic), VECTOR);
	local_apic_accept(apic, VECTOR);
	write_at(0xb0, 0);
	return true;
}

static int fresh(void **state)
{
	(void)state;
	memset(&vcpu, 0, sizeof vcpu);
	vcpu.vm = &vm;
	fake_time = START;
	fake_time_khz = 1000000;
	local_apic_reset(&vcpu);
	write_at(0xf0, 0x1ff);
	return 0;
}

static void a_one_shot_fires_once(void **state)
{
	(void)state;
	set_timer(0, 0xb, 5000);
	assert_int_equal(apic->timer_deadline, START + 5000);
	assert_false(fires_at(START + 4999));
	assert_true(fires_at(START + 5000));
	assert_true(apic->timer_deadline == ARCH_NO_DEADLINE);
	assert_false(fires_at(START + 100000));
	assert_int_equal(read_at(0x390), 0);
	assert_int_equal(read_at(0x380), 5000);
}

static void the_count_goes_down_to_zero(void **state)
{
	(void)state;
	set_timer(0, 0xa, 1000); /* by 128 */
	assert_int_equal(read_at(0x390), 1000);
	fake_time = START + 128 * 400;
	assert_int_equal(read_at(0x390), 600);
	fake_time = START + 128 * 1000 - 1;
	assert_int_equal(read_at(0x390), 1);
	fake_time++;
	assert_int_equal(read_at(0x390), 0);
	assert_int_equal(local_apic_pending(apic), VECTOR);
}

static void each_divider_divides(void **state)
{
	static const uint32_t by[][2] = { { 0, 2 },    { 1, 4 },  { 2, 8 },
					  { 3, 16 },   { 8, 32 }, { 9, 64 },
					  { 10, 128 }, { 11, 1 } };

	for (size_t i = 0; i < ARRAY_COUNT(by); i++) {
		fresh(state);
		set_timer(0, by[i][0], 100000);
		assert_int_equal(apic->timer_deadline,
				 START + 100000ull * by[i][1]);
	}
}

static void the_largest_count_does_not_overflow(void **state)
{
	(void)state;
	fake_time_khz = 0xffffffff;
	set_timer(0, 0xa, 0xffffffff);
	/* 2^32 - 1 counts of 128 ns, at 4294.967295 ticks a us */
	assert_true(apic->timer_deadline - START == 2361183240335310);
	assert_int_equal(read_at(0x390), 0xffffffff);
	fake_time += (apic->timer_deadline - START) / 2;
	assert_int_equal(read_at(0x390), 0x80000000);
}

static void a_slow_clock_still_gives_whole_counts(void **state)
{
	(void)state;
	fake_time_khz = 300000; /* a tick is 3.3 ns */
	set_timer(0, 0xb, 0xffffffff);
	assert_int_equal(apic->timer_deadline, START + 1288490188);
	assert_in_range(read_at(0x390), 0xfffffff0, 0xffffffff);
	set_timer(0, 0xb, 1);
	assert_true(fires_at(START)); /* less than a tick */
}

static void a_periodic_timer_goes_on(void **state)
{
	(void)state;
	set_timer(PERIODIC, 0xb, 100000);
	for (uint64_t time = START + 100000; time < START + 500000;
	     time += 100000) {
		assert_false(fires_at(time - 1));
		assert_true(fires_at(time));
		assert_int_equal(read_at(0x390), 100000);
	}
}

static void missed_periods_make_one_interrupt(void **state)
{
	(void)state;
	set_timer(PERIODIC, 0xb, 100000);
	assert_true(fires_at(START + 1234567));
	assert_int_equal(apic->timer_deadline, START + 1300000);
	assert_false(fires_at(START + 1299999));
	assert_true(fires_at(START + 1300000));
}

static void a_short_period_is_stretched(void **state)
{
	(void)state;
	set_timer(PERIODIC, 0xb, 1);
	assert_int_equal(apic->timer_deadline, START + 20000);
	assert_int_equal(read_at(0x390), 1);
	assert_true(fires_at(START + 20000));
	assert_int_equal(apic->timer_deadline, START + 40000);
	write_at(0x3e0, 0);
	assert_int_equal(apic->timer_deadline, START + 40000);
	/* Armed as a one-shot timer, it is one period late at most. */
	fresh(state);
	set_timer(0, 0xb, 1);
	write_at(0x320, PERIODIC | VECTOR);
	assert_true(fires_at(START + 1));
	assert_int_equal(apic->timer_deadline, START + 20001);
}

static void a_count_of_zero_stops_it(void **state)
{
	(void)state;
	set_timer(PERIODIC, 0xb, 100000);
	write_at(0x380, 0);
	assert_true(apic->timer_deadline == ARCH_NO_DEADLINE);
	assert_false(fires_at(START + 1000000));
}

static void a_masked_timer_counts_but_does_not_interrupt(void **state)
{
	(void)state;
	set_timer(MASKED, 0xb, 1000);
	assert_false(fires_at(START + 1000));
	assert_int_equal(read_at(0x390), 0);
	assert_true(apic->timer_deadline == ARCH_NO_DEADLINE);
}

static void a_new_divider_keeps_what_is_left(void **state)
{
	(void)state;
	set_timer(0, 0xb, 100000);
	fake_time = START + 60000;
	write_at(0x3e0, 0);
	assert_int_equal(read_at(0x390), 40000);
	assert_int_equal(apic->timer_deadline, START + 60000 + 80000);
}

static void a_deadline_fires_once(void **state)
{
	(void)state;
	set_timer(TSC_DEADLINE, 0xb, 7777);
	assert_int_equal(read_at(0x380), 0); /* there is no count now */
	set_deadline(START + 300);
	assert_int_equal(read_deadline(), START + 300);
	assert_int_equal(read_at(0x390), 0);
	assert_false(fires_at(START + 299));
	fake_time = START + 300;
	assert_int_equal(read_deadline(), 0);
	assert_true(fires_at(START + 300));
	assert_false(fires_at(START + 10000));
}

static void a_past_deadline_fires_at_once(void **state)
{
	(void)state;
	set_timer(TSC_DEADLINE, 0xb, 0);
	set_deadline(1);
	assert_int_equal(local_apic_pending(apic), VECTOR);
	assert_int_equal(read_deadline(), 0);
	assert_true(apic->timer_deadline == ARCH_NO_DEADLINE);
}

static void a_deadline_of_zero_disarms(void **state)
{
	(void)state;
	set_timer(TSC_DEADLINE, 0xb, 0);
	set_deadline(START + 300);
	set_deadline(0);
	assert_false(fires_at(START + 10000));
	set_deadline(~0ull); /* never */
	assert_false(fires_at(~0ull - 1));
}

static void a_deadline_counts_in_its_mode_only(void **state)
{
	(void)state;
	set_timer(0, 0xb, 0);
	set_deadline(START + 300);
	assert_int_equal(read_deadline(), 0);
	assert_true(apic->timer_deadline == ARCH_NO_DEADLINE);
}

static void a_change_of_mode_disarms(void **state)
{
	static const uint32_t modes[] = { 0, PERIODIC, TSC_DEADLINE,
					  TSC_DEADLINE | PERIODIC };

	for (size_t from = 0; from < 4; from++)
		for (size_t to = 0; to < 4; to++) {
			bool armed, stays = from == to || (from < 2 && to < 2);

			fresh(state);
			set_timer(modes[from], 0xb, 100000);
			set_deadline(START + 100000);
			write_at(0x320, modes[to] | VECTOR);
			armed = apic->timer_deadline != ARCH_NO_DEADLINE;
			/* The fourth mode is none: it never arms. */
			assert_int_equal(armed, stays && from != 3);
			assert_int_equal(read_at(0x380),
					 armed && from < 2 ? 100000 : 0);
			assert_int_equal(read_deadline(),
					 armed && from == 2 ? START + 100000 :
							      0);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup(name, fresh)
		TEST(a_one_shot_fires_once),
		TEST(the_count_goes_down_to_zero),
		TEST(each_divider_divides),
		TEST(the_largest_count_does_not_overflow),
		TEST(a_slow_clock_still_gives_whole_counts),
		TEST(a_periodic_timer_goes_on),
		TEST(missed_periods_make_one_interrupt),
		TEST(a_short_period_is_stretched),
		TEST(a_count_of_zero_stops_it),
		TEST(a_masked_timer_counts_but_does_not_interrupt),
		TEST(a_new_divider_keeps_what_is_left),
		TEST(a_deadline_fires_once),
		TEST(a_past_deadline_fires_at_once),
		TEST(a_deadline_of_zero_disarms),
		TEST(a_deadline_counts_in_its_mode_only),
		TEST(a_change_of_mode_disarms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
