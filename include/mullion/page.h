/* SPDX-License-Identifier: MIT */
/* The hypervisor's own memory in 4 KiB pages, cut from frames of the pool. */
#ifndef MULLION_PAGE_H
#define MULLION_PAGE_H

#include <mullion/address.h>
#include <mullion/bits.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE_RUN_MAX 512

/* Pages that hold @bytes. */
static inline uint32_t pages_for(uint64_t bytes)
{
	return (uint32_t)(round_up(bytes, PAGE_SIZE) / PAGE_SIZE);
}

/*
 * page_start - the first frames, taken before there is a pool
 * @first: mapped; its first @used bytes are somebody's already
 */
void page_start(void *first, uint32_t frames, uint64_t used);

/*
 * page_alloc - @count adjoining pages (1..PAGE_RUN_MAX), all zero, aligned
 *              to a page; NULL when there is no memory.  Any CPU; takes a lock.
 */
void *page_alloc(uint32_t count);
void page_free(void *first, uint32_t count);

/* Pages handed out and not given back. */
uint64_t pages_in_use(void);

#endif
