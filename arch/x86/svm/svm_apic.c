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
#include <mullion/vm.h>

#define OWN (SVM_INTERCEPT_INTR | SVM_INTERCEPT_HLT)

bool svm_gives_apic(void)
{
	return apic_can_be_given();
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
