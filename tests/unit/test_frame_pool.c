/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "expect_panic.h"

#include <cmocka.h>
#include <mullion/bits.h>
#include <mullion/frame_pool.h>
#include <mullion/log.h>
#include <string.h>

#define USABLE MULL_MEMORY_USABLE
#define FRAMES 2048

static frame_owner owners[FRAMES];

static void fill(const struct mull_memory_range *ranges, uint32_t count)
{
	uint32_t span = frame_pool_span(ranges, count);

	assert_true(span <= FRAMES);
	memset(owners, 0, sizeof owners);
	frame_pool_start(ranges, count, owners, span);
}

/* Frames 1 to @frames. */
static void fill_simply(uint32_t frames)
{
	const struct mull_memory_range range = { 0, (frames + 1) * FRAME_SIZE,
						 USABLE, 0 };

	fill(&range, 1);
	assert_int_equal(frames_free(), frames);
}

/* ---- taking stock -------------------------------------------------------- */

static void only_whole_usable_frames_count(void **state)
{
	static const struct mull_memory_range ranges[] = {
		{ 0, 0xa0000, USABLE, 0 },
		{ MIB(2) + 0x1000, MIB(4), USABLE, 0 }, /* frame 2 */
		{ MIB(8), MIB(4), MULL_MEMORY_ACPI, 0 },
		{ MIB(12), MIB(4), USABLE, 0 }, /* frames 6, 7 */
		{ MIB(16), MIB(2), MULL_MEMORY_PACKAGE, 0 },
		{ MIB(18) + 0x1000, 0x2000, USABLE, 0 },
		{ MIB(20) - 0x1000, 0x2000, USABLE, 0 },
	};

	(void)state;
	assert_int_equal(frame_pool_span(ranges, ARRAY_COUNT(ranges)), 8);
	fill(ranges, ARRAY_COUNT(ranges));
	assert_int_equal(frames_free(), 3);
	for (uint32_t i = 0; i < 12; i++)
		assert_int_equal(frame_owner_of(i), i == 2 || i == 6 || i == 7 ?
							    FRAME_FREE :
							    FRAME_ABSENT);
	assert_int_equal(frame_owner_of(~0u), FRAME_ABSENT);
}

static void frame_0_is_never_given(void **state)
{
	const struct mull_memory_range range = { 0, MIB(2), USABLE, 0 };
	uint32_t frame;

	(void)state;
	fill(&range, 1);
	assert_int_equal(frames_free(), 0);
	assert_int_equal(frame_take(FRAME_VM, 1, &frame), ERR_NO_MEMORY);
	assert_int_equal(frame_pool_first(&range, 1, 1).value, 0);
}

static void impossible_ranges_are_left_out(void **state)
{
	static const struct mull_memory_range ranges[] = {
		{ ~0ull << 21, MIB(4), USABLE, 0 }, /* wraps */
		{ MIB(2), ~0ull, USABLE, 0 },	    /* wraps, to the start */
		{ BIT(46), MIB(2), USABLE, 0 },
		{ BIT(46) - MIB(2), MIB(4), USABLE, 0 },
		{ MIB(2), 0, USABLE, 0 },
		{ ~0ull - 0xfff, 0x1000, USABLE, 0 },
	};

	(void)state;
	assert_int_equal(frame_pool_span(ranges, ARRAY_COUNT(ranges)), 0);
	assert_int_equal(frame_pool_first(ranges, ARRAY_COUNT(ranges), 1).value,
			 0);
	fill(ranges, ARRAY_COUNT(ranges));
	assert_int_equal(frames_free(), 0);
}

static void a_frame_that_two_ranges_name_counts_once(void **state)
{
	static const struct mull_memory_range ranges[] = {
		{ MIB(2), MIB(4), USABLE, 0 },
		{ MIB(4), MIB(4), USABLE, 0 },
	};

	(void)state;
	fill(ranges, ARRAY_COUNT(ranges));
	assert_int_equal(frames_free(), 3);
}

static void the_array_finds_its_own_place(void **state)
{
	static const struct mull_memory_range ranges[] = {
		{ 0, MIB(4), USABLE, 0 }, /* only frame 1 of it */
		{ MIB(8), MIB(2), MULL_MEMORY_IMAGE, 0 },
		{ MIB(10) - 0x1000, MIB(6) + 0x1000, USABLE, 0 },
	};

	(void)state;
	assert_int_equal(frame_pool_first(ranges, 3, 1).value, MIB(2));
	assert_int_equal(frame_pool_first(ranges, 3, 2).value, MIB(10));
	assert_int_equal(frame_pool_first(ranges, 3, 3).value, MIB(10));
	assert_int_equal(frame_pool_first(ranges, 3, 4).value, 0);
}

/* ---- taking and giving ---------------------------------------------------- */

static void each_frame_has_one_owner(void **state)
{
	bool seen[64] = { false };
	uint32_t frame;

	(void)state;
	fill_simply(63);
	for (uint32_t i = 0; i < 63; i++) {
		assert_int_equal(frame_take(FRAME_VM + i, 1, &frame), ERR_NONE);
		assert_true(frame > 0 && frame < 64 && !seen[frame]);
		seen[frame] = true;
		assert_int_equal(frame_owner_of(frame), FRAME_VM + i);
	}
	assert_int_equal(frames_free(), 0);
	frame = 12345;
	assert_int_equal(frame_take(FRAME_VM, 1, &frame), ERR_NO_MEMORY);
	assert_int_equal(frame, 12345);
}

