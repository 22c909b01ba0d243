/* SPDX-License-Identifier: MIT */
/* Who has which ways of the cache, and what the checker says of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <mullion/bits.h>
#include <mullion/cache.h>
#include <mullion/description.h>
#include <stdio.h>
#include <string.h>

static struct cache_plan plan;

/* As a server has it: 11 ways, of which devices use the two uppermost. */
static int fresh(void **state)
{
	(void)state;
	memset(&plan, 0, sizeof plan);
	plan.means = (struct cache_means){ .level = 3,
					   .ways = 11,
					   .least = 1,
					   .others = 0x600,
					   .classes = 16,
					   .splits = true,
					   .bandwidth = BANDWIDTH_PERCENT,
					   .bandwidth_classes = 8,
					   .bandwidth_step = 10 };
	return 0;
}

static enum cache_lack take(uint32_t ways, uint32_t code, uint32_t *class)
{
	struct mull_vm vm = { .cache_ways = (uint16_t)ways,
			      .cache_code_ways = (uint16_t)code };

	return cache_plan_take(&plan, &vm, class);
}

/* That it is had, and as which masks. */
static uint32_t had(uint32_t ways, uint32_t code, uint32_t data_mask,
		    uint32_t code_mask)
{
	uint32_t class;

	assert_int_equal(take(ways, code, &class), CACHE_FITS);
	assert_true(class > 0 && class < cache_plan_classes(&plan));
	assert_int_equal(plan.classes[class].data, data_mask);
	assert_int_equal(plan.classes[class].code, code_mask);
	return class;
}

static void refused(uint32_t ways, uint32_t code, enum cache_lack lack)
{
	const struct cache_plan before = plan;
	uint32_t class = 5;

	assert_int_equal(take(ways, code, &class), lack);
	assert_int_equal(class, 0);
	assert_memory_equal(&before, &plan, sizeof plan);
}

static void ways_are_given_from_the_lowest_on(void **state)
{
	(void)state;
	assert_int_equal(cache_plan_rest(&plan), 0x7ff);
	assert_int_equal(had(4, 0, 0xf, 0xf), 1);
	assert_int_equal(cache_plan_rest(&plan), 0x7f0);
	assert_int_equal(had(1, 0, 0x10, 0x10), 2);
	assert_int_equal(cache_plan_rest(&plan), 0x7e0);
	assert_int_equal(cache_plan_left(&plan), 4);
}

static void what_devices_use_is_nobodys_alone(void **state)
{
	(void)state;
	refused(10, 0, CACHE_FULL);
	had(9, 0, 0x1ff, 0x1ff);
	assert_int_equal(cache_plan_rest(&plan), 0x600);
	assert_int_equal(cache_plan_left(&plan), 0);
	refused(1, 0, CACHE_FULL);
}

static void class_0_keeps_what_it_must_have(void **state)
{
	(void)state;
	plan.means.others = 0;
	refused(11, 0, CACHE_FULL);
	plan.means.least = 2;
	assert_int_equal(cache_plan_left(&plan), 9);
	refused(10, 0, CACHE_FULL);
	refused(1, 0, CACHE_TOO_NARROW);
	had(9, 0, 0x1ff, 0x1ff);
	assert_int_equal(cache_plan_rest(&plan), 0x600);
}

static void a_mask_of_32_ways_is_one(void **state)
{
	(void)state;
	plan.means.ways = 32;
	plan.means.others = 0;
	assert_int_equal(cache_plan_rest(&plan), UINT32_MAX);
	refused(32, 0, CACHE_FULL);
	refused(UINT16_MAX, 0, CACHE_FULL);
	had(31, 0, 0x7fffffff, 0x7fffffff);
	assert_int_equal(cache_plan_rest(&plan), 0x80000000);
}

static void what_devices_use_in_the_middle_is_passed_over(void **state)
{
	(void)state;
	plan.means.others = 0x004;
	had(3, 0, 0x038, 0x038);
	had(2, 0, 0x003, 0x003);
	/* 0x004 is free, but 0x7c0 is more. */
	assert_int_equal(cache_plan_rest(&plan), 0x7c0);
}

static void the_uppermost_ways_are_given_as_well(void **state)
{
	uint32_t class;

	(void)state;
	plan.means.others = 0x003;
	had(9, 0, 0x7fc, 0x7fc);
	assert_int_equal(cache_plan_rest(&plan), 0x003);
	fresh(state);
	plan.means.others = 0;
	class = had(5, 0, 0x01f, 0x01f);
	had(1, 0, 0x020, 0x020);
	cache_plan_give(&plan, class);
	assert_int_equal(cache_plan_rest(&plan), 0x01f); /* as many as above */
}

