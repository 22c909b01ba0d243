/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "boot_disk.h"
#include "pack.h"
#include "texts.h"
#include "verbs.h"
#include "work.h"

/* What --output and --format ask for. */
struct goal {
	bool folder;
	enum disk_format format;
};

static bool understand(const struct options *options, struct goal *goal)
{
	const char *output = options->text[OPTION_OUTPUT];
	const char *format = options->text[OPTION_FORMAT];
	struct stat about;
	bool there;

	if (!output || !*output) {
		tell("pack needs -o DIR or -o IMAGE");
		return false;
	}
	there = !stat(output, &about);
	goal->folder = there ? S_ISDIR(about.st_mode) :
			       output[strlen(output) - 1] == '/';
	goal->format = format && !strcmp(format, "fat") ? DISK_FAT : DISK_GPT;
	if (there && !goal->folder && !S_ISREG(about.st_mode)) {
		tell("%s is neither a folder nor a regular file (make an image "
		     "and write it there with dd)",
		     output);
		return false;
	}
	if (format && strcmp(format, "fat") && strcmp(format, "gpt")) {
		tell("--format is gpt or fat, not \"%s\"", format);
		return false;
	}
	if (format && goal->folder) {
		tell("--format is about disk images, but %s is a folder",
		     output);
		return false;
	}
	return true;
}

static enum status pack(const struct options *options,
			const struct manifest *manifest,
			const struct goal *goal)
{
	const char *output = options->text[OPTION_OUTPUT];
	char *efi = boot_disk_efi(options->text[OPTION_EFI]);
	enum status status;

	if (!efi)
		return STATUS_HOST;
	status = goal->folder ?
			 boot_disk_folder(manifest, efi, output) :
			 boot_disk_image(manifest, efi, output, goal->format);
	free(efi);
	if (status == STATUS_OK && options->text[OPTION_VERBOSE]) {
		char *size = texts_of_size(pack_size(manifest));

		tell("%s: %zu VMs, %zu files, a package of %s", output,
		     manifest->vm_count, manifest->image_count, size);
		free(size);
	}
	return status;
}

int verb_pack(const struct options *options)
{
	struct manifest manifest;
	enum status status = STATUS_MISTAKE;
	struct goal goal;

	if (!understand(options, &goal))
		return STATUS_MISTAKE;
	manifest_read(&manifest, options->operand);
	work_begin();
	if (manifest.mistakes.count)
		mistakes_print(&manifest.mistakes, manifest.file, stderr);
	else
		status = pack(options, &manifest, &goal);
	manifest_free(&manifest);
	work_end();
	return status;
}
