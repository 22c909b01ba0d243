/* SPDX-License-Identifier: MIT */
/* The guest's system state, as the VMCB holds it. */
#include "svm.h"
#include "../cpu.h"
#include "../guest_state.h"
#include "../registers.h"
#include <mullion/cpuid.h>
#include <mullion/log.h>
#include <mullion/vm.h>
#include <string.h>

void svm_vcpu_reset(struct vcpu *vcpu)
{
	struct vmcb *vmcb = vmcb_of(vcpu);

	memset(vmcb, 0, sizeof *vmcb);
	svm_set_controls(vcpu, vmcb);
	code_views_drop(svm_of(vcpu)->views);
	svm_of(vcpu)->nmi = NMI_OPEN;
	svm_of(vcpu)->nmi_waits = false;
	svm_write_system(vcpu, &guest_power_on);
	guest_reset(vcpu);
}

/* A segment's limit is unscaled in the VMCB, with the attributes packed. */
static struct guest_segment to_neutral(const struct svm_segment *segment)
{
	return (struct guest_segment){
		.base = segment->base,
		.limit = segment->limit,
		.selector = segment->selector,
		.attributes = segment->attributes,
	};
}

static struct svm_segment from_neutral(const struct guest_segment *segment)
{
	return (struct svm_segment){
		.base = segment->base,
		.limit = segment->limit,
		.selector = segment->selector,
		.attributes = segment->attributes & 0xfff,
	};
}

static struct svm_segment *segment_at(struct vmcb *vmcb, int number)
{
	switch ((enum guest_segment_number)number) {
	case SEGMENT_ES:
		return &vmcb->es;
	case SEGMENT_CS:
		return &vmcb->cs;
	case SEGMENT_SS:
		return &vmcb->ss;
	case SEGMENT_DS:
		return &vmcb->ds;
	case SEGMENT_FS:
		return &vmcb->fs;
	case SEGMENT_GS:
		return &vmcb->gs;
	case SEGMENT_LDTR:
		return &vmcb->ldtr;
	case SEGMENT_TR:
	case SEGMENT_COUNT:
		break;
	}
	return &vmcb->tr;
}

void svm_read_system(struct vcpu *vcpu, struct guest_system *system)
{
	struct vmcb *vmcb = vmcb_of(vcpu);

	*system = (struct guest_system){
		.cr0 = vmcb->cr0,
		.cr2 = vmcb->cr2,
		.cr3 = vmcb->cr3,
		.cr4 = vmcb->cr4,
		.efer = vmcb->efer & ~EFER_SVME,
		.gdt_base = vmcb->gdtr.base,
		.gdt_limit = vmcb->gdtr.limit,
		.idt_base = vmcb->idtr.base,
		.idt_limit = vmcb->idtr.limit,
		.dr6 = vmcb->dr6,
		.dr7 = vmcb->dr7,
		.pat = vmcb->pat,
		.cpl = vmcb->cpl,
	};
	for (int i = 0; i < SEGMENT_COUNT; i++)
		system->segments[i] = to_neutral(segment_at(vmcb, i));
}

void svm_write_system(struct vcpu *vcpu, const struct guest_system *system)
{
	struct vmcb *vmcb = vmcb_of(vcpu);

	vmcb->cr0 = system->cr0;
	vmcb->cr2 = system->cr2;
	vmcb->cr3 = system->cr3;
	vmcb->cr4 = system->cr4;
	vmcb->efer = system->efer | EFER_SVME;
	vmcb->gdtr.base = system->gdt_base;
	vmcb->gdtr.limit = system->gdt_limit;
	vmcb->idtr.base = system->idt_base;
	vmcb->idtr.limit = system->idt_limit;
	vmcb->dr6 = system->dr6;
	vmcb->dr7 = system->dr7;
	vmcb->pat = system->pat;
	vmcb->cpl = system->cpl;
	for (int i = 0; i < SEGMENT_COUNT; i++)
		*segment_at(vmcb, i) = from_neutral(&system->segments[i]);
	vmcb->tlb_control = SVM_TLB_FLUSH_ALL;
}

/* Where the VMCB keeps an MSR; NULL: not there. */
static uint64_t *msr_slot(struct vmcb *vmcb, uint32_t msr)
{
	switch (msr) {
	case MSR_FS_BASE:
		return &vmcb->fs.base;
	case MSR_GS_BASE:
		return &vmcb->gs.base;
	case MSR_KERNEL_GS_BASE:
		return &vmcb->kernel_gs_base;
	case MSR_LSTAR:
		return &vmcb->lstar;
	case MSR_CSTAR:
		return &vmcb->cstar;
	case MSR_SYSENTER_ESP:
		return &vmcb->sysenter_esp;
	case MSR_SYSENTER_EIP:
		return &vmcb->sysenter_eip;
	case MSR_STAR:
		return &vmcb->star;
	case MSR_SFMASK:
		return &vmcb->sfmask;
	case MSR_SYSENTER_CS:
		return &vmcb->sysenter_cs;
	case MSR_EFER:
		return &vmcb->efer;
	case MSR_PAT:
		return &vmcb->pat;
	default:
		return NULL;
	}
}

enum error svm_read_msr(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	const uint64_t *slot = msr_slot(vmcb_of(vcpu), msr);

	if (!slot)
		return ERR_NOT_FOUND;
	*value = msr == MSR_EFER ? *slot & ~EFER_SVME : *slot;
	return ERR_NONE;
}

enum error svm_write_msr(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	struct vmcb *vmcb = vmcb_of(vcpu);
	uint64_t *slot = msr_slot(vmcb, msr);
	enum error error;

	if (!slot)
		return ERR_NOT_FOUND;
	if (msr == MSR_EFER) {
		vmcb->tlb_control = SVM_TLB_FLUSH_ALL;
		error = guest_efer_write(slot, value, vmcb->cr0);
		vmcb->efer |= EFER_SVME;
		return error;
	}
	error = guest_msr_check(msr, value);
	if (!error)
		*slot = value;
	return error;
}
