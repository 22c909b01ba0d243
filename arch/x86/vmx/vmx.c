/* SPDX-License-Identifier: MIT */
/* The VT-x back end: SDM 326019, "Virtual Machine Extensions". */
#include "vmx.h"
#include "../cpu.h"
#include "../fpu.h"
#include "../guest_state.h"
#include "../registers.h"
#include "../stage2.h"
#include "vmcs.h"
#include <mullion/arch.h>
#include <mullion/log.h>
#include <mullion/page.h>
#include <mullion/vm.h>
#include <string.h>

#define IO_BITMAP_PAGES 2
#define VCPU_PAGES 2 /* struct vmx_vcpu and the VMCS */
#define MSR_BITMAP_READ_HIGH 0x400

/* Shared by all VMs: every port exits; MSRs but the few below, too. */
static uint8_t *io_bitmaps;
uint8_t *vmx_msr_bitmap;

struct vmx_capabilities vmx_capabilities;
struct vmx_controls vmx_controls;

extern const char vmx_exit[];

_Noreturn void vmcs_refused(const char *what, uint64_t operand)
{
	panic("%s 0x%lx is refused", what, operand);
}

void vmx_use(struct vcpu *vcpu)
{
	if (vmx_cpu_self()->current == vcpu)
		return;
	if (!vmx_vmptrld(vmx_of(vcpu)->vmcs_physical))
		vmcs_refused("VMPTRLD", vmx_of(vcpu)->vmcs_physical);
	vmx_cpu_self()->current = vcpu;
}

/* Each MSR is read only where another says that there is one. */
static void read_capabilities(struct vmx_capabilities *have)
{
	uint32_t shift;

	*have = (struct vmx_capabilities){ .basic = read_msr(MSR_VMX_BASIC) };
	shift = have->basic & VMX_BASIC_TRUE ? MSR_VMX_TRUE - MSR_VMX_PIN : 0;
	have->pin = read_msr(MSR_VMX_PIN + shift);
	have->processor = read_msr(MSR_VMX_PROCESSOR + shift);
	have->exit = read_msr(MSR_VMX_EXIT + shift);
	have->entry = read_msr(MSR_VMX_ENTRY + shift);
	have->misc = read_msr(MSR_VMX_MISC);
	have->cr0_fixed0 = read_msr(MSR_VMX_CR0_FIXED0);
	have->cr0_fixed1 = read_msr(MSR_VMX_CR0_FIXED1);
	have->cr4_fixed0 = read_msr(MSR_VMX_CR4_FIXED0);
	have->cr4_fixed1 = read_msr(MSR_VMX_CR4_FIXED1);
	if (have->processor >> 32 & VMX_PROCESSOR_SECONDARY)
		have->secondary = read_msr(MSR_VMX_SECONDARY);
	if (have->secondary >> 32 & (VMX_SECONDARY_EPT | VMX_SECONDARY_VPID))
		have->ept_vpid = read_msr(MSR_VMX_EPT_VPID);
}

static bool is_locked_off(void)
{
	uint64_t control = read_msr(MSR_FEATURE_CONTROL);

	return control & FEATURE_CONTROL_LOCK &&
	       !(control & FEATURE_CONTROL_VMX);
}

static enum error vmx_probe(const char **words)
{
	if (!(cpuid(1, 0).ecx & CPUID_1_ECX_VMX)) {
		*words = "the processor has no VT-x";
		return ERR_UNSUPPORTED;
	}
	if (is_locked_off()) {
		*words = "the firmware has switched VT-x off and locked it "
			 "(IA32_FEATURE_CONTROL); look for it in the "
			 "firmware's set-up";
		return ERR_UNSUPPORTED;
	}
	read_capabilities(&vmx_capabilities);
	if (vmx_controls_choose(&vmx_capabilities, &vmx_controls, words) !=
	    ERR_NONE)
		return ERR_UNSUPPORTED;
	return ERR_NONE;
}

