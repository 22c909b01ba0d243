/* SPDX-License-Identifier: MIT */
#include <mullion/arch.h>
#include <mullion/bits.h>
#include <mullion/memory_disk.h>
#include <string.h>

#define FRAME_ENTRIES (FRAME_SIZE / sizeof(uint32_t))
#define FRAME_BLOCKS (FRAME_SIZE / DISK_BLOCK)

static hpa_t frame_at(const struct memory_disk *disk, uint64_t index)
{
	return hpa((uint64_t)disk->frames[index] * FRAME_SIZE);
}

static enum error take_room(struct memory_disk *disk, const uint32_t *frames,
			    uint32_t frame_count, const char **words)
{
	uint64_t blocks = (disk->size + DISK_BLOCK - 1) / DISK_BLOCK;
	uint64_t map = (blocks + FRAME_ENTRIES - 1) / FRAME_ENTRIES;

	if (frame_count <= map) {
		*words = "a disk is too large for the room for its changes";
		return ERR_NO_MEMORY;
	}
	disk->frames = frames;
	disk->map_frames = (uint32_t)map;
	disk->places = (frame_count - disk->map_frames) * FRAME_BLOCKS;
	return ERR_NONE;
}

enum error memory_disk_open(struct memory_disk *disk,
			    const struct load_image *base,
			    const uint32_t *frames, uint32_t frame_count,
			    const char **words)
{
	if (!image_is_there(base)) {
		*words = "the image of a disk is not there";
		return ERR_NOT_FOUND;
	}
	*disk = (struct memory_disk){ .base = *base,
				      .size = base->record->size };
	if (disk->size % DISK_SECTOR) {
		*words = "the image of a disk is not made of sectors of 512 "
			 "bytes";
		return ERR_BAD_IMAGE;
	}
	return frame_count ? take_room(disk, frames, frame_count, words) :
			     ERR_NONE;
}

enum error memory_disk_open_over(struct memory_disk *disk, uint64_t size,
				 const uint32_t *frames, uint32_t frame_count,
				 const char **words)
{
	*disk = (struct memory_disk){ .size = size };
	return take_room(disk, frames, frame_count, words);
}

/* Where block @block lies in the room, from 1; 0: in the image. */
static uint32_t place_of(const struct memory_disk *disk, uint64_t block)
{
	const uint32_t *map;

	if (!disk->used)
		return 0;
	map = arch_view(frame_at(disk, block / FRAME_ENTRIES));
	return map[block % FRAME_ENTRIES];
}

/* The frame of place @place, from 1, and the bytes before it there. */
static hpa_t frame_of(const struct memory_disk *disk, uint32_t place,
		      uint64_t *offset)
{
	*offset = (place - 1) % FRAME_BLOCKS * DISK_BLOCK;
	return frame_at(disk, disk->map_frames + (place - 1) / FRAME_BLOCKS);
}

const uint8_t *memory_disk_at(const struct memory_disk *disk, uint64_t at,
			      uint64_t *length)
{
	uint64_t within = at % DISK_BLOCK, offset;
	uint32_t place = place_of(disk, at / DISK_BLOCK);

	/* Once something is written, each block is looked for. */
	if (disk->used && *length > DISK_BLOCK - within)
		*length = DISK_BLOCK - within;
	if (!place)
		return image_at(&disk->base, at, length);
	return (const uint8_t *)arch_view(frame_of(disk, place, &offset)) +
	       offset + within;
}

const uint8_t *memory_disk_changed(const struct memory_disk *disk, uint64_t at,
				   uint64_t *length)
{
	uint64_t within = at % DISK_BLOCK, offset;
	uint64_t run = DISK_BLOCK - within;
	uint32_t place = place_of(disk, at / DISK_BLOCK);

	while (!place && run < *length &&
	       !place_of(disk, (at + run) / DISK_BLOCK))
		run += DISK_BLOCK;
	if (*length > run)
		*length = run;
	if (!place)
		return NULL;
	return (const uint8_t *)arch_view(frame_of(disk, place, &offset)) +
	       offset + within;
}

enum error memory_disk_next_place(const struct memory_disk *disk, hpa_t *place)
{
	uint64_t offset;
	hpa_t frame;

	if (disk->used == disk->places)
		return ERR_NO_MEMORY;
	frame = frame_of(disk, disk->used + 1, &offset);
	*place = hpa(frame.value + offset);
	return ERR_NONE;
}

void memory_disk_map(struct memory_disk *disk, uint64_t at)
{
	uint64_t block = at / DISK_BLOCK;
	uint32_t *map = arch_window(frame_at(disk, block / FRAME_ENTRIES));

	map[block % FRAME_ENTRIES] = ++disk->used;
}

/* Gives block @block a place of its own, with what the image has there. */
static uint32_t take_place(struct memory_disk *disk, uint64_t block)
{
	uint64_t at = block * DISK_BLOCK, length = disk->size - at, offset;
	uint8_t *to;

	if (length > DISK_BLOCK)
		length = DISK_BLOCK;
	to = (uint8_t *)arch_window(frame_of(disk, disk->used + 1, &offset)) +
	     offset;
	if (disk->base.record)
		image_read(&disk->base, at, to, length);
	memory_disk_map(disk, at);
	return disk->used;
}

enum error memory_disk_write(struct memory_disk *disk, uint64_t at,
			     const void *bytes, uint32_t length)
{
	uint64_t block = at / DISK_BLOCK, offset;
	uint32_t place = place_of(disk, block);

	if (!place) {
		if (disk->used == disk->places)
			return ERR_NO_MEMORY;
		place = take_place(disk, block);
	}
	memcpy((uint8_t *)arch_window(frame_of(disk, place, &offset)) + offset +
		       at % DISK_BLOCK,
	       bytes, length);
	return ERR_NONE;
}
