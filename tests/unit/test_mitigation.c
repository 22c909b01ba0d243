/* SPDX-License-Identifier: MIT */
/* What is chosen for processors of each generation, with and without newer
 * microcode: the bits that matter here, as the makers document them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arch/x86/mitigation.h>
#include <cmocka.h>
#include <mullion/bits.h>
#include <string.h>

#define INTEL "GenuineIntel"
#define AMD "AuthenticAMD"
#define HYGON "HygonGenuine"

/* Leaf 7 EDX: MD_CLEAR, IBRS and IBPB, STIBP, L1D_FLUSH, SSBD; bit 29 says
 * that there is IA32_ARCH_CAPABILITIES. */
#define NEW_MICROCODE 0x9c000400
#define RTM 0x800
#define AMD_IBPB 0x1000
#define AMD_IBRS 0x4000
#define AMD_IBPB_RET 0x40000000

static const struct {
	const char *name;
	struct processor processor;
	const char *on, *lacking;
} rows[] = {
	{ "Haswell 4770, first microcode; Bochs 2.7 haswell",
	  { INTEL, 0x306c3, 1, { [LEAF_7_EBX] = 0x27ab } },
	  "retpolines (Spectre v2), RSB refill (Spectre RSB)",
	  "IBPB between VMs (Spectre v2), VERW (MDS), L1D flush (L1TF)" },
	{ "Haswell 4770, microcode 0x28, two threads",
	  { INTEL,
	    0x306c3,
	    2,
	    { [LEAF_7_EBX] = 0x27ab, [LEAF_7_EDX] = NEW_MICROCODE } },
	  "RSB refill (Spectre RSB), IBRS at exits (Spectre v2, Retbleed), "
	  "IBPB between VMs (Spectre v2), VERW (MDS), L1D flush (L1TF)",
	  "threads of a core apart (MDS, L1TF)" },
	{ "Skylake-X, first microcode",
	  { INTEL, 0x50654, 1, { [LEAF_7_EBX] = 0xd19f4fbb } },
	  "retpolines (Spectre v2), RSB refill (Spectre RSB)",
	  "IBPB between VMs (Spectre v2), VERW (MDS, TAA), L1D flush (L1TF)" },
	{ "Skylake-X, microcode of 2023",
	  { INTEL,
	    0x50654,
	    2,
	    { [LEAF_7_EBX] = 0xd39ffffb,
	      [LEAF_7_EDX] = NEW_MICROCODE | BIT(29),
	      [ARCH_CAPABILITIES] = 0x20c04 } },
	  "RSB refill (Spectre RSB), IBRS at exits (Spectre v2, Retbleed), "
	  "IBPB between VMs (Spectre v2), VERW (MDS, TAA, MMIO), "
	  "L1D flush (L1TF)",
	  "threads of a core apart (MDS, L1TF)" },
	{ "Cascade Lake with TSX",
	  { INTEL,
	    0x50657,
	    2,
	    { [LEAF_7_EBX] = 0xd39ffffb,
	      [LEAF_7_EDX] = NEW_MICROCODE | BIT(29),
	      [ARCH_CAPABILITIES] = 0x20ab } },
	  "fence at exits (PBRSB), enhanced IBRS (Spectre v2), "
	  "BHB loop (BHI), IBPB between VMs (Spectre v2), VERW (TAA)",
	  "none" },
	{ "Ice Lake server",
	  { INTEL,
	    0x606a6,
	    2,
	    { [LEAF_7_EBX] = 0xf3bfffff & ~RTM,
	      [LEAF_7_EDX] = NEW_MICROCODE | BIT(29),
	      [ARCH_CAPABILITIES] = 0x20dfb | 0x8000000 } },
	  "fence at exits (PBRSB), enhanced IBRS (Spectre v2), "
	  "BHB loop (BHI), IBPB between VMs (Spectre v2), VERW (MMIO)",
	  "none" },
	{ "Sapphire Rapids",
	  { INTEL,
	    0x806f8,
	    2,
	    { [LEAF_7_EBX] = 0xf3bfffff,
	      [LEAF_7_EDX] = NEW_MICROCODE | BIT(29),
	      [LEAF_7_2_EDX] = 0x17,
	      [ARCH_CAPABILITIES] = 0xd08f1eb | 0x1000000 } },
	  "enhanced IBRS (Spectre v2), BHI_DIS_S (BHI), "
	  "IBPB between VMs (Spectre v2)",
	  "none" },
	{ "a processor without any of it that tells so",
	  { INTEL,
	    0xa06f0,
	    2,
	    { [LEAF_7_EDX] = NEW_MICROCODE | BIT(29),
	      [ARCH_CAPABILITIES] = 0xd10e1eb | 0x1000000 } },
	  "enhanced IBRS (Spectre v2), IBPB between VMs (Spectre v2)",
	  "none" },
	{ "an Atom with RFDS",
	  { INTEL,
	    0xb06e0,
	    1,
	    { [LEAF_7_EDX] = NEW_MICROCODE | BIT(29),
	      [LEAF_7_2_EDX] = 0x17,
	      [ARCH_CAPABILITIES] = 0x1100e1eb | 0x100000 } },
	  "enhanced IBRS (Spectre v2), IBPB between VMs (Spectre v2), "
	  "VERW (RFDS)",
	  "none" },
	{ "a guest whose hypervisor flushes",
	  { INTEL,
	    0x306c3,
	    1,
	    { [LEAF_7_EDX] = NEW_MICROCODE | BIT(29),
	      [ARCH_CAPABILITIES] = BIT(3) | BIT(5) } },
	  "RSB refill (Spectre RSB), IBRS at exits (Spectre v2, Retbleed), "
	  "IBPB between VMs (Spectre v2)",
	  "none" },
	{ "QEMU 7.2 -cpu max",
	  { AMD, 0x60fb1, 1, { [LEAF_7_EBX] = 0x219c07ab } },
	  "retpolines (Spectre v2), RSB refill (Spectre RSB)",
	  "IBPB between VMs (Spectre v2)" },
	{ "Zen 1, first microcode",
	  { AMD, 0x800f11, 2, { [LEAF_80000008_EBX] = 7 } },
	  "serializing LFENCE (Spectre v1), retpolines (Spectre v2), "
	  "RSB refill (Spectre RSB)",
	  "IBPB at exits (Retbleed, SRSO), IBPB between VMs (Spectre v2)" },
	{ "Zen 1",
	  { AMD, 0x800f11, 2, { [LEAF_80000008_EBX] = 7 | AMD_IBPB } },
	  "serializing LFENCE (Spectre v1), retpolines (Spectre v2), "
	  "RSB refill (Spectre RSB), IBPB at exits (Retbleed, SRSO), "
	  "IBPB between VMs (Spectre v2)",
	  "none" },
	{ "Hygon Dhyana",
	  { HYGON, 0x900f01, 2, { [LEAF_80000008_EBX] = 7 | AMD_IBPB } },
	  "serializing LFENCE (Spectre v1), retpolines (Spectre v2), "
	  "RSB refill (Spectre RSB), IBPB at exits (Retbleed, SRSO), "
	  "IBPB between VMs (Spectre v2)",
	  "none" },
	{ "Zen 2",
	  { AMD,
	    0x830f10,
	    2,
	    { [LEAF_80000008_EBX] = 0x18cd257 | AMD_IBPB | AMD_IBRS } },
	  "serializing LFENCE (Spectre v1), retpolines (Spectre v2), "
	  "RSB refill (Spectre RSB), IBPB at exits (Retbleed, SRSO), "
	  "IBPB between VMs (Spectre v2)",
	  "none" },
	{ "Zen 3, microcode before SRSO",
	  { AMD,
	    0xa20f10,
	    2,
	    { [LEAF_80000008_EBX] = 0x111ed257, [LEAF_80000021_EAX] = 0x4d } },
	  "retpolines (Spectre v2), RSB refill (Spectre RSB), "
	  "IBPB between VMs (Spectre v2)",
	  "IBPB at exits (Retbleed, SRSO)" },
	{ "Zen 3, microcode against TSA",
	  { AMD,
	    0xa20f10,
	    2,
	    { [LEAF_80000008_EBX] = 0x111ed257,
	      [LEAF_80000021_EAX] = 0x6d | BIT(28) | BIT(27) } },
	  "retpolines (Spectre v2), RSB refill (Spectre RSB), "
	  "IBPB at exits (Retbleed, SRSO), IBPB between VMs (Spectre v2), "
	  "VERW (TSA)",
	  "none" },
	{ "Zen 4",
	  { AMD,
	    0xa10f11,
	    2,
	    { [LEAF_80000008_EBX] = 0x791ef257,
	      [LEAF_80000021_EAX] = 0x18fcf } },
	  "automatic IBRS (Spectre v2), IBPB between VMs (Spectre v2)",
	  "IBPB at exits (Retbleed, SRSO)" },
	{ "Zen 4, microcode against SRSO",
	  { AMD,
	    0xa10f11,
	    2,
	    { [LEAF_80000008_EBX] = 0x791ef257,
	      [LEAF_80000021_EAX] = 0x18fcf | BIT(28) } },
	  "automatic IBRS (Spectre v2), IBPB at exits (Retbleed, SRSO), "
	  "IBPB between VMs (Spectre v2)",
	  "none" },
	{ "the same without return predictions in its IBPB",
	  { AMD,
	    0xa10f11,
	    2,
	    { [LEAF_80000008_EBX] = 0x791ef257 & ~AMD_IBPB_RET,
	      [LEAF_80000021_EAX] = 0x18fcf | BIT(28) } },
	  "RSB refill (SRSO), automatic IBRS (Spectre v2), "
	  "IBPB at exits (Retbleed, SRSO), IBPB between VMs (Spectre v2)",
	  "none" },
	{ "one that has SRSO_NO, and half of TSA",
	  { AMD,
	    0xb00f10,
	    2,
	    { [LEAF_80000008_EBX] = 0x791ef257,
	      [LEAF_80000021_EAX] = 0x18fcf | BIT(29) | BIT(5),
	      [LEAF_80000021_ECX] = BIT(1) } },
	  "automatic IBRS (Spectre v2), IBPB between VMs (Spectre v2), "
	  "VERW (TSA)",
	  "none" },
	{ "family 0x11, whose LFENCE cannot be told",
	  { AMD, 0x200f31, 1, { 0 } },
	  "retpolines (Spectre v2), RSB refill (Spectre RSB)",
	  "IBPB between VMs (Spectre v2)" },
	{ "another maker",
	  { "CentaurHauls", 0x6fe, 1, { 0 } },
	  "none",
	  "none" },
};

