/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/unit/operator.h"

/* ---- greeting ------------------------------------------------------------ */

static struct vm refused = { .index = 7,
			     .description = { .name = "bad" },
			     .state = MULL_VM_REFUSED,
			     .ending = MULL_END_BAD_IMAGE,
			     .end_words = "has no kernel" };

static void the_log_comes_at_once_and_hello_when_all_stands(void **unused)
{
	(void)unused;
	forget_heard();
	begin(MULL_SERIAL_CHANNEL, 2);
	log_write("before the loop");
	assert_non_null(strstr(logged, "before the loop\n"));
	manage_add_vm(&refused);
	manage_event(&refused);
	assert_int_equal(count_of(MULL_FRAME_HELLO), 0);

	serve(50);
	assert_string_equal(last_event(7)->event.words, "has no kernel");
	assert_int_equal(last_event(7)->event.state, MULL_VM_REFUSED);
	assert_int_equal(count_of(MULL_FRAME_HELLO), 1);
	for (uint32_t i = 0; i < heard_count; i++) {
		if (heard[i].header.type != MULL_FRAME_HELLO)
			continue;
		assert_string_equal(heard[i].hello.version, MULL_VERSION);
		assert_int_equal(heard[i].hello.cpu_count, 1);
		assert_int_equal(heard[i].hello.vm_count, 2);
		assert_int_equal(heard[i].hello.memory_free, MIB(10));
	}
	assert_non_null(strstr(logged, "bad: refused: has no kernel\n"));
	console_remove(&refused);
}

static void nothing_to_do_means_no_polling(void **unused)
{
	(void)unused;
	serve(10);
	polls = 0;
	serve(100);
	assert_int_equal(polls, 0);
	assert_false(manage_needs_polling());
}

static void many_notices_are_one_kick(void **unused)
{
	(void)unused;
	log_write("one");
	log_write("two");
	assert_int_equal(fake_kicks[0], 1);
	serve(20);
	log_write("three");
	assert_int_equal(fake_kicks[0], 1);
}

/* ---- requests ------------------------------------------------------------ */

static void commands_reach_their_vm(void **unused)
{
	(void)unused;
	assert_int_equal(ask(MULL_COMMAND_START, 0, 0), ERR_NONE);
	assert_int_equal(last_command, MULL_COMMAND_START);
	state(0, MULL_VM_RUNNING);
	assert_int_equal(ask(MULL_COMMAND_PAUSE, 0, 0), ERR_NONE);
	assert_int_equal(last_command, MULL_COMMAND_PAUSE);
	assert_int_equal(ask(MULL_COMMAND_RESUME, 0, 0), ERR_WRONG_STATE);
	state(0, MULL_VM_PAUSED);
	assert_int_equal(ask(MULL_COMMAND_PAUSE, 0, 0), ERR_WRONG_STATE);
	assert_int_equal(ask(MULL_COMMAND_RESUME, 0, 0), ERR_NONE);
	assert_int_equal(last_command, MULL_COMMAND_RESUME);
	assert_int_equal(ask(MULL_COMMAND_RESET, 0, 0), ERR_NONE);
	assert_int_equal(last_command, MULL_COMMAND_RESET);
	assert_int_equal(ask(MULL_COMMAND_STOP, 0, 0), ERR_NONE);
	assert_int_equal(last_command, MULL_COMMAND_STOP);
	assert_int_equal(commands, 5);
	state(0, MULL_VM_RUNNING);
	assert_int_equal(ask(MULL_COMMAND_POWER_BUTTON, 0, 0), ERR_NONE);
	assert_int_equal(buttons, 1);
}

