/* SPDX-License-Identifier: MIT */
/* Disks of a VM, which come and go. */
#include "request.h"
#include <mullion/arch.h>
#include <mullion/log.h>
#include <mullion/virtio_block.h>
#include <string.h>

/* Why nothing can be changed now. */
static enum error check(const struct vm *vm, struct answer *answer)
{
	const struct attachment *it = &vm->attachment;

	if (!vm->vcpu_count || vm->state == MULL_VM_DESTROYED)
		return answer_wrong_state(answer, vm);
	/* Its guest has no generic event device that would tell it. */
	if (vm->pc && !vm_state_rests(vm->state))
		return answer_words(answer, ERR_UNSUPPORTED,
				    "a legacy PC's disks come and go only "
				    "while it does not run");
	switch ((enum attach_step)atomic_load(&it->step)) {
	case ATTACH_IDLE:
		return ERR_NONE;
	case ATTACH_TAKE:
	case ATTACH_CLEAR:
	case ATTACH_HASH:
	case ATTACH_PLUG:
		return answer_words(answer, ERR_BUSY, "disk %u is still coming",
				    it->index);
	case ATTACH_UNPLUG:
	case ATTACH_EJECT:
	case ATTACH_ERASE:
		break;
	}
	return answer_words(answer, ERR_BUSY,
			    "the guest has not let go of disk %u yet",
			    it->index);
}

static void begin(struct vm *vm, uint32_t index, enum attach_step step)
{
	vm->attachment.index = index;
	atomic_store(&vm->attachment.step, step);
	arch_kick(vm_home(vm));
}

/* The VM as it will be, without holes between its disks. */
static enum error draft(const struct vm *vm, const struct mull_disk *disk,
			struct mull_vm *to, uint32_t *number)
{
	uint32_t count = 0;

	*to = vm->description;
	memset(to->disks, 0, sizeof to->disks);
	*number = MULL_DISK_MAX;
	for (uint32_t i = 0; i < MULL_DISK_MAX; i++) {
		if (vm->description.disks[i].kind != MULL_DISK_NONE)
			to->disks[count++] = vm->description.disks[i];
		else if (*number == MULL_DISK_MAX)
			*number = i;
	}
	if (*number == MULL_DISK_MAX)
		return ERR_NO_MEMORY;
	to->disks[count] = *disk;
	return ERR_NONE;
}

enum error request_plug(const struct asked *asked, struct answer *answer)
{
	static struct mull_vm changed;
	struct vm *vm = asked->vm;
	struct mull_disk disk;
	uint32_t number;
	enum error error = check(vm, answer);

	if (error)
		return error;
	memcpy(&disk, asked->data, sizeof disk);
	if (disk.kind == MULL_DISK_PARTITION)
		return answer_words(answer, ERR_UNSUPPORTED,
				    "a partition is given to a VM in its "
				    "description only");
	if (draft(vm, &disk, &changed, &number))
		return answer_words(answer, ERR_NO_MEMORY,
				    "it has %u disks, and no more can be",
				    MULL_DISK_MAX);
	if (disk.kind == MULL_DISK_NONE ||
	    !description_is_good(&changed, vm, answer))
		return ERR_BAD_REQUEST;
	vm->description.disks[number] = disk;
	answer->reply.value = number;
	begin(vm, number, ATTACH_TAKE);
	return ERR_NONE;
}

enum error request_unplug(const struct asked *asked, struct answer *answer)
{
	uint32_t number = (uint32_t)asked->argument;
	struct vm *vm = asked->vm;
	struct attachment *it = &vm->attachment;
	uint32_t ejects = ATTACH_EJECT;
	enum error error;

	/* Asked for again: the guest is told again. */
	if (it->index == number &&
	    atomic_compare_exchange_strong(&it->step, &ejects, ATTACH_UNPLUG)) {
		arch_kick(vm_home(vm));
		return ERR_NONE;
	}
	error = check(vm, answer);
	if (error)
		return error;
	if (vm->description.disks[number].kind == MULL_DISK_PARTITION)
		return answer_words(answer, ERR_UNSUPPORTED,
				    "a partition stays as long as the VM");
	if (vm->description.disks[number].kind == MULL_DISK_NONE)
		return answer_words(answer, ERR_NOT_FOUND, "it has no disk %u",
				    number);
	begin(vm, number, ATTACH_UNPLUG);
	return ERR_NONE;
}

static enum mull_disk_state state_of(const struct vm *vm, uint32_t number)
{
	const struct attachment *it = &vm->attachment;
	uint32_t step = atomic_load(&it->step);

	if (step == ATTACH_IDLE || it->index != number)
		return MULL_DISK_PRESENT;
	return step < ATTACH_UNPLUG ? MULL_DISK_COMING : MULL_DISK_GOING;
}

static void fill(const struct vm *vm, uint32_t number,
		 struct mull_disk_status *status)
{
	const struct attachment *it = &vm->attachment;
	const struct virtio_block *block = vm->disks[number];

	status->number = number;
	status->disk = vm->description.disks[number];
	if (status->disk.kind == MULL_DISK_NONE) {
		status->state = MULL_DISK_FAILED;
		format_text(status->words, sizeof status->words, "%s",
			    it->words);
		return;
	}
	status->state = state_of(vm, number);
	/* One that goes may be freed meanwhile. */
	if (status->state != MULL_DISK_PRESENT || !block)
		return;
	status->size = block->capacity;
	status->room = block->changes ? block->overlay.places :
					block->disk.places;
	status->used = block->changes ? block->overlay.used : block->disk.used;
	status->read_sectors = block->reads;
	status->written_sectors = block->writes;
}

enum error request_disks(const struct asked *asked, struct answer *answer)
{
	const struct vm *vm = asked->vm;
	const struct attachment *it = &vm->attachment;

	for (uint32_t i = (uint32_t)asked->argument; i < MULL_DISK_MAX; i++) {
		bool failed = atomic_load(&it->step) == ATTACH_IDLE &&
			      it->words && it->index == i;
		struct mull_disk_status *status;

		if (vm->description.disks[i].kind == MULL_DISK_NONE && !failed)
			continue;
		status = answer_add(answer, sizeof *status);
		if (!status) {
			answer->reply.value = i;
			break;
		}
		fill(vm, i, status);
	}
	return ERR_NONE;
}
