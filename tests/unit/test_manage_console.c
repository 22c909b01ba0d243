/* SPDX-License-Identifier: MIT */
/* What guests print, and what is typed for them, on the channel. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/unit/operator.h"

/* ---- consoles ------------------------------------------------------------ */

static void single_bytes_travel_together(void **unused)
{
	(void)unused;
	for (const char *at = "Hello\n"; *at; at++)
		print(0, (char[]){ *at, '\0' });
	serve(20);
	assert_string_equal(printed[0], "Hello\n");
	assert_int_equal(count_of(MULL_FRAME_CONSOLE), 1);
	assert_true(drains > 0);
	print(0, "> "); /* a prompt has no newline */
	serve(20);
	assert_string_equal(printed[0], "Hello\n> ");
}

static void a_flood_starves_nobody(void **unused)
{
	for (flooder = 2; flooder--;) {
		uint32_t other = !flooder, before;

		fresh(unused);
		each_millisecond = flood;
		serve(500);
		before = count_of(MULL_FRAME_CONSOLE);
		assert_true(before > 12); /* the line is full */
		print(other, "ready\n");
		log_write("a line");
		serve(100);
		assert_string_equal(printed[other], "ready\n");
		assert_non_null(strstr(logged, "a line\n"));
		assert_int_equal(ask(MULL_COMMAND_START, 1, 0), ERR_NONE);
		state(1, MULL_VM_RUNNING);
		serve(50);
		assert_int_equal(last_event(1)->event.state, MULL_VM_RUNNING);
	}
	flooder = 0;
}

/* The one that spoke last, behind all the others. */
static void who_has_gone_does_not_hold_up_the_rest(void **unused)
{
	(void)unused;
	print(1, "last words\n");
	serve(20);
	assert_string_equal(printed[1], "last words\n");
	console_remove(&guests[1]);
	print(0, "Hello\n");
	log_write("a line");
	serve(20);
	assert_string_equal(printed[0], "Hello\n");
	assert_non_null(strstr(logged, "a line\n"));
	guests[1].serial.output.head = 0; /* a new VM's ring */
	console_add(&guests[1]);
	print(1, "back\n");
	serve(20);
	assert_non_null(strstr(printed[1], "back\n"));
}

/* Or each round would cost the more, the more VMs there are. */
static void who_has_nothing_to_say_is_not_asked(void **unused)
{
	(void)unused;
	serve(20);
	assert_int_equal(source_count(LINE_SERIAL), 1); /* the log */
	assert_int_equal(source_behind(LINE_SERIAL, SOURCE_LOG), SOURCE_LOG);
	print(1, "a");
	assert_int_equal(source_count(LINE_SERIAL), 2);
	assert_int_equal(source_behind(LINE_SERIAL, SOURCE_LOG), 1);
	assert_int_equal(source_behind(LINE_SERIAL, 0), 1);
	assert_int_equal(source_behind(LINE_SERIAL, 1), SOURCE_LOG);
	assert_true(consoles_print(LINE_SERIAL));
	serve(20);
	assert_string_equal(printed[1], "a");
	assert_int_equal(source_count(LINE_SERIAL), 1);
	/* What nobody listens to is not waited for. */
	console_attach(LINE_SERIAL, 1, false);
	print(1, "b");
	serve(20);
	assert_int_equal(source_count(LINE_SERIAL), 1);
	console_attach(LINE_SERIAL, 1, true);
	print(1, "c");
	serve(20);
	assert_string_equal(printed[1], "ac");
}

static void without_vms_the_log_still_comes(void **unused)
{
	(void)unused;
	begin(MULL_SERIAL_CHANNEL, 2);
	console_remove(&guests[1]);
	console_remove(&guests[0]);
	serve(20);
	for (int i = 0; i < 3; i++) {
		char words[] = "line 0";

		words[5] += (char)i;
		log_write("%s", words);
		serve(20);
		assert_non_null(strstr(logged, words));
	}
}

/* ---- typed input --------------------------------------------------------- */

static void type(uint16_t vm, const void *bytes, size_t length)
{
	send(MULL_FRAME_INPUT, vm, bytes, length);
	serve(5);
}

static void typed_bytes_reach_the_guest_in_order(void **unused)
{
	char text[200];

	(void)unused;
	state(0, MULL_VM_RUNNING);
	for (size_t i = 0; i < sizeof text; i++)
		text[i] = (char)('a' + i % 26);
	given_at_most = 3; /* at a time: the rest is offered again */
	type(0, text, sizeof text);
	serve(100);
	assert_int_equal(given_count[0], sizeof text);
	assert_memory_equal(given[0], text, sizeof text);
	assert_int_equal(given_count[1], 0);
	assert_null(strstr(logged, "lost"));
}

static void bytes_that_come_while_it_sends_are_not_missed(void **unused)
{
	(void)unused;
	state(0, MULL_VM_RUNNING);
	serve(100);
	for (int i = 0; i < 20; i++)
		print(1, "a lot that keeps the line busy\n");
	serve(30);
	late_length = encode(MULL_FRAME_INPUT, 0, "x", 1, late);
	serve(300);
	assert_string_equal(given[0], "x");
}

static void what_a_guest_does_not_read_is_bounded(void **unused)
{
	char text[1000];

	(void)unused;
	memset(text, 'x', sizeof text);
	state(0, MULL_VM_RUNNING);
	given_at_most = 0;
	type(0, text, sizeof text);
	type(0, text, sizeof text);
	serve(100);
	assert_non_null(strstr(logged, "web: typed input is lost: the guest "
				       "does not read it\n"));
	assert_null(strstr(strstr(logged, "lost") + 4, "lost")); /* once */
	given_at_most = 64;
	serve(50);
	assert_int_equal(given_count[0], CONSOLE_INPUT_MAX);
}

static void input_waits_for_a_vm_that_starts(void **unused)
{
	(void)unused;
	state(0, MULL_VM_STARTING);
	type(0, "power", 5);
	serve(20);
	state(0, MULL_VM_PAUSED);
	type(0, "off\r", 4);
	serve(20);
	assert_int_equal(given_count[0], 0);
	state(0, MULL_VM_RUNNING);
	serve(20);
	assert_string_equal(given[0], "poweroff\r");
}

static void input_for_nobody_is_said_so(void **unused)
{
	(void)unused;
	type(0, "x", 1);
	serve(50);
	assert_non_null(strstr(logged, "web: typed input is lost: the VM does "
				       "not run\n"));
	type(5, "x", 1);
	serve(20);
	assert_int_equal(answer(), ERR_NOT_FOUND);

	state(0, MULL_VM_RUNNING);
	given_at_most = 0;
	type(0, "left over", 9);
	state(0, MULL_VM_STOPPED);
	serve(20);
	state(0, MULL_VM_RUNNING); /* the next one must not get it */
	given_at_most = 64;
	serve(20);
	assert_int_equal(given_count[0], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(single_bytes_travel_together),
		TEST(a_flood_starves_nobody),
		TEST(who_has_gone_does_not_hold_up_the_rest),
		TEST(who_has_nothing_to_say_is_not_asked),
		TEST(without_vms_the_log_still_comes),
		TEST(typed_bytes_reach_the_guest_in_order),
		TEST(bytes_that_come_while_it_sends_are_not_missed),
		TEST(what_a_guest_does_not_read_is_bounded),
		TEST(input_waits_for_a_vm_that_starts),
		TEST(input_for_nobody_is_said_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
