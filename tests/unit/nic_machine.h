/* SPDX-License-Identifier: MIT */
/* What drivers of network cards need of the fake machine: pages, a clock that
 * goes on, and somebody who receives and sends. */
#ifndef NIC_MACHINE_H
#define NIC_MACHINE_H

#include "fake_pci.h"
#include <mullion/frame_pool.h>
#include <mullion/nic.h>

#define BAR_AT 0x1800000000 /* beyond all that fake memory has */

static frame_owner owners[64];
static struct nic *nic;
static struct {
	uint32_t count, length; /* of all, and of the last */
	uint8_t bytes[PACKET_PLAIN_MAX];
} received;

/* A millisecond at each look, so that waiting ends. */
uint64_t arch_time(void)
{
	return fake_time += 1000000;
}

static void nic_machine_start(void)
{
	const struct mull_memory_range ram = { MIB(32), MIB(96),
					       MULL_MEMORY_USABLE, 0 };

	if (!frames_free())
		frame_pool_start(&ram, 1, owners, frame_pool_span(&ram, 1));
	fake_time = 0;
	memset(&received, 0, sizeof received);
	fake_pci_start();
}

static void on_received(struct nic *from, const uint8_t *bytes, uint32_t length)
{
	assert_ptr_equal(from, nic);
	assert_in_range(length, PACKET_START, PACKET_PLAIN_MAX);
	received.count++;
	received.length = length;
	memcpy(received.bytes, bytes, length);
}

static void find_it(void)
{
	pci_quiesce();
	nics_start();
	nic = nic_at(1);
	assert_non_null(nic);
}

static void bring_it_up(void)
{
	find_it();
	assert_null(nic_open(nic, on_received));
	assert_true(nic->ready);
}

/* Byte @at of packet @number. */
static uint8_t byte_of(uint32_t number, uint32_t at)
{
	return (uint8_t)(number * 31 + at * 7);
}

static bool send_one(uint32_t number, uint32_t length)
{
	static _Alignas(struct packet)
		uint8_t room[sizeof(struct packet) + PACKET_PLAIN_MAX];
	struct packet *packet = (struct packet *)room;

	packet->length = length;
	memset(&packet->header, 0xee, sizeof packet->header);
	for (uint32_t i = 0; i < length; i++)
		packet->bytes[i] = byte_of(number, i);
	if (!nic->driver->send(nic, packet))
		return false;
	nic->sent++;
	return true;
}

/* As the service CPU does, with a packet waiting for its turn always. */
static void rounds(uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		nic_poll(nic);
}

static void assert_given_up(void)
{
	assert_true(nic->dead);
	assert_false(nic->ready);
	assert_int_equal(fake_functions[0].config[1] & 4, 0);
	assert_true(nic_deadline(nic, true) == ARCH_NO_DEADLINE);
}

#endif
