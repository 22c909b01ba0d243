/* SPDX-License-Identifier: MIT */
#ifndef SVM_H
#define SVM_H

#include "code_view.h"
#include "svm_regs.h"
#include <mullion/vcpu.h>

struct svm_vcpu {
	struct vmcb *vmcb;
	uint64_t vmcb_physical;
	struct code_view views[CODE_VIEWS];

	enum { NMI_OPEN, NMI_BLOCKED, NMI_LEAVING } nmi;
	uint64_t iret_rip; /* the IRET of NMI_LEAVING */
	bool nmi_waits;	   /* until the guest can take one */
	uint64_t virtual;  /* EVENTINJ of what inject_virtually() injects */
	bool has_apic;	   /* the controls are for vcpu->apic.given */
};

static inline struct svm_vcpu *svm_of(const struct vcpu *vcpu)
{
	return vcpu->vendor;
}

static inline struct vmcb *vmcb_of(const struct vcpu *vcpu)
{
	return svm_of(vcpu)->vmcb;
}

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

/* svm.c */
extern bool svm_has_next_rip;
void svm_set_controls(struct vcpu *vcpu, struct vmcb *vmcb);
/* The physical address of the MSR permission map for guests with their CPU's
 * local APIC, or for others. */
uint64_t svm_msr_map(bool has_apic);

/* svm_apic.c */
bool svm_gives_apic(void);
/* Before an entry, where has_apic is not what vcpu->apic.given is now. */
void svm_follow_apic(struct vcpu *vcpu);

/* svm_run.c */
void svm_vcpu_run(struct vcpu *vcpu, struct vm_exit *exit);
void svm_inject(struct vcpu *vcpu, const struct guest_event *event);
bool svm_event_pending(struct vcpu *vcpu);
bool svm_can_interrupt(struct vcpu *vcpu);
void svm_flush_tlb(struct vcpu *vcpu);
void svm_want_window(struct vcpu *vcpu, bool want);

/* svm_cr8.c: whether MOV to CR8 exits; and what it does. */
void svm_watch_cr8(struct vmcb *vmcb, bool watch);
void svm_write_cr8(struct vcpu *vcpu);

/* svm_fast.c: what svm_enter.S calls at each exit; enum fast_exit.  Chosen at
 * start: whether the processor gives the next RIP. */
uint32_t svm_fast_by_view(struct vcpu *vcpu);
uint32_t svm_fast_by_hardware(struct vcpu *vcpu);
void svm_fast_start(bool has_next_rip);

/* svm_state.c */
void svm_vcpu_reset(struct vcpu *vcpu);
void svm_read_system(struct vcpu *vcpu, struct guest_system *system);
void svm_write_system(struct vcpu *vcpu, const struct guest_system *system);
enum error svm_read_msr(struct vcpu *vcpu, uint32_t msr, uint64_t *value);
enum error svm_write_msr(struct vcpu *vcpu, uint32_t msr, uint64_t value);

/* npt.c */
enum error npt_map(hpa_t root, gpa_t at, hpa_t to, uint64_t size,
		   enum stage2_rights rights);

extern const struct virt_ops svm_ops;

#endif
