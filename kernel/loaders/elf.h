/* SPDX-License-Identifier: MIT */
/* A kernel's ELF file, of 32 or 64 bits, for those kinds that are one. */
#ifndef KERNEL_LOADERS_ELF_H
#define KERNEL_LOADERS_ELF_H

#include "loader.h"

struct elf {
	const char *what; /* for words: "PVH kernel" */
	bool is_64;
	uint64_t entry;	   /* as the header says */
	uint64_t segments; /* byte of the file where the headers begin */
	uint32_t segment_count;
};

struct elf_segment {
	uint32_t type, flags;
	uint64_t offset, vaddr, paddr, filesz, memsz;
};

#define ELF_SEGMENT_LOAD 1
#define ELF_SEGMENT_NOTE 4
#define ELF_FLAG_EXECUTE 1

/*
 * elf_open - check the header of load->request.kernel
 * @what: what it has to be, as in "kernel is no @what: no ELF header"
 * @also_32: whether a 32-bit file will do
 *
 * Returns ERR_NONE and fills @elf, or ERR_BAD_IMAGE with load->words.
 */
enum error elf_open(struct load *load, const char *what, bool also_32,
		    struct elf *elf);

/* The header of segment @index, which is there; nothing in it is checked. */
struct elf_segment elf_segment(const struct load *load, const struct elf *elf,
			       uint32_t index);

/*
 * elf_find_note - look for a note in the segments for notes
 * @owner: its name; @owner_size: bytes of that with the final zero, at most 8
 * @descriptor: gets as much of it as it has room for, and zeroes
 *
 * Returns how many bytes the descriptor has, of several such notes that of
 * the first; 0: there is none.
 */
uint32_t elf_find_note(const struct load *load, const struct elf *elf,
		       const char *owner, uint32_t owner_size, uint32_t type,
		       void *descriptor, uint32_t room);

/*
 * elf_add_segments - list what is loaded as pieces, at physical addresses
 *
 * Returns ERR_NONE, or ERR_BAD_IMAGE with load->words.
 */
enum error elf_add_segments(struct load *load, const struct elf *elf);

#endif
