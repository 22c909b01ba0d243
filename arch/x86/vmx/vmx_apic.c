/* SPDX-License-Identifier: MIT */
/*
 * The local APIC, as far as the processor does it: SDM 326019, "APIC
 * Virtualization and Virtual Interrupts".  Its registers are the bytes that
 * the kernel emulates on.  CR8 never exits, since it is the TPR there.  In
 * x2APIC mode, where the processor has all of it, reads do not exit, nor do
 * ends of interrupt, the TPR and interrupts to itself; interrupts that the
 * registers request are delivered without us.  A guest that is given its CPU's
 * own local APIC needs none of it.
 */
#include "../cpu.h"
#include "../registers.h"
#include "vmcs.h"
#include "vmx.h"
#include <mullion/arch.h>
#include <mullion/log.h>
#include <mullion/page.h>
#include <string.h>

/* The MSR bitmaps of guests in x2APIC mode: where the processor delivers, and
 * where the local APIC is theirs. */
static uint8_t *x2apic_bitmap, *given_bitmap;

static void pass(uint8_t *bitmap, const struct msr_range *range)
{
	for (uint32_t msr = range->first; msr <= range->last; msr++) {
		if (range->how & MSR_READ)
			bitmap[msr / 8] &= ~(1 << msr % 8);
		if (range->how & MSR_WRITE)
			bitmap[MSR_BITMAP_WRITE + msr / 8] &= ~(1 << msr % 8);
	}
}

static uint8_t *new_bitmap(void)
{
	uint8_t *bitmap = page_alloc(1);

	if (bitmap)
		memcpy(bitmap, vmx_msr_bitmap, PAGE_SIZE);
	else
		panic("no memory for a MSR bitmap");
	return bitmap;
}

static void make_x2apic_bitmap(void)
{
	/* All but the ICR, of which the page has its parts elsewhere, and the
	 * current count, which must be worked out. */
	static const struct msr_range ranges[] = {
		{ 0x802, 0x803, MSR_READ },
		{ 0x808, 0x808, MSR_READ },
		{ 0x80a, 0x80a, MSR_READ },
		{ 0x80d, 0x80d, MSR_READ },
		{ 0x80f, 0x828, MSR_READ },
		{ 0x832, 0x838, MSR_READ },
		{ 0x83e, 0x83e, MSR_READ },
		{ 0x808, 0x808, MSR_WRITE }, /* TPR */
		{ 0x80b, 0x80b, MSR_WRITE }, /* EOI */
		{ 0x83f, 0x83f, MSR_WRITE }, /* SELF IPI */
	};

	x2apic_bitmap = new_bitmap();
	for (size_t i = 0; i < ARRAY_COUNT(ranges); i++)
		pass(x2apic_bitmap, &ranges[i]);
}

/* Deadlines of ours need another timer then. */
bool vmx_gives_apic(void)
{
	return apic_can_be_given() && arch_apic_has_deadline() &&
	       vmx_controls.timer;
}

void vmx_apic_start(void)
{
	if (vmx_controls.interrupts)
		make_x2apic_bitmap();
	if (!vmx_gives_apic())
		return;
	given_bitmap = new_bitmap();
	apic_given_pass(given_bitmap, pass);
}

static uint8_t *bitmap_for(enum vmx_apic apic)
{
	switch (apic) {
	case VMX_APIC_DELIVERED:
		return x2apic_bitmap;
	case VMX_APIC_GIVEN:
		return given_bitmap;
	case VMX_APIC_EMULATED:
		break;
	}
	return vmx_msr_bitmap;
}

static void set_apic(struct vcpu *vcpu, enum vmx_apic apic)
{
	/* With its own, a guest rests and masks by itself. */
	const uint32_t ours = VMX_PROCESSOR_HLT | VMX_PROCESSOR_TPR_SHADOW;
	struct vmx_vcpu *vmx = vmx_of(vcpu);
	bool given = apic == VMX_APIC_GIVEN;

	vmx_use(vcpu);
	vmx->apic = apic;
	vmx->pin_always = vmx_controls.pin & ~(given ? VMX_PIN_INTERRUPT : 0);
	vmx->new_processor = (vmx->new_processor & ~ours) | (given ? 0 : ours);
	vmcs_write(VMCS_SECONDARY,
		   vmx_controls.secondary | (apic == VMX_APIC_DELIVERED ?
						     VMX_SECONDARY_X2APIC_ALL :
						     0));
	vmcs_write(VMCS_MSR_BITMAP, arch_physical(bitmap_for(apic)).value);
	vcpu->apic.changed = vcpu->apic.levels_changed = true;
}

void vmx_apic_reset(struct vcpu *vcpu)
{
	vmcs_write(VMCS_VIRTUAL_APIC, arch_physical(&vcpu->apic).value);
	vmcs_write(VMCS_TPR_THRESHOLD, 0);
	vmx_of(vcpu)->tpr_threshold = 0;
	set_apic(vcpu, VMX_APIC_EMULATED);
}

bool vmx_delivers(struct vcpu *vcpu)
{
	enum vmx_apic apic = VMX_APIC_EMULATED;

	if (!vcpu)
		return vmx_controls.interrupts;
	if (vcpu->apic.given)
		apic = VMX_APIC_GIVEN;
	else if (vmx_controls.interrupts && local_apic_in_x2apic(&vcpu->apic))
		apic = VMX_APIC_DELIVERED;
	if (vmx_of(vcpu)->apic != apic)
		set_apic(vcpu, apic);
	return apic != VMX_APIC_EMULATED;
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

	if (vmx->apic == VMX_APIC_GIVEN)
		return;
	if (vmx->apic == VMX_APIC_EMULATED) {
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
