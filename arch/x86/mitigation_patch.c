/* SPDX-License-Identifier: MIT */
/* Puts the chosen mitigations into force: branches are written into the image
 * before any guest runs, registers on each CPU. */
#include "mitigation.h"
#include "cpu.h"
#include "registers.h"
#include <mullion/arch.h>
#include <mullion/bits.h>
#include <mullion/log.h>
#include <string.h>

#define MSR_SPEC_CTRL 0x48
#define SPEC_CTRL_IBRS BIT(0)
#define SPEC_CTRL_BHI_DIS_S BIT(10)
#define MSR_PRED_CMD 0x49
#define PRED_CMD_IBPB BIT(0)
#define MSR_ARCH_CAPABILITIES 0x10a
#define EFER_AIBRSE BIT(21)
#define MSR_DE_CFG 0xc0011029
#define DE_CFG_LFENCE BIT(1)

#define BRANCH_SIZE 5
#define AT_EXITS (RSB_REFILL | RSB_FENCE | BHB_LOOP | IBPB_EXIT)
#define THUNKS 15
#define THUNK_SIZE 8
#define RETPOLINE_SIZE 32

/* vmx_enter.S, svm_enter.S; what is written is not const. */
extern char vmx_fast_call[], svm_fast_call[];
extern char vmx_entry_guard[], svm_entry_guard[];
extern char vmx_enter_undo[], vmx_fast_undo[];
/* mitigation_code.S */
extern char exit_ibpb[], exit_fence[], exit_ibrs[], exit_rsb[];
extern char exit_bhb[], entry_l1d[], entry_ibrs[], entry_verw[];
extern char indirect_thunks[];
extern const char guarded_fast[], guarded_entry[];
extern const char ibpb[], fence[], ibrs_on[], ibrs_off[], rsb_refill[];
extern const char bhb_loop[], verw_buffers[], l1d_flush[];
extern const char retpolines[];

/* A call of @target is written @at where one of @with is on. */
static const struct site {
	const char *at, *target;
	uint32_t with;
} sites[] = {
	{ vmx_fast_call, guarded_fast, AT_EXITS | IBRS | VERW },
	{ svm_fast_call, guarded_fast, AT_EXITS | IBRS | VERW },
	{ exit_ibpb, ibpb, IBPB_EXIT },
	{ exit_fence, fence, RSB_FENCE },
	{ exit_ibrs, ibrs_on, IBRS },
	{ exit_rsb, rsb_refill, RSB_REFILL },
	{ exit_bhb, bhb_loop, BHB_LOOP },
	{ vmx_entry_guard, guarded_entry, L1D_FLUSH | IBRS | VERW },
	{ svm_entry_guard, guarded_entry, L1D_FLUSH | IBRS | VERW },
	{ entry_l1d, l1d_flush, L1D_FLUSH },
	{ entry_ibrs, ibrs_off, IBRS },
	{ entry_verw, verw_buffers, VERW },
	/* The entry was called off behind ibrs_off. */
	{ vmx_enter_undo, ibrs_on, IBRS },
	{ vmx_fast_undo, ibrs_on, IBRS },
};

static uint32_t mitigations_on;

void mitigation_branch(const char *at, uint8_t opcode, const char *target)
{
	int32_t distance = target - (at + BRANCH_SIZE);
	uint8_t bytes[BRANCH_SIZE] = { opcode };

	memcpy(bytes + 1, &distance, sizeof distance);
	page_table_write_image(at, bytes, sizeof bytes);
	ASSERT(!memcmp(at, bytes, sizeof bytes));
}

