/* SPDX-License-Identifier: MIT */
/* The machine and the hypervisor. */
#include <mullion/bits.h>
#include <string.h>
#include <time.h>

#include "remote.h"
#include "texts.h"

#define PHASES_MAX 256

/* What both sides must agree on, told before it is missed. */
static void compare_versions(const struct mull_info *info)
{
	if (strcmp(info->version, MULL_VERSION) != 0)
		tell("the hypervisor is version %s, mullctl %s", info->version,
		     MULL_VERSION);
	if (info->interface > MULL_INTERFACE)
		tell("the hypervisor knows more commands (interface %u) than "
		     "this mullctl (%d): a newer mullctl would show all",
		     info->interface, MULL_INTERFACE);
	else if (info->interface < MULL_INTERFACE)
		tell("the hypervisor knows fewer commands (interface %u) than "
		     "this mullctl (%d): some verbs will not work",
		     info->interface, MULL_INTERFACE);
}

static void put_date(struct output *output, uint64_t nanoseconds)
{
	time_t seconds = (time_t)(nanoseconds / 1000000000);
	char text[32] = "";
	struct tm date;

	if (nanoseconds && gmtime_r(&seconds, &date))
		strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &date);
	output_text(output, "date", text);
}

static void put_info(struct output *output, const struct mull_info *info)
{
	char hash[65];

	output_text(output, "version", info->version);
	output_text(output, "mullctl", MULL_VERSION);
	output_number(output, "interface", info->interface);
	output_text(output, "virtualization", info->virtualization);
	output_text(output, "features", info->features);
	output_text(output, "processor", info->processor);
	output_text(output, "firmware", info->firmware);
	output_number(output, "cpus", info->cpu_count);
	output_number(output, "service_cpu", info->service_cpu);
	output_number(output, "tsc_khz", info->tsc_khz);
	output_size(output, "memory", info->memory_total);
	output_size(output, "memory_free", info->memory_free);
	output_size(output, "hypervisor_pages", info->pages_used);
	output_number(output, "vms", info->vm_count);
	output_number(output, "events", info->event_count);
	output_size(output, "logged", info->log_position);
	output_time(output, "up", info->time_ns);
	put_date(output, info->wall_clock_ns);
	output_hash(hash, info->package_sha256);
	output_text(output, "package_sha256", hash);
}

static void put_ledger(struct output *output, const struct mull_phase *phases,
		       size_t count)
{
	output_list_begin(output, "phases");
	for (size_t i = 0; i < count; i++) {
		output_row_begin(output);
		output_time(output, "time", phases[i].time_ns);
		output_text(output, "phase", phases[i].words);
		output_row_end(output);
	}
	output_list_end(output);
}

static enum status show_info(struct mull *mull, const struct mull_vm_status *vm,
			     struct output *output)
{
	static struct mull_phase phases[PHASES_MAX];
	struct mull_info info;
	size_t count;
	int error = mull_info(mull, &info);

	(void)vm;
	if (!error)
		error = mull_ledger(mull, phases, PHASES_MAX, &count);
	if (error)
		return remote_status(mull, error);
	put_info(output, &info);
	put_ledger(output, phases, count);
	compare_versions(&info);
	return STATUS_OK;
}

int verb_info(const struct options *options)
{
	return remote_show(options, show_info);
}
