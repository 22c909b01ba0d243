/* SPDX-License-Identifier: MIT */
/* Each rule of VM entries: a guest that keeps all of them, and one change
 * that breaks it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arch/x86/registers.h>
#include <arch/x86/vmx/vmx_check.h>
#include <arch/x86/vmx/vmx_regs.h>
#include <cmocka.h>

typedef struct vmx_entry_state state_t;

#define INTERRUPT (VMX_EVENT_VALID | 0x50)
#define NMI (VMX_EVENT_VALID | VMX_TYPE_NMI << 8 | 2)

static state_t long_mode(void)
{
	static const struct vmx_segment data = { .limit = ~0u,
						 .rights = 0xc093 };

	return (state_t){
		.cr0 = 0x80000031, .cr3 = 0x1000, .cr4 = 0x2020,
		.efer = EFER_LME | EFER_LMA, .pat = 0x0007040600070406,
		.dr7 = 0x400, .rip = 0xffffffff81000000,
		.rflags = RFLAGS_FIXED | RFLAGS_IF, .link_pointer = ~0ull,
		.gdt_limit = 0xffff, .idt_limit = 0xfff,
		.entry_controls = VMX_ENTRY_IA32E,
		.cr0_fixed0 = 0x80000021, .cr0_fixed1 = 0xffffffff,
		.cr4_fixed0 = 0x2000, .cr4_fixed1 = 0x3727ff,
		.physical_bits = 40,
		.segments = {
			[SEGMENT_ES] = data, [SEGMENT_SS] = data,
			[SEGMENT_DS] = data, [SEGMENT_FS] = data,
			[SEGMENT_GS] = data,
			[SEGMENT_CS] = { .limit = ~0u, .rights = 0xa09b },
			[SEGMENT_LDTR] = { .rights = VMX_RIGHTS_UNUSABLE },
			[SEGMENT_TR] = { .limit = 0x67, .rights = 0x8b },
		},
	};
}

static state_t real_mode(void)
{
	state_t s = long_mode();

	s.cr0 = 0x30;
	s.cr3 = 0;
	s.cr4 = 0x2000;
	s.efer = 0;
	s.entry_controls = 0;
	s.rip = 0xfff0;
	for (int i = SEGMENT_ES; i <= SEGMENT_GS; i++)
		s.segments[i] = (struct vmx_segment){ .limit = 0xffff,
						      .rights = 0x93 };
	s.segments[SEGMENT_CS].base = 0xffff0000;
	s.segments[SEGMENT_LDTR] = (struct vmx_segment){ .limit = 0xffff,
							 .rights = 0x82 };
	return s;
}

/* Protected mode with PAE paging. */
static state_t pae_mode(void)
{
	state_t s = long_mode();

	s.efer = 0;
	s.entry_controls = 0;
	s.rip = 0xc0100000;
	s.segments[SEGMENT_CS].rights = 0xc09b;
	s.segments[SEGMENT_TR].rights = 0x83; /* a 16-bit TSS may be, here */
	s.pdptes[0] = 0x2001;
	return s;
}

static state_t virtual_8086_mode(void)
{
	state_t s = pae_mode();

	s.rflags |= RFLAGS_VM;
	s.rip = 0x7c00;
	for (uint16_t i = SEGMENT_ES; i <= SEGMENT_GS; i++)
		s.segments[i] = (struct vmx_segment){ .selector = 0x1000,
						      .base = 0x10000,
						      .limit = 0xffff,
						      .rights = 0xf3 };
	return s;
}

static void modes_of_guests_pass(void **state)
{
	state_t modes[] = { long_mode(), real_mode(), pae_mode(),
			    virtual_8086_mode() };

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(modes); i++)
		assert_null(vmx_check_entry(&modes[i]));
}

