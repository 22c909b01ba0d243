/* SPDX-License-Identifier: MIT */
/* Where a guest begins; the state is described in <mullion/guest.h>. */
#define MULL_NO_C
#include <mullion/guest.h>
#include "layout.h"

	.section .note.mullion, "a", @note
	.balign 4
	.long 2f - 1f			/* length of the owner's name */
	.long 4f - 3f			/* length of the descriptor */
	.long MULL_NOTE_ABI
1:	.asciz MULL_NOTE_OWNER
2:	.balign 4
3:	.long MULL_GUEST_ABI
4:

/* A guest that wants all registers as they come has a guest_entry of its own,
 * which goes on here. */
	.text
	.globl _start
	.weak guest_entry
_start:
guest_entry:
	cld
	mov $sdk_stacks + SDK_STACK_SIZE, %rsp
	xor %ebp, %ebp			/* the end of backtraces */
	call guest_start		/* RDI = struct mull_guest_info */

	.section .note.GNU-stack, "", @progbits
