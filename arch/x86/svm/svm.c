/* SPDX-License-Identifier: MIT */
/* The SVM back end: AMD 24593, "Secure Virtual Machine". */
#include "svm.h"
#include "../cpu.h"
#include "../fpu.h"
#include "../registers.h"
#include <mullion/arch.h>
#include <mullion/log.h>
#include <mullion/page.h>
#include <mullion/vm.h>
#include <string.h>

#define IOPM_PAGES 3
#define MSRPM_PAGES 2

/* Shared by all VMs: every port exits; MSRs but the few below, too. */
static uint8_t *iopm, *msrpm;
static bool has_next_rip;

bool svm_enter(struct vcpu *vcpu, uint64_t vmcb, uint64_t host,
	       volatile bool *kicked);

static struct svm_vcpu *svm_of(const struct vcpu *vcpu)
{
	return vcpu->vendor;
}

static struct vmcb *vmcb_of(const struct vcpu *vcpu)
{
	return svm_of(vcpu)->vmcb;
}

static enum error svm_probe(const char **words)
{
	uint32_t features;

	if (cpuid(0x80000000, 0).eax < 0x8000000a ||
	    !(cpuid(0x80000001, 0).ecx & BIT(2))) {
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
	has_next_rip = features & SVM_FEATURE_NRIP_SAVE;
	return ERR_NONE;
}

/* "MSR Ranges Covered by MSR Permissions Map": two bits an MSR. */
static void pass_msr(uint32_t msr)
{
	uint32_t bit;

	if (msr < 0x2000)
		bit = msr * 2;
	else if (msr >= 0xc0000000 && msr < 0xc0002000)
		bit = 0x800 * 8 + (msr - 0xc0000000) * 2;
	else
		panic("MSR 0x%x cannot be passed", msr);
	msrpm[bit / 8] &= ~(3 << bit % 8);
}

static void make_permission_maps(void)
{
	static const uint32_t passed[] = {
		MSR_STAR, MSR_LSTAR, MSR_CSTAR, MSR_SFMASK, MSR_FS_BASE,
		MSR_GS_BASE, MSR_KERNEL_GS_BASE, MSR_SYSENTER_CS,
		MSR_SYSENTER_ESP, MSR_SYSENTER_EIP,
	};

	iopm = page_alloc(IOPM_PAGES);
	msrpm = page_alloc(MSRPM_PAGES);
	if (!iopm || !msrpm)
		panic("no memory for the permission maps");
	memset(iopm, 0xff, IOPM_PAGES * PAGE_SIZE);
	memset(msrpm, 0xff, MSRPM_PAGES * PAGE_SIZE);
	for (size_t i = 0; i < ARRAY_COUNT(passed); i++)
		pass_msr(passed[i]);
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
	__asm__ volatile("vmsave %%rax"
			 : : "a"(cpu->vendor_save_physical) : "memory");
	return ERR_NONE;
}

static enum error svm_vcpu_create(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = page_alloc(1);
	struct vmcb *vmcb = page_alloc(1);
	uint8_t *fpu = fpu_area_alloc();

	if (!svm || !vmcb || !fpu) {
		if (svm)
			page_free(svm, 1);
		if (vmcb)
			page_free(vmcb, 1);
		if (fpu)
			fpu_area_free(fpu);
		return FAIL(ERR_NO_MEMORY);
	}
	svm->vmcb = vmcb;
	svm->vmcb_physical = arch_physical(vmcb).value;
	vcpu->vendor = svm;
	vcpu->fpu = fpu;
	return ERR_NONE;
}

static void svm_vcpu_destroy(struct vcpu *vcpu)
{
	fpu_forget(vcpu);
	fpu_area_free(vcpu->fpu);
	page_free(vmcb_of(vcpu), 1);
	page_free(vcpu->vendor, 1);
	vcpu->vendor = NULL;
}

static void set_controls(struct vcpu *vcpu, struct vmcb *vmcb)
{
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
			    SVM_INTERCEPT_MWAIT_ARMED | SVM_INTERCEPT_XSETBV;
	vmcb->iopm_base = arch_physical(iopm).value;
	vmcb->msrpm_base = arch_physical(msrpm).value;
	/* A vCPU is alone on its ASID: its CPU flushes when another enters. */
	vmcb->asid = 1;
	vmcb->tlb_control = SVM_TLB_FLUSH_ALL;
	vmcb->v_intr = SVM_V_INTR_MASKING;
	vmcb->nested_control = 1;
	vmcb->nested_cr3 = vcpu->vm->stage2.value;
}

/* SDM 325384, "IA-32 and Intel 64 Processor States Following Power-up". */
static void svm_vcpu_reset(struct vcpu *vcpu)
{
	struct vmcb *vmcb = vmcb_of(vcpu);
	struct svm_segment data = { .attributes = 0x93, .limit = 0xffff };
	struct svm_segment system = { .attributes = 0x82, .limit = 0xffff };

	memset(vmcb, 0, sizeof *vmcb);
	set_controls(vcpu, vmcb);
	vmcb->es = vmcb->ss = vmcb->ds = vmcb->fs = vmcb->gs = data;
	vmcb->cs = (struct svm_segment){ 0xf000, 0x9b, 0xffff, 0xffff0000 };
	vmcb->gdtr.limit = vmcb->idtr.limit = 0xffff;
	vmcb->ldtr = system;
	vmcb->tr = system;
	vmcb->tr.attributes = 0x8b;
	vmcb->efer = EFER_SVME;
	vmcb->cr0 = CR0_ET | CR0_NW | CR0_CD;
	vmcb->dr6 = 0xffff0ff0;
	vmcb->dr7 = 0x400;
	vmcb->pat = 0x0007040600070406;
	memset(vcpu->gpr, 0, sizeof vcpu->gpr);
	vcpu->gpr[RDX] = cpuid(1, 0).eax;
	vcpu->rip = 0xfff0;
	vcpu->rflags = RFLAGS_FIXED;
	vcpu->xcr0 = 1;
	memset(vcpu->debug_registers, 0, sizeof vcpu->debug_registers);
	fpu_forget(vcpu);
	fpu_reset(vcpu->fpu);
}

/* Every vCPU has ASID 1, so what another left must go when it enters. */
static void flush_for(struct vcpu *vcpu, struct cpu *cpu)
{
	struct vmcb *vmcb = vmcb_of(vcpu);

	if (cpu->fpu_owner != vcpu)
		vmcb->tlb_control = SVM_TLB_FLUSH_ALL;
}

/*
 * QEMU 7.2 exits with 32 bits of ones where a running guest loads a control
 * register with reserved bits, which is #GP on a processor.  A failed entry
 * has the same code there, but with the host's state in the save area.
 */
static bool is_refused_load(const struct vmcb *vmcb)
{
	return vmcb->exit_code == SVM_EXIT_INVALID &&
	       (vmcb->rsp & ~(CPU_AREA_SIZE - 1)) != (uint64_t)cpu_self();
}

static void read_exit(struct vcpu *vcpu, struct vm_exit *exit)
{
	struct vmcb *vmcb = vmcb_of(vcpu);
	struct svm_raw raw = {
		.code = vmcb->exit_code,
		.info_1 = vmcb->exit_info_1,
		.info_2 = vmcb->exit_info_2,
		.rip = vmcb->rip,
		.next_rip = has_next_rip ? vmcb->next_rip : 0,
	};

	svm_decode(&raw, exit);
	/* An interrupted delivery is repeated, unless this exit ends it. */
	vmcb->event_injection = svm_interrupted_event(vmcb->exit_int_info);
	if (exit->kind == EXIT_WINDOW)
		vmcb->v_intr &= ~SVM_V_IRQ;
	if (exit->kind == EXIT_ENTRY_FAILED && is_refused_load(vmcb))
		exit->kind = EXIT_BAD_STATE;
}

/* The shadow of STI or MOV SS is over when an instruction was skipped. */
static bool in_shadow(const struct vcpu *vcpu)
{
	const struct vmcb *vmcb = vmcb_of(vcpu);

	return vmcb->interrupt_shadow & 1 && vmcb->rip == vcpu->rip;
}

static void svm_vcpu_run(struct vcpu *vcpu, struct vm_exit *exit)
{
	struct cpu *cpu = cpu_self();
	struct vmcb *vmcb = vmcb_of(vcpu);

	flush_for(vcpu, cpu);
	fpu_use(vcpu);
	vmcb->interrupt_shadow = in_shadow(vcpu);
	vmcb->rax = vcpu->gpr[RAX];
	vmcb->rsp = vcpu->gpr[RSP];
	vmcb->rip = vcpu->rip;
	vmcb->rflags = vcpu->rflags;
	vmcb->v_intr = (vmcb->v_intr & ~SVM_V_TPR) |
		       local_apic_cr8(&vcpu->apic);
	if (!svm_enter(vcpu, svm_of(vcpu)->vmcb_physical,
		       cpu->vendor_save_physical, &cpu->kicked)) {
		exit->kind = EXIT_NONE;
		return;
	}
	vmcb->tlb_control = 0;
	read_exit(vcpu, exit);
	vcpu->gpr[RAX] = vmcb->rax;
	vcpu->gpr[RSP] = vmcb->rsp;
	vcpu->rip = vmcb->rip;
	vcpu->rflags = vmcb->rflags;
	local_apic_set_cr8(&vcpu->apic, vmcb->v_intr & 0xf);
}

/* A segment's limit is unscaled in the VMCB, with the attributes packed. */
static struct guest_segment to_neutral(const struct svm_segment *segment)
{
	return (struct guest_segment){
		.base = segment->base,
		.limit = segment->limit,
		.selector = segment->selector,
		.attributes = segment->attributes,
	};
}

static struct svm_segment from_neutral(const struct guest_segment *segment)
{
	return (struct svm_segment){
		.base = segment->base,
		.limit = segment->limit,
		.selector = segment->selector,
		.attributes = segment->attributes & 0xfff,
	};
}

static struct svm_segment *segment_at(struct vmcb *vmcb, int number)
{
	switch ((enum guest_segment_number)number) {
	case SEGMENT_ES:
		return &vmcb->es;
	case SEGMENT_CS:
		return &vmcb->cs;
	case SEGMENT_SS:
		return &vmcb->ss;
	case SEGMENT_DS:
		return &vmcb->ds;
	case SEGMENT_FS:
		return &vmcb->fs;
	case SEGMENT_GS:
		return &vmcb->gs;
	case SEGMENT_LDTR:
		return &vmcb->ldtr;
	case SEGMENT_TR:
	case SEGMENT_COUNT:
		break;
	}
	return &vmcb->tr;
}

static void svm_read_system(struct vcpu *vcpu, struct guest_system *system)
{
	struct vmcb *vmcb = vmcb_of(vcpu);

	*system = (struct guest_system){
		.cr0 = vmcb->cr0, .cr2 = vmcb->cr2, .cr3 = vmcb->cr3,
		.cr4 = vmcb->cr4, .efer = vmcb->efer & ~EFER_SVME,
		.gdt_base = vmcb->gdtr.base, .gdt_limit = vmcb->gdtr.limit,
		.idt_base = vmcb->idtr.base, .idt_limit = vmcb->idtr.limit,
		.dr6 = vmcb->dr6, .dr7 = vmcb->dr7, .pat = vmcb->pat, .cpl = vmcb->cpl,
	};
	for (int i = 0; i < SEGMENT_COUNT; i++)
		system->segments[i] = to_neutral(segment_at(vmcb, i));
}

static void svm_write_system(struct vcpu *vcpu,
			     const struct guest_system *system)
{
	struct vmcb *vmcb = vmcb_of(vcpu);

	vmcb->cr0 = system->cr0;
	vmcb->cr2 = system->cr2;
	vmcb->cr3 = system->cr3;
	vmcb->cr4 = system->cr4;
	vmcb->efer = system->efer | EFER_SVME;
	vmcb->gdtr.base = system->gdt_base;
	vmcb->gdtr.limit = system->gdt_limit;
	vmcb->idtr.base = system->idt_base;
	vmcb->idtr.limit = system->idt_limit;
	vmcb->dr6 = system->dr6;
	vmcb->dr7 = system->dr7;
	vmcb->pat = system->pat;
	vmcb->cpl = system->cpl;
	for (int i = 0; i < SEGMENT_COUNT; i++)
		*segment_at(vmcb, i) = from_neutral(&system->segments[i]);
	vmcb->tlb_control = SVM_TLB_FLUSH_ALL;
}

static void svm_inject(struct vcpu *vcpu, const struct guest_event *event)
{
	static const uint8_t types[] = {
		[EVENT_INTERRUPT] = SVM_TYPE_INTERRUPT,
		[EVENT_NMI] = SVM_TYPE_NMI,
		[EVENT_EXCEPTION] = SVM_TYPE_EXCEPTION,
	};
	struct vmcb *vmcb = vmcb_of(vcpu);

	vmcb->event_injection =
		SVM_EVENT_VALID | event->vector |
		field_make(SVM_EVENT_TYPE, types[event->kind]) |
		(event->has_error_code ?
		 SVM_EVENT_HAS_CODE |
		 field_make(SVM_EVENT_CODE, event->error_code) : 0);
	if (event->kind == EVENT_EXCEPTION && event->vector == 14)
		vmcb->cr2 = event->cr2;
}

static bool svm_event_pending(struct vcpu *vcpu)
{
	return vmcb_of(vcpu)->event_injection & SVM_EVENT_VALID;
}

static bool svm_can_interrupt(struct vcpu *vcpu)
{
	return vcpu->rflags & RFLAGS_IF && !in_shadow(vcpu) &&
	       !svm_event_pending(vcpu);
}

/* A virtual interrupt that is only a window: it exits before it is taken. */
static void svm_want_window(struct vcpu *vcpu, bool want)
{
	struct vmcb *vmcb = vmcb_of(vcpu);

	if (want) {
		vmcb->intercept_1 |= SVM_INTERCEPT_VINTR;
		vmcb->v_intr |= SVM_V_IRQ | SVM_V_IGNORE_TPR |
				SVM_V_INTR_PRIORITY;
	} else {
		vmcb->intercept_1 &= ~SVM_INTERCEPT_VINTR;
		vmcb->v_intr &= ~(SVM_V_IRQ | SVM_V_IGNORE_TPR |
				  SVM_V_INTR_PRIORITY);
	}
}

static bool is_canonical(uint64_t address)
{
	return (uint64_t)((int64_t)(address << 16) >> 16) == address;
}

#define EFER_GUEST (EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE)
#define PAT_TYPE_VALID BIT(0) | BIT(1) | BIT(4) | BIT(5) | BIT(6) | BIT(7)

static enum error write_efer(struct vmcb *vmcb, uint64_t value)
{
	bool paging = vmcb->cr0 & CR0_PG;

