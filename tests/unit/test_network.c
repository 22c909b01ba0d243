/* SPDX-License-Identifier: MIT */
/* The channel over UDP, from the wire of an uplink to the service. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/unit/network_client.h"

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
	assert_in_range(count, 4, 12);
	serve(40);
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
	assert_int_equal(hear_all(), 0); /* not even an answer */
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
