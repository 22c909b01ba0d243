/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <mullion/crc32.h>
#include <mullion/frame.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the decoder handed on: "F<type>/<length>;" a frame, text as it is. */
struct heard {
	char story[8192];
	size_t length;
	uint8_t payload[MULL_FRAME_PAYLOAD_MAX];
	struct mull_frame_header header;
};

static void hear(struct heard *heard, const void *bytes, size_t length)
{
	assert_true(length < sizeof heard->story - heard->length);
	memcpy(heard->story + heard->length, bytes, length);
	heard->length += length;
}

static void on_text(void *context, const void *text, size_t length)
{
	assert_null(memchr(text, 0, length));
	hear(context, text, length);
}

static void on_frame(void *context, const struct mull_frame_header *header,
		     const void *payload, size_t length)
{
	struct heard *heard = context;
	char note[32];

	assert_int_equal((uintptr_t)payload % 8, 0);
	heard->header = *header;
	memcpy(heard->payload, payload, length);
	sprintf(note, "F%d/%zu;", header->type, length);
	hear(heard, note, strlen(note));
}

static struct heard heard;
static struct frame_decoder decoder;
static uint8_t wire[4 * FRAME_WIRE_MAX];

static int fresh(void **state)
{
	(void)state;
	heard = (struct heard){ 0 };
	decoder = (struct frame_decoder){ .on_frame = on_frame,
					  .on_text = on_text,
					  .context = &heard };
	return 0;
}

static size_t encode(uint8_t type, const void *payload, size_t length,
		     uint8_t *to)
{
	struct mull_frame_header header = { .version = MULL_CHANNEL_VERSION,
					    .type = type,
					    .stream = 3,
					    .sequence = 0x01000200 };

	return frame_encode(&header, payload, length, to);
}

static void each_length_and_filling_comes_back(void **state)
{
	static const int fills[] = { 0, 1, 0xff, -1 /* random */ };
	uint8_t payload[MULL_FRAME_PAYLOAD_MAX];

	for (size_t length = 0; length <= sizeof payload; length++) {
		for (size_t fill = 0; fill < 4; fill++) {
			size_t size;
			char note[32];

			for (size_t i = 0; i < length; i++)
				payload[i] = (uint8_t)(fills[fill] < 0 ?
							       rand() :
							       fills[fill]);
			fresh(state);
			size = encode(4, payload, length, wire);
			assert_true(size && size <= FRAME_WIRE_MAX);
			assert_null(memchr(wire + 1, 0, size - 2));
			assert_int_equal(wire[0] | wire[size - 1], 0);
			frame_decode(&decoder, wire, size);
			sprintf(note, "F4/%zu;", length);
			assert_string_equal(heard.story, note);
			assert_memory_equal(heard.payload, payload, length);
			assert_int_equal(heard.header.sequence, 0x01000200);
			assert_int_equal(heard.header.stream, 3);
		}
	}
}

static void payload_too_long_is_refused(void **state)
{
	static uint8_t payload[MULL_FRAME_PAYLOAD_MAX + 1];

	(void)state;
	assert_int_equal(encode(1, payload, sizeof payload, wire), 0);
}

static void text_and_frames_byte_by_byte(void **state)
{
	size_t size;

	(void)state;
	memcpy(wire, "Firmware\n", 9);
	size = 9 + encode(1, "hello", 5, wire + 9);
	size += encode(2, "", 0, wire + size);
	memcpy(wire + size, "panic", 5);
	size += 5;
	for (size_t i = 0; i < size; i++)
		frame_decode(&decoder, wire + i, 1);
	assert_string_equal(heard.story, "Firmware\nF1/5;F2/0;panic");
}

static void text_is_not_held_back(void **state)
{
	(void)state;
	frame_decode(&decoder, "a", 1);
	assert_string_equal(heard.story, "a");
	/* a frame cut short, a zero, and a panic's words */
	encode(2, "0123456789", 10, wire);
	frame_decode(&decoder, wire, 12);
	assert_string_equal(heard.story, "a");
	frame_decode(&decoder, "\0PANIC", 6);
	assert_non_null(strstr(heard.story, "PANIC"));
	assert_int_equal(decoder.damaged, 1);
}

static void each_damaged_bit_is_noticed(void **state)
{
	size_t size = encode(17, "request that matters", 20, wire);

	for (size_t bit = 0; bit < size * 8; bit++) {
		fresh(state);
		wire[bit / 8] ^= (uint8_t)(1 << bit % 8);
		frame_decode(&decoder, wire, size);
		assert_null(strstr(heard.story, "F17/"));
		wire[bit / 8] ^= (uint8_t)(1 << bit % 8);
		/* the line is right again two frames later, at most */
		frame_decode(&decoder, wire, size);
		frame_decode(&decoder, wire, size);
		assert_non_null(strstr(heard.story, "F17/20;"));
	}
}

static void lost_bytes_cost_one_frame(void **state)
{
	size_t size = encode(2, "zero\0in it", 10, wire);

	for (size_t lost = 0; lost < size; lost++) {
		fresh(state);
		frame_decode(&decoder, wire, lost);
		frame_decode(&decoder, wire + lost + 1, size - lost - 1);
		frame_decode(&decoder, wire, size);
		frame_decode(&decoder, wire, size);
		assert_non_null(strstr(heard.story, "F2/10;"));
	}
}

/* As docs/protocol.md allows, and as it is when a byte lost was that zero. */
static void frames_may_share_a_zero(void **state)
{
	struct mull_frame_header header = { 1, 1, 0, 0 };
	size_t length = frame_encode(&header, "one", 3, wire) - 1;

	header.type = 2;
	length += frame_encode(&header, "three", 5, wire + length);
	(void)state;
	frame_decode(&decoder, wire, length);
	frame_decode(&decoder, "text", 4);
	assert_string_equal(heard.story, "F1/3;F2/5;text");
}

