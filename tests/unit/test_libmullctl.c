/* SPDX-License-Identifier: MIT */
/* The client library against a hypervisor of a few lines, on a socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <mullion/bits.h>
#include <mullion/frame.h>
#include <parts.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define REQUESTS_MAX 64

static char folder[] = "/tmp/mullctl-test-XXXXXX";
static char path[64], address[80];
static int listener, line;
static struct mull *mull;

/* What the hypervisor's end has got. */
static struct frame_decoder decoder;
static uint32_t sequences[REQUESTS_MAX];
static struct mull_request requests[REQUESTS_MAX];
static size_t request_count;
static size_t described; /* bytes behind requests to describe */
static size_t menu_keys; /* bytes that a firmware takes for one */

static void on_frame(void *context, const struct mull_frame_header *header,
		     const void *payload, size_t length)
{
	(void)context;
	assert_true(request_count < REQUESTS_MAX);
	assert_true(length >= sizeof *requests);
	sequences[request_count] = header->sequence;
	memcpy(&requests[request_count], payload, sizeof *requests);
	if (requests[request_count++].command == MULL_COMMAND_DESCRIBE)
		described += length - sizeof *requests;
}

static void hear(void)
{
	uint8_t bytes[8192];
	ssize_t got = recv(line, bytes, sizeof bytes, MSG_DONTWAIT);

	for (ssize_t i = 0; i < got; i++)
		menu_keys += bytes[i] == 0x1b || bytes[i] == 0x7f;
	if (got > 0)
		frame_decode(&decoder, bytes, (size_t)got);
}

static void say(enum mull_frame_type type, uint16_t stream, const void *payload,
		size_t length)
{
	struct mull_frame_header header = { .version = MULL_CHANNEL_VERSION,
					    .type = (uint8_t)type,
					    .stream = stream };
	uint8_t wire[FRAME_WIRE_MAX];
	size_t size = frame_encode(&header, payload, length, wire);

	assert_int_equal(send(line, wire, size, 0), size);
}

static void reply(uint32_t sequence, uint32_t error, uint64_t value,
		  const void *data, size_t length)
{
	uint8_t payload[MULL_FRAME_PAYLOAD_MAX];
	struct mull_reply record = { sequence, error, value };

	memcpy(payload, &record, sizeof record);
	if (length)
		memcpy(payload + sizeof record, data, length);
	say(MULL_FRAME_REPLY, MULL_STREAM_HYPERVISOR, payload,
	    sizeof record + length);
}

static int start(void **state)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };

	(void)state;
	snprintf(name.sun_path, sizeof name.sun_path, "%s", path);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	unlink(path);
	assert_int_equal(bind(listener, (struct sockaddr *)&name, sizeof name),
			 0);
	listen(listener, 4);
	request_count = menu_keys = 0;
	decoder = (struct frame_decoder){ .on_frame = on_frame };
	assert_int_equal(mull_open(&mull, address, NULL), MULL_OK);
	line = accept(listener, NULL, NULL);
	mull->patience = 0.02;
	return 0;
}

static int stop(void **state)
{
	(void)state;
	mull_close(mull);
	close(line);
	close(listener);
	return 0;
}

/* What became of a request. */
struct end {
	int count, error;
	uint64_t value;
	size_t length;
};

static void on_done(void *context, int error, const struct mull_answer *answer)
{
	struct end *end = context;

	end->count++;
	end->error = error;
	end->value = answer ? answer->value : 0;
	end->length = answer ? answer->length : 0;
}

static int post_command(struct end *end, enum mull_command command)
{
	struct mull_request request = { .command = command, .vm = 3 };

	*end = (struct end){ 0 };
	return mull_post(mull, MULL_FRAME_REQUEST, MULL_STREAM_HYPERVISOR,
			 &request, sizeof request, on_done, end);
}

static int post(struct end *end)
{
	return post_command(end, MULL_COMMAND_START);
}

/* ---- requests ----------------------------------------------------------- */

