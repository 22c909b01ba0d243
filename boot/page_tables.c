/* SPDX-License-Identifier: MIT */
#include <mullion/bits.h>
#include <mullion/boot_info.h>
#include <string.h>

#include "page_tables.h"

#define ENTRIES 512

/* SDM 326019, "Format of a Page-Directory Entry that Maps a 2-MByte Page" */
#define ENTRY_PRESENT BIT(0)
#define ENTRY_WRITE BIT(1)
#define ENTRY_LARGE BIT(7)
#define ENTRY_TABLE (ENTRY_PRESENT | ENTRY_WRITE)
#define ENTRY_PAGE (ENTRY_PRESENT | ENTRY_WRITE | ENTRY_LARGE)

/* What one table of a level maps. */
#define DIRECTORY_SPAN GIB(1)
#define POINTER_SPAN GIB(512)

#define KERNEL_ROOT_INDEX (MULL_KERNEL_BASE >> 39 & (ENTRIES - 1))
#define KERNEL_POINTER_INDEX (MULL_KERNEL_BASE >> 30 & (ENTRIES - 1))
#define KERNEL_TABLES 2

static_assert(MULL_KERNEL_BASE % FRAME_SIZE == 0 &&
		      MULL_KERNEL_MAX == FRAME_SIZE,
	      "one large page maps the image");

struct table {
	uint64_t entries[ENTRIES];
};

static uint64_t spans(uint64_t top, uint64_t span)
{
	return (top + span - 1) / span;
}

uint64_t page_tables_size(uint64_t top)
{
	uint64_t tables = 1 + spans(top, POINTER_SPAN) +
			  spans(top, DIRECTORY_SPAN) + KERNEL_TABLES;

	return tables * sizeof(struct table);
}

/* Lets the first @count entries of the tables from @at on point to @to. */
static void link_tables(struct table *at, const struct table *to,
			uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		at[i / ENTRIES].entries[i % ENTRIES] = (uintptr_t)&to[i] |
						       ENTRY_TABLE;
}

uint64_t page_tables_build(void *memory, uint64_t top, uint64_t image)
{
	struct table *root = memory;
	struct table *pointers = root + 1;
	struct table *directories = pointers + spans(top, POINTER_SPAN);
	struct table *kernel = directories + spans(top, DIRECTORY_SPAN);

	memset(memory, 0, page_tables_size(top));
	link_tables(root, pointers, spans(top, POINTER_SPAN));
	link_tables(pointers, directories, spans(top, DIRECTORY_SPAN));
	for (uint64_t page = 0; page < spans(top, FRAME_SIZE); page++)
		directories[page / ENTRIES].entries[page % ENTRIES] =
			page * FRAME_SIZE | ENTRY_PAGE;

	root->entries[KERNEL_ROOT_INDEX] = (uintptr_t)&kernel[0] | ENTRY_TABLE;
	kernel[0].entries[KERNEL_POINTER_INDEX] = (uintptr_t)&kernel[1] |
						  ENTRY_TABLE;
	kernel[1].entries[MULL_KERNEL_BASE >> 21 & (ENTRIES - 1)] = image |
								    ENTRY_PAGE;
	return (uintptr_t)root;
}
