/* SPDX-License-Identifier: MIT */
/*
 * A disk in memory: an image, which is never changed and which several VMs may
 * have, and a room apart for the blocks that this VM has written.
 *
 * The room is a list of frames.  The first of them tell for each block of the
 * disk where in the others it lies: 4 bytes a block, 0: in the image still,
 * else its place there, from 1.  All of it is the home CPU's.
 */
#ifndef MULLION_MEMORY_DISK_H
#define MULLION_MEMORY_DISK_H

#include <mullion/error.h>
#include <mullion/load.h>

#define DISK_SECTOR 512
#define DISK_BLOCK 4096

struct memory_disk {
	struct load_image base;
	uint64_t size;		/* bytes, whole sectors */
	const uint32_t *frames; /* of its room; NULL: it is read only */
	uint32_t map_frames;	/* the first of them */
	uint32_t places, used;	/* blocks that the room can hold, and holds */
};

/*
 * memory_disk_open - a disk as its image has it
 * @frames: @frame_count frames, all zero; they stay the caller's
 * @words: why not, in words
 *
 * ERR_NOT_FOUND: the image is damaged, or there is none.  ERR_BAD_IMAGE: not
 * of whole sectors.  ERR_NO_MEMORY: the room is too small to hold one block.
 */
enum error memory_disk_open(struct memory_disk *disk,
			    const struct load_image *base,
			    const uint32_t *frames, uint32_t frame_count,
			    const char **words);

/* The same without an image: @size bytes of something else, which its user
 * brings.  Beside memory_disk_at() all can be called. */
enum error memory_disk_open_over(struct memory_disk *disk, uint64_t size,
				 const uint32_t *frames, uint32_t frame_count,
				 const char **words);

/*
 * memory_disk_changed - see what was written at byte @at
 * @length: as for memory_disk_at(); when NULL is returned, so many bytes from
 *	    there on were not
 */
const uint8_t *memory_disk_changed(const struct memory_disk *disk, uint64_t at,
				   uint64_t *length);

/* Where the next block to be written will lie; ERR_NO_MEMORY: nowhere. */
enum error memory_disk_next_place(const struct memory_disk *disk, hpa_t *place);
/* That place is now the one of the block of byte @at, with what lies there. */
void memory_disk_map(struct memory_disk *disk, uint64_t at);

/*
 * memory_disk_at - see what lies at byte @at
 * @length: bytes that are wanted, all of them on the disk; then, how many of
 *	    them can be seen at once
 *
 * Valid until this CPU's next look through arch_view().
 */
const uint8_t *memory_disk_at(const struct memory_disk *disk, uint64_t at,
			      uint64_t *length);

/*
 * memory_disk_write - change @length bytes at byte @at, all in one block
 *
 * Without an image, a block is written whole for the first time.
 * ERR_NO_MEMORY when the room is full; then nothing has changed.
 */
enum error memory_disk_write(struct memory_disk *disk, uint64_t at,
			     const void *bytes, uint32_t length);

#endif
