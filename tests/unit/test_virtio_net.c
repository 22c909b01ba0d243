/* SPDX-License-Identifier: MIT */
/* One device, and at the other port of its switch the test itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "net_driver.h"

#include <arch/fake/fake.h>
#include <cmocka.h>
#include <mullion/log.h>
#include <stdlib.h>

#define BUFFERS 0x10000
#define CSUM BIT(0)
#define GUEST_CSUM BIT(1)
#define GUEST_TSO4 BIT(7)
#define HOST_TSO4 BIT(11)
#define MRG BIT(15)

static struct vcpu first;
static struct virtio_net net;
static struct switch_port peer;
static uint8_t memories[2][PACKET_RING_BYTES] __attribute__((aligned(64)));
static uint32_t sent, complaints, notices;
static struct mull_nic nic;
static const uint8_t mac[MAC_SIZE] = { 2, 0, 0, 0, 0, 1 };
static const uint8_t other[MAC_SIZE] = { 2, 0, 0, 0, 0, 2 };

bool vm_interrupt(struct vm *to, const struct apic_message *message)
{
	(void)message;
	assert_ptr_equal(to, &vm);
	sent++;
	return true;
}

uint32_t vm_home(const struct vm *of)
{
	(void)of;
	return 2;
}

void log_guest(struct vcpu *vcpu, const char *format, ...)
{
	(void)format;
	assert_ptr_equal(vcpu, &first);
	complaints++;
}

_Noreturn void panic(const char *format, ...)
{
	fail_msg("panic: %s", format);
	abort();
}

static void on_notice(struct switch_port *port)
{
	assert_ptr_equal(port, &peer);
	notices++;
}

static void make(void)
{
	memset(&net, 0, sizeof net);
	net.port.ring.bytes = memories[0];
	assert_int_equal(virtio_net_add(&vm, &net, &nic, mac, NET_SLOT),
			 ERR_NONE);
	guest_pci_reset(&vm);
}

static int fresh(void **state)
{
	(void)state;
	ram_clear();
	memset(&vm, 0, sizeof vm);
	memset(fake_kicks, 0, sizeof fake_kicks);
	fake_cpu_count = 4;
	fake_time = 1000000;
	sent = complaints = notices = 0;
	vm.vcpus[0] = &first;
	nic = (struct mull_nic){ .network = "lan" };
	make();
	peer = (struct switch_port){ .notify = on_notice, .open = true };
	memcpy(peer.mac, other, MAC_SIZE);
	peer.ring.bytes = memories[1];
	peer.ring.waits = true;
	return switch_attach(&peer, "lan");
}

static int clear(void **state)
{
	(void)state;
	switch_detach(&peer);
	virtio_net_remove(&net);
	switch_set_uplink("");
	return 0;
}

static void work(void)
{
	for (int i = 0; i < 100; i++)
		if (!guest_pci_work(&vm))
			return;
	fail_msg("the work does not end");
}

/* ---- the driver sends ------------------------------------------------------ */

static void write_packet(uint64_t at, const struct packet_header *header,
			 const uint8_t *to, const uint8_t *from,
			 uint32_t length)
{
	memcpy(ram + at, header, HEADER);
	for (uint32_t i = 0; i < length; i++)
		ram[at + HEADER + i] = (uint8_t)(i * 3);
	memcpy(ram + at + HEADER, to, MAC_SIZE);
	memcpy(ram + at + HEADER + MAC_SIZE, from, MAC_SIZE);
}

static void send_with(struct packet_header header, uint32_t length)
{
	write_packet(BUFFERS, &header, other, mac, length);
	net_describe(TRANSMIT, 0, BUFFERS, HEADER + length, 0, 0);
	net_offer(TRANSMIT, 0);
	net_notify(TRANSMIT);
	work();
}

static const struct packet *arrived(uint32_t length)
{
	const struct packet *packet = packet_ring_first(&peer.ring);

	assert_non_null(packet);
	assert_int_equal(packet->length, length);
	return packet;
}

