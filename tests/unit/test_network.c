/* SPDX-License-Identifier: MIT */
/* The channel over UDP, from the wire of an uplink to the service. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

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

/* ---- ARP, IPv4, echo ------------------------------------------------------ */

static void make_arp(uint32_t target)
{
	packet_length = 60;
	memset(packet, 0, packet_length);
	memcpy(packet, everybody, 6);
	memcpy(packet + 6, their_mac, 6);
	put(12, 0x0806, 2);
	put(14, 0x0001080006040001, 8);
	memcpy(packet + 22, their_mac, 6);
	put(28, THEIRS, 4);
	put(38, target, 4);
}

static void who_asks_for_the_address_is_told(void **unused)
{
	(void)unused;
	make_arp(OURS);
	arrive();
	assert_true(leaves());
	assert_memory_equal(packet, their_mac, 6);
	assert_int_equal(get(20, 2), 2);
	assert_memory_equal(packet + 22, our_mac, 6);
	assert_int_equal(get(28, 4), OURS);
	assert_memory_equal(packet + 32, their_mac, 6);
	assert_int_equal(get(38, 4), THEIRS);
	make_arp(OURS + 1);
	arrive();
	make_arp(OURS);
	packet_length = 41;
	arrive();
	for (size_t at = 14; at < 22; at++) {
		make_arp(OURS);
		packet[at] ^= 2;
		arrive();
	}
	make_arp(OURS);
	memcpy(packet + 22, everybody, 6);
	arrive();
	assert_false(leaves());
}

static void make_echo(size_t length)
{
	make_udp("", 0);
	packet_length = DATA_AT + length;
	put(16, 28 + length, 2);
	put(23, 1, 1);
	memset(packet + UDP_AT, 0, 8);
	put(UDP_AT, 0x0800, 2);
	for (size_t i = 0; i < length; i++)
		packet[DATA_AT + i] = (uint8_t)i;
	put(UDP_AT + 2, 0xffff & ~sum(0, UDP_AT, 8 + length), 2);
	put(24, 0, 2);
	put(24, 0xffff & ~sum(0, 14, 20), 2);
}

static void an_echo_comes_back(void **unused)
{
	static const size_t lengths[] = { 0, 1, 56, 1472 };

	(void)unused;
	for (size_t i = 0; i < ARRAY_COUNT(lengths); i++) {
		make_echo(lengths[i]);
		arrive();
		assert_true(leaves());
		assert_int_equal(packet_length, DATA_AT + lengths[i]);
		assert_int_equal(get(UDP_AT, 2), 0);
		assert_int_equal(sum(0, UDP_AT, 8 + lengths[i]), 0xffff);
		for (size_t at = 0; at < lengths[i]; at++)
			assert_int_equal(packet[DATA_AT + at], (uint8_t)at);
	}
	make_echo(20);
	packet[DATA_AT]++;
	arrive();
	make_echo(20);
	memcpy(packet, everybody, 6);
	arrive();
	assert_false(leaves());
}

/* OPEN with a right seal, which is answered unless something is wrong. */
static void make_open(void)
{
	struct mull_datagram header = { .type = MULL_DATAGRAM_OPEN };
	uint8_t bytes[MULL_DATAGRAM_MAX];

	make_udp(bytes, datagram_seal(&client_key, &header, NULL, 0, bytes));
}

static bool is_answered(void)
{
	bool answered = false;

	arrive();
	while (leaves())
		answered = true;
	return answered;
}

static void only_whole_and_plain_packets_are_taken(void **unused)
{
	static const struct {
		uint8_t at, bytes;
		uint32_t value;
	} wrongs[] = {
		{ 14, 1, 0x46 },
		{ 14, 1, 0x65 },
		{ 14, 1, 0x44 },
		{ 16, 2, 19 },
		{ 16, 2, 0xffff },
		{ 20, 2, 0x2000 },
		{ 20, 2, 1 },
		{ 20, 2, 0x8000 },
		{ 23, 1, 6 },
		{ 26, 4, 0 },
		{ 26, 4, OURS },
		{ 26, 4, 0xffffffff },
		{ 26, 4, 0xe0000001 },
		{ 26, 4, 0x7f000001 },
		{ 30, 4, 0xffffffff },
		{ 30, 4, OURS + 1 },
		{ UDP_AT + 2, 2, 7001 },
		{ UDP_AT + 4, 2, 7 },
		{ UDP_AT + 4, 2, 300 },
		{ 12, 2, 0x86dd },
		{ 6, 1, 0x03 },
		{ 0, 1, 0x06 },
	};

	(void)unused;
	make_open();
	assert_true(is_answered());
	for (size_t i = 0; i < ARRAY_COUNT(wrongs); i++) {
		make_open();
		put(wrongs[i].at, wrongs[i].value, wrongs[i].bytes);
		finish_sums();
		if (is_answered())
			fail_msg("row %zu is answered", i);
	}
	/* Each sum is looked at, and none is no sum. */
	make_open();
	packet[24] ^= 1;
	assert_false(is_answered());
	make_open();
	packet[UDP_AT + 6] ^= 1;
	assert_false(is_answered());
	make_open();
	put(UDP_AT + 6, 0, 2);
	assert_false(is_answered());
	for (size_t length = PACKET_START; length < 106; length++) {
		make_open();
		packet_length = length;
		assert_false(is_answered());
	}
	/* What Ethernet pads does not matter. */
	make_open();
	packet_length += 7;
	assert_true(is_answered());
}

