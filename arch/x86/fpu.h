/* SPDX-License-Identifier: MIT */
#ifndef X86_FPU_H
#define X86_FPU_H

#include <stdbool.h>
#include <stdint.h>

struct vcpu;

void fpu_start(void);
uint8_t *fpu_area_alloc(void); /* in its reset state; NULL: no memory */
void fpu_area_free(uint8_t *area);
void fpu_reset(uint8_t *area);

/* Whether the processor has XSAVEC, and it keeps what it should. */
bool fpu_compaction_works(void);

/* Brings @vcpu's FPU, XCR0 and debug address registers onto this CPU. */
void fpu_use(struct vcpu *vcpu);
/* What @vcpu has on this CPU is no longer wanted. */
void fpu_forget(struct vcpu *vcpu);

#endif
