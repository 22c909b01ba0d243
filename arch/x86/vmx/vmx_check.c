/* SPDX-License-Identifier: MIT */
/*
 * The rules of SDM 326019, "Checking and Loading Guest State", for a guest
 * that is unrestricted and outside SMM, in the manual's order: one line each.
 */
#include "vmx_check.h"
#include "../registers.h"
#include "vmx_regs.h"
#include <stdbool.h>
#include <stddef.h>

typedef const struct vmx_entry_state state_t;

static bool is_canonical(uint64_t address)
{
	return (uint64_t)((int64_t)(address << 16) >> 16) == address;
}

static bool is_ia32e(state_t *s)
{
	return s->entry_controls & VMX_ENTRY_IA32E;
}

static bool is_virtual_8086(state_t *s)
{
	return s->rflags & RFLAGS_VM;
}

static bool is_usable(const struct vmx_segment *segment)
{
	return !(segment->rights & VMX_RIGHTS_UNUSABLE);
}

static uint64_t type_of(const struct vmx_segment *segment)
{
	return field_get(VMX_RIGHTS_TYPE, segment->rights);
}

static uint64_t dpl_of(state_t *s, enum guest_segment_number number)
{
	return field_get(VMX_RIGHTS_DPL, s->segments[number].rights);
}

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

/* ---- "Checks on Guest Segment Registers" --------------------------------- */

#define SELECTOR_LOCAL BIT(2)

static bool tr_is_global(state_t *s)
{
	return !(s->segments[SEGMENT_TR].selector & SELECTOR_LOCAL);
}

static bool ldtr_is_global(state_t *s)
{
	return !is_usable(&s->segments[SEGMENT_LDTR]) ||
	       !(s->segments[SEGMENT_LDTR].selector & SELECTOR_LOCAL);
}

static bool is_8086_segment(const struct vmx_segment *segment)
{
	return segment->base == (uint64_t)segment->selector << 4 &&
	       segment->limit == 0xffff && segment->rights == 0xf3;
}

static bool segments_are_8086(state_t *s)
{
	for (int i = SEGMENT_ES; is_virtual_8086(s) && i <= SEGMENT_GS; i++)
		if (!is_8086_segment(&s->segments[i]))
			return false;
	return true;
}

static bool bases_are_canonical(state_t *s)
{
	return is_canonical(s->segments[SEGMENT_TR].base) &&
	       is_canonical(s->segments[SEGMENT_FS].base) &&
	       is_canonical(s->segments[SEGMENT_GS].base) &&
	       (!is_usable(&s->segments[SEGMENT_LDTR]) ||
		is_canonical(s->segments[SEGMENT_LDTR].base));
}

static bool bases_are_short(state_t *s)
{
	for (int i = SEGMENT_ES; i <= SEGMENT_DS; i++)
		if ((i == SEGMENT_CS || is_usable(&s->segments[i])) &&
		    s->segments[i].base >> 32)
			return false;
	return true;
}

static bool cs_is_code(state_t *s)
{
	uint64_t type = type_of(&s->segments[SEGMENT_CS]);

	return is_virtual_8086(s) || type == 3 || (type & 9) == 9;
}

static bool ss_is_stack(state_t *s)
{
	const struct vmx_segment *ss = &s->segments[SEGMENT_SS];

	return is_virtual_8086(s) || !is_usable(ss) || type_of(ss) == 3 ||
	       type_of(ss) == 7;
}

/* Accessed; and readable where it is code. */
static bool data_is_readable(state_t *s)
{
	for (int i = SEGMENT_ES; i <= SEGMENT_GS; i++) {
		const struct vmx_segment *segment = &s->segments[i];
		uint64_t type = type_of(segment);

		if (i == SEGMENT_CS || i == SEGMENT_SS || is_virtual_8086(s) ||
		    !is_usable(segment))
			continue;
		if (!(type & 1) || (type & 8 && !(type & 2)))
			return false;
	}
	return true;
}

static bool cs_privilege_fits(state_t *s)
{
	uint64_t cs = dpl_of(s, SEGMENT_CS), ss = dpl_of(s, SEGMENT_SS);

	if (is_virtual_8086(s))
		return true;
	switch (type_of(&s->segments[SEGMENT_CS])) {
	case 3:
		return cs == 0;
	case 9:
	case 11:
		return cs == ss;
	default:
		return cs <= ss;
	}
}

