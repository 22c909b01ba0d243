/* SPDX-License-Identifier: MIT */
/* Verbs that show the disks and network devices of a VM. */
#include <stdio.h>

#include "put_devices.h"
#include "remote.h"

/* ---- disks -------------------------------------------------------------- */

static const char *state_word(uint32_t state)
{
	switch (state) {
	case MULL_DISK_PRESENT:
		return "present";
	case MULL_DISK_COMING:
		return "coming";
	case MULL_DISK_GOING:
		return "going";
	case MULL_DISK_FAILED:
		return "failed";
	}
	return "unknown";
}

void remote_put_medium(struct output *output, const struct mull_disk *disk)
{
	bool partition = disk->kind == MULL_DISK_PARTITION;
	char text[2 * MULL_PARTITION_MAX + 16];

	if (output->form == OUTPUT_TABLE) {
		if (partition)
			snprintf(text, sizeof text, "partition %.*s%s%.*s",
				 MULL_PARTITION_MAX, disk->partition,
				 disk->overlay[0] ? " + " : "",
				 MULL_PARTITION_MAX, disk->overlay);
		else
			snprintf(text, sizeof text, "image %u", disk->image);
		output_text(output, "medium", text);
	} else if (partition) {
		output_text(output, "partition", disk->partition);
		if (disk->overlay[0])
			output_text(output, "overlay", disk->overlay);
	} else {
		output_number(output, "image", disk->image);
	}
	output_text(output, "access",
		    disk->flags & MULL_DISK_READ_ONLY ? "read-only" :
		    disk->flags & MULL_DISK_PRIVATE   ? "private" :
							"read-write");
}

void remote_put_disk(struct output *output, const struct mull_disk_status *it)
{
	output_number(output, "disk", it->number);
	output_text(output, "state", state_word(it->state));
	remote_put_medium(output, &it->disk);
	output_size(output, "size", it->size);
	output_size(output, "room", it->room * 4096);
	output_size(output, "used", it->used * 4096);
	output_size(output, "read", it->read_sectors * 512);
	output_size(output, "written", it->written_sectors * 512);
	output_text(output, "reason", it->words);
}

static enum status show_disks(struct mull *mull,
			      const struct mull_vm_status *vm,
			      struct output *output)
{
	struct mull_disk_status disks[MULL_DISK_MAX];
	size_t count;
	int error = mull_disks(mull, vm->number, disks, &count);

	if (error)
		return remote_status(mull, error);
	output_list_begin(output, "disks");
	for (size_t i = 0; i < count; i++) {
		output_row_begin(output);
		remote_put_disk(output, &disks[i]);
		output_row_end(output);
	}
	output_list_end(output);
	return STATUS_OK;
}

int verb_disks(const struct options *options)
{
	return remote_show(options, show_disks);
}

/* ---- network devices ----------------------------------------------------- */

void remote_put_port(struct output *output, const struct mull_nic *nic)
{
	char rate[24] = "any";

	output_text(output, "switch", nic->network);
	put_mac(output, nic->mac);
	if (output->form != OUTPUT_TABLE) {
		output_number(output, "rate_kbit", nic->rate);
		return;
	}
	if (nic->rate)
		snprintf(rate, sizeof rate, "%u kbit/s", nic->rate);
	output_text(output, "rate", rate);
}

void remote_put_nic(struct output *output, const struct mull_vm_nic_status *it)
{
	output_number(output, "nic", it->number);
	output_text(output, "state", state_word(it->state));
	remote_put_port(output, &it->nic);
	output_text(output, "reason", it->words);
}

static enum status show_nics(struct mull *mull, const struct mull_vm_status *vm,
			     struct output *output)
{
	struct mull_vm_nic_status nics[MULL_NIC_MAX];
	size_t count;
	int error = mull_vm_nics(mull, vm->number, nics, &count);

	if (error)
		return remote_status(mull, error);
	output_list_begin(output, "nics");
	for (size_t i = 0; i < count; i++) {
		output_row_begin(output);
		remote_put_nic(output, &nics[i]);
		output_row_end(output);
	}
	output_list_end(output);
	return STATUS_OK;
}

int verb_nics(const struct options *options)
{
	return remote_show(options, show_nics);
}
