/* SPDX-License-Identifier: MIT */
/*
 * APM 24593, "Page Translation and Protection": names and bits.  Access rights
 * do not matter here: who looks sees everything.
 */
#include "guest_tables.h"

#include <mullion/bits.h>
#include <string.h>

#define CR0_PG BIT(31)
#define CR4_PSE BIT(4)
#define CR4_PAE BIT(5)
#define CR4_LA57 BIT(12)
#define EFER_LMA BIT(10)

#define ENTRY_PRESENT BIT(0)
#define ENTRY_LARGE BIT(7)
#define ENTRY_ADDRESS BITS(51, 12)

struct paging {
	int levels; /* 0: off */
	unsigned entry_size, index_bits;
	unsigned top_entries;
	int large_level; /* the highest with large pages; 1: none */
	uint64_t root;
};

static struct paging paging_of(const struct mull_registers *registers)
{
	struct paging paging = { .entry_size = 8,
				 .index_bits = 9,
				 .top_entries = 512,
				 .root = registers->cr3 & ENTRY_ADDRESS };

	if (!(registers->cr0 & CR0_PG))
		return paging;
	if (registers->efer & EFER_LMA) {
		paging.levels = registers->cr4 & CR4_LA57 ? 5 : 4;
		paging.large_level = 3;
	} else if (registers->cr4 & CR4_PAE) {
		paging.levels = 3;
		paging.large_level = 2;
		paging.top_entries = 4;
		paging.root = registers->cr3 & BITS(31, 5);
	} else {
		paging = (struct paging){
			.levels = 2,
			.entry_size = 4,
			.index_bits = 10,
			.top_entries = 1024,
			.large_level = registers->cr4 & CR4_PSE ? 2 : 1,
			.root = registers->cr3 & BITS(31, 12),
		};
	}
	return paging;
}

bool guest_tables_in_use(const struct mull_registers *registers)
{
	return registers->cr0 & CR0_PG;
}

/* Bytes that an entry of @level stands for. */
static uint64_t span(const struct paging *paging, int level)
{
	return PAGE_SIZE << paging->index_bits * (unsigned)(level - 1);
}

static bool is_page(const struct paging *paging, int level, uint64_t entry)
{
	return level == 1 ||
	       (level <= paging->large_level && entry & ENTRY_LARGE);
}

static uint64_t page_address(const struct paging *paging, int level,
			     uint64_t entry)
{
	uint64_t low = entry & ENTRY_ADDRESS & ~(span(paging, level) - 1);

	/* 4 MiB pages have address bits 39:32 in bits 20:13 */
	if (level == 2 && paging->entry_size == 4)
		low |= field_get(BITS(20, 13), entry) << 32;
	return low;
}

static unsigned entries_of(const struct paging *paging, int level)
{
	return level == paging->levels ? paging->top_entries :
					 1u << paging->index_bits;
}

/* Sign-extended, as long mode has it. */
static uint64_t canonical(const struct paging *paging, uint64_t linear)
{
	unsigned unused = paging->levels == 5 ? 7 : 16;

	if (paging->levels < 4)
		return linear;
	return (uint64_t)((int64_t)(linear << unused) >> unused);
}

bool guest_tables_find(const struct guest_tables *tables,
		       const struct mull_registers *registers, uint64_t linear,
		       uint64_t *physical, uint64_t *left)
{
	struct paging paging = paging_of(registers);
	uint64_t table = paging.root, size, entry;
	int level = paging.levels;

	if (!level) {
		*physical = linear;
		*left = PAGE_SIZE - linear % PAGE_SIZE;
		return true;
	}
	if (canonical(&paging, linear) != linear || (level < 4 && linear >> 32))
		return false;
	for (;; level--) {
		size = span(&paging, level);
		entry = 0;
		if (!tables->read(tables->context,
				  table + linear / size %
						  entries_of(&paging, level) *
						  paging.entry_size,
				  &entry, paging.entry_size) ||
		    !(entry & ENTRY_PRESENT))
			return false;
		if (is_page(&paging, level, entry))
			break;
		table = entry & ENTRY_ADDRESS;
	}
	*physical = page_address(&paging, level, entry) + linear % size;
	*left = size - linear % size;
	return true;
}

/* ---- all of them -------------------------------------------------------- */

static bool visit(const struct guest_walk *walk, int level, uint64_t table)
{
	uint64_t page = table / PAGE_SIZE;
	uint8_t *visits = walk->visits +
			  (uint64_t)(level - 1) * walk->page_count + page;

	if (page >= walk->page_count || *visits == GUEST_TABLE_VISITS)
		return false;
	++*visits;
	return true;
}

static void walk_table(const struct guest_walk *walk,
		       const struct paging *paging, int level, uint64_t table,
		       uint64_t linear)
{
	uint8_t entries[4096];
	unsigned count = entries_of(paging, level);
	uint64_t size = span(paging, level);

	if (!visit(walk, level, table) ||
	    !walk->tables->read(walk->tables->context, table, entries,
				(size_t)count * paging->entry_size))
		return;
	for (unsigned i = 0; i < count; i++) {
		uint64_t entry = 0, at = canonical(paging, linear + i * size);

		memcpy(&entry, entries + (size_t)i * paging->entry_size,
		       paging->entry_size);
		if (!(entry & ENTRY_PRESENT))
			continue;
		if (is_page(paging, level, entry))
			walk->mapping(walk->context, at,
				      page_address(paging, level, entry), size);
		else
			walk_table(walk, paging, level - 1,
				   entry & ENTRY_ADDRESS, at);
	}
}

void guest_tables_walk(const struct guest_walk *walk,
		       const struct mull_registers *registers)
{
	struct paging paging = paging_of(registers);

	if (paging.levels)
		walk_table(walk, &paging, paging.levels, paging.root, 0);
}
