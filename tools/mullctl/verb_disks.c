/* SPDX-License-Identifier: MIT */
/* Verbs about the disks of a VM. */
#include <mullion/description.h>
#include <stdio.h>
#include <string.h>

#include "remote.h"
#include "texts.h"
#include "upload.h"
#include "work.h"

#define WAIT_SECONDS 30
#define LOOK_MILLISECONDS 100

/* ---- disks -------------------------------------------------------------- */

static const char *state_word(uint32_t state)
{
	switch (state) {
	case MULL_DISK_PRESENT:
		return "present";
	case MULL_DISK_COMING:
		return "coming";
	case MULL_DISK_GOING:
		return "going";
	case MULL_DISK_FAILED:
		return "failed";
	}
	return "unknown";
}

void remote_put_medium(struct output *output, const struct mull_disk *disk)
{
	bool partition = disk->kind == MULL_DISK_PARTITION;
	char text[2 * MULL_PARTITION_MAX + 16];

	if (output->form == OUTPUT_TABLE) {
		if (partition)
			snprintf(text, sizeof text, "partition %.*s%s%.*s",
				 MULL_PARTITION_MAX, disk->partition,
				 disk->overlay[0] ? " + " : "",
				 MULL_PARTITION_MAX, disk->overlay);
		else
			snprintf(text, sizeof text, "image %u", disk->image);
		output_text(output, "medium", text);
	} else if (partition) {
		output_text(output, "partition", disk->partition);
		if (disk->overlay[0])
			output_text(output, "overlay", disk->overlay);
	} else {
		output_number(output, "image", disk->image);
	}
	output_text(output, "access",
		    disk->flags & MULL_DISK_READ_ONLY ? "read-only" :
		    disk->flags & MULL_DISK_PRIVATE   ? "private" :
							"read-write");
}

static void put_disk(struct output *output, const struct mull_disk_status *it)
{
	output_number(output, "disk", it->number);
	output_text(output, "state", state_word(it->state));
	remote_put_medium(output, &it->disk);
	output_size(output, "size", it->size);
	output_size(output, "room", it->room * 4096);
	output_size(output, "used", it->used * 4096);
	output_size(output, "read", it->read_sectors * 512);
	output_size(output, "written", it->written_sectors * 512);
	output_text(output, "reason", it->words);
}

static enum status show_disks(struct mull *mull,
			      const struct mull_vm_status *vm,
			      struct output *output)
{
	struct mull_disk_status disks[MULL_DISK_MAX];
	size_t count;
	int error = mull_disks(mull, vm->number, disks, &count);

	if (error)
		return remote_status(mull, error);
	output_list_begin(output, "disks");
	for (size_t i = 0; i < count; i++) {
		output_row_begin(output);
		put_disk(output, &disks[i]);
		output_row_end(output);
	}
	output_list_end(output);
	return STATUS_OK;
}

int verb_disks(const struct options *options)
{
	return remote_show(options, show_disks);
}

/* ---- attach and detach -------------------------------------------------- */

/* Disk @number of @vm; false after a message, or when there is none. */
static int find_disk(struct mull *mull, const struct mull_vm_status *vm,
		     uint32_t number, struct mull_disk_status *disk)
{
	struct mull_disk_status disks[MULL_DISK_MAX];
	size_t count;
	int error = mull_disks(mull, vm->number, disks, &count);

	disk->state = 0;
	for (size_t i = 0; !error && i < count; i++)
		if (disks[i].number == number)
			*disk = disks[i];
	return error;
}

/* Until it is not @state any more. */
static enum status wait_while(struct mull *mull,
			      const struct mull_vm_status *vm,
			      struct mull_disk_status *disk, uint32_t number,
			      uint32_t state, double seconds)
{
	double limit = seconds_now() + seconds;

	for (;;) {
		int error = find_disk(mull, vm, number, disk);

		if (!error && disk->state != state)
			return STATUS_OK;
		if (!error && seconds_now() > limit)
			return STATUS_TIMED_OUT;
		if (!error)
			error = mull_pump(mull, LOOK_MILLISECONDS, -1);
		if (error)
			return remote_status(mull, error);
	}
}

/* An image by its name there, or a file, which is uploaded first. */
static enum status bring(struct mull *mull, const struct options *options,
			 struct mull_disk *disk, uint64_t *size)
{
	struct uploaded uploaded = { .number = 0 };
	struct mull_image_status image;
	enum status status = STATUS_FAILED;
	struct image_file file;

