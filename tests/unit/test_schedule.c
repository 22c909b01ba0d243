/* SPDX-License-Identifier: MIT */
/* Which slot is due when, on every CPU the same, and what a CPU notes of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "arch/fake/fake.h"
#include <mullion/bits.h>
#include <mullion/schedule.h>
#include <string.h>

#define MS 1000000ull /* ticks of a nanosecond */
#define BEGIN (1000 * MS)

static const struct mull_machine machine = {
	.schedules = {
		{ .name = "normal",
		  .slot_count = 3,
		  .slots_us = { 4000, 1000, 5000 } },
		{ .name = "other",
		  .slot_count = 1,
		  .slots_us = { 7000 } },
	},
};

static int start(void **state)
{
	(void)state;
	fake_time = BEGIN;
	schedule_start(&machine, fake_time);
	return 0;
}

static void expect_place(uint64_t ms, uint32_t schedule, uint32_t slot,
			 uint64_t begin, uint64_t end)
{
	struct slot_place place = schedule_place(BEGIN + ms * MS);

	assert_int_equal(place.schedule, schedule);
	assert_int_equal(place.slot, slot);
	assert_int_equal(place.begin, BEGIN + begin * MS);
	assert_int_equal(place.end, BEGIN + end * MS);
}

static void slots_follow_each_other(void **state)
{
	(void)state;
	expect_place(0, 0, 0, 0, 4);
	expect_place(3, 0, 0, 0, 4);
	expect_place(4, 0, 1, 4, 5);
	expect_place(5, 0, 2, 5, 10);
	expect_place(9, 0, 2, 5, 10);
	expect_place(10, 0, 0, 10, 14);
	expect_place(1234565, 0, 2, 1234565, 1234570);
	assert_int_equal(schedule_place(BEGIN + 24 * MS).number, 7);
	assert_int_equal(schedule_place(BEGIN + 4 * MS - 1).slot, 0);
	/* Another CPU's clock is a little behind. */
	assert_int_equal(schedule_place(BEGIN - 50).slot, 0);
	assert_int_equal(schedule_place(BEGIN - 50).begin, BEGIN);
}

static void a_vm_has_its_turn(void **state)
{
	uint32_t slots[MULL_SCHEDULE_MAX] = { 1 | 4, MULL_SLOT_BACKGROUND };
	struct slot_place place = { .schedule = 0, .slot = 0 };

	(void)state;
	assert_int_equal(schedule_turn(&place, slots), SLOT_OWN);
	place.slot = 1;
	assert_int_equal(schedule_turn(&place, slots), SLOT_NONE);
	place.slot = 2;
	assert_int_equal(schedule_turn(&place, slots), SLOT_OWN);
	place.schedule = 1;
	assert_int_equal(schedule_turn(&place, slots), SLOT_SLACK);
	place.schedule = 2;
	assert_int_equal(schedule_turn(&place, slots), SLOT_ABSENT);
	slots[0] |= MULL_SLOT_BACKGROUND;
	place = (struct slot_place){ .slot = 1 };
	assert_int_equal(schedule_turn(&place, slots), SLOT_SLACK);
}

static void a_switch_comes_at_a_frames_end(void **state)
{
	struct mull_schedule_status status;

	(void)state;
	fake_time = BEGIN + 12 * MS;
	assert_int_equal(schedule_switch(2), ERR_NOT_FOUND);
	assert_int_equal(schedule_switch(1), ERR_NONE);
	schedule_status(&status);
	assert_int_equal(status.count, 2);
	assert_int_equal(status.in_force, 0);
	assert_int_equal(status.next, 1);
	assert_int_equal(status.frames, 1);
	assert_string_equal(status.schedules[1].name, "other");
	expect_place(12, 0, 0, 10, 14);
	expect_place(19, 0, 2, 15, 20);
	expect_place(20, 1, 0, 20, 27);
	expect_place(27, 1, 0, 27, 34);
	/* Not before that one has been in force for a frame. */
	assert_int_equal(schedule_switch(0), ERR_WRONG_STATE);
	fake_time = BEGIN + 26 * MS;
	assert_int_equal(schedule_switch(0), ERR_WRONG_STATE);
	fake_time = BEGIN + 27 * MS;
	assert_int_equal(schedule_switch(0), ERR_NONE);
	expect_place(33, 1, 0, 27, 34);
	expect_place(34, 0, 0, 34, 38);
	expect_place(39, 0, 2, 39, 44);
	fake_time = BEGIN + 40 * MS;
	schedule_status(&status);
	assert_int_equal(status.in_force, 0);
	assert_int_equal(status.next, 0);
	assert_int_equal(status.frames, 0);
}

