/* SPDX-License-Identifier: MIT */
#include "run_plan.h"

#include <errno.h>
#include <mullion/bits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "boot_disk.h"
#include "pack.h"
#include "texts.h"
#include "work.h"

/* For the hypervisor and the firmware, beside the VMs and the package. */
#define MEMORY_BESIDE MIB(256)
#define MEMORY_MIN MIB(512)

/* ---- values of options -------------------------------------------------- */

/* Leaves *@number as it is when the option is not given. */
static bool number_option(const struct options *options, enum option_id id,
			  const char *name, uint32_t most, uint32_t *number)
{
	const char *text = options->text[id];
	uint64_t value;

	if (!text)
		return true;
	if (texts_to_number(text, &value) && value && value <= most) {
		*number = (uint32_t)value;
		return true;
	}
	tell("--%s is a number from 1 to %u, not \"%s\"", name, most, text);
	return false;
}

static bool size_option(const struct options *options, enum option_id id,
			const char *name, uint64_t *size)
{
	const char *text = options->text[id];

	if (!text || (texts_to_size(text, size) && *size))
		return true;
	tell("--%s is a size such as 512MiB, not \"%s\"", name, text);
	return false;
}

/* Whether the option is @other, or @standard or not given. */
static bool choice_option(const struct options *options, enum option_id id,
			  const char *name, const char *standard,
			  const char *other, bool *is_other)
{
	const char *text = options->text[id];

	*is_other = text && !strcmp(text, other);
	if (!text || *is_other || !strcmp(text, standard))
		return true;
	tell("--%s is %s or %s, not \"%s\"", name, standard, other, text);
	return false;
}

/* ---- the manifest of --kernel ------------------------------------------- */

static bool fits(char *to, const char *from, size_t room, const char *name)
{
	if (strlen(from) >= room) {
		tell("--%s is longer than %zu bytes", name, room - 1);
		return false;
	}
	strcpy(to, from);
	return true;
}

static char *copy_or_null(const char *text)
{
	return text ? texts_format("%s", text) : NULL;
}

/* One VM on CPUs 0 to N-1. */
static bool manifest_of_options(struct manifest *manifest,
				const struct options *options)
{
	const char *line = options->text[OPTION_CMDLINE];
	struct mull_vm *vm = &manifest->vms[0];
	struct manifest_files files = {
		.kernel = copy_or_null(options->text[OPTION_KERNEL]),
		.initrd = copy_or_null(options->text[OPTION_INITRD]),
	};

	*manifest = (struct manifest){ .machine = manifest_default_machine,
				       .vm_count = 1 };
	*vm = manifest_default_vm;
	strcpy(vm->name, "guest");
	vm->memory_size = MIB(512);
	vm->vcpu_count = 1;
	manifest_add_files(manifest, 0, &files);
	if (vm->kernel != MULL_NO_IMAGE &&
	    manifest->images[vm->kernel].kind == MULL_IMAGE_BZIMAGE) {
		strcpy(vm->name, "linux");
		line = line ? line : "console=ttyS0";
	}
	if (!number_option(options, OPTION_CPUS, "cpus", MULL_VCPU_MAX,
			   &vm->vcpu_count) ||
	    !size_option(options, OPTION_MEMORY, "memory", &vm->memory_size) ||
	    !fits(vm->command_line, line ? line : "", MULL_COMMAND_LINE_MAX,
		  "cmdline"))
		return false;
	for (uint32_t i = 0; i < vm->vcpu_count; i++)
		vm->cpus[i] = (uint16_t)i;
	manifest_check(manifest);
	return true;
}

static bool has_manifest(struct run_plan *plan, const struct options *options)
{
	static const enum option_id of_kernel[] = {
		OPTION_INITRD, OPTION_CMDLINE, OPTION_MEMORY, OPTION_CPUS
	};
	const char *kernel = options->text[OPTION_KERNEL];

	if (!kernel == !options->operand) {
		tell("run needs either a MANIFEST or --kernel FILE");
		return false;
	}
	if (kernel)
		return manifest_of_options(&plan->manifest, options);
	for (size_t i = 0; i < ARRAY_COUNT(of_kernel); i++) {
		if (!options->text[of_kernel[i]])
			continue;
		tell("--initrd, --cmdline, --memory and --cpus belong to "
		     "--kernel; with a manifest they stand in it");
		return false;
	}
	manifest_read(&plan->manifest, options->operand);
	return true;
}

/* ---- the plan ----------------------------------------------------------- */

