/* SPDX-License-Identifier: MIT */
#include <mullion/crc32.h>
#include <mullion/frame.h>
#include <string.h>

#define CRC_SIZE 4

/* ---- encoder ------------------------------------------------------------ */

/* Under way: @code is where the current block's length byte will go. */
struct cobs {
	uint8_t *out;
	size_t at;
	size_t code;
};

/* Copies of what is under way: a byte of @out could be a member of @cobs. */
static void cobs_put(struct cobs *cobs, const void *data, size_t length)
{
	const uint8_t *bytes = data;
	uint8_t *out = cobs->out;
	size_t at = cobs->at, code = cobs->code;

	for (size_t i = 0; i < length; i++) {
		/* A full block stands for 254 bytes without a zero. */
		if (at - code == 0xff) {
			out[code] = 0xff;
			code = at++;
		}
		out[at] = bytes[i];
		if (!bytes[i]) { /* its place is the next block's */
			out[code] = (uint8_t)(at - code);
			code = at;
		}
		at++;
	}
	cobs->at = at;
	cobs->code = code;
}

size_t frame_encode(const struct mull_frame_header *header, const void *payload,
		    size_t length, uint8_t *wire)
{
	struct cobs cobs = { .out = wire, .code = 1, .at = 2 };
	uint32_t crc;

	if (length > MULL_FRAME_PAYLOAD_MAX)
		return 0;
	crc = crc32_ieee(0, header, sizeof *header);
	crc = crc32_ieee(crc, payload, length);

	wire[0] = 0;
	cobs_put(&cobs, header, sizeof *header);
	cobs_put(&cobs, payload, length);
	cobs_put(&cobs, &crc, CRC_SIZE); /* little-endian, as the CPU is */
	wire[cobs.code] = (uint8_t)(cobs.at - cobs.code);
	wire[cobs.at] = 0;
	return cobs.at + 1;
}

/* ---- decoder ------------------------------------------------------------ */

/* Undoes COBS from @wire to @raw; returns the bytes there, 0 when the blocks
 * do not add up. */
static size_t cobs_decode(struct frame_decoder *decoder)
{
	size_t in = 0, out = 0, length = decoder->held;

	while (in < length) {
		size_t code = decoder->wire[in++];
		size_t data = code - 1;

		if (data > length - in || data > FRAME_RAW_MAX - out)
			return 0;
		memcpy(decoder->raw + out, decoder->wire + in, data);
		in += data;
		out += data;
		if (code == 0xff || in == length)
			continue;
		if (out == FRAME_RAW_MAX)
			return 0;
		decoder->raw[out++] = 0;
	}
	return out;
}

/* Plain text follows a zero, too, and must not wait for the next one: a frame
 * begins with its version, which is no zero and so stands after the code. */
static int can_become_frame(const struct frame_decoder *decoder)
{
	return decoder->wire[0] > 1 &&
	       (decoder->held < 2 || decoder->wire[1] == MULL_CHANNEL_VERSION);
}

void frame_decoder_flush(struct frame_decoder *decoder)
{
	size_t held = decoder->held;

	decoder->held = 0;
	decoder->between_zeros = 0;
	if (held && decoder->on_text)
		decoder->on_text(decoder->context, decoder->wire, held);
}

/* A zero ends the candidate that is held, and may open the next frame. */
static void end_candidate(struct frame_decoder *decoder)
{
	const struct mull_frame_header *header = (const void *)decoder->raw;
	size_t overhead = sizeof *header + CRC_SIZE;
	size_t length = cobs_decode(decoder);

	if (length >= overhead &&
	    crc32_ieee(0, decoder->raw, length) == CRC32_RESIDUE) {
		decoder->held = 0;
		decoder->on_frame(decoder->context, header, header + 1,
				  length - overhead);
		return;
	}
	decoder->damaged++;
	frame_decoder_flush(decoder);
	decoder->between_zeros = 1;
}

static void take_between_zeros(struct frame_decoder *decoder, uint8_t byte)
{
	if (byte == 0) {
		if (decoder->held)
			end_candidate(decoder);
		return;
	}
	if (decoder->held == FRAME_COBS_MAX) {
		decoder->damaged++;
		frame_decoder_flush(decoder);
		if (decoder->on_text)
			decoder->on_text(decoder->context, &byte, 1);
		return;
	}
	decoder->wire[decoder->held++] = byte;
	if (!can_become_frame(decoder))
		frame_decoder_flush(decoder);
}

void frame_decode(struct frame_decoder *decoder, const void *bytes,
		  size_t length)
{
	const uint8_t *at = bytes, *end = at + length;

	while (at < end) {
		const uint8_t *zero;
		size_t text;

		if (decoder->between_zeros) {
			take_between_zeros(decoder, *at++);
			continue;
		}
		zero = memchr(at, 0, (size_t)(end - at));
		text = (size_t)((zero ? zero : end) - at);
		if (text && decoder->on_text)
			decoder->on_text(decoder->context, at, text);
		decoder->between_zeros = zero != NULL;
		at += text + (zero != NULL);
	}
}
