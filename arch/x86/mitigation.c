/* SPDX-License-Identifier: MIT */
/*
 * Which mitigations a processor needs: tables, read by mitigation_choose().
 * Models are not listed where the processor tells by itself; one that does
 * not tell of a fix is taken for vulnerable.  SDM 335592,
 * "IA32_ARCH_CAPABILITIES"; SDM 325383, "Structured Extended Feature Flags";
 * AMD 24594, "Extended Feature Identification 2"; Intel 336996, "Speculative
 * Execution Side Channel Mitigations"; AMD, "Software techniques for managing
 * speculation on AMD processors".
 */
#include "mitigation.h"
#include <mullion/bits.h>
#include <mullion/log.h>
#include <string.h>

enum have {
	INTEL = 1 << 0,
	AMD = 1 << 1,
	MANY_THREADS = 1 << 2, /* in a core */
	BAD_RETURNS = 1 << 3,  /* predicted from other branches */
	DE_CFG = 1 << 4,       /* where LFENCE is told to wait */
	LFENCE_FIXED = 1 << 5,
	HAS_IBRS = 1 << 6,
	HAS_EIBRS = 1 << 7,
	HAS_AUTO_IBRS = 1 << 8,
	HAS_IBPB = 1 << 9,
	WHOLE_IBPB = 1 << 10, /* forgets which bytes are branches, too */
	IBPB_TYPES = 1 << 11,
	IBPB_RETURNS = 1 << 12,
	PBRSB_NO = 1 << 13,
	BHI_CTRL = 1 << 14,
	BHI_NO = 1 << 15,
	MD_CLEAR = 1 << 16,
	MDS_NO = 1 << 17,
	RTM = 1 << 18,
	TAA_NO = 1 << 19,
	FB_CLEAR = 1 << 20,
	MMIO_NO = 1 << 21,
	RFDS_CLEAR = 1 << 22,
	RFDS_NO = 1 << 23,
	VERW_CLEAR = 1 << 24,
	TSA_NO = 1 << 25,
	HAS_L1D_FLUSH = 1 << 26,
	RDCL_NO = 1 << 27,
	FLUSHED_BELOW = 1 << 28, /* by another hypervisor */
	SRSO_NO = 1 << 29
};

/* All of the bits set in the word. */
static const struct {
	enum have have;
	enum processor_word word;
	uint32_t bits;
} told[] = {
	{ RTM, LEAF_7_EBX, BIT(11) },
	{ MD_CLEAR, LEAF_7_EDX, BIT(10) },
	{ HAS_IBRS | HAS_IBPB, LEAF_7_EDX, BIT(26) },
	{ HAS_L1D_FLUSH, LEAF_7_EDX, BIT(28) },
	{ BHI_CTRL, LEAF_7_2_EDX, BIT(4) },
	{ HAS_IBPB, LEAF_80000008_EBX, BIT(12) },
	{ HAS_IBRS, LEAF_80000008_EBX, BIT(14) },
	{ IBPB_RETURNS, LEAF_80000008_EBX, BIT(30) },
	{ LFENCE_FIXED, LEAF_80000021_EAX, BIT(2) },
	{ VERW_CLEAR, LEAF_80000021_EAX, BIT(5) },
	{ HAS_AUTO_IBRS, LEAF_80000021_EAX, BIT(8) },
	{ IBPB_TYPES, LEAF_80000021_EAX, BIT(28) },
	{ SRSO_NO, LEAF_80000021_EAX, BIT(29) },
	{ TSA_NO, LEAF_80000021_ECX, BITS(2, 1) },
	{ RDCL_NO, ARCH_CAPABILITIES, BIT(0) },
	{ HAS_EIBRS, ARCH_CAPABILITIES, BIT(1) },
	{ FLUSHED_BELOW, ARCH_CAPABILITIES, BIT(3) },
	{ MDS_NO, ARCH_CAPABILITIES, BIT(5) },
	{ TAA_NO, ARCH_CAPABILITIES, BIT(8) },
	{ MMIO_NO, ARCH_CAPABILITIES, BITS(15, 13) },
	{ FB_CLEAR, ARCH_CAPABILITIES, BIT(17) },
	{ BHI_NO, ARCH_CAPABILITIES, BIT(20) },
	{ PBRSB_NO, ARCH_CAPABILITIES, BIT(24) },
	{ RFDS_NO, ARCH_CAPABILITIES, BIT(27) },
	{ RFDS_CLEAR, ARCH_CAPABILITIES, BIT(28) },
};

