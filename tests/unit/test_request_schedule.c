/* SPDX-License-Identifier: MIT */
/* The machine's schedules, as the operator asks for them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/manage/request.h"
#include "tests/unit/fake_line.h"
#include <mullion/schedule.h>

static void on_wire(uint8_t byte)
{
	(void)byte;
}

static struct answer answer;

static enum error ask(uint32_t command, uint64_t argument)
{
	static uint32_t sequence;
	struct mull_request request = { command, 0, argument };

	request_obey(LINE_SERIAL, ++sequence, &request, sizeof request,
		     &answer);
	assert_false(answer.pending);
	return answer.reply.error;
}

static struct mull_machine machine;

static int fresh(void **unused)
{
	(void)unused;
	begin(MULL_SERIAL_CHANNEL, 2);
	serve(200);
	machine = (struct mull_machine){
		.schedules = { { .name = "normal",
				 .slot_count = 1,
				 .slots_us = { 5000 } },
			       { .name = "other",
				 .slot_count = 1,
				 .slots_us = { 3000 } } },
	};
	schedule_start(&machine, fake_time);
	return 0;
}

static void they_are_told(void **unused)
{
	const struct mull_schedule_status *told = (void *)answer.data;

	(void)unused;
	fake_time += 12000000;
	assert_int_equal(ask(MULL_COMMAND_SCHEDULE, 0), ERR_NONE);
	assert_int_equal(answer.length, sizeof *told);
	assert_int_equal(told->count, 2);
	assert_int_equal(told->in_force, 0);
	assert_int_equal(told->frames, 2);
	assert_string_equal(told->schedules[1].name, "other");
	machine = (struct mull_machine){ .cpu_count = 0 };
	assert_int_equal(ask(MULL_COMMAND_SCHEDULE, 0), ERR_NONE);
	assert_int_equal(told->count, 0);
}

static void one_is_switched_to(void **unused)
{
	const struct mull_schedule_status *told = (void *)answer.data;
	char words[80];

	(void)unused;
	assert_int_equal(ask(MULL_COMMAND_SCHEDULE_SWITCH, 1), ERR_NONE);
	assert_int_equal(ask(MULL_COMMAND_SCHEDULE_SWITCH, 0), ERR_WRONG_STATE);
	assert_true(answer.has_words);
	memcpy(words, answer.data, answer.length);
	words[answer.length] = 0;
	assert_string_equal(words, "a switch to schedule other is under way");
	ask(MULL_COMMAND_SCHEDULE, 0);
	assert_int_equal(told->next, 1);
	assert_int_equal(ask(MULL_COMMAND_SCHEDULE_SWITCH, 2), ERR_NOT_FOUND);
	memcpy(words, answer.data, answer.length);
	words[answer.length] = 0;
	assert_string_equal(words, "the machine has 2 schedules");
	assert_int_equal(ask(MULL_COMMAND_SCHEDULE_SWITCH, 4), ERR_BAD_REQUEST);
}

static void cpus_that_follow_are_told(void **unused)
{
	const struct mull_slot_stats *told = (void *)answer.data;
	const uint32_t room = MULL_REPLY_DATA_MAX / sizeof *told;

	(void)unused;
	fake_cpu_count = 2 * room + 10;
	assert_int_equal(ask(MULL_COMMAND_SLOT_STATS, 0), ERR_NONE);
	assert_int_equal(answer.length, room * sizeof *told);
	assert_int_equal(told[0].cpu, 1);
	assert_int_equal(told[1].cpu, 3);
	assert_int_equal(told[1].slots, 103);
	assert_int_equal(answer.reply.value, 2 * room + 1);
	assert_int_equal(ask(MULL_COMMAND_SLOT_STATS, 2 * room + 1), ERR_NONE);
	assert_int_equal(answer.length, 5 * sizeof *told);
	assert_int_equal(answer.reply.value, 0);
	fake_cpu_count = 1;
	assert_int_equal(ask(MULL_COMMAND_SLOT_STATS, 0), ERR_NONE);
	assert_int_equal(answer.length, 0);
}

#define TEST(name) cmocka_unit_test_setup(name, fresh)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(they_are_told),
		TEST(one_is_switched_to),
		TEST(cpus_that_follow_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
