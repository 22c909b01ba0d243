/* SPDX-License-Identifier: MIT */
#include "vmx_controls.h"
#include "vmx_regs.h"
#include <mullion/log.h>
#include <string.h>

enum control_word { PIN, PROCESSOR, SECONDARY, EXIT, ENTRY, WORD_COUNT };
enum need { REQUIRED, WELCOME, UNWANTED };

static const struct wish {
	enum control_word word;
	enum need need;
	uint32_t bit;
	const char *words;
} wishes[] = {
	{ PIN, REQUIRED, VMX_PIN_INTERRUPT,
	  "VT-x without exits for external interrupts" },
	{ PIN, REQUIRED, VMX_PIN_NMI, "VT-x without exits for NMIs" },
	{ PIN, REQUIRED, VMX_PIN_VIRTUAL_NMI, "VT-x without virtual NMIs" },
	{ PROCESSOR, REQUIRED, VMX_PROCESSOR_SECONDARY,
	  "VT-x of the first generation, without secondary controls (no EPT)" },
	{ SECONDARY, REQUIRED, VMX_SECONDARY_EPT,
	  "VT-x without EPT (extended page tables)" },
	{ SECONDARY, REQUIRED, VMX_SECONDARY_UNRESTRICTED,
	  "VT-x without unrestricted guests (real mode)" },
	{ SECONDARY, REQUIRED, VMX_SECONDARY_WBINVD,
	  "VT-x without exits for WBINVD" },
	{ PROCESSOR, REQUIRED, VMX_PROCESSOR_HLT,
	  "VT-x without exits for HLT" },
	{ PROCESSOR, REQUIRED, VMX_PROCESSOR_MWAIT,
	  "VT-x without exits for MWAIT" },
	{ PROCESSOR, REQUIRED, VMX_PROCESSOR_MONITOR,
	  "VT-x without exits for MONITOR" },
	{ PROCESSOR, REQUIRED, VMX_PROCESSOR_RDPMC,
	  "VT-x without exits for RDPMC" },
	{ PROCESSOR, REQUIRED, VMX_PROCESSOR_TPR_SHADOW,
	  "VT-x without a TPR shadow" },
	{ PROCESSOR, REQUIRED, VMX_PROCESSOR_IO_BITMAPS,
	  "VT-x without I/O bitmaps" },
	{ PROCESSOR, REQUIRED, VMX_PROCESSOR_MSR_BITMAP,
	  "VT-x without MSR bitmaps" },
	{ EXIT, REQUIRED, VMX_EXIT_HOST_64, "VT-x without 64-bit hosts" },
	{ EXIT, REQUIRED, VMX_EXIT_SAVE_DEBUG,
	  "VT-x that does not save debug controls" },
	{ EXIT, REQUIRED, VMX_EXIT_LOAD_PAT, "VT-x that does not switch PAT" },
	{ EXIT, REQUIRED, VMX_EXIT_SAVE_EFER, "VT-x that does not save EFER" },
	{ EXIT, REQUIRED, VMX_EXIT_LOAD_EFER, "VT-x that does not load EFER" },
	{ ENTRY, REQUIRED, VMX_ENTRY_LOAD_DEBUG,
	  "VT-x that does not load debug controls" },
	{ ENTRY, REQUIRED, VMX_ENTRY_LOAD_PAT,
	  "VT-x that does not load the guest's PAT" },
	{ ENTRY, REQUIRED, VMX_ENTRY_LOAD_EFER,
	  "VT-x that does not load the guest's EFER" },
	/* Page tables are the guest's own matter with EPT. */
	{ PROCESSOR, UNWANTED, VMX_PROCESSOR_CR3_LOAD,
	  "VT-x that must exit for writes of CR3" },
	{ PROCESSOR, UNWANTED, VMX_PROCESSOR_CR3_STORE,
	  "VT-x that must exit for reads of CR3" },
	{ PIN, WELCOME, VMX_PIN_TIMER, NULL },
	{ SECONDARY, WELCOME, VMX_SECONDARY_VPID, NULL },
	{ SECONDARY, WELCOME, VMX_SECONDARY_INVPCID, NULL },
	{ SECONDARY, WELCOME, VMX_SECONDARY_ENCLS, NULL },
};

