/* SPDX-License-Identifier: MIT */
/* Verbs about the images that VMs are made of. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "new_file.h"
#include "texts.h"
#include "upload.h"
#include "work.h"

/* ---- images ------------------------------------------------------------- */

static const char *image_state(uint32_t flags)
{
	if (flags & MULL_IMAGE_BROKEN)
		return "broken";
	if (flags & MULL_IMAGE_PARTIAL)
		return "partial";
	return flags & MULL_IMAGE_UPLOADED ? "uploaded" : "packed";
}

static void put_image(struct output *output,
		      const struct mull_image_status *image)
{
	char hash[65];

	output_number(output, "number", image->number);
	output_text(output, "name", image->name);
	output_text(output, "kind", image_kind_word(image->kind));
	output_text(output, "state", image_state(image->flags));
	output_number(output, "users", image->users);
	output_size(output, "size", image->size);
	output_size(output, "received", image->received);
	output_hash(hash, image->sha256);
	if (output->form == OUTPUT_TABLE)
		hash[16] = 0;
	output_text(output, "sha256", hash);
}

static enum status show_images(struct mull *mull,
			       const struct mull_vm_status *vm,
			       struct output *output)
{
	static struct mull_image_status images[MULL_IMAGE_MAX];
	size_t count;
	int error = mull_images(mull, images, &count);

	(void)vm;
	if (error)
		return remote_status(mull, error);
	output_list_begin(output, "images");
	for (size_t i = 0; i < count; i++) {
		output_row_begin(output);
		put_image(output, &images[i]);
		output_row_end(output);
	}
	output_list_end(output);
	return STATUS_OK;
}

int verb_images(const struct options *options)
{
	return remote_show(options, show_images);
}

/* ---- upload ------------------------------------------------------------- */

static void tell_upload(struct output *output, const struct image_file *file,
			const struct uploaded *uploaded)
{
	uint64_t sent = file->upload.wire_size - uploaded->sent_from;
	char hash[65];

	output_number(output, "number", uploaded->number);
	output_text(output, "name", file->upload.name);
	output_text(output, "kind", image_kind_word(file->upload.kind));
	output_size(output, "size", file->upload.size);
	output_size(output, "sent", uploaded->was_there ? 0 : sent);
	output_size(output, "sent_from", uploaded->sent_from);
	output_time(output, "time", (uint64_t)(uploaded->seconds * 1e9));
	output_yes(output, "was_there", uploaded->was_there);
	output_hash(hash, file->upload.sha256);
	output_text(output, "sha256", hash);
}

static enum status upload(const struct options *options, uint32_t kind,
			  struct output *output)
{
	struct uploaded uploaded;
	struct image_file file;
	enum status status = STATUS_FAILED;
	struct mull *mull = NULL;

	if (image_file_read(&file, options->operand, options->text[OPTION_NAME],
			    kind))
		mull = remote_open(options, NULL, &status);
	if (mull) {
		status = upload_file(mull, &file, options->text[OPTION_REPLACE],
				     &uploaded);
		if (status == STATUS_OK)
			tell_upload(output, &file, &uploaded);
		mull_close(mull);
	}
	image_file_free(&file);
	return status;
}

int verb_upload(const struct options *options)
{
	const char *word = options->text[OPTION_KIND];
	uint32_t kind = word ? image_kind_of(word) : 0;
	struct output output;
	enum status status;

	if (word && !kind) {
		tell("--kind is linux, elf, pvh, multiboot, multiboot2, "
		     "firmware, initrd or disk, not \"%s\"",
		     word);
		return STATUS_USAGE;
	}
	if (!output_begin(&output, options))
		return STATUS_USAGE;
	work_begin();
	status = upload(options, kind, &output);
	output_end(&output);
	work_end();
	return status;
}

/* ---- download ----------------------------------------------------------- */

struct download {
	const struct mull_image_status *image;
	struct new_file file;
	uint8_t *bytes;
	bool stopped;
	double shown;
};

static bool on_piece(void *context, uint64_t at, const void *bytes,
		     uint64_t length)
{
	struct download *download = context;
	uint64_t size = download->image->size;

	if (at > size || length > size - at)
		return false; /* it has become another one */
	memcpy(download->bytes + at, bytes, length);
	if (seconds_now() >= download->shown + 0.2) {
		download->shown = seconds_now();
		progress("%s: %lu%% of %lu bytes", download->image->name,
			 at * 100 / size, size);
	}
	download->stopped = work_signal();
	return !download->stopped;
}

static bool write_all(const struct download *download)
{
	uint64_t at = 0;

	while (at < download->image->size) {
		ssize_t done = write(download->file.fd, download->bytes + at,
				     download->image->size - at);

		if (done < 0)
			return new_file_failed(&download->file);
		at += (uint64_t)done;
	}
	return true;
}

static enum status fetch(struct mull *mull, struct download *download)
{
	uint8_t sha256[32];
	int error = mull_read_image(mull, download->image->number, on_piece,
				    download);

	progress_erase();
	if (download->stopped)
		return STATUS_FAILED;
	if (error && error != MULL_STOPPED)
		return remote_status(mull, error);
	image_hash(download->bytes, download->image->size, sha256);
	if (error || memcmp(sha256, download->image->sha256, sizeof sha256)) {
		tell("%s: what came has another SHA-256 than the image; "
		     "nothing is written",
		     download->image->name);
		return STATUS_FAILED;
	}
	return write_all(download) ? STATUS_OK : STATUS_FAILED;
}

static enum status download(struct mull *mull, const struct options *options)
{
	struct mull_image_status image;
	struct download download = { .image = &image };
	int error = mull_find_image(mull, options->operand, &image);
	enum status status;

	if (error)
		return remote_status(mull, error);
	if (image.size > (2ull << 30)) {
		tell("%s has %lu bytes: that cannot be", image.name,
		     image.size);
		return STATUS_FAILED;
	}
	if (!new_file_open(&download.file, options->second))
		return STATUS_FAILED;
	download.bytes = memory_get(NULL, image.size + 1);
	status = fetch(mull, &download);
	free(download.bytes);
	if (!new_file_close(&download.file, status == STATUS_OK) &&
	    status == STATUS_OK)
		status = STATUS_FAILED;
	return status;
}

int verb_download(const struct options *options)
{
	enum status status;
	struct mull *mull = remote_open(options, NULL, &status);

	if (!mull)
		return status;
	work_begin();
	status = download(mull, options);
	mull_close(mull);
	work_end();
	return status;
}

/* ---- delete ------------------------------------------------------------- */

int verb_delete(const struct options *options)
{
	struct mull_image_status image;
	enum status status;
	struct mull *mull = remote_open(options, NULL, &status);
	int error;

	if (!mull)
		return status;
	error = mull_find_image(mull, options->operand, &image);
	if (!error)
		error = mull_delete_image(mull, image.number);
	status = remote_status(mull, error);
	mull_close(mull);
	return status;
}
