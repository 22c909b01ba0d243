/* SPDX-License-Identifier: MIT */
/*
 * The device's side of a split virtqueue.  Virtual I/O Device (VIRTIO) 1.2,
 * "Split Virtqueues".  Whatever the guest wrote is copied once and bounded;
 * a ring that breaks a rule of the standard is told by an error, and the
 * device then stands still until it is reset.
 */
#ifndef MULLION_VIRTQUEUE_H
#define MULLION_VIRTQUEUE_H

#include <mullion/error.h>
#include <mullion/guest_memory.h>

#define VIRTQUEUE_SIZE_MAX 128 /* descriptors; also of one chain */

struct virtqueue {
	const struct guest_memory *memory;
	uint16_t size;	 /* a power of two */
	uint16_t vector; /* MSIX_NO_VECTOR: none */
	bool enabled;
	bool event_index; /* VIRTIO_F_EVENT_IDX was negotiated */
	bool indirect;	  /* VIRTIO_F_INDIRECT_DESC was */
	gpa_t descriptors, driver, device; /* the three areas */
	uint16_t taken; /* chains, as the available ring's index counts them */
	uint16_t used;	/* chains given back, as the used ring's does */
	uint16_t signalled; /* @used when the driver was last interrupted */
};

struct virtio_segment {
	gpa_t at;
	uint32_t length;
};

/* A chain: what the device reads, then what it writes. */
struct virtio_chain {
	uint16_t head;
	uint32_t readable, writable; /* segments of each */
	uint64_t readable_bytes, writable_bytes;
	struct virtio_segment segments[VIRTQUEUE_SIZE_MAX];
};

/*
 * virtqueue_take - the next chain that the driver made available
 *
 * Returns ERR_NONE; ERR_NOT_FOUND when there is none, and then the driver
 * notifies of the next one; another error when the ring is broken.
 */
enum error virtqueue_take(struct virtqueue *queue, struct virtio_chain *chain);

/*
 * virtqueue_give - hands a chain back
 * @written: bytes that the device wrote to it, from its start
 */
enum error virtqueue_give(struct virtqueue *queue,
			  const struct virtio_chain *chain, uint32_t written);

/* Whether the driver wants an interrupt for what was given since it had
 * the last one; asked once after each batch. */
bool virtqueue_interrupts(struct virtqueue *queue);

/*
 * virtio_chain_read, virtio_chain_write - copy from or to a chain
 * @offset: into its readable or its writable part
 *
 * Returns ERR_BAD_ADDRESS when the part is shorter, or is not RAM.
 */
enum error virtio_chain_read(const struct virtqueue *queue,
			     const struct virtio_chain *chain, uint64_t offset,
			     void *to, size_t length);
enum error virtio_chain_write(const struct virtqueue *queue,
			      const struct virtio_chain *chain, uint64_t offset,
			      const void *from, size_t length);

#endif