static void a_reply_finishes_its_request_once(void **state)
{
	struct end end;

	(void)state;
	assert_int_equal(post(&end), MULL_OK);
	mull_pump(mull, 0, -1);
	hear();
	assert_int_equal(request_count, 1);
	assert_int_equal(requests[0].vm, 3);
	reply(sequences[0] + 1, 0, 1, NULL, 0); /* nobody's */
	reply(sequences[0], 0, 42, "abc", 3);
	reply(sequences[0], 0, 43, NULL, 0);
	mull_pump(mull, 1000, -1);
	assert_int_equal(end.count, 1);
	assert_int_equal(end.error, MULL_OK);
	assert_int_equal(end.value, 42);
	assert_int_equal(end.length, 3);
}

static void a_lost_request_is_sent_again_with_its_number(void **state)
{
	struct end end;

	(void)state;
	post(&end);
	for (int i = 0; i < 100 && request_count < 3; i++) {
		mull_pump(mull, 10, -1);
		hear();
	}
	assert_int_equal(request_count, 3);
	assert_int_equal(sequences[1], sequences[0]);
	assert_int_equal(sequences[2], sequences[0]);
	assert_int_equal(end.count, 0);
	reply(sequences[0], 0, 0, NULL, 0);
	mull_pump(mull, 1000, -1);
	assert_int_equal(end.count, 1);
}

/* Else the firmware of a machine that starts goes into its set-up. */
static void no_request_has_a_menu_key(void **state)
{
	/* Near numbers that have one in each byte, and many checksums. */
	static const uint32_t numbers[] = {
		0x1a, 0x1aff, 0x7effff, 0x1afffff0, 0x7e7e7ef0, 0xfffffff0
	};
	uint32_t last;
	struct end end;

	(void)state;
	mull->patience = 1; /* none is sent again on a busy computer */
	for (size_t i = 0; i < 100 * ARRAY_COUNT(numbers); i++) {
		if (i % 100 == 0)
			mull->sequence = numbers[i / 100];
		last = mull->sequence;
		request_count = 0;
		assert_int_equal(post(&end), MULL_OK);
		mull_pump(mull, 0, -1);
		hear();
		assert_int_equal(request_count, 1);
		assert_true(sequences[0] - last - 1 < 0x02000000);
		reply(sequences[0], 0, 0, NULL, 0);
		mull_pump(mull, 1000, -1);
		assert_int_equal(end.count, 1);
	}
	assert_int_equal(menu_keys, 0);
	assert_int_equal(mull_input(mull, 3, "\033[A and other keys", 18),
			 MULL_OK);
	mull_pump(mull, 0, -1);
	hear();
	assert_int_equal(menu_keys, 1); /* typed: it goes as it is */
}

static void attempts_are_bounded(void **state)
{
	struct end end;

	(void)state;
	post(&end);
	for (int i = 0; i < 100 && !end.count; i++)
		mull_pump(mull, 10, -1);
	hear();
	assert_int_equal(end.count, 1);
	assert_int_equal(end.error, MULL_NO_ANSWER);
	assert_int_equal(request_count, 5);
}

/* Neither given up nor sent again, until that is said no more. */
static void what_is_being_done_is_waited_for(void **state)
{
	struct mull_reply pending = { 0 };
	double began = mull_clock();
	struct end end;

	(void)state;
	mull->patience = 0.2; /* on a busy computer, too */
	post(&end);
	mull_pump(mull, 0, -1);
	hear();
	while (mull_clock() < began + 7.5 * mull->patience) {
		pending.sequence = sequences[0] + 1; /* nobody's */
		say(MULL_FRAME_PENDING, MULL_STREAM_HYPERVISOR, &pending,
		    sizeof pending);
		pending.sequence = sequences[0];
		say(MULL_FRAME_PENDING, MULL_STREAM_HYPERVISOR, &pending,
		    sizeof pending);
		for (int j = 0; j < 3; j++)
			mull_pump(mull, 1, -1);
	}
	hear();
	assert_int_equal(end.count, 0);
	assert_in_range(request_count, 1, 4);
	mull->patience = 0.02;
	mull->posted[0].due = 0;
	mull->posted[0].since -= 601;
	began = mull_clock();
	while (!end.count && mull_clock() < began + 5) {
		say(MULL_FRAME_PENDING, MULL_STREAM_HYPERVISOR, &pending,
		    sizeof pending);
		mull_pump(mull, 10, -1);
	}
	assert_int_equal(end.error, MULL_NO_ANSWER);
}

