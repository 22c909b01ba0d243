/* SPDX-License-Identifier: MIT */
#include "description_parts.h"

#include <mullion/bits.h>
#include <mullion/log.h>
#include <stddef.h>
#include <string.h>

/* ---- one run of the checker --------------------------------------------- */

void check_complain(struct check *check, int vm, enum mull_field field,
		    const char *format, ...)
{
	char words[MULL_COMPLAINT_MAX];
	va_list arguments;

	va_start(arguments, format);
	format_text_list(words, sizeof words, format, arguments);
	va_end(arguments);
	check->complain(check->context, vm, field, words);
	check->mistakes++;
	if (vm != MULL_MACHINE_ITSELF)
		check->bad[vm] = true;
}

const char *check_unit(uint64_t *bytes)
{
	static const char *const units[] = { "bytes", "KiB", "MiB", "GiB" };
	size_t unit = 0;

	while (*bytes && *bytes % 1024 == 0 && unit + 1 < ARRAY_COUNT(units)) {
		*bytes /= 1024;
		unit++;
	}
	return units[unit];
}

bool check_any_set(const void *bytes, size_t size)
{
	const uint8_t *at = bytes;

	for (size_t i = 0; i < size; i++)
		if (at[i])
			return true;
	return false;
}

/* ---- the machine -------------------------------------------------------- */

static void check_serial(struct check *check)
{
	const struct mull_machine *machine = check->machine;
	uint32_t baud = machine->serial_baud;

	if (machine->serial_mode > MULL_SERIAL_CHANNEL)
		check_complain(check, MULL_MACHINE_ITSELF, MULL_FIELD_SERIAL,
			       "serial mode %u is not known",
			       machine->serial_mode);
	if (machine->serial_port > 0xfff8 || machine->serial_port % 8)
		check_complain(
			check, MULL_MACHINE_ITSELF, MULL_FIELD_SERIAL,
			"serial port %u is not a multiple of 8 below 65536",
			machine->serial_port);
	/* A 16550 divides 115200; 0 stands for the default. */
	if (baud && 115200 % baud)
		check_complain(
			check, MULL_MACHINE_ITSELF, MULL_FIELD_SERIAL,
			"serial rate %u is not 115200 divided by a whole "
			"number",
			baud);
}

size_t mull_check_machine(const struct mull_machine *machine,
			  const struct mull_limits *limits,
			  mull_complain *on_complaint, void *context)
{
	struct check check = { .machine = machine,
			       .limits = limits,
			       .complain = on_complaint,
			       .context = context };
	const int itself = MULL_MACHINE_ITSELF;
	uint32_t rest = machine->flags & ~(uint32_t)MULL_MACHINE_SHARE_CPUS;
	uint32_t count;

	if (machine->cpu_count > MULL_CPU_MAX)
		check_complain(&check, itself, MULL_FIELD_MACHINE_CPUS,
			       "more than %u CPUs", MULL_CPU_MAX);
	else if (limits->cpu_count && machine->cpu_count > limits->cpu_count)
		check_complain(&check, itself, MULL_FIELD_MACHINE_CPUS,
			       "counts on more CPUs than the %u that are there",
			       limits->cpu_count);
	count = check_processors(&check);
	if (machine->service_cpu >= (count ? count : MULL_CPU_MAX))
		check_complain(
			&check, itself, MULL_FIELD_SERVICE_CPU,
			"there is no CPU %u to serve the management channel",
			machine->service_cpu);
	check_serial(&check);
	if (machine->mitigations > MULL_MITIGATIONS_ALL)
		check_complain(&check, itself, MULL_FIELD_MITIGATIONS,
			       "mitigations %u are not known",
			       machine->mitigations);
	check_uplink(&check);
	check_channel(&check);
	check_schedules(&check);
	rest |= machine->netmask | machine->gateway; /* nothing is routed */
	rest |= check_any_set(machine->reserved, sizeof machine->reserved);
	if (rest)
		check_complain(
			&check, itself, MULL_FIELD_MACHINE_FLAGS,
			"asks for something that this version does not know");
	return check.mistakes;
}

/* ---- one VM by itself --------------------------------------------------- */

bool check_is_name(const char *name, size_t room)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
	const char *end = memchr(name, 0, room);

	if (!end || end == name)
		return false;
	for (const char *at = name; at < end; at++)
		if (!memchr(allowed, *at, sizeof allowed - 1))
			return false;
	return true;
}

static bool name_is_good(const char name[MULL_NAME_MAX])
{
	return check_is_name(name, MULL_NAME_MAX);
}

static void check_name(struct check *check, int vm)
{
	if (!name_is_good(check->vms[vm].name))
		check_complain(check, vm, MULL_FIELD_NAME,
			       "the name is not 1 to %u of a-z, 0-9 and -",
			       MULL_NAME_MAX - 1);
}