static uint64_t dropped(const struct switch_port *port, enum mull_drop why)
{
	return atomic_load(&port->drops[why]);
}

static void it_says_what_it_is(void **state)
{
	(void)state;
	net_set_up(0);
	assert_int_equal(net_get(0x2000, 4), 0x00000002);
	assert_int_equal(net_get(0x2004, 2), 0x0100);
	assert_int_equal(net_get(0x2006, 2), 1);    /* link up */
	assert_int_equal(net_get(0x200a, 2), 1500); /* MTU */
	net_set(0, 4, 0);
	assert_int_equal(net_get(4, 4), 0x3001bbab);
	switch_set_uplink("lan");
	virtio_net_remove(&net);
	make();
	net_set_up(0);
	net_set(0, 4, 0);
	assert_int_equal(net_get(4, 4), 0x30018028); /* as on a wire */
}

static void a_packet_is_copied_once(void **state)
{
	const struct packet *packet;

	(void)state;
	net_set_up(0);
	write_packet(BUFFERS, &(struct packet_header){ 0 }, other, mac, 300);
	/* Its header by itself, the rest in two, over a table. */
	net_describe(TRANSMIT, 0, BUFFERS, HEADER, NEXT, 1);
	net_describe(TRANSMIT, 1, BUFFERS + HEADER, 5, NEXT, 2);
	net_describe(TRANSMIT, 2, BUFFERS + HEADER + 5, 295, 0, 0);
	net_offer(TRANSMIT, 0);
	net_notify(TRANSMIT);
	assert_int_equal(fake_kicks[2], 1);
	work();
	packet = arrived(300);
	assert_memory_equal(packet->bytes, ram + BUFFERS + HEADER, 300);
	assert_int_equal(packet->header.buffers, 1);
	assert_int_equal(ram_most_reads(BUFFERS, HEADER + 300), 1);
	assert_int_equal(net_used(TRANSMIT), 1);
	assert_int_equal(notices, 1);
	assert_int_equal(net.device.chains, 1);
	assert_int_equal(net.device.notifications, 1);
}

static void only_what_was_negotiated_is_left_to_others(void **state)
{
	const struct packet_header sum = { .flags = 1, .summed = 34, .sum = 6 };
	const struct packet_header cut = {
		.flags = 1, .cut = 1, .piece = 100, .summed = 34, .sum = 16
	};

	(void)state;
	net_set_up(0);
	send_with(sum, 100);
	send_with(cut, 100);
	assert_int_equal(dropped(&net.port, MULL_DROP_MALFORMED), 2);
	net_set_up(CSUM);
	send_with(sum, 100);
	assert_int_equal(arrived(100)->header.summed, 34);
	packet_ring_pop(&peer.ring);
	send_with(cut, 100);
	assert_int_equal(dropped(&net.port, MULL_DROP_MALFORMED), 3);
	net_set_up(CSUM | HOST_TSO4);
	send_with(cut, 10000);
	assert_int_equal(arrived(10000)->header.piece, 100);
	packet_ring_pop(&peer.ring);
	/* What means nothing is not passed on. */
	send_with((struct packet_header){ 0xfe, 0, 9, 9, 9, 9, 9 }, 100);
	assert_int_equal(arrived(100)->header.flags, 0);
	assert_int_equal(arrived(100)->header.summed, 0);
	assert_int_equal(arrived(100)->header.piece, 0);
	assert_int_equal(arrived(100)->header.start, 0);
	assert_int_equal(arrived(100)->header.buffers, 1);
	assert_int_equal(complaints, 0);
	assert_int_equal(net_used(TRANSMIT), 2);
}

