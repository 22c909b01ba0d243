/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as the line of the management channel.  The input says how frames,
 * text and line noise follow one another; the decoder must then
 *  - hand on what a second decoder finds, written from docs/protocol.md,
 *  - hand it on whatever the pieces in which the bytes come,
 *  - leave no byte out but the zeros and the frames themselves.
 * Build: make build/fuzz/fuzz_frame
 */
#include <mullion/crc32.h>
#include <mullion/frame.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition) ((condition) ? (void)0 : abort())
#define LINE_MAX 4096
#define HEADER_SIZE sizeof(struct mull_frame_header)

/* ---- what the line carries ----------------------------------------------- */

struct input {
	const uint8_t *at, *end;
};

static uint8_t take(struct input *input)
{
	return input->at < input->end ? *input->at++ : 0;
}

struct line {
	size_t length;
	uint8_t bytes[LINE_MAX];
};

static void put(struct line *line, const void *bytes, size_t length)
{
	if (length > LINE_MAX - line->length)
		length = LINE_MAX - line->length;
	memcpy(line->bytes + line->length, bytes, length);
	line->length += length;
}

static void put_run(struct line *line, uint8_t byte, size_t length)
{
	uint8_t run[2048];

	memset(run, byte, sizeof run);
	put(line, run, length % sizeof run);
}

/* Lengths around the ends of COBS's blocks and of the longest payload. */
static size_t take_length(struct input *input)
{
	static const uint16_t edges[] = { 0,   1,   241, 242,  243,
					  496, 750, 751, 1023, 1024 };
	uint8_t byte = take(input);

	if (byte & 0x80)
		return edges[byte % (sizeof edges / sizeof *edges)];
	return byte;
}

static size_t make_frame(struct input *input, uint8_t *wire)
{
	struct mull_frame_header header = {
		.version = take(input) & 1 ? MULL_CHANNEL_VERSION : take(input),
		.type = take(input),
		.sequence = take(input),
	};
	uint8_t payload[MULL_FRAME_PAYLOAD_MAX];
	size_t length = take_length(input);
	uint8_t step = take(input), value = take(input);

	for (size_t i = 0; i < length; i++, value += step)
		payload[i] = value;
	return frame_encode(&header, payload, length, wire);
}

/* The frame as the line's noise left it. */
static void put_damaged(struct line *line, struct input *input, uint8_t how)
{
	uint8_t wire[FRAME_WIRE_MAX];
	size_t length = make_frame(input, wire);
	size_t place = (take(input) * 256u + take(input)) % length;

	switch (how) {
	case 0: /* a bit turned */
		wire[place] ^= (uint8_t)(1 << (take(input) & 7));
		put(line, wire, length);
		return;
	case 1: /* a byte lost */
		put(line, wire, place);
		put(line, wire + place + 1, length - place - 1);
		return;
	case 2: /* a byte doubled */
		put(line, wire, place + 1);
		put(line, wire + place, length - place);
		return;
	default: /* cut short */
		put(line, wire, place);
	}
}

static void put_next(struct line *line, struct input *input)
{
	uint8_t wire[FRAME_WIRE_MAX], operation = take(input) & 7;
	uint8_t byte;

	switch (operation) {
	case 0:
		put(line, "", 1);
		return;
	case 1:
		byte = take(input);
		put(line, &byte, 1);
		return;
	case 2:
		byte = take(input);
		put_run(line, byte, take(input) * 8u);
		return;
	case 3:
		put(line, wire, make_frame(input, wire));
		return;
	default:
		put_damaged(line, input, operation & 3);
	}
}

/* ---- what was heard ------------------------------------------------------ */

/* Frames and text in their order; text in one piece however it came. */
struct heard {
	size_t frames, text;
	size_t length;
	uint8_t story[2 * LINE_MAX];
};

static void tell(struct heard *heard, const void *bytes, size_t length)
{
	CHECK(length <= sizeof heard->story - heard->length);
	memcpy(heard->story + heard->length, bytes, length);
	heard->length += length;
}

