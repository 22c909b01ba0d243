/* SPDX-License-Identifier: MIT */
/* A guest in fake memory, and a load into it, for the loaders' tests. */
#ifndef SUPPORT_LOAD_H
#define SUPPORT_LOAD_H

#include <mullion/load.h>

struct load_guest {
	struct guest_memory memory;
	struct mull_vm vm; /* "guest", one vCPU, no command line */
	struct mull_image kernel, initrd;
	/* As many as vm.module_count says, of any bytes. */
	struct {
		const void *bytes;
		uint64_t size;
		struct mull_image record;
	} modules[MULL_MODULE_MAX];
	struct load load;
	uint32_t steps; /* that the load took */
};

/* Of @low bytes from 0 and @high from 4 GiB, multiples of 2 MiB; full of
 * 0xcc, so that what must be zero has to be made so. */
void load_guest_make(struct load_guest *guest, uint64_t low, uint64_t high);

/* Loads @kernel and, unless it is NULL, @initrd to the end. */
enum error load_guest_run(struct load_guest *guest, uint32_t kind,
			  const void *kernel, uint64_t kernel_size,
			  const void *initrd, uint64_t initrd_size);

/* Reads guest memory; fails the test where there is none. */
void load_guest_read(const struct load_guest *guest, uint64_t at, void *to,
		     size_t size);

/* Checks that the CPU reaches the first 4 GiB, each at itself, by CR3, and
 * that the GDT has flat 64-bit segments where load->start says. */
void load_guest_check_long_mode(const struct load_guest *guest);

/* The same for flat 32-bit segments, without paging. */
void load_guest_check_protected_mode(const struct load_guest *guest);

/* Reads the string at @at in guest memory; it is overwritten by the next. */
const char *load_guest_string(const struct load_guest *guest, uint64_t at);

/* Walks from the RSDP to every table and checks all sums; returns the number
 * of enabled local APICs. */
uint32_t load_guest_check_acpi(const struct load_guest *guest);

#endif
