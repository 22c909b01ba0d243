/* SPDX-License-Identifier: MIT */
/*
 * What the parts of a load share.  A load goes: hash the images (load.c),
 * check the kernel and list the pieces to copy (bzimage.c or elf64.c), copy
 * them (load.c), make the tables (long_mode.c, guest_acpi.c, and the kernel's
 * own kind).
 */
#ifndef KERNEL_LOADERS_LOADER_H
#define KERNEL_LOADERS_LOADER_H

#include <bearssl/bearssl_hash.h>
#include <mullion/load.h>

/*
 * Guest-physical places of what the loader makes.  No image may lie here;
 * the guest may use it again once it does not need the contents.
 */
#define LOW_GDT 0x1000
#define LOW_INFO 0x2000 /* boot_params or struct mull_guest_info */
#define LOW_COMMAND_LINE 0x3000
#define LOW_STACK 0x4000
#define LOW_STACK_TOP 0x8000
#define LOW_PAGE_TABLES 0x8000
#define LOW_END 0x10000

/* A run of guest memory: bytes of an image, then zeroes. */
struct load_piece {
	uint64_t to;
	const struct load_image *image;
	uint64_t from;	 /* byte of @image */
	uint64_t copied; /* bytes from there */
	uint64_t size;	 /* at least @copied */
};

#define LOAD_PIECES 8 /* a kernel's segments; a bzImage and its initrd */

enum load_phase {
	LOAD_HASH_KERNEL,
	LOAD_HASH_INITRD,
	LOAD_HASH_DISKS,
	LOAD_CHECK,
	LOAD_COPY,
	LOAD_LONG_MODE,
	LOAD_ACPI,
	LOAD_KERNEL_TABLES,
	LOAD_DONE,
};

/* Lies in load->state. */
struct load_work {
	enum load_phase phase;
	enum error failed; /* what every further step returns */
	uint32_t piece;	   /* the one under way */
	uint32_t disk;	   /* the one that is hashed */
	uint64_t at;	   /* bytes of it, or of the image that is hashed */
	uint32_t piece_count;
	struct load_piece pieces[LOAD_PIECES];
	br_sha256_context sha256;
};

_Static_assert(sizeof(struct load_work) <= LOAD_STATE_SIZE,
	       "must fit into struct load");

static inline struct load_work *load_work(struct load *load)
{
	return (struct load_work *)load->state;
}

/* Says what is wrong in load->words, and returns @error. */
enum error load_fail(struct load *load, enum error error, const char *format,
		     ...) __attribute__((format(printf, 3, 4)));

/* Bytes before the final zero, also when a hostile one has none. */
size_t command_line_length(const struct mull_vm *vm);

/* Check the kernel; list its pieces and set load->start.rip. */
enum error bzimage_check(struct load *load);
enum error elf64_check(struct load *load);
enum error firmware_check(struct load *load);
/* What the kernel reads when it starts; sets the registers for it. */
enum error bzimage_write_tables(struct load *load);
enum error elf64_write_tables(struct load *load);

/* GDT and an identity map of the first 4 GiB; sets load->start for them. */
enum error long_mode_write(const struct guest_memory *memory,
			   struct guest_start *start);

/*
 * guest_acpi_write - RSDP at @at, and the tables that it leads to behind it
 * @at: MULL_GUEST_ACPI_AREA, with code that resets the VM where a PC's firmware
 *	begins; or where a VM with firmware has them, a multiple of 64; below MULL_GUEST_ACPI_SIZE bytes are written
 * @pc: they are those of a legacy PC
 */
enum error guest_acpi_write(const struct guest_memory *memory, uint64_t at,
			    uint32_t vcpu_count, bool pc);

#endif
