/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arch/x86/vmx/vmx_controls.h>
#include <arch/x86/vmx/vmx_regs.h>
#include <cmocka.h>
#include <mullion/log.h>
#include <string.h>

/* Bochs 2.7's corei7_skylake_x. */
static const struct vmx_capabilities skylake = {
	.basic = 0x00d810000000002b,
	.pin = 0x0000007f00000016,
	.processor = 0xf7f9fffe04006172,
	.secondary = 0x02177fff00000000,
	.exit = 0x007fffff00036dfb,
	.entry = 0x0000ffff000011fb,
	.misc = 0x600401e0,
	.ept_vpid = 0x00000f0106334141,
};

static const char *complaint(const struct vmx_capabilities *have)
{
	struct vmx_controls controls;
	const char *words;

	if (vmx_controls_choose(have, &controls, &words) == ERR_NONE) {
		assert_null(words);
		return NULL;
	}
	assert_non_null(words);
	return words;
}

static struct vmx_controls choose(const struct vmx_capabilities *have)
{
	struct vmx_controls controls;
	const char *words;

	assert_int_equal(vmx_controls_choose(have, &controls, &words),
			 ERR_NONE);
	return controls;
}

static void a_whole_processor_is_taken(void **state)
{
	struct vmx_controls controls = choose(&skylake);

	(void)state;
	/* The timer is switched on where there is a deadline. */
	assert_int_equal(controls.pin, 0x16 | VMX_PIN_INTERRUPT | VMX_PIN_NMI |
					       VMX_PIN_VIRTUAL_NMI);
	assert_int_equal(
		controls.processor,
		0x04006172 | VMX_PROCESSOR_HLT | VMX_PROCESSOR_MWAIT |
			VMX_PROCESSOR_RDPMC | VMX_PROCESSOR_TPR_SHADOW |
			VMX_PROCESSOR_IO_BITMAPS | VMX_PROCESSOR_MSR_BITMAP |
			VMX_PROCESSOR_MONITOR | VMX_PROCESSOR_SECONDARY);
	assert_int_equal(
		controls.secondary,
		VMX_SECONDARY_EPT | VMX_SECONDARY_VPID | VMX_SECONDARY_WBINVD |
			VMX_SECONDARY_UNRESTRICTED | VMX_SECONDARY_INVPCID);
	assert_int_equal(controls.exit,
			 0x36dfb | VMX_EXIT_SAVE_DEBUG | VMX_EXIT_HOST_64 |
				 VMX_EXIT_LOAD_PAT | VMX_EXIT_SAVE_EFER |
				 VMX_EXIT_LOAD_EFER);
	assert_int_equal(controls.entry, 0x11fb | VMX_ENTRY_LOAD_DEBUG |
						 VMX_ENTRY_LOAD_PAT |
						 VMX_ENTRY_LOAD_EFER);
	assert_true(controls.vpid && controls.timer && controls.large_1g);
	assert_true(controls.interrupts);
	assert_true(controls.invept_single && controls.invvpid_single);
	assert_int_equal(controls.timer_shift, 0);
}

static void what_is_welcome_may_be_missing(void **state)
{
	struct vmx_capabilities have = skylake;
	struct vmx_controls controls;

	(void)state;
	have.pin &= ~(VMX_PIN_TIMER << 32);
	have.secondary &= ~((VMX_SECONDARY_VPID | VMX_SECONDARY_INVPCID) << 32);
	have.ept_vpid &= ~(VMX_EPT_1G | VMX_EPT_INVEPT_SINGLE |
			   VMX_VPID_SINGLE);
	controls = choose(&have);
	assert_false(controls.timer || controls.vpid || controls.large_1g ||
		     controls.invept_single || controls.invvpid_single);
	assert_false(controls.secondary & VMX_SECONDARY_INVPCID);
	have = skylake;
	have.misc |= 5;
	have.secondary |= VMX_SECONDARY_ENCLS << 32;
	controls = choose(&have);
	assert_int_equal(controls.timer_shift, 5);
	assert_true(controls.secondary & VMX_SECONDARY_ENCLS);
}

