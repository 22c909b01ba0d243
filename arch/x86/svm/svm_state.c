/* SPDX-License-Identifier: MIT */
/* The guest's system state, as the VMCB holds it. */
#include "svm.h"
#include "../cpu.h"
#include "../fpu.h"
#include "../registers.h"
#include <mullion/cpuid.h>
#include <mullion/log.h>
#include <mullion/vm.h>
#include <string.h>

/* SDM 325384, "IA-32 and Intel 64 Processor States Following Power-up". */
void svm_vcpu_reset(struct vcpu *vcpu)
{
	struct vmcb *vmcb = vmcb_of(vcpu);
	struct svm_segment data = { .attributes = 0x93, .limit = 0xffff };
	struct svm_segment system = { .attributes = 0x82, .limit = 0xffff };

	memset(vmcb, 0, sizeof *vmcb);
	svm_set_controls(vcpu, vmcb);
	code_views_drop(svm_of(vcpu)->views);
	svm_of(vcpu)->nmi = NMI_OPEN;
	svm_of(vcpu)->nmi_waits = false;
	vmcb->es = vmcb->ss = vmcb->ds = vmcb->fs = vmcb->gs = data;
	vmcb->cs = (struct svm_segment){ 0xf000, 0x9b, 0xffff, 0xffff0000 };
	vmcb->gdtr.limit = vmcb->idtr.limit = 0xffff;
	vmcb->ldtr = system;
	vmcb->tr = system;
	vmcb->tr.attributes = 0x8b;
	vmcb->efer = EFER_SVME;
	vmcb->cr0 = CR0_ET | CR0_NW | CR0_CD;
	vmcb->dr6 = 0xffff0ff0;
	vmcb->dr7 = 0x400;
	vmcb->pat = 0x0007040600070406;
	memset(vcpu->gpr, 0, sizeof vcpu->gpr);
	vcpu->gpr[RDX] = cpuid(1, 0).eax;
	vcpu->rip = 0xfff0;
	vcpu->rflags = RFLAGS_FIXED;
	vcpu->xcr0 = 1;
	memset(vcpu->debug_registers, 0, sizeof vcpu->debug_registers);
	fpu_forget(vcpu);
	fpu_reset(vcpu->fpu);
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

static bool is_canonical(uint64_t address)
{
	return (uint64_t)((int64_t)(address << 16) >> 16) == address;
}

#define EFER_GUEST (EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE)
#define PAT_TYPE_VALID BIT(0) | BIT(1) | BIT(4) | BIT(5) | BIT(6) | BIT(7)

static enum error write_efer(struct vmcb *vmcb, uint64_t value)
{
	bool paging = vmcb->cr0 & CR0_PG;

	/* "Extended Feature Enable Register": LMA is the processor's own,
	 * LME must not change while paging is on. */
	if (value & ~EFER_GUEST)
		return ERR_BAD_REQUEST;
	if (paging && ((value ^ vmcb->efer) & EFER_LME))
		return ERR_BAD_REQUEST;
	vmcb->efer = (value & ~EFER_LMA) | (vmcb->efer & EFER_LMA) | EFER_SVME;
	vmcb->tlb_control = SVM_TLB_FLUSH_ALL;
	return ERR_NONE;
}

static enum error write_pat(struct vmcb *vmcb, uint64_t value)
{
	for (int i = 0; i < 8; i++) {
		uint64_t type = value >> 8 * i & 0xff;

		if (type > 7 || !((PAT_TYPE_VALID) >> type & 1))
			return ERR_BAD_REQUEST;
	}
	vmcb->pat = value;
	return ERR_NONE;
}

/* Where the VMCB keeps an MSR that VMLOAD and VMSAVE switch. */
static uint64_t *switched_msr(struct vmcb *vmcb, uint32_t msr, bool *address)
{
	*address = true;
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
	}
	*address = false;
	switch (msr) {
	case MSR_STAR:
		return &vmcb->star;
	case MSR_SFMASK:
		return &vmcb->sfmask;
	case MSR_SYSENTER_CS:
		return &vmcb->sysenter_cs;
	default:
		return NULL;
	}
}

enum error svm_read_msr(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	struct vmcb *vmcb = vmcb_of(vcpu);
	bool address;
	uint64_t *slot = switched_msr(vmcb, msr, &address);

	if (msr == MSR_EFER)
		*value = vmcb->efer & ~EFER_SVME;
	else if (msr == MSR_PAT)
		*value = vmcb->pat;
	else if (slot)
		*value = *slot;
	else
		return ERR_NOT_FOUND;
	return ERR_NONE;
}

enum error svm_write_msr(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	struct vmcb *vmcb = vmcb_of(vcpu);
	bool address;
	uint64_t *slot = switched_msr(vmcb, msr, &address);

	if (msr == MSR_EFER)
		return write_efer(vmcb, value);
	if (msr == MSR_PAT)
		return write_pat(vmcb, value);
	if (!slot)
		return ERR_NOT_FOUND;
	if (address && !is_canonical(value))
		return ERR_BAD_REQUEST;
	*slot = value;
	return ERR_NONE;
}
