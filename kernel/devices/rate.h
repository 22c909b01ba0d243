/* SPDX-License-Identifier: MIT */
/* Counts of one clock as counts of another. */
#ifndef RATE_H
#define RATE_H

#include <mullion/arch.h>

/*
 * @count at @from Hz as a count at @to Hz, rounded down.  The rates are below
 * 2^34 and 2^30, so that no product overflows.
 */
static inline uint64_t rate_convert(uint64_t count, uint64_t from, uint64_t to)
{
	return count / from * to + count % from * to / from;
}

/* Ticks at @hz of @time, a difference of arch_time(). */
static inline uint64_t rate_ticks(uint64_t time, uint64_t hz)
{
	return rate_convert(time, arch_time_khz() * 1000, hz);
}

/* The least difference of arch_time() that is @ticks at @hz. */
static inline uint64_t rate_time(uint64_t ticks, uint64_t hz)
{
	uint64_t time = rate_convert(ticks, hz, arch_time_khz() * 1000);

	while (rate_ticks(time, hz) < ticks)
		time++;
	return time;
}

#endif
