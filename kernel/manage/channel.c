/* SPDX-License-Identifier: MIT */
/*
 * Lines carry frames of <mullion/channel.h>.  Replies and events go first;
 * consoles and the log take turns, a short piece each.  A reply goes to the
 * line that has asked.
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
#define PENDING_MS 500 /* so often is told that a request is being done */

static struct channel {
	enum manage_line line;
	uint32_t sequence; /* of the next frame that is sent */
	uint32_t last_source;
	bool greeting;	  /* HELLO is due */
	uint64_t tell_at; /* the last one's, if it is pending; arch_time() */
	struct replies {
		struct answer queue[REPLIES_MAX];
		uint32_t first, count; /* the last one may be pending */
	} replies;
	/* Bytes that came and stand behind a request that is pending. */
	struct held {
		uint8_t bytes[LINE_RECEIVE_MAX];
		size_t first, length;
	} held;
	struct frame_decoder decoder;
} channels[LINES];

static struct answer *last_answer(struct replies *replies)
{
	return &replies->queue[(replies->first + replies->count - 1) %
			       REPLIES_MAX];
}

static bool is_pending(struct channel *channel)
{
	return channel->replies.count &&
	       last_answer(&channel->replies)->pending;
}

/* ---- sending ------------------------------------------------------------ */

static size_t make_frame(struct channel *channel, enum mull_frame_type type,
			 uint32_t stream, const void *payload, size_t length,
			 uint8_t *wire)
{
	struct mull_frame_header header = {
		.version = MULL_CHANNEL_VERSION,
		.type = (uint8_t)type,
		.stream = (uint16_t)stream,
		.sequence = channel->sequence++,
	};

	return frame_encode(&header, payload, length, wire);
}

void channel_greet(enum manage_line line)
{
	channels[line].greeting = true;
}

static size_t make_hello(struct channel *channel, uint8_t *wire)
{
	struct mull_hello hello = {
		.version = MULL_VERSION,
		.cpu_count = arch_cpu_count(),
		.vm_count = console_count(),
		.memory_free = frames_free() * FRAME_SIZE,
	};

	channel->greeting = false;
	return make_frame(channel, MULL_FRAME_HELLO, MULL_STREAM_HYPERVISOR,
			  &hello, sizeof hello, wire);
}

static bool reply_waits(const struct replies *replies)
{
	return replies->count && !replies->queue[replies->first].pending;
}

static size_t make_reply(struct channel *channel, uint8_t *wire)
{
	struct replies *replies = &channel->replies;
	const struct answer *answer = &replies->queue[replies->first];
	uint8_t payload[MULL_FRAME_PAYLOAD_MAX];

	memcpy(payload, &answer->reply, sizeof answer->reply);
	memcpy(payload + sizeof answer->reply, answer->data, answer->length);
	replies->first = (replies->first + 1) % REPLIES_MAX;
	replies->count--;
	return make_frame(channel, MULL_FRAME_REPLY, MULL_STREAM_HYPERVISOR,
			  payload, sizeof answer->reply + answer->length, wire);
}

/* The client shall wait, and not ask again: the answer takes its time. */
static size_t make_pending(struct channel *channel, uint8_t *wire)
{
	const struct answer *answer = last_answer(&channel->replies);
	struct mull_reply record = { .sequence = answer->reply.sequence };

	channel->tell_at = arch_time() + arch_time_ms(PENDING_MS);
	return make_frame(channel, MULL_FRAME_PENDING, MULL_STREAM_HYPERVISOR,
			  &record, sizeof record, wire);
}

static size_t make_log(struct channel *channel, uint8_t *wire)
{
	char text[LOG_PIECE];
	size_t length = 0;

	while (sizeof text - length >= LOG_LINE_MAX) {
		size_t line = log_take((enum log_reader)channel->line,
				       text + length, sizeof text - length);

		if (!line)
			break;
		length += line;
	}
	return !length ? 0 :
			 make_frame(channel, MULL_FRAME_LOG,
				    MULL_STREAM_HYPERVISOR, text, length, wire);
}

static size_t make_console(struct channel *channel, uint32_t stream,
			   uint8_t *wire)
{
	struct console *console = console_of(stream);
	uint8_t bytes[CONSOLE_PIECE];
	size_t length;

	if (!console || !console_ready(console, channel->line))
		return 0;
	length = console_fetch(console, channel->line, bytes, sizeof bytes,
			       false);
	return make_frame(channel, MULL_FRAME_CONSOLE, stream, bytes, length,
			  wire);
}