static void what_is_allowed_passes(void **state)
{
	state_t s = long_mode();

	(void)state;
	/* 64-bit user mode, in the shadow of STI, stepped. */
	s.segments[SEGMENT_CS].rights = 0xa0fb;
	s.segments[SEGMENT_SS].rights = 0xc0f3;
	s.rflags |= RFLAGS_TF;
	s.interruptibility = VMX_BLOCKED_BY_STI;
	s.pending_debug = VMX_PENDING_SINGLE_STEP;
	/* An unusable segment may hold anything. */
	s.segments[SEGMENT_ES] = (struct vmx_segment){
		.base = 1ull << 40,
		.limit = 0x12345678,
		.rights = VMX_RIGHTS_UNUSABLE
	};
	s.cr4 |= CR4_PCIDE;
	s.event = VMX_EVENT_VALID | VMX_TYPE_EXCEPTION << 8 | 14;
	assert_null(vmx_check_entry(&s));

	/* Conforming code of the same level; code that can be read as data. */
	s = long_mode();
	s.segments[SEGMENT_CS].rights = 0xa09f;
	s.segments[SEGMENT_DS].rights = 0xc09b;
	s.activity = 3;
	assert_null(vmx_check_entry(&s));

	/* Without PAE nobody looks at the PDPTEs. */
	s = pae_mode();
	s.cr4 &= ~CR4_PAE;
	s.pdptes[0] = ~0ull;
	assert_null(vmx_check_entry(&s));

	s = long_mode();
	s.event = INTERRUPT;
	s.interruptibility = VMX_BLOCKED_BY_NMI;
	s.activity = 1;
	assert_null(vmx_check_entry(&s));
}

/* A function that makes one change to a state that is right. */
#define CHANGE(name, change) \
	static void name(state_t *s) \
	{ \
		change; \
	}
#define SEGMENT(name) s->segments[SEGMENT_##name]

CHANGE(clear_ne, s->cr0 &= ~CR0_NE)
CHANGE(set_cr0_high, s->cr0 |= BIT(32))
CHANGE(clear_pe, s->cr0 &= ~CR0_PE)
CHANGE(clear_vmxe, s->cr4 &= ~CR4_VMXE)
CHANGE(set_cr4_high, s->cr4 |= BIT(22))
CHANGE(set_debugctl, s->debugctl = BIT(3))
CHANGE(clear_pg, s->cr0 &= ~CR0_PG)
CHANGE(clear_pae, s->cr4 &= ~CR4_PAE)
CHANGE(set_pcide, s->cr4 |= CR4_PCIDE)
CHANGE(widen_cr3, s->cr3 |= BIT(40))
CHANGE(widen_dr7, s->dr7 |= BIT(32))
CHANGE(bend_sysenter_esp, s->sysenter_esp = BIT(47))
CHANGE(bend_sysenter_eip, s->sysenter_eip = BIT(47))
CHANGE(spoil_pat_2, s->pat = 0x0007040600070402)
CHANGE(spoil_pat_9, s->pat = 0x0907040600070406)
CHANGE(set_efer, s->efer |= EFER_SVME)
CHANGE(clear_lma, s->efer &= ~EFER_LMA)
CHANGE(set_lma, s->efer |= EFER_LMA)
CHANGE(clear_lme, s->efer &= ~EFER_LME)
CHANGE(set_lme, s->efer |= EFER_LME)
CHANGE(local_tr, SEGMENT(TR).selector = 4)
CHANGE(local_ldtr, SEGMENT(LDTR).selector = 4)
CHANGE(bend_8086_base, SEGMENT(DS).base = 0x10010)
CHANGE(bend_8086_limit, SEGMENT(GS).limit = 0xfffff)
CHANGE(bend_8086_rights, SEGMENT(ES).rights = 0x93)
CHANGE(bend_fs, SEGMENT(FS).base = BIT(47))
CHANGE(bend_tr, SEGMENT(TR).base = BIT(47))
CHANGE(bend_ldtr, SEGMENT(LDTR).base = BIT(47))
CHANGE(raise_cs, SEGMENT(CS).base = BIT(32))
CHANGE(raise_ds, SEGMENT(DS).base = BIT(32))
CHANGE(cs_data, SEGMENT(CS).rights = 0xc091)
CHANGE(cs_fresh, SEGMENT(CS).rights = 0xa09a)
CHANGE(ds_execute_only, SEGMENT(DS).rights = 0xc099)
CHANGE(ss_read_only, SEGMENT(SS).rights = 0xc091)
CHANGE(ds_fresh, SEGMENT(DS).rights = 0xc092)
CHANGE(gs_execute_only, SEGMENT(GS).rights = 0xc099)
CHANGE(ds_system, SEGMENT(DS).rights &= ~VMX_RIGHTS_S)
CHANGE(cs_user, SEGMENT(CS).rights = 0xa0fb)
CHANGE(cs_conforming_user, SEGMENT(CS).rights = 0xa0ff)
CHANGE(real_cs_user, SEGMENT(CS).rights = 0xf3)
CHANGE(real_ss_user, SEGMENT(SS).rights = 0xf3)
CHANGE(cs_absent, SEGMENT(CS).rights &= ~VMX_RIGHTS_PRESENT)
CHANGE(fs_absent, SEGMENT(FS).rights &= ~VMX_RIGHTS_PRESENT)
CHANGE(fs_reserved, SEGMENT(FS).rights |= BIT(8))
CHANGE(cs_big, SEGMENT(CS).rights |= VMX_RIGHTS_BIG)
CHANGE(limit_not_pages, SEGMENT(CS).limit = 0xffff0000)
CHANGE(limit_not_bytes, SEGMENT(CS).rights &= ~VMX_RIGHTS_GRANULAR)
CHANGE(tr_free, SEGMENT(TR).rights = 0x89)
CHANGE(tr_short, SEGMENT(TR).rights = 0x83)
CHANGE(tr_unusable, SEGMENT(TR).rights |= VMX_RIGHTS_UNUSABLE)
CHANGE(tr_absent, SEGMENT(TR).rights &= ~VMX_RIGHTS_PRESENT)
CHANGE(tr_code, SEGMENT(TR).rights |= VMX_RIGHTS_S)
CHANGE(tr_limit, SEGMENT(TR).limit = 0x100000)
CHANGE(ldtr_tss, SEGMENT(LDTR).rights = 0x8b)
CHANGE(ldtr_absent, SEGMENT(LDTR).rights = 0x02)
CHANGE(bend_gdt, s->gdt_base = BIT(47))
CHANGE(bend_idt, s->idt_base = BIT(47))
CHANGE(widen_gdt, s->gdt_limit = 0x10000)
CHANGE(widen_idt, s->idt_limit = 0x10000)
CHANGE(raise_rip, s->rip = BIT(32))
CHANGE(leave_long_code, SEGMENT(CS).rights = 0xc09b)
CHANGE(bend_rip, s->rip = BIT(47))
CHANGE(rflags_3, s->rflags |= BIT(3))
CHANGE(rflags_22, s->rflags |= BIT(22))
CHANGE(rflags_1, s->rflags &= ~RFLAGS_FIXED)
CHANGE(inject_masked, s->event = INTERRUPT; s->rflags = RFLAGS_FIXED)
CHANGE(activity_4, s->activity = 4)
CHANGE(halt_user, s->activity = 1; SEGMENT(CS).rights = 0xa0fb;
       SEGMENT(SS).rights = 0xc0f3)
