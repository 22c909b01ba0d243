/* SPDX-License-Identifier: MIT */
/*
 * The rules of SDM 326019, "Checking and Loading Guest State", for a guest
 * that is unrestricted and outside SMM, in the manual's order: one row each.
 */
#include "vmx_check_parts.h"

#define ACTIVITY_HALTED 1
#define ACTIVITY_WAITING 3

/* "Checks on Guest Control Registers, Debug Registers, and MSRs" */
static const char *check_registers(state_t *s)
{
	const bool paging = s->cr0 & CR0_PG, ia32e = is_ia32e(s);
	const bool lma = s->efer & EFER_LMA, lme = s->efer & EFER_LME;
	const struct vmx_rule rules[] = {
		/* An unrestricted guest may have PE and PG clear. */
		{ !(s->cr0_fixed0 & ~s->cr0 & ~(CR0_PE | CR0_PG)),
		  "CR0 lacks a bit that VMX operation needs" },
		{ !(s->cr0 & ~s->cr0_fixed1),
		  "CR0 has a bit that VMX operation forbids" },
		{ !paging || s->cr0 & CR0_PE, "CR0.PG is set without CR0.PE" },
		{ !(s->cr4_fixed0 & ~s->cr4),
		  "CR4 lacks a bit that VMX operation needs" },
		{ !(s->cr4 & ~s->cr4_fixed1),
		  "CR4 has a bit that VMX operation forbids" },
		{ !(s->debugctl & ~(BITS(1, 0) | BITS(15, 6))),
		  "IA32_DEBUGCTL has a reserved bit" },
		{ !ia32e || (paging && s->cr4 & CR4_PAE),
		  "IA-32e mode without CR0.PG and CR4.PAE" },
		{ ia32e || !(s->cr4 & CR4_PCIDE),
		  "CR4.PCIDE is set outside IA-32e mode" },
		{ !(s->cr3 >> s->physical_bits),
		  "CR3 is wider than a physical address" },
		{ !(s->dr7 >> 32), "DR7 has a bit above 31" },
		{ is_canonical(s->sysenter_esp) &&
			  is_canonical(s->sysenter_eip),
		  "a SYSENTER address is not canonical" },
		{ pat_is_valid(s->pat),
		  "PAT holds a memory type that there is not" },
		{ !(s->efer & ~(EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE)),
		  "EFER has a reserved bit" },
		{ ia32e == lma,
		  "EFER.LMA is not as the control IA-32e mode guest" },
		{ !paging || lma == lme,
		  "EFER.LMA and LME differ while paging is on" },
	};

	return vmx_first_broken(rules, ARRAY_COUNT(rules));
}

static bool injects(state_t *s, uint64_t type)
{
	return s->event & VMX_EVENT_VALID &&
	       field_get(VMX_EVENT_TYPE, s->event) == type;
}

/* "Checks on Guest Descriptor-Table Registers", "Checks on Guest RIP, RFLAGS,
 * and SSP" */
static const char *check_tables_and_place(state_t *s)
{
	const bool is_64_bit = is_ia32e(s) &&
			       s->segments[SEGMENT_CS].rights & VMX_RIGHTS_LONG;
	const struct vmx_rule rules[] = {
		{ is_canonical(s->gdt_base) && is_canonical(s->idt_base),
		  "the base of GDTR or IDTR is not canonical" },
		{ s->gdt_limit <= 0xffff && s->idt_limit <= 0xffff,
		  "the limit of GDTR or IDTR is above 65535" },
		{ is_64_bit || !(s->rip >> 32),
		  "RIP is above 4 GiB outside 64-bit code" },
		{ is_canonical(s->rip), "RIP is not canonical" },
		{ !(s->rflags & (BITS(63, 22) | BIT(15) | BIT(5) | BIT(3))) &&
			  s->rflags & RFLAGS_FIXED,
		  "RFLAGS has a reserved bit, or lacks bit 1" },
		{ !is_virtual_8086(s) || (!is_ia32e(s) && s->cr0 & CR0_PE),
		  "RFLAGS.VM in real or IA-32e mode" },
		{ !injects(s, VMX_TYPE_INTERRUPT) || s->rflags & RFLAGS_IF,
		  "an interrupt is injected with RFLAGS.IF clear" },
	};

	return vmx_first_broken(rules, ARRAY_COUNT(rules));
}

/* "Checks on Guest Page-Directory-Pointer-Table Entries" */
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

/* "Checks on Guest Non-Register State" */
static const char *check_the_rest(state_t *s)
{
	const uint32_t blocked = s->interruptibility;
	const bool shadow = blocked & VMX_SHADOW;
	const bool halted = s->activity == ACTIVITY_HALTED;
	const bool steps = s->rflags & RFLAGS_TF && !(s->debugctl & BIT(1));
	const bool pends = s->pending_debug & VMX_PENDING_SINGLE_STEP;
	const struct vmx_rule rules[] = {
		{ s->activity <= ACTIVITY_WAITING,
		  "there is no such activity state" },
		{ !halted || dpl_of(s, SEGMENT_SS) == 0,
		  "halted with the DPL of SS not 0" },
		{ s->activity == 0 || !shadow,
		  "halted in the shadow of STI or MOV SS" },
		{ !(blocked & (BITS(31, 5) | VMX_BLOCKED_BY_SMI)),
		  "SMIs are blocked, or a reserved bit of "
		  "interruptibility is set" },
		{ (blocked & VMX_SHADOW) != VMX_SHADOW,
		  "in the shadow of both STI and MOV SS" },
		{ !(blocked & VMX_BLOCKED_BY_STI) || s->rflags & RFLAGS_IF,
		  "in the shadow of STI with RFLAGS.IF clear" },
		{ !injects(s, VMX_TYPE_INTERRUPT) || !shadow,
		  "an interrupt is injected in the shadow of STI or MOV SS" },
		{ !injects(s, VMX_TYPE_NMI) ||
			  !(blocked & (VMX_SHADOW | VMX_BLOCKED_BY_NMI)),
		  "an NMI is injected while NMIs are blocked" },
		{ (!shadow && !halted) || steps == pends,
		  "the pending single step is not as RFLAGS.TF" },
		{ s->link_pointer == ~0ull,
		  "the VMCS link pointer is not all ones" },
		{ pdptes_are_valid(s), "a PDPTE has a reserved bit" },
	};

	return vmx_first_broken(rules, ARRAY_COUNT(rules));
}

const char *vmx_check_entry(const struct vmx_entry_state *state)
{
	const char *broken = check_registers(state);

	if (!broken)
		broken = vmx_check_segments(state);
	if (!broken)
		broken = check_tables_and_place(state);
	return broken ? broken : check_the_rest(state);
}
