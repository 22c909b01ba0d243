/* SPDX-License-Identifier: MIT */
/*
 * The line carries frames of <mullion/channel.h>.  Replies and events go
 * first; consoles and the log take turns, a short piece each.
 */
#include "request.h"
#include "service.h"
#include <mullion/arch.h>
#include <mullion/bits.h>
#include <mullion/frame_pool.h>
#include <string.h>

/* A client leaves at most 8 requests without their replies. */
#define REPLIES_MAX 16
/* What LINE_RECEIVE_MAX bytes can ask for: the shortest frame has 14. */
#define REPLIES_A_TIME 5
#define LOG_PIECE (2 * LOG_LINE_MAX)

static struct {
	struct answer queue[REPLIES_MAX];
	uint32_t first, count; /* the last one may be pending */
} replies;

static bool greeting; /* HELLO is due */

/* ---- sending ------------------------------------------------------------ */

static size_t make_frame(enum mull_frame_type type, uint32_t stream,
			 const void *payload, size_t length, uint8_t *wire)
{
	static uint32_t sequence;
	struct mull_frame_header header = {
		.version = MULL_CHANNEL_VERSION,
		.type = (uint8_t)type,
		.stream = (uint16_t)stream,
		.sequence = sequence++,
	};

	return frame_encode(&header, payload, length, wire);
}

void channel_greet(void)
{
	greeting = true;
}

static size_t make_hello(uint8_t *wire)
{
	struct mull_hello hello = {
		.version = MULL_VERSION,
		.cpu_count = arch_cpu_count(),
		.vm_count = console_count(),
		.memory_free = frames_free() * FRAME_SIZE,
	};

	greeting = false;
	return make_frame(MULL_FRAME_HELLO, MULL_STREAM_HYPERVISOR, &hello,
			  sizeof hello, wire);
}

static bool reply_waits(void)
{
	return replies.count && !replies.queue[replies.first].pending;
}

static size_t make_reply(uint8_t *wire)
{
	const struct answer *answer = &replies.queue[replies.first];
	uint8_t payload[MULL_FRAME_PAYLOAD_MAX];

	memcpy(payload, &answer->reply, sizeof answer->reply);
	memcpy(payload + sizeof answer->reply, answer->data, answer->length);
	replies.first = (replies.first + 1) % REPLIES_MAX;
	replies.count--;
	return make_frame(MULL_FRAME_REPLY, MULL_STREAM_HYPERVISOR, payload,
			  sizeof answer->reply + answer->length, wire);
}

static size_t make_log(uint8_t *wire)
{
	char text[LOG_PIECE];
	size_t length = 0;

	while (sizeof text - length >= LOG_LINE_MAX) {
		size_t line = log_take(LOG_SERIAL, text + length,
				       sizeof text - length);

		if (!line)
			break;
		length += line;
	}
	return !length ? 0 :
			 make_frame(MULL_FRAME_LOG, MULL_STREAM_HYPERVISOR,
				    text, length, wire);
}

static size_t make_console(uint32_t stream, uint8_t *wire)
{
	struct console *console = console_of(stream);
	uint8_t bytes[CONSOLE_PIECE];
	size_t length;

	if (!console || !console_ready(console))
		return 0;
	length = console_fetch(console, bytes, sizeof bytes, false);
	return make_frame(MULL_FRAME_CONSOLE, stream, bytes, length, wire);
}

size_t channel_next(uint8_t *wire)
{
	static uint32_t last_source;
	struct mull_event event;
	uint16_t stream;

	if (greeting)
		return make_hello(wire);
	if (reply_waits())
		return make_reply(wire);
	if (event_take(&stream, &event))
		return make_frame(MULL_FRAME_EVENT, stream, &event,
				  sizeof event, wire);
	for (uint32_t i = 1; i <= SOURCES; i++) {
		uint32_t source = (last_source + i) % SOURCES;
		size_t length = source == SOURCE_LOG ?
					make_log(wire) :
					make_console(source, wire);

		if (length) {
			last_source = source;
			return length;
		}
	}
	return 0;
}

/* ---- receiving ---------------------------------------------------------- */

static struct answer *last_answer(void)
{
	return &replies.queue[(replies.first + replies.count - 1) %
			      REPLIES_MAX];
}

static bool is_pending(void)
{
	return replies.count && last_answer()->pending;
}

static bool may_obey(void)
{
	return !is_pending() && !manage_ends();
}

static struct answer *next_answer(void)
{
	ASSERT(replies.count < REPLIES_MAX);
	replies.count++;
	return last_answer();
}

static void reply(uint32_t sequence, enum error error)
{
	struct answer *answer = next_answer();

	answer->reply = (struct mull_reply){ .sequence = sequence,
					     .error = error };
	answer->pending = false;
	answer_words(answer, error, "%s", error_text(error));
}

/* Every request is answered, and what cannot be understood too; but not what
 * only the hypervisor sends: a line that echoes would never be quiet again. */
static void obey(void *context, const struct mull_frame_header *header,
		 const void *payload, size_t length)
{
	enum error error;

	(void)context;
	if (header->type < MULL_FRAME_INPUT)
		return;
	if (header->type == MULL_FRAME_INPUT) {
		error = console_type(header->stream, payload, length);
		if (error)
			reply(header->sequence, error);
	} else if (header->type == MULL_FRAME_REQUEST) {
		request_obey(header->sequence, payload, length, next_answer());
	} else if (header->type == MULL_FRAME_UPLOAD_DATA) {
		request_take_data(header->sequence, header->stream, payload,
				  length, next_answer());
	} else {
		reply(header->sequence, ERR_BAD_REQUEST);
	}
}

/* Bytes that came and stand behind a request that is still pending. */
static struct {
	uint8_t bytes[LINE_RECEIVE_MAX];
	size_t first, length;
} held;

static void decode_held(void)
{
	static struct frame_decoder decoder = { .on_frame = obey };
	uint32_t damaged = decoder.damaged;

	while (held.length && may_obey()) {
		frame_decode(&decoder, held.bytes + held.first++, 1);
		held.length--;
	}
	if (decoder.damaged != damaged &&
	    log_allowed(LOG_SOURCE_CHANNEL, "channel"))
		log_write("channel: a damaged frame is dropped, %u so far",
			  decoder.damaged);
}

/* A request that waits for another CPU keeps what comes behind it waiting. */
bool channel_has_room(void)
{
	if (is_pending())
		request_continue(last_answer());
	if (!is_pending() && held.length)
		decode_held();
	return REPLIES_MAX - replies.count >= REPLIES_A_TIME && may_obey() &&
	       !held.length;
}

void channel_receive(const uint8_t *bytes, size_t length)
{
	ASSERT(!held.length && length <= sizeof held.bytes);
	memcpy(held.bytes, bytes, length);
	held.first = 0;
	held.length = length;
	decode_held();
}
