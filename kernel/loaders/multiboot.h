/* SPDX-License-Identifier: MIT */
/* What Multiboot 1 and 2 have in common. */
#ifndef KERNEL_LOADERS_MULTIBOOT_H
#define KERNEL_LOADERS_MULTIBOOT_H

#include "loader.h"

/* How much there is of each before a header's own fields. */
#define MULTIBOOT_SEARCH 8192
#define MULTIBOOT2_SEARCH 32768

#define MULTIBOOT_LOADER "Mullion" /* the boot loader's name */

/* Where a header puts the kernel, in place of ELF's segments; physical. */
struct multiboot_address {
	uint32_t header;   /* the header itself */
	uint32_t load;	   /* the first byte; ~0: that of the file */
	uint32_t load_end; /* behind the last byte; 0: the file's */
	uint32_t bss_end;  /* behind the zeroes after it; 0: none */
};

/* Lists the kernel as a piece where @address says, and sets the entry. */
enum error multiboot_place(struct load *load,
			   const struct multiboot_address *address,
			   uint32_t entry);

/* Lists the kernel's ELF segments; @entry: the header's, in place of ELF's
 * own; NULL: none. */
enum error multiboot_place_elf(struct load *load, const uint32_t *entry);

/* KiB of memory from 0, and from 1 MiB. */
uint32_t multiboot_lower(void);
uint32_t multiboot_upper(const struct load *load);

/* What kernels of a PC look for in its BIOS's data. */
enum error multiboot_write_bios_data(struct load *load);

#endif
