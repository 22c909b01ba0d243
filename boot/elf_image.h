/* SPDX-License-Identifier: MIT */
/* The hypervisor's ELF file, as it lies embedded in the UEFI application. */
#ifndef BOOT_ELF_IMAGE_H
#define BOOT_ELF_IMAGE_H

#include <stdint.h>

#define ELF_SEGMENT_MAX 8

/* Bytes of the file that go to @offset in the image; the rest is zero. */
struct elf_segment {
	uint64_t file_offset;
	uint64_t file_size;
	uint64_t offset; /* bytes above MULL_KERNEL_BASE */
	uint64_t size;	 /* bytes in memory, at least file_size */
};

struct elf_image {
	uint64_t entry; /* virtual address, in an executable segment */
	uint64_t size;	/* bytes in memory, a multiple of 4096 */
	uint32_t segment_count;
	struct elf_segment segments[ELF_SEGMENT_MAX];
};

/*
 * elf_image_check - find out what goes where, trusting no number in the file
 *
 * Returns NULL and fills @image, or returns what is wrong, in words.
 */
const char *elf_image_check(const void *file, uint64_t file_size,
			    struct elf_image *image);

/* Copies the checked @image of @file to @block, of image->size bytes. */
void elf_image_load(const void *file, const struct elf_image *image,
		    void *block);

#endif
