/* SPDX-License-Identifier: MIT */
/*
 * Packets that wait for one receiver: a bounded queue in the hypervisor's own
 * memory, with many senders on any CPUs and without a lock.  A sender reserves
 * its place, copies its packet there, and hands it over; a full ring refuses.
 * None waits for another: the receiver alone sees, and only as a packet that
 * is not there yet, that a sender is still copying.
 */
#ifndef MULLION_PACKET_RING_H
#define MULLION_PACKET_RING_H

#include <mullion/packet.h>
#include <stdatomic.h>

#define PACKET_RING_BYTES 0x40000
#define PACKET_RING_SLOTS 256 /* packets, less one */

struct packet_ring {
	uint8_t *bytes; /* PACKET_RING_BYTES of them, aligned to 64 */
	/* What is reserved, and what is taken and free again; each in one
	 * word: packets in its upper half, units of 64 bytes in its lower. */
	_Atomic uint64_t reserved, taken;
	_Atomic bool waits; /* the receiver has seen it empty */
	struct packet_slot {
		_Atomic bool ready;
		uint32_t start, end; /* units, as counted in @reserved */
	} slots[PACKET_RING_SLOTS];
};

/* ---- senders ------------------------------------------------------------- */

/*
 * packet_ring_reserve - room for a packet of @length bytes, at most PACKET_MAX
 * @slot: what packet_ring_commit() takes
 *
 * NULL when the ring is full.  Until the commit, which must follow soon, the
 * packet holds up those behind it.
 */
struct packet *packet_ring_reserve(struct packet_ring *ring, uint32_t length,
				   uint32_t *slot);
/* Hands it over; returns whether the receiver waits and must be told. */
bool packet_ring_commit(struct packet_ring *ring, uint32_t slot);

/* ---- the receiver --------------------------------------------------------- */

/* The packet that came first; NULL: none is there. */
struct packet *packet_ring_first(struct packet_ring *ring);
/* It is done with. */
void packet_ring_pop(struct packet_ring *ring);
/* Says that the next packet must be told of; false: one has come already. */
bool packet_ring_wait(struct packet_ring *ring);
/* Packets reserved so far: those up to there can be told from later ones. */
uint32_t packet_ring_count(const struct packet_ring *ring);
/* How many were popped. */
uint32_t packet_ring_popped(const struct packet_ring *ring);
/* Whether at most half of it is in use; a sender may ask, too. */
bool packet_ring_is_half_free(const struct packet_ring *ring);

#endif