static char words[512];

static const char *describe(const struct mitigation_choice *choice,
			    uint32_t which)
{
	mitigation_describe(choice, which, words, sizeof words);
	return words;
}

static void each_processor_gets_what_it_needs(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		struct mitigation_choice choice = mitigation_choose(
			&rows[i].processor, MULL_MITIGATIONS_AUTO);

		assert_string_equal(describe(&choice, choice.on), rows[i].on);
		assert_string_equal(describe(&choice, choice.lacking),
				    rows[i].lacking);
		assert_int_equal(choice.on | choice.lacking, choice.needed);
		assert_int_equal(choice.on & choice.lacking, 0);
	}
}

static void off_is_off_and_tells_what_is_needed(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		struct mitigation_choice choice = mitigation_choose(
			&rows[i].processor, MULL_MITIGATIONS_OFF);

		assert_int_equal(choice.on, 0);
		assert_int_equal(choice.lacking, 0);
		assert_int_equal(choice.needed,
				 mitigation_choose(&rows[i].processor,
						   MULL_MITIGATIONS_AUTO)
					 .needed);
	}
}

/* What is on in any case can be executed: a WRMSR of an MSR that is not there
 * is the hypervisor's end. */
static void all_is_what_can_be_executed(void **state)
{
	const uint32_t software = RETPOLINES | RSB_REFILL | RSB_FENCE |
				  BHB_LOOP | VERW;
	struct processor zen2 = {
		AMD, 0x830f10, 2, { [LEAF_80000008_EBX] = AMD_IBPB | AMD_IBRS }
	};
	struct processor spr = { INTEL,
				 0x806f8,
				 2,
				 { [LEAF_7_EDX] = NEW_MICROCODE | BIT(29),
				   [LEAF_7_2_EDX] = 0x17,
				   [ARCH_CAPABILITIES] = 0xe08f1eb } };

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		struct processor processor = rows[i].processor;

		memset(processor.words, 0, sizeof processor.words);
		processor.signature = 0x6c0;
		assert_int_equal(
			mitigation_choose(&processor, MULL_MITIGATIONS_ALL).on,
			software);
	}
	assert_int_equal(mitigation_choose(&zen2, MULL_MITIGATIONS_ALL).on,
			 software | LFENCE_WAITS | IBRS | IBPB_EXIT |
				 IBPB_SWITCH);
	assert_int_equal(mitigation_choose(&spr, MULL_MITIGATIONS_ALL).on,
			 software | IBRS | EIBRS | BHI_DIS_S | IBPB_EXIT |
				 IBPB_SWITCH | L1D_FLUSH);
}

static void words_fit_or_are_cut_off(void **state)
{
	struct mitigation_choice choice = mitigation_choose(
		&rows[3].processor, MULL_MITIGATIONS_AUTO);
	char whole[512], cut[512];
	size_t length = mitigation_describe(&choice, choice.on, whole,
					    sizeof whole);

	(void)state;
	assert_int_equal(length, strlen(whole));
	for (size_t room = 1; room <= length + 1; room++) {
		memset(cut, 'x', sizeof cut);
		mitigation_describe(&choice, choice.on, cut, room);
		assert_int_equal(strlen(cut), room - 1);
		assert_memory_equal(cut, whole, room - 1);
		assert_int_equal(cut[room], 'x');
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_processor_gets_what_it_needs),
		cmocka_unit_test(off_is_off_and_tells_what_is_needed),
		cmocka_unit_test(all_is_what_can_be_executed),
		cmocka_unit_test(words_fit_or_are_cut_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
