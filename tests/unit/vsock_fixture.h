/* SPDX-License-Identifier: MIT */
/* One socket device; at the other end of its connections the test itself. */
#ifndef TESTS_UNIT_VSOCK_FIXTURE_H
#define TESTS_UNIT_VSOCK_FIXTURE_H

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

static inline void on_notice(struct vsock_port *port, enum vsock_notice notice)
{
	assert_ptr_equal(port, &peer);
	notices[notice]++;
}

static inline void work(void)
{
	for (int i = 0; i < 1000; i++)
		if (!guest_pci_work(&vm))
			return;
	fail_msg("the work does not end");
}

static inline int fresh(void **state)
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
		.index = MULL_VM_MAX - 1,
		.cid = PEER,
		.group = "all",
		.notify = on_notice,
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

static inline int clear(void **state)
{
	(void)state;
	vsock_detach(&peer);
	virtio_vsock_remove(&vsock);
	return 0;
}

/* ---- the driver ---------------------------------------------------------------- */

static inline struct vsock_header header(uint64_t cid, uint32_t port,
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

static inline void offer_packet(struct vsock_header it)
{
	memcpy(ram + BUFFERS, &it, HEAD);
	for (uint32_t i = 0; i < it.length; i++)
		ram[BUFFERS + HEAD + i] = (uint8_t)(i * 3);
	net_describe(TRANSMIT, 0, BUFFERS, HEAD + it.length, 0, 0);
	net_offer(TRANSMIT, 0);
	net_notify(TRANSMIT);
	work();
}

static inline void send(uint64_t cid, uint32_t port,
			enum vsock_operation operation, uint32_t length)
{
	offer_packet(header(cid, port, operation, length));
}

#define BUFFER 0x30000

/* A buffer of @room bytes behind the header; what comes is there. */
static inline struct vsock_header receive(uint32_t room)
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

static inline void expect_reset(uint64_t cid, uint32_t port)
{
	struct vsock_header got = receive(0);

	assert_int_equal(got.operation, VSOCK_RST);
	assert_int_equal(got.source_cid, cid);
	assert_int_equal(got.source_port, port);
	assert_int_equal(got.destination_port, 7);
}

/* ---- the other partition ---------------------------------------------------------- */

static inline struct vsock_letter expect_letter(enum vsock_operation operation,
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

static inline void expect_no_letter(void)
{
	assert_null(packet_ring_first(&peer.ring));
}

static inline void write_letter(uint32_t port, enum vsock_operation operation,
				uint32_t length, bool place)
{
	uint32_t slot;
	struct packet *packet = vsock_reserve(&vsock.port, length, &slot);
	struct vsock_letter *letter = vsock_letter_of(packet);

	*letter = (struct vsock_letter){ .life = vsock_life(&peer),
					 .to_life = vsock_life(&vsock.port),
					 .from = peer.index,
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

static inline uint32_t places(const struct vsock_port *port)
{
	return (uint32_t)atomic_load(&port->state);
}

static inline void connect_peer(uint32_t port)
{
	send(PEER, port, VSOCK_REQUEST, 0);
	assert_true(expect_letter(VSOCK_REQUEST, 0).has_place);
	write_letter(port, VSOCK_RESPONSE, 0, false);
	assert_int_equal(receive(0).operation, VSOCK_RESPONSE);
}

#define VSOCK_TEST(name) cmocka_unit_test_setup_teardown(name, fresh, clear)

#endif
