/* SPDX-License-Identifier: MIT */
/* Sockets with the host, and what a device counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "vsock_fixture.h"

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

/* ---- what it counts --------------------------------------------------------------- */

static struct mull_device_stats counted(void)
{
	struct mull_device_stats stats = { 0 };
	struct pci_function *function = &vsock.device.function;

	function->operations->stats(function, &stats);
	return stats;
}

static void passed_on_packets_are_counted(void **state)
{
	struct mull_device_stats stats;

	(void)state;
	connect_peer(9);
	send(PEER, 9, VSOCK_RW, 3000);
	write_letter(9, VSOCK_RW, 5000, false);
	receive(4096);
	receive(4096);
	stats = counted();
	assert_string_equal(stats.network, "all");
	assert_int_equal(stats.type, 19);
	assert_int_equal(stats.sent, 2); /* with what asked for it, */
	assert_int_equal(stats.sent_bytes, 3000);
	assert_int_equal(stats.received, 3); /* and with the answer */
	assert_int_equal(stats.received_bytes, 5000);
	assert_int_equal(stats.connections, 1);
	assert_int_equal(stats.refused, 0);
	/* Each once, whatever the driver answers, and from either end. */
	assert_true(vsock_take_place(&vsock.port, vsock_life(&vsock.port)));
	write_letter(10, VSOCK_REQUEST, 0, true);
	receive(0);
	assert_int_equal(counted().connections, 1);
	send(PEER, 10, VSOCK_RESPONSE, 0);
	send(PEER, 10, VSOCK_RESPONSE, 0);
	assert_int_equal(counted().connections, 2);
	for (int i = 0; i < MULL_DROP_REASONS; i++)
		assert_int_equal(counted().drops[i], 0);
}

static void what_is_in_vain_is_counted(void **state)
{
	struct mull_device_stats stats;
	uint32_t sent;

	(void)state;
	send(99, 9, VSOCK_REQUEST, 0); /* to nobody, */
	send(VSOCK_CID_HOST, 9, VSOCK_REQUEST, 0);
	assert_int_equal(counted().refused, 2);
	assert_int_equal(counted().sent, 0);
	send(PEER, 9, VSOCK_REQUEST, 0); /* and to who does not want it */
	write_letter(9, VSOCK_RST, 0, false);
	for (int i = 0; i < 3; i++)
		receive(0);
	stats = counted();
	assert_int_equal(stats.refused, 3);
	assert_int_equal(stats.connections, 0);
	send(PEER, 9, VSOCK_RW, 10);
	assert_int_equal(counted().drops[MULL_DROP_NOBODY], 1);
	expect_reset(PEER, 9);
	write_letter(9, VSOCK_RW, 10, false);
	assert_int_equal(counted().drops[MULL_DROP_CLOSED], 1);
	connect_peer(9);
	sent = (uint32_t)counted().sent;
	send(PEER, 9, (enum vsock_operation)77, 0);
	assert_int_equal(counted().drops[MULL_DROP_MALFORMED], 1);
	send(PEER, 9, VSOCK_RW, 10); /* in what has ended */
	assert_int_equal(counted().drops[MULL_DROP_CLOSED], 2);
	assert_int_equal(counted().sent, sent);
	assert_int_equal(counted().refused, 3);
}

static void the_hosts_connections_are_counted(void **state)
{
	uint32_t number;

	(void)state;
	virtio_vsock_connect(&vm, 80, true, &number);
	send(VSOCK_CID_HOST, 80, VSOCK_REQUEST, 0);
	assert_int_equal(counted().connections, 1);
	send(VSOCK_CID_HOST, 80, VSOCK_RW, 10);
	send(VSOCK_CID_HOST, 80, VSOCK_RW, VSOCK_HOST_BUFFER);
	assert_int_equal(counted().sent_bytes, 10);
	assert_int_equal(counted().drops[MULL_DROP_FULL], 1);
}

/* Its events stay where they are: whatever ends is told for each by itself. */
int main(void)
{
	const struct CMUnitTest tests[] = {
		VSOCK_TEST(the_host_connects),
		VSOCK_TEST(a_guest_keeps_to_its_credit),
		VSOCK_TEST(credit_that_cannot_be_is_none),
		VSOCK_TEST(a_guest_connects_to_who_listens),
		VSOCK_TEST(who_is_not_heard_of_is_gone),
		VSOCK_TEST(passed_on_packets_are_counted),
		VSOCK_TEST(what_is_in_vain_is_counted),
		VSOCK_TEST(the_hosts_connections_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