/* What each is called, and what it takes: any of @with, or any processor can
 * execute it, though without @with it may have no effect. */
static const struct {
	enum mitigation mitigation;
	const char *name;
	uint32_t with;
	bool runs_anywhere;
} means[] = {
	{ LFENCE_WAITS, "serializing LFENCE", DE_CFG, false },
	{ RETPOLINES, "retpolines", INTEL | AMD, true },
	{ RSB_REFILL, "RSB refill", INTEL | AMD, true },
	{ RSB_FENCE, "fence at exits", INTEL, true },
	{ EIBRS, "enhanced IBRS", HAS_EIBRS, false },
	{ AUTO_IBRS, "automatic IBRS", HAS_AUTO_IBRS, false },
	{ IBRS, "IBRS at exits", HAS_IBRS, false },
	{ BHI_DIS_S, "BHI_DIS_S", BHI_CTRL, false },
	{ BHB_LOOP, "BHB loop", INTEL, true },
	{ IBPB_EXIT, "IBPB at exits", WHOLE_IBPB, false },
	{ IBPB_SWITCH, "IBPB between VMs", HAS_IBPB, false },
	{ VERW, "VERW", MD_CLEAR | VERW_CLEAR, true },
	{ L1D_FLUSH, "L1D flush", HAS_L1D_FLUSH, false },
	{ APART, "threads of a core apart", 0, false },
};

/*
 * Needed where the processor has all of @with and none of @without.  Rows of
 * one mitigation that may hold together have reasons of their own.
 *
 * APART: one thread of a core sees what the other one leaves, whatever is done
 * at entries.  Which threads run together is the manifest's matter.
 */
static const struct {
	enum mitigation mitigation;
	uint32_t with, without;
	const char *against;
} needs[] = {
	{ LFENCE_WAITS, DE_CFG, LFENCE_FIXED, "Spectre v1" },
	{ RETPOLINES, INTEL, HAS_IBRS | HAS_EIBRS, "Spectre v2" },
	{ RETPOLINES, AMD, HAS_AUTO_IBRS, "Spectre v2" },
	{ RSB_REFILL, INTEL, HAS_EIBRS, "Spectre RSB" },
	{ RSB_REFILL, AMD, HAS_AUTO_IBRS, "Spectre RSB" },
	{ RSB_REFILL, HAS_AUTO_IBRS | BAD_RETURNS, IBPB_RETURNS, "SRSO" },
	{ RSB_FENCE, INTEL | HAS_EIBRS, PBRSB_NO, "PBRSB" },
	{ EIBRS, INTEL | HAS_EIBRS, 0, "Spectre v2" },
	{ AUTO_IBRS, AMD | HAS_AUTO_IBRS, 0, "Spectre v2" },
	{ IBRS, INTEL | HAS_IBRS, HAS_EIBRS, "Spectre v2, Retbleed" },
	{ BHI_DIS_S, INTEL | HAS_EIBRS | BHI_CTRL, BHI_NO, "BHI" },
	{ BHB_LOOP, INTEL | HAS_EIBRS, BHI_NO | BHI_CTRL, "BHI" },
	{ IBPB_EXIT, BAD_RETURNS, 0, "Retbleed, SRSO" },
	{ IBPB_SWITCH, INTEL, 0, "Spectre v2" },
	{ IBPB_SWITCH, AMD, 0, "Spectre v2" },
	{ VERW, INTEL, MDS_NO, "MDS" },
	{ VERW, INTEL | RTM, TAA_NO, "TAA" },
	{ VERW, INTEL | FB_CLEAR, MMIO_NO, "MMIO" },
	{ VERW, INTEL | RFDS_CLEAR, RFDS_NO, "RFDS" },
	{ VERW, AMD | VERW_CLEAR, TSA_NO, "TSA" },
	{ L1D_FLUSH, INTEL, RDCL_NO | FLUSHED_BELOW, "L1TF" },
	{ APART, INTEL | MANY_THREADS, MDS_NO, "MDS" },
	{ APART, INTEL | MANY_THREADS, RDCL_NO, "L1TF" },
};

