/* SPDX-License-Identifier: MIT */
#ifndef VMX_H
#define VMX_H

#include "../cpu.h"
#include "vmcs.h"
#include "vmx_check.h"
#include "vmx_controls.h"
#include "vmx_regs.h"
#include <mullion/vcpu.h>

/* What VT-x leaves in the processor at entries and exits: exchanged only when
 * another vCPU enters on the same CPU. */
struct vmx_unswitched {
	uint64_t msrs[5]; /* see vmx_unswitched_msr() */
	uint64_t cr2, dr6;
};

/* Who is the guest's local APIC: we; we and the processor, which delivers what
 * its registers request; the CPU's own. */
enum vmx_apic { VMX_APIC_EMULATED, VMX_APIC_DELIVERED, VMX_APIC_GIVEN };

struct vmx_vcpu {
	uint64_t vmcs_physical;
	bool launched;
	uint16_t vpid; /* 0: there are none */
	uint64_t ept_pointer;

	/* Flushes that the next entry owes: see flush_for(). */
	uint32_t tlb_seen; /* stage-2 generation that this vCPU has flushed */
	bool flush_linear;

	/* What is in the VMCS, so that only changes are written. */
	uint64_t rip, rsp, rflags, host_rsp;
	uint32_t pin, processor, interruptibility;
	uint32_t pin_always; /* of it, whatever the deadline */

	/* The local APIC; its registers are in struct local_apic. */
	enum vmx_apic apic; /* what the controls are for */
	uint64_t tpr_threshold;

	uint32_t fast_left; /* exits of the short path before the long way */

	/* What the next entry is to have. */
	uint32_t new_processor, new_interruptibility;
	uint32_t event, event_code, event_length;
	bool nmi_waits;	  /* until the guest can take one */
	bool single_step; /* a trap is due: RFLAGS.TF, one skipped */

	struct vmx_unswitched unswitched;
};

/* What each CPU has; cpu->vendor_save. */
struct vmx_cpu {
	struct vcpu *current; /* whose VMCS it is */
	struct vcpu *owner;   /* of the unswitched registers */
};

/* What an exit leaves in the VMCS, as vmx_decode takes it. */
struct vmx_raw {
	uint32_t reason;
	uint64_t qualification;
	uint64_t guest_physical;
	uint32_t event; /* of an exception or NMI */
	uint8_t length;
};

/* Which of them are worth reading: bits. */
enum vmx_needs {
	VMX_NEEDS_LENGTH = 1,
	VMX_NEEDS_QUALIFICATION = 2,
	VMX_NEEDS_ADDRESS = 4,
	VMX_NEEDS_EVENT = 8,
};
unsigned int vmx_needs(uint32_t reason);

/* Hardware values in, neutral record out; pure, so host-tested. */
void vmx_decode(const struct vmx_raw *raw, struct vm_exit *exit);

/*
 * What a delivery that an exit interrupted (IDT-vectoring information) means
 * for the next entry: the event to repeat it, or 0 to deliver nothing.
 */
uint32_t vmx_interrupted_event(uint32_t vectoring);

/* "VM-instruction error" in words. */
const char *vmx_instruction_error(uint32_t number);

static inline struct vmx_vcpu *vmx_of(const struct vcpu *vcpu)
{
	return vcpu->vendor;
}

/* vmx.c: what all of the back end reads. */
extern uint8_t *vmx_msr_bitmap;
extern struct vmx_capabilities vmx_capabilities;
extern struct vmx_controls vmx_controls;
/* Makes @vcpu's VMCS this CPU's current one. */
void vmx_use(struct vcpu *vcpu);

static inline struct vmx_cpu *vmx_cpu_self(void)
{
	return cpu_self()->vendor_save;
}

static inline void vmcs_write_if_new(uint64_t field, uint64_t *old,
				     uint64_t value)
{
	if (*old != value)
		vmcs_write(field, value);
	*old = value;
}

/* vmx_fast.c: what vmx_enter.S calls at each exit; enum fast_exit. */
uint32_t vmx_fast(struct vcpu *vcpu);

/* vmx_run.c */
void vmx_vcpu_run(struct vcpu *vcpu, struct vm_exit *exit);
void vmx_inject(struct vcpu *vcpu, const struct guest_event *event);
bool vmx_event_pending(struct vcpu *vcpu);
bool vmx_can_interrupt(struct vcpu *vcpu);
void vmx_flush_tlb(struct vcpu *vcpu);
void vmx_want_window(struct vcpu *vcpu, bool want);
/* Whether @vcpu's unswitched registers are in the processor; no longer. */
bool vmx_is_owner(const struct vcpu *vcpu);
void vmx_forget(struct vcpu *vcpu);
uint64_t vmx_dr6(const struct vcpu *vcpu);
/* Where @vcpu's value of an MSR of them waits; NULL: it is none. */
uint64_t *vmx_unswitched_msr(struct vcpu *vcpu, uint32_t msr);

/* vmx_apic.c: the local APIC as far as the processor does it. */
void vmx_apic_start(void);
void vmx_apic_reset(struct vcpu *vcpu);
bool vmx_delivers(struct vcpu *vcpu);
bool vmx_gives_apic(void);
/* Before an entry: what the kernel has changed in the registers. */
void vmx_apic_write_changes(struct vcpu *vcpu);

/* vmx_state.c */
void vmx_reset_state(struct vcpu *vcpu);
void vmx_read_system(struct vcpu *vcpu, struct guest_system *system);
void vmx_write_system(struct vcpu *vcpu, const struct guest_system *system);
enum error vmx_read_msr(struct vcpu *vcpu, uint32_t msr, uint64_t *value);
enum error vmx_write_msr(struct vcpu *vcpu, uint32_t msr, uint64_t value);
void vmx_set_cr2(struct vcpu *vcpu, uint64_t value);

/* vmx_explain.c: writes the fields that matter to the log; returns the rule
 * that they break, or NULL. */
const char *vmx_explain(void);

/* vmx_cr.c: as the processor's own instructions; an error means #GP(0). */
enum error vmx_cr_access(struct vcpu *vcpu, uint64_t qualification);
void vmx_cr_write(struct vcpu *vcpu, uint64_t cr0, uint64_t cr4);
uint64_t vmx_cr0(void);
uint64_t vmx_cr4(void);
/* PAE paging without IA-32e mode: the VMCS holds the four top entries. */
enum error vmx_load_pdptes(struct vcpu *vcpu);

/* ept.c */
enum error ept_create(hpa_t *root);
enum error ept_map(hpa_t root, gpa_t at, hpa_t to, uint64_t size,
		   enum stage2_rights rights);
uint64_t ept_pointer(hpa_t root);
/* Changes whenever a translation that was there has gone. */
uint32_t ept_generation(void);

extern const struct virt_ops vmx_ops;

#endif
