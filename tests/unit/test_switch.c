/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <mullion/switch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PORTS 5

static struct switch_port ports[PORTS];
static uint32_t notices[PORTS], copies;
static uint8_t sent[PACKET_MAX];

static void on_notice(struct switch_port *port)
{
	notices[port - ports]++;
}

static void set_mac(uint8_t *mac, uint8_t number)
{
	memcpy(mac, (uint8_t[]){ 2, 0, 0, 0, 0, number }, MAC_SIZE);
}

static void attach(uint32_t number, const char *name)
{
	struct switch_port *port = &ports[number];

	set_mac(port->mac, (uint8_t)number);
	port->notify = on_notice;
	port->open = true;
	port->ring.waits = true;
	assert_int_equal(switch_attach(port, name), ERR_NONE);
}

/* Ports 0 to 2 on "lan", 3 and 4 on "other". */
static int fresh(void **state)
{
	(void)state;
	memset(notices, 0, sizeof notices);
	copies = 0;
	for (uint32_t i = 0; i < PORTS; i++) {
		ports[i] = (struct switch_port){ .on = NULL };
		ports[i].ring.bytes = aligned_alloc(64, PACKET_RING_BYTES);
		attach(i, i < 3 ? "lan" : "other");
	}
	return 0;
}

static int clear(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < PORTS; i++) {
		switch_detach(&ports[i]);
		free(ports[i].ring.bytes);
	}
	switch_set_uplink("");
	return 0;
}

static enum error copy_error;

static enum error copy(const struct outgoing *packet, uint8_t *to)
{
	copies++;
	memcpy(to, sent + PACKET_START, packet->length - PACKET_START);
	return copy_error;
}

static struct outgoing packet_from(uint8_t to, uint8_t from, uint32_t length)
{
	struct outgoing packet = { .length = length, .copy = copy };

	for (uint32_t i = 0; i < sizeof sent; i++)
		sent[i] = (uint8_t)(i * 5 + from);
	set_mac(sent, to);
	if (to == 0xff)
		memset(sent, 0xff, MAC_SIZE);
	set_mac(sent + MAC_SIZE, from);
	memcpy(packet.start, sent, PACKET_START);
	return packet;
}

static enum error send_as(uint8_t port, uint8_t to, uint8_t from,
			  uint32_t length)
{
	struct outgoing packet = packet_from(to, from, length);

	return switch_send(&ports[port], &packet);
}

static bool has(uint32_t port, uint32_t length)
{
	const struct packet *packet = packet_ring_first(&ports[port].ring);

	if (!packet)
		return false;
	assert_int_equal(packet->length, length);
	assert_memory_equal(packet->bytes, sent, length);
	packet_ring_pop(&ports[port].ring);
	return true;
}

static void a_packet_goes_to_its_port_alone(void **state)
{
	(void)state;
	assert_int_equal(send_as(0, 2, 0, 100), ERR_NONE);
	assert_true(has(2, 100));
	assert_false(has(0, 0) || has(1, 0) || has(3, 0) || has(4, 0));
	assert_int_equal(notices[2], 1);
	assert_int_equal(ports[0].sent, 1);
	assert_int_equal(ports[0].sent_bytes, 100);
	/* The receiver has not rested since then. */
	send_as(1, 2, 1, 60);
	assert_int_equal(notices[2], 1);
	assert_int_equal(copies, 2);
}

static void a_group_is_all_the_others(void **state)
{
	(void)state;
	send_as(1, 0xff, 1, 1000);
	assert_int_equal(copies, 1); /* read once */
	assert_true(has(0, 1000));
	assert_true(has(2, 1000));
	assert_false(has(1, 0) || has(3, 0) || has(4, 0));
	send_as(1, 0xff, 1, PACKET_PLAIN_MAX);
	assert_true(has(0, PACKET_PLAIN_MAX));
}

static void other_switches_are_out_of_reach(void **state)
{
	(void)state;
	send_as(0, 3, 0, 60);
	assert_int_equal(ports[0].drops[MULL_DROP_NOBODY], 1);
	send_as(0, 0, 0, 60); /* itself */
	assert_int_equal(ports[0].drops[MULL_DROP_NOBODY], 2);
	for (uint32_t i = 0; i < PORTS; i++)
		assert_false(has(i, 0));
}

