/* SPDX-License-Identifier: MIT */
#include "upload.h"

#include <stdlib.h>
#include <string.h>

#include "texts.h"
#include "work.h"

#define BAR 24	  /* columns */
#define PAUSE 0.2 /* seconds between two looks of the bar */

struct sending {
	const struct image_file *file;
	struct uploaded *uploaded;
	bool begun;
	double start, shown;
};

/* "vmlinuz [====>   ] 41%  1.2 MiB of 2.9 MiB, 11.0 KiB/s, 2 min 30 s left" */
static void show_bar(const struct sending *sending, uint64_t done, double now)
{
	static const char signs[] = "========================>";
	uint64_t size = sending->file->upload.wire_size;
	uint64_t came = done - sending->uploaded->sent_from;
	double rate = (double)came / (now - sending->start);
	uint64_t left = came ? (uint64_t)((double)(size - done) / rate) : 0;
	size_t filled = (size_t)(done * BAR / size);
	char *have = texts_of_size(done), *all = texts_of_size(size);
	char *speed = texts_of_size((uint64_t)rate);

	progress("%s [%-*s] %lu%%  %s of %s, %s/s, %lu min %lu s left",
		 sending->file->upload.name, BAR + 1, signs + BAR - filled,
		 done * 100 / size, have, all, speed, left / 60, left % 60);
	free(have);
	free(all);
	free(speed);
}

static bool on_progress(void *context, uint64_t done)
{
	struct sending *sending = context;
	double now = seconds_now();

	if (!sending->begun) {
		sending->begun = true;
		sending->start = now;
		sending->uploaded->sent_from = done;
		if (done)
			tell("%s: goes on at %lu%%, where it stopped",
			     sending->file->upload.name,
			     done * 100 / sending->file->upload.wire_size);
	} else if (now >= sending->shown + PAUSE) {
		sending->shown = now;
		show_bar(sending, done, now);
	}
	return !work_signal();
}

/* ---- what is in its way -------------------------------------------------- */

static bool is_same(const struct mull_image_status *image,
		    const struct mull_upload *upload)
{
	return image->size == upload->size && image->kind == upload->kind &&
	       !memcmp(image->sha256, upload->sha256, sizeof image->sha256);
}

/* Of those that are there: one with the name, and one that is half there. */
struct others {
	const struct mull_image_status *same_name, *partial;
};

static struct others find_others(const struct mull_image_status *images,
				 size_t count, const char *name)
{
	struct others others = { NULL, NULL };

	for (size_t i = 0; i < count; i++) {
		if (!strcmp(images[i].name, name))
			others.same_name = &images[i];
		else if (images[i].flags & MULL_IMAGE_PARTIAL)
			others.partial = &images[i];
	}
	return others;
}

/* STATUS_OK: it can be sent, or is there already. */
static enum status make_way(struct mull *mull, const struct mull_upload *upload,
			    bool replace, struct uploaded *uploaded)
{
	static struct mull_image_status images[MULL_IMAGE_MAX];
	struct others others;
	size_t count;
	int error = mull_images(mull, images, &count);

	if (error)
		return remote_status(mull, error);
	others = find_others(images, count, upload->name);
	if (others.same_name && is_same(others.same_name, upload)) {
		uploaded->number = others.same_name->number;
		uploaded->was_there = !(
			others.same_name->flags &
			(MULL_IMAGE_PARTIAL | MULL_IMAGE_BROKEN));
	} else if (others.same_name && !replace) {
		tell("there is an image \"%s\" already, with other contents: "
		     "--replace puts this one in its place, --name gives "
		     "another name",
		     upload->name);
		return STATUS_CONFLICT;
	}
	if (others.partial && !uploaded->was_there) {
		tell("\"%s\" is being uploaded, %lu of %lu bytes: wait for "
		     "that, or end it by mullctl delete %s",
		     others.partial->name, others.partial->received,
		     others.partial->size, others.partial->name);
		return STATUS_CONFLICT;
	}
	if (others.same_name && !is_same(others.same_name, upload))
		error = mull_delete_image(mull, others.same_name->number);
	return remote_status(mull, error);
}

enum status upload_file(struct mull *mull, const struct image_file *file,
			bool replace, struct uploaded *uploaded)
{
	struct sending sending = { .file = file, .uploaded = uploaded };
	enum status status;
	int error;

	*uploaded = (struct uploaded){ .number = 0 };
	status = make_way(mull, &file->upload, replace, uploaded);
	if (status != STATUS_OK || uploaded->was_there)
		return status;
	error = mull_upload_image(mull, &file->upload, file->wire, on_progress,
				  &sending, &uploaded->number);
	progress_erase();
	uploaded->seconds = seconds_now() - sending.start;
	if (!error)
		return STATUS_OK;
	status = error == MULL_STOPPED ? STATUS_FAILED :
					 remote_status(mull, error);
	if (sending.begun &&
	    (error == MULL_STOPPED || error == MULL_UNREACHABLE ||
	     error == MULL_NO_ANSWER))
		tell("%s: the same command goes on where it stopped",
		     file->upload.name);
	return status;
}