static void vms_come_and_go(void **state)
{
	uint32_t first = had(3, 0, 0x007, 0x007);
	uint32_t second = had(2, 0, 0x018, 0x018);
	uint32_t third = had(2, 0, 0x060, 0x060);

	(void)state;
	cache_plan_give(&plan, first);
	/* The others stay where they are. */
	assert_int_equal(plan.classes[second].data, 0x018);
	assert_int_equal(cache_plan_rest(&plan), 0x780);
	assert_int_equal(cache_plan_left(&plan), 3);
	/* Five are free, but not side by side, and two are devices' as well. */
	refused(4, 0, CACHE_FULL);
	assert_int_equal(had(2, 0, 0x003, 0x003), first);
	assert_int_equal(had(1, 0, 0x004, 0x004), 4);
	cache_plan_give(&plan, second);
	cache_plan_give(&plan, third);
	had(6, 0, 0x1f8, 0x1f8);
	cache_plan_give(&plan, 0); /* nobody's */
}

static void code_has_the_upper_ones(void **state)
{
	(void)state;
	cache_plan_split(&plan, true);
	had(4, 1, 0x007, 0x008);
	had(2, 0, 0x030, 0x030);
	had(3, 2, 0x040, 0x180);
	assert_int_equal(cache_plan_rest(&plan), 0x600);
}

static void either_half_is_wide_enough(void **state)
{
	(void)state;
	plan.means.least = 2;
	cache_plan_split(&plan, true);
	refused(4, 1, CACHE_TOO_NARROW);
	refused(4, 3, CACHE_TOO_NARROW);
	had(4, 2, 0x003, 0x00c);
}

static void code_apart_halves_the_classes(void **state)
{
	(void)state;
	plan.means.bandwidth = BANDWIDTH_NONE;
	assert_int_equal(cache_plan_classes(&plan), 16);
	cache_plan_split(&plan, true);
	assert_int_equal(cache_plan_classes(&plan), 8);
	plan.means.classes = 5; /* and the odd one is of no use */
	assert_int_equal(cache_plan_classes(&plan), 2);
	had(2, 1, 0x001, 0x002);
	refused(2, 1, CACHE_NO_CLASS);
	cache_plan_give(&plan, 1);
	cache_plan_split(&plan, false);
	assert_int_equal(cache_plan_classes(&plan), 5);
}

static void it_is_decided_before_the_first_class(void **state)
{
	uint32_t class = had(2, 0, 0x003, 0x003);

	(void)state;
	cache_plan_split(&plan, true);
	assert_false(plan.split);
	refused(2, 1, CACHE_SPLIT_LATE);
	cache_plan_give(&plan, class);
	cache_plan_split(&plan, true);
	had(2, 1, 0x001, 0x002);
	cache_plan_split(&plan, false);
	assert_true(plan.split);
}

static void a_processor_without_has_no_code_apart(void **state)
{
	(void)state;
	plan.means.splits = false;
	cache_plan_split(&plan, true);
	assert_false(plan.split);
	refused(2, 1, CACHE_NO_SPLIT);
	plan.means.level = 0;
	refused(2, 1, CACHE_NO_WAYS);
	refused(2, 0, CACHE_NO_WAYS);
}

static void classes_come_to_an_end(void **state)
{
	(void)state;
	plan.means.classes = 4;
	for (uint32_t i = 1; i < 4; i++)
		assert_int_equal(had(1, 0, 1u << (i - 1), 1u << (i - 1)), i);
	refused(1, 0, CACHE_NO_CLASS);
	cache_plan_give(&plan, 2);
	assert_int_equal(had(1, 0, 2, 2), 2);
	/* The bandwidth's are the same ones. */
	cache_plan_give(&plan, 3);
	plan.means.bandwidth_classes = 3;
	refused(1, 0, CACHE_NO_CLASS);
	/* As many as VMs are enough. */
	plan.means.classes = plan.means.bandwidth_classes = 128;
	assert_int_equal(cache_plan_classes(&plan), CACHE_CLASSES);
}

static enum cache_lack limit(uint32_t percent, uint32_t rate, uint32_t *set)
{
	struct mull_vm vm = { .bandwidth_percent = percent,
			      .bandwidth_rate = rate };
	enum cache_lack lack;
	uint32_t class;

