/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "expect_panic.h"

#include <arch/fake/fake.h>
#include <cmocka.h>
#include <mullion/frame_pool.h>
#include <mullion/package.h>
#include <mullion/page.h>
#include <string.h>

#define FRAMES 12 /* from frame 1 on; the first is the pages' at once */
#define USED 100  /* bytes of it */

static enum error map_error;
static uint64_t mapped; /* frames, a bit each */

enum error arch_map(hpa_t address, uint64_t size, enum arch_map_kind kind)
{
	assert_int_equal(size, FRAME_SIZE);
	assert_int_equal(kind, ARCH_MAP_RAM);
	if (!map_error)
		mapped |= BIT(address.value >> FRAME_SHIFT);
	return map_error;
}

/* Once: pages are never given back to the pool. */
static int start_pages(void **state)
{
	static const struct mull_memory_range range = { MIB(2),
							FRAMES * FRAME_SIZE,
							MULL_MEMORY_USABLE, 0 };
	static frame_owner owners[FRAMES + 1];
	uint8_t *first = arch_direct(hpa(MIB(2)));

	(void)state;
	memset(first, 0xaa, FRAME_SIZE);
	mapped = BIT(1);
	page_start(first, 1, USED);
	frame_pool_start(&range, 1, owners, ARRAY_COUNT(owners));
	frame_claim(FRAME_HYPERVISOR, 1);
	return 0;
}

static void what_is_used_at_start_is_zero_and_kept(void **state)
{
	const uint8_t *first = arch_direct(hpa(MIB(2)));
	uint8_t *page = page_alloc(1);

	(void)state;
	for (int i = 0; i < USED; i++)
		assert_int_equal(first[i], 0);
	assert_int_equal(pages_in_use(), 2);
	assert_ptr_equal(page, first + PAGE_SIZE);
	page_free(page, 1);
	assert_int_equal(pages_in_use(), 1);
}

static void pages_are_zero_whoever_had_them(void **state)
{
	static const uint8_t zeros[3 * PAGE_SIZE];
	uint8_t *pages;

	(void)state;
	for (int i = 0; i < 3; i++) {
		pages = page_alloc(3);
		assert_int_equal((uintptr_t)pages % PAGE_SIZE, 0);
		assert_memory_equal(pages, zeros, sizeof zeros);
		memset(pages, 0xcc, sizeof zeros);
		page_free(pages, 3);
	}
}

static void no_run_overlaps_another(void **state)
{
	struct {
		uint8_t *pages;
		uint32_t count;
	} runs[64] = { 0 };
	uint64_t in_use = pages_in_use(), held = 0;

	(void)state;
	srand(1);
	for (int round = 0; round < 3000; round++) {
		int i = rand() % (int)ARRAY_COUNT(runs);
		uint32_t count = 1 + (uint32_t)rand() % 40;

		if (runs[i].pages) {
			for (uint64_t j = 0; j < runs[i].count; j++)
				assert_int_equal(runs[i].pages[j * PAGE_SIZE],
						 i + 1);
			page_free(runs[i].pages, runs[i].count);
			held -= runs[i].count;
			runs[i].pages = NULL;
		} else {
			runs[i].pages = page_alloc(count);
			runs[i].count = count;
			assert_non_null(runs[i].pages);
			for (uint64_t j = 0; j < count; j++)
				runs[i].pages[j * PAGE_SIZE] = (uint8_t)(i + 1);
			held += count;
		}
		assert_int_equal(pages_in_use(), in_use + held);
	}
	for (size_t i = 0; i < ARRAY_COUNT(runs); i++)
		if (runs[i].pages)
			page_free(runs[i].pages, runs[i].count);
	assert_int_equal(pages_in_use(), in_use);
}

/* The bitmap has words of 64; those without a free page are passed over. */
static void a_gap_between_full_words_is_found(void **state)
{
	uint8_t *pages[400], *longer;

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(pages); i++)
		pages[i] = page_alloc(1);
	for (size_t i = 250; i < 260; i++)
		page_free(pages[i], 1);
	assert_ptr_equal(page_alloc(3), pages[250]);
	longer = page_alloc(8);
	assert_ptr_not_equal(longer, pages[253]);
	assert_ptr_equal(page_alloc(7), pages[253]);
	for (size_t i = 0; i < ARRAY_COUNT(pages); i++)
		page_free(pages[i], 1);
	page_free(longer, 8);
}

static void sizes_that_cannot_be_are_refused(void **state)
{
	uint64_t free = frames_free();

	(void)state;
	assert_null(page_alloc(0));
	assert_null(page_alloc(PAGE_RUN_MAX + 1));
	assert_null(page_alloc(~0u));
	assert_int_equal(frames_free(), free);
}

/* The largest console that a manifest may ask for is one run. */
static void the_longest_run_is_a_frame(void **state)
{
	uint8_t *run = page_alloc(PAGE_RUN_MAX);

	(void)state;
	assert_non_null(run);
	assert_int_equal(arch_physical(run).value % FRAME_SIZE, 0);
	assert_true(mapped & BIT(arch_physical(run).value >> FRAME_SHIFT));
	page_free(run, PAGE_RUN_MAX);
	assert_ptr_equal(page_alloc(PAGE_RUN_MAX), run);
	page_free(run, PAGE_RUN_MAX);
	assert_true(MULL_CONSOLE_MAX <= PAGE_RUN_MAX * PAGE_SIZE);
}

static void what_is_not_in_use_is_not_freed(void **state)
{
	uint8_t *pages = page_alloc(4);

	(void)state;
	assert_panics(page_free(pages + 4 * PAGE_SIZE, 1));
	assert_panics(page_free(pages, 5));
	assert_panics(page_free(pages, ~0u));
	assert_panics(page_free(&map_error, 1));
	page_free(pages, 4);
	assert_panics(page_free(pages, 4));
}

/* Last, since it takes all there is. */
static void without_memory_there_are_no_pages(void **state)
{
	uint64_t free = frames_free();
	uint32_t runs = 0;

	(void)state;
	assert_true(free > 2);
	while (page_alloc(300))
		assert_true(++runs <= FRAMES);
	assert_int_equal(frames_free(), 0);
	assert_true(runs >= free);
	assert_non_null(page_alloc(1));
}

static void a_frame_that_cannot_be_mapped_goes_back(void **state)
{
	uint64_t free = frames_free();

	(void)state;
	assert_true(free > 0);
	map_error = ERR_BAD_ADDRESS;
	while (page_alloc(PAGE_RUN_MAX))
		;
	assert_int_equal(frames_free(), free);
	map_error = ERR_NONE;
	assert_non_null(page_alloc(PAGE_RUN_MAX));
	assert_int_equal(frames_free(), free - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_used_at_start_is_zero_and_kept),
		cmocka_unit_test(pages_are_zero_whoever_had_them),
		cmocka_unit_test(no_run_overlaps_another),
		cmocka_unit_test(a_gap_between_full_words_is_found),
		cmocka_unit_test(sizes_that_cannot_be_are_refused),
		cmocka_unit_test(the_longest_run_is_a_frame),
		cmocka_unit_test(what_is_not_in_use_is_not_freed),
		cmocka_unit_test(a_frame_that_cannot_be_mapped_goes_back),
		cmocka_unit_test(without_memory_there_are_no_pages),
	};

	return cmocka_run_group_tests(tests, start_pages, NULL);
}
