/* SPDX-License-Identifier: MIT */
#include <mullion/packet_ring.h>

#define UNIT 64u
#define UNITS (PACKET_RING_BYTES / UNIT)

/* A place in the ring: both counts go on for ever, and wrap. */
struct place {
	uint32_t slot, unit;
};

static struct place place_of(uint64_t word)
{
	return (struct place){ (uint32_t)(word >> 32), (uint32_t)word };
}

static uint64_t word_of(struct place place)
{
	return (uint64_t)place.slot << 32 | place.unit;
}

static struct packet_slot *slot_at(struct packet_ring *ring, uint32_t slot)
{
	return &ring->slots[slot % PACKET_RING_SLOTS];
}

static struct packet *packet_at(const struct packet_ring *ring, uint32_t unit)
{
	return (struct packet *)(ring->bytes + unit % UNITS * UNIT);
}

/* Where a packet of @units lies that is put at @from: it does not wrap. */
static uint32_t start_of(uint32_t from, uint32_t units)
{
	uint32_t left = UNITS - from % UNITS;

	return left < units ? from + left : from;
}

struct packet *packet_ring_reserve(struct packet_ring *ring, uint32_t length,
				   uint32_t *slot)
{
	uint32_t units = (uint32_t)(sizeof(struct packet) + length + UNIT - 1) /
			 UNIT;
	/* This first: a later look at it could show more than was reserved. */
	struct place taken = place_of(
		atomic_load_explicit(&ring->taken, memory_order_acquire));
	uint64_t word = atomic_load(&ring->reserved);
	struct place from, to;
	uint32_t start;

	do {
		from = place_of(word);
		start = start_of(from.unit, units);
		to = (struct place){ from.slot + 1, start + units };
		if (to.slot - taken.slot >= PACKET_RING_SLOTS ||
		    to.unit - taken.unit > UNITS)
			return NULL;
	} while (!atomic_compare_exchange_weak(&ring->reserved, &word,
					       word_of(to)));
	slot_at(ring, from.slot)->start = start;
	slot_at(ring, from.slot)->end = to.unit;
	*slot = from.slot;
	return packet_at(ring, start);
}

bool packet_ring_commit(struct packet_ring *ring, uint32_t slot)
{
	atomic_store(&slot_at(ring, slot)->ready, true);
	/* One sender tells; the receiver looks again after it has said so. */
	return atomic_load(&ring->waits) &&
	       atomic_exchange(&ring->waits, false);
}

struct packet *packet_ring_first(struct packet_ring *ring)
{
	struct place taken = place_of(ring->taken);
	const struct packet_slot *slot = slot_at(ring, taken.slot);

	if (!atomic_load_explicit(&slot->ready, memory_order_acquire))
		return NULL;
	return packet_at(ring, slot->start);
}

void packet_ring_pop(struct packet_ring *ring)
{
	struct place taken = place_of(ring->taken);
	struct packet_slot *slot = slot_at(ring, taken.slot);

	taken = (struct place){ taken.slot + 1, slot->end };
	/* Before the place is free: its next packet is not there yet. */
	atomic_store_explicit(&slot->ready, false, memory_order_relaxed);
	atomic_store_explicit(&ring->taken, word_of(taken),
			      memory_order_release);
}

bool packet_ring_wait(struct packet_ring *ring)
{
	atomic_store(&ring->waits, true);
	if (!packet_ring_first(ring))
		return true;
	atomic_store(&ring->waits, false);
	return false;
}

uint32_t packet_ring_count(const struct packet_ring *ring)
{
	return place_of(atomic_load(&ring->reserved)).slot;
}

uint32_t packet_ring_popped(const struct packet_ring *ring)
{
	return place_of(ring->taken).slot;
}

bool packet_ring_is_half_free(const struct packet_ring *ring)
{
	/* In this order, so that what is in use is not less than that. */
	struct place taken = place_of(atomic_load(&ring->taken));
	struct place reserved = place_of(atomic_load(&ring->reserved));

	return reserved.unit - taken.unit <= UNITS / 2 &&
	       reserved.slot - taken.slot <= PACKET_RING_SLOTS / 2;
}
