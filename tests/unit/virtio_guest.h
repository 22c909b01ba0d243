/* SPDX-License-Identifier: MIT */
/*
 * The driver of a whole virtio device, with a ring for each of its queues, at
 * the device's registers on the bus of @vm.  A chain is one piece that the
 * device reads, then one that it writes.
 */
#ifndef TESTS_UNIT_VIRTIO_GUEST_H
#define TESTS_UNIT_VIRTIO_GUEST_H

#include "packed_ring.h"
#include "virtio_driver.h"

#include <mullion/guest.h>
#include <mullion/virtio.h>
#include <mullion/vm.h>

#define DRIVEN_SLOT 5
#define VERSION_1 (1ull << 32)
/* Of queue @q: a page for its ring, and room for its chains' bytes. */
#define RING(q) (0x1000ull * ((q) + 1))
#define RING_DRIVER 0x200
#define RING_DEVICE 0x400
#define CHAIN_ROOM 0x800ull
#define OUT_BYTES(q, head) (0x10000ull + 0x5000 * (q) + CHAIN_ROOM * (head))
#define IN_BYTES(q, head) (OUT_BYTES(q, head) + CHAIN_ROOM / 2)

static struct vm vm;
static struct vcpu first;
static bool is_packed;
static uint16_t offered[VIRTIO_QUEUES_MAX]; /* chains */
static uint16_t places[VIRTIO_QUEUES_MAX];  /* of a packed ring, so far */

static inline uint64_t bar_at(uint32_t offset)
{
	return MULL_GUEST_PCI_MEMORY +
	       DRIVEN_SLOT * (MULL_GUEST_PCI_MEMORY_SIZE / PCI_SLOTS) + offset;
}

static inline void set_register(uint32_t offset, uint32_t size, uint64_t value)
{
	guest_pci_write(&vm, gpa(bar_at(offset)), size, value);
}

static inline uint64_t get_register(uint32_t offset, uint32_t size)
{
	return guest_pci_read(&vm, gpa(bar_at(offset)), size);
}

static inline void start_driver(uint32_t queues, uint64_t features)
{
	guest_pci_write(&vm, gpa(MULL_GUEST_ECAM + (DRIVEN_SLOT << 15) + 4), 2,
			2);
	set_register(0x14, 1, 0);
	is_packed = features & PACKED;
	memset(offered, 0, sizeof offered);
	memset(places, 0, sizeof places);
	memset(ram + RING(0), 0, 0x1000 * VIRTIO_QUEUES_MAX);
	set_register(0x08, 4, 0);
	set_register(0x0c, 4, (uint32_t)features);
	set_register(0x08, 4, 1);
	set_register(0x0c, 4, (features | VERSION_1) >> 32);
	set_register(0x14, 1, 11);
	for (uint32_t q = 0; q < queues; q++) {
		set_register(0x16, 2, q);
		set_register(0x18, 2, QUEUE_SIZE);
		set_register(0x20, 8, RING(q));
		set_register(0x28, 8, RING(q) + RING_DRIVER);
		set_register(0x30, 8, RING(q) + RING_DEVICE);
		set_register(0x1c, 2, 1);
	}
	set_register(0x14, 1, 15);
}

/* Does the home CPU's work.  Whether it ends within so many steps. */
static inline bool work_within(uint32_t steps)
{
	for (uint32_t i = 0; i < steps; i++)
		if (!guest_pci_work(&vm))
			return true;
	return false;
}

static inline bool work_all(void)
{
	return work_within(1000);
}

/* Offers the next place of a packed ring. */
static inline void offer_place(uint32_t q, uint64_t address, uint32_t length,
			       uint16_t flags, uint16_t id)
{
	uint16_t place = places[q]++;

	describe_at(RING(q), place % QUEUE_SIZE, address, length, id,
		    flags | packed_offer_bits(place, QUEUE_SIZE));
}

/* One piece of a chain, with another behind it or not. */
static inline void offer_piece(uint32_t q, uint32_t index, uint64_t address,
			       uint32_t length, uint16_t flags)
{
	if (is_packed)
		offer_place(q, address, length, flags, (uint16_t)(index & ~1u));
	else
		describe_at(RING(q), index, address, length, flags,
			    flags & NEXT ? (uint16_t)(index + 1) : 0);
}

/* Offers @out bytes to be read, and room for @in; then notifies. */
static inline void offer_chain(uint32_t q, const void *bytes, uint32_t out,
			       uint32_t in)
{
	uint32_t slot = offered[q] % (QUEUE_SIZE / 2), head = slot * 2;

	memcpy(ram + OUT_BYTES(q, slot), bytes, out);
	if (out)
		offer_piece(q, head, OUT_BYTES(q, slot), out, in ? NEXT : 0);
	if (in || !out)
		offer_piece(q, out ? head + 1 : head, IN_BYTES(q, slot), in,
			    WRITE);
	if (!is_packed) {
		put_16(RING(q) + RING_DRIVER + 4 + offered[q] % QUEUE_SIZE * 2,
		       (uint16_t)head);
		put_16(RING(q) + RING_DRIVER + 2, offered[q] + 1);
	}
	offered[q]++;
	set_register(0x3000 + q * 4, 2, q);
}

/* Of a packed ring: in its first round, and chains of one piece. */
static inline uint16_t chains_used(uint32_t q)
{
	uint16_t count = 0;

	if (!is_packed)
		return get_16(RING(q) + RING_DEVICE + 2);
	for (uint32_t i = 0; i < QUEUE_SIZE; i++)
		count += (get_16(RING(q) + i * 16 + 14) & PACKED_BITS) ==
			 PACKED_BITS;
	return count;
}

/* What the device wrote to the chain that it gave back as number @index. */
static inline const uint8_t *answer_of(uint32_t q, uint16_t index,
				       uint32_t *length)
{
	uint64_t element = RING(q) + RING_DEVICE + 4 + index % QUEUE_SIZE * 8;

	*length = get_32(element + 4);
	return ram + IN_BYTES(q, get_32(element) / 2);
}

#endif
