/* SPDX-License-Identifier: MIT */
/* What the parts of a guest's disk share. */
#ifndef KERNEL_DEVICES_VIRTIO_BLOCK_PARTS_H
#define KERNEL_DEVICES_VIRTIO_BLOCK_PARTS_H

#include <mullion/virtio_block.h>

/* "Device Operation" */
enum block_request_type {
	REQUEST_IN = 0,
	REQUEST_OUT = 1,
	REQUEST_FLUSH = 4,
	REQUEST_ID = 8,
};

enum block_status {
	STATUS_OK = 0,
	STATUS_ERROR = 1,
	STATUS_UNSUPPORTED = 2,
};

struct block_header {
	uint32_t type, reserved;
	uint64_t sector;
};

/* Once, in the log. */
void virtio_block_tell_full(struct virtio_block *block);
/* Ends the request in device.chain. */
void virtio_block_finish(struct vm *vm, struct virtio_block *block,
			 uint32_t queue, enum block_status status);

/*
 * block_flight_begin - sends the request in device.chain to the partition
 * @type: REQUEST_IN, REQUEST_OUT or REQUEST_FLUSH; @block->at and @block->size
 *	  say where and how many bytes
 *
 * There is a free one.  (virtio_block_flight.c)
 */
void block_flight_begin(struct vm *vm, struct virtio_block *block,
			uint32_t queue, uint32_t type);
/* Tells the driver of those that are back. */
void block_flight_land(struct vm *vm, struct virtio_block *block);
/* The driver wants to hear of none any more. */
void block_flight_abandon(struct virtio_block *block);
/* A free @flight whose request is filled in but for its end. */
void block_flight_send(struct virtio_block *block, uint32_t queue,
		       struct block_flight *flight);

/* The next part of the request in device.chain, of an overlay; returns its cost
 * in instructions.  (virtio_block_overlay.c) */
uint32_t block_overlay_step(struct virtio_block *block, uint32_t queue);
/* Whether a part is with the machine's disk. */
bool block_overlay_waits(const struct virtio_block *block);
/* Takes notice of one that is back. */
void block_overlay_land(struct virtio_block *block);

/* The same of one whose changes are kept on a partition.
 * (virtio_block_kept.c) */
uint32_t block_kept_step(struct virtio_block *block, uint32_t queue);
void block_kept_land(struct virtio_block *block);
/* Sends a request to @partition that is @stage; the segments of the first
 * flight are filled in. */
void block_kept_send(struct virtio_block *block, enum kept_stage stage,
		     struct block_partition *partition,
		     enum block_operation operation, uint64_t offset);
/* @length bytes at @at, of the machine's memory. */
void block_kept_fill(struct virtio_block *block, hpa_t at, uint32_t length);

#endif