static void check_elastic(struct check *check, int vm)
{
	const struct mull_vm *it = &check->vms[vm];
	uint64_t most = it->memory_size / FRAME_SIZE;

	if (!(it->flags & MULL_VM_ELASTIC)) {
		if (it->memory_least)
			check_complain(check, vm, MULL_FIELD_MEMORY,
				       "has a least memory, but no balloon "
				       "that could take any");
	} else if (!it->memory_least || it->memory_least > most) {
		check_complain(check, vm, MULL_FIELD_MEMORY,
			       "the least of its memory, %u times 2 MiB, is "
			       "none or more than all of it",
			       it->memory_least);
	} else if (it->memory_size > MULL_ELASTIC_MAX) {
		check_complain(check, vm, MULL_FIELD_MEMORY,
			       "elastic memory has 64 GiB at most");
	}
}

static void check_memory(struct check *check, int vm)
{
	uint64_t size = check->vms[vm].memory_size;
	const char *unit;

	check_elastic(check, vm);
	if (size && size % FRAME_SIZE == 0)
		return;
	unit = check_unit(&size);
	check_complain(
		check, vm, MULL_FIELD_MEMORY,
		"memory of %lu %s is not a multiple of 2 MiB, at least one",
		size, unit);
}

uint32_t check_image_kind(const struct check *check, uint32_t index)
{
	return index < check->image_count ? check->image_kinds[index] : 0;
}

static bool is_kernel(uint32_t kind)
{
	return kind == MULL_IMAGE_BZIMAGE || kind == MULL_IMAGE_ELF64 ||
	       kind == MULL_IMAGE_PVH || kind == MULL_IMAGE_MULTIBOOT ||
	       kind == MULL_IMAGE_MULTIBOOT2 || kind == MULL_IMAGE_FIRMWARE;
}

static void check_images(struct check *check, int vm)
{
	const struct mull_vm *it = &check->vms[vm];
	uint32_t kernel = check_image_kind(check, it->kernel);

	if (it->kernel >= check->image_count)
		check_complain(check, vm, MULL_FIELD_KERNEL, "has no kernel");
	else if (!kernel)
		check_complain(check, vm, MULL_FIELD_KERNEL,
			       "the kernel's image is damaged");
	else if (kernel == MULL_IMAGE_FIRMWARE &&
		 !(it->flags & MULL_VM_PLATFORM_PC))
		check_complain(check, vm, MULL_FIELD_KERNEL,
			       "firmware needs the platform pc");
	else if (!is_kernel(kernel))
		check_complain(
			check, vm, MULL_FIELD_KERNEL,
			"the kernel is neither a Linux bzImage nor a PVH, "
			"Multiboot or ELF64 image");
	if (it->initrd == MULL_NO_IMAGE)
		return;
	if (it->initrd >= check->image_count)
		check_complain(check, vm, MULL_FIELD_INITRD,
			       "the initrd is not in the package");
	else if (check_image_kind(check, it->initrd) != MULL_IMAGE_INITRD)
		check_complain(
			check, vm, MULL_FIELD_INITRD,
			check_image_kind(check, it->initrd) ?
				"the initrd is an image of another kind" :
				"the initrd's image is damaged");
	if (kernel == MULL_IMAGE_ELF64)
		check_complain(
			check, vm, MULL_FIELD_INITRD,
			"an initrd is of no use to a guest of Mullion's own");
	if (kernel == MULL_IMAGE_FIRMWARE)
		check_complain(check, vm, MULL_FIELD_INITRD,
			       "an initrd is of no use to firmware");
}

void check_text(struct check *check, int vm, enum mull_field field,
		const char *what, const char *text, size_t room)
{
	const char *end = memchr(text, 0, room);

	if (!end) {
		check_complain(check, vm, field, "%s is longer than %u bytes",
			       what, (unsigned)room - 1);
		return;
	}
	for (; text < end; text++) {
		if ((uint8_t)*text >= ' ' || *text == '\t')
			continue;
		check_complain(check, vm, field,
			       "%s holds control character %u", what,
			       (uint8_t)*text);
		return;
	}
}

static void check_command_line(struct check *check, int vm)
{
	check_text(check, vm, MULL_FIELD_COMMAND_LINE, "the command line",
		   check->vms[vm].command_line, MULL_COMMAND_LINE_MAX);
}

static void check_policy(struct check *check, int vm, uint32_t policy,
			 const char *word)
{
	if (policy != MULL_END_STOP && policy != MULL_END_RESTART)
		check_complain(check, vm, MULL_FIELD_POLICY,
			       "%s is neither stop nor restart", word);
}