/* It was obeyed, and its reply lost: the machine must not restart twice. */
static void a_restart_is_not_asked_of_the_restarted(void **state)
{
	struct mull_hello hello = { .cpu_count = 1 };
	struct end end, other;

	(void)state;
	post_command(&end, MULL_COMMAND_MACHINE);
	post(&other);
	mull_pump(mull, 0, -1);
	say(MULL_FRAME_HELLO, MULL_STREAM_HYPERVISOR, &hello, sizeof hello);
	mull_pump(mull, 10, -1);
	assert_int_equal(end.count, 1);
	assert_int_equal(end.error, MULL_RESTARTED);
	hear();
	request_count = 0;
	for (int i = 0; i < 100 && !other.count; i++) {
		mull_pump(mull, 10, -1);
		hear();
	}
	assert_int_equal(request_count, 4); /* the other one's */
	for (size_t i = 0; i < request_count; i++)
		assert_int_equal(requests[i].command, MULL_COMMAND_START);
}

static void at_most_eight_are_unanswered(void **state)
{
	struct end ends[MULL_UNANSWERED_MAX + 1];

	(void)state;
	for (int i = 0; i < MULL_UNANSWERED_MAX; i++)
		assert_int_equal(post(&ends[i]), MULL_OK);
	assert_int_equal(post(&ends[MULL_UNANSWERED_MAX]), MULL_FULL);
	mull_pump(mull, 0, -1);
	hear();
	assert_int_equal(request_count, MULL_UNANSWERED_MAX);
	reply(sequences[5], 0, 0, NULL, 0);
	mull_pump(mull, 1000, -1);
	assert_int_equal(ends[5].count, 1);
	assert_int_equal(post(&ends[MULL_UNANSWERED_MAX]), MULL_OK);
}

static void errors_have_words(void **state)
{
	struct end end;

	(void)state;
	post(&end);
	mull_pump(mull, 0, -1);
	hear();
	reply(sequences[0], ERR_WRONG_STATE, 0, "web is\033[2J running", 18);
	mull_pump(mull, 1000, -1);
	assert_int_equal(end.error, ERR_WRONG_STATE);
	assert_string_equal(mull_words(mull), "web is?[2J running");

	post(&end);
	mull_pump(mull, 0, -1);
	hear();
	reply(sequences[1], 0xfffffffe, 0, NULL, 0);
	mull_pump(mull, 1000, -1);
	assert_int_equal(end.error, ERR_COUNT);
	assert_string_equal(mull_words(mull), "unknown error");
}

static void the_end_of_the_line_ends_requests(void **state)
{
	struct end end;

	(void)state;
	post(&end);
	shutdown(line, SHUT_RDWR);
	assert_int_equal(mull_pump(mull, 1000, -1), MULL_UNREACHABLE);
	assert_int_equal(end.error, MULL_UNREACHABLE);
	assert_int_equal(post(&end), MULL_UNREACHABLE);
}

/* ---- hostile answers ---------------------------------------------------- */

/* Answers requests while the library waits, each with the next of these. */
struct canned {
	uint64_t value;
	const void *data;
	size_t length;
};
static struct canned canned[MULL_VM_MAX];
static size_t canned_count;

static void *answer_requests(void *context)
{
	size_t answered = 0;

	while (answered < canned_count) {
		hear();
		for (; answered < request_count; answered++)
			reply(sequences[answered], 0, canned[answered].value,
			      canned[answered].data, canned[answered].length);
		usleep(100);
	}
	return context;
}

static void answer_next(uint64_t value, const void *data, size_t length)
{
	canned[canned_count++] = (struct canned){ value, data, length };
}

static pthread_t answerer;

static void begin_to_answer(void)
{
	request_count = 0;
	mull->patience = 10;
	assert_int_equal(pthread_create(&answerer, NULL, answer_requests, NULL),
			 0);
}

static void end_to_answer(void)
{
	pthread_join(answerer, NULL);
	canned_count = 0;
}