static void hostile_headers_are_dropped(void **state)
{
	static const struct packet_header bad[] = {
		{ .flags = 1, .summed = 99, .sum = 0 },
		{ .flags = 1, .summed = 0xffff, .sum = 0xffff },
		{ .flags = 1, .summed = 0, .sum = 16 },
		{ .flags = 0, .cut = 1, .piece = 100 },
		{ .flags = 1, .cut = 1, .summed = 34, .sum = 16 },
		{ .flags = 1, .cut = 3, .piece = 9, .summed = 34, .sum = 16 },
		{ .flags = 1, .cut = 0x80, .piece = 9, .summed = 34 },
	};

	(void)state;
	net_set_up(net.device.features & ~PACKED);
	for (uint32_t i = 0; i < ARRAY_COUNT(bad); i++) {
		send_with(bad[i], 100);
		assert_int_equal(dropped(&net.port, MULL_DROP_MALFORMED),
				 i + 1);
	}
	assert_null(packet_ring_first(&peer.ring));
	assert_int_equal(net_used(TRANSMIT), ARRAY_COUNT(bad));
	assert_int_equal(complaints, 0);
}

static void a_chain_that_is_no_packet_breaks_it(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 4; i++) {
		net_set_up(0);
		complaints = 0;
		net_describe(TRANSMIT, 0, BUFFERS, i ? 100 : 25, 0, 0);
		if (i == 1)
			net_describe(TRANSMIT, 0, BUFFERS, 100, WRITE, 0);
		if (i == 2)
			net_describe(TRANSMIT, 0, BUFFERS, PACKET_MAX + 13, 0,
				     0);
		if (i == 3) {
			write_packet(BUFFERS, &(struct packet_header){ 0 },
				     other, mac, 50);
			net_describe(TRANSMIT, 0, BUFFERS, 62, NEXT, 1);
			net_describe(TRANSMIT, 1, RAM_SIZE - 8, 60, 0, 0);
		}
		net_offer(TRANSMIT, 0);
		net_notify(TRANSMIT);
		work();
		assert_int_equal(complaints, 1);
		assert_int_equal(net_get(0x14, 1), 15 | 0x40);
	}
	/* The one that was begun is none. */
	assert_int_equal(packet_ring_first(&peer.ring)->length, 0);
}

static void a_spoofed_source_is_dropped(void **state)
{
	(void)state;
	net_set_up(0);
	write_packet(BUFFERS, &(struct packet_header){ 0 }, other, other, 60);
	net_describe(TRANSMIT, 0, BUFFERS, HEADER + 60, 0, 0);
	net_offer(TRANSMIT, 0);
	net_notify(TRANSMIT);
	work();
	assert_int_equal(dropped(&net.port, MULL_DROP_SPOOFED), 1);
	assert_null(packet_ring_first(&peer.ring));
}

static void a_rate_is_kept(void **state)
{
	uint64_t began;
	uint32_t count = 0;

	(void)state;
	virtio_net_remove(&net);
	nic.rate = 8000; /* 1000 bytes a millisecond */
	make();
	net_set_up(0);
	net_describe(TRANSMIT, 0, BUFFERS, HEADER + 1000, 0, 0);
	write_packet(BUFFERS, &(struct packet_header){ 0 }, other, mac, 1000);
	began = fake_time;
	while (fake_time < began + 1000 * fake_time_khz) {
		for (int i = 0; i < QUEUE_SIZE; i++)
			if ((uint16_t)(get_16(net_queue(1) + 0x1002) -
				       net_used(TRANSMIT)) < QUEUE_SIZE)
				net_offer(TRANSMIT, 0);
		net_notify(TRANSMIT);
		work();
		while (packet_ring_first(&peer.ring)) {
			packet_ring_pop(&peer.ring);
			count++;
		}
		/* It says when it goes on, which is within a packet's time. */
		if (vm.pci.due != ARCH_NO_DEADLINE) {
			assert_true(vm.pci.due > fake_time);
			assert_true(vm.pci.due <=
				    fake_time + 2 * fake_time_khz);
			fake_time = vm.pci.due;
		}
	}
	/* A second, and what may be sent at once. */
	assert_in_range(count, 1005, 1015);
	/* By time alone, without the driver. */
	net_offer(TRANSMIT, 0);
	fake_time += 1000 * fake_time_khz;
	work();
	assert_non_null(packet_ring_first(&peer.ring));
}

