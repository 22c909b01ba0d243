/* SPDX-License-Identifier: MIT */
/*
 * What a VM has written over a base partition, on a partition of its own
 * (docs/decisions/overlay-on-a-partition.md):
 *
 *   block 0             header
 *   then                map: 4 bytes for each block of the base; 0: it is as
 *                       in the base, else its place from 1 on.  An entry is
 *                       written once, and only when what lies there is kept
 *   then                places, of a block each
 *
 * Here is what tells where everything lies; who has the partition reads and
 * writes it.  All of it is the home CPU's.  Little endian.
 */
#ifndef MULLION_OVERLAY_H
#define MULLION_OVERLAY_H

#include <mullion/address.h>
#include <mullion/bits.h>
#include <mullion/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OVERLAY_BLOCK 4096
#define OVERLAY_RUN 32 /* blocks that one request has at most */
#define OVERLAY_BASE_MAX GIB(1024)
/* A partition is taken for a fresh one only if so many bytes of it are zero,
 * and its map. */
#define OVERLAY_CLEAR MIB(1)
#define OVERLAY_GUID 16

#define OVERLAY_MAGIC 0x5245564f4c4c554dull /* "MULLOVER" */
#define OVERLAY_VERSION 1
#define OVERLAY_ENTRIES (OVERLAY_BLOCK / sizeof(uint32_t)) /* of a map block */

/* The rest of its block is zero. */
struct overlay_header {
	uint64_t magic;
	uint32_t version, block_size;
	uint8_t base_guid[OVERLAY_GUID]; /* as the GPT has it */
	uint64_t base_size;		 /* bytes */
	uint32_t map_blocks;
	uint32_t reserved[4]; /* 0 */
	uint32_t crc;	      /* CRC-32 of what is before it */
};

struct overlay {
	uint64_t base_size; /* bytes */
	uint32_t map_blocks;
	uint32_t places, used; /* that there are, and that are some block's */
	uint32_t next;	       /* below it, from 1, none is free */
	uint32_t dirty;	     /* map blocks that the disk has not as they are */
	uint32_t dirty_from; /* before it none is */
	/* In memory: the map, a bit for each place that is used, and one for
	 * each map block that is dirty. */
	const uint32_t *frames;
	uint64_t used_at, dirty_at; /* bytes behind the map's start */
	/* Something was lost on its way to the disk: nothing is written any
	 * more, or the map could tell of what is not there. */
	bool failed;
};

/* The frames for an overlay of @size bytes over @base_size bytes. */
uint32_t overlay_frames(uint64_t base_size, uint64_t size);

/*
 * overlay_lay_out - an overlay that is not open yet
 * @frames: overlay_frames() of them, all zero; they stay the caller's
 *
 * Returns why it cannot be, in words, or NULL.
 */
const char *overlay_lay_out(struct overlay *overlay, uint64_t base_size,
			    uint64_t size, const uint32_t *frames);

/* What to say of a partition that is neither. */
#define OVERLAY_NOT_EMPTY \
	"the partition for its overlay is neither empty nor an overlay: to " \
	"give up what is there, fill it with zeros in a VM that has it " \
	"read-write"
/* Whether all @size bytes, at least one, are zero. */
bool overlay_is_empty(const void *bytes, size_t size);
/* Fills the block that goes to the partition's start. */
void overlay_make_header(const struct overlay *overlay, const uint8_t *guid,
			 void *block);
/* What is wrong with the one that was found there, in words; or NULL. */
const char *overlay_check_header(const struct overlay *overlay,
				 const uint8_t *guid, const void *block);

/* Where in memory map block @index lies; those of OVERLAY_RUN that begin at a
 * multiple of it adjoin. */
hpa_t overlay_map_at(const struct overlay *overlay, uint32_t index);
/* It was read from the disk: takes the places that it names as used.  Once for
 * each.  Returns what is wrong, or NULL. */
const char *overlay_take_map(struct overlay *overlay, uint32_t index);
/* Whether it names none. */
bool overlay_map_is_empty(const struct overlay *overlay, uint32_t index);

/* Where on the partition that place begins. */
uint64_t overlay_offset(const struct overlay *overlay, uint32_t place);
/*
 * overlay_find - where the bytes at @at of the base are
 * @length: that are wanted; then, how many are on end there
 * @offset: bytes from the partition's start
 *
 * Returns false when they are still the base's.
 */
bool overlay_find(const struct overlay *overlay, uint64_t at, uint64_t *length,
		  uint64_t *offset);

/* Looks on for the first free place; false: call it again. */
bool overlay_seek(struct overlay *overlay);
/* Then: how many are free from @next on, at most @most; 0: none is left. */
uint32_t overlay_free(const struct overlay *overlay, uint32_t most);
/* @place is free, and now what block @block, which had none, has. */
void overlay_map(struct overlay *overlay, uint64_t block, uint32_t place);

/* Some map blocks on end that are dirty, from @first on; there is one. */
uint32_t overlay_dirty(const struct overlay *overlay, uint32_t *first);
/* They are on the disk now. */
void overlay_clean(struct overlay *overlay, uint32_t first, uint32_t count);

#endif
