/* SPDX-License-Identifier: MIT */
/*
 * What the service CPU has to do with devices that come and go: it takes the
 * partition or the switch's port before anything else is begun, and gives it
 * back when the VM's home CPU is done with the device.
 */
#include "vm_devices.h"
#include <mullion/arch.h>
#include <mullion/attach.h>
#include <mullion/log.h>
#include <mullion/manage.h>
#include <mullion/vm.h>
#include <string.h>

#define FLUSH_WORDS "the machine's disk failed to keep what was written last"

/* From here on the home CPU has it. */
static void begin(struct vm *vm, uint32_t index, enum attach_step step)
{
	struct attachment *it = &vm->attachment;

	it->index = index;
	it->at = 0;
	it->words = NULL;
	it->words_net = it->net;
	it->flushed = false;
	atomic_store(&it->step, step);
	arch_kick(vm_home(vm));
}

static void forget(struct vm *vm)
{
	struct attachment *it = &vm->attachment;
	struct mull_vm *description = &vm->description;

	if (it->net)
		memset(&description->nics[it->index], 0,
		       sizeof *description->nics);
	else
		memset(&description->disks[it->index], 0,
		       sizeof *description->disks);
	it->disk = NULL;
	it->net = NULL;
}

enum error vm_attach_disk(struct vm *vm, uint32_t index,
			  const struct mull_disk *disk, const char **words)
{
	struct attachment *it = &vm->attachment;
	enum error error = ERR_NO_MEMORY;

	vm->description.disks[index] = *disk;
	it->index = index;
	it->disk = vm_devices_make_disk(vm, index);
	*words = "there is no memory for its structures";
	if (it->disk)
		error = vm_devices_bind_disk(vm, index, it->disk, words);
	if (error) {
		if (it->disk)
			vm_devices_free_disk(it->disk);
		forget(vm);
		return error;
	}
	it->going = false;
	begin(vm, index, ATTACH_TAKE);
	return ERR_NONE;
}

enum error vm_attach_nic(struct vm *vm, uint32_t index,
			 const struct mull_nic *nic, const char **words)
{
	struct attachment *it = &vm->attachment;

	vm->description.nics[index] = *nic;
	it->index = index;
	it->net = vm_devices_make_nic(vm, index);
	if (!it->net) {
		memset(&vm->description.nics[index], 0, sizeof *nic);
		*words = "there is no memory for its structures";
		return ERR_NO_MEMORY;
	}
	it->going = false;
	begin(vm, index, ATTACH_PLUG);
	return ERR_NONE;
}

void vm_detach(struct vm *vm, bool nic, uint32_t index, bool pull)
{
	struct attachment *it = &vm->attachment;

	it->disk = nic ? NULL : vm->disks[index];
	it->net = nic ? vm->nics[index] : NULL;
	it->going = true;
	atomic_store(&it->pull, pull);
	begin(vm, index, ATTACH_UNPLUG);
}

bool vm_detach_again(struct vm *vm, bool pull)
{
	struct attachment *it = &vm->attachment;
	uint32_t ejects = ATTACH_EJECT;

	/* First, since the home CPU looks at it after the step. */
	atomic_store(&it->pull, pull);
	if (atomic_compare_exchange_strong(&it->step, &ejects, ATTACH_UNPLUG))
		ejects = ATTACH_UNPLUG;
	arch_kick(vm_home(vm));
	/* Or it waits with the first question until the guest runs. */
	return ejects == ATTACH_UNPLUG;
}

/* ---- the end of it -------------------------------------------------------- */

static _Atomic bool handed_over; /* one or more */

void attach_hand_over(struct vm *vm)
{
	atomic_store(&vm->attachment.step, ATTACH_SETTLE);
	atomic_store(&handed_over, true);
	manage_notify();
}

static void on_flushed(struct block_request *request)
{
	struct vm *vm = request->context;

	if (request->error) {
		vm->attachment.words = FLUSH_WORDS;
		log_write(LOG_WARNING "%s: disk %u: %s: %s",
			  vm->description.name, vm->attachment.index,
			  FLUSH_WORDS, error_text(request->error));
	}
	vm->attachment.flushed = true;
	attach_hand_over(vm);
}

/* What a partition's next user reads must outlive a loss of power, too. */
static bool flushes(struct vm *vm)
{
	struct attachment *it = &vm->attachment;

	if (!it->disk || !it->disk->partition ||
	    !it->disk->partition->written || it->flushed)
		return false;
	it->flush = (struct block_request){ .partition = it->disk->partition,
					    .operation = BLOCK_FLUSH,
					    .done = on_flushed,
					    .context = vm };
	atomic_store(&it->step, ATTACH_FLUSH);
	block_send(&it->flush);
	return true;
}

static void settle(struct vm *vm)
{
	struct attachment *it = &vm->attachment;

	if (flushes(vm))
		return;
	if (it->going)
		log_write("%s: %s %u has gone", vm->description.name,
			  it->net ? "nic" : "disk", it->index);
	if (it->disk)
		vm_devices_free_disk(it->disk);
	if (it->net)
		vm_devices_free_nic(it->net);
	forget(vm);
	atomic_store(&it->step, ATTACH_IDLE);
	manage_event(vm);
	/* Who destroys it waits for this. */
	arch_kick(vm_home(vm));
}

void attach_settle(void)
{
	if (!atomic_load(&handed_over))
		return;
	atomic_store(&handed_over, false);
	for (uint32_t i = 0; i < MULL_VM_MAX; i++)
		if (vms[i] &&
		    atomic_load(&vms[i]->attachment.step) == ATTACH_SETTLE)
			settle(vms[i]);
}
