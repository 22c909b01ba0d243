/* SPDX-License-Identifier: MIT */
#include "exit_firmware.h"

#include <mullion/bits.h>
#include <stdbool.h>
#include <stdnoreturn.h>
#include <string.h>

#define TRIES 4
/* Firmware gives 100 to 300 descriptors of 48 bytes. */
#define DESCRIPTOR_BYTES KIB(256)
#define RANGES_BEFORE_MERGE 2048

/* SDM 326019, "Control Registers": both affect what CR3 keeps in the TLB */
#define CR4_PGE BIT(7)
#define CR4_PCIDE BIT(17)

static struct {
	void *descriptors;		  /* DESCRIPTOR_BYTES */
	struct mull_memory_range *ranges; /* RANGES_BEFORE_MERGE */
} scratch;

/* Once, since an allocation changes the very map that is being read. */
static bool have_scratch(void)
{
	if (!scratch.descriptors)
		scratch.descriptors = firmware_allocate(
			DESCRIPTOR_BYTES, PAGE_SIZE, PHYSICAL_LIMIT);
	if (!scratch.ranges)
		scratch.ranges = firmware_allocate(
			RANGES_BEFORE_MERGE * sizeof *scratch.ranges, PAGE_SIZE,
			PHYSICAL_LIMIT);
	return scratch.descriptors && scratch.ranges;
}

static const char *read_map(struct memory_map *map, UINTN *key)
{
	UINTN size = DESCRIPTOR_BYTES, step = 0;
	UINT32 version = 0;
	EFI_STATUS status;

	if (!have_scratch())
		return "no memory for the firmware's memory map";
	status = firmware->BootServices->GetMemoryMap(
		&size, scratch.descriptors, key, &step, &version);
	if (EFI_ERROR(status))
		return "the firmware does not give its memory map";
	if (size > DESCRIPTOR_BYTES)
		return "the firmware's memory map is too large";
	*map = (struct memory_map){
		.ranges = scratch.ranges,
		.room = RANGES_BEFORE_MERGE,
	};
	return memory_map_add_firmware(map, scratch.descriptors, size, step);
}

const char *exit_firmware_look(struct memory_map *map)
{
	UINTN key;
	const char *problem = read_map(map, &key);

	memory_map_merge(map);
	return problem;
}

static const char *add_own_ranges(struct memory_map *map,
				  const struct handoff *handoff)
{
	const struct mull_boot_info *info = handoff->info;
	const struct {
		uint64_t start, size;
		enum mull_memory_kind kind;
	} own[] = {
		/* Whole frames: nobody else can own the rest of one. */
		{ info->image_address, MULL_KERNEL_MAX, MULL_MEMORY_IMAGE },
		{ info->package_address,
		  round_up(info->package_size, FRAME_SIZE),
		  MULL_MEMORY_PACKAGE },
		{ handoff->block, handoff->block_size, MULL_MEMORY_LOADER },
		{ info->trampoline, PAGE_SIZE, MULL_MEMORY_LOADER },
	};
	const char *problem = NULL;

	for (uint32_t i = 0; i < ARRAY_COUNT(own) && !problem; i++)
		problem = memory_map_add(map, own[i].start, own[i].size,
					 own[i].kind);
	return problem;
}

static const char *hand_over_map(struct memory_map *map,
				 const struct handoff *handoff)
{
	struct mull_boot_info *info = handoff->info;
	const char *problem = add_own_ranges(map, handoff);

	if (problem)
		return problem;
	memory_map_merge(map);
	if (map->count > MULL_BOOT_RANGES)
		return "the firmware's memory map has too many ranges";
	memcpy(info->memory, map->ranges, map->count * sizeof *map->ranges);
	info->memory_count = map->count;
	return NULL;
}

static noreturn void jump(const struct handoff *handoff)
{
	uint64_t cr4;

	/* Without global pages, loading CR3 forgets all the firmware mapped. */
	__asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
	cr4 &= ~(CR4_PGE | CR4_PCIDE);
	__asm__ volatile("cld\n\t"
			 "mov %0, %%cr4\n\t"
			 "mov %1, %%cr3\n\t"
			 "mov %2, %%rsp\n\t"
			 "xor %%ebp, %%ebp\n\t"
			 "push $0\n\t" /* no return address: stacks end here */
			 "jmp *%3"
			 :
			 : "r"(cr4), "r"(handoff->page_tables),
			   "r"(handoff->stack_top), "r"(handoff->entry),
			   "D"(handoff->info)
			 : "memory");
	__builtin_unreachable();
}

const char *exit_firmware(EFI_HANDLE image, const struct handoff *handoff)
{
	/*
	 * An event in the firmware may change the map between the two calls;
	 * then the key is stale and the map must be read again.
	 */
	for (int i = 0; i < TRIES; i++) {
		struct memory_map map;
		UINTN key = 0;
		const char *problem = read_map(&map, &key);

		if (!problem)
			problem = hand_over_map(&map, handoff);
		if (problem)
			return problem;
		if (EFI_ERROR(firmware->BootServices->ExitBootServices(image,
								       key)))
			continue;
		__asm__ volatile("cli");
		handoff->info->tsc_left_firmware = __builtin_ia32_rdtsc();
		jump(handoff);
	}
	return "the firmware does not let go (ExitBootServices)";
}
