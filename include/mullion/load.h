/* SPDX-License-Identifier: MIT */
/*
 * Loading a VM's images into its memory, in steps of at most some 20,000
 * instructions, so that a CPU that serves others stays responsive.
 */
#ifndef MULLION_LOAD_H
#define MULLION_LOAD_H

#include <mullion/error.h>
#include <mullion/guest_memory.h>
#include <mullion/package.h>
#include <stdbool.h>
#include <stdint.h>

/* One image: of the package, its extent already checked, or of the store. */
struct load_image {
	const struct mull_image *record; /* NULL: none */
	/* record->size bytes: in one of these places.  Neither: damaged. */
	const uint8_t *bytes;	/* mapped */
	const uint32_t *frames; /* seen by arch_view() only */
};

static inline bool image_is_there(const struct load_image *image)
{
	return image->bytes || image->frames;
}

/*
 * image_at - see what lies at byte @at of @image
 * @length: bytes that are wanted; then, how many of them can be seen at once
 *
 * The bytes are there; valid on this CPU until the next call on this CPU.
 */
const uint8_t *image_at(const struct load_image *image, uint64_t at,
			uint64_t *length);
/* Copies bytes that are there. */
void image_read(const struct load_image *image, uint64_t at, void *to,
		size_t length);

enum guest_mode {
	GUEST_LONG,	 /* 64-bit code, CR0.PG on, CR3 = guest_start.cr3 */
	GUEST_PROTECTED, /* 32-bit code, paging off */
	GUEST_AT_RESET,	 /* the processor as at power-on; no more is set */
};

/* How vCPU 0 begins: flat segments, interrupts off; a general register that
 * is not named is 0. */
struct guest_start {
	enum guest_mode mode;
	uint64_t rip, rsp, rax, rbx, rdi, rsi, cr3;
	uint64_t gdt_base; /* guest-physical, entries below */
	uint32_t gdt_limit;
	uint16_t cs, ds; /* selectors of the flat code and data segment */
};

struct load_request {
	const struct guest_memory *memory;
	const struct mull_vm *vm;
	struct load_image kernel, initrd;
	/* As many as vm->module_count says. */
	struct load_image modules[MULL_MODULE_MAX];
	struct load_image disks[MULL_DISK_MAX]; /* to be checked only */
	uint64_t memory_low,
		memory_high; /* bytes of RAM below and above 4 GiB */
	uint64_t tsc_khz;
};

/*
 * image_firmware_room - bytes below 4 GiB that @image takes, whole frames
 *
 * 0: it is no firmware, or none that can be loaded.
 */
uint64_t image_firmware_room(const struct load_image *image);

#define LOAD_STATE_SIZE 1024

/* Progress of one load; its inside is kernel/loaders/'s own. */
struct load {
	struct load_request request;
	struct guest_start start; /* valid when done */
	char words[160];	  /* what is wrong, after an error */
	uint64_t state[LOAD_STATE_SIZE / 8];
};

void load_begin(struct load *load, const struct load_request *request);

/* Checks the hash of disk @index of @vm, and nothing else. */
void load_begin_disk(struct load *load, const struct mull_vm *vm,
		     uint32_t index, struct load_image image);

/*
 * load_step - do the next piece: check the hash, check the image, copy,
 *             make the tables that the guest needs (ACPI, memory map)
 * @done: set when the VM can start
 *
 * Returns ERR_NONE, or why the images cannot be started, with load->words.
 */
enum error load_step(struct load *load, bool *done);

#endif
