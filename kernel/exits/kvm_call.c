/* SPDX-License-Identifier: MIT */
/*
 * KVM's hypercalls, each only for VMs that are offered it.  An APIC ID is a
 * vCPU's number.  Linux, Documentation/virt/kvm/x86/hypercalls.rst.
 */
#include <mullion/paravirtual.h>
#include <mullion/vm.h>

/* KVM's error numbers, which its callers expect. */
#define KVM_EINVAL 22
#define KVM_ENOSYS 1000

#define ICR_VECTOR BITS(7, 0) /* SDM 325384, "Interrupt Command Register" */
#define ICR_DELIVERY BITS(10, 8)
#define ICR_NEEDED_ZERO (BITS(63, 18) | BIT(11)) /* shorthand, logical */

static bool offers(const struct vcpu *vcpu, uint64_t feature)
{
	return vcpu->vm->kvm_features & feature;
}

static struct vcpu *find(const struct vm *vm, uint64_t id)
{
	return id < vm->vcpu_count ? vm->vcpus[id] : NULL;
}

/* To each vCPU of @set, whose bit 0 is APIC ID @first. */
static int64_t send_to_set(struct vm *vm, uint64_t set, uint64_t first,
			   struct apic_message *message)
{
	int64_t sent = 0;

	for (; set && first < vm->vcpu_count; set &= set - 1) {
		struct vcpu *to = find(vm, first + __builtin_ctzll(set));

		if (!to)
			break;
		message->destination = to->index;
		sent += local_apic_is_destination(&to->apic, message) &&
			vm_interrupt_vcpu(to, message);
	}
	return sent;
}

static int64_t send_ipi(struct vcpu *vcpu, const uint64_t arguments[4],
			bool wide)
{
	uint64_t icr = arguments[3], first = arguments[2];
	struct apic_message message = {
		.vector = icr & ICR_VECTOR,
		.delivery = (uint8_t)field_get(ICR_DELIVERY, icr),
		.x2apic = true,
	};

	/* INIT and SIPI have the command register. */
	if (icr & ICR_NEEDED_ZERO ||
	    (message.delivery != APIC_FIXED && message.delivery != APIC_NMI) ||
	    (message.delivery == APIC_FIXED &&
	     message.vector < APIC_VECTOR_MIN) ||
	    first >= vcpu->vm->vcpu_count)
		return -KVM_EINVAL;
	return send_to_set(vcpu->vm, arguments[0], first, &message) +
	       send_to_set(vcpu->vm, arguments[1], first + (wide ? 64 : 32),
			   &message);
}

/* Wakes the vCPU from its HLT, now or when it comes to one. */
static int64_t kick(struct vcpu *vcpu, uint64_t id)
{
	struct vcpu *to = find(vcpu->vm, id);

	if (to)
		vcpu_request(to, VCPU_UNHALT);
	return 0;
}

/* Slots are of one CPU: there is nothing to give to a vCPU elsewhere. */
static int64_t yield(struct vcpu *vcpu, uint64_t id)
{
	const struct vcpu *to = find(vcpu->vm, id);

	if (to && to != vcpu && to->cpu == vcpu->cpu)
		vcpu->yields = true;
	return 0;
}

int64_t kvm_call(struct vcpu *vcpu, uint64_t number, bool wide)
{
	uint64_t arguments[] = { vcpu->gpr[RBX], vcpu->gpr[RCX], vcpu->gpr[RDX],
				 vcpu->gpr[RSI] };

	for (size_t i = 0; !wide && i < ARRAY_COUNT(arguments); i++)
		arguments[i] = (uint32_t)arguments[i];
	if (number == KVM_CALL_SEND_IPI &&
	    offers(vcpu, KVM_FEATURE_PV_SEND_IPI))
		return send_ipi(vcpu, arguments, wide);
	if (number == KVM_CALL_KICK_CPU && offers(vcpu, KVM_FEATURE_PV_UNHALT))
		return kick(vcpu, arguments[1]);
	if (number == KVM_CALL_SCHED_YIELD &&
	    offers(vcpu, KVM_FEATURE_PV_SCHED_YIELD))
		return yield(vcpu, arguments[0]);
	return -KVM_ENOSYS;
}
