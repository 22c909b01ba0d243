/* SPDX-License-Identifier: MIT */
/* The SVM back end: AMD 24593, "Secure Virtual Machine". */
#include "svm.h"
#include "../cpu.h"
#include "../fpu.h"
#include "../registers.h"
#include "../stage2.h"
#include <mullion/arch.h>
#include <mullion/log.h>
#include <mullion/page.h>
#include <mullion/vm.h>
#include <string.h>

#define IOPM_PAGES 3
#define MSRPM_PAGES 2
#define VCPU_PAGES 2 /* struct svm_vcpu and the VMCB */

/* Shared by all VMs: every port exits; MSRs but the few below, too.  The last is
 * for those that have the local APICs of their CPUs. */
static uint8_t *iopm, *msrpm, *msrpm_apic;
bool svm_has_next_rip;

/* Bochs 2.7's bx_generic has SVM and its leaf, whose revision is 0 elsewhere, but
 * does not say so in the bit. */
static bool has_svm(void)
{
	return cpuid(0x80000000, 0).eax >= 0x8000000a &&
	       (cpuid(0x80000001, 0).ecx & BIT(2) ||
		cpuid(0x8000000a, 0).eax & 0xff);
}

static enum error svm_probe(const char **words)
{
	uint32_t features;

	if (!has_svm()) {
		*words = "the processor has no SVM (AMD-V)";
		return ERR_UNSUPPORTED;
	}
	features = cpuid(0x8000000a, 0).edx;
	if (!(features & SVM_FEATURE_NESTED_PAGING)) {
		*words = "SVM without nested paging";
		return ERR_UNSUPPORTED;
	}
	if (read_msr(MSR_VM_CR) & VM_CR_SVMDIS) {
		*words = "the firmware has switched SVM off (VM_CR.SVMDIS); "
			 "look for it in the firmware's set-up";
		return ERR_UNSUPPORTED;
	}
	svm_has_next_rip = features & SVM_FEATURE_NRIP_SAVE;
	svm_fast_start(svm_has_next_rip);
	return ERR_NONE;
}

/* AMD 24593, "Function 8000_000Ah". */
static void svm_describe(char *to, size_t room)
{
	static const char *const unused[32] = {
		[1] = "LBR virtualization", [5] = "clean bits",
		[6] = "flush by ASID",	    [7] = "decode assists",
		[10] = "pause filter",	    [13] = "AVIC",
		[15] = "virtual VMLOAD",    [16] = "virtual GIF",
	};
	uint32_t features = cpuid(0x8000000a, 0).edx;
	size_t length = format_text(to, room,
				    "nested paging%s; not used: %u ASIDs",
				    features & BIT(3) ? ", next RIP" : "",
				    cpuid(0x8000000a, 0).ebx);

	for (uint32_t i = 0; i < ARRAY_COUNT(unused); i++)
		if (features & 1u << i && unused[i])
			length += format_text(to + length, room - length,
					      ", %s", unused[i]);
}

/* "MSR Ranges Covered by MSR Permissions Map": two bits an MSR. */
static void pass(uint8_t *map, const struct msr_range *range)
{
	for (uint32_t msr = range->first; msr <= range->last; msr++) {
		uint32_t bit;

		if (msr < 0x2000)
			bit = msr * 2;
		else if (msr >= 0xc0000000 && msr < 0xc0002000)
			bit = 0x800 * 8 + (msr - 0xc0000000) * 2;
		else
			panic("MSR 0x%x cannot be passed", msr);
		map[bit / 8] &= ~(range->how << bit % 8);
	}
}

static void make_permission_maps(void)
{
	static const uint32_t passed[] = {
		MSR_STAR,	    MSR_LSTAR,	     MSR_CSTAR,
		MSR_SFMASK,	    MSR_FS_BASE,     MSR_GS_BASE,
		MSR_KERNEL_GS_BASE, MSR_SYSENTER_CS, MSR_SYSENTER_ESP,
		MSR_SYSENTER_EIP,
	};

	iopm = page_alloc(IOPM_PAGES);
	msrpm = page_alloc(MSRPM_PAGES);
	if (!iopm || !msrpm)
		panic("no memory for the permission maps");
	memset(iopm, 0xff, IOPM_PAGES * PAGE_SIZE);
	memset(msrpm, 0xff, MSRPM_PAGES * PAGE_SIZE);
	for (size_t i = 0; i < ARRAY_COUNT(passed); i++)
		pass(msrpm, &(struct msr_range){ passed[i], passed[i],
						 MSR_READ | MSR_WRITE });
	if (!svm_gives_apic())
		return;
	msrpm_apic = page_alloc(MSRPM_PAGES);
	if (!msrpm_apic)
		panic("no memory for the permission maps");
	memcpy(msrpm_apic, msrpm, MSRPM_PAGES * PAGE_SIZE);
	apic_given_pass(msrpm_apic, pass);
}

uint64_t svm_msr_map(bool has_apic)
{
	return arch_physical(has_apic ? msrpm_apic : msrpm).value;
}

static enum error svm_cpu_enable(void)
{
	struct cpu *cpu = cpu_self();

