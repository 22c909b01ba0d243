/* SPDX-License-Identifier: MIT */
/*
 * Control registers.  The guest owns most bits; a write exits where it would
 * change one of the others.  SDM 325383, "MOV--Move to/from Control
 * Registers", says what is refused with #GP(0).
 */
#include "../registers.h"
#include "vmcs.h"
#include "vmx.h"
#include <mullion/vm.h>

/* Bits of ours: NE is needed in VMX operation, CD and NW would switch off a
 * cache that others use. */
#define CR0_KEPT (CR0_NE | CR0_NW | CR0_CD)
#define CR0_DEFINED (BITS(5, 0) | CR0_WP | BIT(18) | CR0_NW | CR0_CD | CR0_PG)

/* What a guest may set: no VMXE, SMXE, LA57, PKE, CET.  VME, PVI, TSD, DE,
 * PSE, PAE, MCE, PGE, PCE, OSFXSR, OSXMMEXCPT, UMIP; FSGSBASE, PCIDE, OSXSAVE;
 * SMEP, SMAP. */
#define CR4_ALLOWED (BITS(11, 0) | BITS(18, 16) | CR4_SMEP | CR4_SMAP)
#define CR4_OURS (CR4_VMXE | CR4_MCE)

static uint64_t cr4_allowed(void)
{
	return CR4_ALLOWED & vmx_capabilities.cr4_fixed1;
}

uint64_t vmx_cr0(void)
{
	return (vmcs_read(VMCS_GUEST_CR0) & ~CR0_KEPT) |
	       (vmcs_read(VMCS_CR0_SHADOW) & CR0_KEPT);
}

uint64_t vmx_cr4(void)
{
	uint64_t kept = ~cr4_allowed() | CR4_OURS;

	return (vmcs_read(VMCS_GUEST_CR4) & ~kept) |
	       (vmcs_read(VMCS_CR4_SHADOW) & kept);
}

/* "Reserved bits" of a PDPTE with PAE paging, and of any in a guest whose
 * physical addresses are no wider than the processor's. */
#define PDPTE_PRESENT BIT(0)
#define PDPTE_RESERVED (BITS(2, 1) | BITS(8, 5))

enum error vmx_load_pdptes(struct vcpu *vcpu)
{
	uint64_t pdptes[4];
	uint32_t bits = cpuid(0x80000008, 0).eax & 0xff;
	gpa_t at = gpa(vmcs_read(VMCS_GUEST_CR3) & BITS(31, 5));

	if (guest_read(&vcpu->vm->memory, at, pdptes, sizeof pdptes) !=
	    ERR_NONE)
		return ERR_BAD_ADDRESS;
	for (int i = 0; i < 4; i++)
		if (pdptes[i] & PDPTE_PRESENT &&
		    pdptes[i] & (PDPTE_RESERVED | BITS(63, bits)))
			return ERR_BAD_REQUEST;
	for (int i = 0; i < 4; i++)
		vmcs_write(VMCS_GUEST_PDPTE + 2 * i, pdptes[i]);
	return ERR_NONE;
}

static bool is_64_bit(uint64_t efer)
{
	return efer & EFER_LMA &&
	       vmcs_read(VMCS_GUEST_RIGHTS + 2 * SEGMENT_CS) & VMX_RIGHTS_LONG;
}

void vmx_cr_write(struct vcpu *vcpu, uint64_t cr0, uint64_t cr4)
{
	vmcs_write(VMCS_CR0_SHADOW, cr0);
	vmcs_write(VMCS_GUEST_CR0, (cr0 & ~CR0_KEPT) | CR0_ET | CR0_NE);
	vmcs_write(VMCS_CR0_MASK, CR0_KEPT);
	vmcs_write(VMCS_CR4_SHADOW, cr4);
	vmcs_write(VMCS_GUEST_CR4, (cr4 & cr4_allowed()) | CR4_OURS);
	vmcs_write(VMCS_CR4_MASK, ~cr4_allowed() | CR4_OURS);
	vmx_of(vcpu)->flush_linear = true;
}

