/* SPDX-License-Identifier: MIT */
/* A VM out of a piece of a manifest, with its images. */
#include <string.h>

#include "manifest.h"
#include "texts.h"
#include "upload.h"
#include "work.h"

static struct mull_image_status images[MULL_IMAGE_MAX];
static struct mull_cpu_stats cpus[MULL_CPU_MAX];

/* The CPU that serves the line comes last. */
static int look(struct mull *mull, struct manifest_target *target)
{
	struct mull_info info = { .service_cpu = 0 };
	size_t count, service = 0;
	int error = mull_images(mull, images, &target->image_count);

	target->images = images;
	target->free_cpu_count = 0;
	if (!error)
		error = mull_info(mull, &info);
	if (!error)
		error = mull_cpu_stats(mull, cpus, &count);
	for (size_t i = 0; !error && i < count; i++) {
		if (cpus[i].vcpu_count)
			continue;
		if (cpus[i].cpu == info.service_cpu)
			service = 1;
		else
			target->free_cpus[target->free_cpu_count++] =
				cpus[i].cpu;
	}
	if (!error && service)
		target->free_cpus[target->free_cpu_count++] = info.service_cpu;
	return error;
}

/* The number in the hypervisor of image @index. */
static enum status bring_image(struct mull *mull, const struct options *options,
			       const struct manifest_image *image,
			       uint32_t *number)
{
	struct uploaded uploaded = { .number = 0 };
	struct image_file file;
	enum status status = STATUS_FAILED;

	if (image->there) {
		*number = image->there->number;
		return STATUS_OK;
	}
	if (image_file_read(&file, image->path, image->name, image->kind))
		status = upload_file(mull, &file, options->text[OPTION_REPLACE],
				     &uploaded);
	*number = uploaded.number;
	image_file_free(&file);
	return status;
}

static enum status bring_images(struct mull *mull,
				const struct options *options,
				struct manifest *manifest)
{
	struct mull_vm *vm = &manifest->vms[0];
	enum status status = bring_image(
		mull, options, &manifest->images[vm->kernel], &vm->kernel);

	if (status == STATUS_OK && vm->initrd != MULL_NO_IMAGE)
		status = bring_image(mull, options,
				     &manifest->images[vm->initrd],
				     &vm->initrd);
	for (uint32_t i = 0; status == STATUS_OK && i < vm->module_count; i++)
		status = bring_image(mull, options,
				     &manifest->images[vm->modules[i].image],
				     &vm->modules[i].image);
	for (uint32_t i = 0; status == STATUS_OK && i < MULL_DISK_MAX; i++) {
		struct mull_disk *disk = &vm->disks[i];

		if (disk->kind == MULL_DISK_MEMORY)
			status = bring_image(mull, options,
					     &manifest->images[disk->image],
					     &disk->image);
	}
	return status;
}

static enum status name_is_free(struct mull *mull, const char *name)
{
	struct mull_vm_status list[MULL_VM_MAX];
	size_t count;
	int error = mull_list(mull, list, &count);

	if (error)
		return remote_status(mull, error);
	for (size_t i = 0; i < count; i++)
		if (!strcmp(list[i].name, name)) {
			tell("there is a VM \"%s\" already: mullctl stop and "
			     "destroy it, or give this one another name",
			     name);
			return STATUS_CONFLICT;
		}
	return STATUS_OK;
}

static enum status make(struct mull *mull, const struct options *options,
			struct manifest *manifest, struct output *output)
{
	const struct mull_vm *vm = &manifest->vms[0];
	enum status status = name_is_free(mull, vm->name);
	uint32_t number;
	int error;

	if (status == STATUS_OK)
		status = bring_images(mull, options, manifest);
	if (status != STATUS_OK)
		return status;
	error = mull_create(mull, vm, &number);
	if (error)
		return remote_status(mull, error);
	output_number(output, "number", number);
	output_text(output, "name", vm->name);
	output_number(output, "kernel_image", vm->kernel);
	if (vm->initrd != MULL_NO_IMAGE)
		output_number(output, "initrd_image", vm->initrd);
	if (options->text[OPTION_START])
		error = mull_start(mull, number);
	return remote_status(mull, error);
}

static enum status create(struct mull *mull, const struct options *options,
			  struct output *output)
{
	struct manifest_target target;
	struct manifest manifest;
	enum status status = STATUS_FAILED;
	int error = look(mull, &target);

	if (error)
		return remote_status(mull, error);
	manifest_read_one(&manifest, options->operand, &target);
	if (manifest.mistakes.count)
		mistakes_print(&manifest.mistakes, manifest.file, stderr);
	else
		status = make(mull, options, &manifest, output);
	manifest_free(&manifest);
	return status;
}

int verb_create(const struct options *options)
{
	struct output output;
	enum status status;
	struct mull *mull;

	if (!output_begin(&output, options))
		return STATUS_USAGE;
	mull = remote_open(options, NULL, &status);
	if (!mull)
		return status;
	work_begin();
	status = create(mull, options, &output);
	output_end(&output);
	mull_close(mull);
	work_end();
	return status;
}
