/* SPDX-License-Identifier: MIT */
/* The firmware's memory map is hostile; the hypervisor's obeys its rules. */
#include <boot/memory_map.h>
#include <mullion/bits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ROOM 64

static struct mull_memory_range ranges[ROOM];
static struct memory_map map;

enum { CODE = 3, DATA = 4, RUNTIME = 6, FREE = 7, ACPI = 9, MMIO = 11 };

static int set_up(void **state)
{
	(void)state;
	memset(ranges, 0xee, sizeof ranges);
	map = (struct memory_map){ .ranges = ranges, .room = ROOM };
	return 0;
}

static void assert_map(const struct mull_memory_range *want, uint32_t count)
{
	assert_int_equal(map.count, count);
	for (uint32_t i = 0; i < count; i++) {
		assert_int_equal(ranges[i].start, want[i].start);
		assert_int_equal(ranges[i].size, want[i].size);
		assert_int_equal(ranges[i].kind, want[i].kind);
		assert_int_equal(ranges[i].reserved, 0);
	}
}

#define ASSERT_MAP(...) \
	do { \
		static const struct mull_memory_range want[] = { \
			__VA_ARGS__ \
		}; \
		assert_map(want, ARRAY_COUNT(want)); \
	} while (0)

static void add(uint64_t start, uint64_t size, enum mull_memory_kind kind)
{
	assert_null(memory_map_add(&map, start, size, kind));
}

static void types_become_kinds(void **state)
{
	struct firmware_range found[17];

	(void)state;
	for (uint32_t type = 0; type < 16; type++)
		found[type] = (struct firmware_range){
			.type = type,
			.start = type * 0x10000,
			.pages = 1,
		};
	found[16] = (struct firmware_range){ .type = 0x80000000,
					     .start = 0x100000,
					     .pages = 1 };
	assert_null(memory_map_add_firmware(&map, found, sizeof found,
					    sizeof found[0]));
	static const uint32_t kinds[] = { 8, 1, 1, 1, 1, 5, 5, 1, 8,
					  6, 6, 7, 7, 8, 8, 8, 8 };

	assert_int_equal(map.count, 17);
	for (uint32_t i = 0; i < 17; i++)
		assert_int_equal(ranges[i].kind, kinds[i]);
}

static void unsorted_ranges_are_sorted_and_merged(void **state)
{
	static const struct firmware_range found[] = {
		{ .type = FREE, .start = 0x200000, .pages = 16 },
		{ .type = DATA, .start = 0x100000, .pages = 256 },
		{ .type = ACPI, .start = 0x7000, .pages = 1 },
		{ .type = CODE, .start = 0x0, .pages = 7 },
		{ .type = ACPI, .start = 0x8000, .pages = 2 },
		{ .type = MMIO, .start = 0xfec00000, .pages = 1 },
	};

	(void)state;
	assert_null(memory_map_add_firmware(&map, found, sizeof found,
					    sizeof found[0]));
	memory_map_merge(&map);
	ASSERT_MAP({ 0x0, 0x7000, MULL_MEMORY_USABLE, 0 },
		   { 0x7000, 0x3000, MULL_MEMORY_ACPI, 0 },
		   { 0x100000, 0x110000, MULL_MEMORY_USABLE, 0 },
		   { 0xfec00000, 0x1000, MULL_MEMORY_DEVICE, 0 });
	assert_int_equal(memory_map_top(&map), 0x210000);
	assert_int_equal(memory_map_total(&map, MULL_MEMORY_USABLE), 0x117000);
}

static void longer_descriptors_are_stepped_over(void **state)
{
	struct {
		struct firmware_range range;
		uint64_t more;
	} found[] = {
		{ { .type = FREE, .start = 0x1000, .pages = 1 }, -1ull },
		{ { .type = ACPI, .start = 0x2000, .pages = 1 }, -1ull },
	};

	(void)state;
	/* The last bytes are no whole descriptor: nothing reads them. */
	assert_null(memory_map_add_firmware(&map, found, sizeof found - 1,
					    sizeof found[0]));
	ASSERT_MAP({ 0x1000, 0x1000, MULL_MEMORY_USABLE, 0 });
	assert_non_null(memory_map_add_firmware(&map, found, sizeof found, 39));
	assert_non_null(memory_map_add_firmware(&map, found, sizeof found, 0));
}

static void the_stronger_claim_wins_whatever_the_order(void **state)
{
	(void)state;
	for (int order = 0; order < 2; order++) {
		set_up(NULL);
		if (order)
			add(0x4000, 0x2000, MULL_MEMORY_RESERVED);
		add(0x1000, 0x8000, MULL_MEMORY_USABLE);
		add(0x3000, 0x4000, MULL_MEMORY_PACKAGE);
		if (!order)
			add(0x4000, 0x2000, MULL_MEMORY_RESERVED);
		memory_map_merge(&map);
		ASSERT_MAP({ 0x1000, 0x2000, MULL_MEMORY_USABLE, 0 },
			   { 0x3000, 0x1000, MULL_MEMORY_PACKAGE, 0 },
			   { 0x4000, 0x2000, MULL_MEMORY_RESERVED, 0 },
			   { 0x6000, 0x1000, MULL_MEMORY_PACKAGE, 0 },
			   { 0x7000, 0x2000, MULL_MEMORY_USABLE, 0 });
	}
}

