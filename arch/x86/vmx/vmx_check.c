/* SPDX-License-Identifier: MIT */
/*
 * The rules of SDM 326019, "Checking and Loading Guest State", for a guest
 * that is unrestricted and outside SMM, in the manual's order: one line each.
 */
#include "vmx_check_parts.h"

/* ---- "Checks on Guest Control Registers, Debug Registers, and MSRs" ------ */

static bool cr0_has_fixed(state_t *s)
{
	/* An unrestricted guest may have PE and PG clear. */
	return !(s->cr0_fixed0 & ~s->cr0 & ~(CR0_PE | CR0_PG));
}

static bool cr0_has_only_allowed(state_t *s)
{
	return !(s->cr0 & ~s->cr0_fixed1);
}

static bool paging_is_protected(state_t *s)
{
	return !(s->cr0 & CR0_PG) || s->cr0 & CR0_PE;
}

static bool cr4_has_fixed(state_t *s)
{
	return !(s->cr4_fixed0 & ~s->cr4);
}

static bool cr4_has_only_allowed(state_t *s)
{
	return !(s->cr4 & ~s->cr4_fixed1);
}

static bool debugctl_is_valid(state_t *s)
{
	return !(s->debugctl & ~(BITS(1, 0) | BITS(15, 6)));
}

static bool ia32e_has_paging(state_t *s)
{
	return !is_ia32e(s) || (s->cr0 & CR0_PG && s->cr4 & CR4_PAE);
}

static bool pcids_need_ia32e(state_t *s)
{
	return is_ia32e(s) || !(s->cr4 & CR4_PCIDE);
}

static bool cr3_is_physical(state_t *s)
{
	return !(s->cr3 >> s->physical_bits);
}

static bool dr7_is_short(state_t *s)
{
	return !(s->dr7 >> 32);
}

static bool sysenter_is_canonical(state_t *s)
{
	return is_canonical(s->sysenter_esp) && is_canonical(s->sysenter_eip);
}

static bool pat_is_valid(state_t *s)
{
	for (int i = 0; i < 8; i++) {
		uint64_t type = s->pat >> 8 * i & 0xff;

		if (type > 7 || type == 2 || type == 3)
			return false;
	}
	return true;
}

static bool efer_is_valid(state_t *s)
{
	return !(s->efer & ~(EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE));
}

static bool lma_is_ia32e(state_t *s)
{
	return is_ia32e(s) == !!(s->efer & EFER_LMA);
}

static bool lma_is_lme(state_t *s)
{
	return !(s->cr0 & CR0_PG) ||
	       !(s->efer & EFER_LMA) == !(s->efer & EFER_LME);
}

static const struct vmx_rule register_rules[] = {
	{ cr0_has_fixed, "CR0 lacks a bit that VMX operation needs" },
	{ cr0_has_only_allowed, "CR0 has a bit that VMX operation forbids" },
	{ paging_is_protected, "CR0.PG is set without CR0.PE" },
	{ cr4_has_fixed, "CR4 lacks a bit that VMX operation needs" },
	{ cr4_has_only_allowed, "CR4 has a bit that VMX operation forbids" },
	{ debugctl_is_valid, "IA32_DEBUGCTL has a reserved bit" },
	{ ia32e_has_paging, "IA-32e mode without CR0.PG and CR4.PAE" },
	{ pcids_need_ia32e, "CR4.PCIDE is set outside IA-32e mode" },
	{ cr3_is_physical, "CR3 is wider than a physical address" },
	{ dr7_is_short, "DR7 has a bit above 31" },
	{ sysenter_is_canonical, "a SYSENTER address is not canonical" },
	{ pat_is_valid, "PAT holds a memory type that there is not" },
	{ efer_is_valid, "EFER has a reserved bit" },
	{ lma_is_ia32e, "EFER.LMA is not as the control IA-32e mode guest" },
	{ lma_is_lme, "EFER.LMA and LME differ while paging is on" },
};

/* ---- "Checks on Guest Descriptor-Table Registers" ------------------------ */

static bool tables_are_canonical(state_t *s)
{
	return is_canonical(s->gdt_base) && is_canonical(s->idt_base);
}

static bool tables_are_short(state_t *s)
{
	return s->gdt_limit <= 0xffff && s->idt_limit <= 0xffff;
}

/* ---- "Checks on Guest RIP, RFLAGS, and SSP" ------------------------------ */

static bool rip_is_short(state_t *s)
{
	bool is_64_bit = is_ia32e(s) &&
			 s->segments[SEGMENT_CS].rights & VMX_RIGHTS_LONG;

	return is_64_bit || !(s->rip >> 32);
}

static bool rip_is_canonical(state_t *s)
{
	return is_canonical(s->rip);
}

static bool rflags_are_valid(state_t *s)
{
	return !(s->rflags & (BITS(63, 22) | BIT(15) | BIT(5) | BIT(3))) &&
	       s->rflags & RFLAGS_FIXED;
}

