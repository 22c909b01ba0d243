/* SPDX-License-Identifier: MIT */
/*
 * The emulated local APIC: interrupts on their way to the processor, and
 * those that it sends.  Its registers are in local_apic_registers.c, its
 * timer in local_apic_timer.c.
 */
#include "local_apic_parts.h"

#include <mullion/guest.h>
#include <mullion/vm.h>

#define PRIORITY_CLASS 0xf0u /* the bits of a vector, TPR or PPR that count */
#define BROADCAST_X2APIC 0xffffffffu
#define BROADCAST_XAPIC 0xffu
#define SVR_AT_RESET 0xffu
#define DFR_FLAT 0xfu /* DFR[31:28]; else the cluster model */

/* SDM 325384, "Interrupt Command Register (ICR)" */
#define ICR_VECTOR BITS(7, 0)
#define ICR_DELIVERY BITS(10, 8)
#define ICR_LOGICAL BIT(11)
#define ICR_ASSERT BIT(14)
#define ICR_LEVEL BIT(15)
#define ICR_SHORTHAND BITS(19, 18)

enum shorthand { TO_DESTINATION, TO_SELF, TO_ALL, TO_OTHERS };

/* ---- state -------------------------------------------------------------- */

static void clear_vectors(_Atomic uint64_t *set)
{
	for (int i = 0; i < APIC_VECTORS_WORDS; i++)
		atomic_store(&set[i], 0);
}

void local_apic_init(struct vcpu *vcpu)
{
	struct local_apic *apic = &vcpu->apic;

	/* First, so that no other CPU adds a request behind the clearing
	 * that is meant for the time before. */
	apic->svr = SVR_AT_RESET;
	clear_vectors(apic->irr);
	clear_vectors(apic->tmr);
	clear_vectors(apic->isr);
	apic->tpr = 0;
	apic->ldr = 0;
	apic->dfr = ~0u;
	apic->esr = apic->esr_shown = 0;
	apic->icr_low = apic->icr_high = 0;
	for (int i = 0; i < LVT_COUNT; i++)
		apic->lvt[i] = LVT_MASKED;
	apic->divide = 0;
	apic->initial_count = 0;
	apic->timer_deadline = ARCH_NO_DEADLINE;
	apic->tsc_deadline = 0;
}

void local_apic_reset(struct vcpu *vcpu)
{
	vcpu->apic.id = vcpu->index;
	vcpu->apic.base = MULL_GUEST_LOCAL_APIC | APIC_BASE_ENABLED |
			  (vcpu->index ? 0 : APIC_BASE_BOOTSTRAP);
	local_apic_init(vcpu);
}

/* ---- delivery to the processor ------------------------------------------ */

/* The highest vector in @set, or -1. */
static int highest(const _Atomic uint64_t *set)
{
	for (int i = APIC_VECTORS_WORDS - 1; i >= 0; i--) {
		uint64_t word = atomic_load_explicit(&set[i],
						     memory_order_relaxed);

		if (word)
			return i * 64 + 63 - __builtin_clzll(word);
	}
	return -1;
}

uint32_t local_apic_priority(const struct local_apic *apic)
{
	int vector = highest(apic->isr);
	uint32_t in_service = vector < 0 ? 0 : (uint32_t)vector;
	uint32_t task = apic->tpr;

	in_service &= PRIORITY_CLASS;
	return (task & PRIORITY_CLASS) >= in_service ? task : in_service;
}

int local_apic_pending(const struct local_apic *apic)
{
	int vector = highest(apic->irr);

	if (vector < 0 || !(apic->base & APIC_BASE_ENABLED))
		return -1;
	if (((uint32_t)vector & PRIORITY_CLASS) <=
	    (local_apic_priority(apic) & PRIORITY_CLASS))
		return -1;
	return vector;
}

void local_apic_accept(struct local_apic *apic, uint8_t vector)
{
	uint64_t bit = BIT(vector % 64);

	atomic_fetch_and(&apic->irr[vector / 64], ~bit);
	atomic_fetch_or_explicit(&apic->isr[vector / 64], bit,
				 memory_order_relaxed);
}

void local_apic_end_of_interrupt(struct vcpu *vcpu)
{
	struct local_apic *apic = &vcpu->apic;
	int vector = highest(apic->isr);
	uint64_t bit;

	if (vector < 0)
		return; /* a spurious interrupt's: there is none to end */
	bit = BIT(vector % 64);
	atomic_fetch_and_explicit(&apic->isr[vector / 64], ~bit,
				  memory_order_relaxed);
	if (!(apic->tmr[vector / 64] & bit))
		return;
	lock_take(&vcpu->vm->device_lock);
	io_apic_end_of_interrupt(vcpu->vm, (uint8_t)vector);
	lock_give(&vcpu->vm->device_lock);
}

uint64_t local_apic_cr8(const struct local_apic *apic)
{
	return field_get(PRIORITY_CLASS, apic->tpr);
}

void local_apic_set_cr8(struct local_apic *apic, uint64_t cr8)
{
	/* The vendor code calls this after each exit: what CR8 does not show
	 * of the TPR stays while CR8 does. */
	if (cr8 != local_apic_cr8(apic))
		apic->tpr = (uint32_t)field_make(PRIORITY_CLASS, cr8);
}

/* ---- requests ----------------------------------------------------------- */