static void a_claim_over_many_ranges_and_gaps(void **state)
{
	(void)state;
	add(0x2000, 0x1000, MULL_MEMORY_USABLE);
	add(0x5000, 0x2000, MULL_MEMORY_RESERVED);
	add(0x9000, 0x2000, MULL_MEMORY_USABLE);
	add(0x1000, 0x9000, MULL_MEMORY_FIRMWARE);
	memory_map_merge(&map);
	ASSERT_MAP({ 0x1000, 0x4000, MULL_MEMORY_FIRMWARE, 0 },
		   { 0x5000, 0x2000, MULL_MEMORY_RESERVED, 0 },
		   { 0x7000, 0x3000, MULL_MEMORY_FIRMWARE, 0 },
		   { 0xa000, 0x1000, MULL_MEMORY_USABLE, 0 });
}

static void odd_borders_never_widen_usable_memory(void **state)
{
	(void)state;
	add(0x1001, 0x2000, MULL_MEMORY_USABLE);
	add(0x8fff, 2, MULL_MEMORY_ACPI);
	add(0x10001, 0xffe, MULL_MEMORY_USABLE); /* no whole page */
	ASSERT_MAP({ 0x2000, 0x1000, MULL_MEMORY_USABLE, 0 },
		   { 0x8000, 0x2000, MULL_MEMORY_ACPI, 0 });
}

static void impossible_sizes_do_not_overflow(void **state)
{
	static const struct firmware_range found[] = {
		{ .type = FREE, .start = 0x1000, .pages = -1ull },
		{ .type = FREE, .start = 0x1000, .pages = 0 },
		{ .type = FREE, .start = 0x1000, .pages = (1ull << 52) + 1 },
		{ .type = FREE, .start = 0x3000, .pages = 1 },
		{ .type = RUNTIME, .start = 0x10000, .pages = -1ull },
		{ .type = FREE, .start = -0x1000ull, .pages = 1 },
		{ .type = MMIO, .start = -0x1000ull, .pages = 2 },
		{ .type = FREE, .start = PHYSICAL_LIMIT - 0x1000, .pages = 2 },
	};

	(void)state;
	assert_null(memory_map_add_firmware(&map, found, sizeof found,
					    sizeof found[0]));
	ASSERT_MAP(
		{ 0x3000, 0x1000, MULL_MEMORY_USABLE, 0 },
		{ 0x10000, PHYSICAL_LIMIT - 0x10000, MULL_MEMORY_FIRMWARE, 0 });
}

static void too_many_ranges_are_an_error(void **state)
{
	struct mull_memory_range *exact = malloc(
		4 * sizeof *exact); /* ASan sees one more */

	(void)state;
	map = (struct memory_map){ .ranges = exact, .room = 4 };
	for (uint64_t i = 0; i < 4; i++)
		add(i * 0x2000, 0x1000, MULL_MEMORY_USABLE);
	assert_non_null(memory_map_add(&map, 0x9000, 0x1000, MULL_MEMORY_ACPI));
	assert_non_null(memory_map_add(&map, 0x1000, 0x1000, MULL_MEMORY_ACPI));
	set_up(NULL);
	map = (struct memory_map){ .ranges = exact, .room = 2 };
	add(0x1000, 0x8000, MULL_MEMORY_USABLE);
	assert_non_null(memory_map_add(&map, 0x2000, 0x1000, MULL_MEMORY_ACPI));
	assert_int_equal(map.count, 2);
	free(exact);
}

/* A thousand random maps against one byte a page. */
static void random_maps_agree_with_a_simple_model(void **state)
{
	uint8_t model[32], painted[32];

	(void)state;
	srand(1);
	for (int round = 0; round < 1000; round++) {
		set_up(NULL);
		memset(model, 0, sizeof model);
		memset(painted, 0, sizeof painted);
		for (int i = 0; i < 12; i++) {
			uint32_t start = rand() % 32;
			uint32_t count = rand() % (33 - start);
			uint32_t kind = 1 + rand() % 8;

			add(start * PAGE_SIZE, count * PAGE_SIZE, kind);
			for (uint32_t p = start; p < start + count; p++)
				if (model[p] < kind)
					model[p] = kind;
		}
		memory_map_merge(&map);
		for (uint32_t i = 0; i < map.count; i++) {
			uint64_t first = ranges[i].start / PAGE_SIZE;

			assert_true(ranges[i].size > 0);
			if (i)
				assert_true(ranges[i - 1].start +
						    ranges[i - 1].size <=
					    ranges[i].start);
			if (i && ranges[i - 1].kind == ranges[i].kind)
				assert_true(ranges[i - 1].start +
						    ranges[i - 1].size <
					    ranges[i].start);
			memset(painted + first, ranges[i].kind,
			       ranges[i].size / PAGE_SIZE);
		}
		assert_memory_equal(model, painted, sizeof model);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(types_become_kinds, set_up),
		cmocka_unit_test_setup(unsorted_ranges_are_sorted_and_merged,
				       set_up),
		cmocka_unit_test_setup(longer_descriptors_are_stepped_over,
				       set_up),
		cmocka_unit_test(the_stronger_claim_wins_whatever_the_order),
		cmocka_unit_test_setup(a_claim_over_many_ranges_and_gaps,
				       set_up),
		cmocka_unit_test_setup(odd_borders_never_widen_usable_memory,
				       set_up),
		cmocka_unit_test_setup(impossible_sizes_do_not_overflow,
				       set_up),
		cmocka_unit_test(too_many_ranges_are_an_error),
		cmocka_unit_test(random_maps_agree_with_a_simple_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
