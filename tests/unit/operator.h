/* SPDX-License-Identifier: MIT */
/* The operator's end of the channel: what was heard, and asking. */
#ifndef TESTS_OPERATOR_H
#define TESTS_OPERATOR_H

#include "tests/unit/fake_line.h"
#include <stdio.h>

/* ---- the operator's end -------------------------------------------------- */

static struct heard {
	struct mull_frame_header header;
	size_t length;
	union {
		uint8_t bytes[MULL_FRAME_PAYLOAD_MAX];
		struct mull_hello hello;
		struct mull_event event;
		struct mull_reply reply;
	};
} heard[2048];
static uint32_t heard_count;
static char plain[1024]; /* text that was no frame */
static size_t plain_length;
static char printed[2][65536]; /* what came of each console */
static size_t printed_length[2];
static char logged[65536];
static size_t logged_length;
static bool sequence_known;
static uint32_t next_sequence;

static inline void add(char *to, size_t size, size_t *at, const void *from,
		       size_t length)
{
	assert_true(length < size - *at);
	memcpy(to + *at, from, length);
	*at += length;
	to[*at] = '\0';
}

static inline void hear(void *context, const struct mull_frame_header *header,
			const void *payload, size_t length)
{
	struct heard *frame = &heard[heard_count++];

	(void)context;
	assert_true(heard_count < ARRAY_COUNT(heard));
	/* Not one frame is lost, and none comes twice. */
	if (sequence_known)
		assert_int_equal(header->sequence, next_sequence);
	sequence_known = true;
	next_sequence = header->sequence + 1;
	frame->header = *header;
	frame->length = length;
	memcpy(frame->bytes, payload, length);
	if (header->type == MULL_FRAME_LOG)
		add(logged, sizeof logged, &logged_length, payload, length);
	if (header->type == MULL_FRAME_CONSOLE) {
		assert_in_range(header->stream, 0, 1);
		assert_in_range(length, 1, CONSOLE_PIECE);
		add(printed[header->stream], sizeof printed[0],
		    &printed_length[header->stream], payload, length);
	}
}

static inline void hear_text(void *context, const void *text, size_t length)
{
	(void)context;
	add(plain, sizeof plain, &plain_length, text, length);
}

static struct frame_decoder ears = { .on_frame = hear, .on_text = hear_text };

static uint8_t late[FRAME_WIRE_MAX]; /* comes while the service sends */
static size_t late_length;

static inline void on_wire(uint8_t byte)
{
	size_t length = late_length;

	frame_decode(&ears, &byte, 1);
	late_length = 0;
	if (length)
		incoming(late, length);
}

static uint32_t sent_sequence = 1000;

static inline size_t encode(uint8_t type, uint16_t stream, const void *payload,
			    size_t length, uint8_t *to)
{
	struct mull_frame_header header = { .version = MULL_CHANNEL_VERSION,
					    .type = type,
					    .stream = stream,
					    .sequence = ++sent_sequence };

	return frame_encode(&header, payload, length, to);
}

static inline void send(uint8_t type, uint16_t stream, const void *payload,
			size_t length)
{
	uint8_t frame[FRAME_WIRE_MAX];

	incoming(frame, encode(type, stream, payload, length, frame));
}

static inline void forget_heard(void)
{
	heard_count = 0;
	plain_length = logged_length = 0;
	printed_length[0] = printed_length[1] = 0;
	plain[0] = logged[0] = printed[0][0] = printed[1][0] = '\0';
}

static inline int fresh(void **unused)
{
	(void)unused;
	frame_decoder_flush(&ears);
	sequence_known = false;
	begin(MULL_SERIAL_CHANNEL, 2);
	serve(200);
	forget_heard();
	return 0;
}

/* The reply to what was sent last. */
static inline uint32_t answer(void)
{
	for (uint32_t i = 0; i < heard_count; i++) {
		const struct heard *frame = &heard[i];

		if (frame->header.type != MULL_FRAME_REPLY ||
		    frame->reply.sequence != sent_sequence)
			continue;
		assert_true(frame->length >= sizeof frame->reply);
		/* An error has words. */
		assert_true(!frame->reply.error ||
			    frame->length > sizeof frame->reply);
		assert_int_equal(frame->header.stream, MULL_STREAM_HYPERVISOR);
		return frame->reply.error;
	}
	return UINT32_MAX;
}

static inline uint32_t ask(uint32_t command, uint32_t vm, uint64_t argument)
{
	struct mull_request request = { command, vm, argument };

	send(MULL_FRAME_REQUEST, MULL_STREAM_HYPERVISOR, &request,
	     sizeof request);
	serve(50);
	return answer();
}

static inline uint32_t count_of(enum mull_frame_type type)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < heard_count; i++)
		count += heard[i].header.type == type;
	return count;
}

static inline const struct heard *last_event(uint16_t vm)
{
	for (uint32_t i = heard_count; i--;)
		if (heard[i].header.type == MULL_FRAME_EVENT &&
		    heard[i].header.stream == vm)
			return &heard[i];
	fail_msg("no event of VM %u", vm);
	return NULL;
}

#define TEST(name) cmocka_unit_test_setup(name, fresh)

static uint32_t flooder; /* VM */

static inline void flood(void)
{
	while (print(flooder, "spam and ham and eggs and so on\n"))
		;
}

#endif