static void partitions_do_not_reach_it(void **unused)
{
	(void)unused;
	make_open();
	memcpy(packet + 6, partition.mac, 6);
	send_by(&partition);
	make_arp(OURS);
	memcpy(packet + 6, partition.mac, 6);
	send_by(&partition);
	woken = true;
	serve(5);
	assert_true(packet_ring_first(&wire_end.ring)); /* the group's */
	packet_ring_pop(&wire_end.ring);
	assert_null(packet_ring_first(&wire_end.ring));
	assert_null(packet_ring_first(&partition.ring));
	assert_int_equal(partition.drops[MULL_DROP_NOBODY], 1);
}

static void a_flood_leaves_time(void **unused)
{
	uint32_t count = 0;

	(void)unused;
	for (int i = 0; i < 100; i++) {
		make_open();
		send_by(&wire_end);
	}
	woken = true;
	serve(1);
	while (leaves())
		count++;
	assert_in_range(count, 10, 40);
	serve(10);
	while (leaves())
		count++;
	assert_int_equal(count, 100);
}

/* ---- sessions ------------------------------------------------------------- */

static void a_wrong_key_is_not_answered(void **unused)
{
	uint8_t other[MULL_KEY_SIZE] = { 1, 2, 3, 5 };

	(void)unused;
	datagram_set_key(&client_key, other);
	make_open();
	assert_false(is_answered());
}

static void requests_are_answered_where_they_came_from(void **unused)
{
	(void)unused;
	begin_session(1);
	put_request(MULL_COMMAND_INFO, 0, 0);
	talk(20);
	assert_int_equal(client.replies, 1);
	assert_int_equal(client.reply_sequence, sent_sequence);
	assert_int_equal(count_of(MULL_FRAME_REPLY), 0);
	talk(100);
	assert_int_equal(ask(MULL_COMMAND_TRACE, 0, MULL_TRACE_LOOK), ERR_NONE);
	talk(20);
	assert_int_equal(client.replies, 1);
	/* Once both have all, nobody polls. */
	talk(300);
	assert_false(manage_needs_polling());
}

static void a_replay_does_nothing(void **unused)
{
	uint8_t kept[FRAME_MAX + 1], opening[FRAME_MAX + 1];
	size_t length, opening_length;
	uint8_t before[MULL_SESSION_SIZE];

	(void)unused;
	begin_session(1);
	memcpy(before, client.session, sizeof before);
	put_request(MULL_COMMAND_START, 0, 0);
	{
		uint8_t data[MULL_DATAGRAM_DATA_MAX];
		struct mull_datagram header = { 0 };

		assert_true(window_next(&client.window, &header, data, &length,
					now()));
		say(MULL_DATAGRAM_WRITE, ++client.counter, &header, data,
		    length);
	}
	memcpy(kept, packet, sizeof kept);
	length = packet_length;
	talk(20);
	assert_int_equal(commands, 1);
	memcpy(packet, kept, sizeof kept);
	packet_length = length;
	arrive();
	talk(20);
	assert_int_equal(commands, 1);
	assert_int_equal(client.replies, 1);
	/* Nor in a later session, which a replay cannot begin. */
	make_open();
	memcpy(opening, packet, sizeof opening);
	opening_length = packet_length;
	serve(4000);
	begin_session(2);
	assert_memory_not_equal(before, client.session, sizeof before);
	memcpy(packet, kept, sizeof kept);
	packet_length = length;
	arrive();
	last.type = 0;
	hear_all();
	assert_int_equal(last.type, MULL_DATAGRAM_GONE);
	assert_int_equal(commands, 1);
	serve(4000);
	memcpy(packet, opening, sizeof opening);
	packet_length = opening_length;
	arrive();
	hear_all();
	assert_int_equal(last.type, MULL_DATAGRAM_OFFER);
	put_request(MULL_COMMAND_INFO, 0, 0);
	talk(20);
	assert_int_equal(client.replies, 1); /* it goes on */
}