void local_apic_raise(struct local_apic *apic, uint8_t vector, bool level)
{
	uint64_t bit = BIT(vector % 64);

	if (vector < APIC_VECTOR_MIN || !(apic->svr & SVR_ENABLED))
		return;
	/* Before the request, so that it is there when the request is seen. */
	if (level)
		atomic_fetch_or(&apic->tmr[vector / 64], bit);
	else if (apic->tmr[vector / 64] & bit)
		atomic_fetch_and(&apic->tmr[vector / 64], ~bit);
	atomic_fetch_or(&apic->irr[vector / 64], bit);
}

void local_apic_error(struct local_apic *apic, uint32_t bit)
{
	uint8_t vector = apic->lvt[LVT_ERROR] & LVT_VECTOR;
	bool known = apic->esr & bit;

	apic->esr |= bit;
	if (known || apic->lvt[LVT_ERROR] & LVT_MASKED)
		return;
	/* An illegal vector here is an error, too: noted, but it must not
	 * call for the error interrupt again. */
	if (vector < APIC_VECTOR_MIN)
		apic->esr |= ESR_RECEIVE_ILLEGAL_VECTOR;
	else
		local_apic_raise(apic, vector, false);
}

void local_apic_local(struct local_apic *apic, enum apic_lvt source)
{
	uint8_t vector = apic->lvt[source] & LVT_VECTOR;

	if (apic->lvt[source] & LVT_MASKED)
		return;
	if (vector < APIC_VECTOR_MIN)
		local_apic_error(apic, ESR_RECEIVE_ILLEGAL_VECTOR);
	else
		local_apic_raise(apic, vector, false);
}

/* ---- who is meant ------------------------------------------------------- */

/* "Logical x2APIC ID": the cluster above, one bit of it below. */
static bool x2apic_logical(uint32_t id, uint32_t to)
{
	return to >> 16 == id >> 4 && to & BIT(id & 0xf);
}

/* "Logical Destination Mode" */
static bool xapic_logical(const struct local_apic *apic, uint32_t to)
{
	uint32_t logical = apic->ldr >> 24;

	if (to > 0xff)
		return false;
	if (apic->dfr >> 28 == DFR_FLAT)
		return logical & to;
	return logical >> 4 == to >> 4 && logical & to & 0xf;
}

bool local_apic_is_destination(const struct local_apic *apic,
			       const struct apic_message *message)
{
	uint32_t to = message->destination;

	if (!(apic->base & APIC_BASE_ENABLED))
		return false;
	if (to == (message->x2apic ? BROADCAST_X2APIC : BROADCAST_XAPIC))
		return true;
	if (!message->logical)
		return to == apic->id;
	return local_apic_in_x2apic(apic) ? x2apic_logical(apic->id, to) :
					    xapic_logical(apic, to);
}

/* ---- sending ------------------------------------------------------------ */

void local_apic_send_self(struct local_apic *apic, uint8_t vector)
{
	/* No kick: the vCPU is out of the guest, and looks before it enters. */
	if (vector < APIC_VECTOR_MIN)
		local_apic_error(apic, ESR_SEND_ILLEGAL_VECTOR);
	else
		local_apic_raise(apic, vector, false);
}

/* To every vCPU of the VM, with or without the sender. */
static void broadcast(struct vcpu *from, struct apic_message *message,
		      bool with_sender)
{
	struct vm *vm = from->vm;

	message->destination = BROADCAST_X2APIC;
	message->x2apic = true;
	for (uint32_t i = 0; i < vm->vcpu_count; i++) {
		struct vcpu *vcpu = vm->vcpus[i];

		if ((vcpu != from || with_sender) &&
		    local_apic_is_destination(&vcpu->apic, message))
			vm_interrupt_vcpu(vcpu, message);
	}
}

void local_apic_send(struct vcpu *vcpu)
{
	struct local_apic *apic = &vcpu->apic;
	uint32_t icr = apic->icr_low;
	bool x2apic = local_apic_in_x2apic(apic);
	/* Trigger mode is INIT's only: other interprocessor interrupts are
	 * edges. */
	struct apic_message message = {
		.destination = x2apic ? apic->icr_high : apic->icr_high >> 24,
		.vector = icr & ICR_VECTOR,
		.delivery = (uint8_t)field_get(ICR_DELIVERY, icr),
		.logical = icr & ICR_LOGICAL,
		.x2apic = x2apic,
	};
	bool ordinary = message.delivery == APIC_FIXED ||
			message.delivery == APIC_LOWEST;

	if (ordinary && message.vector < APIC_VECTOR_MIN) {
		local_apic_error(apic, ESR_SEND_ILLEGAL_VECTOR);
		return;
	}
	/* "INIT Level De-assert": today's processors ignore it. */
	if (message.delivery == APIC_INIT && icr & ICR_LEVEL &&
	    !(icr & ICR_ASSERT))
		return;

	switch ((enum shorthand)field_get(ICR_SHORTHAND, icr)) {
	case TO_DESTINATION:
		vm_interrupt(vcpu->vm, &message);
		break;
	case TO_SELF:
		if (ordinary)
			local_apic_send_self(apic, message.vector);
		else
			vm_interrupt_vcpu(vcpu, &message);
		break;
	case TO_ALL:
		broadcast(vcpu, &message, true);
		break;
	case TO_OTHERS:
		broadcast(vcpu, &message, false);
		break;
	}
}