/* Paging goes on or off: with EFER.LME, so does IA-32e mode. */
static enum error switch_paging(uint64_t cr0, uint64_t cr4)
{
	uint64_t efer = vmcs_read(VMCS_GUEST_EFER);
	uint64_t entry = vmcs_read(VMCS_ENTRY);

	if (cr0 & CR0_PG) {
		if (!(efer & EFER_LME))
			return ERR_NONE;
		if (!(cr4 & CR4_PAE) ||
		    vmcs_read(VMCS_GUEST_RIGHTS + 2 * SEGMENT_CS) &
			    VMX_RIGHTS_LONG)
			return ERR_BAD_REQUEST;
		vmcs_write(VMCS_GUEST_EFER, efer | EFER_LMA);
		vmcs_write(VMCS_ENTRY, entry | VMX_ENTRY_IA32E);
		return ERR_NONE;
	}
	if (is_64_bit(efer) || cr4 & CR4_PCIDE)
		return ERR_BAD_REQUEST;
	vmcs_write(VMCS_GUEST_EFER, efer & ~EFER_LMA);
	vmcs_write(VMCS_ENTRY, entry & ~VMX_ENTRY_IA32E);
	return ERR_NONE;
}

/* Whether the four top entries are in the VMCS and not in memory. */
static bool has_pdptes(uint64_t cr0, uint64_t cr4, uint64_t efer)
{
	bool by_efer = cr0 & CR0_PG && efer & EFER_LME;

	return cr0 & CR0_PG && cr4 & CR4_PAE && !by_efer;
}

static enum error set_cr0(struct vcpu *vcpu, uint64_t value)
{
	uint64_t old = vmx_cr0(), cr4 = vmx_cr4();
	enum error error = ERR_NONE;

	if (value & BITS(63, 32) || (value & CR0_PG && !(value & CR0_PE)) ||
	    (value & CR0_NW && !(value & CR0_CD)))
		return ERR_BAD_REQUEST;
	value = (value & CR0_DEFINED) | CR0_ET;
	if (has_pdptes(value, cr4, vmcs_read(VMCS_GUEST_EFER)))
		error = vmx_load_pdptes(vcpu);
	if (error == ERR_NONE && (value ^ old) & CR0_PG)
		error = switch_paging(value, cr4);
	if (error == ERR_NONE)
		vmx_cr_write(vcpu, value, cr4);
	return error;
}

static enum error set_cr4(struct vcpu *vcpu, uint64_t value)
{
	uint64_t efer = vmcs_read(VMCS_GUEST_EFER);
	uint64_t old = vmx_cr4(), cr0 = vmx_cr0();
	enum error error = ERR_NONE;

	if (value & ~cr4_allowed())
		return ERR_BAD_REQUEST;
	if (efer & EFER_LMA && !(value & CR4_PAE))
		return ERR_BAD_REQUEST;
	if (value & ~old & CR4_PCIDE &&
	    (!(efer & EFER_LMA) || vmcs_read(VMCS_GUEST_CR3) & BITS(11, 0)))
		return ERR_BAD_REQUEST;
	if (has_pdptes(cr0, value, efer))
		error = vmx_load_pdptes(vcpu);
	if (error == ERR_NONE)
		vmx_cr_write(vcpu, cr0, value);
	return error;
}

static enum error move_to(struct vcpu *vcpu, uint64_t number, uint64_t value)
{
	if (!is_64_bit(vmcs_read(VMCS_GUEST_EFER)))
		value = (uint32_t)value;
	switch (number) {
	case 0:
		return set_cr0(vcpu, value);
	case 4:
		return set_cr4(vcpu, value);
	default: /* no other exits */
		return ERR_BAD_REQUEST;
	}
}

enum error vmx_cr_access(struct vcpu *vcpu, uint64_t qualification)
{
	/* CLTS and LMSW reach no bit that is ours; reads do not exit. */
	if (field_get(VMX_CR_ACCESS, qualification) != VMX_CR_MOV_TO)
		return ERR_BAD_REQUEST;
	return move_to(vcpu, field_get(VMX_CR_NUMBER, qualification),
		       vcpu->gpr[field_get(VMX_CR_REGISTER, qualification)]);
}
