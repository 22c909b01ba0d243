/* SPDX-License-Identifier: MIT */
/*
 * The state in which 64-bit code starts: flat segments and paging.  The
 * selectors are those that Linux demands ("64-bit BOOT PROTOCOL": __BOOT_CS
 * 0x10 and __BOOT_DS 0x18).
 */
#include "loader.h"

#include <mullion/bits.h>

#define BOOT_CS 0x10
#define BOOT_DS 0x18

/* SDM 325384, "Segment Descriptor": present, accessed, 4 GiB. */
static const uint64_t gdt[] = {
	[BOOT_CS / 8] = 0x00af9b000000ffff, /* execute and read, 64-bit */
	[BOOT_DS / 8] = 0x00cf93000000ffff, /* read and write */
};

/* SDM 325384, "Format of a Page-Directory Entry that Maps a 2-MByte Page". */
#define PTE_PRESENT BIT(0)
#define PTE_WRITE BIT(1)
#define PTE_LARGE BIT(7)

#define DIRECTORIES 4 /* of 1 GiB each */
#define PML4 LOW_PAGE_TABLES
#define POINTERS (PML4 + PAGE_SIZE)
#define DIRECTORY(n) (POINTERS + PAGE_SIZE * (1 + (n)))

_Static_assert(DIRECTORY(DIRECTORIES) <= LOW_END, "tables in the low area");

/* @count entries from @table on: pages of @size from @target on. */
static enum error write_entries(const struct guest_memory *memory,
				uint64_t table, uint64_t count, uint64_t target,
				uint64_t size, uint64_t flags)
{
	uint64_t entries[64];
	enum error error = ERR_NONE;

	for (uint64_t first = 0; first < count && !error;
	     first += ARRAY_COUNT(entries)) {
		uint64_t some = count - first;
		uint64_t entry = (target + first * size) | flags;

		if (some > ARRAY_COUNT(entries))
			some = ARRAY_COUNT(entries);
		for (uint64_t i = 0; i < some; i++)
			entries[i] = entry + i * size;
		error = guest_write(memory, gpa(table + first * 8), entries,
				    some * 8);
	}
	return error;
}

enum error long_mode_write(const struct guest_memory *memory,
			   struct guest_start *start)
{
	const uint64_t table = PTE_PRESENT | PTE_WRITE;
	enum error error = guest_write(memory, gpa(LOW_GDT), gdt, sizeof gdt);

	if (!error)
		error = write_entries(memory, PML4, 1, POINTERS, 0, table);
	if (!error)
		error = write_entries(memory, POINTERS, DIRECTORIES,
				      DIRECTORY(0), PAGE_SIZE, table);
	if (!error)
		error = write_entries(memory, DIRECTORY(0), DIRECTORIES * 512,
				      0, MIB(2), table | PTE_LARGE);
	start->mode = GUEST_LONG;
	start->cr3 = PML4;
	start->gdt_base = LOW_GDT;
	start->gdt_limit = sizeof gdt - 1;
	start->cs = BOOT_CS;
	start->ds = BOOT_DS;
	start->rsp = LOW_STACK_TOP;
	return error;
}
