/* SPDX-License-Identifier: MIT */
/*
 * The device's side of a virtqueue.  Virtual I/O Device (VIRTIO) 1.2, "Split
 * Virtqueues" and "Packed Virtqueues".  Whatever the guest wrote is copied once and bounded;
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
	uint16_t size;	 /* a power of two, if it is not packed */
	uint16_t vector; /* MSIX_NO_VECTOR: none */
	bool enabled;
	bool event_index; /* VIRTIO_F_EVENT_IDX was negotiated */
	bool indirect;	  /* VIRTIO_F_INDIRECT_DESC was */
	bool packed;	  /* VIRTIO_F_RING_PACKED was */
	gpa_t descriptors, driver, device; /* the three areas */
	/* Chains, as the available ring's index counts them, and chains given
	 * back, as the used ring's does.  In a packed one: places in it, with
	 * the wrap counters that hold there. */
	uint16_t taken, used;
	bool taken_wrap, used_wrap;
	/* @used when the driver was last interrupted; of a packed one: how many
	 * places were given back since. */
	uint16_t signalled;
};

/* What the driver knows a chain by. */
struct virtio_token {
	uint16_t id;
	uint16_t places; /* that it takes in a packed ring */
};

struct virtio_segment {
	gpa_t at;
	uint32_t length;
};

/* A chain: what the device reads, then what it writes. */
struct virtio_chain {
	struct virtio_token token;
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

/* Puts back the chain that was taken last: it is the next one again. */
void virtqueue_untake(struct virtqueue *queue, struct virtio_token token);

/*
 * virtqueue_give - hands a chain back
 * @written: bytes that the device wrote to it, from its start
 */
enum error virtqueue_give(struct virtqueue *queue, struct virtio_token token,
			  uint32_t written);

/*
 * virtqueue_give_all - hands @count chains back at once, in the order in which
 * they were taken: the driver sees the first one when all of them are there
 */
struct virtio_given {
	struct virtio_token token;
	uint32_t written;
};
enum error virtqueue_give_all(struct virtqueue *queue,
			      const struct virtio_given *given, uint32_t count);

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
/* Where the byte at @offset of its writable part is. */
enum error virtio_chain_place(const struct virtio_chain *chain, uint64_t offset,
			      gpa_t *at);

/* Bytes of the machine's memory. */
struct virtio_frames {
	hpa_t at;
	uint32_t length;
};

/*
 * virtio_chain_locate - where @length bytes of a chain are in the machine
 * @written: of its writable part, else of its readable one
 * @offset: into that part
 * @most: entries that @frames has room for
 * @count: those that are used
 *
 * Adjoining ones are one.  Returns ERR_BAD_ADDRESS as virtio_chain_read(), and
 * ERR_TOO_LARGE when there is not room enough.
 */
enum error virtio_chain_locate(const struct virtqueue *queue,
			       const struct virtio_chain *chain, bool written,
			       uint64_t offset, uint64_t length,
			       struct virtio_frames *frames, uint32_t most,
			       uint32_t *count);

#endif
