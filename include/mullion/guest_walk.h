/* SPDX-License-Identifier: MIT */
/*
 * Guest-virtual addresses: translation through the guest's own page tables,
 * with the checks that the processor would make for the same access.
 * Protection keys, shadow stacks and linear-address masking are not offered
 * to guests and have no part here.
 * Source: AMD APM 24593, 'Page-Translation and Protection'; Intel SDM
 * 325384, 'Paging'.
 */
#ifndef MULLION_GUEST_WALK_H
#define MULLION_GUEST_WALK_H

#include <mullion/address.h>
#include <mullion/error.h>
#include <mullion/guest_memory.h>
#include <mullion/instruction.h>
#include <mullion/virt.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GUEST_LINEAR_MAX 4096 /* bytes that one call may cover */

enum guest_access { ACCESS_READ, ACCESS_WRITE, ACCESS_FETCH };

/* What decides about a translation. */
struct guest_paging {
	uint64_t cr0, cr3, cr4, efer, rflags;
	uint8_t cpl;
	uint8_t physical_bits; /* MAXPHYADDR of the guest's CPUID, up to 52 */
	bool code_64;	       /* else linear addresses have 32 bits */
};

/* The size of the code that CS and EFER select. */
enum code_mode guest_code_mode(const struct guest_system *system);

struct guest_paging guest_paging_of(const struct guest_system *system,
				    uint64_t rflags, uint8_t physical_bits);

/* Whether a 64-bit address has copies of its top translated bit above it. */
bool guest_is_canonical(const struct guest_paging *paging, uint64_t linear);

/*
 * guest_walk - translate one guest-virtual address
 * @fault: filled with the exception the guest earned (#PF with CR2; #GP for
 *         an address that is not canonical) when ERR_NOT_MAPPED
 *
 * Sets the accessed flags of the entries it used and, for ACCESS_WRITE, the
 * dirty flag, as the processor does.  Each entry is read once.
 * Returns ERR_NONE; ERR_NOT_MAPPED; ERR_BAD_ADDRESS when a table is not guest
 * RAM; ERR_BUSY when another vCPU changed an entry meanwhile: resume the
 * guest, which then tries again.
 */
enum error guest_walk(const struct guest_memory *memory,
		      const struct guest_paging *paging, gva_t linear,
		      enum guest_access access, gpa_t *result,
		      struct guest_event *fault);

/* Where up to GUEST_LINEAR_MAX bytes are: at most two runs of addresses. */
struct guest_range {
	unsigned count;
	gpa_t start[2];
	size_t length[2];
};

/* guest_walk for each page of @length bytes; ERR_TOO_LARGE for too many. */
enum error guest_walk_range(const struct guest_memory *memory,
			    const struct guest_paging *paging, gva_t linear,
			    size_t length, enum guest_access access,
			    struct guest_range *range,
			    struct guest_event *fault);

/*
 * guest_read_linear - copy by guest-virtual address
 *
 * Errors as guest_walk_range; ERR_BAD_ADDRESS also when a byte is not RAM.
 * All pages are translated before the first byte is copied.
 */
enum error guest_read_linear(const struct guest_memory *memory,
			     const struct guest_paging *paging, gva_t from,
			     void *to, size_t length,
			     struct guest_event *fault);

/*
 * guest_fetch - the bytes of an instruction
 * @bytes: room for INSTRUCTION_MAX
 * @length: bytes that are there; fewer when the next page cannot be fetched
 *
 * Errors as guest_read_linear, for the first page only.
 */
enum error guest_fetch(const struct guest_memory *memory,
		       const struct guest_paging *paging, gva_t from,
		       uint8_t *bytes, size_t *length,
		       struct guest_event *fault);

#endif
