/* SPDX-License-Identifier: MIT */
/* One device; at the other end of its connections the test itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "net_driver.h"

#include <arch/fake/fake.h>
#include <cmocka.h>
#include <mullion/log.h>
#include <mullion/manage.h>
#include <mullion/virtio_vsock.h>
#include <stdlib.h>

#define BUFFERS 0x10000
#define HEAD 44
#define CID 3
#define PEER 4

static struct vcpu first;
static struct virtio_vsock vsock;
static struct vsock_port peer;
static uint8_t memories[2][PACKET_RING_BYTES] __attribute__((aligned(64)));
static uint32_t complaints, notices[3];

bool vm_interrupt(struct vm *to, const struct apic_message *message)
{
	(void)message;
	assert_ptr_equal(to, &vm);
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

/* Of the console, which has the rings. */
void manage_notify(void)
{
}

void io_apic_set_line(struct vm *to, uint32_t pin, bool high)
{
	(void)to;
	(void)pin;
	(void)high;
}

_Noreturn void panic(const char *format, ...)
{
	fail_msg("panic: %s", format);
	abort();
}

static void on_notice(struct vsock_port *port, enum vsock_notice notice)
{
	assert_ptr_equal(port, &peer);
	notices[notice]++;
}

static void work(void)
{
	for (int i = 0; i < 1000; i++)
		if (!guest_pci_work(&vm))
			return;
	fail_msg("the work does not end");
}

static int fresh(void **state)
{
	(void)state;
	ram_clear();
	ram_is_uncounted = false;
	memset(&vm, 0, sizeof vm);
	memset(&vsock, 0, sizeof vsock);
	fake_cpu_count = 4;
	fake_time = 1000000;
	complaints = 0;
	memset(notices, 0, sizeof notices);
	vm.vcpus[0] = &first;
	vm.index = 1;
	vm.description.vsock = CID;
	memcpy(vm.description.vsock_group, "all", 4);
	vsock.port.ring.bytes = memories[0];
	vm.vsock = &vsock;
	virtio_vsock_add(&vm, &vsock, NET_SLOT);
	guest_pci_reset(&vm);
	peer = (struct vsock_port){
		.index = 2, .cid = PEER, .group = "all", .notify = on_notice
	};
	peer.ring.bytes = memories[1];
	peer.ring.waits = true;
	vsock_attach(&peer);
	vsock_open(&peer, VSOCK_PLACES);
	net_set_up(0);
	net_notify(RECEIVE);
	work();
	return 0;
}

static int clear(void **state)
{
	(void)state;
	vsock_detach(&peer);
	virtio_vsock_remove(&vsock);
	return 0;
}

/* ---- the driver ---------------------------------------------------------------- */

static struct vsock_header header(uint64_t cid, uint32_t port,
				  enum vsock_operation operation,
				  uint32_t length)
{
	return (struct vsock_header){ .source_cid = CID,
				      .destination_cid = cid,
				      .source_port = 7,
				      .destination_port = port,
				      .length = length,
				      .type = VSOCK_STREAM,
				      .operation = (uint16_t)operation,
				      .buffer_size = 0x40000 };
}

static void offer_packet(struct vsock_header it)
{
	memcpy(ram + BUFFERS, &it, HEAD);
	for (uint32_t i = 0; i < it.length; i++)
		ram[BUFFERS + HEAD + i] = (uint8_t)(i * 3);
	net_describe(TRANSMIT, 0, BUFFERS, HEAD + it.length, 0, 0);
	net_offer(TRANSMIT, 0);
	net_notify(TRANSMIT);
	work();
}

static void send(uint64_t cid, uint32_t port, enum vsock_operation operation,
		 uint32_t length)
{
	offer_packet(header(cid, port, operation, length));
}

#define BUFFER 0x30000

/* A buffer of @room bytes behind the header; what comes is there. */
static struct vsock_header receive(uint32_t room)
{
	uint16_t used = net_used(RECEIVE);
	struct vsock_header got = { 0 };

	net_describe(RECEIVE, used % QUEUE_SIZE, BUFFER, HEAD + room, WRITE, 0);
	net_offer(RECEIVE, used % QUEUE_SIZE);
	net_notify(RECEIVE);
	work();
	if (net_used(RECEIVE) == used)
		return got; /* the next packet finds it */
	memcpy(&got, ram + BUFFER, HEAD);
	assert_int_equal(net_used_length(RECEIVE, used), HEAD + got.length);
	assert_int_equal(got.destination_cid, CID);
	return got;
}