size_t channel_next(enum manage_line line, uint8_t *wire)
{
	struct channel *channel = &channels[line];
	uint32_t source = channel->last_source;
	struct mull_event event;
	uint16_t stream;

	channel->line = line;
	if (channel->greeting)
		return make_hello(channel, wire);
	if (reply_waits(&channel->replies))
		return make_reply(channel, wire);
	if (is_pending(channel) && arch_time() >= channel->tell_at)
		return make_pending(channel, wire);
	if (event_take(line, &stream, &event))
		return make_frame(channel, MULL_FRAME_EVENT, stream, &event,
				  sizeof event, wire);
	for (uint32_t i = source_count(line); i; i--) {
		size_t length;

		source = source_behind(line, source);
		length = source == SOURCE_LOG ?
				 make_log(channel, wire) :
				 make_console(channel, source, wire);
		if (length) {
			channel->last_source = source;
			return length;
		}
	}
	return 0;
}

/* ---- receiving ---------------------------------------------------------- */

/* One request at a time, of all lines. */
static bool may_obey(void)
{
	return !request_is_pending() && !manage_ends();
}

static struct answer *next_answer(struct channel *channel)
{
	ASSERT(channel->replies.count < REPLIES_MAX);
	channel->replies.count++;
	return last_answer(&channel->replies);
}

static void reply(struct channel *channel, uint32_t sequence, enum error error)
{
	struct answer *answer = next_answer(channel);

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
	struct channel *channel = context;
	enum error error;

	if (header->type < MULL_FRAME_INPUT)
		return;
	if (header->type == MULL_FRAME_INPUT) {
		error = console_type(header->stream, payload, length);
		if (error)
			reply(channel, header->sequence, error);
	} else if (header->type == MULL_FRAME_REQUEST) {
		request_obey(channel->line, header->sequence, payload, length,
			     next_answer(channel));
		channel->tell_at = arch_time() + arch_time_ms(PENDING_MS);
	} else if (header->type == MULL_FRAME_UPLOAD_DATA) {
		request_take_data(header->sequence, header->stream, payload,
				  length, next_answer(channel));
	} else {
		reply(channel, header->sequence, ERR_BAD_REQUEST);
	}
}

static void decode_held(struct channel *channel)
{
	struct frame_decoder *decoder = &channel->decoder;
	struct held *held = &channel->held;
	uint32_t damaged = decoder->damaged;

	decoder->on_frame = obey;
	decoder->context = channel;
	while (held->length && may_obey()) {
		frame_decode(decoder, held->bytes + held->first++, 1);
		held->length--;
	}
	if (decoder->damaged != damaged &&
	    log_allowed(LOG_SOURCE_CHANNEL, "channel"))
		log_write("channel: a damaged frame is dropped, %u so far",
			  decoder->damaged);
}

/* A request that waits for another CPU keeps what comes behind it waiting. */
bool channel_has_room(enum manage_line line)
{
	struct channel *channel = &channels[line];

	channel->line = line;
	if (is_pending(channel))
		request_continue(last_answer(&channel->replies));
	if (may_obey() && channel->held.length)
		decode_held(channel);
	return REPLIES_MAX - channel->replies.count >= REPLIES_A_TIME &&
	       may_obey() && !channel->held.length;
}

void channel_receive(enum manage_line line, const uint8_t *bytes, size_t length)
{
	struct channel *channel = &channels[line];
	struct held *held = &channel->held;

	ASSERT(!held->length && length <= sizeof held->bytes);
	memcpy(held->bytes, bytes, length);
	held->first = 0;
	held->length = length;
	decode_held(channel);
}

void channel_forget(enum manage_line line)
{
	struct channel *channel = &channels[line];
	struct replies *replies = &channel->replies;
	bool pending = is_pending(channel);

	/* What is under way must come to its end; nobody knows its reply. */
	if (pending)
		replies->first = (replies->first + replies->count - 1) %
				 REPLIES_MAX;
	replies->count = pending;
	channel->held.length = 0;
	channel->greeting = false;
	channel->decoder = (struct frame_decoder){ .on_frame = obey };
}
