/* SPDX-License-Identifier: MIT */
/* Adds up time; one CPU starts and stops it, any may read it meanwhile. */
#ifndef MULLION_STOPWATCH_H
#define MULLION_STOPWATCH_H

#include <mullion/arch.h>

/* Ticks of arch_time().  While it runs, its start is subtracted: a negative
 * number, so that one word says all. */
struct stopwatch {
	uint64_t ticks;
};

static inline void stopwatch_start(struct stopwatch *watch, uint64_t now)
{
	__atomic_store_n(&watch->ticks, watch->ticks - now, __ATOMIC_RELAXED);
}

static inline void stopwatch_stop(struct stopwatch *watch, uint64_t now)
{
	__atomic_store_n(&watch->ticks, watch->ticks + now, __ATOMIC_RELAXED);
}

static inline uint64_t stopwatch_ns(const struct stopwatch *watch)
{
	uint64_t ticks = __atomic_load_n(&watch->ticks, __ATOMIC_RELAXED);

	if ((int64_t)ticks < 0)
		ticks += arch_time();
	/* The other CPU's clock may be a little ahead. */
	return (int64_t)ticks < 0 ? 0 : arch_time_ns(ticks);
}

#endif