	if (!iopm) /* the boot CPU, before any other */
		make_permission_maps();
	cpu->host_state = page_alloc(1);
	cpu->vendor_save = page_alloc(1);
	if (!cpu->host_state || !cpu->vendor_save)
		return FAIL(ERR_NO_MEMORY);
	cpu->host_state_physical = arch_physical(cpu->host_state).value;
	cpu->vendor_save_physical = arch_physical(cpu->vendor_save).value;
	write_msr(MSR_EFER, read_msr(MSR_EFER) | EFER_SVME);
	write_msr(MSR_VM_HSAVE_PA, cpu->host_state_physical);
	/* RDPID shows it to guests and cannot be intercepted. */
	if (cpuid(0x80000001, 0).edx & CPUID_E1_EDX_RDTSCP)
		write_msr(MSR_TSC_AUX, 0);
	__asm__ volatile("vmsave %%rax"
			 :
			 : "a"(cpu->vendor_save_physical)
			 : "memory");
	return ERR_NONE;
}

static enum error svm_vcpu_create(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = page_alloc(VCPU_PAGES);

	vcpu->fpu = fpu_area_alloc();
	if (!svm || !vcpu->fpu) {
		if (svm)
			page_free(svm, VCPU_PAGES);
		if (vcpu->fpu)
			fpu_area_free(vcpu->fpu);
		return FAIL(ERR_NO_MEMORY);
	}
	svm->vmcb = (struct vmcb *)((uint8_t *)svm + PAGE_SIZE);
	svm->vmcb_physical = arch_physical(svm->vmcb).value;
	vcpu->vendor = svm;
	return ERR_NONE;
}

static void svm_vcpu_destroy(struct vcpu *vcpu)
{
	fpu_forget(vcpu);
	fpu_area_free(vcpu->fpu);
	page_free(vcpu->vendor, VCPU_PAGES);
	vcpu->vendor = NULL;
}

/* QEMU 7.2 takes INT3 for an INT n, processors do not. */
static void svm_watch_breakpoints(struct vcpu *vcpu)
{
	struct vmcb *vmcb = vmcb_of(vcpu);

	vmcb->intercept_exceptions &= ~SVM_EXCEPTION_BP;
	vmcb->intercept_1 &= ~SVM_INTERCEPT_SOFTWARE;
	if (!vcpu->vm->debugged)
		return;
	vmcb->intercept_exceptions |= SVM_EXCEPTION_BP;
	vmcb->intercept_1 |= SVM_INTERCEPT_SOFTWARE;
}

void svm_set_controls(struct vcpu *vcpu, struct vmcb *vmcb)
{
	vmcb->intercept_exceptions = SVM_EXCEPTION_DB | SVM_EXCEPTION_AC |
				     SVM_EXCEPTION_MC;
	vmcb->intercept_1 = SVM_INTERCEPT_INTR | SVM_INTERCEPT_NMI |
			    SVM_INTERCEPT_SMI | SVM_INTERCEPT_INIT |
			    SVM_INTERCEPT_RDPMC | SVM_INTERCEPT_CPUID |
			    SVM_INTERCEPT_INVD | SVM_INTERCEPT_HLT |
			    SVM_INTERCEPT_INVLPGA | SVM_INTERCEPT_IO |
			    SVM_INTERCEPT_MSR | SVM_INTERCEPT_SHUTDOWN;
	vmcb->intercept_2 = SVM_INTERCEPT_VMRUN | SVM_INTERCEPT_VMMCALL |
			    SVM_INTERCEPT_VMLOAD | SVM_INTERCEPT_VMSAVE |
			    SVM_INTERCEPT_STGI | SVM_INTERCEPT_CLGI |
			    SVM_INTERCEPT_SKINIT | SVM_INTERCEPT_WBINVD |
			    SVM_INTERCEPT_MONITOR | SVM_INTERCEPT_MWAIT |
			    SVM_INTERCEPT_MWAIT_ARMED | SVM_INTERCEPT_XSETBV |
			    SVM_INTERCEPT_RDTSCP | SVM_INTERCEPT_RDPRU;
	svm_watch_breakpoints(vcpu);
	vmcb->iopm_base = arch_physical(iopm).value;
	vmcb->msrpm_base = svm_msr_map(false);
	svm_of(vcpu)->has_apic = false;
	/* A vCPU is alone on its ASID: its CPU flushes when another enters. */
	vmcb->asid = 1;
	vmcb->tlb_control = SVM_TLB_FLUSH_ALL;
	vmcb->v_intr = SVM_V_INTR_MASKING;
	vmcb->nested_control = 1;
	vmcb->nested_cr3 = vcpu->vm->stage2.value;
}

const struct virt_ops svm_ops = {
	.name = "SVM",
	.probe = svm_probe,
	.describe = svm_describe,
	.cpu_enable = svm_cpu_enable,
	.vcpu_create = svm_vcpu_create,
	.vcpu_destroy = svm_vcpu_destroy,
	.vcpu_reset = svm_vcpu_reset,
	.vcpu_run = svm_vcpu_run,
	.watch_breakpoints = svm_watch_breakpoints,
	.read_system = svm_read_system,
	.write_system = svm_write_system,
	.inject = svm_inject,
	.event_pending = svm_event_pending,
	.can_interrupt = svm_can_interrupt,
	.want_window = svm_want_window,
	.gives_apic = svm_gives_apic,
	.flush_tlb = svm_flush_tlb,
	.read_msr = svm_read_msr,
	.write_msr = svm_write_msr,
	.stage2_create = stage2_create,
	.stage2_map = npt_map,
	.stage2_look = stage2_look,
	.stage2_destroy = stage2_destroy,
};
