/* SPDX-License-Identifier: MIT */
/* Firmware's idea of the date becomes seconds, or nothing. */
#include <boot/wall_clock.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static uint64_t seconds(uint16_t year, uint8_t month, uint8_t day, uint8_t hour,
			int16_t zone)
{
	const struct wall_clock clock = {
		.year = year,
		.month = month,
		.day = day,
		.hour = hour,
		.minute = 5,
		.second = 7,
		.zone = zone,
	};

	return wall_clock_seconds(&clock);
}

static void dates_become_unix_seconds(void **state)
{
	(void)state;
	/* From `date -u -d '2026-11-24 23:05:07' +%s` and so on. */
	assert_int_equal(seconds(2026, 11, 24, 23, 0), 1795561507);
	assert_int_equal(seconds(2024, 2, 29, 0, 0), 1709165107);
	assert_int_equal(seconds(2000, 3, 1, 0, 0), 951869107);
	assert_int_equal(seconds(2100, 3, 1, 0, 0), 4107542707);
	/* UTC is local time plus the zone. */
	assert_int_equal(seconds(2026, 11, 24, 23, -60), 1795561507 - 3600);
	assert_int_equal(seconds(2026, 11, 24, 23, 480), 1795561507 + 28800);
	assert_int_equal(seconds(2026, 11, 24, 23, WALL_CLOCK_ZONE_UNKNOWN),
			 1795561507);
	assert_int_equal(seconds(2026, 11, 24, 23, -32768), 1795561507);
	assert_int_equal(seconds(2026, 2, 29, 0, 0), 0);
	assert_int_equal(seconds(2026, 0, 1, 0, 0), 0);
	assert_int_equal(seconds(2026, 13, 1, 0, 0), 0);
	assert_int_equal(seconds(2026, 1, 0, 0, 0), 0);
	assert_int_equal(seconds(2026, 4, 31, 0, 0), 0);
	assert_int_equal(seconds(2026, 1, 1, 24, 0), 0);
	assert_int_equal(seconds(1969, 12, 31, 0, 0), 0);
	assert_int_equal(seconds(1970, 1, 1, 0, -60), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dates_become_unix_seconds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