static void on_text(void *context, const void *text, size_t length)
{
	struct heard *heard = context;

	CHECK(length && !memchr(text, 0, length));
	heard->text += length;
	tell(heard, text, length);
}

static void on_frame(void *context, const struct mull_frame_header *header,
		     const void *payload, size_t length)
{
	struct heard *heard = context;

	CHECK(length <= MULL_FRAME_PAYLOAD_MAX && (uintptr_t)payload % 8 == 0);
	heard->frames++;
	tell(heard, "", 1); /* text has no zero */
	tell(heard, &length, sizeof length);
	tell(heard, header, sizeof *header);
	tell(heard, payload, length);
}

/* ---- the second decoder --------------------------------------------------- */

/* The bytes without their zeros' places, or -1. */
static long undo_cobs(const uint8_t *in, size_t length, uint8_t *out)
{
	const uint8_t *end = in + length;
	long count = 0;

	while (in != end) {
		unsigned int code = *in++, data = code - 1;

		if (data > (size_t)(end - in))
			return -1;
		for (; data; data--)
			out[count++] = *in++;
		if (code != 0xff && in != end)
			out[count++] = 0;
	}
	return count;
}

/* A frame's header, payload and CRC from what stands between two zeros; the
 * bytes of its header and payload, or -1 if it is none. */
static long undo_frame(const uint8_t *in, size_t length, uint8_t *out)
{
	long count = undo_cobs(in, length, out);
	uint32_t crc;

	if (count < (long)HEADER_SIZE + 4 ||
	    count > (long)HEADER_SIZE + MULL_FRAME_PAYLOAD_MAX + 4)
		return -1;
	count -= 4;
	memcpy(&crc, out + count, 4);
	return crc32_ieee(0, out, (size_t)count) == crc ? count : -1;
}

/* As can be said in one sentence: between two zeros stands a frame if it
 * begins like one, is not too long, and its CRC is right. */
static void second_decode(const struct line *line, struct heard *heard)
{
	static uint8_t out[LINE_MAX];
	const uint8_t *at = line->bytes, *end = at + line->length;
	bool after_zero = false;

	while (at != end) {
		const uint8_t *zero = memchr(at, 0, (size_t)(end - at));
		size_t length = (size_t)((zero ? zero : end) - at);
		bool begins = after_zero && length && at[0] > 1 &&
			      (length < 2 || at[1] == MULL_CHANNEL_VERSION) &&
			      length <= FRAME_COBS_MAX;
		long count = begins && zero ? undo_frame(at, length, out) : -1;

		if (count >= 0)
			on_frame(heard, (void *)out, out + HEADER_SIZE,
				 (size_t)count - HEADER_SIZE);
		else if (length)
			on_text(heard, at, length);
		at += length;
		if (!zero)
			return;
		at++;
		after_zero = true;
	}
}

/* ---- the checks ----------------------------------------------------------- */

static void decode(const struct line *line, uint8_t piece, struct heard *heard)
{
	static struct frame_decoder decoder;
	size_t step;

	decoder = (struct frame_decoder){ .on_frame = on_frame,
					  .on_text = on_text,
					  .context = heard };
	for (size_t at = 0; at < line->length; at += step) {
		step = piece ? piece : line->length;
		if (step > line->length - at)
			step = line->length - at;
		frame_decode(&decoder, line->bytes + at, step);
		CHECK(decoder.held <= FRAME_COBS_MAX);
	}
	frame_decoder_flush(&decoder);
}

static void check_same(const struct heard *one, const struct heard *other)
{
	CHECK(one->length == other->length);
	CHECK(memcmp(one->story, other->story, one->length) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct line line;
	static struct heard whole, pieces, second;
	struct input input = { data, data + size };
	uint8_t piece = take(&input);

	line.length = whole.length = pieces.length = second.length = 0;
	while (input.at < input.end)
		put_next(&line, &input);
	decode(&line, 0, &whole);
	decode(&line, piece % 40 + 1, &pieces);
	second_decode(&line, &second);
	check_same(&whole, &pieces);
	check_same(&whole, &second);
	return 0;
}
