/* SPDX-License-Identifier: MIT */
/* The machine and the hypervisor. */
#include <mullion/bits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "config.h"
#include "put_devices.h"
#include "put_storage.h"
#include "remote.h"
#include "texts.h"

#define PHASES_MAX 256

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
	error = put_machine_disks(mull, output);
	if (!error)
		error = put_nics(mull, output);
	if (error)
		return remote_status(mull, error);
	remote_compare(&info);
	return STATUS_OK;
}

int verb_info(const struct options *options)
{
	return remote_show(options, show_info);
}

/* Plain words, as programs print them. */
int verb_version(const struct options *options)
{
	char *address = config_address(options, true);
	enum status status = STATUS_OK;
	struct mull_info info;
	struct mull *mull;

	printf("mullctl %s\n", MULL_VERSION);
	if (!address)
		return STATUS_OK;
	free(address);
	mull = remote_open(options, NULL, &status);
	if (!mull)
		return status;
	status = remote_status(mull, mull_info(mull, &info));
	if (status == STATUS_OK) {
		printf("hypervisor %s\n", info.version);
		remote_compare(&info);
	}
	mull_close(mull);
	return status;
}
