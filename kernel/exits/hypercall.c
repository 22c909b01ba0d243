/* SPDX-License-Identifier: MIT */
/* Hypercalls: <mullion/guest.h>; KVM's are in kvm_call.c. */
#include <mullion/exits.h>
#include <mullion/guest.h>
#include <mullion/guest_walk.h>
#include <mullion/paravirtual.h>
#include <mullion/shared_port.h>
#include <mullion/vm.h>
#include <string.h>

#define CONSOLE_PIECE 256
#define CONSOLE_MAX 4096

/* KVM's error number, which its callers expect. */
#define KVM_EPERM 1

static int64_t print(struct vcpu *vcpu, uint64_t address, uint64_t length)
{
	struct vm *vm = vcpu->vm;
	uint8_t piece[CONSOLE_PIECE];
	uint64_t done = 0;

	if (length > CONSOLE_MAX)
		length = CONSOLE_MAX;
	while (done < length) {
		uint64_t count = length - done < sizeof piece ? length - done :
								sizeof piece;
		size_t put;

		if (guest_read(&vm->memory, gpa(address + done), piece,
			       count) != ERR_NONE)
			return -ERR_BAD_ADDRESS;
		lock_take(&vm->device_lock);
		put = serial_print(vm, piece, count);
		lock_give(&vm->device_lock);
		done += put;
		if (put < count)
			break;
	}
	return done;
}

static int64_t tell_shared(struct vm *vm, const struct shared_port *port,
			   uint64_t to)
{
	struct mull_guest_shared told = { .address = port->at.value,
					  .size = port->memory->size,
					  .self = port->peer,
					  .peers = shared_memory_peers(
						  port->memory) };

	memcpy(told.name, port->memory->name, sizeof told.name);
	if (port->writable)
		told.flags |= MULL_GUEST_SHARED_WRITE;
	return -(int64_t)guest_write(&vm->memory, gpa(to), &told, sizeof told);
}

static int64_t listen(struct vm *vm, struct shared_port *port, uint64_t to)
{
	if (to && (to >> 8 >= vm->vcpu_count || (uint8_t)to < APIC_VECTOR_MIN))
		return -ERR_BAD_REQUEST;
	atomic_store(&port->listener, (uint32_t)to);
	return 0;
}

static int64_t call_shared(struct vcpu *vcpu, uint64_t number)
{
	struct vm *vm = vcpu->vm;
	struct shared_port *port = shared_port_at(vm, vcpu->gpr[RBX]);
	uint64_t argument = vcpu->gpr[RCX];

	if (!port)
		return -ERR_NOT_FOUND;
	switch (number) {
	case MULL_CALL_SHARED:
		return tell_shared(vm, port, argument);
	case MULL_CALL_SHARED_RING:
		return argument > UINT32_MAX ?
			       -ERR_NOT_FOUND :
			       -(int64_t)shared_memory_ring(port->memory,
							    (uint32_t)argument);
	default:
		return listen(vm, port, argument);
	}
}

static int64_t call(struct vcpu *vcpu, uint64_t number, bool wide)
{
	switch (number) {
	case MULL_CALL_VERSION:
		return MULL_GUEST_ABI;
	case MULL_CALL_CONSOLE:
		return print(vcpu, vcpu->gpr[RBX], vcpu->gpr[RCX]);
	case MULL_CALL_END:
		if ((uint32_t)vcpu->gpr[RBX] == 0)
			vm_end(vcpu->vm, MULL_END_POWEROFF, 0, "powered off");
		else
			vm_end(vcpu->vm, MULL_END_EXIT_CODE, vcpu->gpr[RBX],
			       "ended itself with code %u",
			       (uint32_t)vcpu->gpr[RBX]);
		return 0;
	case MULL_CALL_RESET:
		vm_end(vcpu->vm, MULL_END_RESET, 0,
		       "the guest asked for a reset");
		return 0;
	case MULL_CALL_SHARED:
	case MULL_CALL_SHARED_RING:
	case MULL_CALL_SHARED_LISTEN:
		return call_shared(vcpu, number);
	default:
		return kvm_call(vcpu, number, wide);
	}
}

void on_hypercall(struct vcpu *vcpu, const struct vm_exit *exit)
{
	struct guest_system system;

	virt->read_system(vcpu, &system);
	if (system.cpl != 0)
		vcpu->gpr[RAX] = -(uint64_t)KVM_EPERM;
	else
		vcpu->gpr[RAX] = call(vcpu, vcpu->gpr[RAX],
				      guest_code_mode(&system) == CODE_64);
	vcpu_skip(vcpu, exit);
}