/* The local APIC is the processor's as a whole, or not at all. */
static void interrupts_are_delivered_with_all_of_it(void **state)
{
	static const uint32_t parts[] = { VMX_SECONDARY_X2APIC,
					  VMX_SECONDARY_APIC_REGISTERS,
					  VMX_SECONDARY_INTERRUPTS };
	struct vmx_capabilities have;

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(parts); i++) {
		have = skylake;
		have.secondary &= ~((uint64_t)parts[i] << 32);
		assert_false(choose(&have).interrupts);
	}
}

/* A VPID whose mappings cannot be flushed is not used. */
static void vpids_need_invvpid(void **state)
{
	struct vmx_capabilities have = skylake;

	(void)state;
	have.ept_vpid &= ~VMX_VPID_INVVPID;
	assert_false(choose(&have).vpid);
	assert_false(choose(&have).secondary & VMX_SECONDARY_VPID);
	have = skylake;
	have.ept_vpid &= ~(VMX_VPID_SINGLE | VMX_VPID_ALL);
	assert_false(choose(&have).vpid);
	have.ept_vpid |= VMX_VPID_ALL;
	assert_true(choose(&have).vpid);
}

static const struct {
	size_t offset;
	uint64_t bits;
	const char *words;
} missing[] = {
#define OF(member) offsetof(struct vmx_capabilities, member)
	{ OF(pin), VMX_PIN_INTERRUPT << 32,
	  "VT-x without exits for external interrupts" },
	{ OF(pin), VMX_PIN_NMI << 32, "VT-x without exits for NMIs" },
	{ OF(pin), VMX_PIN_VIRTUAL_NMI << 32, "VT-x without virtual NMIs" },
	{ OF(processor), VMX_PROCESSOR_SECONDARY << 32,
	  "VT-x of the first generation, without secondary controls "
	  "(no EPT)" },
	{ OF(secondary), VMX_SECONDARY_EPT << 32,
	  "VT-x without EPT (extended page tables)" },
	{ OF(secondary), VMX_SECONDARY_UNRESTRICTED << 32,
	  "VT-x without unrestricted guests (real mode)" },
	{ OF(secondary), VMX_SECONDARY_WBINVD << 32,
	  "VT-x without exits for WBINVD" },
	{ OF(processor), VMX_PROCESSOR_HLT << 32,
	  "VT-x without exits for HLT" },
	{ OF(processor), VMX_PROCESSOR_MWAIT << 32,
	  "VT-x without exits for MWAIT" },
	{ OF(processor), VMX_PROCESSOR_MONITOR << 32,
	  "VT-x without exits for MONITOR" },
	{ OF(processor), VMX_PROCESSOR_RDPMC << 32,
	  "VT-x without exits for RDPMC" },
	{ OF(processor), VMX_PROCESSOR_TPR_SHADOW << 32,
	  "VT-x without a TPR shadow" },
	{ OF(processor), VMX_PROCESSOR_IO_BITMAPS << 32,
	  "VT-x without I/O bitmaps" },
	{ OF(processor), VMX_PROCESSOR_MSR_BITMAP << 32,
	  "VT-x without MSR bitmaps" },
	{ OF(exit), VMX_EXIT_HOST_64 << 32, "VT-x without 64-bit hosts" },
	{ OF(exit), VMX_EXIT_SAVE_DEBUG << 32,
	  "VT-x that does not save debug controls" },
	{ OF(exit), VMX_EXIT_LOAD_PAT << 32, "VT-x that does not switch PAT" },
	{ OF(exit), VMX_EXIT_SAVE_EFER << 32, "VT-x that does not save EFER" },
	{ OF(exit), VMX_EXIT_LOAD_EFER << 32, "VT-x that does not load EFER" },
	{ OF(entry), VMX_ENTRY_LOAD_DEBUG << 32,
	  "VT-x that does not load debug controls" },
	{ OF(entry), VMX_ENTRY_LOAD_PAT << 32,
	  "VT-x that does not load the guest's PAT" },
	{ OF(entry), VMX_ENTRY_LOAD_EFER << 32,
	  "VT-x that does not load the guest's EFER" },
	{ OF(misc), VMX_MISC_STORES_LMA,
	  "VT-x that does not keep the guest's EFER.LMA" },
	{ OF(basic), VMX_BASIC_MEMORY_TYPE,
	  "VT-x whose VMCS must not be in write-back memory" },
	{ OF(ept_vpid), VMX_EPT_WALK_4, "EPT without tables of four levels" },
	{ OF(ept_vpid), VMX_EPT_WRITE_BACK,
	  "EPT whose tables must not be in write-back memory" },
	{ OF(ept_vpid), VMX_EPT_2M, "EPT without pages of 2 MiB" },
	{ OF(ept_vpid), VMX_EPT_INVEPT, "EPT without INVEPT" },
	{ OF(ept_vpid), VMX_EPT_INVEPT_SINGLE | VMX_EPT_INVEPT_ALL,
	  "EPT without INVEPT" },
#undef OF
};

