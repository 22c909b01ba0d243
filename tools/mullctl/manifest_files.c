/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "guest_file.h"
#include "image_file.h"
#include "manifest.h"
#include "texts.h"

/* The last part of @path in printable ASCII, for messages. */
static void name_image(struct manifest_image *image)
{
	const char *slash = strrchr(image->path, '/');
	const char *base = slash ? slash + 1 : image->path;

	for (size_t i = 0; base[i] && i < MULL_NAME_MAX - 1; i++)
		image->name[i] = base[i] > ' ' && base[i] <= '~' ? base[i] :
								   '?';
}

/* The index of @image, which is stored once however often it is named, or
 * MULL_NO_IMAGE after a complaint; takes over its path.  @vm's @field names
 * it. */
static uint32_t enter(struct manifest *manifest, int vm, enum mull_field field,
		      struct manifest_image *image)
{
	for (size_t i = 0; i < manifest->image_count; i++) {
		struct manifest_image *other = &manifest->images[i];

		if (other->device == image->device &&
		    other->inode == image->inode &&
		    other->kind == image->kind &&
		    other->there == image->there) {
			free(image->path);
			return (uint32_t)i;
		}
	}
	if (manifest->image_count == MULL_IMAGE_MAX) {
		if (!manifest->machine_place.said[MULL_FIELD_KERNEL])
			manifest_complain(manifest, MULL_MACHINE_ITSELF, 0,
					  MULL_FIELD_KERNEL,
					  "the VMs have more than %d files",
					  MULL_IMAGE_MAX);
		manifest->places[vm].said[field] = true;
		free(image->path);
		return MULL_NO_IMAGE;
	}
	manifest->images[manifest->image_count] = *image;
	return (uint32_t)manifest->image_count++;
}

static const char *kind_words(uint32_t kind)
{
	static const char *const words[] = {
		[MULL_IMAGE_BZIMAGE] = "a Linux bzImage",
		[MULL_IMAGE_ELF64] = "an ELF file of Mullion's SDK",
		[MULL_IMAGE_PVH] = "a PVH kernel",
		[MULL_IMAGE_MULTIBOOT] = "a Multiboot kernel",
		[MULL_IMAGE_MULTIBOOT2] = "a Multiboot 2 kernel",
		[MULL_IMAGE_FIRMWARE] = "firmware",
	};

	return words[kind];
}

/* Makes it the kind that @type says, where the file is several. */
static bool is_kernel_as_said(struct manifest *manifest, int vm,
			      struct manifest_image *image, uint32_t type)
{
	if (!image->kind) {
		manifest_complain(
			manifest, vm, 0, MULL_FIELD_KERNEL,
			"kernel \"%s\" is neither a Linux bzImage "
			"nor an ELF file, and has no Multiboot header",
			image->path);
		return false;
	}
	if (type && !(image->kinds >> type & 1)) {
		manifest_complain(manifest, vm, 0, MULL_FIELD_KERNEL,
				  "kernel \"%s\" is %s, but its type is given "
				  "as %s",
				  image->path, kind_words(image->kind),
				  image_kind_word(type));
		return false;
	}
	if (type)
		image->kind = type;
	return true;
}

/* What the word of @field names. */
static const char *what_is(enum mull_field field)
{
	switch (field) {
	case MULL_FIELD_KERNEL:
		return "kernel";
	case MULL_FIELD_MODULES:
		return "module";
	case MULL_FIELD_DISKS:
		return "disk";
	default:
		return "initrd";
	}
}

static bool is_of_field(enum mull_field field, uint32_t kind)
{
	switch (kind) {
	case MULL_IMAGE_INITRD:
		return field == MULL_FIELD_INITRD ||
		       field == MULL_FIELD_MODULES;
	case MULL_IMAGE_DISK:
		return field == MULL_FIELD_DISKS;
	default:
		return field == MULL_FIELD_KERNEL;
	}
}

static uint32_t add_file(struct manifest *manifest, int vm,
			 enum mull_field field, char *path, uint32_t type)
{
	struct manifest_image image = { .path = path };
	bool kernel = field == MULL_FIELD_KERNEL;
	char *wrong;