	lack = cache_plan_take(&plan, &vm, &class);
	*set = class ? plan.classes[class].bandwidth : 0;
	cache_plan_give(&plan, class);
	return lack;
}

static void bandwidth_is_rounded_down_to_what_can_be_set(void **state)
{
	static const uint32_t percents[][2] = { { 100, 100 }, { 99, 90 },
						{ 50, 50 },   { 59, 50 },
						{ 10, 10 },   { 19, 10 } };
	uint32_t set;

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(percents); i++) {
		assert_int_equal(limit(percents[i][0], 0, &set), CACHE_FITS);
		assert_int_equal(set, percents[i][1]);
	}
	assert_int_equal(limit(9, 0, &set), CACHE_BELOW_LIMIT);
	assert_int_equal(limit(0, 8000, &set), CACHE_NO_RATE);
	plan.means.bandwidth = BANDWIDTH_UNEVEN;
	assert_int_equal(limit(50, 0, &set), CACHE_NO_EVEN);
	plan.means.bandwidth = BANDWIDTH_NONE;
	assert_int_equal(limit(50, 0, &set), CACHE_NO_LIMITS);
	assert_int_equal(limit(0, 8000, &set), CACHE_NO_LIMITS);
}

static void rates_are_eighths_of_a_gigabyte(void **state)
{
	static const uint32_t rates[][2] = {
		{ 125, 125 },	       { 249, 125 },	   { 8000, 8000 },
		{ 8124, 8000 },	       { 255875, 255875 }, { 300000, 255875 },
		{ UINT32_MAX, 255875 }
	};
	uint32_t set;

	(void)state;
	plan.means.bandwidth = BANDWIDTH_RATE;
	plan.means.bandwidth_step = 125;
	plan.means.bandwidth_most = 2047 * 125;
	for (size_t i = 0; i < ARRAY_COUNT(rates); i++) {
		assert_int_equal(limit(0, rates[i][0], &set), CACHE_FITS);
		assert_int_equal(set, rates[i][1]);
	}
	assert_int_equal(limit(0, 124, &set), CACHE_BELOW_LIMIT);
	assert_int_equal(limit(50, 0, &set), CACHE_NO_PERCENT);
}

static void a_limit_alone_leaves_a_vm_among_the_others(void **state)
{
	struct mull_vm vm = { .bandwidth_percent = 30 };
	uint32_t class;

	(void)state;
	assert_int_equal(cache_plan_take(&plan, &vm, &class), CACHE_FITS);
	assert_int_equal(class, 1);
	assert_int_equal(plan.classes[1].data, 0);
	assert_int_equal(cache_plan_rest(&plan), 0x7ff);
	/* Who wants nothing has no class. */
	vm.bandwidth_percent = 0;
	assert_int_equal(cache_plan_take(&plan, &vm, &class), CACHE_FITS);
	assert_int_equal(class, 0);
	assert_false(plan.classes[2].used);
}

/* ---- the checker -------------------------------------------------------- */

static struct mull_vm vms[4];
static struct mull_limits limits;
static bool bad[4];
static char story[2048];

static void on_complaint(void *context, int vm, enum mull_field field,
			 const char *words)
{
	size_t length = strlen(story);

	(void)context;
	assert_int_equal(field, MULL_FIELD_CACHE);
	assert_true(strlen(words) + 1 < MULL_COMPLAINT_MAX);
	snprintf(story + length, sizeof story - length, "%d: %s\n", vm, words);
}

static int fresh_vms(void **state)
{
	static const char *const names[] = { "a", "b", "c", "d" };

	for (int i = 0; i < 4; i++) {
		vms[i] = (struct mull_vm){ .memory_size = MIB(2),
					   .vcpu_count = 1,
					   .initrd = MULL_NO_IMAGE,
					   .on_poweroff = MULL_END_STOP,
					   .on_reset = MULL_END_STOP,
					   .on_crash = MULL_END_STOP,
					   .console_size = KIB(4),
					   .cpus = { (uint16_t)i } };
		strcpy(vms[i].name, names[i]);
	}
	memset(bad, 0, sizeof bad);
	limits = (struct mull_limits){ .cache = &plan };
	return fresh(state);
}

static void expect(const char *words)
{
	const uint32_t kinds[] = { MULL_IMAGE_ELF64 };
	const struct mull_machine machine = { .serial_port = 0x3f8 };

	story[0] = 0;
	mull_check_vms(&machine, vms, 4, kinds, 1, &limits, bad, on_complaint,
		       NULL);
	assert_string_equal(story, words);
	memset(bad, 0, sizeof bad);
}

