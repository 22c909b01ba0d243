/* SPDX-License-Identifier: MIT */
/* Files that are guest images as far as mullctl looks. */
#ifndef SUPPORT_GUEST_FILES_H
#define SUPPORT_GUEST_FILES_H

#include <stddef.h>
#include <stdint.h>

void write_file(const char *name, const void *bytes, size_t size);

/* A Linux bzImage of boot protocol 2.@minor; needs 33 MiB. */
void write_linux_file(const char *name, uint8_t minor, uint8_t xloadflags);

/* An ELF file for @bits with a note of @type and @owner (8 bytes). */
void write_elf_file(const char *name, int bits, const char *owner,
		    uint32_t type);

/* An ELF file for 32 bits and i386 with such a note; @owner of 3 letters. */
void write_elf32_file(const char *name, const char *owner, uint32_t type);

#endif