static void expect_reset(uint64_t cid, uint32_t port)
{
	struct vsock_header got = receive(0);

	assert_int_equal(got.operation, VSOCK_RST);
	assert_int_equal(got.source_cid, cid);
	assert_int_equal(got.source_port, port);
	assert_int_equal(got.destination_port, 7);
}

/* ---- the other partition ---------------------------------------------------------- */

static struct vsock_letter expect_letter(enum vsock_operation operation,
					 uint32_t length)
{
	struct packet *packet = packet_ring_first(&peer.ring);
	struct vsock_letter letter;

	assert_non_null(packet);
	letter = *vsock_letter_of(packet);
	assert_int_equal(letter.header.operation, operation);
	assert_int_equal(letter.header.length, length);
	assert_int_equal(letter.header.source_cid, CID);
	for (uint32_t i = 0; i < length; i++)
		assert_int_equal(vsock_letter_of(packet)->payload[i],
				 (uint8_t)(i * 3));
	vsock_pop(&peer);
	return letter;
}

static void expect_no_letter(void)
{
	assert_null(packet_ring_first(&peer.ring));
}

static void write_letter(uint32_t port, enum vsock_operation operation,
			 uint32_t length, bool place)
{
	uint32_t slot;
	struct packet *packet = vsock_reserve(&vsock.port, length, &slot);
	struct vsock_letter *letter = vsock_letter_of(packet);

	*letter = (struct vsock_letter){ .life = vsock_life(&peer),
					 .to_life = vsock_life(&vsock.port),
					 .from = 2,
					 .has_place = place,
					 .header = header(CID, 7, operation,
							  length) };
	letter->header.source_cid = PEER;
	letter->header.source_port = port;
	for (uint32_t i = 0; i < length; i++)
		letter->payload[i] = (uint8_t)(i * 5);
	vsock_commit(&vsock.port, slot);
	work();
}

static uint32_t places(const struct vsock_port *port)
{
	return (uint32_t)atomic_load(&port->state);
}

static void connect_peer(uint32_t port)
{
	send(PEER, port, VSOCK_REQUEST, 0);
	assert_true(expect_letter(VSOCK_REQUEST, 0).has_place);
	write_letter(port, VSOCK_RESPONSE, 0, false);
	assert_int_equal(receive(0).operation, VSOCK_RESPONSE);
}

/* ---- tests ------------------------------------------------------------------------ */

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
	assert_int_equal(vsock.spoofed, 1);
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
	assert_int_equal(vsock.stalled, 4);
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

/* ---- the host's end ------------------------------------------------------------------ */

static uint32_t connect_host(uint32_t *own_port)
{
	struct vsock_header got;
	uint32_t number;

	assert_int_equal(virtio_vsock_connect(&vm, 7, false, &number),
			 ERR_NONE);
	work();
	got = receive(0);
	assert_int_equal(got.operation, VSOCK_REQUEST);
	assert_int_equal(got.source_cid, VSOCK_CID_HOST);
	assert_int_equal(got.buffer_size, VSOCK_HOST_BUFFER);
	*own_port = got.source_port;
	send(VSOCK_CID_HOST, *own_port, VSOCK_RESPONSE, 0);
	assert_int_equal(virtio_vsock_host(&vm, number)->state,
			 VSOCK_HOST_OPEN);
	return number;
}

static void the_host_connects(void **state)
{
	uint32_t port, number = connect_host(&port);
	struct vsock_host *host = virtio_vsock_host(&vm, number);
	uint8_t bytes[VSOCK_HOST_BUFFER];
	uint64_t position = 0;
	struct vsock_header got;

	(void)state;
	assert_int_equal(console_put(&host->stream.to_guest, "hello", 5), 5);
	virtio_vsock_changed(&vm);
	got = receive(4096);
	assert_int_equal(got.operation, VSOCK_RW);
	assert_memory_equal(ram + BUFFER + HEAD, "hello", 5);
	send(VSOCK_CID_HOST, port, VSOCK_RW, 3000);
	assert_int_equal(stream_read(&host->stream, &position, bytes, 2000),
			 2000);
	position = 2000;
	stream_read(&host->stream, &position, bytes, 2000);
	virtio_vsock_changed(&vm);
	got = receive(0);
	assert_int_equal(got.operation, VSOCK_CREDIT_UPDATE);
	assert_int_equal(got.forwarded, 2000);
	virtio_vsock_end(&vm, number, false);
	got = receive(0);
	assert_int_equal(got.operation, VSOCK_SHUTDOWN);
	assert_int_equal(got.flags, VSOCK_NO_MORE_SENT);
	virtio_vsock_end(&vm, number, true);
	expect_reset(VSOCK_CID_HOST, port);
	assert_null(virtio_vsock_host(&vm, number));
	assert_int_equal(host->state, VSOCK_HOST_FREE);
}