static void what_makes_no_sense_is_refused_with_a_number(void **unused)
{
	uint8_t long_request[24] = { MULL_COMMAND_START, 0, 0, 0, 1 };

	(void)unused;
	assert_int_equal(ask(MULL_COMMAND_STOP, 0, 0), ERR_WRONG_STATE);
	assert_int_equal(ask(MULL_COMMAND_RESET, 0, 0), ERR_WRONG_STATE);
	assert_int_equal(ask(MULL_COMMAND_POWER_BUTTON, 0, 0), ERR_WRONG_STATE);
	state(0, MULL_VM_RUNNING);
	assert_int_equal(ask(MULL_COMMAND_START, 0, 0), ERR_WRONG_STATE);
	state(0, MULL_VM_REFUSED);
	assert_int_equal(ask(MULL_COMMAND_START, 0, 0), ERR_WRONG_STATE);
	assert_int_equal(ask(MULL_COMMAND_START, 2, 0), ERR_NOT_FOUND);
	assert_int_equal(ask(MULL_COMMAND_START, UINT32_MAX, 0), ERR_NOT_FOUND);
	assert_int_equal(ask(MULL_COMMAND_START, 1, 1), ERR_BAD_REQUEST);
	assert_int_equal(ask(0, 1, 0), ERR_UNSUPPORTED);
	assert_int_equal(ask(UINT32_MAX, 1, 0), ERR_UNSUPPORTED);
	for (size_t length = 0; length <= sizeof long_request; length++) {
		if (length == sizeof(struct mull_request))
			continue;
		send(MULL_FRAME_REQUEST, 0, long_request, length);
		serve(50);
		assert_int_equal(answer(), ERR_BAD_REQUEST);
	}
	send(99, 0, "", 0);
	serve(50);
	assert_int_equal(answer(), ERR_BAD_REQUEST);
	assert_int_equal(commands + buttons, 0);
}

/* The client missed the reply and asks again, with the same number. */
static void what_comes_again_is_answered_and_not_done_again(void **unused)
{
	struct mull_request request = { MULL_COMMAND_START, 0, 0 };

	(void)unused;
	for (int i = 0; i < 3; i++) {
		sent_sequence = 76;
		send(MULL_FRAME_REQUEST, 0, &request, sizeof request);
		serve(50);
		assert_int_equal(answer(), ERR_NONE);
		forget_heard();
	}
	assert_int_equal(commands, 1);
	/* Another request by that number is another one. */
	request.vm = 1;
	sent_sequence = 76;
	send(MULL_FRAME_REQUEST, 0, &request, sizeof request);
	serve(50);
	assert_int_equal(answer(), ERR_NONE);
	assert_int_equal(commands, 2);
}

static void info_and_list_tell_what_there_is(void **unused)
{
	struct mull_request info = { MULL_COMMAND_INFO, 0, 0 };
	struct mull_request list = { MULL_COMMAND_LIST, 0, 0 };
	struct mull_vm_status status[2];
	struct mull_info told;

	(void)unused;
	state(1, MULL_VM_RUNNING);
	serve(100);
	forget_heard();
	send(MULL_FRAME_REQUEST, 0, &info, sizeof info);
	serve(200);
	assert_int_equal(answer(), ERR_NONE);
	assert_int_equal(heard[0].length,
			 sizeof(struct mull_reply) + sizeof told);
	memcpy(&told, heard[0].bytes + sizeof(struct mull_reply), sizeof told);
	assert_string_equal(told.version, MULL_VERSION);
	assert_int_equal(told.vm_count, 2);

	forget_heard();
	send(MULL_FRAME_REQUEST, 0, &list, sizeof list);
	serve(200);
	assert_int_equal(answer(), ERR_NONE);
	assert_int_equal(heard[0].length,
			 sizeof(struct mull_reply) + sizeof status);
	memcpy(status, heard[0].bytes + sizeof(struct mull_reply),
	       sizeof status);
	assert_int_equal(status[0].number, 0);
	assert_int_equal(status[1].number, 1);
	assert_int_equal(status[1].state, MULL_VM_RUNNING);
	assert_int_equal(heard[0].reply.value, 0);
}

static void an_echo_of_its_own_frames_is_not_answered(void **unused)
{
	(void)unused;
	for (uint8_t type = 0; type < MULL_FRAME_INPUT; type++)
		send(type, 0, "echo", 4);
	serve(200);
	assert_int_equal(heard_count, 0);
}

static void each_request_of_a_flood_is_answered(void **unused)
{
	struct mull_request request = { MULL_COMMAND_START, 0, 0 };

	(void)unused;
	for (int i = 0; i < 200; i++)
		send(MULL_FRAME_REQUEST, 0, &request, sizeof request);
	serve(1000);
	assert_int_equal(count_of(MULL_FRAME_REPLY), 200);
	assert_int_equal(commands, 200);
}

