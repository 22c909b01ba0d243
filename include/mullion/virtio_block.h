/* SPDX-License-Identifier: MIT */
/*
 * A guest's disk: in memory, or a partition of the machine's.  VIRTIO 1.2,
 * "Block Device".
 */
#ifndef MULLION_VIRTIO_BLOCK_H
#define MULLION_VIRTIO_BLOCK_H

#include <mullion/block.h>
#include <mullion/memory_disk.h>
#include <mullion/overlay.h>
#include <mullion/virtio.h>
#include <stdatomic.h>

#define BLOCK_FLIGHTS 8 /* requests to a partition at once */

/* A request that is with the machine's disk. */
struct block_flight {
	struct block_request request;
	struct block_segment segments[BLOCK_SEGMENTS_MAX];
	struct virtio_block *block;
	uint32_t queue;
	struct virtio_token token;
	gpa_t status;	  /* where its last byte goes */
	uint32_t written; /* bytes, as the driver hears of it */
	bool abandoned;	  /* the driver has reset the device meanwhile */
};

/* Of an overlay that is kept on a partition. */
enum kept_stage {
	KEPT_NONE,	 /* there is none */
	KEPT_DIRECT,	 /* between the guest's memory and where it lies */
	KEPT_NEW,	 /* to places that are nobody's yet */
	KEPT_FETCH,	 /* a block of the base */
	KEPT_FLUSH_DATA, /* then the map, then all again: it is kept */
	KEPT_MAP,
	KEPT_FLUSH_MAP,
	OPEN_HEADER,
	OPEN_MAP,
	OPEN_CHECK, /* no request */
	OPEN_REST,  /* of what must be zero in a fresh one */
	OPEN_FORMAT,
	OPEN_FLUSH,
};

struct virtio_block {
	struct virtio_device device; /* first: one is made of the other */
	struct vm *vm;
	uint64_t capacity; /* bytes, whole sectors */
	bool read_only;
	bool told_full;		/* the log has it */
	char id[20];		/* as GET_ID gives it, without a final zero */
	uint64_t reads, writes; /* sectors since the VM started */

	/* In memory. */
	struct memory_disk disk;
	uint32_t *room; /* frames of what was written, page_alloc()'s */
	uint32_t room_frames;
	/* The request that is worked on, in pieces. */
	bool busy;
	uint32_t type;
	uint64_t at, done, size; /* bytes: on the disk, copied, in all */
	uint8_t block[DISK_BLOCK];

	/* Or a partition; NULL: it is in memory. */
	struct block_partition *partition;
	bool over; /* the partition is only read: changes lie in @disk's room */
	bool came; /* of an overlay: what it waited for is there */
	/* What is written over it goes there; NULL: to @disk's room. */
	struct block_partition *changes;
	struct overlay overlay;
	bool is_open, fresh;   /* @overlay is; @changes was empty */
	enum kept_stage stage; /* what its request to the machine's disk is */
	uint64_t first;	       /* of the blocks or map blocks that it is for */
	uint32_t count;
	const char *refusal;	      /* why it has none, or NULL */
	struct block_flight *flights; /* BLOCK_FLIGHTS of them */
	uint32_t free;		      /* bits: those that are; home CPU */
	_Atomic uint32_t flying;      /* so many are with the machine's disk */
	_Atomic uint32_t landed;      /* bits: back, and not yet told of */
};

/* Makes it for @slot of @vm's bus, as disk number @index; no lock. */
void virtio_block_init(struct vm *vm, struct virtio_block *block, uint32_t slot,
		       uint32_t index);
/* It has a medium now, @block->disk or @block->partition: before the VM runs. */
void virtio_block_start(struct virtio_block *block);
/*
 * virtio_block_open - get at what is in its overlay's partition
 * @done: it is open, or needs no opening
 *
 * The next piece; a kick of the home CPU tells that there is another one.
 * Before the VM runs, after virtio_block_start().  Returns why it cannot be, in
 * words, or NULL.
 */
const char *virtio_block_open(struct virtio_block *block, bool *done);
/* The same for the end of the VM, when its guest has left: what it has written
 * is brought to the partition.  Returns whether all is done. */
bool virtio_block_settle(struct virtio_block *block);

/* Whether the machine's disk may touch its VM's memory; any CPU. */
static inline bool virtio_block_flies(const struct virtio_block *block)
{
	return atomic_load(&block->flying);
}

/* Whether a request that is with the machine's disk names the frame of 2 MiB at
 * @frame; home CPU. */
bool block_flights_touch(const struct virtio_block *block, hpa_t frame);

#endif
