/* SPDX-License-Identifier: MIT */
/* Sockets between partitions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "vsock_fixture.h"

static void it_says_what_it_is(void **state)
{
	(void)state;
	assert_int_equal(net_get(0x2000, 4), CID);
	assert_int_equal(net_get(0x2004, 4), 0);
	assert_int_equal(net_get(0x12, 2), 3);
}

static void bytes_go_both_ways(void **state)
{
	struct vsock_header got;

	(void)state;
	connect_peer(9);
	memset(ram_reads, 0, sizeof ram_reads);
	send(PEER, 9, VSOCK_RW, 3000);
	expect_letter(VSOCK_RW, 3000);
	assert_int_equal(ram_most_reads(BUFFERS, HEAD + 3000), 1);
	/* What is longer than a buffer comes in pieces. */
	write_letter(9, VSOCK_RW, 5000, false);
	got = receive(4096);
	assert_int_equal(got.length, 4096);
	assert_int_equal(ram[BUFFER + HEAD + 4095], (uint8_t)(4095 * 5));
	got = receive(4096);
	assert_int_equal(got.length, 904);
	assert_int_equal(ram[BUFFER + HEAD], (uint8_t)(4096 * 5));
	assert_int_equal(got.operation, VSOCK_RW);
	send(PEER, 9, VSOCK_RST, 0);
	expect_letter(VSOCK_RST, 0);
	assert_int_equal(places(&vsock.port), VSOCK_PLACES);
	assert_int_equal(complaints, 0);
}

static void others_reach_it_too(void **state)
{
	(void)state;
	assert_true(vsock_take_place(&vsock.port, vsock_life(&vsock.port)));
	write_letter(9, VSOCK_REQUEST, 0, true);
	assert_int_equal(receive(0).operation, VSOCK_REQUEST);
	assert_int_equal(places(&vsock.port), VSOCK_PLACES - 1);
	send(PEER, 9, VSOCK_RESPONSE, 0);
	expect_letter(VSOCK_RESPONSE, 0);
	write_letter(9, VSOCK_RST, 0, false);
	assert_int_equal(receive(0).operation, VSOCK_RST);
	assert_int_equal(places(&vsock.port), VSOCK_PLACES);
	/* Nothing comes for what is no connection. */
	write_letter(9, VSOCK_RW, 10, false);
	assert_int_equal(receive(100).operation, 0);
}

static void who_is_not_in_its_group_is_not_reached(void **state)
{
	(void)state;
	memcpy(peer.group, "own", 4);
	send(PEER, 9, VSOCK_REQUEST, 0);
	expect_no_letter();
	expect_reset(PEER, 9);
	peer.group[0] = vsock.port.group[0] = 0; /* nor are those without */
	send(PEER, 9, VSOCK_REQUEST, 0);
	expect_no_letter();
	expect_reset(PEER, 9);
	send(99, 9, VSOCK_REQUEST, 0);
	expect_reset(99, 9);
	send(CID, 9, VSOCK_REQUEST, 0);
	expect_reset(CID, 9);
	memcpy(peer.group, "all", 4);
	assert_int_equal(places(&peer), VSOCK_PLACES);
	assert_int_equal(places(&vsock.port), VSOCK_PLACES);
}

static void a_foreign_source_is_not_heard(void **state)
{
	struct vsock_header it = header(PEER, 9, VSOCK_REQUEST, 0);

	(void)state;
	it.source_cid = 5;
	offer_packet(it);
	expect_no_letter();
	assert_int_equal(receive(0).operation, 0);
	assert_int_equal(vsock.drops[MULL_DROP_SPOOFED], 1);
}