/* ---- the driver receives --------------------------------------------------- */

static uint8_t bytes[PACKET_MAX];

static enum error copy(const struct outgoing *packet, uint8_t *to)
{
	memcpy(to, bytes + PACKET_START, packet->length - PACKET_START);
	return ERR_NONE;
}

static void come(struct packet_header header, uint32_t length)
{
	struct outgoing packet = { header, length, { 0 }, copy, NULL };

	for (uint32_t i = 0; i < length; i++)
		bytes[i] = (uint8_t)(i * 11 + i / 256);
	memcpy(bytes, mac, MAC_SIZE);
	memcpy(bytes + MAC_SIZE, other, MAC_SIZE);
	memcpy(packet.start, bytes, PACKET_START);
	packet.header.buffers = 1;
	assert_int_equal(switch_send(&peer, &packet), ERR_NONE);
}

static void come_plain(uint32_t length)
{
	come((struct packet_header){ 0 }, length);
}

/* Buffer @index of @length bytes. */
static void give_buffer(uint16_t index, uint32_t length)
{
	net_describe(RECEIVE, index, BUFFERS + index * 0x1000, length, WRITE,
		     0);
	net_offer(RECEIVE, index);
}

static void a_driver_gets_packets_when_it_has_buffers(void **state)
{
	(void)state;
	net_set_up(0);
	come_plain(60); /* before it listens */
	assert_int_equal(dropped(&net.port, MULL_DROP_CLOSED), 1);
	give_buffer(0, 1530);
	net_notify(RECEIVE);
	work();
	assert_int_equal(net_used(RECEIVE), 0);
	fake_kicks[2] = 0;
	come_plain(1000);
	assert_int_equal(fake_kicks[2], 1);
	come_plain(500);
	assert_int_equal(fake_kicks[2], 1); /* it is on its way already */
	work();
	assert_int_equal(net_used(RECEIVE), 1);
	assert_int_equal(net_used_length(RECEIVE, 0), HEADER + 1000);
	assert_int_equal(get_16(BUFFERS + 10), 1);
	come_plain(500);
	assert_memory_equal(ram + BUFFERS + HEADER, bytes, 14);
	give_buffer(1, 1530);
	net_notify(RECEIVE);
	work();
	assert_int_equal(net_used(RECEIVE), 2);
	assert_memory_equal(ram + BUFFERS + 0x1000 + HEADER, bytes, 500);
	assert_int_equal(net.port.received, 2);
	assert_int_equal(net.port.received_bytes, 1500);
}

static void one_goes_into_several_buffers(void **state)
{
	(void)state;
	net_set_up(MRG);
	give_buffer(0, 100);
	give_buffer(1, 100);
	net_notify(RECEIVE);
	work();
	come_plain(250);
	work();
	assert_int_equal(net_used(RECEIVE), 0); /* until it fits */
	give_buffer(2, 100);
	net_notify(RECEIVE);
	work();
	assert_int_equal(net_used(RECEIVE), 3);
	assert_int_equal(get_16(BUFFERS + 10), 3);
	assert_int_equal(net_used_length(RECEIVE, 0), 100);
	assert_int_equal(net_used_length(RECEIVE, 1), 100);
	assert_int_equal(net_used_length(RECEIVE, 2), 62);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(net_used_id(RECEIVE, (uint16_t)i), i);
	assert_memory_equal(ram + BUFFERS + HEADER, bytes, 88);
	assert_memory_equal(ram + BUFFERS + 0x1000, bytes + 88, 100);
	assert_memory_equal(ram + BUFFERS + 0x2000, bytes + 188, 62);
	/* The number of buffers may itself be in two places. */
	net_describe(RECEIVE, 3, BUFFERS, 11, NEXT | WRITE, 4);
	net_describe(RECEIVE, 4, BUFFERS + 0x4000, 101, WRITE, 0);
	net_offer(RECEIVE, 3);
	give_buffer(5, 2000);
	net_notify(RECEIVE);
	come_plain(1000);
	work();
	assert_int_equal(net_used(RECEIVE), 5);
	assert_int_equal(ram[BUFFERS + 10], 2);
	assert_int_equal(ram[BUFFERS + 0x4000], 0);
	assert_int_equal(net_used_length(RECEIVE, 4), 900);
}

