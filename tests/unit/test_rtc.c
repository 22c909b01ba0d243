/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <mullion/bits.h>
#include <mullion/rtc.h>
#include <stdlib.h>
#include <time.h>

#define SECOND 1000000000ull
#define LEAP_DAY 1709210096ull /* 2024-02-29 12:34:56 UTC, a Thursday */

static struct rtc rtc;
static uint64_t now;

static uint8_t read(uint8_t place)
{
	rtc_write(&rtc, 0x70, place, now);
	return rtc_read(&rtc, 0x71, now);
}

static void write(uint8_t place, uint8_t value)
{
	rtc_write(&rtc, 0x70, place, now);
	rtc_write(&rtc, 0x71, value, now);
}

static int fresh(void **state)
{
	(void)state;
	now = LEAP_DAY * SECOND;
	rtc_reset(&rtc, MIB(64), GIB(1), 3, now);
	return 0;
}

static void expect(uint32_t date, uint32_t clock)
{
	assert_int_equal(read(0x32) << 24 | read(9) << 16 | read(8) << 8 |
				 read(7),
			 date);
	assert_int_equal(read(4) << 16 | read(2) << 8 | read(0), clock);
}

static void the_date_is_the_machines(void **state)
{
	(void)state;
	expect(0x20240229, 0x123456);
	assert_int_equal(read(6), 5);
	assert_int_equal(rtc_read(&rtc, 0x70, now), 0xff);
	write(0x0b, 0x06); /* binary */
	assert_int_equal(read(0), 56);
	assert_int_equal(read(0x32), 20);
	write(0x0b, 0x00); /* 12 hours */
	assert_int_equal(read(4), 0x92);
	now += 12 * 3600 * SECOND;
	assert_int_equal(read(4), 0x12);
	assert_int_equal(read(7), 1);
	assert_int_equal(read(8), 3);
}

/* Each day of four centuries, by the C library. */
static void every_day_is_right(void **state)
{
	(void)state;
	write(0x0b, 0x06);
	for (time_t day = 0; day < 146097; day++) {
		time_t at = day * 86400 + 86399;
		struct tm date;

		gmtime_r(&at, &date);
		now = (uint64_t)at * SECOND;
		assert_int_equal(read(7), date.tm_mday);
		assert_int_equal(read(8), date.tm_mon + 1);
		assert_int_equal(read(9), date.tm_year % 100);
		assert_int_equal(read(6), date.tm_wday + 1);
	}
}

static void a_date_is_set_part_by_part(void **state)
{
	(void)state;
	write(0x0b, 0x82); /* it stands */
	now += 3 * SECOND;
	expect(0x20240229, 0x123456);
	write(9, 0x23);
	write(8, 0x02);
	write(7, 0x31); /* is none yet */
	write(8, 0x12);
	write(4, 0x23);
	write(2, 0x59);
	write(0, 0x58);
	write(6, 0x01);
	expect(0x20231231, 0x235958);
	write(0x0b, 0x02);
	now += 2 * SECOND;
	expect(0x20240101, 0x000000);
	write(4, 0x07); /* without stopping it */
	expect(0x20240101, 0x070000);
	write(9, 0x99);
	write(0x32, 0x19);
	expect(0x19990101, 0x070000);
	write(9, 0x24); /* there is nothing before this: */
	expect(0x19700101, 0x000000);
}

static void no_value_is_too_large(void **state)
{
	(void)state;
	for (uint32_t value = 0; value < 256; value++)
		for (uint8_t place = 0; place <= 9; place++) {
			write(place, (uint8_t)value);
			for (uint8_t seen = 0; seen <= 9; seen++)
				assert_true((read(seen) & 0xf) <= 9 ||
					    seen == 1 || seen == 3 ||
					    seen == 5);
		}
}

