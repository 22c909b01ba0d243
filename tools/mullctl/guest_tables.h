/* SPDX-License-Identifier: MIT */
/*
 * A guest's own page tables, read as its processors do: 32-bit, PAE, and with
 * 4 or 5 levels.  The tables are hostile: every walk is bounded.
 */
#ifndef MULLCTL_GUEST_TABLES_H
#define MULLCTL_GUEST_TABLES_H

#include <mullion/control.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct guest_tables {
	/* Reads guest-physical memory; false where there is none. */
	bool (*read)(void *context, uint64_t address, void *bytes,
		     size_t length);
	void *context;
};

/*
 * guest_tables_find - where a linear address of a vCPU is
 * @registers: of that vCPU
 * @left: bytes from there to the end of its page, at most 1 GiB
 *
 * Returns false where nothing is mapped.
 */
bool guest_tables_find(const struct guest_tables *tables,
		       const struct mull_registers *registers, uint64_t linear,
		       uint64_t *physical, uint64_t *left);

/* Called for each page, whatever its size, by ascending linear address. */
typedef void guest_mapping(void *context, uint64_t linear, uint64_t physical,
			   uint64_t size);
struct guest_walk {
	const struct guest_tables *tables;
	guest_mapping *mapping;
	void *context;
	/* How often each page has been a table of each level. */
	uint8_t *visits;
	uint64_t page_count; /* of guest-physical memory: tables are below */
};

#define GUEST_TABLE_LEVELS 5
/* A table that is found in more places is seen in the first of them: so that
 * tables which name each other end, and Linux's thousands of mappings of one
 * page stay few. */
#define GUEST_TABLE_VISITS 4

/* Everything that a vCPU has mapped; nothing when its paging is off.  Walks
 * with the same visits leave out what was seen so often already. */
void guest_tables_walk(const struct guest_walk *walk,
		       const struct mull_registers *registers);

bool guest_tables_in_use(const struct mull_registers *registers);

#endif