static void what_does_not_fit_is_dropped_without_that(void **state)
{
	(void)state;
	net_set_up(0);
	give_buffer(0, 100);
	net_notify(RECEIVE);
	work();
	come_plain(250);
	come_plain(60);
	work();
	assert_int_equal(dropped(&net.port, MULL_DROP_TOO_LONG), 1);
	assert_int_equal(net_used(RECEIVE), 1);
	assert_int_equal(net_used_length(RECEIVE, 0), 72);
	assert_int_equal(net.port.received, 1);
}

static void bad_buffers_break_it(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 3; i++) {
		net_set_up(MRG);
		complaints = 0;
		net_describe(RECEIVE, 0, i == 2 ? RAM_SIZE - 8 : BUFFERS,
			     i == 1 ? 11 : 100, i == 0 ? 0 : WRITE, 0);
		net_offer(RECEIVE, 0);
		net_notify(RECEIVE);
		work();
		come_plain(60);
		work();
		assert_int_equal(complaints, 1);
		assert_int_equal(net_get(0x14, 1), 15 | 0x40);
		assert_int_equal(net_used(RECEIVE), 0);
	}
	net_set_up(MRG); /* and what waited is not for this driver */
	give_buffer(0, 200);
	net_notify(RECEIVE);
	work();
	assert_int_equal(net_used(RECEIVE), 0);
	come_plain(60);
	work();
	assert_int_equal(net_used(RECEIVE), 1);
}

static void sums_are_made_for_those_who_make_none(void **state)
{
	const struct packet_header sum = { .flags = 1, .summed = 34, .sum = 6 };

	(void)state;
	net_set_up(GUEST_CSUM);
	give_buffer(0, 1530);
	net_notify(RECEIVE);
	work();
	come(sum, 100);
	work();
	assert_int_equal(ram[BUFFERS], 1);
	assert_int_equal(get_16(BUFFERS + 6), 34);
	assert_memory_equal(ram + BUFFERS + HEADER, bytes, 100);
	net_set_up(0);
	give_buffer(0, 1530);
	net_notify(RECEIVE);
	work();
	come(sum, 100);
	work();
	assert_int_equal(ram[BUFFERS], 0);
	assert_memory_equal(ram + BUFFERS + HEADER, bytes, 40);
	assert_memory_not_equal(ram + BUFFERS + HEADER + 40, bytes + 40, 2);
	assert_memory_equal(ram + BUFFERS + HEADER + 42, bytes + 42, 58);
}

/* A TCP segment of @payload bytes that is to be cut. */
static void come_tcp(uint32_t payload)
{
	struct outgoing packet = { .length = 54 + payload, .copy = copy };

	memset(bytes, 7, sizeof bytes);
	memcpy(bytes, mac, MAC_SIZE);
	memcpy(bytes + MAC_SIZE, other, MAC_SIZE);
	memcpy(bytes + 12, "\x08\0\x45", 3);
	bytes[23] = 6;
	bytes[46] = 0x50;
	memcpy(packet.start, bytes, PACKET_START);
	packet.header = (struct packet_header){ 1, 1, 54, 1000, 34, 16, 1 };
	assert_int_equal(switch_send(&peer, &packet), ERR_NONE);
}