static void one_client_at_a_time(void **unused)
{
	struct client first;
	struct mull_datagram header = { .room = WINDOW_SIZE };

	(void)unused;
	begin_session(1);
	first = client;
	ask_to_open(2);
	assert_int_equal(last.type, MULL_DATAGRAM_BUSY);
	assert_memory_equal(last.session, client.session, sizeof last.session);
	serve(3000); /* silent */
	begin_session(2);
	client = first;
	say(MULL_DATAGRAM_WRITE, ++client.counter, &header, NULL, 0);
	hear_all();
	assert_int_equal(last.type, MULL_DATAGRAM_GONE);
	assert_memory_equal(last.session, client.session, sizeof last.session);
	serve(100);
	assert_non_null(strstr(logged, "was silent, and another one comes"));
}

static void who_leaves_makes_room_at_once(void **unused)
{
	struct mull_datagram header = { 0 };

	(void)unused;
	begin_session(1);
	say(MULL_DATAGRAM_LEAVE, ++client.counter, &header, NULL, 0);
	begin_session(2);
	put_request(MULL_COMMAND_INFO, 0, 0);
	talk(20);
	assert_int_equal(client.replies, 1);
}

static void what_is_lost_comes_again(void **unused)
{
	(void)unused;
	begin_session(1);
	loss = 4;
	for (uint32_t i = 1; i <= 40; i++) {
		put_request(MULL_COMMAND_LIST, 0, 0);
		for (int wait = 0; wait < 60 && client.replies < i; wait++)
			talk(100);
		assert_int_equal(client.replies, i);
		assert_int_equal(client.reply_sequence, sent_sequence);
	}
	assert_int_equal(client.errors, 0);
	assert_int_equal(client.decoder.damaged, 0);
}

/* ---- both lines ----------------------------------------------------------- */

static void both_lines_have_all_that_is_printed(void **unused)
{
	static char text[300];
	size_t total = 0;

	(void)unused;
	begin_session(1);
	print(0, "not attached\n");
	talk(50);
	assert_int_equal(client.shown, 0);
	put_request(MULL_COMMAND_ATTACH, 0, 1);
	talk(20);
	forget_heard();
	memset(text, 'x', sizeof text - 1);
	for (int i = 0; i < 20; i++) {
		total += print(0, text);
		talk(20);
	}
	talk(2000);
	assert_int_equal(client.shown, total);
	assert_int_equal(printed_length[0], total);
}

static void both_lines_have_the_events(void **unused)
{
	(void)unused;
	state(0, MULL_VM_STARTING);
	begin_session(1);
	forget_heard();
	state(0, MULL_VM_RUNNING);
	state(1, MULL_VM_STOPPED);
	talk(100);
	assert_int_equal(client.events, 2);
	assert_int_equal(count_of(MULL_FRAME_EVENT), 2);
}

static void nobody_waits_for_a_client_that_is_gone(void **unused)
{
	static char text[1025];
	size_t taken = 0;

	(void)unused;
	begin_session(1);
	put_request(MULL_COMMAND_ATTACH, 0, 1);
	talk(20);
	memset(text, 'x', sizeof text - 1);
	/* Until the ring and the window are full. */
	for (int i = 0; i < 40; i++) {
		taken += print(0, text);
		serve(100);
	}
	assert_in_range(taken, 4096, 4096 + WINDOW_SIZE + 4096);
	serve(5000);
	assert_int_equal(print(0, text), 1024);
	serve(500);
	assert_int_equal(print(0, text), 1024);
	assert_non_null(strstr(logged, "answers no more"));
	assert_int_equal(printed_length[0], taken + 1024);
}

static void the_end_is_told(void **unused)
{
	(void)unused;
	begin_session(1);
	put_request(MULL_COMMAND_MACHINE, 0, MULL_MACHINE_POWER_OFF);
	talk(200);
	assert_int_equal(client.replies, 1);
	talk(100);
	assert_int_equal(end_now, MULL_MACHINE_POWER_OFF);
}

static void the_end_waits_for_no_dead_client(void **unused)
{
	(void)unused;
	begin_session(1);
	assert_int_equal(ask(MULL_COMMAND_MACHINE, 0, MULL_MACHINE_POWER_OFF),
			 ERR_NONE);
	log_write("for the client as well");
	serve(100);
	serve(2000);
	assert_int_equal(end_now, MULL_MACHINE_POWER_OFF);
}

#undef TEST
#define TEST(name) cmocka_unit_test_setup(name, fresh_network)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(who_asks_for_the_address_is_told),
		TEST(an_echo_comes_back),
		TEST(only_whole_and_plain_packets_are_taken),
		TEST(partitions_do_not_reach_it),
		TEST(a_flood_leaves_time),
		TEST(a_wrong_key_is_not_answered),
		TEST(requests_are_answered_where_they_came_from),
		TEST(a_replay_does_nothing),
		TEST(one_client_at_a_time),
		TEST(who_leaves_makes_room_at_once),
		TEST(what_is_lost_comes_again),
		TEST(both_lines_have_all_that_is_printed),
		TEST(both_lines_have_the_events),
		TEST(nobody_waits_for_a_client_that_is_gone),
		TEST(the_end_is_told),
		TEST(the_end_waits_for_no_dead_client),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