static void check_console(struct check *check, int vm)
{
	uint64_t size = check->vms[vm].console_size;
	const char *unit;

	if (size >= KIB(4) && size <= MULL_CONSOLE_MAX &&
	    (size & (size - 1)) == 0)
		return;
	unit = check_unit(&size);
	check_complain(
		check, vm, MULL_FIELD_CONSOLE,
		"console of %lu %s is not a power of two from 4 KiB to 2 MiB",
		size, unit);
}

static void check_watchdog(struct check *check, int vm)
{
	uint32_t seconds = check->vms[vm].watchdog;

	if (seconds > MULL_WATCHDOG_MAX)
		check_complain(check, vm, MULL_FIELD_WATCHDOG,
			       "a watchdog of %u s waits longer than %u s",
			       seconds, MULL_WATCHDOG_MAX);
}

static void check_unknown(struct check *check, int vm)
{
	const struct mull_vm *it = &check->vms[vm];
	const uint32_t known = MULL_VM_AUTOSTART | MULL_VM_PLATFORM_PC |
			       MULL_VM_ELASTIC | MULL_VM_EMULATED_APIC;
	uint32_t rest = it->flags & ~known;

	rest |= it->reserved;
	if (rest)
		check_complain(
			check, vm, MULL_FIELD_FLAGS,
			"asks for something that this version does not know");
}

/* ---- VMs against each other --------------------------------------------- */

bool check_counts(const struct check *check, int other)
{
	return check->limits->bad_ones_count || !check->bad[other];
}

static bool name_is_taken(const struct check *check, int vm)
{
	const char *name = check->vms[vm].name;
	size_t size;

	if (!name_is_good(name))
		return false;
	size = strlen(name) + 1;
	for (int other = 0; other < vm; other++)
		if (check_counts(check, other) &&
		    !memcmp(name, check->vms[other].name, size))
			return true;
	return false;
}

static void check_overlaps(struct check *check, int vm)
{
	if (name_is_taken(check, vm))
		check_complain(check, vm, MULL_FIELD_NAME,
			       "another VM has this name already");
	check_cpu_overlaps(check, vm);
}

static void check_room(struct check *check, int vm, uint64_t *left)
{
	uint64_t size = mull_vm_memory(&check->vms[vm]), rest = *left;
	const char *unit, *rest_unit;

	/* Its frames are counted by 32 bits, also where nobody knows how many
	 * there are. */
	if (size / FRAME_SIZE > UINT32_MAX) {
		check_complain(check, vm, MULL_FIELD_MEMORY,
			       "needs more memory than there can be");
		return;
	}
	if (!check->limits->memory_free || !check_counts(check, vm))
		return;
	if (size <= UINT64_MAX - MULL_SHARED_MAX * MULL_SHARED_SIZE_MAX)
		size += check_shared_bytes(check, vm);
	if (size <= *left) {
		*left -= size;
		return;
	}
	unit = check_unit(&size);
	rest_unit = check_unit(&rest);
	check_complain(
		check, vm, MULL_FIELD_MEMORY,
		"needs %lu %s of memory, but only %lu %s are left for it", size,
		unit, rest, rest_unit);
}

size_t mull_check_vms(const struct mull_machine *machine,
		      const struct mull_vm *vms, size_t vm_count,
		      const uint32_t *image_kinds, size_t image_count,
		      const struct mull_limits *limits, bool *bad,
		      mull_complain *on_complaint, void *context)
{
	struct check check = { .machine = machine,
			       .vms = vms,
			       .image_kinds = image_kinds,
			       .image_count = image_count,
			       .limits = limits,
			       .bad = bad,
			       .complain = on_complaint,
			       .context = context };
	uint64_t left = limits->memory_free;

	check_cache_begin(&check, vm_count);
	for (int vm = 0; (size_t)vm < vm_count; vm++) {
		if (bad[vm])
			continue;
		check_name(&check, vm);
		check_memory(&check, vm);
		check_cpus(&check, vm);
		check_slots(&check, vm);
		check_images(&check, vm);
		check_command_line(&check, vm);
		check_modules(&check, vm);
		check_policy(&check, vm, vms[vm].on_poweroff, "on-poweroff");
		check_policy(&check, vm, vms[vm].on_reset, "on-reset");
		check_policy(&check, vm, vms[vm].on_crash, "on-crash");
		check_console(&check, vm);
		check_devices(&check, vm);
		check_shared(&check, vm);
		check_watchdog(&check, vm);
		check_networks(&check, vm);
		check_vsock(&check, vm);
		check_unknown(&check, vm);
		check_overlaps(&check, vm);
		check_sharers(&check, vm);
		check_cache(&check, vm);
		check_room(&check, vm, &left);
		check_cache_end(&check, vm);
	}
	return check.mistakes;
}
