/* SPDX-License-Identifier: MIT */
/* RAM: its size, that it is zeroed, and that what is written stays. */
#include "selftest.h"

#define ZERO_FROM MIB(4) /* behind this image and the loader's data */
#define WORDS_A_FRAME (FRAME_SIZE / sizeof(uint64_t))

static bool frame_is_zero(const uint64_t *frame)
{
	for (size_t i = 0; i < WORDS_A_FRAME; i++) {
		if (frame[i])
			return false;
	}
	return true;
}

/* The first frame in the range that is not all zero, or 0. */
static uint64_t first_used_frame(uint64_t from, uint64_t to)
{
	for (uint64_t at = from; at < to; at += FRAME_SIZE) {
		if (!frame_is_zero(memory_window(at)))
			return at;
	}
	return 0;
}

static void fill(uint64_t from, uint64_t to)
{
	for (uint64_t at = from; at < to; at += PAGE_SIZE)
		*(volatile uint64_t *)memory_window(at) = ~at;
}

static bool holds(uint64_t from, uint64_t to)
{
	for (uint64_t at = from; at < to; at += PAGE_SIZE) {
		if (*(volatile uint64_t *)memory_window(at) != ~at)
			return false;
	}
	return true;
}

static void test_range(const char *name, uint64_t from, uint64_t to)
{
	uint64_t used = first_used_frame(from, to);

	report(!used, "memory %s is zero, %lu MiB (%lx)", name,
	       (to - from) >> 20, used);
	fill(from, to);
	report(holds(from, to), "memory %s holds what is written", name);
}

/* What no guest memory backs reads as ones and forgets what is written. */
static void test_hole(uint64_t end)
{
	volatile uint64_t *hole = memory_window(end);

	hole[0] = 0x1122334455667788;
	report(hole[0] == ~0ull, "behind the memory there is nothing");
}

void test_memory(void)
{
	uint64_t low_end = guest_info.memory_low;
	uint64_t high = guest_info.memory_high;

	report(low_end >= MIB(4) && low_end <= MULL_GUEST_MMIO_START &&
		       low_end % FRAME_SIZE == 0,
	       "memory below the hole: %lu MiB", low_end >> 20);
	test_range("below the hole", ZERO_FROM, low_end);
	if (low_end < MULL_GUEST_MMIO_START)
		test_hole(low_end);
	if (high)
		test_range("above 4 GiB", GIB(4), GIB(4) + high);
}