static void noise_without_end_is_bounded(void **state)
{
	uint8_t noise[FRAME_COBS_MAX + 100];

	(void)state;
	memset(noise, 1, sizeof noise);
	noise[0] = 2; /* looks like a frame from here on */
	frame_decode(&decoder, "", 1);
	frame_decode(&decoder, noise, sizeof noise);
	assert_int_equal(heard.length, sizeof noise);
	assert_memory_equal(heard.story, noise, sizeof noise);
	assert_int_equal(decoder.held, 0);
}

static void frame_too_long_is_no_frame(void **state)
{
	uint8_t cobs[FRAME_COBS_MAX];
	uint8_t long_block[FRAME_COBS_MAX];

	(void)state;
	/* blocks that decode to more than the largest frame: all zeros */
	memset(cobs, 1, sizeof cobs);
	cobs[0] = 2;
	frame_decode(&decoder, "", 1);
	frame_decode(&decoder, cobs, sizeof cobs);
	frame_decode(&decoder, "", 1);
	/* a block that reaches over the end */
	memset(long_block, 0xff, sizeof long_block);
	long_block[1] = MULL_CHANNEL_VERSION;
	frame_decode(&decoder, long_block, 100);
	frame_decode(&decoder, "", 1);
	assert_null(strstr(heard.story, "F"));
	assert_int_equal(decoder.damaged, 2);
}

/* The bytes that the last frame left behind complete this one; its last block
 * is a full one, after which no zero is added. */
static void block_over_the_end_is_no_frame(void **state)
{
	uint8_t payload[249];
	size_t size;

	(void)state;
	memset(payload, 'x', sizeof payload);
	size = encode(2, payload, sizeof payload, wire);
	assert_int_equal(wire[size - 1 - 255], 0xff);
	frame_decode(&decoder, wire, size);
	frame_decode(&decoder, wire, size - 2);
	frame_decode(&decoder, "", 1);
	assert_int_equal(decoder.damaged, 1);
}

/* @size bytes and their CRC-32, which hold only few bytes that are not zero */
static void send_raw(const uint8_t *bytes, size_t size)
{
	uint32_t crc = crc32_ieee(0, bytes, size);
	uint8_t raw[FRAME_RAW_MAX + 8], cobs[FRAME_RAW_MAX + 9];
	size_t code = 0;

	memcpy(raw, bytes, size);
	memcpy(raw + size, &crc, 4);
	size += 4;
	for (size_t i = 0; i <= size; i++) {
		cobs[i + 1] = i < size ? raw[i] : 0;
		if (!cobs[i + 1]) {
			cobs[code] = (uint8_t)(i + 1 - code);
			code = i + 1;
		}
	}
	frame_decode(&decoder, "", 1);
	frame_decode(&decoder, cobs, size + 1);
	frame_decode(&decoder, "", 1);
}

static void right_checksum_of_a_wrong_size_is_no_frame(void **state)
{
	static uint8_t bytes[FRAME_RAW_MAX] = { MULL_CHANNEL_VERSION, 2 };
	size_t header = sizeof(struct mull_frame_header);

	(void)state;
	send_raw(bytes, header);
	assert_string_equal(heard.story, "F2/0;");
	send_raw(bytes, header - 1);
	send_raw(bytes, FRAME_RAW_MAX - 4 + 1);
	send_raw(bytes, FRAME_RAW_MAX - 4 + 4);
	assert_int_equal(decoder.damaged, 3);
	send_raw(bytes, FRAME_RAW_MAX - 4);
	assert_non_null(strstr(heard.story, "F2/1024;"));
}

static void flush_hands_on_what_is_held(void **state)
{
	(void)state;
	frame_decode(&decoder, "\0\x05\x01xy", 5);
	assert_int_equal(heard.length, 0);
	frame_decoder_flush(&decoder);
	assert_string_equal(heard.story, "\x05\x01xy");
	frame_decode(&decoder, "z", 1);
	assert_string_equal(heard.story, "\x05\x01xyz");
}

static void random_bytes_give_no_frame(void **state)
{
	uint8_t noise[4096];

	(void)state;
	srand(11);
	for (size_t i = 0; i < sizeof noise; i++)
		noise[i] = (uint8_t)(rand() % 5);
	decoder.on_text = NULL;
	frame_decode(&decoder, noise, sizeof noise);
	assert_int_equal(heard.length, 0);
	assert_true(decoder.damaged > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(each_length_and_filling_comes_back,
				       fresh),
		cmocka_unit_test_setup(payload_too_long_is_refused, fresh),
		cmocka_unit_test_setup(text_and_frames_byte_by_byte, fresh),
		cmocka_unit_test_setup(text_is_not_held_back, fresh),
		cmocka_unit_test_setup(each_damaged_bit_is_noticed, fresh),
		cmocka_unit_test_setup(lost_bytes_cost_one_frame, fresh),
		cmocka_unit_test_setup(frames_may_share_a_zero, fresh),
		cmocka_unit_test_setup(noise_without_end_is_bounded, fresh),
		cmocka_unit_test_setup(frame_too_long_is_no_frame, fresh),
		cmocka_unit_test_setup(block_over_the_end_is_no_frame, fresh),
		cmocka_unit_test_setup(
			right_checksum_of_a_wrong_size_is_no_frame, fresh),
		cmocka_unit_test_setup(flush_hands_on_what_is_held, fresh),
		cmocka_unit_test_setup(random_bytes_give_no_frame, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
