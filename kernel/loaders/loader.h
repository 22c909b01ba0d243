/* SPDX-License-Identifier: MIT */
/*
 * What the parts of a load share.  A load goes: hash the images (load.c),
 * check the kernel and list the pieces to copy (the kernel's own kind), copy
 * them (load.c), make the tables (long_mode.c or protected_mode.c,
 * guest_acpi.c, and the kernel's own kind).
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
#define LOW_INFO 0x2000 /* boot_params, struct mull_guest_info, ... */
#define LOW_COMMAND_LINE 0x3000
#define LOW_STRINGS 0x3800 /* of modules, in the same page */
#define LOW_STACK 0x4000
#define LOW_STACK_TOP 0x8000
#define LOW_PAGE_TABLES 0x8000
#define LOW_END 0x10000
/* There it ends for a kernel that starts in protected mode. */
#define LOW_END_PROTECTED 0x8000

_Static_assert(LOW_COMMAND_LINE + MULL_COMMAND_LINE_MAX <= LOW_STRINGS,
	       "the command line ends before the modules' strings");
_Static_assert(MULL_MODULE_MAX * sizeof(((struct mull_module *)0)->words) <=
		       LOW_STACK - LOW_STRINGS,
	       "the strings end before the stack");

/* A run of guest memory: bytes of an image, then zeroes. */
struct load_piece {
	uint64_t to;
	const struct load_image *image;
	uint64_t from;	 /* byte of @image */
	uint64_t copied; /* bytes from there */
	uint64_t size;	 /* at least @copied */
};

#define LOAD_SEGMENTS 8			   /* of a kernel */
#define LOAD_MODULES (1 + MULL_MODULE_MAX) /* the initrd is the first */
#define LOAD_PIECES (LOAD_SEGMENTS + LOAD_MODULES)

enum load_phase {
	LOAD_HASH_KERNEL,
	LOAD_HASH_INITRD,
	LOAD_HASH_MODULES,
	LOAD_HASH_DISKS,
	LOAD_FIND,
	LOAD_CHECK,
	LOAD_COPY,
	LOAD_MODE,
	LOAD_ACPI,
	LOAD_KERNEL_TABLES,
	LOAD_DONE,
};

/* Lies in load->state. */
struct load_work {
	enum load_phase phase;
	enum error failed; /* what every further step returns */
	uint32_t module;   /* the one that is hashed */
	uint32_t disk;	   /* the same */
	uint32_t piece;	   /* the one under way */
	uint64_t at;	   /* bytes of it, or of the image that is looked at */
	uint64_t header;   /* of Multiboot: byte of the kernel's file */
	bool relocatable;  /* Multiboot 2 */
	uint32_t piece_count;
	uint32_t first_module; /* those from this one on are modules */
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

/* Whether two ranges that do not wrap have a byte in common. */
static inline bool overlap(uint64_t a, uint64_t a_size, uint64_t b,
			   uint64_t b_size)
{
	return a < b ? b - a < a_size : a - b < b_size;
}

/* What is wrong with a place for @size bytes of the kernel at @at in words
 * that follow it ("lies over ..."); NULL: nothing. */
const char *place_problem(struct load *load, uint64_t at, uint64_t size);

/* The kinds of kernel.  Check the kernel; list its pieces and set
 * load->start.rip. */
enum error bzimage_check(struct load *load);
enum error elf64_check(struct load *load);
enum error pvh_check(struct load *load);
enum error multiboot_check(struct load *load);
enum error multiboot2_check(struct load *load);
/* Looks for the header in the next bytes of the file. */
enum error multiboot_find_step(struct load *load, bool *found);
enum error firmware_check(struct load *load);
/* What the kernel reads when it starts; sets the registers for it. */
enum error bzimage_write_tables(struct load *load);
enum error elf64_write_tables(struct load *load);
enum error pvh_write_tables(struct load *load);
enum error multiboot_write_tables(struct load *load);
enum error multiboot2_write_tables(struct load *load);

/* What is in the guest's memory, as in PVH's and Multiboot 2's tables. */
struct memory_range {
	uint64_t start, size;
	uint32_t type;
	uint32_t reserved;
};

#define MEMORY_RANGES 4
#define MEMORY_LOW_END 0x9fc00 /* of RAM; a PC's BIOS has what is above */

/* The whole memory of @request's VM in rising order; returns how many. */
uint32_t memory_ranges(const struct load_request *request,
		       struct memory_range ranges[MEMORY_RANGES]);

/* Lists the initrd and the modules as pieces behind those of the kernel,
 * each from a page's start. */
enum error modules_place(struct load *load);
/* How many there are. */
uint32_t modules_count(struct load *load);
/* Copies the command line of module @index, and returns its length. */
size_t module_words(const struct load *load, uint32_t index,
		    char words[sizeof(((struct mull_module *)0)->words)]);
/* Writes the command line to LOW_COMMAND_LINE, and those of the modules from
 * LOW_STRINGS on; sets @at to where each is. */
enum error command_lines_write(struct load *load, uint32_t at[LOAD_MODULES]);

/* GDT and an identity map of the first 4 GiB; sets load->start for them. */
enum error long_mode_write(const struct guest_memory *memory,
			   struct guest_start *start);
/* GDT for 32-bit code without paging; sets load->start for it. */
enum error protected_mode_write(const struct guest_memory *memory,
				struct guest_start *start);

/*
 * guest_acpi_write - RSDP at @at, and the tables that it leads to behind it
 * @at: MULL_GUEST_ACPI_AREA, with code that resets the VM where a PC's firmware
 *	begins; or where a VM with firmware has them, a multiple of 64, to be copied
 *	from there (mullion/guest_acpi.h)
 * @vm: whose vCPUs, watchdog and platform they tell of
 *
 * Fewer than MULL_GUEST_ACPI_SIZE bytes are written.
 */
enum error guest_acpi_write(const struct guest_memory *memory, uint64_t at,
			    const struct mull_vm *vm);

#endif
