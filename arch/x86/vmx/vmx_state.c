/* SPDX-License-Identifier: MIT */
/* The guest's system state in the VMCS and beside it. */
#include "../cpu.h"
#include "../guest_state.h"
#include "../registers.h"
#include "vmcs.h"
#include "vmx.h"
#include <mullion/log.h>
#include <mullion/vm.h>

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

void vmx_reset_state(struct vcpu *vcpu)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);

	vmx_forget(vcpu);
	vmx->unswitched = (struct vmx_unswitched){ .dr6 = guest_power_on.dr6 };
	vmx_write_system(vcpu, &guest_power_on);
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

enum error vmx_read_msr(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	const uint64_t *slot = vmx_unswitched_msr(vcpu, msr);
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
	uint64_t *slot = vmx_unswitched_msr(vcpu, msr);
	uint64_t field = field_of_msr(msr);
	enum error error;
	uint64_t old;

	vmx_use(vcpu);
	if (!field && !slot)
		return ERR_NOT_FOUND;
	if (msr == MSR_EFER) {
		old = vmcs_read(field);
		error = guest_efer_write(&old, value,
					 vmcs_read(VMCS_GUEST_CR0));
		value = old;
	} else {
		error = guest_msr_check(msr, value);
	}
	if (error)
		return error;
	vmx_of(vcpu)->flush_linear |= msr == MSR_EFER || msr == MSR_PAT;
	if (field)
		vmcs_write(field, value);
	else if (vmx_is_owner(vcpu))
		write_msr(msr, value); /* they do not exit: rare */
	else
		*slot = value;
	return ERR_NONE;
}
