/* SPDX-License-Identifier: MIT */
/* Why a VM entry failed: the processor says only that it did. */
#ifndef VMX_CHECK_H
#define VMX_CHECK_H

#include <mullion/virt.h>
#include <stdint.h>

struct vmx_segment {
	uint64_t base;
	uint32_t limit, rights;
	uint16_t selector;
};

/* The guest-state area, and what decides how it is checked. */
struct vmx_entry_state {
	uint64_t cr0, cr3, cr4, efer, pat, dr7, debugctl;
	uint64_t sysenter_esp, sysenter_eip;
	uint64_t rip, rflags, pending_debug, link_pointer;
	uint64_t gdt_base, idt_base;
	uint32_t gdt_limit, idt_limit;
	uint32_t activity, interruptibility;
	uint32_t entry_controls, event;
	uint64_t pdptes[4];
	uint64_t cr0_fixed0, cr0_fixed1, cr4_fixed0, cr4_fixed1;
	uint32_t physical_bits;
	struct vmx_segment segments[SEGMENT_COUNT];
};

/*
 * vmx_check_entry - the first rule of VM entries that @state breaks
 *
 * Pure.  Returns it in words, or NULL where it breaks none that is known here.
 */
const char *vmx_check_entry(const struct vmx_entry_state *state);

#endif