static void a_list_is_followed_and_bounded(void **state)
{
	struct mull_vm_status list[MULL_VM_MAX], sent[3];
	size_t count;

	(void)state;
	memset(sent, 'x', sizeof sent); /* names without an end */
	answer_next(7, sent, sizeof sent);
	answer_next(0, sent, sizeof *sent);
	begin_to_answer();
	assert_int_equal(mull_list(mull, list, &count), MULL_OK);
	end_to_answer();
	assert_int_equal(count, 4);
	assert_int_equal(strlen(list[0].name), MULL_NAME_MAX - 1);
	assert_int_equal(requests[0].argument, 0);
	assert_int_equal(requests[1].argument, 7);

	/* As many as there can be, and one more. */
	for (size_t last = MULL_VM_MAX % 3; last <= MULL_VM_MAX % 3 + 1;
	     last++) {
		for (uint64_t i = 1; i <= MULL_VM_MAX / 3; i++)
			answer_next(i, sent, sizeof sent);
		answer_next(0, sent, last * sizeof *sent);
		begin_to_answer();
		assert_int_equal(mull_list(mull, list, &count),
				 last == MULL_VM_MAX % 3 ? MULL_OK :
							   MULL_BAD_ANSWER);
		end_to_answer();
		assert_int_equal(count, MULL_VM_MAX - MULL_VM_MAX % 3 +
						(last == MULL_VM_MAX % 3));
	}

	/* In a circle. */
	answer_next(9, sent, sizeof *sent);
	answer_next(9, sent, sizeof *sent);
	begin_to_answer();
	assert_int_equal(mull_list(mull, list, &count), MULL_OK);
	end_to_answer();

	answer_next(0, sent, sizeof *sent + 1);
	begin_to_answer();
	assert_int_equal(mull_list(mull, list, &count), MULL_BAD_ANSWER);
	end_to_answer();
}

static void an_older_record_is_filled_with_zeros(void **state)
{
	struct mull_info info;
	char sent[600];

	(void)state;
	memset(sent, 'y', sizeof sent);
	answer_next(0, sent, 36);
	answer_next(0, sent, sizeof sent); /* a newer one */
	answer_next(0, NULL, 0);
	begin_to_answer();
	assert_int_equal(mull_info(mull, &info), MULL_OK);
	assert_int_equal(info.interface, 0x79797979);
	assert_int_equal(info.cpu_count, 0);
	assert_int_equal(mull_info(mull, &info), MULL_OK);
	assert_int_equal(strlen(info.features), sizeof info.features - 1);
	assert_int_equal(mull_info(mull, &info), MULL_BAD_ANSWER);
	end_to_answer();
}

static void a_vm_is_described_in_pieces(void **state)
{
	struct mull_vm vm = { .vcpu_count = 1 };
	size_t pieces = (sizeof vm + MULL_REQUEST_DATA_MAX - 1) /
			MULL_REQUEST_DATA_MAX;
	uint32_t number = 0;

	(void)state;
	for (size_t i = 0; i < pieces; i++)
		answer_next(0, NULL, 0);
	answer_next(9, NULL, 0);
	begin_to_answer();
	assert_int_equal(mull_create(mull, &vm, &number), MULL_OK);
	end_to_answer();
	assert_int_equal(number, 9);
	assert_int_equal(request_count, pieces + 1);
	for (size_t i = 0; i < pieces; i++) {
		assert_int_equal(requests[i].command, MULL_COMMAND_DESCRIBE);
		assert_int_equal(requests[i].argument,
				 i * MULL_REQUEST_DATA_MAX);
	}
	assert_int_equal(requests[pieces].command, MULL_COMMAND_CREATE);
	assert_int_equal(described, sizeof vm);
}

static void an_audit_has_printable_words(void **state)
{
	struct mull_audit audit;

	(void)state;
	memset(&audit, '\033', sizeof audit);
	answer_next(0, &audit, sizeof audit);
	begin_to_answer();
	assert_int_equal(mull_audit(mull, true, &audit), MULL_OK);
	end_to_answer();
	assert_int_equal(requests[0].argument, 1);
	assert_int_equal(strspn(audit.words, "?"), sizeof audit.words - 1);
}