/* ---- a bad line ---------------------------------------------------------- */

static void a_damaged_request_is_not_obeyed(void **unused)
{
	struct mull_request request = { MULL_COMMAND_START, 0, 0 };
	uint8_t frame[FRAME_WIRE_MAX];
	size_t length = encode(MULL_FRAME_REQUEST, 0, &request, sizeof request,
			       frame);

	(void)unused;
	for (size_t at = 1; at < length - 1; at++) {
		for (int bit = 0; bit < 8; bit++) {
			frame[at] ^= (uint8_t)(1 << bit);
			incoming(frame, length);
			serve(20);
			frame[at] ^= (uint8_t)(1 << bit);
		}
	}
	assert_int_equal(commands, 0);
	incoming(frame, length);
	serve(100);
	assert_int_equal(commands, 1);
	assert_non_null(strstr(logged, "channel: a damaged frame is dropped"));
}

static void noise_does_nothing_and_is_survived(void **unused)
{
	uint8_t noise[256];

	(void)unused;
	for (int i = 0; i < 500; i++) {
		for (size_t k = 0; k < sizeof noise; k++)
			noise[k] = rand() % 8 ? (uint8_t)rand() : 0;
		incoming(noise, sizeof noise);
		serve(10);
	}
	assert_int_equal(commands + buttons, 0);
	assert_int_equal(ask(MULL_COMMAND_START, 0, 0), ERR_NONE);
}

static void a_frame_without_end_is_survived(void **unused)
{
	static uint8_t endless[6000];

	(void)unused;
	memset(endless, 1, sizeof endless);
	memcpy(endless, "\0\x1f\x01\x11", 4);
	incoming(endless, sizeof endless);
	serve(100);
	assert_int_equal(ask(MULL_COMMAND_START, 0, 0), ERR_NONE);
}

/* ---- events -------------------------------------------------------------- */

static void an_event_says_what_and_why(void **unused)
{
	const struct mull_event *event;

	(void)unused;
	guests[0].started_at = fake_time;
	fake_time += 12340 * (uint64_t)MS;
	guests[0].ending = MULL_END_EXIT_CODE;
	guests[0].end_code = 7;
	guests[0].restarts = 2;
	strcpy(guests[0].end_words, "ended with code 7");
	state(0, MULL_VM_STOPPED);
	serve(100);
	event = &last_event(0)->event;
	assert_int_equal(last_event(0)->length, sizeof *event);
	assert_string_equal(event->name, "web");
	assert_int_equal(event->state, MULL_VM_STOPPED);
	assert_int_equal(event->reason, MULL_END_EXIT_CODE);
	assert_int_equal(event->code, 7);
	assert_int_equal(event->restarts, 2);
	assert_int_equal(event->time_ns, 12540 * (uint64_t)MS);
	assert_string_equal(event->words, "ended with code 7");
	assert_non_null(strstr(logged, "web: stopped: ended with code 7 after "
				       "12.3 s\n"));
}

static void it_comes_behind_the_last_words(enum mull_vm_state quiet)
{
	uint32_t i;

	flood();
	print(0, "down");
	state(0, quiet);
	state(1, MULL_VM_RUNNING);
	serve(1000);
	for (i = 0; heard[i].header.type != MULL_FRAME_EVENT; i++)
		;
	assert_int_equal(heard[i].header.stream, 1); /* it need not wait */
	assert_ptr_equal(last_event(0), &heard[heard_count - 1]);
	assert_int_equal(printed_length[0], sizeof guest_rings[0]);
}

static void the_end_comes_behind_the_last_words(void **unused)
{
	(void)unused;
	it_comes_behind_the_last_words(MULL_VM_STOPPED);
}

static void a_pause_comes_behind_what_was_printed(void **unused)
{
	(void)unused;
	it_comes_behind_the_last_words(MULL_VM_PAUSED);
}

