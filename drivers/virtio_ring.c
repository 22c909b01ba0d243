/* SPDX-License-Identifier: MIT */
/* No event index: a device is always notified, and may always interrupt. */
#include <mullion/arch.h>
#include <mullion/bits.h>
#include <mullion/log.h>
#include <mullion/page.h>
#include <mullion/virtio_ring.h>
#include <stddef.h>
#include <string.h>

#define DESCRIPTOR_NEXT 1
#define DESCRIPTOR_WRITE 2

/* "The Virtqueue Descriptor Table", "Available Ring", "Used Ring"; their
 * entries for a smaller queue come first as well. */
struct virtio_areas {
	struct {
		uint64_t at;
		uint32_t length;
		uint16_t flags, next;
	} descriptors[VIRTIO_RING_MAX];
	struct {
		uint16_t flags, index, ring[VIRTIO_RING_MAX], event;
	} driver;
	struct {
		uint16_t flags, index;
		struct {
			uint32_t id, length;
		} ring[VIRTIO_RING_MAX];
		uint16_t event;
	} device __attribute__((aligned(4)));
};
_Static_assert(sizeof(struct virtio_areas) <= PAGE_SIZE, "one page");
_Static_assert(offsetof(struct virtio_areas, device) % 4 == 0, "aligned");

enum error virtio_ring_make(struct virtio_ring *ring, uint16_t size)
{
	ASSERT(size && size <= VIRTIO_RING_MAX && !(size & (size - 1)));
	ring->areas = page_alloc(1);
	if (!ring->areas)
		return ERR_NO_MEMORY;
	ring->size = size;
	virtio_ring_reset(ring);
	return ERR_NONE;
}

void virtio_ring_reset(struct virtio_ring *ring)
{
	memset(ring->areas, 0, sizeof *ring->areas);
	memset(ring->chain, 0, sizeof ring->chain);
	ring->available = ring->used = ring->free = 0;
	ring->free_count = ring->size;
	for (uint16_t i = 0; i < ring->size; i++)
		ring->next[i] = i + 1;
}

hpa_t virtio_ring_descriptors(const struct virtio_ring *ring)
{
	return arch_physical(ring->areas);
}

hpa_t virtio_ring_driver(const struct virtio_ring *ring)
{
	return arch_physical(&ring->areas->driver);
}

hpa_t virtio_ring_device(const struct virtio_ring *ring)
{
	return arch_physical(&ring->areas->device);
}

enum error virtio_ring_add(struct virtio_ring *ring,
			   const struct virtio_piece *pieces, uint32_t count,
			   uint32_t token)
{
	struct virtio_areas *areas = ring->areas;
	uint16_t head = ring->free;

	ASSERT(count);
	if (count > ring->free_count)
		return ERR_BUSY;
	ring->room[head] = 0;
	for (uint32_t i = 0; i < count; i++) {
		uint16_t at = ring->free;
		bool last = i + 1 == count;

		ring->free = ring->next[at];
		areas->descriptors[at].at = pieces[i].at.value;
		areas->descriptors[at].length = pieces[i].length;
		areas->descriptors[at].flags = (pieces[i].write ?
							DESCRIPTOR_WRITE :
							0) |
					       (last ? 0 : DESCRIPTOR_NEXT);
		areas->descriptors[at].next = last ? 0 : ring->free;
		if (pieces[i].write)
			ring->room[head] += pieces[i].length;
	}
	ring->free_count -= count;
	ring->chain[head] = (uint16_t)count;
	ring->token[head] = token;
	areas->driver.ring[ring->available % ring->size] = head;
	ring->available++;
	__atomic_store_n(&areas->driver.index, ring->available,
			 __ATOMIC_RELEASE);
	return ERR_NONE;
}

/* Its descriptors go before the other free ones. */
static void free_chain(struct virtio_ring *ring, uint16_t head)
{
	uint16_t last = head;

	for (uint16_t i = 1; i < ring->chain[head]; i++)
		last = ring->next[last];
	ring->next[last] = ring->free;
	ring->free = head;
	ring->free_count += ring->chain[head];
	ring->chain[head] = 0;
}

enum error virtio_ring_take(struct virtio_ring *ring, uint32_t *token,
			    uint32_t *length)
{
	struct virtio_areas *areas = ring->areas;
	uint16_t index = __atomic_load_n(&areas->device.index,
					 __ATOMIC_ACQUIRE);
	uint16_t at = ring->used % ring->size;
	uint32_t head;

	if (index == ring->used)
		return ERR_NOT_FOUND;
	head = __atomic_load_n(&areas->device.ring[at].id, __ATOMIC_RELAXED);
	*length = __atomic_load_n(&areas->device.ring[at].length,
				  __ATOMIC_RELAXED);
	if (head >= ring->size || !ring->chain[head])
		return ERR_DEVICE;
	if (*length > ring->room[head])
		*length = ring->room[head];
	*token = ring->token[head];
	ring->used++;
	free_chain(ring, (uint16_t)head);
	return ERR_NONE;
}
