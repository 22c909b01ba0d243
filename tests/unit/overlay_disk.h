/* SPDX-License-Identifier: MIT */
/*
 * Two partitions for tests of an overlay: the base, which nobody may write, and
 * the one for its changes, whose disk has a cache: what was written since its
 * last flush is lost when the power goes, or some of it, in any order.
 *
 * The test says how large both are (BASE_SIZE, CHANGES_SIZE) and how many
 * frames the map has (MAP_FRAMES).
 */
#ifndef TESTS_UNIT_OVERLAY_DISK_H
#define TESTS_UNIT_OVERLAY_DISK_H

#include "guest_ram.h"

#include <mullion/arch.h>
#include <mullion/crc32.h>
#include <mullion/virtio_block.h>
#include <stdlib.h>

#define FIRST_FRAME 8 /* behind what guests have */
#define WRITES_MAX 1024
#define WRITTEN_MAX MIB(2)
#define SECTOR 512
#define WORD 4 /* what a disk writes whole, in the map */

static struct block_device machine_disk = { .sector_size = SECTOR };
static struct block_partition base_partition = { .device = &machine_disk,
						 .name = "base",
						 .guid = "GUID of the base",
						 .size = BASE_SIZE };
static struct block_partition changes_partition = { .device = &machine_disk,
						    .name = "changes",
						    .size = CHANGES_SIZE };
static uint8_t base[BASE_SIZE];
static uint8_t cache[CHANGES_SIZE];  /* what is read */
static uint8_t stable[CHANGES_SIZE]; /* what a loss of power leaves at least */
static uint8_t crashed[CHANGES_SIZE];
static struct {
	uint64_t offset;
	uint32_t length, at; /* in @written */
} writes[WRITES_MAX];	     /* since the last flush */
static uint8_t written[WRITTEN_MAX];
static uint32_t write_count, written_size;
static struct block_request *sent; /* the first that is with a disk */
static uint32_t sent_count, flush_count, base_reads;
static uint8_t map_frames[MAP_FRAMES][FRAME_SIZE]
	__attribute__((aligned(4096)));
static const uint32_t map_numbers[4] = { FIRST_FRAME, FIRST_FRAME + 1,
					 FIRST_FRAME + 2, FIRST_FRAME + 3 };

static void model_require(bool holds)
{
	if (!holds)
		abort();
}

/* ---- memory -------------------------------------------------------------- */

/* The fake's are slow. */
void *arch_window(hpa_t frame)
{
	uint64_t index = frame.value / FRAME_SIZE - FIRST_FRAME;

	model_require(frame.value % FRAME_SIZE == 0 && index < MAP_FRAMES);
	return map_frames[index];
}

const void *arch_view(hpa_t frame)
{
	return arch_window(frame);
}

/* Of the guest, of the map, or the hypervisor's own. */
static uint8_t *machine_memory(hpa_t at, uint32_t length)
{
	uint64_t within = at.value - FIRST_FRAME * FRAME_SIZE;

	if (at.value < RAM_SIZE) {
		model_require(length <= RAM_SIZE - at.value);
		return ram + at.value;
	}
	if (within < sizeof map_frames) {
		model_require(length <= sizeof map_frames - within);
		return (uint8_t *)map_frames + within;
	}
	return arch_direct(at);
}

/* ---- the disk ------------------------------------------------------------ */

void block_send(struct block_request *request)
{
	struct block_request **last = &sent;

	while (*last)
		last = &(*last)->next;
	*last = request;
	request->next = NULL;
	sent_count++;
}

static void note_write(uint64_t offset, const uint8_t *bytes, uint32_t length)
{
	model_require(write_count < WRITES_MAX &&
		      written_size + length <= WRITTEN_MAX);
	writes[write_count].offset = offset;
	writes[write_count].length = length;
	writes[write_count++].at = written_size;
	memcpy(written + written_size, bytes, length);
	written_size += length;
}

static void flush_disk(void)
{
	memcpy(stable, cache, sizeof stable);
	write_count = written_size = 0;
	flush_count++;
}

static void move(struct block_request *request, uint8_t *medium, uint64_t size)
{
	uint64_t at = request->offset;

	for (uint32_t i = 0; i < request->segment_count; i++) {
		const struct block_segment *part = &request->segments[i];
		uint8_t *bytes = machine_memory(part->at, part->length);

		model_require(part->length && at <= size &&
			      part->length <= size - at);
		if (request->operation == BLOCK_READ) {
			memcpy(bytes, medium + at, part->length);
		} else {
			memcpy(medium + at, bytes, part->length);
			note_write(at, bytes, part->length);
		}
		at += part->length;
	}
	model_require(request->offset % SECTOR == 0 && at % SECTOR == 0);
}

/* The disk has done what it was asked, or has not. */
static void come_back(enum error error)
{
	struct block_request *request = sent;
	bool of_base = request->partition == &base_partition;

	model_require(of_base || request->partition == &changes_partition);
	model_require(!of_base || request->operation == BLOCK_READ);
	base_reads += of_base;
	if (!error && request->operation == BLOCK_FLUSH)
		flush_disk();
	else if (!error)
		move(request, of_base ? base : cache,
		     of_base ? BASE_SIZE : CHANGES_SIZE);
	sent = request->next;
	request->error = error;
	request->done(request);
}

/* Nothing was ever written there. */
static void clear_disk(void)
{
	memset(cache, 0, sizeof cache);
	memset(stable, 0, sizeof stable);
	write_count = written_size = 0;
	sent = NULL;
	sent_count = flush_count = base_reads = 0;
}

/* ---- a loss of power ----------------------------------------------------- */

/* What a disk writes whole at @offset. */
static uint32_t unit_at(uint64_t offset, uint64_t places_at)
{
	return offset && offset < places_at ? WORD : SECTOR;
}

/* To @crashed: of all that was written since the last flush, those parts of
 * which @keep says so. */
static inline void lose_power(uint64_t places_at, bool (*keep)(void))
{
	memcpy(crashed, stable, sizeof crashed);
	for (uint32_t i = 0; i < write_count; i++) {
		uint64_t offset = writes[i].offset;
		uint32_t unit = unit_at(offset, places_at);

		for (uint32_t at = 0; at < writes[i].length; at += unit)
			if (keep())
				memcpy(crashed + offset + at,
				       written + writes[i].at + at, unit);
	}
}

/* The machine starts again, with that. */
static inline void power_on(void)
{
	memcpy(cache, crashed, sizeof cache);
	memcpy(stable, crashed, sizeof stable);
	write_count = written_size = 0;
	sent = NULL;
}

/* ---- another reader of the format ---------------------------------------- */

/* What sector @sector has, by an overlay in @bytes. */
static inline const uint8_t *resolve(const uint8_t *bytes, uint64_t sector)
{
	const struct overlay_header *header = (const void *)bytes;
	const uint32_t *map = (const void *)(bytes + OVERLAY_BLOCK);
	uint64_t at = sector * SECTOR;
	uint32_t place = map[at / OVERLAY_BLOCK];
	uint64_t offset = ((uint64_t)header->map_blocks + place) *
				  OVERLAY_BLOCK +
			  at % OVERLAY_BLOCK;

	if (header->magic != OVERLAY_MAGIC || !place)
		return base + at;
	model_require(offset + SECTOR <= CHANGES_SIZE);
	return bytes + offset;
}

#endif
