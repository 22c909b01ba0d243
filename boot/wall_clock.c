/* SPDX-License-Identifier: MIT */
#include "wall_clock.h"

#include <stdbool.h>

#define SECONDS_A_DAY 86400
#define ZONE_MAX 1440 /* minutes */

static bool is_leap(uint32_t year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static uint32_t days_of_month(uint32_t year, uint32_t month)
{
	static const uint8_t days[] = { 31, 28, 31, 30, 31, 30,
					31, 31, 30, 31, 30, 31 };

	return days[month - 1] + (month == 2 && is_leap(year));
}

uint64_t wall_clock_seconds(const struct wall_clock *clock)
{
	int64_t days = 0;
	int64_t zone = clock->zone;

	if (clock->year < 1970 || clock->month < 1 || clock->month > 12 ||
	    clock->day < 1 ||
	    clock->day > days_of_month(clock->year, clock->month) ||
	    clock->hour > 23 || clock->minute > 59 || clock->second > 59)
		return 0;
	if (zone < -ZONE_MAX || zone > ZONE_MAX)
		zone = 0; /* WALL_CLOCK_ZONE_UNKNOWN, or nonsense */

	for (uint32_t year = 1970; year < clock->year; year++)
		days += 365 + is_leap(year);
	for (uint32_t month = 1; month < clock->month; month++)
		days += days_of_month(clock->year, month);
	days += clock->day - 1;

	int64_t minutes = clock->hour * 60 + clock->minute + zone;
	int64_t seconds = days * SECONDS_A_DAY + minutes * 60 + clock->second;

	return seconds < 0 ? 0 : seconds;
}
