/* SPDX-License-Identifier: MIT */
/*
 * All memory of the machine in 2 MiB frames, each with one owner.  Frames go
 * from FREE to an owner and back; what VMs share has owners of its own.
 */
#ifndef MULLION_FRAME_POOL_H
#define MULLION_FRAME_POOL_H

#include <mullion/address.h>
#include <mullion/bits.h>
#include <mullion/boot_info.h>
#include <mullion/error.h>
#include <mullion/package.h>
#include <stdint.h>

typedef uint16_t frame_owner;

#define FRAME_ABSENT 0 /* no RAM, or not whole, or the firmware's */
#define FRAME_FREE 1
#define FRAME_HYPERVISOR 2
#define FRAME_PACKAGE 3
#define FRAME_STORE 4 /* uploaded images */
#define FRAME_VM 16   /* + VM index */
#define FRAME_SHARED \
	(FRAME_VM + MULL_VM_MAX) /* + number of the shared memory */

#define FRAME_SHIFT 21

/*
 * frame_pool_start - take stock of the memory map
 * @owners: one entry for each frame below the top of memory, all FRAME_ABSENT
 */
void frame_pool_start(const struct mull_memory_range *ranges, uint32_t count,
		      frame_owner *owners, uint32_t frame_count);

/* How many entries frame_pool_start needs: up to the last usable frame. */
uint32_t frame_pool_span(const struct mull_memory_range *ranges,
			 uint32_t count);

/* The first frame that lies whole in usable memory and below @limit bytes;
 * for the owner array itself, before there is a pool. 0: none. */
hpa_t frame_pool_first(const struct mull_memory_range *ranges, uint32_t count,
		       uint32_t frames);

/*
 * frame_take - @count frames, adjoining and aligned to @count (a power of two)
 *
 * Sets @first to the first frame's number. ERR_NO_MEMORY when there is none.
 */
enum error frame_take(frame_owner owner, uint32_t count, uint32_t *first);
/* Gives one frame back; it must be @owner's. */
void frame_give(frame_owner owner, uint32_t frame);
/* Changes the owner of a frame that is known to be free (for what boot/ put
 * there), so that it is never handed out. */
void frame_claim(frame_owner owner, uint32_t frame);

/* Long work zeroes so much of a frame in one step: at 10 GB/s some 6 us; and
 * more where nobody waits for it. */
#define FRAME_ZERO_PIECE KIB(64)
#define FRAME_ZERO_LONG KIB(256)
/* Zeroes @length bytes from byte @at of it on. */
void frame_zero(uint32_t frame, uint64_t at, uint64_t length);

uint64_t frames_free(void);
frame_owner frame_owner_of(uint32_t frame);

#endif
