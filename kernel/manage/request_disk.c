/* SPDX-License-Identifier: MIT */
/* Disks of a VM, which come and go. */
#include "request.h"
#include <mullion/attach.h>
#include <mullion/log.h>
#include <mullion/virtio_block.h>
#include <string.h>

/* The VM as it will be. */
static enum error draft(const struct vm *vm, const struct mull_disk *disk,
			struct mull_vm *to, uint32_t *number)
{
	*number = 0;
	while (*number < MULL_DISK_MAX &&
	       vm->description.disks[*number].kind != MULL_DISK_NONE)
		++*number;
	if (*number == MULL_DISK_MAX)
		return ERR_NO_MEMORY;
	*to = vm->description;
	to->disks[*number] = *disk;
	return ERR_NONE;
}

enum error request_plug(const struct asked *asked, struct answer *answer)
{
	static struct mull_vm changed;
	struct vm *vm = asked->vm;
	struct mull_disk disk;
	const char *words;
	uint32_t number;
	enum error error = devices_may_change(vm, answer);

	if (error)
		return error;
	memcpy(&disk, asked->data, sizeof disk);
	if (disk.overlay[0])
		return answer_words(answer, ERR_UNSUPPORTED,
				    "an overlay on a partition is given to a "
				    "VM in its description only");
	if (draft(vm, &disk, &changed, &number))
		return answer_words(answer, ERR_NO_MEMORY,
				    "it has %u disks, and no more can be",
				    MULL_DISK_MAX);
	if (disk.kind == MULL_DISK_NONE ||
	    !description_is_good(&changed, vm, answer))
		return ERR_BAD_REQUEST;
	error = vm_attach_disk(vm, number, &disk, &words);
	if (error && disk.kind == MULL_DISK_PARTITION)
		return answer_words(answer, error, "partition \"%s\": %s",
				    disk.partition, words);
	if (error)
		return answer_words(answer, error, "%s", words);
	answer->reply.value = number;
	return ERR_NONE;
}

static void fill(const struct vm *vm, uint32_t number,
		 struct mull_disk_status *status)
{
	const struct virtio_block *block = vm->disks[number];

	status->number = number;
	status->disk = vm->description.disks[number];
	if (status->disk.kind == MULL_DISK_NONE) {
		status->state = MULL_DISK_FAILED;
		format_text(status->words, sizeof status->words, "%s",
			    device_failure(vm, false, number));
		return;
	}
	status->state = device_state(vm, false, number);
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

	for (uint32_t i = (uint32_t)asked->argument; i < MULL_DISK_MAX; i++) {
		struct mull_disk_status *status;

		if (vm->description.disks[i].kind == MULL_DISK_NONE &&
		    !device_failure(vm, false, i))
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
