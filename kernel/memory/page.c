/* SPDX-License-Identifier: MIT */
/* Pages of the hypervisor: a bitmap for each frame that it took. */
#include <mullion/arch.h>
#include <mullion/bits.h>
#include <mullion/frame_pool.h>
#include <mullion/lock.h>
#include <mullion/log.h>
#include <mullion/page.h>
#include <string.h>

#define FRAMES_MAX 128 /* 256 MiB of the hypervisor's own */
#define PAGES_A_FRAME 512

static struct {
	struct lock lock;
	uint32_t frame_count;
	uint64_t in_use;
	struct {
		uint8_t *base;
		uint32_t used;
		uint64_t bitmap[PAGES_A_FRAME / 64];
	} frames[FRAMES_MAX];
} pages;

static bool page_is_used(uint32_t frame, uint32_t page)
{
	return pages.frames[frame].bitmap[page / 64] >> page % 64 & 1;
}

static void mark(uint32_t frame, uint32_t first, uint32_t count, bool used)
{
	ASSERT(count <= PAGES_A_FRAME && first <= PAGES_A_FRAME - count);
	for (uint32_t page = first; page < first + count; page++) {
		ASSERT(page_is_used(frame, page) != used);
		if (used)
			pages.frames[frame].bitmap[page / 64] |= BIT(page % 64);
		else
			pages.frames[frame].bitmap[page / 64] &= ~BIT(page %
								      64);
	}
	if (used) {
		pages.frames[frame].used += count;
		pages.in_use += count;
	} else {
		pages.frames[frame].used -= count;
		pages.in_use -= count;
	}
}

/* The first page of a free run in @frame, or -1.  Goes from one change in the
 * bitmap to the next: most pages are in use, and stay so. */
static int find_run(uint32_t frame, uint32_t count)
{
	const uint64_t *bitmap = pages.frames[frame].bitmap;
	uint32_t run = 0, page = 0;

	if (PAGES_A_FRAME - pages.frames[frame].used < count)
		return -1;
	while (page < PAGES_A_FRAME) {
		uint64_t rest = bitmap[page / 64] >> page % 64;
		uint64_t change = rest & 1 ? ~rest : rest;
		uint32_t left = 64 - page % 64;
		uint32_t same = change ? (uint32_t)__builtin_ctzll(change) :
					 left;

		if (same > left)
			same = left;
		run = rest & 1 ? 0 : run + same;
		if (run >= count)
			return (int)(page + same - run);
		page += same;
	}
	return -1;
}

void page_start(void *first, uint32_t frames, uint64_t used)
{
	uint32_t taken = round_up(used, PAGE_SIZE) / PAGE_SIZE;

	memset(first, 0, used);
	for (uint32_t i = 0; i < frames; i++) {
		uint32_t here = taken < PAGES_A_FRAME ? taken : PAGES_A_FRAME;

		pages.frames[i].base = (uint8_t *)first + i * FRAME_SIZE;
		mark(i, 0, here, true);
		taken -= here;
	}
	pages.frame_count = frames;
}

static enum error add_frame(void)
{
	uint32_t number;
	hpa_t address;

	if (pages.frame_count == FRAMES_MAX ||
	    frame_take(FRAME_HYPERVISOR, 1, &number) != ERR_NONE)
		return ERR_NO_MEMORY;
	address = hpa((uint64_t)number << FRAME_SHIFT);
	if (arch_map(address, FRAME_SIZE, ARCH_MAP_RAM) != ERR_NONE) {
		frame_give(FRAME_HYPERVISOR, number);
		return ERR_NO_MEMORY;
	}
	pages.frames[pages.frame_count++].base = arch_direct(address);
	return ERR_NONE;
}

static void *take_run(uint32_t count)
{
	for (uint32_t frame = 0; frame < pages.frame_count; frame++) {
		int first = find_run(frame, count);

		if (first < 0)
			continue;
		mark(frame, first, count, true);
		return pages.frames[frame].base + first * PAGE_SIZE;
	}
	return NULL;
}

void *page_alloc(uint32_t count)
{
	void *run;

	if (count == 0 || count > PAGE_RUN_MAX)
		return NULL;
	lock_take(&pages.lock);
	run = take_run(count);
	if (!run && add_frame() == ERR_NONE)
		run = take_run(count);
	lock_give(&pages.lock);
	if (run)
		memset(run, 0, count * PAGE_SIZE);
	return run;
}

void page_free(void *first, uint32_t count)
{
	lock_take(&pages.lock);
	for (uint32_t frame = 0; frame < pages.frame_count; frame++) {
		uint64_t offset = (uint8_t *)first - pages.frames[frame].base;

		if (offset >= FRAME_SIZE)
			continue;
		mark(frame, offset / PAGE_SIZE, count, false);
		lock_give(&pages.lock);
		return;
	}
	panic("page_free: %p is nobody's", first);
}

uint64_t pages_in_use(void)
{
	return pages.in_use;
}
