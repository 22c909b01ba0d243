/* SPDX-License-Identifier: MIT */
/*
 * A driver for virtio devices, without interrupts: Virtual I/O Device (VIRTIO)
 * 1.2, "Virtio Over PCI Bus" and "Split Virtqueues".
 */
#ifndef SDK_VIRTIO_H
#define SDK_VIRTIO_H

#include "sdk.h"

#define VIRTIO_NET 1 /* "Device Types" */
#define VIRTIO_BLOCK 2

#define VIRTIO_STATUS_NEEDS_RESET BIT(6)
#define VIRTIO_F_INDIRECT_DESC BIT(28)
#define VIRTIO_F_VERSION_1 BIT(32)

struct virtio_device {
	uint64_t function;	    /* its configuration space */
	uint64_t common, bell, own; /* its structures; the last is its own */
	uint32_t bell_distance;	    /* bytes from one queue's bell to the next*/
};

#define VIRTIO_QUEUE_SIZE 128

struct virtio_queue {
	struct {
		uint64_t at;
		uint32_t length;
		uint16_t flags, next;
	} descriptors[VIRTIO_QUEUE_SIZE];
	struct {
		uint16_t flags, index, ring[VIRTIO_QUEUE_SIZE];
	} available;
	struct {
		_Alignas(4) uint16_t flags;
		uint16_t index;
		struct {
			uint32_t id, length;
		} ring[VIRTIO_QUEUE_SIZE];
	} used;
	uint64_t bell;
	uint16_t number, taken; /* chains that came back and were looked at */
} __attribute__((aligned(4096)));

/* A piece of memory of a chain. */
struct virtio_part {
	const volatile void *at;
	uint32_t length;
	bool write; /* by the device */
};

/* The one of @type with @before of its kind before it on the bus; false: there
 * is none. */
bool virtio_find(struct virtio_device *device, uint32_t type, uint32_t before);
/* Resets it, and takes @features; false: it does not have them. */
bool virtio_begin(const struct virtio_device *device, uint64_t features);
/* Between virtio_begin() and virtio_go(). */
void virtio_add_queue(const struct virtio_device *device,
		      struct virtio_queue *queue, uint16_t number);
void virtio_go(const struct virtio_device *device);
uint8_t virtio_status(const struct virtio_device *device);

/* Makes the chain of @count parts available; its descriptors are those from
 * @head on. */
void virtio_offer(struct virtio_queue *queue, uint16_t head,
		  const struct virtio_part *parts, uint32_t count);
void virtio_ring(const struct virtio_queue *queue);
/* Whether another chain came back; how much was written to it. */
bool virtio_take(struct virtio_queue *queue, uint32_t *written);

#endif
