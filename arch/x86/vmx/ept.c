/* SPDX-License-Identifier: MIT */
/*
 * Extended page tables.  SDM 326019, "Format of an EPT Page-Table Entry that
 * Maps a 4-KByte Page" and its neighbours.
 */
#include "../registers.h"
#include "vmx.h"
#include <mullion/arch.h>
#include <mullion/page.h>
#include <stdatomic.h>

#define EPT_READ BIT(0)
#define EPT_WRITE BIT(1)
#define EPT_EXECUTE BIT(2)
#define EPT_MEMORY_TYPE BITS(5, 3)
#define EPT_LARGE BIT(7)
#define EPT_ADDRESS BITS(51, 12)
#define EPT_ALL (EPT_READ | EPT_WRITE | EPT_EXECUTE)

/* "Format of Extended-Page-Table Pointer" */
#define EPTP_MEMORY_TYPE BITS(2, 0)
#define EPTP_LEVELS_MINUS_ONE BITS(5, 3)

static _Atomic uint32_t generation;

static uint64_t level_size(int level)
{
	return 1ull << (12 + 9 * (level - 1));
}

static uint64_t *table_of(uint64_t entry)
{
	return arch_direct(hpa(entry & EPT_ADDRESS));
}

/* Processors may still know what was at this address when it was a table. */
enum error ept_create(hpa_t *root)
{
	void *table = page_alloc(1);

	if (!table)
		return ERR_NO_MEMORY;
	*root = arch_physical(table);
	atomic_fetch_add(&generation, 1);
	return ERR_NONE;
}

static uint64_t *entry_at(hpa_t root, gpa_t at, int level)
{
	uint64_t *table = arch_direct(root);

	for (int l = 4; l > level; l--) {
		uint64_t *entry = &table[at.value / level_size(l) & 511];

		if (!(*entry & EPT_ALL)) {
			void *next = page_alloc(1);

			if (!next)
				return NULL;
			*entry = arch_physical(next).value | EPT_ALL;
		}
		table = table_of(*entry);
	}
	return &table[at.value / level_size(level) & 511];
}

/* 3: 1 GiB, 2: 2 MiB, 1: 4 KiB. */
static int largest_level(uint64_t at, uint64_t to, uint64_t size)
{
	int level = vmx_controls.large_1g ? 3 : 2;

	while (level > 1 && ((at | to) & (level_size(level) - 1) ||
			     size < level_size(level)))
		level--;
	return level;
}

/* Write-back, with the guest's PAT on top of it. */
static uint64_t leaf(uint64_t to, int level)
{
	return to | EPT_ALL |
	       field_make(EPT_MEMORY_TYPE, VMX_MEMORY_WRITE_BACK) |
	       (level > 1 ? EPT_LARGE : 0);
}

enum error ept_map(hpa_t root, gpa_t at, hpa_t to, uint64_t size,
		   enum stage2_rights rights)
{
	while (size > 0) {
		int level = largest_level(at.value, to.value, size);
		uint64_t *entry = entry_at(root, at, level);

		if (!entry)
			return ERR_NO_MEMORY;
		if (*entry & EPT_ALL)
			atomic_fetch_add(&generation, 1);
		*entry = rights == STAGE2_NONE ? 0 : leaf(to.value, level);
		at.value += level_size(level);
		to.value += level_size(level);
		size -= level_size(level);
	}
	return ERR_NONE;
}

static void free_tables(uint64_t *table, int level)
{
	for (int i = 0; level > 1 && i < 512; i++)
		if (table[i] & EPT_ALL && !(table[i] & EPT_LARGE))
			free_tables(table_of(table[i]), level - 1);
	page_free(table, 1);
}

void ept_destroy(hpa_t root)
{
	free_tables(arch_direct(root), 4);
}

uint64_t ept_pointer(hpa_t root)
{
	return root.value |
	       field_make(EPTP_MEMORY_TYPE, VMX_MEMORY_WRITE_BACK) |
	       field_make(EPTP_LEVELS_MINUS_ONE, 3);
}

uint32_t ept_generation(void)
{
	return atomic_load(&generation);
}
