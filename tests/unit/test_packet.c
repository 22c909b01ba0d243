/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <mullion/packet.h>
#include <string.h>

static union {
	struct packet packet;
	uint8_t room[PACKET_MAX + 64];
} whole;
static struct packet *const packet = &whole.packet;

/* RFC 1071 as it is written: 16-bit words, high byte first. */
static uint32_t plain_sum(uint32_t sum, const uint8_t *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++)
		sum += i % 2 ? bytes[i] : (uint32_t)bytes[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static uint32_t get_16(const uint8_t *at)
{
	return (uint32_t)at[0] << 8 | at[1];
}

static void headers_are_measured(void **state)
{
	struct packet_header header = { .flags = 1, .summed = 34, .sum = 16 };

	(void)state;
	assert_true(packet_header_fits(&header, 52));
	assert_false(packet_header_fits(&header, 51));
	header.summed = 13;
	assert_false(packet_header_fits(&header, 100));
	header = (struct packet_header){ .flags = 1,
					 .summed = 0xffff,
					 .sum = 0xffff };
	assert_false(packet_header_fits(&header, 100)); /* no overflow */
	header = (struct packet_header){ .flags = 2 };
	assert_false(packet_header_fits(&header, 100));
	header = (struct packet_header){ .cut = PACKET_CUT_TCP4, .piece = 100 };
	assert_false(packet_header_fits(&header, 100)); /* no checksum asked */
	header.flags = 1;
	header.summed = 34;
	assert_true(packet_header_fits(&header, 100));
	header.cut |= PACKET_CUT_ECN;
	assert_true(packet_header_fits(&header, 100));
	header.piece = 0;
	assert_false(packet_header_fits(&header, 100));
	header.piece = 1;
	for (uint32_t cut = 1; cut < 256; cut++) {
		header.cut = (uint8_t)cut;
		assert_int_equal(packet_header_fits(&header, 100),
				 (cut & 0x7f) == 1 || (cut & 0x7f) == 4);
	}
	header = (struct packet_header){ 0 };
	assert_true(packet_header_fits(&header, 14));
}

static void checksums_are_as_the_rfc_has_it(void **state)
{
	(void)state;
	for (uint32_t length = 40; length < 1514; length += 13) {
		uint32_t pseudo;

		memset(&whole, 0, sizeof whole);
		packet->length = length;
		for (uint32_t i = 0; i < length; i++)
			packet->bytes[i] = (uint8_t)(i * i + length);
		packet->header = (struct packet_header){ .flags = 1,
							 .summed = 20,
							 .sum = 6 };
		pseudo = get_16(packet->bytes + 26);
		packet_sum(packet);
		/* With itself in it, it comes to what stands for 0. */
		assert_int_equal(
			plain_sum(pseudo, packet->bytes + 20, length - 20),
			0xffff);
		assert_int_equal(packet->header.flags, 0);
		assert_int_equal(packet->header.summed, 0);
	}
}

/* ---- cutting --------------------------------------------------------------- */

#define IP (PACKET_START)

/* Ethernet, IPv4 or IPv6, TCP with @options words, @payload bytes. */
static uint32_t make_tcp(bool six, bool tag, uint32_t options, uint32_t payload)
{
	uint32_t ip = IP + (tag ? 4 : 0), tcp = ip + (six ? 40 : 20);
	uint32_t start = tcp + 20 + options * 4;
	uint8_t *bytes = packet->bytes;

	memset(&whole, 0, sizeof whole);
	if (tag)
		memcpy(bytes + 12, "\x81\0\0\x05", 4);
	memcpy(bytes + ip - 2, six ? "\x86\xdd" : "\x08\0", 2);
	memcpy(bytes + ip,
	       six ? "\x60\0\0\0\xff\xff\x06\x40" :
		     "\x45\0\xff\xff\xff\xfe\x40\0\x40\x06",
	       six ? 8 : 10);
	for (uint32_t i = ip + (six ? 8 : 12); i < tcp; i++)
		bytes[i] = (uint8_t)(i * 7);
	memcpy(bytes + tcp, "\x12\x34\0\x50\xff\xff\xff\0\1\2\3\4", 12);
	bytes[tcp + 12] = (uint8_t)((5 + options) << 4);
	bytes[tcp + 13] = 0x99; /* CWR, ACK, PSH, FIN */
	memset(bytes + tcp + 20, 1, options * 4);
	for (uint32_t i = 0; i < payload; i++)
		bytes[start + i] = (uint8_t)(i * 31 + i / 256);
	packet->length = start + payload;
	packet->header = (struct packet_header){
		.flags = 1,
		.cut = six ? PACKET_CUT_TCP6 : PACKET_CUT_TCP4,
		.piece = 1400,
		.summed = (uint16_t)tcp,
		.sum = 16,
		.buffers = 1,
	};
	return start;
}

/* As a receiver's stack would look at it. */
static void check_piece(const struct packet_piece *piece, bool six, bool tag,
			uint32_t number, uint32_t offset, bool last)
{
	uint32_t ip = IP + (tag ? 4 : 0), tcp = ip + (six ? 40 : 20);
	const uint8_t *bytes = piece->headers.bytes;
	uint32_t length = piece->headers_length - tcp + piece->payload_length;
	uint32_t sum = 6 + length, sequence;

	assert_memory_equal(bytes, packet->bytes, ip);
	if (six) {
		assert_int_equal(get_16(bytes + ip + 4), length);
		sum = plain_sum(sum, bytes + ip + 8, 32);
	} else {
		assert_int_equal(get_16(bytes + ip + 2), length + 20);
		assert_int_equal(get_16(bytes + ip + 4),
				 (0xfffe + number) & 0xffff);
		assert_int_equal(plain_sum(0, bytes + ip, 20), 0xffff);
		sum = plain_sum(sum, bytes + ip + 12, 8);
	}
	sum = plain_sum(sum, bytes + tcp, piece->headers_length - tcp);
	sum = plain_sum(sum, piece->payload, piece->payload_length);
	assert_int_equal(sum, 0xffff);
	sequence = get_16(bytes + tcp + 4) << 16 | get_16(bytes + tcp + 6);
	assert_int_equal(sequence, 0xffffff00 + offset);
	assert_int_equal(bytes[tcp + 13],
			 0x10 | (last ? 0x09 : 0) | (number ? 0 : 0x80));
	assert_int_equal(piece->headers.header.buffers, 1);
	assert_int_equal(piece->headers.header.flags, 0);
	assert_int_equal(piece->headers.header.cut, 0);
}

static void cut_all(bool six, bool tag, uint32_t options, uint32_t payload)
{
	uint32_t start = make_tcp(six, tag, options, payload);
	uint32_t offset = 0, number = 0;
	struct packet_piece piece;

	while (packet_cut(packet, offset, &piece) == ERR_NONE) {
		bool last = offset + piece.payload_length == payload;

		assert_int_equal(piece.headers_length, start);
		assert_ptr_equal(piece.payload, packet->bytes + start + offset);
		assert_true(piece.payload_length == 1400 || last);
		check_piece(&piece, six, tag, number, offset, last);
		offset += piece.payload_length;
		number++;
	}
	assert_int_equal(offset, payload);
	assert_int_equal(packet_cut(packet, offset, &piece), ERR_NOT_FOUND);
}

static void tcp_is_cut_into_good_packets(void **state)
{
	(void)state;
	cut_all(false, false, 0, 1);
	cut_all(false, false, 3, 1400);
	cut_all(false, false, 10, 65000);
	cut_all(false, true, 3, 4201);
	cut_all(true, false, 3, 65400);
	cut_all(true, true, 8, 2801);
}

static void what_is_not_as_it_says_is_not_cut(void **state)
{
	struct packet_piece piece;
	static const struct {
		uint32_t at;
		uint8_t value;
	} bad[] = {
		{ 12, 0x86 },	   /* not IPv4 */
		{ IP, 0x44 },	   /* a header of 16 bytes */
		{ IP, 0x4f },	   /* TCP would be elsewhere */
		{ IP + 9, 17 },	   /* UDP */
		{ IP + 32, 0x40 }, /* a header of 16 bytes */
	};

	(void)state;
	for (uint32_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		make_tcp(false, false, 0, 2000);
		assert_int_equal(packet_cut(packet, 0, &piece), ERR_NONE);
		packet->bytes[bad[i].at] = bad[i].value;
		assert_int_equal(packet_cut(packet, 0, &piece),
				 ERR_BAD_REQUEST);
	}
	make_tcp(false, false, 0, 0); /* nothing in it */
	assert_int_equal(packet_cut(packet, 0, &piece), ERR_BAD_REQUEST);
	make_tcp(false, false, 0, 2000);
	packet->header.piece = 1500; /* more than a wire takes */
	assert_int_equal(packet_cut(packet, 0, &piece), ERR_BAD_REQUEST);
	packet->header.piece = 0xffff;
	assert_int_equal(packet_cut(packet, 0, &piece), ERR_BAD_REQUEST);
	make_tcp(false, false, 0, 2000);
	packet->header.sum = 6;
	assert_int_equal(packet_cut(packet, 0, &piece), ERR_BAD_REQUEST);
	make_tcp(false, false, 0, 2000);
	packet->header.cut = PACKET_CUT_TCP6;
	assert_int_equal(packet_cut(packet, 0, &piece), ERR_BAD_REQUEST);
	for (uint32_t length = 0; length < 54; length++) {
		make_tcp(false, false, 0, 2000);
		packet->length = length;
		assert_int_equal(packet_cut(packet, 0, &piece),
				 ERR_BAD_REQUEST);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(headers_are_measured),
		cmocka_unit_test(checksums_are_as_the_rfc_has_it),
		cmocka_unit_test(tcp_is_cut_into_good_packets),
		cmocka_unit_test(what_is_not_as_it_says_is_not_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