	/* "Extended Feature Enable Register": LMA is the processor's own,
	 * LME must not change while paging is on. */
	if (value & ~EFER_GUEST)
		return ERR_BAD_REQUEST;
	if (paging && ((value ^ vmcb->efer) & EFER_LME))
		return ERR_BAD_REQUEST;
	vmcb->efer = (value & ~EFER_LMA) | (vmcb->efer & EFER_LMA) | EFER_SVME;
	vmcb->tlb_control = SVM_TLB_FLUSH_ALL;
	return ERR_NONE;
}

static enum error write_pat(struct vmcb *vmcb, uint64_t value)
{
	for (int i = 0; i < 8; i++) {
		uint64_t type = value >> 8 * i & 0xff;

		if (type > 7 || !((PAT_TYPE_VALID) >> type & 1))
			return ERR_BAD_REQUEST;
	}
	vmcb->pat = value;
	return ERR_NONE;
}

/* Where the VMCB keeps an MSR that VMLOAD and VMSAVE switch. */
static uint64_t *switched_msr(struct vmcb *vmcb, uint32_t msr, bool *address)
{
	*address = true;
	switch (msr) {
	case MSR_FS_BASE:
		return &vmcb->fs.base;
	case MSR_GS_BASE:
		return &vmcb->gs.base;
	case MSR_KERNEL_GS_BASE:
		return &vmcb->kernel_gs_base;
	case MSR_LSTAR:
		return &vmcb->lstar;
	case MSR_CSTAR:
		return &vmcb->cstar;
	case MSR_SYSENTER_ESP:
		return &vmcb->sysenter_esp;
	case MSR_SYSENTER_EIP:
		return &vmcb->sysenter_eip;
	}
	*address = false;
	switch (msr) {
	case MSR_STAR:
		return &vmcb->star;
	case MSR_SFMASK:
		return &vmcb->sfmask;
	case MSR_SYSENTER_CS:
		return &vmcb->sysenter_cs;
	default:
		return NULL;
	}
}

static enum error svm_read_msr(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	struct vmcb *vmcb = vmcb_of(vcpu);
	bool address;
	uint64_t *slot = switched_msr(vmcb, msr, &address);

	if (msr == MSR_EFER)
		*value = vmcb->efer & ~EFER_SVME;
	else if (msr == MSR_PAT)
		*value = vmcb->pat;
	else if (slot)
		*value = *slot;
	else
		return ERR_NOT_FOUND;
	return ERR_NONE;
}

static enum error svm_write_msr(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	struct vmcb *vmcb = vmcb_of(vcpu);
	bool address;
	uint64_t *slot = switched_msr(vmcb, msr, &address);

	if (msr == MSR_EFER)
		return write_efer(vmcb, value);
	if (msr == MSR_PAT)
		return write_pat(vmcb, value);
	if (!slot)
		return ERR_NOT_FOUND;
	if (address && !is_canonical(value))
		return ERR_BAD_REQUEST;
	*slot = value;
	return ERR_NONE;
}

const struct virt_ops svm_ops = {
	.name = "SVM",
	.probe = svm_probe,
	.cpu_enable = svm_cpu_enable,
	.vcpu_create = svm_vcpu_create,
	.vcpu_destroy = svm_vcpu_destroy,
	.vcpu_reset = svm_vcpu_reset,
	.vcpu_run = svm_vcpu_run,
	.read_system = svm_read_system,
	.write_system = svm_write_system,
	.inject = svm_inject,
	.event_pending = svm_event_pending,
	.can_interrupt = svm_can_interrupt,
	.want_window = svm_want_window,
	.read_msr = svm_read_msr,
	.write_msr = svm_write_msr,
	.stage2_create = npt_create,
	.stage2_map = npt_map,
	.stage2_destroy = npt_destroy,
};
