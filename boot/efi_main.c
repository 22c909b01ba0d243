/* SPDX-License-Identifier: MIT */
/*
 * The UEFI application: finds out what only the firmware knows, loads the
 * hypervisor and the boot package, leaves the firmware and jumps.  What can
 * be decided without the firmware is pure code in files of its own.
 */
#include <mullion/bits.h>
#include <mullion/boot_info.h>
#include <string.h>

#include "console.h"
#include "elf_image.h"
#include "exit_firmware.h"
#include "firmware.h"
#include "machine.h"
#include "memory_map.h"
#include "package_read.h"
#include "page_tables.h"

#define STACK_SIZE KIB(64)
#define INFO_SIZE round_up(sizeof(struct mull_boot_info), PAGE_SIZE)
/* A processor starts in real mode, below 1 MiB and the firmware's EBDA. */
#define TRAMPOLINE_LIMIT 0x9f000
#define CR4_LA57 BIT(12)

/* The hypervisor's ELF file; the Makefile embeds it. */
extern const uint8_t kernel_image[], kernel_image_end[];

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *table);

static const char *check_processor(void)
{
	uint64_t cr4;

	__asm__("mov %%cr4, %0" : "=r"(cr4));
	if (cr4 & CR4_LA57)
		return "the firmware runs with 5-level paging: switch it off "
		       "in its setup";
	return NULL;
}

static const char *describe_memory(uint64_t *top)
{
	struct memory_map map;
	const char *problem = exit_firmware_look(&map);
	uint64_t usable;

	if (problem)
		return problem;
	usable = memory_map_total(&map, MULL_MEMORY_USABLE);
	*top = memory_map_top(&map);
	say("Memory:     %lu MiB usable, up to 0x%lx\n", usable / MIB(1), *top);
	if (*top > PAGE_TABLES_TOP_MAX)
		return "there is memory beyond what 4-level paging can map";
	if (*top < GIB(4))
		*top = GIB(4);
	return NULL;
}

/* Boot_info, stack and room for the page tables, in one block. */
static const char *make_handoff(struct handoff *handoff, uint64_t top)
{
	uint64_t size = INFO_SIZE + STACK_SIZE + page_tables_size(top);
	void *block = firmware_allocate(size, PAGE_SIZE, GIB(4));

	if (!block)
		return "no memory for the page tables";
	memset(block, 0, INFO_SIZE + STACK_SIZE);
	handoff->info = block;
	handoff->block = (uintptr_t)block;
	handoff->block_size = size;
	handoff->stack_top = handoff->block + INFO_SIZE + STACK_SIZE;
	handoff->info->magic = MULL_BOOT_MAGIC;
	handoff->info->version = MULL_BOOT_VERSION;
	handoff->info->size = sizeof *handoff->info;
	return NULL;
}

static const char *load_hypervisor(struct handoff *handoff)
{
	struct mull_boot_info *info = handoff->info;
	struct elf_image image;
	const char *problem = elf_image_check(
		kernel_image, kernel_image_end - kernel_image, &image);
	void *block;

	if (problem) {
		say("Hypervisor: its ELF file is bad: %s\n", problem);
		return "this file of Mullion is damaged";
	}
	block = firmware_allocate(MULL_KERNEL_MAX, FRAME_SIZE, GIB(4));
	if (!block)
		return "no 2 MiB of memory below 4 GiB for the hypervisor";
	elf_image_load(kernel_image, &image, block);
	handoff->entry = image.entry;
	info->image_address = (uintptr_t)block;
	info->image_size = image.size;
	say("Hypervisor: %lu KiB at 0x%lx\n", image.size / KIB(1),
	    info->image_address);
	return NULL;
}

static const char *find_trampoline(struct mull_boot_info *info)
{
	info->trampoline = (uintptr_t)firmware_allocate(PAGE_SIZE, PAGE_SIZE,
							TRAMPOLINE_LIMIT);
	return info->trampoline ? NULL :
				  "no page below 1 MiB to start processors";
}

/* Comes back only with what went wrong, in words. */
static const char *boot(EFI_HANDLE image, uint64_t started)
{
	struct handoff handoff = { 0 };
	uint64_t top = 0;
	const char *problem = check_processor();

	if (!problem)
		problem = describe_memory(&top);
	if (!problem)
		problem = make_handoff(&handoff, top);
	if (problem)
		return problem;

	handoff.info->tsc_loader_start = started;
	machine_describe(handoff.info);
	problem = load_hypervisor(&handoff);
	if (!problem)
		problem = find_trampoline(handoff.info);
	if (problem)
		return problem;

	package_read(image, handoff.info);
	handoff.page_tables = page_tables_build((void *)handoff.stack_top, top,
						handoff.info->image_address);
	say("Leaving the firmware\n");
	return exit_firmware(image, &handoff);
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *table)
{
	uint64_t started = __builtin_ia32_rdtsc();

	firmware = table;
	console_start();
	/* A large package may take longer than the firmware's patience. */
	firmware->BootServices->SetWatchdogTimer(0, 0, 0, NULL);
	say("Mullion " MULL_VERSION "\n");

	say("\nCannot start: %s\n", boot(image, started));
	console_pause();
	return EFI_LOAD_ERROR;
}
