/* SPDX-License-Identifier: MIT */
/* Several clients of one line, each as if it were alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <listen.h>
#include <mullion/control.h>
#include <parts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/mullctl-test-XXXXXX";
static char address[80];
static struct listen served;

/* What went to the hypervisor. */
static struct mull_frame_header sent[32];
static struct mull_request requests[32];
static size_t sent_count;
static uint32_t next_number;
static bool no_room;

static bool on_send(void *context, const struct mull_frame_header *header,
		    const void *payload, size_t length, uint32_t *sequence)
{
	(void)context;
	assert_true(sent_count < 32 && length >= sizeof *requests);
	if (no_room)
		return false;
	sent[sent_count] = *header;
	if (sequence)
		*sequence = sent[sent_count].sequence = next_number++;
	memcpy(&requests[sent_count++], payload, sizeof *requests);
	return true;
}

static void serve(void)
{
	struct pollfd waits[LISTEN_POLLS];

	for (int i = 0; i < 4; i++) {
		listen_polls(&served, waits);
		if (poll(waits, LISTEN_POLLS, 0) > 0)
			listen_serve(&served, waits);
	}
}

static struct mull *join(void)
{
	struct mull *mull;

	assert_int_equal(mull_open(&mull, address, NULL), MULL_OK);
	mull->patience = 0.02;
	serve();
	return mull;
}

static int start(void **state)
{
	(void)state;
	sent_count = 0;
	next_number = 100;
	no_room = false;
	served = (struct listen){ 0 };
	assert_true(listen_start(&served, address, on_send, NULL));
	return 0;
}

static int stop(void **state)
{
	(void)state;
	listen_stop(&served);
	assert_int_equal(access(address + 5, F_OK), -1);
	return 0;
}

static void on_done(void *context, int error, const struct mull_answer *answer)
{
	uint64_t *value = context;

	assert_int_equal(error, MULL_OK);
	*value = answer->value;
}

static void post(struct mull *mull, enum mull_command command, uint64_t *value)
{
	struct mull_request request = { .command = command };

	*value = 0;
	assert_int_equal(mull_post(mull, MULL_FRAME_REQUEST,
				   MULL_STREAM_HYPERVISOR, &request,
				   sizeof request, on_done, value),
			 MULL_OK);
	mull_pump(mull, 0, -1);
	serve();
}

static bool answer(uint32_t number, uint64_t value)
{
	struct mull_frame_header header = { .version = MULL_CHANNEL_VERSION,
					    .type = MULL_FRAME_REPLY };
	struct mull_reply reply = { .sequence = number, .value = value };

	return listen_frame(&served, &header, &reply, sizeof reply);
}

static void replies_go_to_who_asked(void **state)
{
	struct mull *one = join(), *two = join();
	uint64_t value_one, value_two;

	(void)state;
	two->sequence = one->sequence; /* both choose the same number */
	post(one, MULL_COMMAND_START, &value_one);
	post(two, MULL_COMMAND_STOP, &value_two);
	assert_int_equal(sent_count, 2);
	assert_int_equal(sent[0].sequence, 100);
	assert_int_equal(sent[1].sequence, 101);
	assert_true(answer(101, 22));
	assert_true(answer(100, 11));
	assert_false(answer(99, 33)); /* the run's own */
	mull_pump(one, 100, -1);
	mull_pump(two, 100, -1);
	assert_int_equal(value_one, 11);
	assert_int_equal(value_two, 22);
	mull_close(one);
	mull_close(two);
}

static void what_is_asked_again_keeps_its_number(void **state)
{
	struct mull *mull = join();
	uint64_t value;

	(void)state;
	no_room = true;
	post(mull, MULL_COMMAND_START, &value);
	assert_int_equal(sent_count, 0);
	no_room = false;
	for (int i = 0; i < 50 && sent_count < 2; i++) {
		mull_pump(mull, 10, -1);
		serve();
	}
	assert_int_equal(sent_count, 2);
	assert_int_equal(sent[0].sequence, 100);
	assert_int_equal(sent[1].sequence, 100);
	assert_true(answer(100, 5));
	mull_pump(mull, 100, -1);
	assert_int_equal(value, 5);
	mull_close(mull);
}

