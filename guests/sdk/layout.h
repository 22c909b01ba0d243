/* SPDX-License-Identifier: MIT */
/* Numbers that the SDK's C and assembly files share. */
#ifndef SDK_LAYOUT_H
#define SDK_LAYOUT_H

#define SDK_VCPU_MAX 64

/* Each vCPU's stack: the upper half for its code, the lower half for
 * exceptions.  Aligned to its size, so that RSP tells the vCPU's index. */
#define SDK_STACK_SIZE 0x4000

/* Where other vCPUs start: a page below 1 MiB, free once the SDK has copied
 * what the loader left there. */
#define SDK_TRAMPOLINE 0x8000

/* Selectors of the SDK's GDT. */
#define SDK_CODE 0x08
#define SDK_DATA 0x10
#define SDK_USER_DATA 0x1b
#define SDK_USER_CODE 0x23
#define SDK_TSS 0x28 /* of vCPU 0; 16 bytes each */

#endif
