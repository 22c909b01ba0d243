/* SPDX-License-Identifier: MIT */
/* What a processor says of its classes of service, and what is written for a
 * plan. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arch/x86/cache_allocation.h>
#include <cmocka.h>
#include <mullion/bits.h>
#include <stdbool.h>
#include <string.h>

/* ---- CPUID -------------------------------------------------------------- */

struct leaf {
	uint32_t leaf, subleaf, registers[4];
};

static struct leaf leaves[16];
static struct cache_means means;
static bool caches_end;

/* Leaves that are not there are zero. */
static void read_leaf(uint32_t leaf, uint32_t subleaf, uint32_t registers[4])
{
	memset(registers, 0, 4 * sizeof *registers);
	if (leaf == 4 && !caches_end)
		registers[0] = 0x21;
	for (size_t i = 0; i < ARRAY_COUNT(leaves); i++)
		if (leaves[i].leaf == leaf && leaves[i].subleaf == subleaf &&
		    (leaf || leaves[i].registers[0]))
			memcpy(registers, leaves[i].registers,
			       sizeof leaves[i].registers);
}

/* A server of Intel's. */
static const struct leaf intel[] = {
	{ 0x0, 0, { 0x16 } },
	{ 0x1, 0, { 0x50654 } },
	{ 0x4, 0, { 0x1c000021 } },
	{ 0x4, 1, { 0x1c000022 } },
	{ 0x4, 2, { 0x1c000043 } },
	{ 0x4, 3, { 0x1c000063 } },
	{ 0x7, 0, { 0, 1 << 15 } },
	{ 0x10, 0, { 0, 0xa } },
	{ 0x10, 1, { 10, 0x600, 4, 15 } },
	{ 0x10, 2, { 15, 0, 0, 3 } },
	{ 0x10, 3, { 89, 0, 4, 7 } },
};

/* And one of AMD's. */
static const struct leaf amd[] = {
	{ 0x0, 0, { 0x10 } },
	{ 0x1, 0, { 0xa20f10 } },
	{ 0x7, 0, { 0, 1 << 15 } },
	{ 0x10, 0, { 0, 0x2 } },
	{ 0x10, 1, { 15, 0, 4, 15 } },
	{ 0x80000000, 0, { 0x80000028 } },
	{ 0x80000008, 0, { 0, 1 << 6 } },
	{ 0x80000020, 0, { 0, 0x2 } },
	{ 0x80000020, 1, { 11, 0, 0, 15 } },
};

static void on(const struct leaf *processor, size_t size)
{
	memset(leaves, 0, sizeof leaves);
	memcpy(leaves, processor, size);
	caches_end = true;
}

static struct leaf *leaf_of(uint32_t leaf, uint32_t subleaf)
{
	for (size_t i = 0; i < ARRAY_COUNT(leaves); i++)
		if (leaves[i].leaf == leaf && leaves[i].subleaf == subleaf)
			return &leaves[i];
	fail();
	return NULL;
}

static void find(void)
{
	memset(&means, 0xff, sizeof means);
	cache_allocation_find(&means, read_leaf);
}

static void expect_nothing(void)
{
	const struct cache_means nothing = { .level = 0 };

	find();
	assert_int_equal(means.level, 0);
	assert_int_equal(means.bandwidth, BANDWIDTH_NONE);
	assert_memory_equal(&means, &nothing, sizeof means);
}

static void intels_are_found(void **state)
{
	(void)state;
	on(intel, sizeof intel);
	find();
	assert_int_equal(means.level, 3);
	assert_int_equal(means.ways, 11);
	assert_int_equal(means.least, 1);
	assert_int_equal(means.others, 0x600);
	assert_int_equal(means.classes, 16);
	assert_true(means.splits);
	assert_int_equal(means.bandwidth, BANDWIDTH_PERCENT);
	assert_int_equal(means.bandwidth_step, 10);
	assert_int_equal(means.bandwidth_classes, 8);
}

static void amds_are_found(void **state)
{
	(void)state;
	on(amd, sizeof amd);
	find();
	assert_int_equal(means.level, 3);
	assert_int_equal(means.ways, 16);
	assert_int_equal(means.others, 0);
	assert_int_equal(means.classes, 16);
	assert_true(means.splits);
	assert_int_equal(means.bandwidth, BANDWIDTH_RATE);
	assert_int_equal(means.bandwidth_step, 125);
	assert_int_equal(means.bandwidth_most, 255875);
	assert_int_equal(means.bandwidth_classes, 16);
}