CHANGE(halt_in_shadow, s->activity = 1;
       s->interruptibility = VMX_BLOCKED_BY_STI)
CHANGE(block_smi, s->interruptibility = VMX_BLOCKED_BY_SMI)
CHANGE(interruptibility_5, s->interruptibility = BIT(5))
CHANGE(both_shadows, s->interruptibility = VMX_SHADOW)
CHANGE(sti_without_if, s->interruptibility = VMX_BLOCKED_BY_STI;
       s->rflags = RFLAGS_FIXED)
CHANGE(inject_in_shadow, s->event = INTERRUPT;
       s->interruptibility = VMX_BLOCKED_BY_MOV_SS)
CHANGE(nmi_in_shadow, s->event = NMI;
       s->interruptibility = VMX_BLOCKED_BY_MOV_SS)
CHANGE(nmi_in_nmi, s->event = NMI; s->interruptibility = VMX_BLOCKED_BY_NMI)
CHANGE(step_forgotten, s->rflags |= RFLAGS_TF;
       s->interruptibility = VMX_BLOCKED_BY_STI)
CHANGE(step_invented, s->pending_debug = VMX_PENDING_SINGLE_STEP;
       s->interruptibility = VMX_BLOCKED_BY_STI)
CHANGE(link, s->link_pointer = 0)
CHANGE(pdpte_reserved, s->pdptes[0] |= BIT(1))
CHANGE(pdpte_wide, s->pdptes[3] = BIT(40) | 1)

