/* SPDX-License-Identifier: MIT */
/* Which of the processor's speculation leaks are closed, and how. */
#ifndef X86_MITIGATION_H
#define X86_MITIGATION_H

#include <mullion/package.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* At exits, at entries, or on for good. */
enum mitigation {
	LFENCE_WAITS = 1 << 0, /* AMD's, which others below count on */
	RETPOLINES = 1 << 1,   /* indirect calls that nobody trains */
	RSB_REFILL = 1 << 2,   /* at exits */
	RSB_FENCE = 1 << 3,    /* at exits, for processors with eIBRS */
	EIBRS = 1 << 4,	       /* for good */
	AUTO_IBRS = 1 << 5,    /* AMD's, for good */
	IBRS = 1 << 6,	       /* on at exits, off at entries */
	BHI_DIS_S = 1 << 7,    /* for good */
	BHB_LOOP = 1 << 8,     /* at exits */
	IBPB_EXIT = 1 << 9,
	IBPB_SWITCH = 1 << 10, /* before another VM's vCPU */
	VERW = 1 << 11,	       /* at entries */
	L1D_FLUSH = 1 << 12,   /* at entries on the long way */
	APART = 1 << 13,       /* nothing here can do it: see mitigation.c */
};

/* Registers in which a processor tells of itself; 0 where it has none. */
enum processor_word {
	LEAF_7_EBX,
	LEAF_7_EDX,
	LEAF_7_2_EDX,
	LEAF_80000008_EBX,
	LEAF_80000021_EAX,
	LEAF_80000021_ECX,
	ARCH_CAPABILITIES, /* the low half of the MSR */
	PROCESSOR_WORDS
};

struct processor {
	char vendor[12];    /* CPUID 0: EBX, EDX, ECX; no end */
	uint32_t signature; /* CPUID 1, EAX */
	uint32_t threads;   /* of a core */
	uint32_t words[PROCESSOR_WORDS];
};

/* Masks of enum mitigation. */
struct mitigation_choice {
	uint32_t on;
	uint32_t lacking; /* needed, but this processor cannot do it */
	uint32_t needed;
	uint32_t have; /* what of the processor counted */
};

/* Pure: the same processor, the same choice. */
struct mitigation_choice mitigation_choose(const struct processor *processor,
					   enum mull_mitigations mode);

/* The names of @which with what they are against: "VERW (MDS), ..." */
size_t mitigation_describe(const struct mitigation_choice *choice,
			   uint32_t which, char *to, size_t room);

/* mitigation_patch.c */
#define BRANCH_CALL 0xe8
#define BRANCH_JUMP 0xe9
/* A direct branch from the five bytes @at in the image, before any CPU but
 * this one gets there. */
void mitigation_branch(const char *at, uint8_t opcode, const char *target);
/* Every site of the table where one of @on is to be. */
void mitigation_patch(uint32_t on);

/* mitigation_code.S: the values of IA32_SPEC_CTRL while the hypervisor runs, and
 * while a guest does, where IBRS is written at exits. */
extern uint32_t mitigation_spec_ctrl_host, mitigation_spec_ctrl_guest;
extern char guarded_call[];

#endif
