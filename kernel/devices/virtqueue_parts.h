/* SPDX-License-Identifier: MIT */
/* What the two kinds of virtqueues share. */
#ifndef KERNEL_DEVICES_VIRTQUEUE_PARTS_H
#define KERNEL_DEVICES_VIRTQUEUE_PARTS_H

#include <mullion/virtqueue.h>

/* Flags of a descriptor, of both kinds. */
#define DESCRIPTOR_NEXT 1u
#define DESCRIPTOR_WRITE 2u
#define DESCRIPTOR_INDIRECT 4u

/* One more segment, bounded; what is written comes last. */
enum error virtio_chain_add(struct virtio_chain *chain, uint64_t address,
			    uint32_t length, bool writable);

/* A packed ring's (virtqueue_packed.c), as virtqueue_take() and so on. */
enum error packed_take(struct virtqueue *queue, struct virtio_chain *chain);
void packed_untake(struct virtqueue *queue, struct virtio_token token);
enum error packed_give(struct virtqueue *queue, struct virtio_token token,
		       uint32_t written);
enum error packed_give_all(struct virtqueue *queue,
			   const struct virtio_given *given, uint32_t count);
bool packed_interrupts(struct virtqueue *queue);

#endif
