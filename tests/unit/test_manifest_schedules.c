/* SPDX-License-Identifier: MIT */
/* The machine's word "schedules", as the tool reads it and as all check it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <mullion/bits.h>
#include <mullion/guest.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "manifest.h"
#include "support_guest_files.h"
#include "texts.h"
#include "work_folder.h"

static struct manifest manifest;

static int make_files(void **state)
{
	(void)state;
	if (!enter_folder())
		return -1;
	write_elf_file("sdk", 64, "Mullion", MULL_NOTE_ABI);
	return 0;
}

static int forget(void **state)
{
	(void)state;
	manifest_free(&manifest);
	return 0;
}

/* Two VMs on one CPU, and one on another. */
static void read_schedules(const char *schedules)
{
	char *yaml = texts_format(
		"machine: {schedules: %s}\n"
		"vms:\n"
		"  a: {memory: 2MiB, cpus: [1], kernel: sdk}\n"
		"  b: {memory: 2MiB, cpus: [1], kernel: sdk}\n"
		"  c: {memory: 2MiB, cpus: [2], kernel: sdk}\n",
		schedules);

	manifest_free(&manifest);
	write_file("m.yaml", yaml, strlen(yaml));
	manifest_read(&manifest, "m.yaml");
	free(yaml);
}

/* That @words are said, in words, and nothing else. */
static void expect_mistake(const char *schedules, const char *words)
{
	char *shown;
	size_t size;
	FILE *stream = open_memstream(&shown, &size);

	read_schedules(schedules);
	mistakes_print(&manifest.mistakes, manifest.file, stream);
	fclose(stream);
	if (!strstr(shown, words) || manifest.mistakes.count != 1)
		print_error("%s: %s", schedules, shown);
	assert_non_null(strstr(shown, words));
	assert_int_equal(manifest.mistakes.count, 1);
	free(shown);
}

static void good_ones_are_understood(void **state)
{
	const struct mull_schedule *schedules = manifest.machine.schedules;

	(void)state;
	read_schedules("{normal: {slots: [{length: 4ms, vms: [a, c]}, "
		       "{length: 1500us, vms: b}, {length: 1s}], "
		       "background: [b]}, "
		       "other: {slots: [{vms: [b], length: 10s}], "
		       "background: a}}");
	assert_int_equal(manifest.mistakes.count, 0);
	assert_string_equal(schedules[0].name, "normal");
	assert_int_equal(schedules[0].slot_count, 3);
	assert_int_equal(schedules[0].slots_us[0], 4000);
	assert_int_equal(schedules[0].slots_us[1], 1500);
	assert_int_equal(schedules[0].slots_us[2], 1000000);
	assert_string_equal(schedules[1].name, "other");
	assert_int_equal(schedules[1].slot_count, 1);
	assert_int_equal(schedules[1].slots_us[0], 10000000);
	assert_string_equal(schedules[2].name, "");
	assert_int_equal(manifest.vms[0].slots[0], 1);
	assert_int_equal(manifest.vms[0].slots[1], MULL_SLOT_BACKGROUND);
	assert_int_equal(manifest.vms[1].slots[0], 2 | MULL_SLOT_BACKGROUND);
	assert_int_equal(manifest.vms[1].slots[1], 1);
	assert_int_equal(manifest.vms[2].slots[0], 1);
	assert_int_equal(manifest.vms[2].slots[1], 0);
}

#define SLOT_A "{length: 4ms, vms: [a]}"
#define SLOT_B "{length: 4ms, vms: [b]}"
#define SLOTS SLOT_A ", " SLOT_B

static void wrong_lengths_are_refused(void **state)
{
	static const char *const lengths[] = { "4",	  "4m",		"ms",
					       "11s",	  "-1ms",	"4.5ms",
					       "10001ms", "999999999us" };

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(lengths); i++) {
		char *text = texts_format(
			"{n: {slots: [{length: %s, vms: a}, " SLOT_B "]}}",
			lengths[i]);

		expect_mistake(text, "length is not a time up to 10 s, such "
				     "as 500us or 4ms");
		free(text);
	}
	expect_mistake("{n: {slots: [{length: 99us, vms: a}, " SLOT_B "]}}",
		       "schedule n: a slot has no length of at least 100us");
	expect_mistake("{n: {slots: [{vms: a}, " SLOT_B "]}}",
		       "schedule n: a slot has no length of at least 100us");
	expect_mistake("{n: {slots: [" SLOTS ", {length: 10s}]}}",
		       "schedule n has a frame of more than 10 s");
}

static void wrong_ones_are_refused(void **state)
{
	(void)state;
	expect_mistake("{n: {slots: [" SLOTS ", {length: 4ms, vms: [d]}]}}",
		       "schedule n names vm \"d\", which is not there");
	expect_mistake("{n: {slots: [" SLOTS "], background: d}}",
		       "schedule n names vm \"d\", which is not there");
	expect_mistake("{n: {slots: [" SLOTS "]}, "
		       "o: {slots: [{length: 1ms, vms: [a, b]}]}}",
		       "vm \"b\": uses CPU 1, and so does vm \"a\" in slot 0 "
		       "of schedule o");
	expect_mistake("{n: {slots: [" SLOT_A "]}}",
		       "vm \"b\": uses CPU 1, and so does vm \"a\" (only one "
		       "of them has a part in the machine's schedules)");
	expect_mistake("{N: {slots: [" SLOTS "]}}",
		       "the name of schedule 1 is not 1 to 15 of a-z");
	expect_mistake("{n: {slots: [" SLOTS "], frame: 1}}",
		       "unknown word \"frame\" in the schedule");
	expect_mistake("{n: {slots: [" SLOT_A
		       ", {length: 4ms, vms: [b], at: 1}]}}",
		       "unknown word \"at\" in the slot");
	expect_mistake("{a: {slots: [" SLOTS "]}, b: {slots: [" SLOT_A
		       "]}, c: {slots: [" SLOT_A "]}, d: {slots: [" SLOT_A
		       "]}, e: {slots: [" SLOT_A "]}}",
		       "there are more than 4 schedules");
}

static void too_many_slots_are_refused(void **state)
{
	char *text = texts_format("{n: {slots: [" SLOTS);

	(void)state;
	for (uint32_t i = 2; i < 17; i++) {
		char *more = texts_format("%s, {length: 1ms}", text);

		free(text);
		text = more;
	}
	{
		char *all = texts_format("%s]}}", text);

		expect_mistake(all, "schedule n: there are more than 16 slots");
		free(all);
	}
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_teardown(name, forget)
		TEST(good_ones_are_understood),
		TEST(wrong_lengths_are_refused),
		TEST(wrong_ones_are_refused),
		TEST(too_many_slots_are_refused),
	};

	return cmocka_run_group_tests(tests, make_files, remove_files);
}