static void what_is_not_told_is_not_there(void **state)
{
	(void)state;
	on(intel, 0);
	expect_nothing();
	on(intel, sizeof intel);
	leaf_of(0, 0)->registers[0] = 0xf; /* leaf 0x10 says anything */
	expect_nothing();
	on(intel, sizeof intel);
	leaf_of(7, 0)->registers[1] = ~(1u << 15);
	expect_nothing();
	on(intel, sizeof intel);
	leaf_of(0x10, 0)->registers[1] = 0;
	expect_nothing();
	on(intel, sizeof intel);
	leaf_of(0x10, 0)->registers[1] = 0x8;
	find();
	assert_int_equal(means.level, 0);
	assert_int_equal(means.bandwidth, BANDWIDTH_PERCENT);
}

static void amds_bandwidth_is_told_three_times(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++) {
		on(amd, sizeof amd);
		if (i == 0)
			leaf_of(0x80000000, 0)->registers[0] = 0x8000001f;
		if (i == 1)
			leaf_of(0x80000008, 0)->registers[1] = 0;
		if (i == 2)
			leaf_of(0x80000020, 0)->registers[1] = 0x4;
		if (i == 3)
			leaf_of(0x80000020, 1)->registers[0] = 0;
		if (i == 4)
			leaf_of(0x80000020, 1)->registers[0] = 25;
		find();
		assert_int_equal(means.level, 3);
		assert_int_equal(means.bandwidth, BANDWIDTH_NONE);
	}
	/* Without extended leaves the answer is any. */
	on(amd, sizeof amd);
	leaf_of(0x80000000, 0)->registers[0] = 0xffffffff;
	find();
	assert_int_equal(means.bandwidth, BANDWIDTH_NONE);
	on(amd, sizeof amd);
	leaf_of(0x80000020, 1)->registers[0] = 24; /* and no overflow */
	find();
	assert_int_equal(means.bandwidth_most, 2097151875);
}

static void level_2_counts_where_it_is_the_last(void **state)
{
	(void)state;
	on(intel, sizeof intel);
	leaf_of(0x10, 0)->registers[1] = 0x4;
	expect_nothing(); /* a level 3 is behind it */
	leaf_of(4, 3)->registers[0] = 0;
	find();
	assert_int_equal(means.level, 2);
	assert_int_equal(means.ways, 16);
	assert_int_equal(means.classes, 4);
	assert_false(means.splits);
	/* Caches that never end are not looked at for ever. */
	caches_end = false;
	find();
	assert_int_equal(means.level, 2);
}

static void delays_that_are_no_percents_are_told_apart(void **state)
{
	(void)state;
	on(intel, sizeof intel);
	leaf_of(0x10, 3)->registers[2] = 0;
	find();
	assert_int_equal(means.bandwidth, BANDWIDTH_UNEVEN);
	leaf_of(0x10, 3)->registers[2] = 4;
	leaf_of(0x10, 3)->registers[0] = 99; /* up to nothing left */
	find();
	assert_int_equal(means.bandwidth, BANDWIDTH_UNEVEN);
	leaf_of(0x10, 3)->registers[0] = 98;
	find();
	assert_int_equal(means.bandwidth, BANDWIDTH_PERCENT);
	assert_int_equal(means.bandwidth_step, 1);
}

static void some_must_have_two_ways(void **state)
{
	(void)state;
	on(intel, sizeof intel);
	leaf_of(1, 0)->registers[0] = 0x306f2;
	find();
	assert_int_equal(means.least, 2);
	leaf_of(1, 0)->registers[0] = 0x406f1;
	find();
	assert_int_equal(means.least, 1);
}

static void words_beyond_the_fields_are_cut_off(void **state)
{
	(void)state;
	on(intel, sizeof intel);
	memset(leaf_of(0x10, 1)->registers, 0xff, 16);
	find();
	assert_int_equal(means.ways, 32);
	assert_int_equal(means.others, UINT32_MAX);
	assert_int_equal(means.classes, 65536);
	leaf_of(0x10, 1)->registers[0] = 3;
	find();
	assert_int_equal(means.others, 0xf);
}

/* ---- registers ---------------------------------------------------------- */

static struct cache_plan plan;
static struct msr_value values[CACHE_ALLOCATION_VALUES];
static size_t count;

static void plan_for(const struct leaf *processor, size_t size, bool split)
{
	on(processor, size);
	memset(&plan, 0, sizeof plan);
	cache_allocation_find(&plan.means, read_leaf);
	cache_plan_split(&plan, split);
}

