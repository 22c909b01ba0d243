/* SPDX-License-Identifier: MIT */
/*
 * The driver's side of a split virtqueue, for virtio devices of the machine
 * (a guest's device side is virtqueue.h).  Virtual I/O Device (VIRTIO) 1.2,
 * "Split Virtqueues".  The device is hostile: which descriptors make a chain
 * is remembered apart from what it can write to.
 */
#ifndef MULLION_VIRTIO_RING_H
#define MULLION_VIRTIO_RING_H

#include <mullion/address.h>
#include <mullion/error.h>
#include <stdbool.h>
#include <stdint.h>

#define VIRTIO_RING_MAX 128 /* descriptors: all in one page */

/* A piece of a chain: the machine's memory. */
struct virtio_piece {
	hpa_t at;
	uint32_t length;
	bool write; /* the device writes it; such come last */
};

struct virtio_ring {
	uint16_t size;		    /* a power of two */
	struct virtio_areas *areas; /* a page that the device sees */
	uint16_t free, free_count;  /* descriptors */
	uint16_t available, used;   /* as the rings count them */
	/* By descriptor: where its chain, or the list of free ones, goes on;
	 * and, for the head of a chain, its length and its token. */
	uint16_t next[VIRTIO_RING_MAX];
	uint16_t chain[VIRTIO_RING_MAX]; /* 0: no head */
	uint32_t room[VIRTIO_RING_MAX];	 /* bytes that the device may write */
	uint32_t token[VIRTIO_RING_MAX];
};

/* Takes a page for @ring.  ERR_NO_MEMORY.  @size: a power of two, at most
 * VIRTIO_RING_MAX. */
enum error virtio_ring_make(struct virtio_ring *ring, uint16_t size);
/* Empty, as before its first use: the device has been reset. */
void virtio_ring_reset(struct virtio_ring *ring);
/* Where the device finds its three areas. */
hpa_t virtio_ring_descriptors(const struct virtio_ring *ring);
hpa_t virtio_ring_driver(const struct virtio_ring *ring);
hpa_t virtio_ring_device(const struct virtio_ring *ring);

/*
 * virtio_ring_add - make a chain available; then the device is notified
 * @token: comes back with it
 *
 * Returns ERR_BUSY when fewer than @count descriptors are free.
 */
enum error virtio_ring_add(struct virtio_ring *ring,
			   const struct virtio_piece *pieces, uint32_t count,
			   uint32_t token);

/*
 * virtio_ring_take - the next chain that the device is ready with
 * @length: bytes that it says it has written, at most those that it may
 *
 * Returns ERR_NOT_FOUND when there is none; ERR_DEVICE when it gives back what
 * it does not have: it must be reset.
 */
enum error virtio_ring_take(struct virtio_ring *ring, uint32_t *token,
			    uint32_t *length);

#endif