static void a_guest_keeps_to_its_credit(void **state)
{
	uint32_t port, number = connect_host(&port);

	(void)state;
	send(VSOCK_CID_HOST, port, VSOCK_RW, VSOCK_HOST_BUFFER);
	send(VSOCK_CID_HOST, port, VSOCK_RW, 1);
	expect_reset(VSOCK_CID_HOST, port);
	assert_int_equal(virtio_vsock_host(&vm, number)->state,
			 VSOCK_HOST_ENDED);
}

static void credit_that_cannot_be_is_none(void **state)
{
	uint32_t port, number = connect_host(&port);
	struct vsock_host *host = virtio_vsock_host(&vm, number);
	struct vsock_header it = header(2, port, VSOCK_CREDIT_UPDATE, 0);

	(void)state;
	console_put(&host->stream.to_guest, "hello", 5);
	it.forwarded = 1; /* of nothing */
	it.buffer_size = 100;
	offer_packet(it);
	assert_int_equal(receive(100).operation, 0);
	it.forwarded = 0;
	it.buffer_size = 2;
	offer_packet(it);
	assert_int_equal(net_used(RECEIVE), 2);
	memcpy(&it, ram + BUFFER, HEAD);
	assert_int_equal(it.length, 2);
}

static void a_guest_connects_to_who_listens(void **state)
{
	struct vsock_header got;
	uint32_t number, other;

	(void)state;
	send(VSOCK_CID_HOST, 80, VSOCK_REQUEST, 0);
	expect_reset(VSOCK_CID_HOST, 80);
	assert_int_equal(virtio_vsock_connect(&vm, 80, true, &number),
			 ERR_NONE);
	assert_int_equal(virtio_vsock_connect(&vm, 80, true, &other),
			 ERR_EXISTS);
	send(VSOCK_CID_HOST, 80, VSOCK_REQUEST, 0);
	got = receive(0);
	assert_int_equal(got.operation, VSOCK_RESPONSE);
	/* Once. */
	send(VSOCK_CID_HOST, 80, VSOCK_REQUEST, 0);
	expect_reset(VSOCK_CID_HOST, 80);
	assert_int_equal(virtio_vsock_host(&vm, number)->state,
			 VSOCK_HOST_ENDED);
}

static void who_is_not_heard_of_is_gone(void **state)
{
	uint32_t port, number = connect_host(&port), other;

	(void)state;
	for (int i = 1; i < VSOCK_HOST_STREAMS; i++)
		assert_int_equal(virtio_vsock_connect(&vm, 100u + (uint32_t)i,
						      true, &other),
				 ERR_NONE);
	assert_int_equal(virtio_vsock_connect(&vm, 200, true, &other),
			 ERR_BUSY);
	fake_time += VSOCK_HOST_SECONDS * 1000ull * fake_time_khz;
	work();
	expect_reset(VSOCK_CID_HOST, port);
	assert_null(virtio_vsock_host(&vm, number));
	assert_int_equal(virtio_vsock_connect(&vm, 200, true, &other),
			 ERR_NONE);
	assert_int_not_equal(other, number);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh, clear)
	const struct CMUnitTest tests[] = {
		TEST(it_says_what_it_is),
		TEST(bytes_go_both_ways),
		TEST(others_reach_it_too),
		TEST(who_is_not_in_its_group_is_not_reached),
		TEST(a_foreign_source_is_not_heard),
		TEST(what_is_unknown_is_answered),
		TEST(answers_are_bounded),
		TEST(connections_are_bounded),
		TEST(what_breaks_the_rules_breaks_the_device),
		TEST(an_end_is_told_to_the_others),
		TEST(a_connection_of_a_former_life_ends_first),
		TEST(a_full_ring_is_waited_for),
		TEST(but_not_for_ever),
		TEST(the_host_connects),
		TEST(a_guest_keeps_to_its_credit),
		TEST(credit_that_cannot_be_is_none),
		TEST(a_guest_connects_to_who_listens),
		TEST(who_is_not_heard_of_is_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
