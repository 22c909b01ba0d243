/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arch/fake/fake.h>
#include <cmocka.h>
#include <mullion/pit.h>
#include <stdlib.h>

#define SECOND 1000000000ull /* of arch_time() */

static struct pit pit;
static uint64_t now;

static void write(uint16_t port, uint8_t value)
{
	pit_write(&pit, port, value, now);
}

static uint8_t read(uint16_t port)
{
	return pit_read(&pit, port, now);
}

static void load(uint32_t channel, uint8_t mode, uint16_t count)
{
	write(0x43, (uint8_t)(channel << 6 | 0x30 | mode << 1));
	write((uint16_t)(0x40 + channel), (uint8_t)count);
	write((uint16_t)(0x40 + channel), count >> 8);
}

static uint32_t read_word(uint16_t port)
{
	uint32_t low = read(port);

	return low | (uint32_t)read(port) << 8;
}

static uint32_t count_of(uint32_t channel)
{
	write(0x43, (uint8_t)(channel << 6));
	return read_word((uint16_t)(0x40 + channel));
}

/* So far that @ticks have passed, and a little more. */
static void pass(uint64_t ticks)
{
	now += ticks * SECOND / PIT_HZ + 2;
}

static int fresh(void **state)
{
	(void)state;
	fake_time_khz = 1000000;
	now = 5 * SECOND;
	pit_reset(&pit);
	return 0;
}

static void nothing_interrupts_before_it_is_set(void **state)
{
	(void)state;
	assert_true(pit.next == ARCH_NO_DEADLINE);
	assert_false(pit_fires(&pit, ~0ull - 1));
}

static void periods_do_not_drift(void **state)
{
	int fired = 0;

	(void)state;
	load(0, 2, 11932); /* 100 Hz */
	for (uint64_t end = now + 10 * SECOND; pit.next <= end; fired++) {
		now = pit.next;
		assert_false(pit_fires(&pit, now - 1));
		assert_true(pit_fires(&pit, now));
		assert_true(pit.next > now);
	}
	assert_in_range(fired, 999, 1000);
	now += SECOND; /* what was missed is one */
	assert_true(pit_fires(&pit, now));
	assert_false(pit_fires(&pit, now));
}

static void one_shots_fire_once(void **state)
{
	static const uint8_t modes[] = { 0, 4 };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		load(0, modes[i], 1000);
		assert_int_equal(pit_output(&pit, 0, now), modes[i] == 4);
		pass(999);
		assert_false(pit_fires(&pit, now));
		pass(2);
		assert_true(pit_fires(&pit, now));
		assert_true(pit.next == ARCH_NO_DEADLINE);
		pass(70000);
		assert_true(pit_output(&pit, 0, now));
	}
	load(0, 1, 1000); /* its gate has no edge */
	assert_true(pit.next == ARCH_NO_DEADLINE);
}

static void the_shortest_period_is_stretched(void **state)
{
	(void)state;
	for (uint16_t count = 0; count < 30; count++) {
		load(0, 2, count);
		assert_true(pit.next - now >= SECOND / 50000);
	}
}

static void counts_go_down(void **state)
{
	(void)state;
	load(2, 0, 50000);
	assert_int_equal(count_of(2), 50000); /* the gate is closed */
	pass(100);
	assert_int_equal(count_of(2), 50000);
	pit_set_gate(&pit, 2, true, now);
	pass(100);
	assert_int_equal(count_of(2), 49900);
	assert_false(pit_output(&pit, 2, now));
	pit_set_gate(&pit, 2, false, now);
	pass(60000);
	assert_int_equal(count_of(2), 49900);
	pit_set_gate(&pit, 2, true, now);
	pass(49900);
	assert_true(pit_output(&pit, 2, now));
	pass(1);
	assert_int_equal(count_of(2), 0xffff);

	load(0, 2, 1000);
	pass(2250);
	assert_int_equal(count_of(0), 750);
	load(0, 3, 1000);
	pass(100);
	assert_int_equal(count_of(0), 800);
	assert_true(pit_output(&pit, 0, now));
	pass(500);
	assert_false(pit_output(&pit, 0, now));
}

static void latches_hold_until_they_are_read(void **state)
{
	(void)state;
	load(0, 2, 40000);
	write(0x43, 0x00);
	pass(500);
	write(0x43, 0x00); /* no second one */
	assert_int_equal(read_word(0x40), 40000);
	assert_int_equal(count_of(0), 39500);
	write(0x43, 0xc2); /* count and status */
	pass(500);
	assert_int_equal(read(0x40), 0xb4);
	assert_int_equal(read_word(0x40), 39500);
	assert_int_equal(read(0x43), 0xff);
	write(0x43, 0x34);
	write(0x43, 0xe2);
	assert_int_equal(read(0x40), 0xf4); /* no count yet, output high */
}

static void bytes_and_bcd(void **state)
{
	(void)state;
	write(0x43, 0x10); /* low byte alone, mode 0 */
	write(0x40, 200);
	pass(50);
	assert_int_equal(read(0x40), 150);
	write(0x43, 0x24); /* high byte alone */
	write(0x40, 0x10);
	pass(1);
	assert_int_equal(read(0x40), 0x0f);
	write(0x43, 0x31); /* BCD */
	write(0x40, 0x00);
	write(0x40, 0x10);
	pass(1);
	assert_int_equal(count_of(0), 0x0999);
	write(0x43, 0x31);
	write(0x40, 0xff); /* no digits, but no harm */
	write(0x40, 0xff);
	pass(3);
	count_of(0);
}

static void a_trigger_begins_again(void **state)
{
	(void)state;
	load(2, 1, 1000);
	assert_true(pit_output(&pit, 2, now));
	pit_set_gate(&pit, 2, true, now);
	pass(900);
	assert_false(pit_output(&pit, 2, now));
	pit_set_gate(&pit, 2, false, now);
	pit_set_gate(&pit, 2, true, now);
	pass(900);
	assert_false(pit_output(&pit, 2, now));
	pass(101);
	assert_true(pit_output(&pit, 2, now));
}

static void a_clock_that_is_behind_does_no_harm(void **state)
{
	(void)state;
	load(0, 2, 1000);
	now -= 1000;
	assert_int_equal(count_of(0), 1000);
	assert_false(pit_fires(&pit, now));
}

static void any_writes_leave_it_sane(void **state)
{
	(void)state;
	srand(1);
	for (int i = 0; i < 100000; i++) {
		fake_time_khz = i % 2 ? 99923 : 5000000;
		write((uint16_t)(0x40 + rand() % 4), (uint8_t)rand());
		read((uint16_t)(0x40 + rand() % 4));
		pit_set_gate(&pit, 2, rand() % 2, now);
		pit_output(&pit, (uint32_t)rand() % 3, now);
		if (pit_fires(&pit, now))
			assert_true(pit.next > now);
		now += (uint64_t)rand() << rand() % 20;
	}
}

#define TEST(name) cmocka_unit_test_setup(name, fresh)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nothing_interrupts_before_it_is_set),
		TEST(periods_do_not_drift),
		TEST(one_shots_fire_once),
		TEST(the_shortest_period_is_stretched),
		TEST(counts_go_down),
		TEST(latches_hold_until_they_are_read),
		TEST(bytes_and_bcd),
		TEST(a_trigger_begins_again),
		TEST(a_clock_that_is_behind_does_no_harm),
		TEST(any_writes_leave_it_sane),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