static void vmx_describe(char *to, size_t room)
{
	vmx_controls_describe(&vmx_capabilities, &vmx_controls, to, room);
}

/* "MSR-Bitmap Address": one bit an MSR, reads and writes apart. */
static void pass_msr(uint32_t msr)
{
	uint32_t byte = (msr & 0x1fff) / 8;

	if (msr >= 0xc0000000)
		byte += MSR_BITMAP_READ_HIGH;
	vmx_msr_bitmap[byte] &= ~(1 << msr % 8);
	vmx_msr_bitmap[byte + MSR_BITMAP_WRITE] &= ~(1 << msr % 8);
}

static void make_bitmaps(void)
{
	static const uint32_t passed[] = {
		MSR_STAR,	    MSR_LSTAR,	     MSR_CSTAR,
		MSR_SFMASK,	    MSR_FS_BASE,     MSR_GS_BASE,
		MSR_KERNEL_GS_BASE, MSR_SYSENTER_CS, MSR_SYSENTER_ESP,
		MSR_SYSENTER_EIP,
	};

	io_bitmaps = page_alloc(IO_BITMAP_PAGES);
	vmx_msr_bitmap = page_alloc(1);
	if (!io_bitmaps || !vmx_msr_bitmap)
		panic("no memory for the I/O and MSR bitmaps");
	memset(io_bitmaps, 0xff, IO_BITMAP_PAGES * PAGE_SIZE);
	memset(vmx_msr_bitmap, 0xff, PAGE_SIZE);
	for (size_t i = 0; i < ARRAY_COUNT(passed); i++)
		pass_msr(passed[i]);
	vmx_apic_start();
}

/* "VMXON Region", "VMCS Data": the revision comes first. */
static void set_revision(void *region)
{
	uint32_t revision = field_get(VMX_BASIC_REVISION,
				      vmx_capabilities.basic);

	memcpy(region, &revision, sizeof revision);
}

static enum error unlock_feature(void)
{
	uint64_t control = read_msr(MSR_FEATURE_CONTROL);

	if (is_locked_off()) {
		log_write("CPU %u: the firmware has locked VT-x off here, but "
			  "not on CPU 0",
			  cpu_self()->index);
		return FAIL(ERR_UNSUPPORTED);
	}
	if (!(control & FEATURE_CONTROL_LOCK))
		write_msr(MSR_FEATURE_CONTROL,
			  control | FEATURE_CONTROL_VMX | FEATURE_CONTROL_LOCK);
	return ERR_NONE;
}

static enum error vmx_cpu_enable(void)
{
	const struct vmx_capabilities *have = &vmx_capabilities;
	struct cpu *cpu = cpu_self();

	if (!io_bitmaps) /* the boot CPU, before any other */
		make_bitmaps();
	cpu->host_state = page_alloc(1);
	cpu->vendor_save = page_alloc(1);
	if (!cpu->host_state || !cpu->vendor_save)
		return FAIL(ERR_NO_MEMORY);
	if (unlock_feature() != ERR_NONE)
		return ERR_UNSUPPORTED;
	cpu->host_state_physical = arch_physical(cpu->host_state).value;
	set_revision(cpu->host_state);
	write_cr0((read_cr0() | have->cr0_fixed0) & have->cr0_fixed1);
	write_cr4((read_cr4() | have->cr4_fixed0 | CR4_VMXE) &
		  have->cr4_fixed1);
	if (!vmx_vmxon(cpu->host_state_physical)) {
		log_write("CPU %u refuses VMXON", cpu->index);
		return FAIL(ERR_UNSUPPORTED);
	}
	/* What the firmware or another hypervisor has left. */
	vmx_invept(VMX_INVALIDATE_ALL, 0);
	return ERR_NONE;
}

