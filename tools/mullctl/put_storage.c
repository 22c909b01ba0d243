/* SPDX-License-Identifier: MIT */
/* The machine's own disks, for `mullctl info` and `mullctl stats`. */
#include "put_storage.h"

#include <stdio.h>

/* Asks for all; @count is 0 where an older hypervisor does not know of them. */
static int ask_disks(struct mull *mull,
		     struct mull_machine_disk disks[MULL_MACHINE_DISK_MAX],
		     size_t *count)
{
	int error = mull_machine_disks(mull, disks, count);

	return error == ERR_UNSUPPORTED ? MULL_OK : error;
}

static const char *state_word(uint32_t flags)
{
	return flags & MULL_MACHINE_DISK_DEAD  ? "given up" :
	       flags & MULL_MACHINE_DISK_READY ? "ready" :
						 "resets";
}

static void put_disk(struct output *output,
		     const struct mull_machine_disk *disk)
{
	output_row_begin(output);
	output_text(output, "disk", disk->name);
	output_text(output, "driver", disk->driver);
	output_text(output, "model", disk->model);
	output_text(output, "pci", disk->pci);
	output_size(output, "size", disk->size);
	output_size(output, "sector", disk->sector_size);
	output_text(output, "state", state_word(disk->flags));
	output_yes(output, "read_only",
		   disk->flags & MULL_MACHINE_DISK_READ_ONLY);
	output_yes(output, "write_cache",
		   disk->flags & MULL_MACHINE_DISK_CACHED);
	output_yes(output, "interrupts",
		   !(disk->flags & MULL_MACHINE_DISK_POLLED));
	output_row_end(output);
}

/* As sgdisk prints it; people see the first part. */
static void put_guid(struct output *output, const uint8_t *guid)
{
	char text[37];

	snprintf(text, sizeof text,
		 "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-"
		 "%02x%02x%02x%02x%02x%02x",
		 guid[3], guid[2], guid[1], guid[0], guid[5], guid[4], guid[7],
		 guid[6], guid[8], guid[9], guid[10], guid[11], guid[12],
		 guid[13], guid[14], guid[15]);
	if (output->form == OUTPUT_TABLE)
		text[8] = 0;
	output_text(output, "guid", text);
}

static const char *disk_name(const struct mull_machine_disk *disks,
			     size_t count, uint32_t number)
{
	return number < count ? disks[number].name : "";
}

static void put_partition(struct output *output, const char *disk,
			  const struct mull_partition_status *it)
{
	output_row_begin(output);
	output_text(output, "partition", it->name);
	output_text(output, "disk", disk);
	put_guid(output, it->guid);
	output_number(output, "first_sector", it->first);
	output_size(output, "size", it->size);
	output_text(output, "held_by", it->holder);
	output_number(output, "users", it->users);
	output_text(output, "access",
		    !it->users			       ? "" :
		    it->flags & MULL_PARTITION_WRITTEN ? "write" :
							 "read");
	output_text(output, "unusable", it->words);
	output_row_end(output);
}

int put_machine_disks(struct mull *mull, struct output *output)
{
	static struct mull_partition_status
		partitions[MULL_MACHINE_PARTITION_MAX];
	struct mull_machine_disk disks[MULL_MACHINE_DISK_MAX];
	size_t count, partition_count;
	int error = ask_disks(mull, disks, &count);

	if (error || !count)
		return error;
	error = mull_partitions(mull, partitions, &partition_count);
	if (error)
		return error;
	output_list_begin(output, "disks");
	for (size_t i = 0; i < count; i++)
		put_disk(output, &disks[i]);
	output_list_end(output);
	output_list_begin(output, "partitions");
	for (size_t i = 0; i < partition_count; i++)
		put_partition(output,
			      disk_name(disks, count, partitions[i].disk),
			      &partitions[i]);
	output_list_end(output);
	return MULL_OK;
}

int put_disk_counts(struct mull *mull, struct output *output)
{
	struct mull_machine_disk disks[MULL_MACHINE_DISK_MAX];
	size_t count;
	int error = ask_disks(mull, disks, &count);

	if (error || !count)
		return error;
	output_list_begin(output, "disks");
	for (size_t i = 0; i < count; i++) {
		output_row_begin(output);
		output_text(output, "disk", disks[i].name);
		output_number(output, "reads", disks[i].reads);
		output_size(output, "read", disks[i].read_bytes);
		output_number(output, "writes", disks[i].writes);
		output_size(output, "written", disks[i].written_bytes);
		output_number(output, "flushes", disks[i].flushes);
		output_number(output, "errors", disks[i].errors);
		output_number(output, "resets", disks[i].resets);
		output_row_end(output);
	}
	output_list_end(output);
	return MULL_OK;
}
