/* SPDX-License-Identifier: MIT */
/*
 * The hand-off from the UEFI application (boot/) to the hypervisor.
 *
 * boot/ loads the hypervisor's ELF (linked at MULL_KERNEL_BASE) into one
 * physically contiguous block, 2 MiB-aligned and below 4 GiB, leaves boot
 * services and jumps to the ELF entry point with
 *   - RDI = physical address of struct mull_boot_info (identity-mapped),
 *   - long mode, 4-level paging, interrupts off, SSE state undefined,
 *   - identity map of all memory below max(4 GiB, top of memory) (RWX), the
 *     image also at MULL_KERNEL_BASE (offset 0 of the block there),
 *   - a stack of at least 16 KiB, RSP = 16-byte aligned plus 8 (as after a call).
 * Page tables, stack and boot_info lie in MULL_MEMORY_LOADER ranges: the
 * hypervisor may reuse those once it has copied what it needs.
 */
#ifndef MULLION_BOOT_INFO_H
#define MULLION_BOOT_INFO_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define MULL_KERNEL_BASE 0xffffffff80000000ull
#define MULL_KERNEL_MAX 0x200000ull /* bytes, image with .bss */

#define MULL_BOOT_MAGIC 0x544f4f424c4c554dull /* "MULLBOOT" */
#define MULL_BOOT_VERSION 2

#define MULL_BOOT_RANGES 512
#define MULL_BOOT_PROCESSORS 256

/* What a range of physical memory is, from the hypervisor's point of view. */
enum mull_memory_kind {
	MULL_MEMORY_USABLE = 1,	  /* free once boot services are left */
	MULL_MEMORY_IMAGE = 2,	  /* the hypervisor's image */
	MULL_MEMORY_PACKAGE = 3,  /* the boot package */
	MULL_MEMORY_LOADER = 4,	  /* hand-off data, boot page tables, stack */
	MULL_MEMORY_FIRMWARE = 5, /* runtime services code and data */
	MULL_MEMORY_ACPI = 6,	  /* ACPI tables and NVS */
	MULL_MEMORY_DEVICE = 7,	  /* memory-mapped I/O */
	MULL_MEMORY_RESERVED = 8, /* everything else */
};

/* Sorted by start, not overlapping, adjoining ranges of a kind merged. */
struct mull_memory_range {
	uint64_t start; /* bytes, a multiple of 4096 */
	uint64_t size;	/* bytes, a multiple of 4096 */
	uint32_t kind;	/* enum mull_memory_kind */
	uint32_t reserved;
};

/* From the MP Services protocol; MADT is preferred where there is one. */
struct mull_boot_processor {
	uint32_t apic_id;
	uint32_t enabled; /* 1 or 0 */
};

enum mull_pixel_format {
	MULL_PIXEL_NONE = 0, /* no framebuffer */
	MULL_PIXEL_RGBX = 1, /* byte 0 is red */
	MULL_PIXEL_BGRX = 2, /* byte 0 is blue */
};

struct mull_framebuffer {
	uint64_t address; /* physical */
	uint32_t width;	  /* pixels */
	uint32_t height;
	uint32_t pitch;	 /* pixels from one line to the next */
	uint32_t format; /* enum mull_pixel_format */
};

struct mull_boot_info {
	uint64_t magic;		  /* MULL_BOOT_MAGIC */
	uint32_t version;	  /* MULL_BOOT_VERSION */
	uint32_t size;		  /* sizeof(struct mull_boot_info) */
	uint64_t image_address;	  /* physical, 2 MiB-aligned */
	uint64_t image_size;	  /* bytes, with .bss, a multiple of 4096 */
	uint64_t package_address; /* physical, 2 MiB-aligned; 0: no package */
	uint64_t package_size;	  /* bytes that could be read */
	uint64_t rsdp;		  /* physical; 0: none */
	uint64_t trampoline;	  /* physical, one 4 KiB page below 1 MiB */
	uint64_t reset_system;	  /* the firmware's ResetSystem(), physical */
	uint64_t wall_clock;	  /* seconds since 1970-01-01 UTC; 0: unknown */
	uint64_t tsc_loader_start;
	uint64_t tsc_left_firmware; /* after ExitBootServices */
	struct mull_framebuffer framebuffer;
	uint32_t memory_count;
	uint32_t processor_count; /* 0: MP Services were not there */
	char package_problem
		[128]; /* in words, why there is no package; else "" */
	char firmware_vendor[64];
	struct mull_memory_range memory[MULL_BOOT_RANGES];
	struct mull_boot_processor processors[MULL_BOOT_PROCESSORS];
};

static_assert(sizeof(struct mull_memory_range) == 24, "hand-off format");
static_assert(sizeof(struct mull_framebuffer) == 24, "hand-off format");
static_assert(offsetof(struct mull_boot_info, framebuffer) == 96,
	      "hand-off format");
static_assert(offsetof(struct mull_boot_info, memory) == 320,
	      "hand-off format");

#endif