static bool is_needed(size_t row, uint32_t have)
{
	return (have & needs[row].with) == needs[row].with &&
	       !(have & needs[row].without);
}

/* "CPUID Signature": the extended family counts behind family 15 only. */
static uint32_t family_of(uint32_t signature)
{
	uint32_t family = signature >> 8 & 0xf;

	return family == 0xf ? family + (signature >> 20 & 0xff) : family;
}

/*
 * Families 0x15 to 0x18 have Retbleed, 0x17 to 0x1a SRSO.  In 0x19 and 0x1a
 * an IBPB is of use against that only with microcode that tells so.
 */
static uint32_t of_amd(uint32_t family, uint32_t have)
{
	have |= AMD;
	if (family >= 0x10 && family != 0x11)
		have |= DE_CFG;
	if (family >= 0x15 && (family < 0x19 || !(have & SRSO_NO)))
		have |= BAD_RETURNS;
	if (have & HAS_IBPB && (family < 0x19 || have & IBPB_TYPES))
		have |= WHOLE_IBPB;
	return have;
}

static uint32_t what_it_has(const struct processor *processor)
{
	uint32_t have = processor->threads > 1 ? MANY_THREADS : 0;

	for (size_t i = 0; i < ARRAY_COUNT(told); i++)
		if ((processor->words[told[i].word] & told[i].bits) ==
		    told[i].bits)
			have |= told[i].have;
	if (!memcmp(processor->vendor, "GenuineIntel", 12))
		return have | INTEL | (have & HAS_IBPB ? WHOLE_IBPB : 0);
	if (!memcmp(processor->vendor, "AuthenticAMD", 12) ||
	    !memcmp(processor->vendor, "HygonGenuine", 12))
		return of_amd(family_of(processor->signature), have);
	return have;
}

struct mitigation_choice mitigation_choose(const struct processor *processor,
					   enum mull_mitigations mode)
{
	uint32_t have = what_it_has(processor), works = 0, runs = 0;
	struct mitigation_choice choice = { .have = have };

	for (size_t i = 0; i < ARRAY_COUNT(needs); i++)
		if (is_needed(i, have))
			choice.needed |= needs[i].mitigation;
	for (size_t i = 0; i < ARRAY_COUNT(means); i++) {
		if (have & means[i].with)
			works |= means[i].mitigation;
		else if (means[i].runs_anywhere)
			runs |= means[i].mitigation;
	}
	if (mode == MULL_MITIGATIONS_OFF)
		return choice;
	choice.on = mode == MULL_MITIGATIONS_ALL ? works | runs :
						   choice.needed & works;
	choice.lacking = choice.needed & ~works;
	return choice;
}

/* What of @mitigation's reasons hold here: " (MDS, TAA)". */
static size_t describe_reasons(enum mitigation mitigation, uint32_t have,
			       char *to, size_t room)
{
	const char *before = " (";
	size_t length = 0;

	for (size_t i = 0; i < ARRAY_COUNT(needs); i++) {
		if (needs[i].mitigation != mitigation || !is_needed(i, have))
			continue;
		length += format_text(to + length, room - length, "%s%s",
				      before, needs[i].against);
		before = ", ";
	}
	if (length > 0)
		length += format_text(to + length, room - length, ")");
	return length;
}

size_t mitigation_describe(const struct mitigation_choice *choice,
			   uint32_t which, char *to, size_t room)
{
	size_t length = format_text(to, room, "%s", which ? "" : "none");

	for (size_t i = 0; i < ARRAY_COUNT(means); i++) {
		if (!(which & means[i].mitigation))
			continue;
		length += format_text(to + length, room - length, "%s%s",
				      length ? ", " : "", means[i].name);
		length += describe_reasons(means[i].mitigation, choice->have,
					   to + length, room - length);
	}
	return length;
}