static void what_is_unknown_is_answered(void **state)
{
	struct vsock_header it = header(PEER, 9, VSOCK_REQUEST, 0);

	(void)state;
	it.type = 2;
	offer_packet(it);
	expect_reset(PEER, 9);
	send(PEER, 9, VSOCK_RW, 10);
	expect_reset(PEER, 9);
	send(PEER, 9, VSOCK_RST, 0);
	assert_int_equal(vsock.reset_count, 0);
	/* In a connection it ends that, at both ends. */
	connect_peer(9);
	send(PEER, 9, (enum vsock_operation)77, 0);
	expect_reset(PEER, 9);
	expect_letter(VSOCK_RST, 0);
	connect_peer(9);
	send(PEER, 9, VSOCK_CREDIT_UPDATE, 4); /* with a payload */
	expect_reset(PEER, 9);
	expect_letter(VSOCK_RST, 0);
	assert_int_equal(places(&vsock.port), VSOCK_PLACES);
}

static void answers_are_bounded(void **state)
{
	(void)state;
	for (int i = 0; i < VSOCK_RESETS + 5; i++)
		send(PEER, 9, VSOCK_RW, 0);
	assert_int_equal(vsock.reset_count, VSOCK_RESETS);
	assert_int_equal(net_used(TRANSMIT), VSOCK_RESETS);
	for (int i = 0; i < VSOCK_RESETS + 5; i++)
		expect_reset(PEER, 9);
	assert_int_equal(receive(0).operation, 0);
}

static void connections_are_bounded(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < VSOCK_PLACES_EACH; i++) {
		send(PEER, i, VSOCK_REQUEST, 0);
		expect_letter(VSOCK_REQUEST, 0);
	}
	send(PEER, 1000, VSOCK_REQUEST, 0);
	expect_no_letter();
	expect_reset(PEER, 1000);
	vsock_open(&peer, 0); /* has no place any more; the others are over */
	virtio_vsock_close(&vsock);
	net_notify(RECEIVE);
	work();
	send(PEER, 1000, VSOCK_REQUEST, 0);
	expect_reset(PEER, 1000);
	assert_int_equal(places(&vsock.port), VSOCK_PLACES);
}

static void break_by(struct vsock_header it, uint32_t length, uint16_t flags)
{
	memcpy(ram + BUFFERS, &it, HEAD);
	net_set_up(0);
	net_notify(RECEIVE);
	work();
	net_describe(TRANSMIT, 0, BUFFERS, length, flags, 0);
	net_offer(TRANSMIT, 0);
	net_notify(TRANSMIT);
	work();
	assert_true(virtio_is_broken(&vsock.device));
	assert_int_equal(vsock_life(&vsock.port), 0);
}

static void what_breaks_the_rules_breaks_the_device(void **state)
{
	(void)state;
	break_by(header(PEER, 9, VSOCK_RW, 0), HEAD - 1, 0);
	break_by(header(PEER, 9, VSOCK_RW, 0), HEAD, WRITE);
	break_by(header(PEER, 9, VSOCK_RW, 101), HEAD + 100, 0);
	break_by(header(PEER, 9, VSOCK_RW, 0xffffffff), HEAD + 100, 0);
	break_by(header(PEER, 9, VSOCK_RW, 0x10001), HEAD + 0x10001, 0);
	assert_int_equal(complaints, 5);
	expect_no_letter();
}

static void an_end_is_told_to_the_others(void **state)
{
	(void)state;
	connect_peer(9);
	vsock_close(&peer);
	work();
	expect_reset(PEER, 9);
	assert_int_equal(places(&vsock.port), VSOCK_PLACES);
	vsock_open(&peer, VSOCK_PLACES);
	/* What was sent in a former life does not reach the next one. */
	connect_peer(9);
	write_letter(9, VSOCK_RW, 10, false);
	net_set_up(0);
	assert_int_equal(notices[VSOCK_LIFE_ENDED], 1);
	net_notify(RECEIVE);
	work();
	assert_int_equal(receive(100).operation, 0);
}

static void a_connection_of_a_former_life_ends_first(void **state)
{
	(void)state;
	connect_peer(9);
	atomic_store(&vsock.look, false);
	vsock_open(&peer, VSOCK_PLACES); /* as if the notice were late */
	assert_true(vsock_take_place(&vsock.port, vsock_life(&vsock.port)));
	write_letter(9, VSOCK_REQUEST, 0, true);
	expect_reset(PEER, 9);
	assert_int_equal(receive(0).operation, VSOCK_REQUEST);
	assert_int_equal(places(&vsock.port), VSOCK_PLACES - 1);
}