/* All CPUs must have seen it by then. */
static void a_switch_is_known_before(void **state)
{
	(void)state;
	fake_time = BEGIN + 10 * MS - 1000;
	assert_int_equal(schedule_switch(1), ERR_NONE);
	expect_place(10, 0, 0, 10, 14);
	expect_place(19, 0, 2, 15, 20);
	expect_place(20, 1, 0, 20, 27);
}

/* More of them than are kept. */
static void switches_may_come_often(void **state)
{
	uint64_t at = BEGIN;

	(void)state;
	for (uint32_t i = 0; i < 20; i++) {
		struct slot_place place;

		fake_time = at + 10 * MS; /* a frame of either is over */
		assert_int_equal(schedule_switch(1 - i % 2), ERR_NONE);
		for (at = fake_time; schedule_place(at).epoch == i;)
			at += MS / 2;
		place = schedule_place(at);
		assert_int_equal(place.schedule, 1 - i % 2);
		assert_int_equal(place.slot, 0);
		assert_int_equal(place.number, 0);
		at = place.begin;
	}
}

static void a_machine_may_have_none(void **state)
{
	static const struct mull_machine bare;
	struct mull_schedule_status status;

	(void)state;
	schedule_start(&bare, BEGIN);
	assert_int_equal(schedule_switch(0), ERR_NOT_FOUND);
	schedule_status(&status);
	assert_int_equal(status.count, 0);
}

/* ---- what a CPU notes ---------------------------------------------------- */

static void slots_are_counted(void **state)
{
	struct slot_clock clock = { .slots = 0 };
	struct mull_slot_stats stats = { .cpu = 3 };

	(void)state;
	slot_clock_move(&clock, BEGIN + 11 * MS);
	slot_clock_move(&clock, BEGIN + 14 * MS);
	assert_int_equal(clock.place.slot, 1);
	slot_clock_move(&clock, BEGIN + 15 * MS);
	slot_clock_stats(&clock, &stats);
	assert_int_equal(stats.slots, 3);
	assert_int_equal(stats.missed, 0);
	slot_clock_move(&clock, BEGIN + 25 * MS); /* two were over */
	slot_clock_stats(&clock, &stats);
	assert_int_equal(stats.slots, 4);
	assert_int_equal(stats.missed, 2);
	assert_int_equal(stats.cpu, 3);
	/* What lies before a switch is not counted on. */
	fake_time = BEGIN + 25 * MS;
	assert_int_equal(schedule_switch(1), ERR_NONE);
	slot_clock_move(&clock, BEGIN + 60 * MS);
	assert_int_equal(clock.place.schedule, 1);
	slot_clock_stats(&clock, &stats);
	assert_int_equal(stats.missed, 2);
}

static void lateness_is_of_those_that_were_ready(void **state)
{
	struct slot_clock clock = { .slots = 0 };
	struct mull_slot_stats stats;

	(void)state;
	slot_clock_move(&clock, BEGIN + 1000);
	slot_clock_enter(&clock, BEGIN + 3000, false, SLOT_OWN);
	slot_clock_enter(&clock, BEGIN + MS, false, SLOT_OWN);
	clock.left = BEGIN + 4 * MS + 500;
	slot_clock_move(&clock, BEGIN + 4 * MS + 600);
	slot_clock_enter(&clock, BEGIN + 4 * MS + 60000, true, SLOT_OWN);
	slot_clock_stats(&clock, &stats);
	assert_int_equal(stats.entries, 2);
	assert_int_equal(stats.late_ns, 63000);
	assert_int_equal(stats.late_worst_ns, 60000);
	assert_int_equal(stats.overruns, 1);
	assert_int_equal(stats.switches, 1);
	assert_int_equal(stats.switch_ns, 59500);
	assert_int_equal(stats.switch_worst_ns, 59500);
	/* This one came when the slot was half over, that one by what others
	 * left: neither says anything about the switch. */
	slot_clock_move(&clock, BEGIN + 5 * MS);
	slot_clock_idle(&clock);
	slot_clock_enter(&clock, BEGIN + 8 * MS, true, SLOT_OWN);
	slot_clock_move(&clock, BEGIN + 10 * MS);
	slot_clock_enter(&clock, BEGIN + 11 * MS, false, SLOT_SLACK);
	slot_clock_enter(&clock, BEGIN + 12 * MS, false, SLOT_OWN);
	slot_clock_stats(&clock, &stats);
	assert_int_equal(stats.entries, 2);
	assert_int_equal(stats.switches, 1);
	assert_int_equal(stats.overruns, 1);
}

#define TEST(name) cmocka_unit_test_setup(name, start)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(slots_follow_each_other),
		TEST(a_vm_has_its_turn),
		TEST(a_switch_comes_at_a_frames_end),
		TEST(a_switch_is_known_before),
		TEST(switches_may_come_often),
		TEST(a_machine_may_have_none),
		TEST(slots_are_counted),
		TEST(lateness_is_of_those_that_were_ready),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
