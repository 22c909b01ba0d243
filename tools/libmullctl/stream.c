/* SPDX-License-Identifier: MIT */
/*
 * What listens in a guest.  Its agent speaks the protocol of QEMU's guest
 * agent: a line of JSON for a line of JSON.  What was asked by a client that
 * did not wait, or is the end of a long answer, may still come: 0xff, which is
 * in no JSON, stands before the answer to guest-sync-delimited.
 */
#include <stdio.h>
#include <string.h>

#include "parts.h"

#define LOOK_MILLISECONDS 20
#define SYNC_MAX 64 /* bytes of the answer to it */
#define MARK '\xff'

int mull_stream_send(struct mull *mull, uint32_t vm, uint32_t stream,
		     const void *bytes, size_t length, size_t *taken)
{
	struct mull_answer answer;
	int error;

	*taken = 0;
	if (length > MULL_REQUEST_DATA_MAX)
		length = MULL_REQUEST_DATA_MAX;
	error = mull_request(mull, MULL_COMMAND_STREAM_SEND, vm, stream, bytes,
			     length, &answer);
	if (error)
		return error;
	if (answer.value > length)
		return mull_bad_answer(mull);
	*taken = (size_t)answer.value;
	return MULL_OK;
}

int mull_stream_read(struct mull *mull, uint32_t vm, uint32_t stream,
		     uint64_t position, struct mull_answer *answer)
{
	return mull_request(mull, MULL_COMMAND_STREAM_READ, vm, position,
			    &stream, sizeof stream, answer);
}

/* ---- sockets ------------------------------------------------------------ */

int mull_vsock_open(struct mull *mull, uint32_t vm, enum mull_vsock_side side,
		    uint32_t port, uint32_t *stream)
{
	const uint32_t word = side;
	struct mull_answer answer;
	int error = mull_request(mull, MULL_COMMAND_VSOCK_OPEN, vm, port, &word,
				 sizeof word, &answer);

	*stream = (uint32_t)answer.value;
	return error;
}

int mull_vsock_state(struct mull *mull, uint32_t vm, uint32_t stream,
		     struct mull_vsock_state *state)
{
	struct mull_answer answer;
	int error = mull_ask(mull, MULL_COMMAND_VSOCK_STATE, vm, stream,
			     &answer);

	if (error)
		return error;
	if (answer.length < sizeof *state)
		return mull_bad_answer(mull);
	memcpy(state, answer.data, sizeof *state);
	return MULL_OK;
}

int mull_vsock_close(struct mull *mull, uint32_t vm, uint32_t stream,
		     enum mull_vsock_end end)
{
	const uint32_t word = end;

	return mull_request(mull, MULL_COMMAND_VSOCK_CLOSE, vm, stream, &word,
			    sizeof word, NULL);
}

/* ---- the agent ---------------------------------------------------------- */

struct talk {
	struct mull *mull;
	uint32_t vm;
	uint64_t position;
	double limit;
	struct mull_answer answer;
	size_t used; /* of the answer's data */
};

/* Lets a moment pass, or says that there were enough of them. */
static int wait_for_agent(struct talk *talk)
{
	if (mull_clock() >= talk->limit)
		return mull_fail(talk->mull, MULL_NO_ANSWER,
				 "the guest's agent does not answer");
	return mull_pump(talk->mull, LOOK_MILLISECONDS, -1);
}

static int say(struct talk *talk, const char *bytes, size_t length)
{
	while (length) {
		size_t taken;
		int error = mull_stream_send(talk->mull, talk->vm,
					     MULL_STREAM_AGENT, bytes, length,
					     &taken);

		if (!error && !taken)
			error = wait_for_agent(talk);
		if (error)
			return error;
		bytes += taken;
		length -= taken;
	}
	return MULL_OK;
}

static int hear(struct talk *talk, char *byte)
{
	while (talk->used == talk->answer.length) {
		int error = mull_stream_read(talk->mull, talk->vm,
					     MULL_STREAM_AGENT, talk->position,
					     &talk->answer);

		talk->used = 0;
		talk->position = talk->answer.value + talk->answer.length;
		if (!error && !talk->answer.length)
			error = wait_for_agent(talk);
		if (error)
			return error;
	}
	/* One that never ends its answer is not listened to for ever. */
	if (mull_clock() >= talk->limit)
		return wait_for_agent(talk);
	*byte = (char)talk->answer.data[talk->used++];
	return MULL_OK;
}

/* A line, without its end; what exceeds @room ends it by MULL_BAD_ANSWER. */
static int hear_line(struct talk *talk, char *line, size_t room, size_t *length)
{
	char byte;
	int error;

	*length = 0;
	while (!(error = hear(talk, &byte)) && byte != '\n') {
		if (*length + 1 == room)
			return mull_fail(talk->mull, MULL_BAD_ANSWER,
					 "the guest's agent answers with more "
					 "than %zu bytes",
					 room - 1);
		line[(*length)++] = byte;
	}
	line[*length] = 0;
	return error;
}

static void remove_blanks(char *text)
{
	char *to = text;

	for (; *text; text++)
		if (*text != ' ' && *text != '\t' && *text != '\r')
			*to++ = *text;
	*to = 0;
}

/* Until nothing that was meant for somebody else can come any more. */
static int synchronize(struct talk *talk)
{
	char words[128], wanted[SYNC_MAX], line[SYNC_MAX], byte;
	uint32_t number = talk->mull->sequence & 0x7fffffff;
	size_t length;
	int error;

	snprintf(wanted, sizeof wanted, "{\"return\":%u}", number);
	snprintf(words, sizeof words,
		 "%c{\"execute\":\"guest-sync-delimited\","
		 "\"arguments\":{\"id\":%u}}\n",
		 MARK, number);
	error = say(talk, words, strlen(words));
	while (!error) {
		do
			error = hear(talk, &byte);
		while (!error && byte != MARK);
		if (!error)
			error = hear_line(talk, line, sizeof line, &length);
		if (error == MULL_BAD_ANSWER) /* of another */
			error = MULL_OK;
		remove_blanks(line);
		if (!error && !strcmp(line, wanted))
			return MULL_OK;
	}
	return error;
}

int mull_agent(struct mull *mull, uint32_t vm, const char *request,
	       double seconds, char *answer, size_t room)
{
	struct talk talk = { .mull = mull,
			     .vm = vm,
			     .limit = mull_clock() + seconds };
	size_t length;
	int error = mull_stream_read(mull, vm, MULL_STREAM_AGENT, UINT64_MAX,
				     &talk.answer);

	answer[0] = 0;
	talk.position = talk.answer.value;
	talk.answer.length = 0;
	if (!error)
		error = synchronize(&talk);
	if (!error)
		error = say(&talk, request, strlen(request));
	if (!error)
		error = say(&talk, "\n", 1);
	if (!error)
		error = hear_line(&talk, answer, room, &length);
	if (!error && strlen(answer) != length)
		return mull_fail(mull, MULL_BAD_ANSWER,
				 "the guest's agent answers with a zero byte");
	return error;
}