static bool take_flags(struct run_plan *plan, const struct options *options)
{
	const char *const *text = options->text;
	uint32_t timeout = 0;

	if (!choice_option(options, OPTION_EMULATOR, "emulator", "qemu",
			   "bochs", &plan->bochs) ||
	    !choice_option(options, OPTION_ACCEL, "accel", "tcg", "kvm",
			   &plan->kvm) ||
	    !number_option(options, OPTION_TIMEOUT, "timeout", 1000000,
			   &timeout))
		return false;
	plan->timeout = timeout;
	plan->deterministic = text[OPTION_DETERMINISTIC];
	plan->no_reboot = text[OPTION_NO_REBOOT];
	plan->gdb = text[OPTION_GDB];
	plan->verbose = text[OPTION_VERBOSE];
	plan->serial = text[OPTION_SERIAL];
	plan->listen = text[OPTION_LISTEN];
	plan->qemu = text[OPTION_QEMU] ? text[OPTION_QEMU] :
					 getenv("MULLCTL_QEMU");
	if (!plan->qemu || !*plan->qemu)
		plan->qemu = "qemu-system-x86_64";
	plan->qemu_args = &options->qemu_args;
	plan->disks = &options->disks;
	plan->nics = &options->nics;
	if (plan->bochs && (plan->kvm || plan->gdb || plan->qemu_args->count ||
			    plan->disks->count || plan->nics->count)) {
		tell("--accel, --gdb, --disk, --nic and --qemu-arg are for "
		     "qemu only");
		return false;
	}
	if (plan->kvm && plan->deterministic) {
		tell("--deterministic needs --accel tcg");
		return false;
	}
	return true;
}

static uint64_t default_memory(const struct manifest *manifest)
{
	uint64_t memory = manifest_memory(manifest) + pack_size(manifest) +
			  MEMORY_BESIDE;

	if (memory < MEMORY_MIN)
		memory = MEMORY_MIN;
	return manifest->machine.memory_size > memory ?
		       manifest->machine.memory_size :
		       memory;
}

static bool take_machine(struct run_plan *plan, const struct options *options)
{
	uint32_t needed = manifest_cpus_needed(&plan->manifest);

	plan->cpus = needed;
	plan->memory = default_memory(&plan->manifest);
	if (!number_option(options, OPTION_SMP, "smp", MULL_CPU_MAX,
			   &plan->cpus) ||
	    !size_option(options, OPTION_MACHINE_MEMORY, "machine-memory",
			 &plan->memory))
		return false;
	plan->memory = round_up(plan->memory, MIB(1));
	/* Fewer than needed is allowed: the hypervisor's refusal can be seen
	 * that way. */
	if (plan->cpus < needed)
		tell("the machine has %u CPUs, but the VMs need %u", plan->cpus,
		     needed);
	return true;
}

/* What a run decides, whatever the manifest says for a real machine. */
static void adapt(struct run_plan *plan)
{
	plan->manifest.machine.serial_mode = MULL_SERIAL_CHANNEL;
	plan->manifest.machine.serial_port = 0x3f8;
	plan->manifest.machine.serial_baud = 115200;
	for (size_t i = 0; plan->no_reboot && i < plan->manifest.vm_count; i++)
		plan->manifest.vms[i].on_reset = MULL_END_STOP;
}

enum status run_plan_make(struct run_plan *plan, const struct options *options)
{
	*plan = (struct run_plan){ .disk = NULL };
	if (!take_flags(plan, options) || !has_manifest(plan, options))
		return STATUS_MISTAKE;
	if (plan->manifest.mistakes.count) {
		mistakes_print(&plan->manifest.mistakes, plan->manifest.file,
			       stderr);
		return STATUS_MISTAKE;
	}
	if (!take_machine(plan, options))
		return STATUS_MISTAKE;
	adapt(plan);
	return STATUS_OK;
}

enum status run_plan_pack(struct run_plan *plan, const struct options *options)
{
	char *efi = boot_disk_efi(options->text[OPTION_EFI]);
	enum status status;

	if (!efi)
		return STATUS_HOST;
	plan->folder = options->text[OPTION_KEEP];
	if (!plan->folder)
		plan->folder = work_folder();
	else if (mkdir(plan->folder, 0777) && errno != EEXIST) {
		tell("%s: %s", plan->folder, strerror(errno));
		plan->folder = NULL;
	}
	status = STATUS_HOST;
	if (plan->folder) {
		plan->disk = texts_format("%s/disk.img", plan->folder);
		status = boot_disk_image(&plan->manifest, efi, plan->disk,
					 DISK_FAT);
	}
	free(efi);
	return status;
}

void run_plan_free(struct run_plan *plan)
{
	manifest_free(&plan->manifest);
	free(plan->disk);
}