static void too_many_events_leave_the_newest(void **unused)
{
	const uint32_t last = MULL_VM_MAX - 1, changes = 3 * MULL_VM_MAX;
	uint32_t seen;

	(void)unused;
	console_remove(&guests[3]);
	guests[3].index = last;
	manage_add_vm(&guests[3]);
	for (uint32_t i = 1; i <= changes; i++) {
		guests[0].restarts = i;
		state(0, MULL_VM_RUNNING);
		if (i == 20)
			state(1, MULL_VM_CRASHED);
		if (i == 30)
			state(3, MULL_VM_PAUSED);
	}
	serve(9000);
	assert_int_equal(last_event(0)->event.restarts, changes);
	assert_int_equal(last_event(1)->event.state, MULL_VM_CRASHED);
	assert_int_equal(last_event(last)->event.state, MULL_VM_PAUSED);
	seen = count_of(MULL_FRAME_EVENT);
	assert_in_range(seen, MULL_VM_MAX, changes - 1);
	serve(100);
	assert_int_equal(count_of(MULL_FRAME_EVENT), seen);
}

/* ---- other lines --------------------------------------------------------- */

static void without_interrupts_it_is_polled(void **unused)
{
	(void)unused;
	begin(MULL_SERIAL_CHANNEL, 2);
	chip.deaf = true;
	serve(100);
	assert_true(manage_needs_polling());
	forget_heard();
	print(0, "Hello\n");
	serve(20);
	assert_string_equal(printed[0], "Hello\n");
	assert_int_equal(ask(MULL_COMMAND_START, 0, 0), ERR_NONE);
}

static void a_line_that_is_held_at_the_start_loses_nothing(void **unused)
{
	struct mull_machine machine = { .serial_mode = MULL_SERIAL_CHANNEL };

	(void)unused;
	frame_decoder_flush(&ears);
	forget_heard();
	forget_service();
	chip.held = true;
	sequence_known = false;
	manage_start(&machine);
	add_vms(2);
	log_write("while it is held");
	assert_int_equal(heard_count, 0);
	chip.held = false;
	woken = true;
	serve(100);
	assert_non_null(strstr(logged, "carries channel\n"));
	assert_non_null(strstr(logged, "while it is held\n"));
	assert_int_equal(count_of(MULL_FRAME_HELLO), 1);
	assert_int_equal(plain_length, 0);
}

static void without_a_uart_guests_still_print(void **unused)
{
	struct mull_machine machine = { .serial_mode = MULL_SERIAL_CHANNEL };

	(void)unused;
	forget_service();
	chip.absent = true;
	manage_start(&machine);
	add_vms(2);
	woken = true;
	serve(5);
	for (int i = 0; i < 300; i++) /* more than the ring holds */
		assert_int_equal(print(0, "spam and ham and eggs\n"), 22);
	serve(5);
	assert_int_equal(heard_count, 0);
	assert_false(manage_needs_polling());
}

static void a_panic_cuts_in_as_plain_text(void **unused)
{
	(void)unused;
	flood();
	serve(7); /* in the middle of a frame */
	assert_true(wire_sent < wire_length);
	serving = false; /* the line is fast again */
	chip.in_fifo = 0;
	manage_emergency("PANIC\nSTACK", 11);
	assert_non_null(strstr(plain, "\r\nPANIC\r\nSTACK"));
	serving = true;
	wire_sent = wire_length; /* what was cut is not sent again */
	sequence_known = false;
}

/* ---- the machine's end --------------------------------------------------- */

static enum mull_machine_end ended;
static jmp_buf halted;

void arch_end_machine(enum mull_machine_end end)
{
	ended = end;
}

void arch_halt(void)
{
	longjmp(halted, 1);
}

/* Runs the boot CPU's round; whether it came to the end. */
static bool ends(void)
{
	ended = (enum mull_machine_end)0;
	if (setjmp(halted) == 0)
		manage_end();
	return ended;
}

static bool printed_all; /* when the end came */

static void print_until_the_end(void)
{
	static uint32_t times;

	if (!end_now && times++ < 40)
		print(1, ".");
	else if (end_now)
		printed_all &= !consoles_print(LINE_SERIAL);
}

