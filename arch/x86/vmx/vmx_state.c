/* SPDX-License-Identifier: MIT */
/* The guest's system state in the VMCS and beside it. */
#include "../cpu.h"
#include "../registers.h"
#include "vmcs.h"
#include "vmx.h"
#include <mullion/log.h>
#include <mullion/vm.h>

#define PAT_RESET 0x0007040600070406

/* The neutral attributes are a descriptor's, without the limit's bits; what
 * is not present is unusable. */
static uint64_t to_rights(const struct guest_segment *segment)
{
	uint64_t rights = segment->attributes;

	rights = (rights & BITS(7, 0)) |
		 field_make(VMX_RIGHTS_HIGH, rights >> 8);
	return rights & VMX_RIGHTS_PRESENT ? rights :
					     rights | VMX_RIGHTS_UNUSABLE;
}

static struct guest_segment read_segment(int number)
{
	uint64_t rights = vmcs_read(VMCS_GUEST_RIGHTS + 2 * number);
	uint16_t attributes = (rights & BITS(7, 0)) |
			      field_get(VMX_RIGHTS_HIGH, rights) << 8;

	if (rights & VMX_RIGHTS_UNUSABLE)
		attributes &= ~VMX_RIGHTS_PRESENT;
	return (struct guest_segment){
		.base = vmcs_read(VMCS_GUEST_BASE + 2 * number),
		.limit = vmcs_read(VMCS_GUEST_LIMIT + 2 * number),
		.selector = vmcs_read(VMCS_GUEST_SELECTOR + 2 * number),
		.attributes = attributes,
	};
}

static void write_segment(int number, const struct guest_segment *segment)
{
	vmcs_write(VMCS_GUEST_BASE + 2 * number, segment->base);
	vmcs_write(VMCS_GUEST_LIMIT + 2 * number, segment->limit);
	vmcs_write(VMCS_GUEST_SELECTOR + 2 * number, segment->selector);
	vmcs_write(VMCS_GUEST_RIGHTS + 2 * number, to_rights(segment));
}

void vmx_set_cr2(struct vcpu *vcpu, uint64_t value)
{
	vmx_of(vcpu)->unswitched.cr2 = value;
	if (vmx_is_owner(vcpu))
		write_cr2(value);
}

static uint64_t cr2_of(struct vcpu *vcpu)
{
	return vmx_is_owner(vcpu) ? read_cr2() : vmx_of(vcpu)->unswitched.cr2;
}

/* VMX keeps no CPL: it is the DPL of SS. */
void vmx_read_system(struct vcpu *vcpu, struct guest_system *system)
{
	uint64_t ss;

	vmx_use(vcpu);
	ss = vmcs_read(VMCS_GUEST_RIGHTS + 2 * SEGMENT_SS);
	*system = (struct guest_system){
		.cr0 = vmx_cr0(),
		.cr2 = cr2_of(vcpu),
		.cr3 = vmcs_read(VMCS_GUEST_CR3),
		.cr4 = vmx_cr4(),
		.efer = vmcs_read(VMCS_GUEST_EFER),
		.gdt_base = vmcs_read(VMCS_GUEST_GDTR_BASE),
		.gdt_limit = vmcs_read(VMCS_GUEST_GDTR_LIMIT),
		.idt_base = vmcs_read(VMCS_GUEST_IDTR_BASE),
		.idt_limit = vmcs_read(VMCS_GUEST_IDTR_LIMIT),
		.dr6 = vmx_dr6(vcpu),
		.dr7 = vmcs_read(VMCS_GUEST_DR7),
		.pat = vmcs_read(VMCS_GUEST_PAT),
		.cpl = field_get(VMX_RIGHTS_DPL, ss),
	};
	for (int i = 0; i < SEGMENT_COUNT; i++)
		system->segments[i] = read_segment(i);
}

