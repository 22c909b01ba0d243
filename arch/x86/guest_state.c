/* SPDX-License-Identifier: MIT */
#include "guest_state.h"
#include "fpu.h"
#include "registers.h"
#include <mullion/vcpu.h>
#include <string.h>

const struct guest_system guest_power_on = {
	.cr0 = CR0_ET | CR0_NW | CR0_CD,
	.gdt_limit = 0xffff, .idt_limit = 0xffff,
	.dr6 = 0xffff0ff0, .dr7 = 0x400, .pat = 0x0007040600070406,
	.segments = {
		[SEGMENT_ES] = { .limit = 0xffff, .attributes = 0x93 },
		[SEGMENT_CS] = { .base = 0xffff0000, .limit = 0xffff,
				 .selector = 0xf000, .attributes = 0x9b },
		[SEGMENT_SS ... SEGMENT_GS] = { .limit = 0xffff,
						.attributes = 0x93 },
		[SEGMENT_LDTR] = { .limit = 0xffff, .attributes = 0x82 },
		[SEGMENT_TR] = { .limit = 0xffff, .attributes = 0x8b },
	},
};

void guest_reset(struct vcpu *vcpu)
{
	memset(vcpu->gpr, 0, sizeof vcpu->gpr);
	vcpu->gpr[RDX] = cpuid(1, 0).eax;
	vcpu->rip = 0xfff0;
	vcpu->rflags = RFLAGS_FIXED;
	vcpu->xcr0 = 1;
	memset(vcpu->debug_registers, 0, sizeof vcpu->debug_registers);
	fpu_forget(vcpu);
	fpu_reset(vcpu->fpu);
}

enum error guest_msr_check(uint32_t msr, uint64_t value)
{
	bool good = true;

	switch (msr) {
	case MSR_PAT:
		good = pat_is_valid(value);
		break;
	case MSR_SFMASK:
		good = !(value >> 32);
		break;
	case MSR_FS_BASE:
	case MSR_GS_BASE:
	case MSR_KERNEL_GS_BASE:
	case MSR_LSTAR:
	case MSR_CSTAR:
	case MSR_SYSENTER_ESP:
	case MSR_SYSENTER_EIP:
		good = is_canonical(value);
		break;
	}
	return good ? ERR_NONE : ERR_BAD_REQUEST;
}

/* "Extended Feature Enable Register": LMA is the processor's own, LME must not
 * change while paging is on. */
enum error guest_efer_write(uint64_t *old, uint64_t value, uint64_t cr0)
{
	if (value & ~(EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE) ||
	    (cr0 & CR0_PG && (value ^ *old) & EFER_LME))
		return ERR_BAD_REQUEST;
	*old = (value & ~EFER_LMA) | (*old & EFER_LMA);
	return ERR_NONE;
}