static bool virtual_8086_fits(state_t *s)
{
	return !is_virtual_8086(s) || (!is_ia32e(s) && s->cr0 & CR0_PE);
}

static bool injects(state_t *s, uint64_t type)
{
	return s->event & VMX_EVENT_VALID &&
	       field_get(VMX_EVENT_TYPE, s->event) == type;
}

static bool interrupt_is_enabled(state_t *s)
{
	return !injects(s, VMX_TYPE_INTERRUPT) || s->rflags & RFLAGS_IF;
}

/* ---- "Checks on Guest Non-Register State" -------------------------------- */

#define ACTIVITY_HALTED 1
#define ACTIVITY_WAITING 3

static bool activity_is_known(state_t *s)
{
	return s->activity <= ACTIVITY_WAITING;
}

static bool halt_is_privileged(state_t *s)
{
	return s->activity != ACTIVITY_HALTED || dpl_of(s, SEGMENT_SS) == 0;
}

static bool shadow_is_active(state_t *s)
{
	return s->activity == 0 || !(s->interruptibility & VMX_SHADOW);
}

static bool interruptibility_is_clean(state_t *s)
{
	return !(s->interruptibility & (BITS(31, 5) | VMX_BLOCKED_BY_SMI));
}

static bool shadow_is_one(state_t *s)
{
	return (s->interruptibility & VMX_SHADOW) != VMX_SHADOW;
}

static bool sti_shadow_has_if(state_t *s)
{
	return !(s->interruptibility & VMX_BLOCKED_BY_STI) ||
	       s->rflags & RFLAGS_IF;
}

static bool interrupt_is_not_blocked(state_t *s)
{
	return !injects(s, VMX_TYPE_INTERRUPT) ||
	       !(s->interruptibility & VMX_SHADOW);
}

static bool nmi_is_not_blocked(state_t *s)
{
	return !injects(s, VMX_TYPE_NMI) ||
	       !(s->interruptibility & (VMX_SHADOW | VMX_BLOCKED_BY_NMI));
}

static bool single_step_is_pending(state_t *s)
{
	bool waits = s->interruptibility & VMX_SHADOW ||
		     s->activity == ACTIVITY_HALTED;
	bool steps = s->rflags & RFLAGS_TF && !(s->debugctl & BIT(1));
	bool pends = s->pending_debug & VMX_PENDING_SINGLE_STEP;

	return !waits || steps == pends;
}

static bool link_is_absent(state_t *s)
{
	return s->link_pointer == ~0ull;
}

/* ---- "Checks on Guest Page-Directory-Pointer-Table Entries" -------------- */

static bool pdptes_are_valid(state_t *s)
{
	if (!(s->cr0 & CR0_PG) || !(s->cr4 & CR4_PAE) || is_ia32e(s))
		return true;
	for (int i = 0; i < 4; i++)
		if (s->pdptes[i] & 1 &&
		    (s->pdptes[i] & (BITS(2, 1) | BITS(8, 5)) ||
		     s->pdptes[i] >> s->physical_bits))
			return false;
	return true;
}

static const struct vmx_rule other_rules[] = {
	{ tables_are_canonical, "the base of GDTR or IDTR is not canonical" },
	{ tables_are_short, "the limit of GDTR or IDTR is above 65535" },
	{ rip_is_short, "RIP is above 4 GiB outside 64-bit code" },
	{ rip_is_canonical, "RIP is not canonical" },
	{ rflags_are_valid, "RFLAGS has a reserved bit, or lacks bit 1" },
	{ virtual_8086_fits, "RFLAGS.VM in real or IA-32e mode" },
	{ interrupt_is_enabled, "an interrupt is injected with RFLAGS.IF "
				"clear" },
	{ activity_is_known, "there is no such activity state" },
	{ halt_is_privileged, "halted with the DPL of SS not 0" },
	{ shadow_is_active, "halted in the shadow of STI or MOV SS" },
	{ interruptibility_is_clean, "SMIs are blocked, or a reserved bit of "
				     "interruptibility is set" },
	{ shadow_is_one, "in the shadow of both STI and MOV SS" },
	{ sti_shadow_has_if, "in the shadow of STI with RFLAGS.IF clear" },
	{ interrupt_is_not_blocked, "an interrupt is injected in the shadow "
				    "of STI or MOV SS" },
	{ nmi_is_not_blocked, "an NMI is injected while NMIs are blocked" },
	{ single_step_is_pending, "the pending single step is not as "
				  "RFLAGS.TF" },
	{ link_is_absent, "the VMCS link pointer is not all ones" },
	{ pdptes_are_valid, "a PDPTE has a reserved bit" },
};

const char *vmx_check_entry(const struct vmx_entry_state *state)
{
	const char *broken;

	broken = vmx_first_broken(register_rules, ARRAY_COUNT(register_rules),
				  state);
	if (!broken)
		broken = vmx_check_segments(state);
	if (!broken)
		broken = vmx_first_broken(other_rules, ARRAY_COUNT(other_rules),
					  state);
	return broken;
}
