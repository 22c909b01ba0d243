/* SPDX-License-Identifier: MIT */
/*
 * The local APIC of a CPU in the hands of its guest: AMD 24593, "Interrupt and
 * Local APIC Support" under SVM.  Without the intercepts of INTR and HLT, and
 * without V_INTR_MASKING, interrupts come by the guest's RFLAGS.IF and CR8 is the
 * task priority itself; which of x2APIC's registers the guest reaches is said by
 * the MSR permission map.  There is no timer of ours: see virt->has_timer.
 */
#include "svm.h"
#include "../cpu.h"
#include "../registers.h"
#include <mullion/arch.h>
#include <mullion/vm.h>

#define OWN (SVM_INTERCEPT_INTR | SVM_INTERCEPT_HLT)

bool svm_gives_apic(void)
{
	return apic_can_be_given();
}

/* What vmx_apic.c passes, for the same reasons. */
void svm_pass_apic(uint8_t *map)
{
	static const struct {
		uint16_t first, last;
		uint32_t how;
	} passed[] = {
		{ 0x808, 0x808, MSR_READ | MSR_WRITE }, /* TPR */
		{ 0x80a, 0x80a, MSR_READ },		/* PPR */
		{ 0x80b, 0x80b, MSR_WRITE },		/* EOI */
		{ 0x810, 0x827, MSR_READ },		/* ISR, TMR, IRR */
		{ 0x832, 0x832, MSR_READ | MSR_WRITE }, /* the timer */
		{ 0x838, 0x838, MSR_READ | MSR_WRITE },
		{ 0x839, 0x839, MSR_READ },
		{ 0x83e, 0x83e, MSR_READ | MSR_WRITE },
		{ 0x83f, 0x83f, MSR_WRITE }, /* SELF IPI */
	};

	for (size_t i = 0; i < ARRAY_COUNT(passed); i++)
		for (uint32_t msr = passed[i].first; msr <= passed[i].last;
		     msr++)
			svm_pass_msr(map, msr, passed[i].how);
	if (arch_apic_has_deadline())
		svm_pass_msr(map, MSR_TSC_DEADLINE, MSR_READ | MSR_WRITE);
}

void svm_follow_apic(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_of(vcpu);
	struct vmcb *vmcb = svm->vmcb;

	svm->has_apic = vcpu->apic.given;
	vmcb->msrpm_base = svm_msr_map(svm->has_apic);
	if (svm->has_apic) {
		vmcb->intercept_1 &= ~OWN;
		vmcb->v_intr &= ~SVM_V_INTR_MASKING;
	} else {
		vmcb->intercept_1 |= OWN;
		vmcb->v_intr |= SVM_V_INTR_MASKING;
	}
}
