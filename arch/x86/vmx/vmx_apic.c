/* SPDX-License-Identifier: MIT */
/*
 * The local APIC, as far as the processor does it: SDM 326019, "APIC
 * Virtualization and Virtual Interrupts".  Its registers are the bytes that
 * the kernel emulates on.  CR8 never exits, since it is the TPR there.  In
 * x2APIC mode, where the processor has all of it, reads do not exit, nor do
 * ends of interrupt, the TPR and interrupts to itself; interrupts that the
 * registers request are delivered without us.
 */
#include "vmcs.h"
#include "vmx.h"
#include <mullion/arch.h>
#include <mullion/log.h>
#include <mullion/page.h>
#include <string.h>

/* The MSR bitmap of guests in x2APIC mode. */
static uint8_t *x2apic_bitmap;

static void pass(uint8_t *bitmap, uint32_t first, uint32_t last)
{
	for (uint32_t msr = first; msr <= last; msr++)
		bitmap[msr / 8] &= ~(1 << msr % 8);
}

void vmx_apic_start(void)
{
	/* All but the ICR, of which the page has its parts elsewhere, and the
	 * current count, which must be worked out. */
	static const uint16_t read[][2] = {
		{ 0x802, 0x803 }, { 0x808, 0x808 }, { 0x80a, 0x80a },
		{ 0x80d, 0x80d }, { 0x80f, 0x828 }, { 0x832, 0x838 },
		{ 0x83e, 0x83e },
	};
	uint8_t *writes;

	if (!vmx_controls.interrupts)
		return;
	x2apic_bitmap = page_alloc(1);
	if (!x2apic_bitmap)
		panic("no memory for a MSR bitmap");
	memcpy(x2apic_bitmap, vmx_msr_bitmap, PAGE_SIZE);
	for (size_t i = 0; i < ARRAY_COUNT(read); i++)
		pass(x2apic_bitmap, read[i][0], read[i][1]);
	writes = x2apic_bitmap + MSR_BITMAP_WRITE;
	pass(writes, 0x808, 0x808); /* TPR */
	pass(writes, 0x80b, 0x80b); /* EOI */
	pass(writes, 0x83f, 0x83f); /* SELF IPI */
}

static void deliver(struct vcpu *vcpu, bool x2apic)
{
	vmx_use(vcpu);
	vmx_of(vcpu)->delivers = x2apic;
	vmcs_write(VMCS_SECONDARY,
		   vmx_controls.secondary |
			   (x2apic ? VMX_SECONDARY_X2APIC_ALL : 0));
	vmcs_write(
		VMCS_MSR_BITMAP,
		arch_physical(x2apic ? x2apic_bitmap : vmx_msr_bitmap).value);
	vcpu->apic.changed = vcpu->apic.levels_changed = true;
}

void vmx_apic_reset(struct vcpu *vcpu)
{
	vmcs_write(VMCS_VIRTUAL_APIC, arch_physical(&vcpu->apic).value);
	vmcs_write(VMCS_TPR_THRESHOLD, 0);
	vmx_of(vcpu)->tpr_threshold = 0;
	deliver(vcpu, false);
}

bool vmx_delivers(struct vcpu *vcpu)
{
	bool x2apic = vmx_controls.interrupts &&
		      (!vcpu || local_apic_in_x2apic(&vcpu->apic));

	if (!vcpu)
		return x2apic;
	if (vmx_of(vcpu)->delivers != x2apic)
		deliver(vcpu, x2apic);
	return x2apic;
}

/* "TPR Virtualization": an exit when the TPR falls below it. */
static void write_threshold(struct vcpu *vcpu)
{
	uint64_t cr8 = local_apic_cr8(&vcpu->apic);
	uint64_t held = cr8 ? local_apic_requested(&vcpu->apic) >> 4 : 0;

	vmcs_write_if_new(VMCS_TPR_THRESHOLD, &vmx_of(vcpu)->tpr_threshold,
			  held <= cr8 ? held : 0);
}

void vmx_apic_write_changes(struct vcpu *vcpu)
{
	struct local_apic *apic = &vcpu->apic;
	struct vmx_vcpu *vmx = vmx_of(vcpu);

	if (!vmx->delivers) {
		write_threshold(vcpu);
		return;
	}
	/* The processor keeps them as the registers are, and so do we. */
	if (!apic->changed)
		return;
	apic->changed = false;
	vmcs_write(
		VMCS_INTERRUPT_STATUS,
		field_make(VMX_STATUS_REQUESTED, local_apic_requested(apic)) |
			field_make(VMX_STATUS_IN_SERVICE,
				   local_apic_in_service(apic)));
	if (!apic->levels_changed)
		return;
	apic->levels_changed = false;
	for (int i = 0; i < 4; i++)
		vmcs_write(VMCS_EOI_EXITS + 2 * i, local_apic_levels(apic, i));
}