void vmx_write_system(struct vcpu *vcpu, const struct guest_system *system)
{
	uint64_t entry;

	vmx_use(vcpu);
	entry = vmcs_read(VMCS_ENTRY) & ~VMX_ENTRY_IA32E;
	vmcs_write(VMCS_ENTRY,
		   system->efer & EFER_LMA ? entry | VMX_ENTRY_IA32E : entry);
	vmcs_write(VMCS_GUEST_EFER, system->efer);
	vmcs_write(VMCS_GUEST_CR3, system->cr3);
	vmx_cr_write(vcpu, system->cr0, system->cr4);
	vmx_set_cr2(vcpu, system->cr2);
	vmcs_write(VMCS_GUEST_GDTR_BASE, system->gdt_base);
	vmcs_write(VMCS_GUEST_GDTR_LIMIT, system->gdt_limit);
	vmcs_write(VMCS_GUEST_IDTR_BASE, system->idt_base);
	vmcs_write(VMCS_GUEST_IDTR_LIMIT, system->idt_limit);
	vmcs_write(VMCS_GUEST_DR7, system->dr7);
	vmcs_write(VMCS_GUEST_PAT, system->pat);
	for (int i = 0; i < SEGMENT_COUNT; i++)
		write_segment(i, &system->segments[i]);
	/* Where they cannot be loaded, the entry fails and says why. */
	if (system->cr0 & CR0_PG && system->cr4 & CR4_PAE &&
	    !(system->efer & EFER_LMA))
		vmx_load_pdptes(vcpu);
}

static const struct guest_system power_on = {
	.cr0 = CR0_ET | CR0_NW | CR0_CD,
	.gdt_limit = 0xffff, .idt_limit = 0xffff,
	.dr7 = 0x400, .pat = PAT_RESET,
	.segments = {
		[SEGMENT_ES ... SEGMENT_GS] = { .limit = 0xffff,
						.attributes = 0x93 },
		[SEGMENT_LDTR] = { .limit = 0xffff, .attributes = 0x82 },
		[SEGMENT_TR] = { .limit = 0xffff, .attributes = 0x8b },
	},
};

void vmx_reset_state(struct vcpu *vcpu)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);
	struct guest_system system = power_on;

	vmx_forget(vcpu);
	vmx->unswitched = (struct vmx_unswitched){ .dr6 = 0xffff0ff0 };
	system.segments[SEGMENT_CS] = (struct guest_segment){
		.base = 0xffff0000,
		.limit = 0xffff,
		.selector = 0xf000,
		.attributes = 0x9b,
	};
	vmx_write_system(vcpu, &system);
	for (int i = 0; i < 4; i++)
		vmcs_write(VMCS_GUEST_PDPTE + 2 * i, 0);
	vmcs_write(VMCS_LINK_POINTER, ~0ull);
	vmcs_write(VMCS_GUEST_DEBUGCTL, 0);
	vmcs_write(VMCS_GUEST_SMBASE, 0);
	vmcs_write(VMCS_ACTIVITY, 0);
	vmcs_write(VMCS_PENDING_DEBUG, 0);
	vmcs_write(VMCS_INTERRUPTIBILITY, 0);
	vmx->interruptibility = vmx->new_interruptibility = 0;
	vmcs_write(VMCS_GUEST_SYSENTER_CS, 0);
	vmcs_write(VMCS_GUEST_SYSENTER_ESP, 0);
	vmcs_write(VMCS_GUEST_SYSENTER_EIP, 0);
}

static bool is_canonical(uint64_t address)
{
	return (uint64_t)((int64_t)(address << 16) >> 16) == address;
}

#define EFER_GUEST (EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE)
#define PAT_TYPE_VALID (BIT(0) | BIT(1) | BIT(4) | BIT(5) | BIT(6) | BIT(7))

static enum error write_efer(struct vcpu *vcpu, uint64_t value)
{
	uint64_t old = vmcs_read(VMCS_GUEST_EFER);
	bool paging = vmcs_read(VMCS_GUEST_CR0) & CR0_PG;

