/* SPDX-License-Identifier: MIT */
/*
 * The emulated local APIC: interrupts on their way to the processor, and
 * those that it sends.  Its registers are in local_apic_registers.c, its
 * timer in local_apic_timer.c.
 */
#include "local_apic_parts.h"

#include <mullion/arch.h>
#include <mullion/guest.h>
#include <mullion/vm.h>

#define PRIORITY_CLASS 0xf0u /* the bits of a vector, TPR or PPR that count */
#define BROADCAST_X2APIC 0xffffffffu
#define BROADCAST_XAPIC 0xffu
#define SVR_AT_RESET 0xffu
/* "Local APIC Version Register": of an integrated APIC; EOI broadcasts cannot
 * be suppressed. */
#define VERSION (0x14u | (LVT_COUNT - 1) << 16)
#define DFR_FLAT 0xfu /* DFR[31:28]; else the cluster model */

/* SDM 325384, "Interrupt Command Register (ICR)" */
#define ICR_DELIVERY BITS(10, 8)
#define ICR_LOGICAL BIT(11)
#define ICR_LEVEL BIT(15)
#define ICR_SHORTHAND BITS(19, 18)

enum shorthand { TO_DESTINATION, TO_SELF, TO_ALL, TO_OTHERS };

/* ---- state -------------------------------------------------------------- */

void local_apic_show_ids(struct local_apic *apic)
{
	uint32_t id = apic->id;

	if (local_apic_in_x2apic(apic)) {
		local_apic_set(apic, REGISTER_ID, id);
		/* "Logical x2APIC ID" */
		local_apic_set(apic, REGISTER_LDR,
			       id >> 4 << 16 | (uint32_t)BIT(id & 0xf));
	} else {
		local_apic_set(apic, REGISTER_ID, id << 24);
		local_apic_set(apic, REGISTER_LDR, 0);
	}
}

void local_apic_init(struct vcpu *vcpu)
{
	struct local_apic *apic = &vcpu->apic;

	/* First, so that no other CPU adds a request behind the clearing
	 * that is meant for the time before. */
	atomic_store(&apic->registers[REGISTER_SVR].value, SVR_AT_RESET);
	for (int i = 0; i < APIC_VECTOR_WORDS; i++) {
		atomic_store(&apic->posted.requests[i], 0);
		atomic_store(&apic->posted.level[i], 0);
	}
	atomic_store(&apic->posted.words, 0);
	for (uint32_t i = 0; i < APIC_REGISTERS; i++)
		if (i != REGISTER_SVR)
			local_apic_set(apic, i, 0);
	local_apic_show_ids(apic);
	local_apic_set(apic, REGISTER_VERSION, VERSION);
	local_apic_set(apic, REGISTER_DFR, ~0u);
	for (int i = 0; i < LVT_COUNT; i++)
		local_apic_set(apic, REGISTER_LVT + i, LVT_MASKED);
	apic->changed = apic->levels_changed = true;
	apic->errors = 0;
	apic->timer_deadline = ARCH_NO_DEADLINE;
	apic->tsc_deadline = 0;
	if (apic->given)
		arch_apic_give();
}

void local_apic_reset(struct vcpu *vcpu)
{
	bool given = vcpu->vm->gives_apics;

	vcpu->apic.id = vcpu->index;
	vcpu->apic.cpu = vcpu->cpu;
	vcpu->apic.cpu_id = arch_apic_id(vcpu->cpu);
	vcpu->apic.base = MULL_GUEST_LOCAL_APIC | APIC_BASE_ENABLED |
			  (given ? APIC_BASE_X2APIC : 0) |
			  (vcpu->index ? 0 : APIC_BASE_BOOTSTRAP);
	atomic_store(&vcpu->apic.given, given);
	local_apic_init(vcpu);
}

/* SDM 325384, "Virtual Wire Mode via Local APIC" */
void local_apic_wire_pic(struct local_apic *apic)
{
	local_apic_set(apic, REGISTER_LVT + LVT_LINT0,
		       (uint32_t)field_make(LVT_DELIVERY, APIC_EXTINT));
}