static enum error vmx_vcpu_create(struct vcpu *vcpu)
{
	struct vmx_vcpu *vmx = page_alloc(VCPU_PAGES);
	uint8_t *vmcs;

	vcpu->fpu = fpu_area_alloc();
	if (!vmx || !vcpu->fpu) {
		if (vmx)
			page_free(vmx, VCPU_PAGES);
		if (vcpu->fpu)
			fpu_area_free(vcpu->fpu);
		return FAIL(ERR_NO_MEMORY);
	}
	vmcs = (uint8_t *)vmx + PAGE_SIZE;
	set_revision(vmcs);
	vmx->vmcs_physical = arch_physical(vmcs).value;
	/* One for each; 0 is the hypervisor's. */
	if (vmx_controls.vpid)
		vmx->vpid = 1 + vcpu->vm->index * MULL_VCPU_MAX + vcpu->index;
	vcpu->vendor = vmx;
	return ERR_NONE;
}

/* Makes the VMCS no CPU's: what the processor caches of it is in memory. */
static void leave_vmcs(struct vcpu *vcpu)
{
	if (!vmx_vmclear(vmx_of(vcpu)->vmcs_physical))
		vmcs_refused("VMCLEAR", vmx_of(vcpu)->vmcs_physical);
	if (vmx_cpu_self()->current == vcpu)
		vmx_cpu_self()->current = NULL;
}

static void vmx_vcpu_destroy(struct vcpu *vcpu)
{
	leave_vmcs(vcpu);
	vmx_forget(vcpu);
	fpu_forget(vcpu);
	fpu_area_free(vcpu->fpu);
	page_free(vcpu->vendor, VCPU_PAGES);
	vcpu->vendor = NULL;
}

/* #DB and #AC can be raised without end inside the processor, so that
 * no interrupt is ever taken; #MC is the hypervisor's. */
static void vmx_watch_breakpoints(struct vcpu *vcpu)
{
	uint64_t always = BIT(VECTOR_DB) | BIT(VECTOR_AC) | BIT(VECTOR_MC);

	vmx_use(vcpu);
	vmcs_write(VMCS_EXCEPTIONS,
		   always | (vcpu->vm->debugged ? BIT(VECTOR_BP) : 0));
}

static void set_controls(struct vcpu *vcpu)
{
	const struct vmx_controls *controls = &vmx_controls;
	struct vmx_vcpu *vmx = vmx_of(vcpu);

	vmx->pin = vmx->pin_always = controls->pin;
	vmx->processor = vmx->new_processor = controls->processor;
	vmcs_write(VMCS_PIN, controls->pin);
	vmcs_write(VMCS_PROCESSOR, controls->processor);
	vmcs_write(VMCS_EXIT, controls->exit);
	vmcs_write(VMCS_ENTRY, controls->entry);
	vmx_watch_breakpoints(vcpu);
	vmcs_write(VMCS_PAGE_FAULT_MASK, 0);
	vmcs_write(VMCS_PAGE_FAULT_MATCH, 0);
	vmcs_write(VMCS_CR3_TARGETS, 0);
	vmcs_write(VMCS_EXIT_MSR_STORES, 0);
	vmcs_write(VMCS_EXIT_MSR_LOADS, 0);
	vmcs_write(VMCS_ENTRY_MSR_LOADS, 0);
	vmcs_write(VMCS_ENTRY_EVENT, 0);
	vmcs_write(VMCS_IO_BITMAP_A, arch_physical(io_bitmaps).value);
	vmcs_write(VMCS_IO_BITMAP_B,
		   arch_physical(io_bitmaps).value + PAGE_SIZE);
	vmx->ept_pointer = ept_pointer(vcpu->vm->stage2);
	vmcs_write(VMCS_EPT_POINTER, vmx->ept_pointer);
	if (vmx->vpid)
		vmcs_write(VMCS_VPID, vmx->vpid);
	if (controls->secondary & VMX_SECONDARY_ENCLS)
		vmcs_write(VMCS_ENCLS_BITMAP, ~0ull);
	vmx_apic_reset(vcpu);
}

