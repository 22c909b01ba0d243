/* SPDX-License-Identifier: MIT */
/* A connection with a guest's sockets, at standard input and output. */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "remote.h"
#include "texts.h"
#include "verbs.h"
#include "work.h"

#define LOOK_MILLISECONDS 20
#define CONNECT_SECONDS 5
#define FOR_EVER 1e9

struct talk {
	struct mull *mull;
	uint32_t vm, stream, port;
	const char *name;  /* the VM's */
	uint64_t position; /* of what is read next */
	char bytes[1000];  /* from standard input, not yet sent */
	size_t count, sent;
	bool input_ended, end_told;
	bool moved; /* something went in this round */
};

/* ---- the connection begins ---------------------------------------------- */

static enum status wait_for_it(struct talk *talk, double seconds)
{
	const double limit = seconds_now() + seconds;
	struct mull_vsock_state state;

	for (;;) {
		int error = mull_vsock_state(talk->mull, talk->vm, talk->stream,
					     &state);

		if (error)
			return remote_status(talk->mull, error);
		if (state.phase == MULL_VSOCK_REFUSED) {
			tell("nothing listens at port %u of %s", talk->port,
			     talk->name);
			return STATUS_CONFLICT;
		}
		if (state.phase != MULL_VSOCK_WAITS)
			return STATUS_OK;
		if (seconds_now() >= limit) {
			tell("%s does not answer at port %u", talk->name,
			     talk->port);
			return STATUS_TIMED_OUT;
		}
		error = mull_pump(talk->mull, LOOK_MILLISECONDS, -1);
		if (error)
			return remote_status(talk->mull, error);
	}
}

/* ---- bytes --------------------------------------------------------------- */

static bool input_waits(void)
{
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };

	return poll(&input, 1, 0) > 0;
}

static int send_some(struct talk *talk)
{
	size_t taken;
	int error;

	if (talk->sent == talk->count && !talk->input_ended && input_waits()) {
		ssize_t length = read(STDIN_FILENO, talk->bytes,
				      sizeof talk->bytes);

		talk->sent = 0;
		talk->count = length > 0 ? (size_t)length : 0;
		talk->input_ended = length <= 0;
	}
	if (talk->sent < talk->count) {
		error = mull_stream_send(talk->mull, talk->vm, talk->stream,
					 talk->bytes + talk->sent,
					 talk->count - talk->sent, &taken);
		talk->sent += taken;
		talk->moved |= taken != 0;
		return error;
	}
	if (!talk->input_ended || talk->end_told)
		return MULL_OK;
	talk->end_told = true;
	return mull_vsock_close(talk->mull, talk->vm, talk->stream,
				MULL_VSOCK_NO_MORE);
}

/* *@failed: nobody takes what comes any more. */
static int receive_some(struct talk *talk, bool *failed)
{
	struct mull_answer answer;
	int error = mull_stream_read(talk->mull, talk->vm, talk->stream,
				     talk->position, &answer);

	if (error || !answer.length)
		return error;
	talk->moved = true;
	talk->position = answer.value + answer.length;
	*failed = fwrite(answer.data, 1, answer.length, stdout) !=
			  answer.length ||
		  fflush(stdout);
	return MULL_OK;
}

static int converse(struct talk *talk, bool *failed)
{
	for (;;) {
		struct mull_vsock_state state;
		int error;

		talk->moved = false;
		error = receive_some(talk, failed);
		if (!error && !*failed && !talk->moved) {
			error = mull_vsock_state(talk->mull, talk->vm,
						 talk->stream, &state);
			/* All that it will ever send is here. */
			if (!error && state.silent &&
			    state.received == talk->position)
				return MULL_OK;
		}
		if (!error && !*failed)
			error = send_some(talk);
		if (error || *failed)
			return error;
		if (!talk->moved)
			error = mull_pump(
				talk->mull, LOOK_MILLISECONDS,
				talk->input_ended || talk->count > talk->sent ?
					-1 :
					STDIN_FILENO);
		if (error)
			return error;
	}
}

static enum status talk_to(struct talk *talk, bool listens, double seconds)
{
	bool failed = false;
	enum status status;
	int error = mull_vsock_open(talk->mull, talk->vm,
				    listens ? MULL_VSOCK_LISTEN :
					      MULL_VSOCK_CONNECT,
				    talk->port, &talk->stream);

	if (error)
		return remote_status(talk->mull, error);
	status = wait_for_it(talk, seconds);
	if (status == STATUS_OK) {
		error = converse(talk, &failed);
		status = remote_status(talk->mull, error);
	}
	if (!error)
		mull_vsock_close(talk->mull, talk->vm, talk->stream,
				 MULL_VSOCK_OVER);
	return status == STATUS_OK && failed ? STATUS_FAILED : status;
}

int verb_vsock(const struct options *options)
{
	bool listens = options->text[OPTION_LISTEN];
	struct mull_vm_status vm;
	struct talk talk = { 0 };
	enum status status;
	double seconds;
	uint64_t port;

	if (!remote_timeout(options, listens ? FOR_EVER : CONNECT_SECONDS,
			    &seconds))
		return STATUS_USAGE;
	if (!texts_to_number(options->second, &port) || port >= UINT32_MAX) {
		tell("\"%s\" is no port", options->second);
		return STATUS_USAGE;
	}
	talk.mull = remote_open_vm(options, NULL, &vm, &status);
	if (!talk.mull)
		return status;
	talk.vm = vm.number;
	talk.port = (uint32_t)port;
	talk.name = vm.name;
	status = talk_to(&talk, listens, seconds);
	mull_close(talk.mull);
	return status;
}
