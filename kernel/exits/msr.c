/* SPDX-License-Identifier: MIT */
/*
 * RDMSR and WRMSR, curated by one table, msr_table.def.  MSRs that are not in
 * it do not exist for the guest: #GP(0).  SDM 335592, "IA-32 Architectural MSRs"; AMD
 * 24593, "MSR Cross-Reference".
 */
#include <mullion/arch.h>
#include <mullion/bits.h>
#include <mullion/exits.h>
#include <mullion/fast_exit.h>
#include <mullion/guest_clock.h>
#include <mullion/log.h>
#include <mullion/mtrr.h>
#include <mullion/paravirtual.h>
#include <mullion/vm.h>

#define VECTOR_GP 13

/* "IA32_MISC_ENABLE": fast strings; BTS and PEBS are not there. */
#define MISC_ENABLE_FIXED (BIT(11) | BIT(12))
#define MISC_ENABLE_WRITABLE (BIT(0) | BIT(34))

typedef enum error msr_read(struct vcpu *vcpu, uint32_t msr, uint64_t *value);
typedef enum error msr_write(struct vcpu *vcpu, uint32_t msr, uint64_t value);

static enum error read_zero(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	(void)vcpu;
	(void)msr;
	*value = 0;
	return ERR_NONE;
}

/* AMD 24593, "Hardware Configuration Register (HWCR)": the TSC counts at the rate
 * of P0. */
static enum error read_hwcr(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	(void)vcpu;
	(void)msr;
	*value = BIT(24);
	return ERR_NONE;
}

static enum error write_nothing(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	(void)vcpu;
	(void)msr;
	(void)value;
	return ERR_NONE;
}

static enum error write_refused(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	(void)vcpu;
	(void)msr;
	(void)value;
	return ERR_BAD_REQUEST;
}

static enum error read_tsc(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	(void)vcpu;
	(void)msr;
	*value = arch_time();
	return ERR_NONE;
}

static enum error read_misc_enable(struct vcpu *vcpu, uint32_t msr,
				   uint64_t *value)
{
	(void)msr;
	*value = vcpu->misc_enable | MISC_ENABLE_FIXED;
	return ERR_NONE;
}

static enum error write_misc_enable(struct vcpu *vcpu, uint32_t msr,
				    uint64_t value)
{
	(void)msr;
	if (value & ~(MISC_ENABLE_WRITABLE | MISC_ENABLE_FIXED))
		return ERR_BAD_REQUEST;
	vcpu->misc_enable = value & MISC_ENABLE_WRITABLE;
	return ERR_NONE;
}

/* FEATURE_CONTROL: locked, nothing enabled. */
static enum error read_locked(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	(void)vcpu;
	(void)msr;
	*value = BIT(0);
	return ERR_NONE;
}

/* DE_CFG: LFENCE serializes, as mitigations want it. */
static enum error read_de_cfg(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	(void)vcpu;
	(void)msr;
	*value = BIT(1);
	return ERR_NONE;
}

static enum error read_clock(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	(void)msr;
	*value = vcpu->clock.msr;
	return ERR_NONE;
}

static enum error write_clock(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	(void)msr;
	return guest_clock_write(vcpu, value, false);
}

static enum error write_wall(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	(void)msr;
	return guest_clock_write_wall(vcpu, value);
}

static enum error read_steal(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	(void)msr;
	*value = vcpu->steal.msr;
	return vcpu->vm->kvm_features & KVM_FEATURE_STEAL_TIME ? ERR_NONE :
								 ERR_NOT_FOUND;
}

static enum error write_steal(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	(void)msr;
	return guest_steal_write(vcpu, value);
}

static enum error read_eoi(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	(void)msr;
	*value = vcpu->eoi.msr;
	return vcpu->vm->kvm_features & KVM_FEATURE_PV_EOI ? ERR_NONE :
							     ERR_NOT_FOUND;
}

static enum error write_eoi(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	(void)msr;
	return guest_eoi_write(vcpu, value);
}

static enum error read_switched(struct vcpu *vcpu, uint32_t msr,
				uint64_t *value)
{
	return virt->read_msr(vcpu, msr, value);
}

static enum error write_switched(struct vcpu *vcpu, uint32_t msr,
				 uint64_t value)
{
	return virt->write_msr(vcpu, msr, value);
}

/* The words are for docs/processor.md. */
#define MSR(first, last, read, write, name, why) { first, last, read, write },
static const struct msr_rule {
	uint32_t first, last;
	msr_read *read;
	msr_write *write;
} rules[] = {
#include "msr_table.def"
};

static const struct msr_rule *rule_for(uint32_t msr)
{
	for (size_t i = 0; i < ARRAY_COUNT(rules); i++)
		if (msr >= rules[i].first && msr <= rules[i].last)
			return &rules[i];
	return NULL;
}

void on_msr_read(struct vcpu *vcpu, const struct vm_exit *exit)
{
	uint32_t msr = vcpu->gpr[RCX];
	const struct msr_rule *rule = rule_for(msr);
	uint64_t value = 0;

	if (!rule || rule->read(vcpu, msr, &value) != ERR_NONE) {
		log_guest(vcpu, "RDMSR 0x%x: there is no such MSR", msr);
		vcpu_exception_code(vcpu, VECTOR_GP, 0);
		return;
	}
	vcpu->gpr[RAX] = (uint32_t)value;
	vcpu->gpr[RDX] = value >> 32;
	vcpu_skip(vcpu, exit);
}

void on_msr_write(struct vcpu *vcpu, const struct vm_exit *exit)
{
	uint32_t msr = vcpu->gpr[RCX];
	uint64_t value = (uint32_t)vcpu->gpr[RAX] | vcpu->gpr[RDX] << 32;
	const struct msr_rule *rule = rule_for(msr);

	if (!rule || rule->write(vcpu, msr, value) != ERR_NONE) {
		log_guest(vcpu, "WRMSR 0x%x = 0x%lx: refused", msr, value);
		vcpu_exception_code(vcpu, VECTOR_GP, 0);
		return;
	}
	/* The loop has counted it as any other. */
	if (msr == FAST_MSR_X2APIC_ICR) {
		vcpu->exits[EXIT_MSR_WRITE]--;
		vcpu->exits[EXIT_COMMAND]++;
	}
	vcpu_skip(vcpu, exit);
}
