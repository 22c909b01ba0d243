/* SPDX-License-Identifier: MIT */
/*
 * Local APICs that are no emulated ones: a VM whose CPUs nobody else uses has
 * theirs.  Timer, priority, end of interrupt and HLT then need no exit, and an
 * interrupt from elsewhere is sent to the CPU as the guest is to see it.  The
 * registers of struct local_apic stay those that the guest may not touch: who it
 * is, its command register, what the machine's own sources do.
 */
#include "local_apic_parts.h"

#include <mullion/arch.h>
#include <mullion/fast_exit.h>
#include <mullion/vm.h>

static_assert(FAST_REGISTER_SVR == REGISTER_SVR &&
		      FAST_SVR_ENABLED == SVR_ENABLED &&
		      FAST_REGISTER_ICR == REGISTER_ICR_LOW &&
		      REGISTER_ICR_HIGH == REGISTER_ICR_LOW + 1 &&
		      FAST_ICR_ASSERT == ICR_ASSERT &&
		      FAST_ICR_VECTOR == ICR_VECTOR,
	      "the short path has the registers of this one");

void local_apic_take(struct vcpu *vcpu)
{
	if (!vcpu->apic.given)
		return;
	/* First, so that what others send from now on is posted here. */
	atomic_store(&vcpu->apic.given, false);
	arch_apic_take();
}

bool local_apic_has_deadline(const struct vm *vm)
{
	return !vm->gives_apics || arch_apic_has_deadline();
}

void local_apic_pass_posted(struct local_apic *apic)
{
	if (!atomic_load(&apic->posted.words))
		return;
	atomic_store(&apic->posted.words, 0);
	for (uint32_t i = 0; i < APIC_VECTOR_WORDS; i++) {
		uint32_t taken = atomic_exchange(&apic->posted.requests[i], 0);

		for (; taken; taken &= taken - 1)
			arch_apic_send(
				apic->cpu,
				(uint8_t)(i * 32 + __builtin_ctz(taken)));
	}
}