bool local_apic_passes_pic(const struct local_apic *apic)
{
	uint32_t entry = local_apic_get(apic, REGISTER_LVT + LVT_LINT0);

	/* One that is switched off is not in the way. */
	if (!(apic->base & APIC_BASE_ENABLED))
		return true;
	return !(entry & LVT_MASKED) &&
	       field_get(LVT_DELIVERY, entry) == APIC_EXTINT;
}

/* ---- delivery to the processor ------------------------------------------ */

/* The highest vector in @set (IRR or ISR); 0: none, since 0 is illegal. */
static uint32_t highest(const struct local_apic *apic, uint32_t set)
{
	/* Each exit of the long way and each end of interrupt pays for it. */
#pragma GCC unroll 8
	for (int i = APIC_VECTOR_WORDS - 1; i >= 0; i--) {
		uint32_t word = local_apic_get(apic, set + i);

		if (word)
			return i * 32 + 31 - __builtin_clz(word);
	}
	return 0;
}

uint8_t local_apic_requested(const struct local_apic *apic)
{
	return highest(apic, REGISTER_IRR);
}

uint8_t local_apic_in_service(const struct local_apic *apic)
{
	return highest(apic, REGISTER_ISR);
}

uint64_t local_apic_levels(const struct local_apic *apic, uint32_t part)
{
	uint32_t number = REGISTER_TMR + 2 * part;

	return local_apic_get(apic, number) |
	       (uint64_t)local_apic_get(apic, number + 1) << 32;
}

/* Puts @vector into @set, or takes it out. */
static void put(struct local_apic *apic, uint32_t set, uint32_t vector, bool in)
{
	uint32_t number = set + vector / 32, bit = (uint32_t)BIT(vector % 32);
	uint32_t word = local_apic_get(apic, number);

	local_apic_set(apic, number, in ? word | bit : word & ~bit);
	apic->changed = true;
}

static void take_word(struct local_apic *apic, int word)
{
	uint32_t taken = atomic_exchange(&apic->posted.requests[word], 0);
	uint32_t level = atomic_load(&apic->posted.level[word]) & taken;
	uint32_t irr = local_apic_get(apic, REGISTER_IRR + word);
	uint32_t tmr = local_apic_get(apic, REGISTER_TMR + word);

	local_apic_set(apic, REGISTER_IRR + word, irr | taken);
	apic->changed = true;
	if ((tmr & taken) == level)
		return;
	local_apic_set(apic, REGISTER_TMR + word, (tmr & ~taken) | level);
	apic->levels_changed = true;
}

void local_apic_take_posted(struct local_apic *apic)
{
	uint32_t words;

	if (!atomic_load(&apic->posted.words))
		return;
	/* Before they are looked at: who posts behind that kicks again. */
	words = atomic_exchange(&apic->posted.words, 0);
	for (; words; words &= words - 1)
		take_word(apic, __builtin_ctz(words));
}

uint32_t local_apic_priority(const struct local_apic *apic)
{
	uint32_t in_service = highest(apic, REGISTER_ISR);
	uint32_t task = local_apic_get(apic, REGISTER_TPR);

	in_service &= PRIORITY_CLASS;
	return (task & PRIORITY_CLASS) >= in_service ? task : in_service;
}

int local_apic_pending(struct local_apic *apic)
{
	uint32_t vector;

	local_apic_take_posted(apic);
	vector = highest(apic, REGISTER_IRR);
	if (vector == 0 || !(apic->base & APIC_BASE_ENABLED))
		return -1;
	if ((vector & PRIORITY_CLASS) <=
	    (local_apic_priority(apic) & PRIORITY_CLASS))
		return -1;
	return (int)vector;
}

void local_apic_accept(struct local_apic *apic, uint8_t vector)
{
	put(apic, REGISTER_IRR, vector, false);
	put(apic, REGISTER_ISR, vector, true);
}

