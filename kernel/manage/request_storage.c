/* SPDX-License-Identifier: MIT */
/* Requests that look at the machine's own disks. */
#include "request.h"
#include "service.h"
#include <mullion/block.h>
#include <mullion/virtio_block.h>
#include <string.h>

static_assert(MULL_MACHINE_DISK_MAX == BLOCK_DEVICES_MAX, "all have a number");

static uint32_t flags_of(const struct block_device *device)
{
	return (device->ready ? MULL_MACHINE_DISK_READY : 0) |
	       (device->dead ? MULL_MACHINE_DISK_DEAD : 0) |
	       (device->read_only ? MULL_MACHINE_DISK_READ_ONLY : 0) |
	       (device->write_cache ? MULL_MACHINE_DISK_CACHED : 0) |
	       (device->interrupts ? 0 : MULL_MACHINE_DISK_POLLED);
}

static void describe_disk(const struct block_device *device, uint32_t number,
			  struct mull_machine_disk *disk)
{
	*disk = (struct mull_machine_disk){
		.number = number,
		.flags = flags_of(device),
		.sector_size = device->sector_size,
		.resets = device->resets,
		.size = device->sector_count * device->sector_size,
		.reads = device->commands[BLOCK_READ],
		.read_bytes = device->bytes[BLOCK_READ],
		.writes = device->commands[BLOCK_WRITE],
		.written_bytes = device->bytes[BLOCK_WRITE],
		.flushes = device->commands[BLOCK_FLUSH],
		.errors = device->errors,
	};
	format_text(disk->name, sizeof disk->name, "%s", device->name);
	format_text(disk->driver, sizeof disk->driver, "%s",
		    device->driver->kind);
	format_text(disk->pci, sizeof disk->pci, "%s", device->pci);
	format_text(disk->model, sizeof disk->model, "%s", device->model);
}

enum error request_machine_disks(const struct asked *asked,
				 struct answer *answer)
{
	uint32_t number = (uint32_t)asked->argument;
	const struct block_device *device;
	struct mull_machine_disk *disk;

	for (; (device = block_device_at(number)); number++) {
		disk = answer_add(answer, sizeof *disk);
		if (!disk) {
			answer->reply.value = number;
			break;
		}
		describe_disk(device, number, disk);
	}
	return ERR_NONE;
}

static bool has(const struct vm *vm, const struct block_partition *partition)
{
	for (uint32_t i = 0; i < MULL_DISK_MAX; i++)
		if (vm->disks[i] && (vm->disks[i]->partition == partition ||
				     vm->disks[i]->changes == partition))
			return true;
	return false;
}

static const char *holder_of(const struct block_partition *partition)
{
	for (uint32_t i = 0; partition->users && i < MULL_VM_MAX; i++) {
		const struct console *console = console_of(i);

		if (console && has(console->vm, partition))
			return console->vm->description.name;
	}
	return "";
}

static uint32_t number_of(const struct block_device *device)
{
	uint32_t number = 0;

	while (block_device_at(number) != device)
		number++;
	return number;
}

static void describe_partition(const struct block_partition *partition,
			       struct mull_partition_status *status)
{
	*status = (struct mull_partition_status){
		.disk = number_of(partition->device),
		.flags = partition->written ? MULL_PARTITION_WRITTEN : 0,
		.users = partition->users,
		.first = partition->first,
		.size = partition->size,
	};
	format_text(status->name, sizeof status->name, "%s", partition->name);
	memcpy(status->guid, partition->guid, sizeof status->guid);
	format_text(status->holder, sizeof status->holder, "%s",
		    holder_of(partition));
	if (partition->refusal)
		format_text(status->words, sizeof status->words, "%s",
			    partition->refusal);
}

enum error request_partitions(const struct asked *asked, struct answer *answer)
{
	uint32_t index = (uint32_t)asked->argument;
	const struct block_partition *partition;
	struct mull_partition_status *status;

	for (; (partition = block_partition_at(index)); index++) {
		status = answer_add(answer, sizeof *status);
		if (!status) {
			answer->reply.value = index;
			break;
		}
		describe_partition(partition, status);
	}
	return ERR_NONE;
}