static void set_host_state(void)
{
	struct cpu *cpu = cpu_self();

	vmcs_write(VMCS_HOST_CR0, read_cr0());
	vmcs_write(VMCS_HOST_CR3, read_cr3());
	vmcs_write(VMCS_HOST_CR4, read_cr4());
	vmcs_write(VMCS_HOST_EFER, read_msr(MSR_EFER));
	vmcs_write(VMCS_HOST_PAT, PAT_VALUE);
	vmcs_write(VMCS_HOST_CS_SELECTOR, SELECTOR_CODE);
	vmcs_write(VMCS_HOST_SS_SELECTOR, SELECTOR_DATA);
	vmcs_write(VMCS_HOST_DS_SELECTOR, SELECTOR_DATA);
	vmcs_write(VMCS_HOST_ES_SELECTOR, SELECTOR_DATA);
	vmcs_write(VMCS_HOST_FS_SELECTOR, 0);
	vmcs_write(VMCS_HOST_GS_SELECTOR, 0);
	vmcs_write(VMCS_HOST_TR_SELECTOR, SELECTOR_TSS);
	vmcs_write(VMCS_HOST_FS_BASE, (uint64_t)cpu);
	vmcs_write(VMCS_HOST_GS_BASE, 0);
	vmcs_write(VMCS_HOST_TR_BASE, (uint64_t)&cpu->tss);
	vmcs_write(VMCS_HOST_GDTR_BASE, (uint64_t)cpu->gdt);
	vmcs_write(VMCS_HOST_IDTR_BASE, idt_pointer[1]);
	vmcs_write(VMCS_HOST_SYSENTER_CS, 0);
	vmcs_write(VMCS_HOST_SYSENTER_ESP, 0);
	vmcs_write(VMCS_HOST_SYSENTER_EIP, 0);
	vmcs_write(VMCS_HOST_RIP, (uint64_t)vmx_exit);
}

static void vmx_vcpu_reset(struct vcpu *vcpu)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);

	leave_vmcs(vcpu);
	vmx_use(vcpu);
	vmx->launched = false;
	vmx->host_rsp = 0;
	set_controls(vcpu);
	set_host_state();
	vmx_reset_state(vcpu);
	vmx->event = 0;
	vmx->nmi_waits = vmx->single_step = false;
	guest_reset(vcpu);
	/* Compared with, to see what was skipped: so this is written here. */
	vmx->rip = vcpu->rip;
	vmcs_write(VMCS_GUEST_RIP, vmx->rip);
	/* Differ from what the VMCS holds, so that the entry writes it. */
	vmx->rflags = vmx->rsp = ~0ull;
}

const struct virt_ops vmx_ops = {
	.name = "VT-x",
	.probe = vmx_probe,
	.describe = vmx_describe,
	.cpu_enable = vmx_cpu_enable,
	.vcpu_create = vmx_vcpu_create,
	.vcpu_destroy = vmx_vcpu_destroy,
	.vcpu_reset = vmx_vcpu_reset,
	.vcpu_run = vmx_vcpu_run,
	.watch_breakpoints = vmx_watch_breakpoints,
	.read_system = vmx_read_system,
	.write_system = vmx_write_system,
	.inject = vmx_inject,
	.event_pending = vmx_event_pending,
	.can_interrupt = vmx_can_interrupt,
	.want_window = vmx_want_window,
	.flush_tlb = vmx_flush_tlb,
	.delivers = vmx_delivers,
	.gives_apic = vmx_gives_apic,
	.has_timer = true,
	.read_msr = vmx_read_msr,
	.write_msr = vmx_write_msr,
	.stage2_create = ept_create,
	.stage2_map = ept_map,
	.stage2_look = stage2_look,
	.stage2_destroy = stage2_destroy,
};