static void words_that_make_no_sense_are_refused_anywhere(void **state)
{
	(void)state;
	limits.cache = NULL;
	vms[0].cache_ways = 4;
	vms[0].cache_code_ways = 4;
	vms[1].cache_code_ways = 1;
	vms[2].bandwidth_percent = 101;
	vms[3].bandwidth_percent = 50;
	vms[3].bandwidth_rate = 1000;
	expect("0: code-ways of its cache must be fewer than its ways, so that "
	       "some are left for data\n"
	       "1: code-ways of its cache must be fewer than its ways, so that "
	       "some are left for data\n"
	       "2: a memory bandwidth of more than 100% cannot be\n"
	       "3: has two limits of its memory bandwidth\n");
	limits.cache = &plan;
	limits.bad_ones_count = true; /* nothing more is said of those */
	vms[0].cache_ways = vms[0].cache_code_ways = UINT16_MAX;
	vms[1].cache_code_ways = 0;
	vms[2].bandwidth_percent = 0;
	vms[3].bandwidth_percent = 0;
	vms[3].bandwidth_rate = 0;
	expect("0: code-ways of its cache must be fewer than its ways, so that "
	       "some are left for data\n");
}

static void any_machine_has_fewer_than_33_ways(void **state)
{
	(void)state;
	limits.cache = NULL;
	vms[0].cache_ways = 20;
	vms[1].cache_ways = 11;
	vms[2].bandwidth_rate = 4000;
	vms[3].bandwidth_percent = 1;
	expect("");
	vms[1].cache_ways = 12;
	vms[1].cache_code_ways = 3;
	expect("1: needs 12 ways of the cache side by side, but of its 32 only "
	       "11 are left for it\n");
}

static void a_processor_that_lacks_it_refuses_in_words(void **state)
{
	(void)state;
	memset(&plan, 0, sizeof plan);
	vms[0].cache_ways = 2;
	vms[1].bandwidth_percent = 50;
	vms[2].bandwidth_rate = 4000;
	expect("0: needs ways of the cache, but this processor has no Cache "
	       "Allocation Technology: leave \"ways\" out of its cache\n"
	       "1: needs a limit of its memory bandwidth, but this processor "
	       "has none to set: leave \"bandwidth\" out of its cache\n"
	       "2: needs a limit of its memory bandwidth, but this processor "
	       "has none to set: leave \"bandwidth\" out of its cache\n");
}

static void what_kind_of_limit_it_knows_is_said(void **state)
{
	(void)state;
	vms[0].bandwidth_percent = 5;
	vms[1].bandwidth_rate = 4000;
	expect("0: needs a memory bandwidth below 10 percent, the least that "
	       "this processor limits it to\n"
	       "1: needs a memory bandwidth as a rate, but this processor "
	       "knows "
	       "percents: say one, such as 50%\n");
	plan.means.bandwidth = BANDWIDTH_RATE;
	plan.means.bandwidth_step = 125;
	plan.means.bandwidth_most = 125000;
	vms[1].bandwidth_rate = 100;
	expect("0: needs a memory bandwidth in percent, but this processor "
	       "knows rates: say one, such as 8GB/s\n"
	       "1: needs a memory bandwidth below 125 MB/s, the least that "
	       "this "
	       "processor limits it to\n");
	plan.means.bandwidth = BANDWIDTH_UNEVEN;
	vms[1].bandwidth_rate = 0;
	expect("0: needs a limit of its memory bandwidth, but this processor's "
	       "delays stand for no percent: leave out \"bandwidth\"\n");
}

static void what_is_left_is_said(void **state)
{
	(void)state;
	plan.means.least = 2;
	vms[0].cache_ways = 5;
	vms[1].cache_ways = 6;
	vms[2].cache_ways = 4;
	vms[3].cache_ways = 1;
	expect("1: needs 6 ways of the cache side by side, but of its 11 only "
	       "4 are left for it\n"
	       "3: needs at least 2 ways of the cache each for what it divides "
	       "them into\n");
	/* The machine's own plan is not touched. */
	assert_int_equal(cache_plan_left(&plan), 9);
}