static void a_foreign_source_is_not_heard(void **state)
{
	(void)state;
	send_as(0, 2, 1, 60);
	send_as(0, 0xff, 9, 60);
	assert_int_equal(ports[0].drops[MULL_DROP_SPOOFED], 2);
	assert_int_equal(ports[0].sent, 0);
	assert_int_equal(copies, 0);
	for (uint32_t i = 0; i < PORTS; i++)
		assert_false(has(i, 0));
}

static void lengths_have_bounds(void **state)
{
	struct outgoing packet;

	(void)state;
	send_as(0, 2, 0, PACKET_START - 1);
	send_as(0, 2, 0, PACKET_PLAIN_MAX + 1);
	assert_int_equal(ports[0].drops[MULL_DROP_MALFORMED], 2);
	packet = packet_from(2, 0, PACKET_MAX);
	packet.header.cut = PACKET_CUT_TCP6;
	switch_send(&ports[0], &packet);
	assert_true(has(2, PACKET_MAX));
	packet = packet_from(0xff, 0, 60);
	packet.header.cut = PACKET_CUT_TCP6; /* for many: none does that */
	switch_send(&ports[0], &packet);
	packet = packet_from(2, 0, PACKET_MAX + 1);
	packet.header.cut = PACKET_CUT_TCP6;
	switch_send(&ports[0], &packet);
	assert_int_equal(ports[0].drops[MULL_DROP_MALFORMED], 4);
	send_as(0, 2, 0, PACKET_START);
	assert_true(has(2, PACKET_START));
}

static void who_does_not_listen_loses_packets(void **state)
{
	(void)state;
	ports[2].open = false;
	send_as(0, 2, 0, 60);
	assert_int_equal(ports[2].drops[MULL_DROP_CLOSED], 1);
	ports[2].open = true;
	for (uint32_t i = 0; i < 300; i++)
		send_as(0, 0xff, 0, 1500);
	assert_int_equal(ports[2].drops[MULL_DROP_FULL], 300 - 170);
	assert_int_equal(ports[1].drops[MULL_DROP_FULL], 300 - 170);
	assert_int_equal(notices[2], 1);
	/* Which is nothing to the others. */
	while (packet_ring_first(&ports[1].ring))
		packet_ring_pop(&ports[1].ring);
	send_as(0, 1, 0, 60);
	assert_true(has(1, 60));
}

static void what_cannot_be_read_does_not_arrive(void **state)
{
	(void)state;
	copy_error = ERR_BAD_ADDRESS;
	assert_int_equal(send_as(0, 2, 0, 60), ERR_BAD_ADDRESS);
	assert_int_equal(send_as(0, 0xff, 0, 60), ERR_BAD_ADDRESS);
	copy_error = ERR_NONE;
	assert_int_equal(packet_ring_first(&ports[2].ring)->length, 0);
	packet_ring_pop(&ports[2].ring);
	assert_int_equal(ports[0].sending % 2, 0);
	send_as(0, 2, 0, 60);
	assert_true(has(2, 60));
}

static void an_uplink_takes_what_is_for_nobody_else(void **state)
{
	(void)state;
	assert_false(switch_has_uplink(&ports[0]));
	switch_set_uplink("lan");
	assert_true(switch_has_uplink(&ports[0]));
	assert_false(switch_has_uplink(&ports[3]));
	ports[1].uplink = true;
	send_as(0, 77, 0, 60);
	assert_true(has(1, 60));
	send_as(0, 2, 0, 60);
	assert_false(has(1, 0));
	assert_true(has(2, 60));
	/* From outside anybody may speak, but nobody who is inside. */
	send_as(1, 2, 77, 60);
	assert_true(has(2, 60));
	send_as(1, 0xff, 1, 60); /* also with its own */
	assert_true(has(2, 60));
	has(0, 60);
	send_as(1, 2, 0, 60);
	assert_int_equal(ports[1].drops[MULL_DROP_SPOOFED], 1);
	assert_false(has(2, 0));
	send_as(1, 88, 77, 60); /* and not back to where it came from */
	assert_int_equal(ports[1].drops[MULL_DROP_NOBODY], 1);
	assert_false(has(1, 0));
}