static void what_is_missing_is_named(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(missing); i++) {
		struct vmx_capabilities have = skylake;

		*(uint64_t *)((char *)&have +
			      missing[i].offset) &= ~missing[i].bits;
		if (!complaint(&have))
			fail_msg("not missed: %s", missing[i].words);
		assert_string_equal(complaint(&have), missing[i].words);
	}
}

/* Processors without the true control MSRs force these. */
static void exits_for_cr3_must_not_be_forced(void **state)
{
	struct vmx_capabilities have = skylake;

	(void)state;
	have.processor |= VMX_PROCESSOR_CR3_LOAD;
	assert_string_equal(complaint(&have),
			    "VT-x that must exit for writes of CR3");
	have = skylake;
	have.processor |= VMX_PROCESSOR_CR3_STORE;
	assert_string_equal(complaint(&have),
			    "VT-x that must exit for reads of CR3");
	have = skylake;
	have.basic += 1ull << 32; /* a VMCS of 4097 bytes */
	assert_string_equal(complaint(&have),
			    "VT-x whose VMCS is larger than a page");
}

static void what_is_there_is_described(void **state)
{
	struct vmx_capabilities have = skylake;
	struct vmx_controls controls = choose(&have);
	char text[LOG_LINE_MAX], small[16];
	size_t length;

	(void)state;
	length = vmx_controls_describe(&have, &controls, text, sizeof text);
	assert_int_equal(length, strlen(text));
	assert_string_equal(text,
			    "EPT with 2 MiB pages, 1 GiB pages, VPID, "
			    "preemption timer, x2APIC and virtual-interrupt "
			    "delivery, page-modification log (not used), "
			    "accessed and dirty flags (not used)");
	have.pin |= VMX_PIN_POSTED << 32;
	vmx_controls_describe(&have, &controls, text, sizeof text);
	assert_non_null(strstr(text, ", posted interrupts (not used)"));
	vmx_controls_describe(&have, &controls, small, sizeof small);
	assert_string_equal(small, "EPT with 2 MiB ");
	memset(&controls, 0, sizeof controls);
	memset(&have, 0, sizeof have);
	vmx_controls_describe(&have, &controls, text, sizeof text);
	assert_string_equal(text, "EPT with 2 MiB pages");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_whole_processor_is_taken),
		cmocka_unit_test(what_is_welcome_may_be_missing),
		cmocka_unit_test(interrupts_are_delivered_with_all_of_it),
		cmocka_unit_test(vpids_need_invvpid),
		cmocka_unit_test(what_is_missing_is_named),
		cmocka_unit_test(exits_for_cr3_must_not_be_forced),
		cmocka_unit_test(what_is_there_is_described),
	};

	return cmocka_run_group_tests_name("vmx_controls", tests, NULL, NULL);
}
