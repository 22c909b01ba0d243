/* SPDX-License-Identifier: MIT */
/*
 * The short path of hot exits, called by vmx_enter.S; see svm_fast.c, its
 * neighbour.  No more VMREADs than needed: what else the long way reads is
 * not touched.  Every instruction here is counted by `make bench`.
 */
#include "vmx.h"
#include "../cpu.h"
#include "../registers.h"
#include <mullion/fast_exit.h>

#define ALWAYS_INLINE inline __attribute__((always_inline))
#define LIKELY(condition) __builtin_expect(!!(condition), 1)
#define UNLIKELY(condition) __builtin_expect(!!(condition), 0)

#define RFLAGS_TF BIT(8)
#define SS_DPL BITS(6, 5)
#define VMCS_SS_RIGHTS (VMCS_GUEST_RIGHTS + 2 * SEGMENT_SS)

/* "VMX Basic Exit Reasons" */
#define REASON_CPUID 10
#define REASON_VMCALL 18
#define REASON_RDMSR 31
#define REASON_WRMSR 32

/* Of fields that are there: nothing to check. */
static ALWAYS_INLINE uint64_t read_field(uint64_t field)
{
	uint64_t value;

	__asm__ volatile("vmread %1, %0" : "=r"(value) : "r"(field) : "cc");
	return value;
}

/*
 * Goes on behind the instruction.  Returns false for the long way: a shadow
 * of STI that must end, a single step, RIP at an edge where the size of code
 * matters, or too many in a row (the preemption timer begins anew with each
 * entry, so a guest could otherwise outrun it).
 */
static ALWAYS_INLINE bool go_on(struct vcpu *vcpu, enum exit_kind kind)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);
	uint64_t rip = read_field(VMCS_GUEST_RIP);
	uint64_t next = rip + read_field(VMCS_EXIT_LENGTH);

	if (UNLIKELY((rip ^ next) >> 32 ||
		     read_field(VMCS_GUEST_RFLAGS) & RFLAGS_TF ||
		     read_field(VMCS_INTERRUPTIBILITY) || vmx->fast_left == 0))
		return false;
	vmx->fast_left--;
	vcpu->exits[kind]++;
	__asm__ volatile("vmwrite %1, %0"
			 :
			 : "r"((uint64_t)VMCS_GUEST_RIP), "r"(next)
			 : "cc");
	return true;
}

static ALWAYS_INLINE uint32_t on_fast_cpuid(struct vcpu *vcpu)
{
	const struct cpuid_line *line = fast_cpuid(vcpu, vcpu->gpr[RAX],
						   vcpu->gpr[RCX]);

	if (UNLIKELY(!line || !go_on(vcpu, EXIT_CPUID)))
		return FAST_LONG_WAY;
	vcpu->gpr[RAX] = line->registers[0];
	vcpu->gpr[RBX] = line->registers[1];
	vcpu->gpr[RCX] = line->registers[2];
	vcpu->gpr[RDX] = line->registers[3];
	return FAST_RESUME;
}

static ALWAYS_INLINE uint32_t on_fast_hypercall(struct vcpu *vcpu)
{
	if (UNLIKELY(!fast_is_no_call(vcpu->gpr[RAX]) ||
		     read_field(VMCS_SS_RIGHTS) & SS_DPL ||
		     !go_on(vcpu, EXIT_HYPERCALL)))
		return FAST_LONG_WAY;
	vcpu->gpr[RAX] = -(uint64_t)FAST_KVM_ENOSYS;
	return FAST_RESUME;
}

static ALWAYS_INLINE uint32_t on_fast_msr_read(struct vcpu *vcpu)
{
	uint64_t value;

	if (UNLIKELY(!fast_msr_read(vcpu, vcpu->gpr[RCX], &value) ||
		     !go_on(vcpu, EXIT_MSR_READ)))
		return FAST_LONG_WAY;
	vcpu->gpr[RAX] = (uint32_t)value;
	vcpu->gpr[RDX] = value >> 32;
	return FAST_RESUME;
}

/* An interrupt for another vCPU, each with the local APIC of its CPU. */
static __attribute__((noinline)) uint32_t on_fast_command(struct vcpu *vcpu)
{
	uint32_t low = (uint32_t)vcpu->gpr[RAX];
	uint32_t to = (uint32_t)vcpu->gpr[RDX];
	const struct local_apic *receiver = fast_apic_receiver(vcpu, low, to);

	if (UNLIKELY(!receiver || !go_on(vcpu, EXIT_COMMAND)))
		return FAST_LONG_WAY;
	fast_apic_commanded(vcpu, low, to);
	x2apic_fence();
	write_msr(FAST_MSR_X2APIC_ICR,
		  (uint64_t)receiver->cpu_id << 32 | (low & FAST_ICR_VECTOR));
	return FAST_RESUME;
}

/* End of interrupt: another one may be due now, which the loop delivers. */
static __attribute__((noinline)) uint32_t on_fast_msr_write(struct vcpu *vcpu)
{
	if ((uint32_t)vcpu->gpr[RCX] != FAST_MSR_X2APIC_EOI ||
	    (uint32_t)(vcpu->gpr[RAX] | vcpu->gpr[RDX]) != 0 ||
	    !fast_has_x2apic(vcpu) || !go_on(vcpu, EXIT_MSR_WRITE))
		return FAST_LONG_WAY;
	local_apic_msr_write(vcpu, FAST_MSR_X2APIC_EOI, 0);
	return local_apic_pending(&vcpu->apic) < 0 ? FAST_RESUME : FAST_LOOK;
}

uint32_t vmx_fast(struct vcpu *vcpu)
{
	uint64_t reason = read_field(VMCS_REASON);

	/* In this order, which the compiler must be told. */
	if (LIKELY(reason == REASON_CPUID))
		return on_fast_cpuid(vcpu);
	if (LIKELY(reason == REASON_VMCALL))
		return on_fast_hypercall(vcpu);
	if (LIKELY(reason == REASON_RDMSR))
		return on_fast_msr_read(vcpu);
	if (reason == REASON_WRMSR)
		return (uint32_t)vcpu->gpr[RCX] == FAST_MSR_X2APIC_ICR ?
			       on_fast_command(vcpu) :
			       on_fast_msr_write(vcpu);
	return FAST_LONG_WAY;
}
