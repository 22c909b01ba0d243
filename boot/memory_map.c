/* SPDX-License-Identifier: MIT */
#include <mullion/bits.h>
#include <stdbool.h>
#include <string.h>

#include "memory_map.h"

static const char no_room[] = "the firmware's memory map has too many ranges";

/* UEFI 2.10, "Memory Type Usage after ExitBootServices" */
static const uint8_t kind_of_type[] = {
	[0] = MULL_MEMORY_RESERVED,  /* EfiReservedMemoryType */
	[1] = MULL_MEMORY_USABLE,    /* EfiLoaderCode */
	[2] = MULL_MEMORY_USABLE,    /* EfiLoaderData */
	[3] = MULL_MEMORY_USABLE,    /* EfiBootServicesCode */
	[4] = MULL_MEMORY_USABLE,    /* EfiBootServicesData */
	[5] = MULL_MEMORY_FIRMWARE,  /* EfiRuntimeServicesCode */
	[6] = MULL_MEMORY_FIRMWARE,  /* EfiRuntimeServicesData */
	[7] = MULL_MEMORY_USABLE,    /* EfiConventionalMemory */
	[8] = MULL_MEMORY_RESERVED,  /* EfiUnusableMemory */
	[9] = MULL_MEMORY_ACPI,	     /* EfiACPIReclaimMemory */
	[10] = MULL_MEMORY_ACPI,     /* EfiACPIMemoryNVS */
	[11] = MULL_MEMORY_DEVICE,   /* EfiMemoryMappedIO */
	[12] = MULL_MEMORY_DEVICE,   /* EfiMemoryMappedIOPortSpace */
	[13] = MULL_MEMORY_RESERVED, /* EfiPalCode */
	[14] = MULL_MEMORY_RESERVED, /* EfiPersistentMemory */
};

static uint64_t end_of(const struct mull_memory_range *range)
{
	return range->start + range->size;
}

static bool insert(struct memory_map *map, uint32_t at, uint64_t start,
		   uint64_t end, enum mull_memory_kind kind)
{
	if (map->count == map->room)
		return false;
	memmove(&map->ranges[at + 1], &map->ranges[at],
		(map->count - at) * sizeof *map->ranges);
	map->ranges[at] = (struct mull_memory_range){
		.start = start,
		.size = end - start,
		.kind = kind,
	};
	map->count++;
	return true;
}

/* Cuts range @at in two at @where, if that is inside it. */
static bool split(struct memory_map *map, uint32_t at, uint64_t where)
{
	struct mull_memory_range *range = &map->ranges[at];

	if (where <= range->start || where >= end_of(range))
		return true;
	if (!insert(map, at + 1, where, end_of(range), range->kind))
		return false;
	range->size = where - range->start;
	return true;
}

/* Puts [start, end) into the map piece by piece, from low to high. */
static bool paint(struct memory_map *map, uint64_t start, uint64_t end,
		  enum mull_memory_kind kind)
{
	uint32_t at = 0;

	while (start < end) {
		struct mull_memory_range *range = &map->ranges[at];

		if (at < map->count && end_of(range) <= start) {
			at++;
			continue;
		}
		if (at == map->count || range->start >= end)
			return insert(map, at, start, end, kind);
		if (range->start > start) { /* a gap before the next range */
			if (!insert(map, at, start, range->start, kind))
				return false;
			start = end_of(&map->ranges[at]);
		} else if (range->kind >= kind) {
			start = end_of(range);
		} else if (range->start < start) {
			if (!split(map, at, start))
				return false;
		} else {
			if (!split(map, at, end))
				return false;
			range->kind = kind;
			start = end_of(range);
		}
	}
	return true;
}

const char *memory_map_add(struct memory_map *map, uint64_t start,
			   uint64_t size, enum mull_memory_kind kind)
{
	bool usable = kind == MULL_MEMORY_USABLE;

	if (!size || start >= PHYSICAL_LIMIT)
		return NULL;
	if (size > PHYSICAL_LIMIT - start) {
		if (usable)
			return NULL;
		size = PHYSICAL_LIMIT - start;
	}

	uint64_t end = start + size;

	start = usable ? round_up(start, PAGE_SIZE) :
			 round_down(start, PAGE_SIZE);
	end = usable ? round_down(end, PAGE_SIZE) : round_up(end, PAGE_SIZE);
	return paint(map, start, end, kind) ? NULL : no_room;
}

const char *memory_map_add_firmware(struct memory_map *map,
				    const void *descriptors, uint64_t size,
				    uint64_t step)
{
	const uint8_t *at = descriptors;
	const char *problem = NULL;

	if (step < sizeof(struct firmware_range))
		return "the firmware's memory descriptors are too short";
	for (; size >= step && !problem; size -= step, at += step) {
		struct firmware_range range;
		enum mull_memory_kind kind = MULL_MEMORY_RESERVED;
		uint64_t bytes;

		memcpy(&range, at, sizeof range);
		if (range.type < ARRAY_COUNT(kind_of_type))
			kind = kind_of_type[range.type];
		bytes = range.pages > PHYSICAL_LIMIT / PAGE_SIZE ?
				UINT64_MAX :
				range.pages * PAGE_SIZE;
		problem = memory_map_add(map, range.start, bytes, kind);
	}
	return problem;
}

void memory_map_merge(struct memory_map *map)
{
	uint32_t kept = 0;

	for (uint32_t i = 1; i < map->count; i++) {
		struct mull_memory_range *last = &map->ranges[kept];
		const struct mull_memory_range *next = &map->ranges[i];

		if (last->kind == next->kind && end_of(last) == next->start)
			last->size += next->size;
		else
			map->ranges[++kept] = *next;
	}
	if (map->count)
		map->count = kept + 1;
}

uint64_t memory_map_top(const struct memory_map *map)
{
	uint64_t top = 0;

	for (uint32_t i = 0; i < map->count; i++)
		if (map->ranges[i].kind < MULL_MEMORY_DEVICE)
			top = end_of(&map->ranges[i]);
	return top;
}

uint64_t memory_map_total(const struct memory_map *map,
			  enum mull_memory_kind kind)
{
	uint64_t total = 0;

	for (uint32_t i = 0; i < map->count; i++)
		if (map->ranges[i].kind == kind)
			total += map->ranges[i].size;
	return total;
}
