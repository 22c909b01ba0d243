/* SPDX-License-Identifier: MIT */
/* Interrupt messages from ICRs, I/O APIC and MSIs to the vCPUs of a VM. */
#include <mullion/vm.h>

bool vm_interrupt_vcpu(struct vcpu *vcpu, const struct apic_message *message)
{
	switch (message->delivery) {
	case APIC_FIXED:
	case APIC_LOWEST:
		if (message->vector < APIC_VECTOR_MIN)
			return false;
		if (local_apic_raise(&vcpu->apic, message->vector,
				     message->level))
			vcpu_kick(vcpu);
		return true;
	case APIC_NMI:
		vcpu_request(vcpu, VCPU_NMI);
		return true;
	case APIC_INIT:
		vcpu_request(vcpu, VCPU_INIT);
		return true;
	case APIC_STARTUP:
		/* Before the request, so that it is there when that is seen. */
		atomic_store(&vcpu->startup_vector, message->vector);
		vcpu_request(vcpu, VCPU_STARTUP);
		return true;
	default: /* SMI, ExtINT and what is reserved: guests have none */
		return false;
	}
}

/* The vCPU that is doing the least important work; the first of equals. */
static struct vcpu *lowest(struct vm *vm, const struct apic_message *message)
{
	uint32_t lowest_priority = ~0u;
	struct vcpu *found = NULL;

	for (uint32_t i = 0; i < vm->vcpu_count; i++) {
		const struct local_apic *apic = &vm->vcpus[i]->apic;
		uint32_t priority = local_apic_priority(apic);

		if (priority < lowest_priority &&
		    local_apic_is_destination(apic, message)) {
			lowest_priority = priority;
			found = vm->vcpus[i];
		}
	}
	return found;
}

bool vm_interrupt(struct vm *vm, const struct apic_message *message)
{
	uint32_t first = 0, end = vm->vcpu_count;
	bool taken = false;

	if (message->delivery == APIC_LOWEST) {
		struct vcpu *vcpu = lowest(vm, message);

		return vcpu && vm_interrupt_vcpu(vcpu, message);
	}
	/* The common case needs no search: a vCPU's APIC ID is its number. */
	if (!message->logical && message->destination < end) {
		first = message->destination;
		end = first + 1;
	}
	for (uint32_t i = first; i < end; i++)
		if (local_apic_is_destination(&vm->vcpus[i]->apic, message) &&
		    vm_interrupt_vcpu(vm->vcpus[i], message))
			taken = true;
	return taken;
}
