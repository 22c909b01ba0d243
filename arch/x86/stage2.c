/* SPDX-License-Identifier: MIT */
#include "stage2.h"
#include <mullion/arch.h>
#include <mullion/frame_pool.h>
#include <mullion/page.h>

#define LEVELS 4
#define ADDRESS BITS(51, 12)

static uint64_t level_size(int level)
{
	return 1ull << (12 + 9 * (level - 1));
}

static bool is_table(uint64_t entry, int level)
{
	return level > 1 && entry & STAGE2_GRANTS && !(entry & STAGE2_LARGE);
}

static uint64_t *table_of(uint64_t entry)
{
	return arch_direct(hpa(entry & ADDRESS));
}

enum error stage2_create(hpa_t *root)
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

	for (int l = LEVELS; l > level; l--) {
		uint64_t *entry = &table[at.value / level_size(l) & 511];

		if (!(*entry & STAGE2_GRANTS)) {
			void *next = page_alloc(1);

			if (!next)
				return NULL;
			*entry = arch_physical(next).value | STAGE2_GRANTS;
		}
		table = table_of(*entry);
	}
	return &table[at.value / level_size(level) & 511];
}

static int largest_level(int level, uint64_t at, uint64_t to, uint64_t size)
{
	while (level > 1 && ((at | to) & (level_size(level) - 1) ||
			     size < level_size(level)))
		level--;
	return level;
}

enum error stage2_map(hpa_t root, gpa_t at, hpa_t to, uint64_t size,
		      uint64_t leaf, int largest, bool *replaced)
{
	while (size > 0) {
		int level = largest_level(largest, at.value, to.value, size);
		uint64_t *entry = entry_at(root, at, level);

		if (!entry)
			return ERR_NO_MEMORY;
		*replaced |= *entry & STAGE2_GRANTS;
		*entry = leaf ? to.value | leaf |
					 (level > 1 ? STAGE2_LARGE : 0) :
				0;
		at.value += level_size(level);
		to.value += level_size(level);
		size -= level_size(level);
	}
	return ERR_NONE;
}

static void free_tables(uint64_t *table, int level)
{
	for (int i = 0; level > 1 && i < 512; i++)
		if (is_table(table[i], level))
			free_tables(table_of(table[i]), level - 1);
	page_free(table, 1);
}

void stage2_destroy(hpa_t root)
{
	free_tables(arch_direct(root), LEVELS);
}

/* What should be a table, but lies where no table is, counts as memory that
 * the guest reaches: so it is compared with its owner, and never followed. */
void stage2_look(hpa_t root, gpa_t at, struct mapping *mapping)
{
	uint64_t *table = arch_direct(root);
	uint64_t value;
	int level = LEVELS;

	for (;; level--) {
		value = table[at.value / level_size(level) & 511];
		if (!is_table(value, level) ||
		    frame_owner_of((value & ADDRESS) >> FRAME_SHIFT) !=
			    FRAME_HYPERVISOR)
			break;
		table = table_of(value);
	}
	*mapping = (struct mapping){
		.at = round_down(at.value, level_size(level)),
		.to = hpa(
			round_down(value & ADDRESS, is_table(value, level) ?
							    PAGE_SIZE :
							    level_size(level))),
		.size = level_size(level),
		.present = value & STAGE2_GRANTS,
		.writable = value & STAGE2_WRITABLE,
	};
}
