/* SPDX-License-Identifier: MIT */
/* The firmware's tables, and what several parts of the loader ask of it. */
#ifndef BOOT_FIRMWARE_H
#define BOOT_FIRMWARE_H

#include <efi.h>
#include <stdint.h>

extern EFI_SYSTEM_TABLE *firmware;

/* What @status means, in words. */
const char *firmware_words(EFI_STATUS status);

/*
 * firmware_allocate - memory that stays ours (EfiLoaderData), not cleared
 * @bytes: rounded up to pages of 4 KiB
 * @unit: alignment, a power of two, at least 4096
 * @limit: all of it lies below this address
 *
 * Returns NULL when there is none.
 */
void *firmware_allocate(uint64_t bytes, uint64_t unit, uint64_t limit);

/* Gives whole pages back, also a part of an allocation. */
void firmware_free(void *memory, uint64_t bytes);

#endif
