/* SPDX-License-Identifier: MIT */
/*
 * Frames of <mullion/channel.h> on the wire: the encoder, and a decoder that
 * takes the line's bytes as they come and tells frames from plain text.
 * Pure and without allocation: compiled into hypervisor and tools.
 */
#ifndef MULLION_FRAME_H
#define MULLION_FRAME_H

#include <mullion/channel.h>
#include <stdalign.h>
#include <stddef.h>

/* Header, payload and CRC-32; COBS adds a byte for each 254 and one more. */
#define FRAME_RAW_MAX \
	(sizeof(struct mull_frame_header) + MULL_FRAME_PAYLOAD_MAX + 4)
#define FRAME_COBS_MAX (FRAME_RAW_MAX + FRAME_RAW_MAX / 254 + 1)
#define FRAME_WIRE_MAX (FRAME_COBS_MAX + 2)

/*
 * frame_encode - put one frame with its two zero bytes at @wire
 * @wire: room for FRAME_WIRE_MAX bytes
 *
 * Returns the bytes used, or 0 when @length exceeds MULL_FRAME_PAYLOAD_MAX.
 */
size_t frame_encode(const struct mull_frame_header *header, const void *payload,
		    size_t length, uint8_t *wire);

/* A frame whose checksum is right; @payload is 8-byte aligned and gone after
 * the call.  Its type and its length for that type are still unchecked. */
typedef void frame_on_frame(void *context,
			    const struct mull_frame_header *header,
			    const void *payload, size_t length);
/* Bytes, none of them zero, that were not part of a frame. */
typedef void frame_on_text(void *context, const void *text, size_t length);

/* Set the callbacks and context, everything else zero. */
struct frame_decoder {
	frame_on_frame *on_frame;
	frame_on_text *on_text; /* may be NULL: text is dropped */
	void *context;
	uint32_t damaged;      /* candidates that failed their checksum */
	uint32_t held;	       /* bytes in @wire */
	uint8_t between_zeros; /* a zero came: a frame may follow */
	alignas(8) uint8_t raw[FRAME_RAW_MAX];
	uint8_t wire[FRAME_COBS_MAX]; /* last: @raw's bounds are sanitized */
};

/*
 * frame_decode - take @length bytes of the line, any number at a time
 *
 * Text is handed on within this call: only what still can become a frame is
 * held back, and the second byte after a zero already tells.  So whoever
 * writes plain text over a line with frames (a panic) sends a zero byte
 * first; it ends a frame cut short, and the text shows at once.  The bytes of
 * a damaged frame are handed on as text.
 */
void frame_decode(struct frame_decoder *decoder, const void *bytes,
		  size_t length);

/* The line has ended or was quiet for long: hands on what is held, as text. */
void frame_decoder_flush(struct frame_decoder *decoder);

#endif
