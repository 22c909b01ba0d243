/* SPDX-License-Identifier: MIT */
#ifndef SVM_H
#define SVM_H

#include "svm_regs.h"
#include <mullion/vcpu.h>

struct svm_vcpu {
	struct vmcb *vmcb;
	uint64_t vmcb_physical;
	uint32_t tlb_seen; /* stage-2 generation that this vCPU has flushed */
};

/* What an exit leaves in the VMCB, as svm_decode takes it. */
struct svm_raw {
	uint64_t code, info_1, info_2;
	uint64_t rip, next_rip; /* next_rip 0: the processor does not say */
};

/* Hardware values in, neutral record out; pure, so host-tested. */
void svm_decode(const struct svm_raw *raw, struct vm_exit *exit);

/*
 * What a delivery that an exit interrupted (EXITINTINFO) means for the next
 * entry: the EVENTINJ value to repeat it, or 0 to deliver nothing.
 */
uint64_t svm_interrupted_event(uint64_t exit_int_info);

/* npt.c */
enum error npt_create(hpa_t *root);
enum error npt_map(hpa_t root, gpa_t at, hpa_t to, uint64_t size,
		   enum stage2_rights rights);
void npt_destroy(hpa_t root);

extern const struct virt_ops svm_ops;

#endif
