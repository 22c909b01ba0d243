/* SPDX-License-Identifier: MIT */
/*
 * RDMSR and WRMSR, curated by one table.  MSRs that are not in it do not
 * exist for the guest: #GP(0).  SDM 335592, "IA-32 Architectural MSRs"; AMD
 * 24593, "MSR Cross-Reference".
 */
#include <mullion/arch.h>
#include <mullion/bits.h>
#include <mullion/exits.h>
#include <mullion/guest_clock.h>
#include <mullion/log.h>
#include <mullion/mtrr.h>
#include <mullion/vm.h>

#define VECTOR_GP 13

#define MSR_TSC 0x10
#define MSR_MISC_ENABLE 0x1a0
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

static const struct msr_rule {
	uint32_t first, last;
	msr_read *read;
	msr_write *write;
} rules[] = {
	/* TSC: writes do not reach the real one, which deadlines need. */
	{ MSR_TSC, MSR_TSC, read_tsc, write_nothing },
	{ MSR_KVM_WALL_CLOCK, MSR_KVM_WALL_CLOCK, read_zero, write_wall },
	{ MSR_KVM_SYSTEM_TIME, MSR_KVM_SYSTEM_TIME, read_clock, write_clock },
	/* PLATFORM_ID */
	{ 0x17, 0x17, read_zero, write_refused },
	/* APIC_BASE */
	{ 0x1b, 0x1b, local_apic_msr_read, local_apic_msr_write },
	/* FEATURE_CONTROL */
	{ 0x3a, 0x3a, read_locked, write_refused },
	/* BIOS_UPDT_TRIG, BIOS_SIGN_ID: microcode is the machine's. */
	{ 0x79, 0x79, read_zero, write_nothing },
	{ 0x8b, 0x8b, read_zero, write_nothing },
	/* MTRRCAP */
	{ 0xfe, 0xfe, mtrr_read, write_refused },
	{ 0x174, 0x176, read_switched, write_switched }, /* SYSENTER */
	/* MCG_CAP, MCG_STATUS: no banks */
	{ 0x179, 0x17a, read_zero, write_nothing },
	{ MSR_MISC_ENABLE, MSR_MISC_ENABLE, read_misc_enable,
	  write_misc_enable },
	/* DEBUGCTL: nothing can be switched on */
	{ 0x1d9, 0x1d9, read_zero, write_nothing },
	/* MTRRs: variable, fixed; between them PAT; the default type */
	{ 0x200, 0x20f, mtrr_read, mtrr_write },
	{ 0x250, 0x26f, mtrr_read, mtrr_write },
	{ 0x277, 0x277, read_switched, write_switched },
	{ 0x2ff, 0x2ff, mtrr_read, mtrr_write },
	/* TSC_DEADLINE, x2APIC */
	{ 0x6e0, 0x6e0, local_apic_msr_read, local_apic_msr_write },
	{ 0x800, 0x8ff, local_apic_msr_read, local_apic_msr_write },
	{ MSR_KVM_WALL_CLOCK_NEW, MSR_KVM_WALL_CLOCK_NEW, read_zero,
	  write_wall },
	{ MSR_KVM_SYSTEM_TIME_NEW, MSR_KVM_SYSTEM_TIME_NEW, read_clock,
	  write_clock },
	/* EFER, STAR, LSTAR, CSTAR, SFMASK; FS, GS, kernel GS */
	{ 0xc0000080, 0xc0000084, read_switched, write_switched },
	{ 0xc0000100, 0xc0000102, read_switched, write_switched },
	/* PERF_CTR0 to 3, which count nothing: Xen clears them. */
	{ 0xc0010004, 0xc0010007, read_zero, write_nothing },
	/* SYSCFG, HWCR, NB_CFG, PATCH_LOADER, INT_PENDING: AMD's set-up, which
	 * kernels look at when they know the family. */
	{ 0xc0010010, 0xc0010010, read_zero, write_nothing },
	{ 0xc0010015, 0xc0010015, read_zero, write_nothing },
	{ 0xc001001f, 0xc001001f, read_zero, write_nothing },
	{ 0xc0010020, 0xc0010020, read_zero, write_nothing },
	{ 0xc0010055, 0xc0010055, read_zero, write_nothing },
	/* VM_CR: SVM is not there and locked off */
	{ 0xc0010114, 0xc0010114, read_zero, write_refused },
	/* LS_CFG and neighbours, BU_CFG, DE_CFG */
	{ 0xc0011020, 0xc0011023, read_zero, write_nothing },
	{ 0xc0011029, 0xc0011029, read_de_cfg, write_nothing },
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
	vcpu_skip(vcpu, exit);
}
