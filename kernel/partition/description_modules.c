/* SPDX-License-Identifier: MIT */
#include "description_parts.h"

#include <mullion/log.h>

static bool takes_modules(uint32_t kind)
{
	return kind == MULL_IMAGE_PVH || kind == MULL_IMAGE_MULTIBOOT ||
	       kind == MULL_IMAGE_MULTIBOOT2;
}

static void check_module(struct check *check, int vm, uint32_t index)
{
	const struct mull_module *it = &check->vms[vm].modules[index];
	uint32_t kind = check_image_kind(check, it->image);
	char what[48];

	if (it->image >= check->image_count)
		check_complain(check, vm, MULL_FIELD_MODULES,
			       "module %u is not in the package", index + 1);
	else if (kind != MULL_IMAGE_INITRD)
		check_complain(check, vm, MULL_FIELD_MODULES,
			       kind ? "module %u is an image of another kind" :
				      "module %u's image is damaged",
			       index + 1);
	format_text(what, sizeof what, "the command line of module %u",
		    index + 1);
	check_text(check, vm, MULL_FIELD_MODULES, what, it->words,
		   sizeof it->words);
}

void check_modules(struct check *check, int vm)
{
	const struct mull_vm *it = &check->vms[vm];
	uint32_t kernel = check_image_kind(check, it->kernel);

	if (it->module_count > MULL_MODULE_MAX) {
		check_complain(check, vm, MULL_FIELD_MODULES,
			       "has more than %u modules", MULL_MODULE_MAX);
		return;
	}
	if (it->module_count && kernel && !takes_modules(kernel))
		check_complain(check, vm, MULL_FIELD_MODULES,
			       "modules are of use to a PVH or Multiboot "
			       "kernel only");
	for (uint32_t i = 0; i < it->module_count; i++)
		check_module(check, vm, i);
	if (check_any_set(&it->modules[it->module_count],
			  (MULL_MODULE_MAX - it->module_count) *
				  sizeof it->modules[0]))
		check_complain(check, vm, MULL_FIELD_MODULES,
			       "has something behind its last module");
}
