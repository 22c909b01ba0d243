/* SPDX-License-Identifier: MIT */
/* The page tables that the hypervisor starts with. */
#ifndef BOOT_PAGE_TABLES_H
#define BOOT_PAGE_TABLES_H

#include <stdint.h>

/* The lower half of 4-level paging: more cannot be identity-mapped. */
#define PAGE_TABLES_TOP_MAX (1ull << 47)

/* Bytes of tables that identity-map all below @top. */
uint64_t page_tables_size(uint64_t top);

/*
 * page_tables_build - identity-map all below @top, and 2 MiB at
 *		       MULL_KERNEL_BASE to @image
 * @memory: page_tables_size(top) bytes, 4096-aligned, identity-mapped now
 * @image: physical, 2 MiB-aligned
 *
 * All is readable, writable and executable.  Returns the value for CR3.
 */
uint64_t page_tables_build(void *memory, uint64_t top, uint64_t image);

#endif
