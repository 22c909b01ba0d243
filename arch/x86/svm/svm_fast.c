/* SPDX-License-Identifier: MIT */
/*
 * The short path of hot exits, called by svm_enter.S with the guest's FS, GS
 * and TR loaded and the global interrupt flag clear.  Every instruction here
 * is counted by `make bench`: look at the disassembly after a change.
 */
#include "svm.h"
#include "../cpu.h"
#include "../mitigation.h"
#include "../registers.h"
#include <mullion/fast_exit.h>
#include <string.h>

extern char svm_fast_call[]; /* svm_enter.S */

#define RFLAGS_TF BIT(8)
#define ALWAYS_INLINE inline __attribute__((always_inline))
#define LIKELY(condition) __builtin_expect(!!(condition), 1)
#define UNLIKELY(condition) __builtin_expect(!!(condition), 0)

typedef uint16_t unaligned16 __attribute__((aligned(1), may_alias));
typedef uint32_t unaligned32 __attribute__((aligned(1), may_alias));

static inline bool is_code(const uint8_t *code, uint32_t opcode,
			   uint32_t length)
{
	if (length == 2)
		return *(const unaligned16 *)code == opcode;
	return (*(const unaligned32 *)code & 0xffffff) == opcode;
}

/*
 * Where the guest goes on behind @opcode.  Returns false when this exit is
 * not for the short path: another size of code, a single step, prefixes, code
 * that no view shows.
 */
static ALWAYS_INLINE bool find_next(struct svm_vcpu *svm,
				    const struct vmcb *vmcb, bool by_hardware,
				    uint32_t opcode, uint32_t length,
				    uint64_t *next)
{
	uint64_t rip = vmcb->rip;
	const struct code_view *view = code_view_for(svm->views, rip);

	if (UNLIKELY(!(vmcb->cs.attributes & SVM_SEGMENT_LONG) ||
		     vmcb->rflags & RFLAGS_TF))
		return false;
	if (!by_hardware &&
	    UNLIKELY(!code_view_holds(view, rip, vmcb->cr3) ||
		     !is_code(view->code + (rip - view->page), opcode, length)))
		return false;
	*next = by_hardware ? vmcb->next_rip : rip + length;
	return true;
}

static ALWAYS_INLINE uint32_t resume(struct vcpu *vcpu, struct vmcb *vmcb,
				     enum exit_kind kind, uint64_t rip)
{
	vcpu->exits[kind]++;
	vmcb->rip = rip;
	vmcb->interrupt_shadow = 0;
	vmcb->tlb_control = 0;
	return FAST_RESUME;
}

static ALWAYS_INLINE uint32_t on_fast_cpuid(struct vcpu *vcpu,
					    struct vmcb *vmcb, bool by_hardware)
{
	const struct cpuid_line *line = fast_cpuid(vcpu, vmcb->rax,
						   vcpu->gpr[RCX]);
	uint64_t rip;

	if (UNLIKELY(!line))
		return FAST_LONG_WAY;
	if (UNLIKELY(!find_next(svm_of(vcpu), vmcb, by_hardware, CODE_CPUID, 2,
				&rip)))
		return FAST_LONG_WAY;
	vmcb->rax = line->registers[0];
	vcpu->gpr[RBX] = line->registers[1];
	vcpu->gpr[RCX] = line->registers[2];
	vcpu->gpr[RDX] = line->registers[3];
	return resume(vcpu, vmcb, EXIT_CPUID, rip);
}

static ALWAYS_INLINE uint32_t on_fast_hypercall(struct vcpu *vcpu,
						struct vmcb *vmcb,
						bool by_hardware)
{
	uint64_t rip;

	if (UNLIKELY(!fast_is_no_call(vmcb->rax) || vmcb->cpl != 0))
		return FAST_LONG_WAY;
	if (UNLIKELY(!find_next(svm_of(vcpu), vmcb, by_hardware, CODE_VMMCALL,
				3, &rip)))
		return FAST_LONG_WAY;
	vmcb->rax = -(uint64_t)FAST_KVM_ENOSYS;
	return resume(vcpu, vmcb, EXIT_HYPERCALL, rip);
}

