/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "manifest.h"
#include "texts.h"

const struct mull_vm manifest_default_vm = {
	.flags = MULL_VM_AUTOSTART,
	.kernel = MULL_NO_IMAGE,
	.initrd = MULL_NO_IMAGE,
	.on_poweroff = MULL_END_STOP,
	.on_reset = MULL_END_RESTART,
	.on_crash = MULL_END_STOP,
	.console_size = 64 << 10,
};

const struct mull_machine manifest_default_machine = {
	.serial_mode = MULL_SERIAL_TEXT,
	.serial_port = 0x3f8,
	.serial_baud = 115200,
};

static struct manifest_place *place_of(struct manifest *manifest, int vm)
{
	return vm < 0 ? &manifest->machine_place : &manifest->places[vm];
}

void manifest_complain(struct manifest *manifest, int vm, int line,
		       enum mull_field field, const char *format, ...)
{
	struct manifest_place *place = place_of(manifest, vm);
	va_list arguments;
	char words[512];

	va_start(arguments, format);
	vsnprintf(words, sizeof words, format, arguments);
	va_end(arguments);
	place->said[field] = true;
	if (!line)
		line = place->lines[field] ? place->lines[field] : place->line;
	if (vm == MANIFEST_ITSELF)
		mistakes_add(&manifest->mistakes, line,
			     texts_format("%s", words));
	else if (vm == MULL_MACHINE_ITSELF)
		mistakes_add(&manifest->mistakes, line,
			     texts_format("machine: %s", words));
	else if (manifest->vms[vm].name[0])
		mistakes_add(&manifest->mistakes, line,
			     texts_format("vm \"%.*s\": %s", MULL_NAME_MAX,
					  manifest->vms[vm].name, words));
	else
		mistakes_add(&manifest->mistakes, line,
			     texts_format("vm number %d: %s", vm + 1, words));
}

/* What reading has complained about is not said again in other words: its
 * value is missing then.  Words from the command line to the mitigations have
 * good defaults, so that a complaint about them is about something else. */
struct complaints {
	struct manifest *manifest;
	bool said[MULL_VM_MAX + 1][MANIFEST_FIELDS];
};

static void on_complaint(void *context, int vm, enum mull_field field,
			 const char *words)
{
	struct complaints *complaints = context;

	bool has_default = field > MULL_FIELD_COMMAND_LINE &&
			   field <= MULL_FIELD_MITIGATIONS;

	if (has_default || !complaints->said[vm + 1][field])
		manifest_complain(complaints->manifest, vm, 0, field, "%s",
				  words);
}

/* The hypervisor's loader would refuse it, too, but only at boot. */
static void check_room_for_images(struct manifest *manifest, int vm)
{
	const struct mull_vm *it = &manifest->vms[vm];
	uint64_t kernel, initrd = 0;
	char *has, *needs;

	if (it->kernel == MULL_NO_IMAGE || !it->memory_size)
		return;
	kernel = manifest->images[it->kernel].needs;
	if (it->initrd != MULL_NO_IMAGE)
		initrd = manifest->images[it->initrd].size;
	for (uint32_t i = 0; i < it->module_count; i++)
		initrd += manifest->images[it->modules[i].image].size;
	if (initrd < it->memory_size && kernel <= it->memory_size - initrd)
		return;
	has = texts_of_size(it->memory_size);
	needs = texts_of_size(kernel + initrd);
	manifest_complain(manifest, vm, 0, MULL_FIELD_MEMORY,
			  "memory of %s cannot hold kernel and %s, which need "
			  "%s",
			  has, it->module_count ? "modules" : "initrd", needs);
	free(has);
	free(needs);
}

static uint64_t memory_for_vms(struct manifest *manifest)
{
	uint64_t size = manifest->machine.memory_size;

	if (!size || manifest->machine_place.said[MULL_FIELD_MACHINE_MEMORY])
		return 0;
	if (size > MANIFEST_HYPERVISOR_MEMORY)
		return size - MANIFEST_HYPERVISOR_MEMORY;
	manifest_complain(manifest, MULL_MACHINE_ITSELF, 0,
			  MULL_FIELD_MACHINE_MEMORY,
			  "the hypervisor itself needs 64 MiB of memory, so "
			  "nothing is left for VMs");
	return 0;
}

void manifest_check(struct manifest *manifest)
{
	struct complaints complaints = { .manifest = manifest };
	struct mull_limits limits = { .bad_ones_count = true };
	uint32_t kinds[MULL_IMAGE_MAX];
	bool bad[MULL_VM_MAX] = { false };

	memcpy(complaints.said[0], manifest->machine_place.said,
	       sizeof complaints.said[0]);
	for (size_t i = 0; i < manifest->vm_count; i++)
		memcpy(complaints.said[i + 1], manifest->places[i].said,
		       sizeof complaints.said[0]);
	for (size_t i = 0; i < manifest->image_count; i++)
		kinds[i] = manifest->images[i].kind;

	limits.memory_free = memory_for_vms(manifest);
	mull_check_machine(&manifest->machine, &limits, on_complaint,
			   &complaints);
	mull_check_vms(&manifest->machine, manifest->vms, manifest->vm_count,
		       kinds, manifest->image_count, &limits, bad, on_complaint,
		       &complaints);
	for (size_t i = 0; i < manifest->vm_count; i++)
		check_room_for_images(manifest, (int)i);
}

uint32_t manifest_cpus_needed(const struct manifest *manifest)
{
	uint32_t needed = manifest->machine.service_cpu + 1;

	for (size_t i = 0; i < manifest->vm_count; i++)
		for (uint32_t j = 0; j < manifest->vms[i].vcpu_count; j++)
			if (manifest->vms[i].cpus[j] >= needed)
				needed = manifest->vms[i].cpus[j] + 1u;
	return manifest->machine.cpu_count > needed ?
		       manifest->machine.cpu_count :
		       needed;
}

uint64_t manifest_memory(const struct manifest *manifest)
{
	return mull_memory_needed(manifest->vms, manifest->vm_count);
}

void manifest_free(struct manifest *manifest)
{
	for (size_t i = 0; i < manifest->image_count; i++)
		free(manifest->images[i].path);
	free(manifest->parts);
	free(manifest->file);
	mistakes_free(&manifest->mistakes);
	*manifest = (struct manifest){ .file = NULL };
}