	/* "Extended Feature Enable Register": LMA is the processor's own,
	 * LME must not change while paging is on. */
	if (value & ~EFER_GUEST)
		return ERR_BAD_REQUEST;
	if (paging && ((value ^ old) & EFER_LME))
		return ERR_BAD_REQUEST;
	vmcs_write(VMCS_GUEST_EFER, (value & ~EFER_LMA) | (old & EFER_LMA));
	vmx_of(vcpu)->flush_linear = true;
	return ERR_NONE;
}

static enum error write_pat(struct vcpu *vcpu, uint64_t value)
{
	for (int i = 0; i < 8; i++) {
		uint64_t type = value >> 8 * i & 0xff;

		if (type > 7 || !(PAT_TYPE_VALID >> type & 1))
			return ERR_BAD_REQUEST;
	}
	vmcs_write(VMCS_GUEST_PAT, value);
	vmx_of(vcpu)->flush_linear = true;
	return ERR_NONE;
}

/* Where the VMCS keeps an MSR; 0: not there. */
static uint64_t field_of_msr(uint32_t msr)
{
	switch (msr) {
	case MSR_FS_BASE:
		return VMCS_GUEST_BASE + 2 * SEGMENT_FS;
	case MSR_GS_BASE:
		return VMCS_GUEST_BASE + 2 * SEGMENT_GS;
	case MSR_SYSENTER_CS:
		return VMCS_GUEST_SYSENTER_CS;
	case MSR_SYSENTER_ESP:
		return VMCS_GUEST_SYSENTER_ESP;
	case MSR_SYSENTER_EIP:
		return VMCS_GUEST_SYSENTER_EIP;
	case MSR_EFER:
		return VMCS_GUEST_EFER;
	case MSR_PAT:
		return VMCS_GUEST_PAT;
	default:
		return 0;
	}
}

static uint64_t *unswitched_msr(struct vmx_vcpu *vmx, uint32_t msr)
{
	switch (msr) {
	case MSR_STAR:
		return &vmx->unswitched.star;
	case MSR_LSTAR:
		return &vmx->unswitched.lstar;
	case MSR_CSTAR:
		return &vmx->unswitched.cstar;
	case MSR_SFMASK:
		return &vmx->unswitched.sfmask;
	case MSR_KERNEL_GS_BASE:
		return &vmx->unswitched.kernel_gs_base;
	default:
		return NULL;
	}
}

static bool holds_address(uint32_t msr)
{
	return msr == MSR_FS_BASE || msr == MSR_GS_BASE ||
	       msr == MSR_KERNEL_GS_BASE || msr == MSR_LSTAR ||
	       msr == MSR_CSTAR || msr == MSR_SYSENTER_ESP ||
	       msr == MSR_SYSENTER_EIP;
}

enum error vmx_read_msr(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	const uint64_t *slot = unswitched_msr(vmx_of(vcpu), msr);
	uint64_t field = field_of_msr(msr);

	vmx_use(vcpu);
	if (field)
		*value = vmcs_read(field);
	else if (slot)
		*value = vmx_is_owner(vcpu) ? read_msr(msr) : *slot;
	else
		return ERR_NOT_FOUND;
	return ERR_NONE;
}

enum error vmx_write_msr(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	uint64_t *slot = unswitched_msr(vmx_of(vcpu), msr);
	uint64_t field = field_of_msr(msr);

	vmx_use(vcpu);
	if (msr == MSR_EFER)
		return write_efer(vcpu, value);
	if (msr == MSR_PAT)
		return write_pat(vcpu, value);
	if (!field && !slot)
		return ERR_NOT_FOUND;
	if ((holds_address(msr) && !is_canonical(value)) ||
	    (msr == MSR_SFMASK && value >> 32))
		return ERR_BAD_REQUEST;
	if (field)
		vmcs_write(field, value);
	else if (vmx_is_owner(vcpu))
		write_msr(msr, value); /* they do not exit: rare */
	else
		*slot = value;
	return ERR_NONE;
}
