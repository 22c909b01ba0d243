/* SPDX-License-Identifier: MIT */
/* A failed entry: which field breaks which rule. */
#include "../registers.h"
#include "vmcs.h"
#include "vmx.h"
#include <mullion/log.h>

static void read_segments(struct vmx_entry_state *state)
{
	for (int i = 0; i < SEGMENT_COUNT; i++)
		state->segments[i] = (struct vmx_segment){
			.base = vmcs_read(VMCS_GUEST_BASE + 2 * i),
			.limit = vmcs_read(VMCS_GUEST_LIMIT + 2 * i),
			.rights = vmcs_read(VMCS_GUEST_RIGHTS + 2 * i),
			.selector = vmcs_read(VMCS_GUEST_SELECTOR + 2 * i),
		};
}

static void read_state(struct vmx_entry_state *state)
{
	const struct vmx_capabilities *have = &vmx_capabilities;

	*state = (struct vmx_entry_state){
		.cr0 = vmcs_read(VMCS_GUEST_CR0),
		.cr3 = vmcs_read(VMCS_GUEST_CR3),
		.cr4 = vmcs_read(VMCS_GUEST_CR4),
		.efer = vmcs_read(VMCS_GUEST_EFER),
		.pat = vmcs_read(VMCS_GUEST_PAT),
		.dr7 = vmcs_read(VMCS_GUEST_DR7),
		.debugctl = vmcs_read(VMCS_GUEST_DEBUGCTL),
		.sysenter_esp = vmcs_read(VMCS_GUEST_SYSENTER_ESP),
		.sysenter_eip = vmcs_read(VMCS_GUEST_SYSENTER_EIP),
		.rip = vmcs_read(VMCS_GUEST_RIP),
		.rflags = vmcs_read(VMCS_GUEST_RFLAGS),
		.pending_debug = vmcs_read(VMCS_PENDING_DEBUG),
		.link_pointer = vmcs_read(VMCS_LINK_POINTER),
		.gdt_base = vmcs_read(VMCS_GUEST_GDTR_BASE),
		.idt_base = vmcs_read(VMCS_GUEST_IDTR_BASE),
		.gdt_limit = vmcs_read(VMCS_GUEST_GDTR_LIMIT),
		.idt_limit = vmcs_read(VMCS_GUEST_IDTR_LIMIT),
		.activity = vmcs_read(VMCS_ACTIVITY),
		.interruptibility = vmcs_read(VMCS_INTERRUPTIBILITY),
		.entry_controls = vmcs_read(VMCS_ENTRY),
		.event = vmcs_read(VMCS_ENTRY_EVENT),
		.cr0_fixed0 = have->cr0_fixed0,
		.cr0_fixed1 = have->cr0_fixed1,
		.cr4_fixed0 = have->cr4_fixed0,
		.cr4_fixed1 = have->cr4_fixed1,
		.physical_bits = cpuid(0x80000008, 0).eax & 0xff,
	};
	for (int i = 0; i < 4; i++)
		state->pdptes[i] = vmcs_read(VMCS_GUEST_PDPTE + 2 * i);
	read_segments(state);
}

static void log_state(const struct vmx_entry_state *s)
{
	static const char *const names[] = { "ES", "CS", "SS",	 "DS",
					     "FS", "GS", "LDTR", "TR" };

	log_write("VMCS: CR0 %lx CR3 %lx CR4 %lx EFER %lx DR7 %lx", s->cr0,
		  s->cr3, s->cr4, s->efer, s->dr7);
	log_write("VMCS: RIP %lx RFLAGS %lx activity %x interruptibility %x "
		  "pending debug %lx",
		  s->rip, s->rflags, s->activity, s->interruptibility,
		  s->pending_debug);
	log_write("VMCS: entry controls %x event %x GDTR %lx/%x IDTR %lx/%x",
		  s->entry_controls, s->event, s->gdt_base, s->gdt_limit,
		  s->idt_base, s->idt_limit);
	for (int i = 0; i < SEGMENT_COUNT; i++)
		log_write("VMCS: %s %x base %lx limit %x rights %x", names[i],
			  s->segments[i].selector, s->segments[i].base,
			  s->segments[i].limit, s->segments[i].rights);
	log_write("VMCS: pin %lx processor %lx secondary %lx exit %lx",
		  vmcs_read(VMCS_PIN), vmcs_read(VMCS_PROCESSOR),
		  vmcs_read(VMCS_SECONDARY), vmcs_read(VMCS_EXIT));
}

const char *vmx_explain(void)
{
	struct vmx_entry_state state;

	read_state(&state);
	log_state(&state);
	return vmx_check_entry(&state);
}