static void memory_is_where_firmware_looks(void **state)
{
	(void)state;
	assert_int_equal(read(0x15) | read(0x16) << 8, 640);
	assert_int_equal(read(0x17) | read(0x18) << 8, 63 * 1024);
	assert_int_equal(read(0x30) | read(0x31) << 8, 63 * 1024);
	assert_int_equal(read(0x34) | read(0x35) << 8, 48 * 16);
	assert_int_equal(read(0x5b) | read(0x5c) << 8 | read(0x5d) << 16,
			 1024 * 16);
	assert_int_equal(read(0x5f), 2);
	rtc_reset(&rtc, KIB(512), 0, 1, now);
	assert_int_equal(read(0x34) | read(0x30), 0);
	write(0x7f, 0xab);
	assert_int_equal(read(0xff), 0xab); /* bit 7 is no part of it */
}

static void updates_are_announced(void **state)
{
	(void)state;
	assert_int_equal(read(0x0a), 0x26);
	now += SECOND - 200000;
	assert_int_equal(read(0x0a), 0xa6);
	write(0x0b, 0x82);
	assert_int_equal(read(0x0a), 0x26);
	assert_int_equal(read(0x0d), 0x80);
	write(0x0d, 0);
	assert_int_equal(read(0x0d), 0x80);
}

static void sources_interrupt_when_enabled(void **state)
{
	uint64_t next;

	(void)state;
	assert_true(rtc_next(&rtc) == UINT64_MAX);
	now += SECOND;
	assert_false(rtc_line(&rtc, now));
	assert_int_equal(read(0x0c), 0x50); /* seen by polling */
	assert_int_equal(read(0x0c), 0);
	write(0x0b, 0x42);
	for (int i = 0; i < 3; i++) {
		next = rtc_next(&rtc);
		assert_in_range(next - now, 1, SECOND / 1024 + 1);
		assert_false(rtc_line(&rtc, next - 1));
		now = next;
		assert_true(rtc_line(&rtc, now));
		assert_true(rtc_next(&rtc) == UINT64_MAX);
		assert_int_equal(read(0x0c) & 0xc0, 0xc0);
		assert_false(rtc_line(&rtc, now));
	}
	write(0x0b, 0x12);
	next = rtc_next(&rtc);
	assert_int_equal(next % SECOND, 0);
	assert_true(rtc_line(&rtc, next));
	write(0x0a, 0x20);
	write(0x0b, 0x42); /* no rate */
	read(0x0c);
	assert_true(rtc_next(&rtc) == UINT64_MAX);
}

static void alarms_match(void **state)
{
	(void)state;
	write(0x0b, 0x22);
	write(5, 0x13);
	write(3, 0x00);
	write(1, 0x05);
	read(0x0c);
	assert_int_equal(rtc_next(&rtc) - now, (25 * 60 + 9) * SECOND);
	write(5, 0xff); /* any hour, any minute */
	write(3, 0xc0);
	assert_int_equal(rtc_next(&rtc) - now, 9 * SECOND);
	assert_false(rtc_line(&rtc, now + 8 * SECOND));
	assert_true(rtc_line(&rtc, now + 9 * SECOND));
	now += 9 * SECOND;
	assert_int_equal(read(0x0c) & 0xa0, 0xa0);
	write(1, 0x61); /* never */
	assert_true(rtc_next(&rtc) == UINT64_MAX);
}

static void any_writes_leave_it_sane(void **state)
{
	(void)state;
	srand(1);
	for (int i = 0; i < 20000; i++) {
		uint64_t next;

		write((uint8_t)rand() % 0x34, (uint8_t)rand());
		read((uint8_t)rand());
		now += (uint64_t)rand() << rand() % 12;
		rtc_line(&rtc, now);
		next = rtc_next(&rtc);
		assert_true(next > now);
	}
}

#define TEST(name) cmocka_unit_test_setup(name, fresh)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_date_is_the_machines),
		TEST(every_day_is_right),
		TEST(a_date_is_set_part_by_part),
		TEST(no_value_is_too_large),
		TEST(memory_is_where_firmware_looks),
		TEST(updates_are_announced),
		TEST(sources_interrupt_when_enabled),
		TEST(alarms_match),
		TEST(any_writes_leave_it_sane),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
