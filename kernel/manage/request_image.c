/* SPDX-License-Identifier: MIT */
/* Requests about images; uploading one is in upload.c. */
#include "request.h"
#include "service.h"
#include <mullion/images.h>
#include <string.h>

static bool uses(const struct mull_vm *vm, uint32_t number)
{
	for (uint32_t i = 0; i < MULL_DISK_MAX; i++)
		if (vm->disks[i].kind == MULL_DISK_MEMORY &&
		    vm->disks[i].image == number)
			return true;
	for (uint32_t i = 0; i < vm->module_count; i++)
		if (vm->modules[i].image == number)
			return true;
	return vm->kernel == number || vm->initrd == number;
}

static uint32_t users(uint32_t number)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < MULL_VM_MAX; i++) {
		const struct console *console = console_of(i);

		count += console && console->vm->vcpu_count &&
			 uses(&console->vm->description, number);
	}
	return count;
}

static void fill_status(const struct mull_image *record, uint32_t number,
			struct mull_image_status *status)
{
	struct load_image image = image_find(number);

	memcpy(status->name, record->name, sizeof status->name);
	memcpy(status->sha256, record->sha256, sizeof status->sha256);
	status->number = number;
	status->kind = record->kind;
	status->users = users(number);
	status->size = record->size;
	if (store_image(number))
		status->flags = MULL_IMAGE_UPLOADED;
	if (image_is_there(&image))
		status->received = record->size;
	else if (image.record)
		status->flags = MULL_IMAGE_BROKEN;
	upload_status(status);
}

enum error request_images(const struct asked *asked, struct answer *answer)
{
	for (uint32_t i = (uint32_t)asked->argument; i < MULL_IMAGE_MAX; i++) {
		const struct mull_image *record = image_find(i).record;
		struct mull_image_status *status;

		if (!record)
			record = store_image(i);
		if (!record)
			continue;
		status = answer_add(answer, sizeof *status);
		if (!status) {
			answer->reply.value = i;
			break;
		}
		fill_status(record, i, status);
	}
	return ERR_NONE;
}

static enum error no_image(uint32_t number, struct answer *answer)
{
	return answer_words(answer, ERR_NOT_FOUND, "there is no image %u",
			    number);
}

enum error request_image_read(const struct asked *asked, struct answer *answer)
{
	struct load_image image = image_find(asked->number);
	uint64_t left;

	if (!image_is_there(&image))
		return no_image(asked->number, answer);
	if (asked->argument > image.record->size)
		return answer_words(answer, ERR_BAD_REQUEST,
				    "the image has %lu bytes",
				    image.record->size);
	left = image.record->size - asked->argument;
	if (left > sizeof answer->data)
		left = sizeof answer->data;
	image_read(&image, asked->argument, answer_add(answer, left), left);
	answer->reply.value = image.record->size;
	return ERR_NONE;
}

enum error request_image_delete(const struct asked *asked,
				struct answer *answer)
{
	uint32_t number = (uint32_t)asked->argument;

	if (!store_image(number))
		return image_find(number).record ?
			       answer_words(answer, ERR_BUSY,
					    "image %u belongs to the package",
					    number) :
			       no_image(number, answer);
	if (users(number))
		return answer_words(answer, ERR_BUSY,
				    "%u VMs are made from image %u",
				    users(number), number);
	store_remove(number);
	return ERR_NONE;
}
