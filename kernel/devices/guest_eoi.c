/* SPDX-License-Identifier: MIT */
/*
 * The end of an interrupt without an exit: a byte in the guest's memory says
 * that the interrupt in service may be ended by clearing it.  That holds while
 * nothing has to be done at the end: no other interrupt waits, none is
 * interrupted, and no device wants to hear of it.  Whoever looks at the local
 * APIC's registers learns first what the guest did.  msr.rst,
 * "MSR_KVM_EOI_EN".
 */
#include "local_apic_parts.h"

#include <mullion/log.h>
#include <mullion/paravirtual.h>
#include <mullion/vm.h>

#define EOI_ON BIT(0)
#define EOI_RESERVED BIT(1)
#define MAY_END 1 /* of the byte in memory */

static gpa_t place(const struct vcpu *vcpu)
{
	return gpa(vcpu->eoi.msr & ~BITS(1, 0));
}

static void switch_off(struct vcpu *vcpu)
{
	log_guest(vcpu, "the end of interrupts at 0x%lx is not in its memory",
		  place(vcpu).value);
	vcpu->eoi.msr = 0;
	vcpu->eoi.offered = false;
}

enum error guest_eoi_write(struct vcpu *vcpu, uint64_t value)
{
	if (!(vcpu->vm->kvm_features & KVM_FEATURE_PV_EOI) ||
	    value & EOI_RESERVED)
		return ERR_BAD_REQUEST;
	guest_eoi_take_back(vcpu);
	vcpu->eoi.msr = value;
	if (value & EOI_ON &&
	    !guest_is_ram(&vcpu->vm->memory, place(vcpu), 4)) {
		switch_off(vcpu);
		return ERR_BAD_ADDRESS;
	}
	return ERR_NONE;
}

static void put(struct vcpu *vcpu, uint8_t byte)
{
	if (guest_store_8(&vcpu->vm->memory, place(vcpu), byte) != ERR_NONE)
		switch_off(vcpu);
}

/* Not by local_apic_levels(), which gathers two words. */
static bool is_level(const struct local_apic *apic, uint8_t vector)
{
	return local_apic_get(apic, REGISTER_TMR + vector / 32) &
	       BIT(vector % 32);
}

void guest_eoi_accept(struct vcpu *vcpu, uint8_t vector)
{
	struct local_apic *apic = &vcpu->apic;
	bool alone = vcpu->eoi.msr & EOI_ON && local_apic_in_service(apic) == 0;

	local_apic_accept(apic, vector);
	if (!alone || local_apic_requested(apic) || is_level(apic, vector))
		return;
	vcpu->eoi.offered = true;
	put(vcpu, MAY_END);
}

void guest_eoi_settle(struct vcpu *vcpu)
{
	uint8_t byte;

	if (!vcpu->eoi.offered)
		return;
	if (guest_load_8(&vcpu->vm->memory, place(vcpu), &byte) != ERR_NONE) {
		switch_off(vcpu);
	} else if (!(byte & MAY_END)) {
		vcpu->eoi.offered = false;
		local_apic_end_of_interrupt(vcpu);
	}
}

void guest_eoi_take_back(struct vcpu *vcpu)
{
	guest_eoi_settle(vcpu);
	if (!vcpu->eoi.offered)
		return;
	vcpu->eoi.offered = false;
	put(vcpu, 0);
}
