/* SPDX-License-Identifier: MIT */
/*
 * A disk comes: its room is taken and zeroed, its image checked, and then the
 * guest is told, or, if there is none, the next one finds it.  It goes: the
 * guest lets go of it, and what was written is erased.  In steps, since a room
 * can be large.  A VM that starts or stops meanwhile is waited for.
 */
#include "vm_attach.h"
#include "vm_devices.h"
#include "vm_memory.h"
#include <mullion/images.h>
#include <mullion/log.h>
#include <mullion/manage.h>

static struct mull_disk *description_of(struct vm *vm)
{
	return &vm->description.disks[vm->attachment.index];
}

/* Its image is not used any more from here on. */
static void forget(struct vm *vm)
{
	description_of(vm)->kind = MULL_DISK_NONE;
	vm->attachment.disk = NULL;
}

static void finish(struct vm *vm)
{
	atomic_store(&vm->attachment.step, ATTACH_IDLE);
	manage_event(vm);
}

static void fail(struct vm *vm, const char *words)
{
	vm->attachment.words = words;
	log_write("%s: disk %u: %s", vm->description.name, vm->attachment.index,
		  words);
	forget(vm);
	finish(vm);
}

/* With the disk's frames. */
static void give_up(struct vm *vm, const char *words)
{
	vm_memory_give_room(vm, vm->attachment.disk);
	vm_devices_free_disk(vm->attachment.disk);
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

	it->words = NULL;
	it->disk = vm_devices_make_disk(vm, it->index);
	if (!it->disk) {
		fail(vm, "there is no memory for its structures");
		return;
	}
	if (vm_memory_take_room(vm, it->disk)) {
		vm_devices_free_disk(it->disk);
		fail(vm, "there are not enough free frames for its room");
		return;
	}
	it->at = 0;
	atomic_store(&it->step, ATTACH_CLEAR);
}

static void begin_hash(struct vm *vm)
{
	struct attachment *it = &vm->attachment;

	load_begin_disk(&it->load, &vm->description, it->index,
			image_find(description_of(vm)->image));
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

	vm_memory_give_room(vm, it->disk);
	vm->disks[it->index] = it->disk;
	guest_pci_add(vm, &it->disk->device.function);
	finish(vm);
}

static void plug(struct vm *vm)
{
	struct attachment *it = &vm->attachment;
	const char *words;

	if (vm_devices_start_disk(vm, it->index, it->disk, &words)) {
		give_up(vm, words);
		return;
	}
	lock_take(&vm->device_lock);
	vm->disks[it->index] = it->disk;
	guest_pci_plug(vm, &it->disk->device.function);
	lock_give(&vm->device_lock);
	log_write("%s: disk %u has come", vm->description.name, it->index);
	finish(vm);
}

/* ---- it goes ------------------------------------------------------------- */

static void take_away(struct vm *vm)
{
	struct attachment *it = &vm->attachment;

	vm->pci.functions[it->disk->device.function.slot] = NULL;
	vm->disks[it->index] = NULL;
	vm_devices_free_disk(it->disk);
	forget(vm);
	finish(vm);
}

static void unplug(struct vm *vm)
{
	struct attachment *it = &vm->attachment;

	lock_take(&vm->device_lock);
	guest_pci_unplug(vm, it->disk->device.function.slot);
	lock_give(&vm->device_lock);
	atomic_store(&it->step, ATTACH_EJECT);
}

static void eject(struct vm *vm)
{
	struct attachment *it = &vm->attachment;
	bool empty;

	lock_take(&vm->device_lock);
	empty = guest_pci_is_empty(&vm->pci, it->disk->device.function.slot) &&
		!virtio_block_flies(it->disk);
	if (empty)
		vm->disks[it->index] = NULL;
	lock_give(&vm->device_lock);
	if (!empty)
		return;
	it->at = 0;
	atomic_store(&it->step, ATTACH_ERASE);
}

static void erase(struct vm *vm)
{
	struct attachment *it = &vm->attachment;

	if (!vm_memory_clear_room(it->disk, &it->at))
		return;
	vm_memory_give_room(vm, it->disk);
	vm_devices_free_disk(it->disk);
	log_write("%s: disk %u has gone", vm->description.name, it->index);
	forget(vm);
	finish(vm);
}

/* ---- all of it ----------------------------------------------------------- */

bool vm_attach_work(struct vm *vm)
{
	struct attachment *it = &vm->attachment;

	switch ((enum attach_step)atomic_load(&it->step)) {
	case ATTACH_IDLE:
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
		if (has_guest(vm))
			plug(vm);
		else if (rests(vm))
			put_by(vm);
		return false;
	case ATTACH_UNPLUG:
		it->disk = vm->disks[it->index];
		if (has_guest(vm))
			unplug(vm);
		else if (rests(vm))
			take_away(vm);
		return false;
	case ATTACH_EJECT:
		if (has_guest(vm))
			eject(vm);
		else if (rests(vm))
			take_away(vm);
		return atomic_load(&it->step) == ATTACH_ERASE;
	case ATTACH_ERASE:
		erase(vm);
		return true;
	}
	return false;
}