static void who_is_outside_sees_the_uplink_alone(void **state)
{
	(void)state;
	ports[1].uplink = true;
	ports[2].outside = true;
	/* A partition does not reach it, not even by way of the wire. */
	send_as(0, 2, 0, 60);
	assert_int_equal(ports[0].drops[MULL_DROP_NOBODY], 1);
	assert_false(has(1, 0) || has(2, 0));
	send_as(0, 0xff, 0, 60);
	assert_true(has(1, 60));
	assert_false(has(2, 0));
	/* Nor does it reach a partition: that is for the wire. */
	send_as(2, 0, 2, 60);
	assert_true(has(1, 60));
	assert_false(has(0, 0));
	send_as(2, 0xff, 2, 60);
	assert_true(has(1, 60));
	assert_false(has(0, 0));
	send_as(2, 77, 2, 60);
	assert_true(has(1, 60));
	/* The wire reaches both, and does not speak as one of them. */
	send_as(1, 2, 77, 60);
	assert_true(has(2, 60));
	send_as(1, 0xff, 77, 60);
	assert_true(has(0, 60));
	assert_true(has(2, 60));
	send_as(1, 2, 0, 60);
	send_as(1, 0, 2, 60);
	assert_int_equal(ports[1].drops[MULL_DROP_SPOOFED], 2);
	assert_false(has(0, 0) || has(2, 0));
}

static void who_is_taken_off_gets_no_more(void **state)
{
	(void)state;
	switch_detach(&ports[1]);
	send_as(0, 1, 0, 60);
	assert_int_equal(ports[0].drops[MULL_DROP_NOBODY], 1);
	send_as(2, 0xff, 2, 60);
	assert_true(has(0, 60));
	assert_false(has(1, 0));
	attach(1, "other");
	send_as(3, 1, 3, 60);
	assert_true(has(1, 60));
}

static bool is_listed(const char *name)
{
	for (uint32_t i = 0; switch_name_at(i); i++)
		if (!strcmp(switch_name_at(i), name))
			return true;
	return false;
}

/* So that who names it again means the same one. */
static void a_switch_is_known_when_its_ports_have_gone(void **state)
{
	(void)state;
	assert_true(switch_is_known("lan") && is_listed("lan"));
	assert_false(switch_is_known("lam") || is_listed("lam"));
	switch_detach(&ports[3]);
	switch_detach(&ports[4]);
	assert_true(switch_is_known("other") && is_listed("other"));
	attach(3, "other");
	attach(4, "other");
	assert_ptr_equal(ports[3].on, ports[4].on);
}

static void there_are_so_many_switches(void **state)
{
	static struct switch_port many[MULL_VM_MAX * MULL_NIC_MAX];
	uint32_t count = 0;
	char name[MULL_LABEL_MAX];

	(void)state;
	for (uint32_t i = 0; i < sizeof many / sizeof *many; i++) {
		snprintf(name, sizeof name, "net-%u", i);
		if (switch_attach(&many[i], name) == ERR_NONE)
			count++;
	}
	assert_int_equal(count, MULL_VM_MAX * MULL_NIC_MAX - 2);
	assert_int_equal(switch_attach(&many[count], "lan"), ERR_NONE);
	for (uint32_t i = 0; i <= count; i++)
		switch_detach(&many[i]);
	assert_int_equal(switch_attach(&many[0], "again"), ERR_NONE);
	switch_detach(&many[0]);
	switch_detach(&many[1]); /* was on none */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh, clear)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_packet_goes_to_its_port_alone),
		TEST(a_group_is_all_the_others),
		TEST(other_switches_are_out_of_reach),
		TEST(a_foreign_source_is_not_heard),
		TEST(lengths_have_bounds),
		TEST(who_does_not_listen_loses_packets),
		TEST(what_cannot_be_read_does_not_arrive),
		TEST(an_uplink_takes_what_is_for_nobody_else),
		TEST(who_is_outside_sees_the_uplink_alone),
		TEST(who_is_taken_off_gets_no_more),
		TEST(a_switch_is_known_when_its_ports_have_gone),
		TEST(there_are_so_many_switches),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
