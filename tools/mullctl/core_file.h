/* SPDX-License-Identifier: MIT */
/*
 * A guest's memory and registers as an ELF core, in the form of QEMU's
 * dump-guest-memory: gdb and crash open it.
 *
 * The header area is of a fixed size, since how much of it is needed is known
 * when all memory is there; it and zeros are holes in the file.
 */
#ifndef MULLCTL_CORE_FILE_H
#define MULLCTL_CORE_FILE_H

#include <elf.h>
#include <mullion/control.h>
#include <stdbool.h>
#include <stddef.h>

#include "new_file.h"

#define CORE_HEADER_AREA (1 << 20)
#define CORE_MAPPINGS_MAX 16000
#define CORE_REGIONS_MAX 3 /* below 4 GiB, a PC's firmware, above */
#define CORE_HEADERS_MAX (CORE_MAPPINGS_MAX + CORE_REGIONS_MAX + 1)
/* With paging, physical memory appears once more, at this address and up: no
 * processor has linear addresses there. */
#define CORE_PHYSICAL (1ull << 63)

struct core_region {
	uint64_t start, size; /* guest-physical */
	uint64_t offset;      /* in the file */
};

struct core_file {
	const struct new_file *file;
	struct core_region regions[CORE_REGIONS_MAX];
	size_t region_count;
	uint64_t file_size;
	Elf64_Phdr *headers; /* the notes' first */
	size_t header_count;
	size_t left_out; /* mappings for which there was no room */
};

/* Each that returns a bool does so after a message, when it is false.
 * @firmware: bytes of @memory_size that end at 4 GiB. */
bool core_begin(struct core_file *core, const struct new_file *file,
		uint64_t memory_size, uint64_t firmware);
bool core_put(const struct core_file *core, uint64_t address, const void *bytes,
	      size_t length);
/* All memory is there: adds the rest.  At least one vCPU. */
bool core_finish(struct core_file *core, const struct mull_registers *registers,
		 uint32_t vcpu_count);
void core_free(struct core_file *core);

#endif
