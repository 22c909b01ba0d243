/* SPDX-License-Identifier: MIT */
/* Hypercalls: <mullion/guest.h>, and KVM's, none of which is offered. */
#include <mullion/exits.h>
#include <mullion/guest.h>
#include <mullion/vm.h>

#define CONSOLE_PIECE 256
#define CONSOLE_MAX 4096

/* KVM's error numbers, which its callers expect. */
#define KVM_ENOSYS 1000
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

static int64_t call(struct vcpu *vcpu, uint64_t number)
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
	default:
		return -KVM_ENOSYS;
	}
}

void on_hypercall(struct vcpu *vcpu, const struct vm_exit *exit)
{
	struct guest_system system;

	virt->read_system(vcpu, &system);
	if (system.cpl != 0)
		vcpu->gpr[RAX] = -(uint64_t)KVM_EPERM;
	else
		vcpu->gpr[RAX] = call(vcpu, vcpu->gpr[RAX]);
	vcpu_skip(vcpu, exit);
}
