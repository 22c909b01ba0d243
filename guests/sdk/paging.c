/* SPDX-License-Identifier: MIT */
/*
 * The SDK's own page tables: the first 4 GiB in 2 MiB pages, all of it
 * reachable from ring 3 so that tests can run there, and one page more for
 * looking at memory above.
 */
#include "sdk.h"

#define ENTRIES 512
#define LOW_DIRECTORIES 4 /* of 1 GiB each */

#define PAGE_PRESENT BIT(0)
#define PAGE_WRITABLE BIT(1)
#define PAGE_USER BIT(2)
#define PAGE_LARGE BIT(7)
#define PAGE_TABLE (PAGE_PRESENT | PAGE_WRITABLE | PAGE_USER)

/* The last directory maps the window at 4 GiB. */
static uint64_t directories[LOW_DIRECTORIES + 1][ENTRIES]
	__attribute__((aligned(4096)));
static uint64_t pointers[ENTRIES] __attribute__((aligned(4096)));
static uint64_t root[ENTRIES] __attribute__((aligned(4096)));

static void page_forget(uintptr_t address)
{
	asm volatile("invlpg (%0)" ::"r"(address) : "memory");
}

void paging_start(void)
{
	uint64_t *first = directories[0];

	for (uint64_t i = 0; i < LOW_DIRECTORIES * ENTRIES; i++)
		first[i] = i * FRAME_SIZE | PAGE_TABLE | PAGE_LARGE;
	for (uint64_t i = 0; i < LOW_DIRECTORIES + 1; i++)
		pointers[i] = (uintptr_t)directories[i] | PAGE_TABLE;
	root[0] = (uintptr_t)pointers | PAGE_TABLE;
	cr3_write((uintptr_t)root);
}

uint64_t paging_root(void)
{
	return (uintptr_t)root;
}

void *memory_window(uint64_t address)
{
	uintptr_t at = GIB(LOW_DIRECTORIES);

	directories[LOW_DIRECTORIES][0] = round_down(address, FRAME_SIZE) |
					  PAGE_TABLE | PAGE_LARGE;
	page_forget(at);
	return (void *)(at + (address & (FRAME_SIZE - 1)));
}

void memory_present(uint64_t address, bool present)
{
	uint64_t *entry = &directories[0][address / FRAME_SIZE];

	if (present)
		*entry |= PAGE_PRESENT;
	else
		*entry &= ~PAGE_PRESENT;
	page_forget(address);
}
