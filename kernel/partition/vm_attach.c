/* SPDX-License-Identifier: MIT */
/*
 * A disk comes: its room is taken and zeroed, its image checked, and then the
 * guest is told, or, if there is none, the next one finds it.  It goes: the
 * guest lets go of it, and what was written is erased.  A network device is
 * the same without the memory.  In steps, since a room can be large.  A VM that
 * starts or stops meanwhile is waited for.
 */
#include "vm_devices.h"
#include "vm_memory.h"
#include <mullion/attach.h>
#include <mullion/images.h>
#include <mullion/log.h>
#include <mullion/manage.h>
#include <mullion/vm.h>

static struct mull_disk *description_of(struct vm *vm)
{
	return &vm->description.disks[vm->attachment.index];
}

static struct pci_function *function_of(const struct attachment *it)
{
	return it->net ? &it->net->device.function : &it->disk->device.function;
}

/* It is, or is no more, one of the VM's. */
static void put(struct vm *vm, bool there)
{
	struct attachment *it = &vm->attachment;

	if (it->net)
		vm->nics[it->index] = there ? it->net : NULL;
	else
		vm->disks[it->index] = there ? it->disk : NULL;
}

static void finish(struct vm *vm)
{
	atomic_store(&vm->attachment.step, ATTACH_IDLE);
	manage_event(vm);
}

static void fail(struct vm *vm, const char *words)
{
	struct attachment *it = &vm->attachment;

	it->words = words;
	it->flushed = true; /* nothing was written */
	log_write("%s: disk %u: %s", vm->description.name, it->index, words);
	attach_hand_over(vm);
}

/* With the disk's frames. */
static void give_up(struct vm *vm, const char *words)
{
	vm_memory_give_room(vm, vm->attachment.disk);
	fail(vm, words);
}

static bool has_guest(const struct vm *vm)
{
	uint32_t state = atomic_load(&vm->state);

	return vm->phase == PHASE_IDLE &&
	       (state == MULL_VM_RUNNING || state == MULL_VM_PAUSED);
}

static bool rests(const struct vm *vm)
{
	return vm->phase == PHASE_IDLE &&
	       vm_state_rests(atomic_load(&vm->state));
}

/* ---- it comes ------------------------------------------------------------ */

static void take(struct vm *vm)
{
	struct attachment *it = &vm->attachment;

	if (vm_memory_take_room(vm, it->disk))
		fail(vm, "there are not enough free frames for its room");
	else
		atomic_store(&it->step, ATTACH_CLEAR);
}

/* A partition is as it is. */
static void begin_hash(struct vm *vm)
{
	struct attachment *it = &vm->attachment;
	const struct mull_disk *description = description_of(vm);

	if (description->kind == MULL_DISK_PARTITION) {
		atomic_store(&it->step, ATTACH_PLUG);
		return;
	}
	load_begin_disk(&it->load, &vm->description, it->index,
			image_find(description->image));
	atomic_store(&it->step, ATTACH_HASH);
}

static void hash(struct vm *vm)
{
	bool done = false;

	if (load_step(&vm->attachment.load, &done) != ERR_NONE)
		give_up(vm, "the SHA-256 of its image does not match");
	else if (done)
		atomic_store(&vm->attachment.step, ATTACH_PLUG);
}

/* While the VM rests it has no frames. */
static void put_by(struct vm *vm)
{
	struct attachment *it = &vm->attachment;

	if (it->disk)
		vm_memory_give_room(vm, it->disk);
	put(vm, true);
	guest_pci_add(vm, function_of(it));
	finish(vm);
}

static void plug(struct vm *vm)
{
	struct attachment *it = &vm->attachment;
	const char *words;

	if (it->disk &&
	    vm_devices_start_disk(vm, it->index, it->disk, &words)) {
		give_up(vm, words);
		return;
	}
	lock_take(&vm->device_lock);
	put(vm, true);
	guest_pci_plug(vm, function_of(it));
	lock_give(&vm->device_lock);
	log_write("%s: %s %u has come", vm->description.name,
		  it->net ? "nic" : "disk", it->index);
	finish(vm);
}

/* ---- it goes ------------------------------------------------------------- */

/* The guest has ended, and its memory has been erased. */
static void take_away(struct vm *vm)
{
	vm->pci.functions[function_of(&vm->attachment)->slot] = NULL;
	put(vm, false);
	attach_hand_over(vm);
}

static void unplug(struct vm *vm)
{
	struct attachment *it = &vm->attachment;
	uint32_t slot = function_of(it)->slot;

	lock_take(&vm->device_lock);
	if (atomic_load(&it->pull))
		guest_pci_pull(vm, slot);
	else
		guest_pci_unplug(vm, slot);
	lock_give(&vm->device_lock);
	atomic_store(&it->step, ATTACH_EJECT);
}

/* Returns whether it has gone from the guest. */
static bool eject(struct vm *vm)
{
	struct attachment *it = &vm->attachment;
	bool gone;

	lock_take(&vm->device_lock);
	gone = guest_pci_is_empty(&vm->pci, function_of(it)->slot) &&
	       (it->net || !virtio_block_flies(it->disk));
	if (gone)
		put(vm, false);
	lock_give(&vm->device_lock);
	if (gone && it->net)
		attach_hand_over(vm);
	else if (gone)
		atomic_store(&it->step, ATTACH_ERASE);
	return gone;
}

static void erase(struct vm *vm)
{
	struct attachment *it = &vm->attachment;

	if (!vm_memory_clear_room(it->disk, &it->at))
		return;
	vm_memory_give_room(vm, it->disk);
	attach_hand_over(vm);
}

/* ---- all of it ----------------------------------------------------------- */

static void come(struct vm *vm)
{
	if (has_guest(vm))
		plug(vm);
	else if (rests(vm))
		put_by(vm);
}

/* Returns whether there is more to do at once. */
static bool go(struct vm *vm, bool asked)
{
	if (rests(vm))
		take_away(vm);
	else if (has_guest(vm) && !asked)
		unplug(vm);
	else if (has_guest(vm))
		return eject(vm);
	else
		return false;
	return true;
}

bool vm_attach_work(struct vm *vm)
{
	struct attachment *it = &vm->attachment;

	switch ((enum attach_step)atomic_load(&it->step)) {
	case ATTACH_IDLE:
	case ATTACH_FLUSH:
	case ATTACH_SETTLE:
		return false;
	case ATTACH_TAKE:
		take(vm);
		return true;
	case ATTACH_CLEAR:
		if (vm_memory_clear_room(it->disk, &it->at))
			begin_hash(vm);
		return true;
	case ATTACH_HASH:
		hash(vm);
		return true;
	case ATTACH_PLUG:
		come(vm);
		return false;
	case ATTACH_UNPLUG:
		return go(vm, false);
	case ATTACH_EJECT:
		return go(vm, true);
	case ATTACH_ERASE:
		erase(vm);
		return true;
	}
	return false;
}
