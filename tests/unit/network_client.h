/* SPDX-License-Identifier: MIT */
/*
 * The wire of an uplink, with a client of the channel over UDP at its other
 * end, beside the operator's serial line.  Included by tests of the service.
 */
#ifndef TESTS_NETWORK_CLIENT_H
#define TESTS_NETWORK_CLIENT_H

#include "tests/unit/operator.h"
#include <mullion/endpoint.h>
#include <mullion/switch.h>
#include <mullion/window.h>

/* ---- the wire ------------------------------------------------------------- */

#define OURS 0x0a000002 /* the channel's address */
#define THEIRS 0x0a000001
#define UDP_PORT 7000
#define UDP_AT 34
#define DATA_AT 42
#define FRAME_MAX 1514

static const uint8_t our_mac[6] = { 2, 'M', 10, 0, 0, 2 };
static const uint8_t their_mac[6] = { 2, 9, 9, 9, 9, 9 };
static const uint8_t everybody[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

static struct switch_port wire_end, partition;
static uint8_t rings[2][PACKET_RING_BYTES] __attribute__((aligned(64)));
static char network[MULL_LABEL_MAX];
static uint8_t packet[FRAME_MAX + 1]; /* that is sent, or came last */
static size_t packet_length;

static void on_notice(struct switch_port *port)
{
	(void)port;
}

static void attach(struct switch_port *port, uint8_t *ring, uint8_t mac)
{
	*port = (struct switch_port){ .mac = { 2, 0, 0, 0, 0, mac },
				      .open = true,
				      .notify = on_notice };
	port->ring.bytes = ring;
	assert_int_equal(switch_attach(port, network), ERR_NONE);
}

static void put(size_t at, uint64_t value, size_t bytes)
{
	while (bytes--) {
		packet[at + bytes] = (uint8_t)value;
		value >>= 8;
	}
}

static uint32_t get(size_t at, size_t bytes)
{
	uint32_t value = 0;

	for (size_t i = 0; i < bytes; i++)
		value = value << 8 | packet[at + i];
	return value;
}

/* RFC 1071, as it stands there. */
static uint32_t sum(uint32_t from, size_t at, size_t length)
{
	for (size_t i = 0; i < length; i++)
		from += (uint32_t)packet[at + i] << (i % 2 ? 0 : 8);
	while (from >> 16)
		from = (from & 0xffff) + (from >> 16);
	return from;
}

static uint32_t pseudo_sum(void)
{
	return sum(17 + (uint32_t)(packet_length - UDP_AT), 26, 8);
}

static void finish_sums(void)
{
	put(24, 0, 2);
	put(24, 0xffff & ~sum(0, 14, 20), 2);
	put(UDP_AT + 6, 0, 2);
	put(UDP_AT + 6,
	    0xffff & ~sum(pseudo_sum(), UDP_AT, packet_length - UDP_AT), 2);
}

/* An UDP packet to the channel, in @packet. */
static void make_udp(const void *data, size_t length)
{
	packet_length = DATA_AT + length;
	memset(packet, 0, DATA_AT);
	memcpy(packet, our_mac, 6);
	memcpy(packet + 6, their_mac, 6);
	put(12, 0x0800, 2);
	put(14, 0x45, 1);
	put(16, 28 + length, 2);
	put(22, 64, 1);
	put(23, 17, 1);
	put(26, THEIRS, 4);
	put(30, OURS, 4);
	put(UDP_AT, 4000, 2);
	put(UDP_AT + 2, UDP_PORT, 2);
	put(UDP_AT + 4, 8 + length, 2);
	memcpy(packet + DATA_AT, data, length);
	finish_sums();
}

static enum error copy(const struct outgoing *outgoing, uint8_t *to)
{
	memcpy(to, packet + PACKET_START, outgoing->length - PACKET_START);
	return ERR_NONE;
}

static void send_by(struct switch_port *port)
{
	struct outgoing outgoing = { .length = (uint32_t)packet_length,
				     .copy = copy };

	memcpy(outgoing.start, packet, PACKET_START);
	switch_send(port, &outgoing);
}

/* What the wire brings. */
static void arrive(void)
{
	send_by(&wire_end);
	woken = true;
	serve(2);
}

/* The next one on the wire into @packet. */
static bool leaves(void)
{
	const struct packet *next = packet_ring_first(&wire_end.ring);

	if (!next)
		return false;
	packet_length = next->length;
	assert_in_range(packet_length, PACKET_START, FRAME_MAX);
	memcpy(packet, next->bytes, packet_length);
	packet_ring_pop(&wire_end.ring);
	assert_memory_equal(packet + 6, our_mac, 6);
	if (get(12, 2) == 0x0800) {
		assert_int_equal(get(14, 1), 0x45);
		assert_int_equal(get(16, 2), packet_length - 14);
		assert_int_equal(sum(0, 14, 20), 0xffff);
		assert_int_equal(get(26, 4), OURS);
	}
	return true;
}

/* ---- a client ------------------------------------------------------------- */

static const uint8_t key_bytes[MULL_KEY_SIZE] = { 1, 2, 3, 4 };
static struct datagram_key client_key;

static struct client {
	uint8_t session[MULL_SESSION_SIZE];
	uint64_t counter, heard;
	uint32_t reply_sequence, replies, errors, events;
	size_t shown; /* bytes of consoles */
	struct window window;
	struct frame_decoder decoder;
} client;

static uint32_t loss; /* every so many packets, each way */
static uint32_t passing;
static struct mull_datagram last; /* that came */
static uint8_t last_data[MULL_DATAGRAM_DATA_MAX];

static void on_frame(void *context, const struct mull_frame_header *header,
		     const void *payload, size_t length)
{
	struct mull_reply reply;

	(void)context;
	if (header->type == MULL_FRAME_CONSOLE)
		client.shown += length;
	client.events += header->type == MULL_FRAME_EVENT;
	if (header->type != MULL_FRAME_REPLY)
		return;
	assert_true(length >= sizeof reply);
	memcpy(&reply, payload, sizeof reply);
	client.reply_sequence = reply.sequence;
	client.replies++;
	client.errors += reply.error != 0;
}

static uint64_t now(void)
{
	return fake_time / MS;
}

static bool is_lost(void)
{
	return loss && ++passing % loss == 0;
}

static void say(enum mull_datagram_type type, uint64_t counter,
		struct mull_datagram *header, const void *data, size_t length)
{
	uint8_t bytes[MULL_DATAGRAM_MAX];

	header->type = (uint8_t)type;
	header->counter = counter;
	memcpy(header->session, client.session, sizeof header->session);
	length = datagram_seal(&client_key, header, data, length, bytes);
	make_udp(bytes, length);
	if (!is_lost())
		arrive();
}

/* Takes what leaves; how many datagrams. */
static uint32_t hear_all(void)
{
	uint32_t count = 0;

	while (leaves()) {
		uint8_t bytes[MULL_DATAGRAM_DATA_MAX];
		const uint8_t *data;
		size_t length;

		if (get(12, 2) != 0x0800 || get(23, 1) != 17 || is_lost())
			continue;
		assert_memory_equal(packet, their_mac, 6);
		assert_int_equal(get(30, 4), THEIRS);
		assert_int_equal(get(UDP_AT, 2), UDP_PORT);
		assert_int_equal(get(UDP_AT + 2, 2), 4000);
		assert_int_equal(
			sum(pseudo_sum(), UDP_AT, packet_length - UDP_AT),
			0xffff);
		data = datagram_open(&client_key, packet + DATA_AT,
				     packet_length - DATA_AT, &last);
		assert_non_null(data);
		count++;
		memcpy(last_data, data, last.length);
		if (last.type != MULL_DATAGRAM_READ)
			continue;
		assert_true(last.counter > client.heard);
		client.heard = last.counter;
		window_receive(&client.window, &last, data, now());
		while ((length = window_take(&client.window, bytes,
					     sizeof bytes)))
			frame_decode(&client.decoder, bytes, length);
	}
	return count;
}

static void ask_to_open(uint8_t nonce)
{
	struct mull_datagram header = { 0 };

	memset(client.session, nonce, sizeof client.session);
	say(MULL_DATAGRAM_OPEN, 0, &header, NULL, 0);
	last.type = 0;
	hear_all();
}

static void begin_session(uint8_t nonce)
{
	struct mull_datagram header = { 0 };

	ask_to_open(nonce);
	assert_int_equal(last.type, MULL_DATAGRAM_OFFER);
	assert_memory_equal(last.session, client.session, sizeof last.session);
	assert_int_equal(last.length, MULL_SESSION_SIZE);
	memset(&client, 0, sizeof client);
	memcpy(client.session, last_data, sizeof client.session);
	client.decoder = (struct frame_decoder){ .on_frame = on_frame };
	window_start(&client.window);
	header.room = WINDOW_SIZE;
	say(MULL_DATAGRAM_WRITE, ++client.counter, &header, NULL, 0);
	assert_int_equal(hear_all(), 1);
	assert_int_equal(last.type, MULL_DATAGRAM_READ);
}

/* Both sides for some milliseconds. */
static void talk(uint32_t milliseconds)
{
	uint8_t data[MULL_DATAGRAM_DATA_MAX];
	struct mull_datagram header = { 0 };
	size_t length;

	while (milliseconds--) {
		if (window_next(&client.window, &header, data, &length, now()))
			say(MULL_DATAGRAM_WRITE, ++client.counter, &header,
			    data, length);
		serve(1);
		hear_all();
	}
}

static void put_request(uint32_t command, uint32_t vm, uint64_t argument)
{
	struct mull_request request = { command, vm, argument };
	uint8_t bytes[FRAME_WIRE_MAX];
	size_t length = encode(MULL_FRAME_REQUEST, MULL_STREAM_HYPERVISOR,
			       &request, sizeof request, bytes);

	assert_int_equal(window_put(&client.window, bytes, length, now()),
			 length);
}

static int fresh_network(void **unused)
{
	static uint32_t number;
	struct mull_machine machine = { .address = OURS, .port = UDP_PORT };

	loss = passing = 0;
	memcpy(machine.key, key_bytes, sizeof key_bytes);
	datagram_set_key(&client_key, key_bytes);
	frame_decoder_flush(&ears);
	sequence_known = false;
	begin(MULL_SERIAL_CHANNEL, 2);
	snprintf(network, sizeof network, "net-%u", ++number);
	memcpy(machine.uplink, network, sizeof network);
	attach(&wire_end, rings[0], 1);
	wire_end.uplink = true;
	attach(&partition, rings[1], 7);
	network_start(&machine);
	serve(200);
	forget_heard();
	/* It has told the neighbours where it is. */
	assert_true(leaves());
	assert_memory_equal(packet, everybody, 6);
	assert_int_equal(get(12, 2), 0x0806);
	assert_int_equal(get(28, 4), OURS);
	assert_int_equal(get(38, 4), OURS);
	assert_false(leaves());
	(void)unused;
	return 0;
}

#endif
