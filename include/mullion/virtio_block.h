/* SPDX-License-Identifier: MIT */
/* A guest's disk.  VIRTIO 1.2, "Block Device". */
#ifndef MULLION_VIRTIO_BLOCK_H
#define MULLION_VIRTIO_BLOCK_H

#include <mullion/memory_disk.h>
#include <mullion/virtio.h>

struct virtio_block {
	struct virtio_device device; /* first: one is made of the other */
	struct memory_disk disk;
	uint32_t *room; /* frames of what was written, page_alloc()'s */
	uint32_t room_frames;
	bool read_only;
	bool told_full; /* the log has it */
	char id[20];	/* as GET_ID gives it, without a final zero */
	/* The request that is worked on, in pieces. */
	bool busy;
	uint32_t type;
	uint64_t at, done, size; /* bytes: on the disk, copied, in all */
	uint64_t reads, writes;	 /* sectors since the VM started */
	uint8_t block[DISK_BLOCK];
};

/* Makes it for @slot of @vm's bus, as disk number @index; no lock. */
void virtio_block_init(struct vm *vm, struct virtio_block *block, uint32_t slot,
		       uint32_t index);
/* It has a medium now, @block->disk: before the VM runs. */
void virtio_block_start(struct virtio_block *block);

#endif
