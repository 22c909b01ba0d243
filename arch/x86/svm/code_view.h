/* SPDX-License-Identifier: MIT */
/*
 * Where the processor gives no next RIP (QEMU's SVM), an instruction's length
 * must be read from the guest's code.  A view keeps what was needed to find
 * the code of one guest page: the page-table entries on the way, their
 * values, and the page, each in a window of its own.  While all of them still
 * hold the same values, the view is right, whatever the guest has done since.
 *
 * Four-level paging in 64-bit code only; anything else finds no view.  (A
 * guest that turns the same tables into five-level ones between two exits
 * deceives only itself: the length moves nothing but its RIP.)
 */
#ifndef SVM_CODE_VIEW_H
#define SVM_CODE_VIEW_H

#include "svm_regs.h"
#include <mullion/vcpu.h>
#include <stdbool.h>
#include <stdint.h>

/* The bytes of frequent instructions, as a little-endian number. */
#define CODE_CPUID 0xa20f
#define CODE_RDMSR 0x320f
#define CODE_WRMSR 0x300f
#define CODE_VMMCALL 0xd9010f
#define CODE_HLT 0xf4

#define CODE_VIEWS 4
#define CODE_LEVELS 4

struct code_view {
	uint64_t page;	/* first byte, guest-virtual */
	uint64_t limit; /* the last offset with CODE_BYTES in the page */
	uint64_t cr3;
	const uint8_t *code;
	uint64_t levels; /* 4: 4 KiB page, 3: 2 MiB, 2: 1 GiB */
	const uint64_t *entries[CODE_LEVELS];
	uint64_t values[CODE_LEVELS];
} __attribute__((aligned(128))); /* the index is a shift */

#define CODE_BYTES 4 /* that are read at once */

static inline struct code_view *code_view_for(struct code_view *views,
					      uint64_t rip)
{
	return &views[rip >> 21 & (CODE_VIEWS - 1)];
}

/* Whether CODE_BYTES at @rip are at view->code + (@rip - view->page). */
static inline bool code_view_holds(const struct code_view *view, uint64_t rip,
				   uint64_t cr3)
{
	/* Of a page of 1 GiB the third level repeats the second. */
	return rip - view->page <= view->limit && view->cr3 == cr3 &&
	       *view->entries[0] == view->values[0] &&
	       *view->entries[1] == view->values[1] &&
	       *view->entries[2] == view->values[2] &&
	       (view->levels <= 3 || *view->entries[3] == view->values[3]);
}

/* Makes the view of the page at the guest's RIP, if it can be made. */
void code_view_fill(struct code_view *views, struct vcpu *vcpu,
		    const struct vmcb *vmcb);
void code_views_drop(struct code_view *views);

#endif