/* Else one client could play the hypervisor to the hypervisor. */
static void what_clients_do_not_say_is_dropped(void **state)
{
	struct mull *mull = join();
	struct mull_request request = { .command = MULL_COMMAND_START };
	uint64_t value;

	(void)state;
	assert_int_equal(mull_post(mull, MULL_FRAME_REPLY, 0, &request,
				   sizeof request, NULL, NULL),
			 MULL_OK);
	post(mull, MULL_COMMAND_STOP, &value);
	assert_int_equal(sent_count, 1);
	assert_int_equal(requests[0].command, MULL_COMMAND_STOP);
	assert_true(answer(100, 0));
	mull_close(mull);
}

static void one_that_left_gets_nothing(void **state)
{
	struct mull *one = join(), *two;
	uint64_t value;

	(void)state;
	post(one, MULL_COMMAND_START, &value);
	mull_close(one);
	serve();
	two = join();
	assert_true(answer(100, 7));
	mull_pump(two, 20, -1);
	assert_int_equal(value, 0);
	mull_close(two);
}

static void consoles_cannot_be_switched_off(void **state)
{
	struct mull *mull = join();
	uint64_t value;

	(void)state;
	post(mull, MULL_COMMAND_ATTACH, &value);
	assert_int_equal(requests[0].argument, 1);
	post(mull, MULL_COMMAND_RESET, &value);
	assert_int_equal(requests[1].argument, 0);
	assert_true(answer(100, 0) && answer(101, 0));
	mull_close(mull);
}

static void on_console(void *context, uint32_t vm, const void *bytes,
		       size_t length)
{
	sprintf(context, "%u:%.*s", vm, (int)length, (const char *)bytes);
}

static void all_hear_consoles_up_to_their_room(void **state)
{
	struct mull_frame_header header = { .version = MULL_CHANNEL_VERSION,
					    .type = MULL_FRAME_CONSOLE,
					    .stream = 3 };
	struct mull *one = join(), *two = join();
	char heard[2][64] = { "" };
	struct mull_handlers handlers = { .context = heard[0],
					  .console = on_console };
	uint8_t flood[MULL_FRAME_PAYLOAD_MAX] = { 0 };

	(void)state;
	mull_handle(one, &handlers);
	handlers.context = heard[1];
	mull_handle(two, &handlers);
	assert_false(listen_frame(&served, &header, "hi", 2));
	mull_pump(one, 100, -1);
	mull_pump(two, 100, -1);
	assert_string_equal(heard[0], "3:hi");
	assert_string_equal(heard[1], "3:hi");

	/* Who does not read stops nobody. */
	header.stream = 4;
	for (int i = 0; i < 5000; i++)
		listen_frame(&served, &header, flood, sizeof flood);
	assert_true(served.clients[0].out_length <= LISTEN_OUT_MAX);
	mull_close(one);
	mull_close(two);
}

static void other_files_are_left_alone(void **state)
{
	struct listen other = { 0 };
	char file[64];

	(void)state;
	snprintf(file, sizeof file, "unix:%s/file", folder);
	fclose(fopen(file + 5, "w"));
	assert_false(listen_start(&other, file, on_send, NULL));
	assert_int_equal(access(file + 5, F_OK), 0);
	unlink(file + 5);
	assert_false(listen_start(&other, "tcp:host:1", on_send, NULL));
}

/* What a killed run has left is taken over, a living run's socket is not. */
static void a_run_keeps_its_socket(void **state)
{
	struct listen other = { 0 };
	struct mull *mull;

	(void)state;
	assert_false(listen_start(&other, address, on_send, NULL));
	mull = join();
	mull_close(mull);
	close(served.fd); /* killed */
	served = (struct listen){ 0 };
	assert_true(listen_start(&served, address, on_send, NULL));
	mull = join();
	mull_close(mull);
}

#define SERVED(test) cmocka_unit_test_setup_teardown(test, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SERVED(replies_go_to_who_asked),
		SERVED(what_is_asked_again_keeps_its_number),
		SERVED(what_clients_do_not_say_is_dropped),
		SERVED(one_that_left_gets_nothing),
		SERVED(consoles_cannot_be_switched_off),
		SERVED(all_hear_consoles_up_to_their_room),
		SERVED(a_run_keeps_its_socket),
		cmocka_unit_test(other_files_are_left_alone),
	};
	int failed;

	if (!mkdtemp(folder))
		return 1;
	snprintf(address, sizeof address, "unix:%s/line", folder);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(folder);
	return failed;
}
