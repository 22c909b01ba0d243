/* SPDX-License-Identifier: MIT */
/*
 * The driver of a network device in the double of guest memory: its two queues
 * and its registers.  The test names the device's VM @vm and its slot.
 */
#ifndef TESTS_UNIT_NET_DRIVER_H
#define TESTS_UNIT_NET_DRIVER_H

#include "packed_ring.h"
#include "virtio_driver.h"

#include <mullion/guest.h>
#include <mullion/virtio_net.h>
#include <mullion/vm.h>

#define NET_SLOT 3
#define RECEIVE 0
#define TRANSMIT 1
#define HEADER 12

static struct vm vm;
static bool net_is_packed;
static uint16_t net_places[3]; /* where a packed ring is offered next */

/* Three pages for each queue: descriptors, the driver's and the device's. */
static inline uint64_t net_queue(uint32_t queue)
{
	return 0x1000 + queue * 0x3000;
}

static inline void net_describe(uint32_t queue, uint32_t index, uint64_t at,
				uint32_t length, uint16_t flags, uint16_t next)
{
	if (net_is_packed) /* an id, and then flags */
		describe_at(net_queue(queue), index, at, length, next, flags);
	else
		describe_at(net_queue(queue), index, at, length, flags, next);
}

/* The chain at the next place of a packed ring, whatever it is. */
static inline void net_offer_packed(uint32_t queue)
{
	uint16_t flags = NEXT;

	for (int i = 0; i < QUEUE_SIZE && flags & NEXT; i++) {
		uint16_t place = net_places[queue]++;
		uint64_t at = net_queue(queue) + place % QUEUE_SIZE * 16 + 14;

		flags = get_16(at);
		put_16(at, (flags & ~PACKED_BITS) |
				   packed_offer_bits(place, QUEUE_SIZE));
	}
}

static inline void net_offer(uint32_t queue, uint16_t head)
{
	uint64_t ring = net_queue(queue) + 0x1000;
	uint16_t index = get_16(ring + 2);

	if (net_is_packed) {
		net_offer_packed(queue);
		return;
	}
	put_16(ring + 4 + index % QUEUE_SIZE * 2, head);
	put_16(ring + 2, index + 1);
}

static inline uint16_t net_used(uint32_t queue)
{
	return get_16(net_queue(queue) + 0x2002);
}

static inline uint32_t net_used_length(uint32_t queue, uint16_t index)
{
	return get_32(net_queue(queue) + 0x2008 + index % QUEUE_SIZE * 8);
}

static inline uint32_t net_used_id(uint32_t queue, uint16_t index)
{
	return get_32(net_queue(queue) + 0x2004 + index % QUEUE_SIZE * 8);
}

static inline uint64_t net_register(uint32_t offset)
{
	uint64_t ecam = MULL_GUEST_ECAM + (NET_SLOT << 15);

	return guest_pci_read(&vm, gpa(ecam + 0x10), 4) + offset;
}

static inline void net_set(uint32_t offset, uint32_t size, uint64_t value)
{
	guest_pci_write(&vm, gpa(net_register(offset)), size, value);
}

static inline uint64_t net_get(uint32_t offset, uint32_t size)
{
	return guest_pci_read(&vm, gpa(net_register(offset)), size);
}

static inline void net_notify(uint32_t queue)
{
	net_set(0x3000 + queue * 4, 2, queue);
}

/* Resets it and starts it with @features beside VERSION_1. */
static inline void net_set_up(uint64_t features)
{
	net_is_packed = features & PACKED;
	memset(net_places, 0, sizeof net_places);
	guest_pci_write(&vm, gpa(MULL_GUEST_ECAM + (NET_SLOT << 15) + 4), 2, 2);
	net_set(0x14, 1, 0);
	net_set(0x08, 4, 0);
	net_set(0x0c, 4, (uint32_t)features);
	net_set(0x08, 4, 1);
	net_set(0x0c, 4, 1 | features >> 32);
	net_set(0x14, 1, 11);
	for (uint32_t queue = 0; queue < 2; queue++) {
		memset(ram + net_queue(queue), 0, 0x3000);
		net_set(0x16, 2, queue);
		net_set(0x18, 2, QUEUE_SIZE);
		net_set(0x1a, 2, queue);
		net_set(0x20, 8, net_queue(queue));
		net_set(0x28, 8, net_queue(queue) + 0x1000);
		net_set(0x30, 8, net_queue(queue) + 0x2000);
		net_set(0x1c, 2, 1);
	}
	net_set(0x14, 1, 15);
}

#endif