static void take(uint32_t ways, uint32_t code, uint32_t percent, uint32_t rate)
{
	const struct mull_vm vm = { .cache_ways = (uint16_t)ways,
				    .cache_code_ways = (uint16_t)code,
				    .bandwidth_percent = percent,
				    .bandwidth_rate = rate };
	uint32_t class;

	assert_int_equal(cache_plan_take(&plan, &vm, &class), CACHE_FITS);
	count = cache_allocation_values(&plan, values);
	assert_true(count <= ARRAY_COUNT(values));
}

/* That it is written once, and what. */
static void expect(uint32_t msr, uint64_t value)
{
	uint32_t times = 0;

	for (size_t i = 0; i < count; i++) {
		if (values[i].msr != msr)
			continue;
		assert_int_equal(values[i].value, value);
		times++;
	}
	assert_int_equal(times, 1);
}

static void each_class_has_a_mask_and_a_delay(void **state)
{
	(void)state;
	plan_for(intel, sizeof intel, false);
	take(4, 0, 0, 0);
	take(2, 0, 30, 0);
	assert_int_equal(count, 6);
	assert_int_equal(cache_allocation_split_msr(&plan.means), 0xc81);
	expect(0xc90, 0x7c0);
	expect(0xc91, 0x00f);
	expect(0xc92, 0x030);
	expect(0xd50, 0);
	expect(0xd51, 0);
	expect(0xd52, 70);
}

static void code_has_a_mask_of_its_own(void **state)
{
	(void)state;
	plan_for(intel, sizeof intel, true);
	take(4, 1, 0, 0);
	take(2, 0, 0, 0);
	assert_int_equal(count, 9);
	expect(0xc90, 0x7c0);
	expect(0xc91, 0x7c0);
	expect(0xc92, 0x007);
	expect(0xc93, 0x008);
	expect(0xc94, 0x030);
	expect(0xc95, 0x030);
}

static void amds_limits_are_eighths_or_none(void **state)
{
	(void)state;
	plan_for(amd, sizeof amd, false);
	take(4, 0, 0, 8000);
	take(0, 0, 0, 255875);
	assert_int_equal(count, 6);
	expect(0xc90, 0xfff0);
	expect(0xc91, 0x000f);
	expect(0xc92, 0xfff0);
	expect(0xc0000200, 0x800);
	expect(0xc0000201, 64);
	expect(0xc0000202, 0x7ff);
}

static void level_2_has_registers_of_its_own(void **state)
{
	(void)state;
	plan_for(intel, sizeof intel, false);
	leaf_of(0x10, 0)->registers[1] = 0x4;
	leaf_of(0x10, 2)->registers[2] = 4;
	leaf_of(4, 3)->registers[0] = 0;
	cache_allocation_find(&plan.means, read_leaf);
	take(3, 0, 0, 0);
	assert_int_equal(count, 2);
	expect(0xd10, 0xfff8);
	expect(0xd11, 0x0007);
	assert_int_equal(cache_allocation_split_msr(&plan.means), 0xc82);
	plan.means.splits = false;
	assert_int_equal(cache_allocation_split_msr(&plan.means), 0);
}

static void what_is_not_there_is_not_written(void **state)
{
	(void)state;
	plan_for(intel, sizeof intel, false);
	plan.means.level = 0;
	take(0, 0, 50, 0);
	assert_int_equal(count, 2);
	expect(0xd51, 50);
	assert_int_equal(cache_allocation_split_msr(&plan.means), 0);
	plan_for(intel, sizeof intel, false);
	plan.means.bandwidth = BANDWIDTH_UNEVEN;
	take(2, 0, 0, 0);
	assert_int_equal(count, 2);
	expect(0xc91, 3);
	/* A class that was given back is not written any more. */
	take(1, 0, 0, 0);
	cache_plan_give(&plan, 1);
	count = cache_allocation_values(&plan, values);
	assert_int_equal(count, 2);
	expect(0xc90, 0x7f8);
	expect(0xc92, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(intels_are_found),
		cmocka_unit_test(amds_are_found),
		cmocka_unit_test(what_is_not_told_is_not_there),
		cmocka_unit_test(amds_bandwidth_is_told_three_times),
		cmocka_unit_test(level_2_counts_where_it_is_the_last),
		cmocka_unit_test(delays_that_are_no_percents_are_told_apart),
		cmocka_unit_test(some_must_have_two_ways),
		cmocka_unit_test(words_beyond_the_fields_are_cut_off),
		cmocka_unit_test(each_class_has_a_mask_and_a_delay),
		cmocka_unit_test(code_has_a_mask_of_its_own),
		cmocka_unit_test(amds_limits_are_eighths_or_none),
		cmocka_unit_test(level_2_has_registers_of_its_own),
		cmocka_unit_test(what_is_not_there_is_not_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
