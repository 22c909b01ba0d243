/* SPDX-License-Identifier: MIT */
/*
 * Nested page tables: the long-mode format, walked with the host's settings,
 * every entry a user's.  AMD 24593, "Nested Paging".
 */
#include "../registers.h"
#include "svm.h"
#include <mullion/arch.h>
#include <mullion/page.h>

#define NPT_PRESENT BIT(0)
#define NPT_WRITE BIT(1)
#define NPT_USER BIT(2)
#define NPT_LARGE BIT(7)
#define NPT_ADDRESS BITS(51, 12)
#define NPT_ALL (NPT_PRESENT | NPT_WRITE | NPT_USER)

static uint64_t level_size(int level)
{
	return 1ull << (12 + 9 * (level - 1));
}

static uint64_t *table_of(uint64_t entry)
{
	return arch_direct(hpa(entry & NPT_ADDRESS));
}

enum error npt_create(hpa_t *root)
{
	void *table = page_alloc(1);

	if (!table)
		return ERR_NO_MEMORY;
	*root = arch_physical(table);
	return ERR_NONE;
}

static uint64_t *entry_at(hpa_t root, gpa_t at, int level)
{
	uint64_t *table = arch_direct(root);

	for (int l = 4; l > level; l--) {
		uint64_t *entry = &table[at.value / level_size(l) & 511];

		if (!(*entry & NPT_PRESENT)) {
			void *next = page_alloc(1);

			if (!next)
				return NULL;
			*entry = arch_physical(next).value | NPT_ALL;
		}
		table = table_of(*entry);
	}
	return &table[at.value / level_size(level) & 511];
}

/* 3: 1 GiB, 2: 2 MiB, 1: 4 KiB. */
static int largest_level(uint64_t at, uint64_t to, uint64_t size)
{
	int level = cpuid(0x80000001, 0).edx & BIT(26) ? 3 : 2;

	while (level > 1 && ((at | to) & (level_size(level) - 1) ||
			     size < level_size(level)))
		level--;
	return level;
}

enum error npt_map(hpa_t root, gpa_t at, hpa_t to, uint64_t size,
		   enum stage2_rights rights)
{
	while (size > 0) {
		int level = largest_level(at.value, to.value, size);
		uint64_t *entry = entry_at(root, at, level);

		if (!entry)
			return ERR_NO_MEMORY;
		*entry = rights == STAGE2_NONE ?
				 0 :
				 to.value | NPT_ALL |
					 (level > 1 ? NPT_LARGE : 0);
		at.value += level_size(level);
		to.value += level_size(level);
		size -= level_size(level);
	}
	return ERR_NONE;
}

static void free_tables(uint64_t *table, int level)
{
	for (int i = 0; level > 1 && i < 512; i++)
		if (table[i] & NPT_PRESENT && !(table[i] & NPT_LARGE))
			free_tables(table_of(table[i]), level - 1);
	page_free(table, 1);
}

void npt_destroy(hpa_t root)
{
	free_tables(arch_direct(root), 4);
}