	if (mull_find_image(mull, options->second, &image) == MULL_OK) {
		if (image.kind != MULL_IMAGE_DISK) {
			tell("image \"%s\" is of kind %s, so no disk",
			     image.name, image_kind_word(image.kind));
			return STATUS_FAILED;
		}
		disk->image = image.number;
		*size = image.size;
		return STATUS_OK;
	}
	if (image_file_read(&file, options->second, NULL, MULL_IMAGE_DISK))
		status = upload_file(mull, &file, false, &uploaded);
	disk->image = uploaded.number;
	*size = file.upload.size;
	image_file_free(&file);
	return status;
}

static bool take_options(const struct options *options, uint64_t *changes)
{
	const char *text = options->text[OPTION_ROOM];

	*changes = 0;
	if (!text || texts_to_size(text, changes))
		return true;
	tell("--room is a size such as 64MiB, not \"%s\"", text);
	return false;
}

static enum status attach(struct mull *mull, const struct mull_vm_status *vm,
			  const struct options *options, uint64_t changes,
			  double seconds, struct output *output)
{
	struct mull_disk disk = { .kind = MULL_DISK_MEMORY,
				  .flags = MULL_DISK_PRIVATE };
	struct mull_disk_status after = { .number = 0 };
	uint32_t number;
	uint64_t size;
	enum status status = bring(mull, options, &disk, &size);

	if (status != STATUS_OK)
		return status;
	if (options->text[OPTION_READ_ONLY])
		disk.flags = MULL_DISK_READ_ONLY;
	else
		disk.room = mull_disk_room(size, changes ? changes : size);
	status = remote_status(mull,
			       mull_plug(mull, vm->number, &disk, &number));
	if (status == STATUS_OK)
		status = wait_while(mull, vm, &after, number, MULL_DISK_COMING,
				    seconds);
	if (status == STATUS_TIMED_OUT)
		tell("disk %u is still coming after %.0f s: see mullctl disks",
		     number, seconds);
	if (status == STATUS_OK && after.state != MULL_DISK_PRESENT) {
		tell("it could not come: %s", after.words);
		return STATUS_FAILED;
	}
	if (status == STATUS_OK)
		put_disk(output, &after);
	return status;
}

int verb_attach(const struct options *options)
{
	struct mull_vm_status vm;
	struct output output;
	enum status status;
	struct mull *mull;
	uint64_t changes;
	double seconds;

	if (!take_options(options, &changes) ||
	    !remote_timeout(options, WAIT_SECONDS, &seconds) ||
	    !output_begin(&output, options))
		return STATUS_USAGE;
	mull = remote_open_vm(options, NULL, &vm, &status);
	if (!mull)
		return status;
	work_begin();
	status = attach(mull, &vm, options, changes, seconds, &output);
	output_end(&output);
	work_end();
	mull_close(mull);
	return status;
}

static enum status detach(struct mull *mull, const struct mull_vm_status *vm,
			  uint32_t number, double seconds)
{
	struct mull_disk_status after;
	enum status status = remote_status(
		mull, mull_unplug(mull, vm->number, number));

	if (status == STATUS_OK)
		status = wait_while(mull, vm, &after, number, MULL_DISK_GOING,
				    seconds);
	if (status == STATUS_TIMED_OUT)
		tell("%s has not let go of disk %u after %.0f s: it may use "
		     "it, or know no devices that go",
		     vm->name, number, seconds);
	return status;
}

int verb_detach(const struct options *options)
{
	struct mull_vm_status vm;
	enum status status;
	struct mull *mull;
	uint64_t number;
	double seconds;

	if (!texts_to_number(options->second, &number) ||
	    number >= MULL_DISK_MAX) {
		tell("a disk is a number below %d (mullctl disks shows them), "
		     "not \"%s\"",
		     MULL_DISK_MAX, options->second);
		return STATUS_USAGE;
	}
	if (!remote_timeout(options, WAIT_SECONDS, &seconds))
		return STATUS_USAGE;
	mull = remote_open_vm(options, NULL, &vm, &status);
	if (!mull)
		return status;
	status = detach(mull, &vm, (uint32_t)number, seconds);
	mull_close(mull);
	return status;
}
