/* SPDX-License-Identifier: MIT */
#ifndef BOOT_WALL_CLOCK_H
#define BOOT_WALL_CLOCK_H

#include <stdint.h>

/* UEFI 2.10, "GetTime()", EFI_TIME: 2047 stands for an unknown zone. */
#define WALL_CLOCK_ZONE_UNKNOWN 2047

struct wall_clock {
	uint16_t year;
	uint8_t month; /* 1..12 */
	uint8_t day;   /* 1..31 */
	uint8_t hour, minute, second;
	int16_t zone; /* minutes: UTC is local time plus this */
};

/*
 * Seconds since 1970-01-01 UTC, or 0 when @clock shows no possible time.  A
 * zone that is unknown or impossible is taken as UTC.
 */
uint64_t wall_clock_seconds(const struct wall_clock *clock);

#endif