static bool ss_privilege_fits(state_t *s)
{
	bool must_be_0 = type_of(&s->segments[SEGMENT_CS]) == 3 ||
			 !(s->cr0 & CR0_PE);

	return is_virtual_8086(s) || !must_be_0 || dpl_of(s, SEGMENT_SS) == 0;
}

/* Whether @check holds for CS and all usable data segments. */
static bool each_segment(state_t *s,
			 bool (*check)(const struct vmx_segment *segment))
{
	for (int i = SEGMENT_ES; i <= SEGMENT_GS; i++)
		if ((i == SEGMENT_CS || is_usable(&s->segments[i])) &&
		    !check(&s->segments[i]))
			return false;
	return true;
}

static bool is_code_or_data(const struct vmx_segment *segment)
{
	return segment->rights & VMX_RIGHTS_S;
}

static bool is_present(const struct vmx_segment *segment)
{
	return segment->rights & VMX_RIGHTS_PRESENT;
}

static bool has_no_reserved(const struct vmx_segment *segment)
{
	return !(segment->rights & VMX_RIGHTS_RESERVED);
}

/* G must be clear where a low bit of the limit is, set where a high one is. */
static bool is_scaled(const struct vmx_segment *segment)
{
	bool granular = segment->rights & VMX_RIGHTS_GRANULAR;

	if ((segment->limit & 0xfff) != 0xfff && granular)
		return false;
	return !(segment->limit & BITS(31, 20)) || granular;
}

static bool segments_are_segments(state_t *s)
{
	return each_segment(s, is_code_or_data);
}

static bool segments_are_present(state_t *s)
{
	return each_segment(s, is_present);
}

static bool rights_are_clean(state_t *s)
{
	return each_segment(s, has_no_reserved);
}

static bool limits_are_scaled(state_t *s)
{
	return each_segment(s, is_scaled);
}

static bool long_code_is_not_big(state_t *s)
{
	uint32_t rights = s->segments[SEGMENT_CS].rights;

	return !is_ia32e(s) || !(rights & VMX_RIGHTS_LONG) ||
	       !(rights & VMX_RIGHTS_BIG);
}

static bool tr_is_busy(state_t *s)
{
	const struct vmx_segment *tr = &s->segments[SEGMENT_TR];

	return type_of(tr) == 11 || (!is_ia32e(s) && type_of(tr) == 3);
}

static bool is_whole_system(const struct vmx_segment *segment)
{
	return !is_code_or_data(segment) && is_present(segment) &&
	       has_no_reserved(segment) && is_scaled(segment);
}

static bool tr_is_whole(state_t *s)
{
	const struct vmx_segment *tr = &s->segments[SEGMENT_TR];

	return is_usable(tr) && is_whole_system(tr);
}

static bool ldtr_is_whole(state_t *s)
{
	const struct vmx_segment *ldtr = &s->segments[SEGMENT_LDTR];

	return !is_usable(ldtr) ||
	       (type_of(ldtr) == 2 && is_whole_system(ldtr));
}

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

static const struct rule {
	bool (*holds)(state_t *state);
	const char *broken;
} rules[] = {
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
	{ tr_is_global, "TR is in the LDT" },
	{ ldtr_is_global, "LDTR is in the LDT" },
	{ segments_are_8086, "a segment is not virtual-8086 mode's" },
	{ bases_are_canonical, "the base of TR, FS, GS or LDTR is not "
			       "canonical" },
	{ bases_are_short, "the base of CS, SS, DS or ES is above 4 GiB" },
	{ cs_is_code, "CS is not accessed code" },
	{ ss_is_stack, "SS is not accessed, writable data" },
	{ data_is_readable, "DS, ES, FS or GS is not accessed, readable" },
	{ segments_are_segments, "a segment has a system descriptor" },
	{ cs_privilege_fits, "the DPL of CS does not fit that of SS" },
	{ ss_privilege_fits, "the DPL of SS is not 0 in real mode" },
	{ segments_are_present, "a segment is usable but not present" },
	{ rights_are_clean, "a segment has reserved access rights" },
	{ long_code_is_not_big, "64-bit code with CS.D" },
	{ limits_are_scaled, "a segment's limit does not fit its G bit" },
	{ tr_is_busy, "TR is not a busy TSS of this mode" },
	{ tr_is_whole, "TR is unusable, absent or not a system segment" },
	{ ldtr_is_whole, "LDTR is usable but not a present LDT" },
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
	for (size_t i = 0; i < ARRAY_COUNT(rules); i++)
		if (!rules[i].holds(state))
			return rules[i].broken;
	return NULL;
}