static void classes_that_are_in_use_are_counted(void **state)
{
	(void)state;
	plan.means.classes = 3;
	for (int i = 0; i < 4; i++)
		vms[i].cache_ways = 1;
	expect("2: needs a part of the cache, but this processor has 2 classes "
	       "for such, and all are in use\n"
	       "3: needs a part of the cache, but this processor has 2 classes "
	       "for such, and all are in use\n");
	plan.means.splits = false;
	vms[0].cache_ways = 2;
	vms[0].cache_code_ways = 1;
	vms[3].cache_ways = 0;
	expect("0: needs ways for code alone, but this processor has no Code "
	       "and Data Prioritization: leave out \"code-ways\"\n");
}

/* A later VM's code counts for the classes of those before it. */
static void one_vm_with_code_apart_divides_all(void **state)
{
	(void)state;
	plan.means.classes = 6;
	vms[0].cache_ways = 1;
	vms[1].cache_ways = 1;
	vms[3].cache_ways = 2;
	expect("");
	vms[3].cache_code_ways = 1;
	expect("3: needs a part of the cache, but this processor has 2 classes "
	       "for such, and all are in use\n");
	/* One that is refused already does not. */
	bad[3] = true;
	vms[2].cache_ways = 1;
	expect("");
	vms[2].cache_ways = 0;
	/* At run time it comes too late. */
	bad[0] = bad[1] = bad[2] = true;
	had(1, 0, 1, 1);
	expect("3: needs ways for code alone, but other VMs have parts of the "
	       "cache without: have a VM of the package say \"code-ways\"\n");
}

static void one_that_is_refused_leaves_its_ways_to_others(void **state)
{
	(void)state;
	vms[0].cache_ways = 5;
	vms[0].cache_code_ways = 5; /* refused for that */
	vms[1].cache_ways = 8;
	vms[2].cache_ways = 2;
	expect("0: code-ways of its cache must be fewer than its ways, so that "
	       "some are left for data\n"
	       "2: needs 2 ways of the cache side by side, but of its 11 only "
	       "1 "
	       "are left for it\n");
	/* And one that is refused for something else. */
	bad[1] = true;
	vms[0].cache_code_ways = 0;
	vms[2].cache_ways = 4;
	expect("");
}

static int complaints_of_memory;

static void on_memory(void *context, int vm, enum mull_field field,
		      const char *words)
{
	(void)context;
	(void)words;
	assert_int_equal(field, MULL_FIELD_MEMORY);
	assert_int_equal(vm, 0);
	complaints_of_memory++;
}

static void one_without_memory_leaves_its_ways_to_others(void **state)
{
	const uint32_t kinds[] = { MULL_IMAGE_ELF64 };
	const struct mull_machine machine = { .serial_port = 0x3f8 };

	(void)state;
	limits.memory_free = MIB(8);
	vms[0].memory_size = MIB(10);
	vms[0].cache_ways = 9;
	vms[1].cache_ways = 9;
	assert_int_equal(mull_check_vms(&machine, vms, 4, kinds, 1, &limits,
					bad, on_memory, NULL),
			 1);
	assert_int_equal(complaints_of_memory, 1);
	assert_false(bad[1]);
}

#define PLAN(name) cmocka_unit_test_setup(name, fresh)
#define CHECK(name) cmocka_unit_test_setup(name, fresh_vms)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PLAN(ways_are_given_from_the_lowest_on),
		PLAN(what_devices_use_is_nobodys_alone),
		PLAN(class_0_keeps_what_it_must_have),
		PLAN(a_mask_of_32_ways_is_one),
		PLAN(what_devices_use_in_the_middle_is_passed_over),
		PLAN(the_uppermost_ways_are_given_as_well),
		PLAN(vms_come_and_go),
		PLAN(code_has_the_upper_ones),
		PLAN(either_half_is_wide_enough),
		PLAN(code_apart_halves_the_classes),
		PLAN(it_is_decided_before_the_first_class),
		PLAN(a_processor_without_has_no_code_apart),
		PLAN(classes_come_to_an_end),
		PLAN(bandwidth_is_rounded_down_to_what_can_be_set),
		PLAN(rates_are_eighths_of_a_gigabyte),
		PLAN(a_limit_alone_leaves_a_vm_among_the_others),
		CHECK(words_that_make_no_sense_are_refused_anywhere),
		CHECK(any_machine_has_fewer_than_33_ways),
		CHECK(a_processor_that_lacks_it_refuses_in_words),
		CHECK(what_kind_of_limit_it_knows_is_said),
		CHECK(what_is_left_is_said),
		CHECK(classes_that_are_in_use_are_counted),
		CHECK(one_vm_with_code_apart_divides_all),
		CHECK(one_that_is_refused_leaves_its_ways_to_others),
		CHECK(one_without_memory_leaves_its_ways_to_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
