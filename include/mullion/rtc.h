/* SPDX-License-Identifier: MIT */
/*
 * The clock of a PC with its battery-backed memory (CMOS): ports 0x70 and
 * 0x71.  The date is the machine's wall clock plus what the guest has set.
 * Motorola MC146818A; the places beyond it are those that firmware knows.
 * Callers hold vm->device_lock.  Times are wall-clock nanoseconds.
 */
#ifndef MULLION_RTC_H
#define MULLION_RTC_H

#include <stdbool.h>
#include <stdint.h>

#define RTC_BYTES 128

struct rtc_date {
	int64_t year;
	uint32_t month, day, week_day, hour, minute, second;
};

struct rtc {
	uint8_t bytes[RTC_BYTES]; /* but for the date's */
	uint8_t index;		  /* port 0x70 */
	int64_t ahead;		  /* seconds of the guest's date before ours */
	struct rtc_date stopped;  /* the date while it is being set */
	uint64_t looked;	  /* up to when flags are known */
};

/* @memory_low, @memory_high: bytes of RAM below and above 4 GiB. */
void rtc_reset(struct rtc *rtc, uint64_t memory_low, uint64_t memory_high,
	       uint32_t vcpu_count, uint64_t now);
uint8_t rtc_read(struct rtc *rtc, uint16_t port, uint64_t now);
void rtc_write(struct rtc *rtc, uint16_t port, uint8_t value, uint64_t now);
/* Its line (IRQ 8) at @now; and when it may rise next, or UINT64_MAX. */
bool rtc_line(struct rtc *rtc, uint64_t now);
uint64_t rtc_next(const struct rtc *rtc);

#endif
