/* SPDX-License-Identifier: MIT */
/* From the firmware's memory map to the hypervisor's. */
#ifndef BOOT_MEMORY_MAP_H
#define BOOT_MEMORY_MAP_H

#include <mullion/boot_info.h>
#include <stdint.h>

/* As many as x86-64 can ever address: 52 bits. */
#define PHYSICAL_LIMIT (1ull << 52)

/* UEFI 2.10, "EFI_MEMORY_DESCRIPTOR"; the firmware's may be longer. */
struct firmware_range {
	uint32_t type; /* UEFI 2.10, "EFI_MEMORY_TYPE" */
	uint32_t pad;
	uint64_t start; /* bytes */
	uint64_t virtual_start;
	uint64_t pages; /* of 4 KiB */
	uint64_t attributes;
};

static_assert(sizeof(struct firmware_range) == 40, "firmware's format");

/* Ranges in @ranges: always sorted by start, never overlapping. */
struct memory_map {
	struct mull_memory_range *ranges;
	uint32_t count;
	uint32_t room; /* ranges that fit */
};

/*
 * memory_map_add - say what @size bytes from @start are
 *
 * The range is widened to whole pages, or narrowed when it is usable.  Where
 * it overlaps another one, the larger number of enum mull_memory_kind wins:
 * memory that somebody claims is never usable.  What lies above
 * PHYSICAL_LIMIT is cut off; of a usable range that claims such memory
 * nothing is believed.  Returns NULL, or what is wrong in words.
 */
const char *memory_map_add(struct memory_map *map, uint64_t start,
			   uint64_t size, enum mull_memory_kind kind);

/*
 * memory_map_add_firmware - add all descriptors of GetMemoryMap()
 * @size, @step: bytes of all, and of each, descriptor
 */
const char *memory_map_add_firmware(struct memory_map *map,
				    const void *descriptors, uint64_t size,
				    uint64_t step);

/* Makes one range of adjoining ones of the same kind. */
void memory_map_merge(struct memory_map *map);

/* The end of the highest memory that is neither a device nor reserved. */
uint64_t memory_map_top(const struct memory_map *map);

/* Bytes of all ranges of @kind. */
uint64_t memory_map_total(const struct memory_map *map,
			  enum mull_memory_kind kind);

#endif