static const struct mistake {
	state_t (*from)(void);
	void (*change)(state_t *state);
	const char *words;
} mistakes[] = {
	{ long_mode, clear_ne, "CR0 lacks a bit that VMX operation needs" },
	{ real_mode, clear_ne, "CR0 lacks a bit that VMX operation needs" },
	{ long_mode, set_cr0_high, "CR0 has a bit that VMX operation forbids" },
	{ long_mode, clear_pe, "CR0.PG is set without CR0.PE" },
	{ long_mode, clear_vmxe, "CR4 lacks a bit that VMX operation needs" },
	{ long_mode, set_cr4_high, "CR4 has a bit that VMX operation forbids" },
	{ long_mode, set_debugctl, "IA32_DEBUGCTL has a reserved bit" },
	{ long_mode, clear_pg, "IA-32e mode without CR0.PG and CR4.PAE" },
	{ long_mode, clear_pae, "IA-32e mode without CR0.PG and CR4.PAE" },
	{ real_mode, set_pcide, "CR4.PCIDE is set outside IA-32e mode" },
	{ long_mode, widen_cr3, "CR3 is wider than a physical address" },
	{ long_mode, widen_dr7, "DR7 has a bit above 31" },
	{ long_mode, bend_sysenter_esp, "a SYSENTER address is not canonical" },
	{ long_mode, bend_sysenter_eip, "a SYSENTER address is not canonical" },
	{ long_mode, spoil_pat_2, "PAT holds a memory type that there is not" },
	{ long_mode, spoil_pat_9, "PAT holds a memory type that there is not" },
	{ long_mode, set_efer, "EFER has a reserved bit" },
	{ long_mode, clear_lma,
	  "EFER.LMA is not as the control IA-32e mode guest" },
	{ real_mode, set_lma,
	  "EFER.LMA is not as the control IA-32e mode guest" },
	{ long_mode, clear_lme, "EFER.LMA and LME differ while paging is on" },
	{ pae_mode, set_lme, "EFER.LMA and LME differ while paging is on" },
	{ long_mode, local_tr, "TR is in the LDT" },
	{ real_mode, local_ldtr, "LDTR is in the LDT" },
	{ virtual_8086_mode, bend_8086_base,
	  "a segment is not virtual-8086 mode's" },
	{ virtual_8086_mode, bend_8086_limit,
	  "a segment is not virtual-8086 mode's" },
	{ virtual_8086_mode, bend_8086_rights,
	  "a segment is not virtual-8086 mode's" },
	{ long_mode, bend_fs,
	  "the base of TR, FS, GS or LDTR is not canonical" },
	{ long_mode, bend_tr,
	  "the base of TR, FS, GS or LDTR is not canonical" },
	{ real_mode, bend_ldtr,
	  "the base of TR, FS, GS or LDTR is not canonical" },
	{ long_mode, raise_cs, "the base of CS, SS, DS or ES is above 4 GiB" },
	{ long_mode, raise_ds, "the base of CS, SS, DS or ES is above 4 GiB" },
	{ long_mode, cs_data, "CS is not accessed code" },
	{ long_mode, cs_fresh, "CS is not accessed code" },
	{ long_mode, ss_read_only, "SS is not accessed, writable data" },
	{ long_mode, ds_fresh, "DS, ES, FS or GS is not accessed, readable" },
	{ long_mode, ds_execute_only,
	  "DS, ES, FS or GS is not accessed, readable" },
	{ long_mode, gs_execute_only,
	  "DS, ES, FS or GS is not accessed, readable" },
	{ long_mode, ds_system, "a segment has a system descriptor" },
	{ long_mode, cs_user, "the DPL of CS does not fit that of SS" },
	{ long_mode, cs_conforming_user,
	  "the DPL of CS does not fit that of SS" },
	{ real_mode, real_cs_user, "the DPL of CS does not fit that of SS" },
	{ real_mode, real_ss_user, "the DPL of SS is not 0 in real mode" },
	{ long_mode, cs_absent, "a segment is usable but not present" },
	{ long_mode, fs_absent, "a segment is usable but not present" },
	{ long_mode, fs_reserved, "a segment has reserved access rights" },
	{ long_mode, cs_big, "64-bit code with CS.D" },
	{ long_mode, limit_not_pages,
	  "a segment's limit does not fit its G bit" },
	{ long_mode, limit_not_bytes,
	  "a segment's limit does not fit its G bit" },
	{ long_mode, tr_free, "TR is not a busy TSS of this mode" },
	{ long_mode, tr_short, "TR is not a busy TSS of this mode" },
	{ long_mode, tr_unusable,
	  "TR is unusable, absent or not a system segment" },
	{ long_mode, tr_absent,
	  "TR is unusable, absent or not a system segment" },
	{ long_mode, tr_code,
	  "TR is unusable, absent or not a system segment" },
	{ long_mode, tr_limit,
	  "TR is unusable, absent or not a system segment" },
	{ real_mode, ldtr_tss, "LDTR is usable but not a present LDT" },
	{ real_mode, ldtr_absent, "LDTR is usable but not a present LDT" },
	{ long_mode, bend_gdt, "the base of GDTR or IDTR is not canonical" },
	{ long_mode, bend_idt, "the base of GDTR or IDTR is not canonical" },
	{ long_mode, widen_gdt, "the limit of GDTR or IDTR is above 65535" },
	{ long_mode, widen_idt, "the limit of GDTR or IDTR is above 65535" },
	{ pae_mode, raise_rip, "RIP is above 4 GiB outside 64-bit code" },
	{ long_mode, leave_long_code,
	  "RIP is above 4 GiB outside 64-bit code" },
	{ long_mode, bend_rip, "RIP is not canonical" },
	{ long_mode, rflags_3, "RFLAGS has a reserved bit, or lacks bit 1" },
	{ long_mode, rflags_22, "RFLAGS has a reserved bit, or lacks bit 1" },
	{ long_mode, rflags_1, "RFLAGS has a reserved bit, or lacks bit 1" },
	{ long_mode, inject_masked,
	  "an interrupt is injected with RFLAGS.IF clear" },
	{ long_mode, activity_4, "there is no such activity state" },
	{ long_mode, halt_user, "halted with the DPL of SS not 0" },
	{ long_mode, halt_in_shadow, "halted in the shadow of STI or MOV SS" },
	{ long_mode, block_smi,
	  "SMIs are blocked, or a reserved bit of "
	  "interruptibility is set" },
	{ long_mode, interruptibility_5,
	  "SMIs are blocked, or a reserved bit of interruptibility is set" },
	{ long_mode, both_shadows, "in the shadow of both STI and MOV SS" },
	{ long_mode, sti_without_if,
	  "in the shadow of STI with RFLAGS.IF clear" },
	{ long_mode, inject_in_shadow,
	  "an interrupt is injected in the shadow of STI or MOV SS" },
	{ long_mode, nmi_in_shadow,
	  "an NMI is injected while NMIs are blocked" },
	{ long_mode, nmi_in_nmi, "an NMI is injected while NMIs are blocked" },
	{ long_mode, step_forgotten,
	  "the pending single step is not as RFLAGS.TF" },
	{ long_mode, step_invented,
	  "the pending single step is not as RFLAGS.TF" },
	{ long_mode, link, "the VMCS link pointer is not all ones" },
	{ pae_mode, pdpte_reserved, "a PDPTE has a reserved bit" },
	{ pae_mode, pdpte_wide, "a PDPTE has a reserved bit" },
};