	if (!kernel)
		image.kind = field == MULL_FIELD_DISKS ? MULL_IMAGE_DISK :
							 MULL_IMAGE_INITRD;
	else if (type == MULL_IMAGE_FIRMWARE)
		image.kind = MULL_IMAGE_FIRMWARE;
	name_image(&image);
	wrong = guest_file_probe(&image);
	if (wrong) {
		manifest_complain(manifest, vm, 0, field, "%s \"%s\" %s",
				  what_is(field), path, wrong);
		free(wrong);
	} else if (!kernel || is_kernel_as_said(manifest, vm, &image, type)) {
		return enter(manifest, vm, field, &image);
	}
	free(path);
	return MULL_NO_IMAGE;
}

static uint32_t add_there(struct manifest *manifest, int vm,
			  enum mull_field field,
			  const struct mull_image_status *there)
{
	struct manifest_image image = { .kind = there->kind,
					.size = there->size,
					.needs = there->size,
					.there = there };

	memcpy(image.name, there->name, sizeof image.name);
	if (there->flags & (MULL_IMAGE_PARTIAL | MULL_IMAGE_BROKEN))
		manifest_complain(manifest, vm, 0, field,
				  "image \"%s\" is not whole: upload it again",
				  there->name);
	else if (!is_of_field(field, there->kind))
		manifest_complain(manifest, vm, 0, field,
				  "image \"%s\" is of kind %s, so no %s",
				  there->name, image_kind_word(there->kind),
				  what_is(field));
	else
		return enter(manifest, vm, field, &image);
	return MULL_NO_IMAGE;
}

/* One that cannot be had is left out: it has been complained about. */
static void add_modules(struct manifest *manifest, size_t vm,
			struct manifest_files *files)
{
	struct mull_vm *it = &manifest->vms[vm];

	for (uint32_t i = 0; i < files->module_count; i++) {
		const struct manifest_module *from = &files->modules[i];
		struct mull_module *to = &it->modules[it->module_count];
		const enum mull_field field = MULL_FIELD_MODULES;
		uint32_t image = from->there ? add_there(manifest, (int)vm,
							 field, from->there) :
					       add_file(manifest, (int)vm,
							field, from->path, 0);

		if (image == MULL_NO_IMAGE)
			continue;
		to->image = image;
		memcpy(to->words, from->words, sizeof to->words);
		it->module_count++;
	}
}

/* The file of memory disk @index, and room for what is written to it. */
static void add_disk(struct manifest *manifest, int vm, uint32_t index,
		     struct manifest_files *files)
{
	struct mull_disk *disk = &manifest->vms[vm].disks[index];
	int *line = &manifest->places[vm].lines[MULL_FIELD_DISKS];
	int list_line = *line;
	uint64_t size;

	if (!files->disks_there[index] && !files->disks[index])
		return;
	*line = files->disk_lines[index];
	disk->image = files->disks_there[index] ?
			      add_there(manifest, vm, MULL_FIELD_DISKS,
					files->disks_there[index]) :
			      add_file(manifest, vm, MULL_FIELD_DISKS,
				       files->disks[index], 0);
	*line = list_line;
	if (disk->image == MULL_NO_IMAGE)
		return;
	size = manifest->images[disk->image].size;
	if (disk->flags & MULL_DISK_PRIVATE)
		disk->room = mull_disk_room(size,
					    disk->room ? disk->room : size);
}

void manifest_add_files(struct manifest *manifest, size_t vm,
			struct manifest_files *files)
{
	struct mull_vm *it = &manifest->vms[vm];

	if (files->kernel_there)
		it->kernel = add_there(manifest, (int)vm, MULL_FIELD_KERNEL,
				       files->kernel_there);
	else if (files->kernel)
		it->kernel = add_file(manifest, (int)vm, MULL_FIELD_KERNEL,
				      files->kernel, files->type);
	else if (!manifest->places[vm].said[MULL_FIELD_KERNEL])
		manifest_complain(manifest, (int)vm, 0, MULL_FIELD_KERNEL,
				  "has no kernel");
	if (files->initrd_there)
		it->initrd = add_there(manifest, (int)vm, MULL_FIELD_INITRD,
				       files->initrd_there);
	else if (files->initrd)
		it->initrd = add_file(manifest, (int)vm, MULL_FIELD_INITRD,
				      files->initrd, 0);
	add_modules(manifest, vm, files);
	for (uint32_t i = 0; i < MULL_DISK_MAX; i++)
		add_disk(manifest, (int)vm, i, files);
	*files = (struct manifest_files){ .kernel = NULL };
}