static void tcp_is_cut_for_those_who_do_not(void **state)
{
	(void)state;
	net_set_up(0);
	for (uint16_t i = 0; i < 2; i++)
		give_buffer(i, 1530);
	net_notify(RECEIVE);
	work();
	come_tcp(2500);
	work();
	assert_int_equal(net_used(RECEIVE), 2);
	assert_int_equal(net_used_length(RECEIVE, 0), HEADER + 1054);
	give_buffer(2, 1530);
	give_buffer(3, 1530);
	net_notify(RECEIVE);
	come_plain(60); /* behind it */
	work();
	assert_int_equal(net_used(RECEIVE), 4);
	assert_int_equal(net_used_length(RECEIVE, 2), HEADER + 554);
	assert_int_equal(net_used_length(RECEIVE, 3), HEADER + 60);
	assert_int_equal(net.port.received, 2);
	/* Nothing that only says so is given on. */
	come_tcp(2500);
	packet_ring_first(&net.port.ring)->bytes[23] = 17;
	work();
	assert_int_equal(dropped(&net.port, MULL_DROP_MALFORMED), 1);
	assert_null(packet_ring_first(&net.port.ring));

	net_set_up(MRG | GUEST_CSUM | GUEST_TSO4);
	for (uint16_t i = 0; i < 2; i++)
		give_buffer(i, 1530);
	net_notify(RECEIVE);
	work();
	come_tcp(2500);
	work();
	assert_int_equal(net_used(RECEIVE), 2);
	assert_int_equal(ram[BUFFERS + 1], 1);
	assert_int_equal(get_16(BUFFERS + 10), 2);
}

static void a_reset_closes_it(void **state)
{
	(void)state;
	net_set_up(0);
	give_buffer(0, 1530);
	net_notify(RECEIVE);
	work();
	come_plain(60);
	net_set(0x14, 1, 0);
	come_plain(60);
	assert_int_equal(dropped(&net.port, MULL_DROP_CLOSED), 1);
	work();
	net_set_up(0);
	give_buffer(0, 1530);
	net_notify(RECEIVE);
	work();
	assert_int_equal(net_used(RECEIVE), 0);
	assert_int_equal(net.port.received, 0);
}

static void work_comes_in_pieces(void **state)
{
	(void)state;
	net_set_up(0);
	give_buffer(0, 1530);
	net_notify(RECEIVE);
	work();
	for (uint16_t i = 1; i < QUEUE_SIZE; i++)
		give_buffer(i, 1530);
	for (int i = 0; i < 40; i++)
		come_plain(60);
	for (uint16_t had = 0; net_used(RECEIVE) < QUEUE_SIZE;
	     had = net_used(RECEIVE)) {
		guest_pci_work(&vm);
		assert_in_range(net_used(RECEIVE) - had, 1, 16);
	}
	assert_int_equal(sent, 0); /* MSI-X is off */
}

static void it_counts(void **state)
{
	struct mull_device_stats stats = { 0 };
	const struct pci_function *function = &net.device.function;

	(void)state;
	net_set_up(0);
	send_with((struct packet_header){ 0 }, 100);
	function->operations->stats(function, &stats);
	assert_int_equal(stats.type, 1);
	assert_string_equal(stats.network, "lan");
	assert_memory_equal(stats.mac, mac, MAC_SIZE);
	assert_int_equal(stats.sent, 1);
	assert_int_equal(stats.sent_bytes, 100);
	assert_int_equal(stats.chains, 1);
	assert_int_equal(stats.notifications, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh, clear)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(it_says_what_it_is),
		TEST(a_packet_is_copied_once),
		TEST(only_what_was_negotiated_is_left_to_others),
		TEST(hostile_headers_are_dropped),
		TEST(a_chain_that_is_no_packet_breaks_it),
		TEST(a_spoofed_source_is_dropped),
		TEST(a_rate_is_kept),
		TEST(a_driver_gets_packets_when_it_has_buffers),
		TEST(one_goes_into_several_buffers),
		TEST(what_does_not_fit_is_dropped_without_that),
		TEST(bad_buffers_break_it),
		TEST(sums_are_made_for_those_who_make_none),
		TEST(tcp_is_cut_for_those_who_do_not),
		TEST(a_reset_closes_it),
		TEST(work_comes_in_pieces),
		TEST(it_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
