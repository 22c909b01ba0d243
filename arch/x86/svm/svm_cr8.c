/* SPDX-License-Identifier: MIT */
/*
 * MOV to CR8 while a window is wanted.  QEMU 7.2 fails an assertion of its own
 * and ends when a guest does that with a virtual interrupt pending, which is
 * what a window is; so it is done for the guest then.  AMD 24593, "CR8".
 */
#include "svm.h"
#include "../registers.h"
#include <mullion/vm.h>

/* MOV CR8, r64: 44 or 45 (the register's upper half), then these. */
#define REX_CR8 0x44
#define OPCODE_1 0x0f
#define OPCODE_2 0x22
#define MOD_CR0 0xc0 /* and the register; REX.R makes it CR8 */
#define LENGTH 4

static uint64_t register_of(const struct vcpu *vcpu, enum gpr number)
{
	const struct vmcb *vmcb = vmcb_of(vcpu);

	switch (number) {
	case RAX:
		return vmcb->rax;
	case RSP:
		return vmcb->rsp;
	default:
		return vcpu->gpr[number];
	}
}

void svm_watch_cr8(struct vmcb *vmcb, bool watch)
{
	if (svm_has_next_rip) /* a processor */
		return;
	if (watch)
		vmcb->intercept_cr_write |= SVM_CR_8;
	else
		vmcb->intercept_cr_write &= (uint16_t)~SVM_CR_8;
}

/* Other encodings, which no compiler makes, go on without the intercept. */
void svm_write_cr8(struct vcpu *vcpu)
{
	struct vmcb *vmcb = vmcb_of(vcpu);
	uint8_t code[LENGTH];
	uint64_t value;

	vcpu->rip = vmcb->rip;
	vcpu->rflags = vmcb->rflags;
	if (!vcpu_code(vcpu, code, sizeof code) ||
	    (code[0] & 0xfe) != REX_CR8 || code[1] != OPCODE_1 ||
	    code[2] != OPCODE_2 || (code[3] & 0xf8) != MOD_CR0) {
		svm_watch_cr8(vmcb, false);
		return;
	}
	value = register_of(vcpu,
			    (enum gpr)((code[0] & 1) << 3 | (code[3] & 7)));
	if (value & ~0xful) {
		vcpu_exception_code(vcpu, VECTOR_GP, 0);
		return;
	}
	vmcb->v_intr = (uint32_t)((vmcb->v_intr & ~SVM_V_TPR) | value);
	vmcb->rip += LENGTH;
	vmcb->interrupt_shadow = 0;
}