static char story[256];

static void on_console(void *context, uint32_t vm, const void *bytes,
		       size_t length)
{
	(void)context;
	sprintf(story + strlen(story), "%u:%.*s;", vm, (int)length,
		(const char *)bytes);
}

static void on_text(void *context, const void *text, size_t length)
{
	(void)context;
	sprintf(story + strlen(story), "text:%.*s;", (int)length,
		(const char *)text);
}

static void on_event(void *context, uint32_t vm, const struct mull_event *event)
{
	(void)context;
	sprintf(story + strlen(story), "event %u %zu;", vm,
		strlen(event->words));
}

static void frames_go_to_their_handlers(void **state)
{
	struct mull_handlers handlers = { .console = on_console,
					  .text = on_text,
					  .event = on_event };
	struct mull_event event;

	(void)state;
	memset(&event, 'z', sizeof event);
	story[0] = 0;
	mull_handle(mull, &handlers);
	assert_int_equal(send(line, "BIOS", 4, 0), 4);
	say(MULL_FRAME_CONSOLE, 5, "hi", 2);
	say(MULL_FRAME_EVENT, 5, &event, sizeof event - 1); /* too short */
	say(MULL_FRAME_EVENT, 5, &event, sizeof event);
	say(MULL_FRAME_LOG, 5, "log", 3); /* nobody wants it */
	say((enum mull_frame_type)9, 5, "new", 3);
	mull_pump(mull, 1000, -1);
	assert_string_equal(story, "text:BIOS;5:hi;event 5 159;");
}

/* ---- one client a line -------------------------------------------------- */

static void a_second_client_is_refused(void **state)
{
	struct mull *second;
	char words[64];

	(void)state;
	sprintf(words, "the line is in use by mullctl (pid %d)", getpid());
	assert_int_equal(mull_open(&second, address, NULL), MULL_IN_USE);
	assert_string_equal(mull_words(second), words);
	mull_close(second);

	/* Who serves several says so. */
	chmod(path, 01600);
	assert_int_equal(mull_open(&second, address, NULL), MULL_OK);
	mull_close(second);
}

static void addresses_are_understood(void **state)
{
	static const char *const bad[] = {
		"", "unix:", "tcp:host", "tcp::1", "serial:/dev/null,7", "what",
	};
	struct mull *other;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_int_equal(mull_open(&other, bad[i], NULL),
				 MULL_BAD_ADDRESS);
		assert_true(strlen(mull_words(other)) > 10);
		mull_close(other);
	}
	assert_int_equal(mull_open(&other, "unix:/no/such", NULL),
			 MULL_UNREACHABLE);
	assert_string_equal(mull_words(other),
			    "/no/such: No such file or directory");
	mull_close(other);
	assert_int_equal(mull_open(&other, "serial:/dev/null", NULL),
			 MULL_UNREACHABLE);
	mull_close(other);
}

#define WITH_LINE(test) cmocka_unit_test_setup_teardown(test, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_LINE(a_reply_finishes_its_request_once),
		WITH_LINE(a_lost_request_is_sent_again_with_its_number),
		WITH_LINE(no_request_has_a_menu_key),
		WITH_LINE(attempts_are_bounded),
		WITH_LINE(what_is_being_done_is_waited_for),
		WITH_LINE(a_restart_is_not_asked_of_the_restarted),
		WITH_LINE(at_most_eight_are_unanswered),
		WITH_LINE(errors_have_words),
		WITH_LINE(the_end_of_the_line_ends_requests),
		WITH_LINE(a_list_is_followed_and_bounded),
		WITH_LINE(an_older_record_is_filled_with_zeros),
		WITH_LINE(a_vm_is_described_in_pieces),
		WITH_LINE(an_audit_has_printable_words),
		WITH_LINE(frames_go_to_their_handlers),
		WITH_LINE(a_second_client_is_refused),
		cmocka_unit_test(addresses_are_understood),
	};
	int failed;

	if (!mkdtemp(folder))
		return 1;
	snprintf(path, sizeof path, "%s/line", folder);
	snprintf(address, sizeof address, "unix:%s", path);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	rmdir(folder);
	return failed;
}