static void what_is_given_back_is_taken_again(void **state)
{
	uint32_t frame;

	(void)state;
	fill_simply(31);
	for (uint32_t i = 0; i < 31; i++)
		assert_int_equal(frame_take(FRAME_VM, 1, &frame), ERR_NONE);
	for (uint32_t i = 31; i > 3; i -= 3) {
		frame_give(FRAME_VM, i);
		assert_int_equal(frames_free(), 1);
		assert_int_equal(frame_owner_of(i), FRAME_FREE);
		assert_int_equal(frame_take(FRAME_VM + 1, 1, &frame), ERR_NONE);
		assert_int_equal(frame, i);
	}
}

static void runs_adjoin_and_are_aligned(void **state)
{
	uint32_t first, single;

	(void)state;
	fill_simply(2047);
	assert_int_equal(frame_take(FRAME_VM, 512, &first), ERR_NONE);
	assert_int_equal(first, 512); /* frame 0 is nobody's */
	assert_int_equal(frame_take(FRAME_VM, 1, &single), ERR_NONE);
	assert_int_equal(single, 1);
	assert_int_equal(frame_take(FRAME_VM, 512, &first), ERR_NONE);
	assert_int_equal(first, 1024);
	frame_give(FRAME_VM, 700);
	assert_int_equal(frame_take(FRAME_VM, 512, &first), ERR_NONE);
	assert_int_equal(first, 1536);
	assert_int_equal(frame_take(FRAME_VM, 512, &first), ERR_NO_MEMORY);
	assert_int_equal(frame_take(FRAME_VM, 256, &first), ERR_NONE);
	assert_int_equal(first, 256);
	for (uint32_t i = 256; i < 512; i++)
		assert_int_equal(frame_owner_of(i), FRAME_VM);
	assert_int_equal(frames_free(), 255 - 1 + 1);
	assert_int_equal(frame_take(FRAME_VM, 4096, &first), ERR_NO_MEMORY);
}

/* Against a model, in any order. */
static void any_order_keeps_the_account(void **state)
{
	static frame_owner model[512];
	uint32_t free = 511, first;

	(void)state;
	fill_simply(511);
	for (uint32_t i = 1; i < 512; i++)
		model[i] = FRAME_FREE;
	srand(1);
	for (int round = 0; round < 20000; round++) {
		uint32_t run = 1u << rand() % 5;
		uint32_t at = (uint32_t)rand() % 512;

		if (rand() % 2 && model[at] >= FRAME_VM) {
			frame_give(model[at], at);
			model[at] = FRAME_FREE;
			free++;
		} else if (frame_take(FRAME_VM + run, run, &first) ==
			   ERR_NONE) {
			assert_int_equal(first % run, 0);
			for (uint32_t i = first; i < first + run; i++) {
				assert_int_equal(model[i], FRAME_FREE);
				model[i] = (frame_owner)(FRAME_VM + run);
			}
			free -= run;
		} else {
			for (uint32_t i = 0; i < 512; i += run) {
				uint32_t j = i;

				while (j < i + run && model[j] == FRAME_FREE)
					j++;
				assert_true(j < i + run);
			}
		}
		assert_int_equal(frames_free(), free);
	}
}

/* Taking all of memory frame by frame must not look at each frame anew. */
static void a_large_vm_is_not_a_long_wait(void **state)
{
	static frame_owner many[1 << 20];
	const struct mull_memory_range range = {
		0, sizeof many / sizeof many[0] * FRAME_SIZE, USABLE, 0
	};
	uint32_t frame;

	(void)state;
	memset(many, 0, sizeof many);
	frame_pool_start(&range, 1, many, ARRAY_COUNT(many));
	for (uint32_t i = 1; i < ARRAY_COUNT(many); i++)
		assert_int_equal(frame_take(FRAME_VM, 1, &frame), ERR_NONE);
	assert_int_equal(frames_free(), 0);
}

static void a_wrong_owner_is_a_bug(void **state)
{
	uint32_t frame;

	(void)state;
	fill_simply(8);
	assert_int_equal(frame_take(FRAME_VM, 1, &frame), ERR_NONE);
	assert_panics(frame_give(FRAME_VM + 1, frame));
	assert_panics(frame_give(FRAME_VM, 5));
	assert_panics(frame_give(FRAME_ABSENT, 1 << 20));
}

static void what_boot_put_there_is_claimed(void **state)
{
	uint32_t first;

	(void)state;
	fill_simply(3);
	frame_claim(FRAME_PACKAGE, 1);
	frame_claim(FRAME_HYPERVISOR, 3);
	assert_int_equal(frames_free(), 1);
	assert_int_equal(frame_take(FRAME_VM, 1, &first), ERR_NONE);
	assert_int_equal(first, 2);
	assert_panics(frame_claim(FRAME_PACKAGE, 2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_whole_usable_frames_count),
		cmocka_unit_test(frame_0_is_never_given),
		cmocka_unit_test(impossible_ranges_are_left_out),
		cmocka_unit_test(a_frame_that_two_ranges_name_counts_once),
		cmocka_unit_test(the_array_finds_its_own_place),
		cmocka_unit_test(each_frame_has_one_owner),
		cmocka_unit_test(what_is_given_back_is_taken_again),
		cmocka_unit_test(runs_adjoin_and_are_aligned),
		cmocka_unit_test(any_order_keeps_the_account),
		cmocka_unit_test(a_large_vm_is_not_a_long_wait),
		cmocka_unit_test(a_wrong_owner_is_a_bug),
		cmocka_unit_test(what_boot_put_there_is_claimed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