/* Fills the peer's ring; returns how many letters it took. */
static uint32_t fill(void)
{
	uint32_t count = 0;

	ram_is_uncounted = true;
	while (!vsock.held_since && count < 1000) {
		send(PEER, 9, VSOCK_RW, 10000);
		count++;
	}
	return count - 1;
}

static void a_full_ring_is_waited_for(void **state)
{
	uint32_t count, used;

	(void)state;
	connect_peer(9);
	count = fill();
	used = net_used(TRANSMIT);
	assert_in_range(count, 20, 26);
	/* One that is taken is not enough. */
	expect_letter(VSOCK_RW, 10000);
	net_notify(TRANSMIT);
	work();
	assert_int_equal(net_used(TRANSMIT), (uint16_t)used);
	for (uint32_t i = 1; i < count; i++)
		expect_letter(VSOCK_RW, 10000);
	/* Its sender is told, and nothing was lost. */
	work();
	assert_int_equal(net_used(TRANSMIT), (uint16_t)(used + 1));
	expect_letter(VSOCK_RW, 10000);
	expect_no_letter();
}

static void but_not_for_ever(void **state)
{
	uint32_t count;

	(void)state;
	connect_peer(9);
	connect_peer(10);
	count = fill();
	fake_time += (uint64_t)VSOCK_PATIENCE_MS * fake_time_khz;
	work();
	assert_int_equal(vsock.stalled, BIT(MULL_VM_MAX - 1));
	expect_reset(PEER, 9);
	/* The next one to it does not wait at all. */
	send(PEER, 10, VSOCK_RW, 10000);
	expect_reset(PEER, 10);
	while (count--)
		expect_letter(VSOCK_RW, 10000);
	work();
	/* At its end both are over, too. */
	expect_letter(VSOCK_RST, 0);
	expect_letter(VSOCK_RST, 0);
	assert_int_equal(places(&vsock.port), VSOCK_PLACES);
	connect_peer(9);
	assert_int_equal(vsock.stalled, 0);
}

static void nothing_ends_by_an_event(void **state)
{
	enum { EVENT = 2, AT = 0x50000 };

	(void)state;
	net_set(0x16, 2, EVENT);
	net_set(0x18, 2, QUEUE_SIZE);
	net_set(0x20, 8, net_queue(EVENT));
	net_set(0x28, 8, net_queue(EVENT) + 0x1000);
	net_set(0x30, 8, net_queue(EVENT) + 0x2000);
	net_set(0x1c, 2, 1);
	assert_true(vsock.device.queues[EVENT].enabled);
	net_describe(EVENT, 0, AT, 4, WRITE, 0);
	net_offer(EVENT, 0);
	net_notify(EVENT);
	work();
	connect_peer(9);
	connect_peer(10);
	vsock_close(&peer); /* all connections that it has */
	work();
	expect_reset(PEER, 9);
	expect_reset(PEER, 10);
	assert_int_equal(receive(0).operation, 0);
	assert_int_equal(net_used(EVENT), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		VSOCK_TEST(it_says_what_it_is),
		VSOCK_TEST(bytes_go_both_ways),
		VSOCK_TEST(others_reach_it_too),
		VSOCK_TEST(who_is_not_in_its_group_is_not_reached),
		VSOCK_TEST(a_foreign_source_is_not_heard),
		VSOCK_TEST(what_is_unknown_is_answered),
		VSOCK_TEST(answers_are_bounded),
		VSOCK_TEST(connections_are_bounded),
		VSOCK_TEST(what_breaks_the_rules_breaks_the_device),
		VSOCK_TEST(an_end_is_told_to_the_others),
		VSOCK_TEST(a_connection_of_a_former_life_ends_first),
		VSOCK_TEST(a_full_ring_is_waited_for),
		VSOCK_TEST(but_not_for_ever),
		VSOCK_TEST(nothing_ends_by_an_event),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