static void the_machine_ends_when_all_vms_rest(void **unused)
{
	(void)unused;
	state(0, MULL_VM_RUNNING);
	assert_int_equal(ask(MULL_COMMAND_MACHINE, 0, MULL_MACHINE_REBOOT),
			 UINT32_MAX);
	assert_int_equal(last_command, MULL_COMMAND_STOP);
	assert_int_equal(commands, 1); /* once, and not the one that rests */
	assert_false(ends());

	state(0, MULL_VM_STOPPED);
	serve(50);
	assert_int_equal(answer(), UINT32_MAX); /* the command still stands */
	guests[0].commands = 0;
	manage_notify();
	print(1, "its last words");
	printed_all = true;
	each_millisecond = print_until_the_end;
	serve(100);
	assert_true(printed_all);
	assert_int_equal(answer(), ERR_NONE);
	assert_non_null(strstr(printed[1], "its last words."));
	assert_non_null(strstr(logged, "machine: reboot by command\n"));
	fake_cpu = 1;
	assert_false(ends());
	fake_cpu = 0;
	chip.fast = true;
	chip.in_fifo = 0;
	assert_true(ends());
	assert_int_equal(ended, MULL_MACHINE_REBOOT);
	assert_non_null(strstr(plain, "does not switch it off"));
}

/* One that was told to start before does not. */
static void a_start_that_waits_is_called_off(void **unused)
{
	(void)unused;
	assert_int_equal(ask(MULL_COMMAND_START, 1, 0), ERR_NONE);
	assert_int_equal(ask(MULL_COMMAND_MACHINE, 0, MULL_MACHINE_POWER_OFF),
			 UINT32_MAX);
	assert_int_equal(last_command, MULL_COMMAND_STOP);
	guests[1].commands = 0;
	manage_notify();
	serve(50);
	assert_int_equal(answer(), ERR_NONE);
	assert_true(ends());
	assert_int_equal(ended, MULL_MACHINE_POWER_OFF);
}

static void an_ending_machine_obeys_no_more(void **unused)
{
	struct mull_request request[] = {
		{ MULL_COMMAND_MACHINE, 0, MULL_MACHINE_WARM_RESET },
		{ MULL_COMMAND_START, 0, 0 },
	};
	uint8_t both[2 * FRAME_WIRE_MAX];
	size_t length = 0;

	(void)unused;
	assert_int_equal(ask(MULL_COMMAND_MACHINE, 0, 0), ERR_BAD_REQUEST);
	assert_int_equal(ask(MULL_COMMAND_MACHINE, 0, 4), ERR_BAD_REQUEST);
	assert_false(ends());
	for (int i = 0; i < 2; i++)
		length += encode(MULL_FRAME_REQUEST, 0, &request[i],
				 sizeof request[i], both + length);
	assert_in_range(length, 1, LINE_RECEIVE_MAX); /* taken at once */
	incoming(both, length);
	serve(50);
	assert_int_equal(answer(), UINT32_MAX);
	assert_int_equal(ask(MULL_COMMAND_START, 0, 0), UINT32_MAX);
	assert_int_equal(commands, 0);
	assert_true(ends());
	assert_int_equal(ended, MULL_MACHINE_WARM_RESET);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_log_comes_at_once_and_hello_when_all_stands),
		TEST(nothing_to_do_means_no_polling),
		TEST(many_notices_are_one_kick),
		TEST(commands_reach_their_vm),
		TEST(what_makes_no_sense_is_refused_with_a_number),
		TEST(what_comes_again_is_answered_and_not_done_again),
		TEST(info_and_list_tell_what_there_is),
		TEST(an_echo_of_its_own_frames_is_not_answered),
		TEST(each_request_of_a_flood_is_answered),
		TEST(a_damaged_request_is_not_obeyed),
		TEST(noise_does_nothing_and_is_survived),
		TEST(a_frame_without_end_is_survived),
		TEST(an_event_says_what_and_why),
		TEST(the_end_comes_behind_the_last_words),
		TEST(a_pause_comes_behind_what_was_printed),
		TEST(too_many_events_leave_the_newest),
		TEST(without_interrupts_it_is_polled),
		TEST(a_line_that_is_held_at_the_start_loses_nothing),
		TEST(without_a_uart_guests_still_print),
		TEST(a_panic_cuts_in_as_plain_text),
		TEST(the_machine_ends_when_all_vms_rest),
		TEST(a_start_that_waits_is_called_off),
		TEST(an_ending_machine_obeys_no_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