void local_apic_ended(struct vcpu *vcpu, uint8_t vector)
{
	lock_take(&vcpu->vm->device_lock);
	io_apic_end_of_interrupt(vcpu->vm, vector);
	lock_give(&vcpu->vm->device_lock);
}

void local_apic_end_of_interrupt(struct vcpu *vcpu)
{
	struct local_apic *apic = &vcpu->apic;
	uint32_t vector = highest(apic, REGISTER_ISR);

	if (vector == 0)
		return; /* a spurious interrupt's: there is none to end */
	put(apic, REGISTER_ISR, vector, false);
	if (local_apic_levels(apic, vector / 64) & BIT(vector % 64))
		local_apic_ended(vcpu, (uint8_t)vector);
}

uint64_t local_apic_cr8(const struct local_apic *apic)
{
	return field_get(PRIORITY_CLASS, local_apic_get(apic, REGISTER_TPR));
}

void local_apic_set_cr8(struct local_apic *apic, uint64_t cr8)
{
	/* The vendor code calls this after each exit: what CR8 does not show
	 * of the TPR stays while CR8 does. */
	if (cr8 != local_apic_cr8(apic))
		local_apic_set(apic, REGISTER_TPR,
			       (uint32_t)field_make(PRIORITY_CLASS, cr8));
}

/* ---- requests ----------------------------------------------------------- */

bool local_apic_raise(struct local_apic *apic, uint8_t vector, bool level)
{
	struct apic_posted *posted = &apic->posted;
	uint32_t bit = (uint32_t)BIT(vector % 32);

	if (vector < APIC_VECTOR_MIN ||
	    !(local_apic_get(apic, REGISTER_SVR) & SVR_ENABLED))
		return false;
	if (atomic_load(&apic->given) && vector >= APIC_VECTOR_SENT) {
		arch_apic_send(apic->cpu, vector);
		return false;
	}
	/* Before the request, so that it is there when the request is seen. */
	if (level)
		atomic_fetch_or(&posted->level[vector / 32], bit);
	else if (atomic_load(&posted->level[vector / 32]) & bit)
		atomic_fetch_and(&posted->level[vector / 32], ~bit);
	atomic_fetch_or(&posted->requests[vector / 32], bit);
	return !atomic_fetch_or(&posted->words, (uint32_t)BIT(vector / 32));
}

void local_apic_error(struct local_apic *apic, uint32_t bit)
{
	uint32_t entry = local_apic_get(apic, REGISTER_LVT + LVT_ERROR);
	uint8_t vector = entry & LVT_VECTOR;
	bool known = apic->errors & bit;

	apic->errors |= bit;
	if (known || entry & LVT_MASKED)
		return;
	/* An illegal vector here is an error, too: noted, but it must not
	 * call for the error interrupt again. */
	if (vector < APIC_VECTOR_MIN)
		apic->errors |= ESR_RECEIVE_ILLEGAL_VECTOR;
	else
		local_apic_raise(apic, vector, false);
}

void local_apic_local(struct local_apic *apic, enum apic_lvt source)
{
	uint32_t entry = local_apic_get(apic, REGISTER_LVT + source);
	uint8_t vector = entry & LVT_VECTOR;

	if (entry & LVT_MASKED)
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
	uint32_t logical = local_apic_get(apic, REGISTER_LDR) >> 24;

	if (to > 0xff)
		return false;
	if (local_apic_get(apic, REGISTER_DFR) >> 28 == DFR_FLAT)
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
	uint32_t icr = local_apic_get(apic, REGISTER_ICR_LOW);
	uint32_t to = local_apic_get(apic, REGISTER_ICR_HIGH);
	bool x2apic = local_apic_in_x2apic(apic);
	/* Trigger mode is INIT's only: other interprocessor interrupts are
	 * edges. */
	struct apic_message message = {
		.destination = x2apic ? to : to >> 24,
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
