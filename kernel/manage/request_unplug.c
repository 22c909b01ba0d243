/* SPDX-License-Identifier: MIT */
/* A VM's disks and network devices: whether they may change, and the end of
 * one. */
#include "request.h"
#include <mullion/attach.h>

static const char *kind_word(const struct vm *vm)
{
	return vm->attachment.net ? "nic" : "disk";
}

enum error devices_may_change(const struct vm *vm, struct answer *answer)
{
	const struct attachment *it = &vm->attachment;
	enum attach_step step = (enum attach_step)atomic_load(&it->step);

	if (!vm->vcpu_count || vm->state == MULL_VM_DESTROYED)
		return answer_wrong_state(answer, vm);
	/* Its guest has no generic event device that would tell it. */
	if (vm->pc && !vm_state_rests(vm->state))
		return answer_words(answer, ERR_UNSUPPORTED,
				    "a legacy PC's disks and nics come and go "
				    "only while it does not run");
	if (step == ATTACH_IDLE)
		return ERR_NONE;
	if (step == ATTACH_UNPLUG || step == ATTACH_EJECT)
		return answer_words(answer, ERR_BUSY,
				    "the guest has not let go of %s%u yet",
				    kind_word(vm), it->index);
	return answer_words(answer, ERR_BUSY, "%s%u is still %s", kind_word(vm),
			    it->index, it->going ? "going" : "coming");
}

enum mull_disk_state device_state(const struct vm *vm, bool nic,
				  uint32_t number)
{
	const struct attachment *it = &vm->attachment;

	if (atomic_load(&it->step) == ATTACH_IDLE || it->index != number ||
	    !it->net == nic)
		return MULL_DISK_PRESENT;
	return it->going ? MULL_DISK_GOING : MULL_DISK_COMING;
}

const char *device_failure(const struct vm *vm, bool nic, uint32_t number)
{
	const struct attachment *it = &vm->attachment;

	return atomic_load(&it->step) == ATTACH_IDLE && it->index == number &&
			       it->words_net == nic ?
		       it->words :
		       NULL;
}

static bool has(const struct vm *vm, bool nic, uint32_t number)
{
	if (nic)
		return number < MULL_NIC_MAX &&
		       vm->description.nics[number].network[0];
	return number < MULL_DISK_MAX &&
	       vm->description.disks[number].kind != MULL_DISK_NONE;
}

enum error request_unplug(const struct asked *asked, struct answer *answer)
{
	uint32_t number = asked->argument & ~(uint64_t)MULL_UNPLUG_ALL;
	bool nic = asked->argument & MULL_UNPLUG_NIC;
	bool pull = asked->argument & MULL_UNPLUG_PULL;
	struct vm *vm = asked->vm;
	enum error error;

	/* Asked for again: the guest is told again. */
	if (device_state(vm, nic, number) == MULL_DISK_GOING &&
	    vm_detach_again(vm, pull))
		return ERR_NONE;
	error = devices_may_change(vm, answer);
	if (error)
		return error;
	if (!has(vm, nic, number))
		return answer_words(answer, ERR_NOT_FOUND, "it has no %s%u",
				    nic ? "nic" : "disk", number);
	if (!nic && vm->description.disks[number].overlay[0])
		return answer_words(answer, ERR_UNSUPPORTED,
				    "a disk with an overlay on a partition "
				    "stays as long as the VM");
	vm_detach(vm, nic, number, pull);
	return ERR_NONE;
}
