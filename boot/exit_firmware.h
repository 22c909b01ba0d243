/* SPDX-License-Identifier: MIT */
#ifndef BOOT_EXIT_FIRMWARE_H
#define BOOT_EXIT_FIRMWARE_H

#include <mullion/boot_info.h>

#include "firmware.h"
#include "memory_map.h"

/* What the jump into the hypervisor needs; the memory is identity-mapped. */
struct handoff {
	struct mull_boot_info *info; /* at the block's start */
	uint64_t block;		     /* boot_info, stack, page tables */
	uint64_t block_size;
	uint64_t stack_top;   /* a multiple of 16 */
	uint64_t page_tables; /* for CR3 */
	uint64_t entry;
};

/*
 * exit_firmware_look - the memory map as it is now, while the firmware lives
 *
 * Fills @map (merged), or returns what is wrong in words.
 */
const char *exit_firmware_look(struct memory_map *map);

/*
 * exit_firmware - leave boot services and start the hypervisor
 *
 * Comes back only with what went wrong, in words.  After a first failed try
 * the firmware's console may be gone.
 */
const char *exit_firmware(EFI_HANDLE image, const struct handoff *handoff);

#endif
