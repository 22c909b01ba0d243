/* SPDX-License-Identifier: MIT */
/*
 * The one place that turns a guest's number into memory.  Takes a
 * guest-physical address and a length, checks both, and copies through a
 * window; nothing else in the hypervisor reaches guest RAM.
 */
#ifndef MULLION_GUEST_MEMORY_H
#define MULLION_GUEST_MEMORY_H

#include <mullion/address.h>
#include <mullion/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GUEST_REGION_MAX \
	4 /* RAM: below and above the hole under 4 GiB, and firmware at its \
	     end; or MULL_SHARED_MAX shared memories */

/*
 * Set in the frame number of a page that the guest has given to its balloon: no
 * access begins there any more.  One that had begun may still end in the frame,
 * which therefore stays beside it until every vCPU has come by
 * (kernel/partition/vm_balloon.c).
 */
#define GUEST_HOLE 0x80000000u

/* A run of guest RAM; each of its 2 MiB pages may be any host frame. */
struct guest_region {
	gpa_t start;   /* a multiple of 2 MiB */
	uint64_t size; /* bytes, of RAM a multiple of 2 MiB */
	const uint32_t
		*frames; /* host frame number (hpa / 2 MiB) of each page */
};

struct guest_memory {
	uint32_t region_count;
	bool elastic; /* there may be holes */
	struct guest_region regions[GUEST_REGION_MAX];
};

/*
 * guest_read, guest_write - copy between guest RAM and the hypervisor
 * @from, @to: first guest byte; any alignment
 * @length: bytes; the range may cross pages and adjoining regions
 *
 * Returns ERR_NONE, or ERR_BAD_ADDRESS when any byte is not guest RAM; then
 * nothing was copied.  Takes no lock; the guest may be running.
 */
enum error guest_read(const struct guest_memory *memory, gpa_t from, void *to,
		      size_t length);
enum error guest_write(const struct guest_memory *memory, gpa_t to,
		       const void *from, size_t length);

/*
 * guest_load_16, guest_store_16 - an index that guest and hypervisor share
 * @at: even
 *
 * One access of two bytes, so that neither side sees half of a new value.
 */
enum error guest_load_16(const struct guest_memory *memory, gpa_t at,
			 uint16_t *value);
enum error guest_store_16(const struct guest_memory *memory, gpa_t at,
			  uint16_t value);

/* The same for a byte, which no access divides: faster than a copy. */
enum error guest_load_8(const struct guest_memory *memory, gpa_t at,
			uint8_t *value);
enum error guest_store_8(const struct guest_memory *memory, gpa_t at,
			 uint8_t value);

/*
 * guest_exchange_8 - atomically replace a byte that other vCPUs change, too
 * @old: what it was
 */
enum error guest_exchange_8(const struct guest_memory *memory, gpa_t at,
			    uint8_t desired, uint8_t *old);

/*
 * guest_zeros - how many bytes of guest RAM from @from on are zero
 * @from: a multiple of 8, or the answer is 0
 *
 * Whole 8 bytes, at most @length and not beyond the 2 MiB page; of a page that
 * is in the balloon, all are.
 */
size_t guest_zeros(const struct guest_memory *memory, gpa_t from,
		   size_t length);

/* Sets @length bytes of guest RAM to zero; errors as guest_write. */
enum error guest_zero(const struct guest_memory *memory, gpa_t to,
		      size_t length);

/*
 * guest_compare_swap - atomically replace 4 or 8 bytes (for page-table flags)
 * @at: aligned to @size
 * @swapped: whether the old value was @expected
 */
enum error guest_compare_swap(const struct guest_memory *memory, gpa_t at,
			      size_t size, uint64_t expected, uint64_t desired,
			      bool *swapped);

/*
 * guest_locate - where the byte at @at lies in the machine's memory
 *
 * For a back end that keeps a window of its own on it; the frame is the
 * guest's for as long as the vCPU is not reset.
 */
enum error guest_locate(const struct guest_memory *memory, gpa_t at,
			hpa_t *address);

/* Whether @at would be guest RAM, but its frame is in the balloon. */
bool guest_is_hole(const struct guest_memory *memory, gpa_t at);

/* Whether all of @length bytes from @at are guest RAM. */
bool guest_is_ram(const struct guest_memory *memory, gpa_t at, size_t length);

#endif