/* "IA32_VMX_EPT_VPID_CAP" and others: what must be set. */
static const char *missing_beside(const struct vmx_capabilities *have)
{
	uint64_t ept = have->ept_vpid;

	if (field_get(VMX_BASIC_SIZE, have->basic) > PAGE_SIZE)
		return "VT-x whose VMCS is larger than a page";
	if (field_get(VMX_BASIC_MEMORY_TYPE, have->basic) !=
	    VMX_MEMORY_WRITE_BACK)
		return "VT-x whose VMCS must not be in write-back memory";
	if (!(have->misc & VMX_MISC_STORES_LMA))
		return "VT-x that does not keep the guest's EFER.LMA";
	if (!(ept & VMX_EPT_WALK_4))
		return "EPT without tables of four levels";
	if (!(ept & VMX_EPT_WRITE_BACK))
		return "EPT whose tables must not be in write-back memory";
	if (!(ept & VMX_EPT_2M))
		return "EPT without pages of 2 MiB";
	if (!(ept & VMX_EPT_INVEPT) ||
	    !(ept & (VMX_EPT_INVEPT_SINGLE | VMX_EPT_INVEPT_ALL)))
		return "EPT without INVEPT";
	return NULL;
}

/* Of the capability's halves, the low one is forced, the high one allowed. */
static const char *fulfil(const uint64_t capability[WORD_COUNT],
			  uint32_t chosen[WORD_COUNT])
{
	for (int word = 0; word < WORD_COUNT; word++)
		chosen[word] = (uint32_t)capability[word];
	for (size_t i = 0; i < ARRAY_COUNT(wishes); i++) {
		const struct wish *wish = &wishes[i];
		uint32_t forced = (uint32_t)capability[wish->word];
		uint32_t allowed = capability[wish->word] >> 32;

		if (wish->need == UNWANTED) {
			if (forced & wish->bit)
				return wish->words;
			continue;
		}
		if (allowed & wish->bit)
			chosen[wish->word] |= wish->bit;
		else if (wish->need == REQUIRED)
			return wish->words;
	}
	return NULL;
}

/* VPIDs are worth having only when their mappings can be flushed. */
static bool vpid_is_usable(uint64_t ept_vpid)
{
	return ept_vpid & VMX_VPID_INVVPID &&
	       ept_vpid & (VMX_VPID_SINGLE | VMX_VPID_ALL);
}

enum error vmx_controls_choose(const struct vmx_capabilities *have,
			       struct vmx_controls *controls,
			       const char **words)
{
	const uint64_t capability[WORD_COUNT] = {
		[PIN] = have->pin,
		[PROCESSOR] = have->processor,
		[SECONDARY] = have->secondary,
		[EXIT] = have->exit,
		[ENTRY] = have->entry,
	};
	uint32_t chosen[WORD_COUNT];

	*words = fulfil(capability, chosen);
	if (!*words)
		*words = missing_beside(have);
	if (*words)
		return ERR_UNSUPPORTED;
	if (!vpid_is_usable(have->ept_vpid))
		chosen[SECONDARY] &= ~VMX_SECONDARY_VPID;
	*controls = (struct vmx_controls){
		.pin = chosen[PIN] & ~VMX_PIN_TIMER,
		.processor = chosen[PROCESSOR],
		.secondary = chosen[SECONDARY],
		.exit = chosen[EXIT],
		.entry = chosen[ENTRY],
		.large_1g = have->ept_vpid & VMX_EPT_1G,
		.vpid = chosen[SECONDARY] & VMX_SECONDARY_VPID,
		.invvpid_single = have->ept_vpid & VMX_VPID_SINGLE,
		.invept_single = have->ept_vpid & VMX_EPT_INVEPT_SINGLE,
		.interrupts = !(VMX_SECONDARY_X2APIC_ALL &
				~(have->secondary >> 32)),
		.timer = chosen[PIN] & VMX_PIN_TIMER,
		.timer_shift = field_get(VMX_MISC_TIMER_SHIFT, have->misc),
	};
	return ERR_NONE;
}

size_t vmx_controls_describe(const struct vmx_capabilities *have,
			     const struct vmx_controls *controls, char *to,
			     size_t room)
{
	const uint32_t secondary = have->secondary >> 32;
	const struct {
		bool is_there;
		const char *name;
	} parts[] = {
		{ controls->large_1g, ", 1 GiB pages" },
		{ controls->vpid, ", VPID" },
		{ controls->timer, ", preemption timer" },
		{ controls->interrupts,
		  ", x2APIC and virtual-interrupt delivery" },
		{ have->pin >> 32 & VMX_PIN_POSTED,
		  ", posted interrupts (not used)" },
		{ secondary & VMX_SECONDARY_PML,
		  ", page-modification log (not used)" },
		{ have->ept_vpid & VMX_EPT_ACCESSED_DIRTY,
		  ", accessed and dirty flags (not used)" },
	};
	size_t length = format_text(to, room, "EPT with 2 MiB pages");

	for (size_t i = 0; i < ARRAY_COUNT(parts); i++)
		if (parts[i].is_there)
			length += format_text(to + length, room - length, "%s",
					      parts[i].name);
	return length;
}