static void each_broken_rule_is_named(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(mistakes); i++) {
		state_t s = mistakes[i].from();
		const char *words;

		mistakes[i].change(&s);
		words = vmx_check_entry(&s);
		if (!words)
			fail_msg("not noticed: %s", mistakes[i].words);
		assert_string_equal(words, mistakes[i].words);
	}
}

/* A rule that another hides, unless two things are changed. */
static void rules_that_others_hide_are_named(void **state)
{
	state_t s = virtual_8086_mode();

	(void)state;
	s.cr0 = 0x30;
	assert_string_equal(vmx_check_entry(&s),
			    "RFLAGS.VM in real or IA-32e mode");
	s = virtual_8086_mode();
	s.efer = EFER_LME | EFER_LMA;
	s.entry_controls = VMX_ENTRY_IA32E;
	s.segments[SEGMENT_TR].rights = 0x8b;
	assert_string_equal(vmx_check_entry(&s),
			    "RFLAGS.VM in real or IA-32e mode");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(modes_of_guests_pass),
		cmocka_unit_test(what_is_allowed_passes),
		cmocka_unit_test(each_broken_rule_is_named),
		cmocka_unit_test(rules_that_others_hide_are_named),
	};

	return cmocka_run_group_tests_name("vmx_check", tests, NULL, NULL);
}
