/* SPDX-License-Identifier: MIT */
/* A spin lock.  The hypervisor runs with interrupts off, so it is held for
 * short, bounded pieces of work only, never across a guest entry. */
#ifndef MULLION_LOCK_H
#define MULLION_LOCK_H

#include <mullion/arch.h>
#include <stdatomic.h>

struct lock {
	atomic_flag held;
};

static inline void lock_take(struct lock *lock)
{
	while (atomic_flag_test_and_set_explicit(&lock->held,
						 memory_order_acquire))
		arch_pause();
}

static inline void lock_give(struct lock *lock)
{
	atomic_flag_clear_explicit(&lock->held, memory_order_release);
}

#endif