static ALWAYS_INLINE uint32_t on_fast_msr_read(struct vcpu *vcpu,
					       struct vmcb *vmcb,
					       bool by_hardware)
{
	uint64_t value, rip;

	if (UNLIKELY(!fast_msr_read(vcpu, vcpu->gpr[RCX], &value)))
		return FAST_LONG_WAY;
	if (UNLIKELY(!find_next(svm_of(vcpu), vmcb, by_hardware, CODE_RDMSR, 2,
				&rip)))
		return FAST_LONG_WAY;
	vmcb->rax = (uint32_t)value;
	vcpu->gpr[RDX] = value >> 32;
	return resume(vcpu, vmcb, EXIT_MSR_READ, rip);
}

/* An interrupt for another vCPU, each with the local APIC of its CPU. */
static __attribute__((noinline)) uint32_t
on_fast_command(struct vcpu *vcpu, struct vmcb *vmcb, bool by_hardware)
{
	uint32_t low = (uint32_t)vmcb->rax, to = (uint32_t)vcpu->gpr[RDX];
	const struct local_apic *receiver = fast_apic_receiver(vcpu, low, to);
	uint64_t rip;

	if (UNLIKELY(!receiver || !find_next(svm_of(vcpu), vmcb, by_hardware,
					     CODE_WRMSR, 2, &rip)))
		return FAST_LONG_WAY;
	fast_apic_commanded(vcpu, low, to);
	x2apic_fence();
	write_msr(FAST_MSR_X2APIC_ICR,
		  (uint64_t)receiver->cpu_id << 32 | (low & FAST_ICR_VECTOR));
	return resume(vcpu, vmcb, EXIT_COMMAND, rip);
}

/* End of interrupt: another one may be due now, which the loop delivers. */
static __attribute__((noinline)) uint32_t
on_fast_msr_write(struct vcpu *vcpu, struct vmcb *vmcb, bool by_hardware)
{
	uint64_t rip;

	if ((uint32_t)vcpu->gpr[RCX] != FAST_MSR_X2APIC_EOI ||
	    (uint32_t)(vmcb->rax | vcpu->gpr[RDX]) != 0 ||
	    !fast_has_x2apic(vcpu))
		return FAST_LONG_WAY;
	if (UNLIKELY(!find_next(svm_of(vcpu), vmcb, by_hardware, CODE_WRMSR, 2,
				&rip)))
		return FAST_LONG_WAY;
	local_apic_set_cr8(&vcpu->apic, vmcb->v_intr & 0xf);
	local_apic_msr_write(vcpu, FAST_MSR_X2APIC_EOI, 0);
	resume(vcpu, vmcb, EXIT_MSR_WRITE, rip);
	return local_apic_pending(&vcpu->apic) < 0 ? FAST_RESUME : FAST_LOOK;
}

static ALWAYS_INLINE uint32_t fast(struct vcpu *vcpu, bool by_hardware)
{
	struct vmcb *vmcb = vmcb_of(vcpu);

	/* In this order, which the compiler must be told. */
	if (LIKELY(vmcb->exit_code == SVM_EXIT_CPUID))
		return on_fast_cpuid(vcpu, vmcb, by_hardware);
	if (LIKELY(vmcb->exit_code == SVM_EXIT_VMMCALL))
		return on_fast_hypercall(vcpu, vmcb, by_hardware);
	if (vmcb->exit_code != SVM_EXIT_MSR)
		return FAST_LONG_WAY;
	if (!(vmcb->exit_info_1 & 1))
		return on_fast_msr_read(vcpu, vmcb, by_hardware);
	if ((uint32_t)vcpu->gpr[RCX] == FAST_MSR_X2APIC_ICR)
		return on_fast_command(vcpu, vmcb, by_hardware);
	return on_fast_msr_write(vcpu, vmcb, by_hardware);
}

uint32_t svm_fast_by_view(struct vcpu *vcpu)
{
	return fast(vcpu, false);
}

uint32_t svm_fast_by_hardware(struct vcpu *vcpu)
{
	return fast(vcpu, true);
}

/* By direct calls, which a guest cannot train to go elsewhere. */
void svm_fast_start(bool has_next_rip)
{
	const char *function = (const char *)(has_next_rip ?
						      svm_fast_by_hardware :
						      svm_fast_by_view);

	mitigation_branch(svm_fast_call, BRANCH_CALL, function);
	mitigation_branch(guarded_call, BRANCH_CALL, function);
}