void mitigation_patch(uint32_t on)
{
	for (size_t i = 0; i < ARRAY_COUNT(sites); i++)
		if (sites[i].with & on)
			mitigation_branch(sites[i].at, BRANCH_CALL,
					  sites[i].target);
	for (size_t i = 0; on & RETPOLINES && i < THUNKS; i++)
		mitigation_branch(indirect_thunks + i * THUNK_SIZE, BRANCH_JUMP,
				  retpolines + i * RETPOLINE_SIZE);
	if (on & (IBRS | EIBRS))
		mitigation_spec_ctrl_host |= SPEC_CTRL_IBRS;
	if (on & BHI_DIS_S)
		mitigation_spec_ctrl_host |= SPEC_CTRL_BHI_DIS_S;
	mitigation_spec_ctrl_guest = mitigation_spec_ctrl_host &
				     ~(uint32_t)SPEC_CTRL_IBRS;
}

static struct cpuid leaf_or_zero(uint32_t leaf, uint32_t subleaf)
{
	uint32_t highest = cpuid(leaf & BIT(31), 0).eax;

	return leaf <= highest ? cpuid(leaf, subleaf) : (struct cpuid){ 0 };
}

static void look(struct processor *processor)
{
	struct cpuid name = cpuid(0, 0), leaf_7 = leaf_or_zero(7, 0);
	struct cpuid amd = leaf_or_zero(0x80000021, 0);

	memcpy(processor->vendor, &name.ebx, 4);
	memcpy(processor->vendor + 4, &name.edx, 4);
	memcpy(processor->vendor + 8, &name.ecx, 4);
	processor->signature = cpuid(1, 0).eax;
	/* "Extended Topology Enumeration": the first level is of threads. */
	processor->threads = leaf_or_zero(0xb, 0).ebx;
	processor->words[LEAF_7_EBX] = leaf_7.ebx;
	processor->words[LEAF_7_EDX] = leaf_7.edx;
	if (leaf_7.eax >= 2)
		processor->words[LEAF_7_2_EDX] = cpuid(7, 2).edx;
	processor->words[LEAF_80000008_EBX] = leaf_or_zero(0x80000008, 0).ebx;
	processor->words[LEAF_80000021_EAX] = amd.eax;
	processor->words[LEAF_80000021_ECX] = amd.ecx;
	if (leaf_7.edx & BIT(29))
		processor->words[ARCH_CAPABILITIES] = read_msr(
			MSR_ARCH_CAPABILITIES);
}

void arch_mitigate(enum mull_mitigations mode)
{
	struct processor processor = { .threads = 0 };
	struct mitigation_choice choice;
	char words[LOG_LINE_MAX];
	size_t length;

	look(&processor);
	choice = mitigation_choose(&processor, mode);
	mitigations_on = choice.on;
	mitigation_patch(choice.on);
	length = mitigation_describe(&choice, choice.on, words, sizeof words);
	if (mode == MULL_MITIGATIONS_OFF) {
		length += format_text(words + length, sizeof words - length,
				      ", off by the manifest; needed: ");
		mitigation_describe(&choice, choice.needed, words + length,
				    sizeof words - length);
	}
	log_write("mitigations: %s", words);
	if (choice.lacking == 0)
		return;
	mitigation_describe(&choice, choice.lacking, words, sizeof words);
	log_write("warning: guests may spy, since this processor lacks %s; "
		  "look for newer microcode",
		  words);
}

/* CPUID below: what another CPU has written is fetched anew ("Handling
 * Self- and Cross-Modifying Code"). */
void arch_mitigate_cpu(void)
{
	cpuid(0, 0);
	if (mitigations_on & LFENCE_WAITS)
		write_msr(MSR_DE_CFG, read_msr(MSR_DE_CFG) | DE_CFG_LFENCE);
	if (mitigations_on & AUTO_IBRS)
		write_msr(MSR_EFER, read_msr(MSR_EFER) | EFER_AIBRSE);
	if (mitigations_on & (IBRS | EIBRS | BHI_DIS_S))
		write_msr(MSR_SPEC_CTRL, mitigation_spec_ctrl_host);
}

void arch_leave_vm(void)
{
	if (mitigations_on & IBPB_SWITCH)
		write_msr(MSR_PRED_CMD, PRED_CMD_IBPB);
}
