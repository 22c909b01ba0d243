/* SPDX-License-Identifier: MIT */
#include "description_parts.h"

#include <mullion/bits.h>
#include <mullion/memory_disk.h>
#include <stddef.h>

uint64_t mull_vm_memory(const struct mull_vm *vm)
{
	uint64_t sum = vm->memory_size;

	for (size_t i = 0; i < MULL_DISK_MAX; i++)
		sum = sum > UINT64_MAX - vm->disks[i].room ?
			      UINT64_MAX :
			      sum + vm->disks[i].room;
	return sum;
}

static uint64_t whole_frames(uint64_t bytes)
{
	return bytes / FRAME_SIZE + (bytes % FRAME_SIZE != 0);
}

uint64_t mull_disk_room(uint64_t size, uint64_t changes)
{
	uint64_t blocks = size / DISK_BLOCK + 1;
	uint64_t frames = whole_frames(blocks * sizeof(uint32_t)) +
			  whole_frames(changes);

	/* What cannot be counted is not to be had either. */
	return frames > UINT64_MAX / FRAME_SIZE ?
		       UINT64_MAX / FRAME_SIZE * FRAME_SIZE :
		       frames * FRAME_SIZE;
}

/* ---- disks -------------------------------------------------------------- */

static void check_disk_room(struct check *check, int vm, size_t index)
{
	const struct mull_disk *disk = &check->vms[vm].disks[index];
	bool wanted = disk->flags & MULL_DISK_PRIVATE && !disk->overlay[0];
	uint64_t size = disk->room;
	const char *unit;

	if (wanted ? size % FRAME_SIZE == 0 && size >= 2 * FRAME_SIZE : !size)
		return;
	unit = check_unit(&size);
	if (wanted)
		check_complain(check, vm, MULL_FIELD_DISKS,
			       "disk %zu has room for %lu %s of changes, which "
			       "is not a multiple of 2 MiB, at least two",
			       index, size, unit);
	else
		check_complain(check, vm, MULL_FIELD_DISKS,
			       "disk %zu has room for changes, but needs none",
			       index);
}

static void check_memory_disk(struct check *check, int vm, size_t index)
{
	const struct mull_disk *disk = &check->vms[vm].disks[index];
	uint32_t kind = check_image_kind(check, disk->image);

	if (disk->image >= check->image_count)
		check_complain(check, vm, MULL_FIELD_DISKS,
			       "disk %zu has no image", index);
	else if (!kind)
		check_complain(check, vm, MULL_FIELD_DISKS,
			       "the image of disk %zu is damaged", index);
	else if (kind != MULL_IMAGE_DISK)
		check_complain(check, vm, MULL_FIELD_DISKS,
			       "disk %zu is an image of another kind", index);
	if (disk->flags != MULL_DISK_READ_ONLY &&
	    disk->flags != MULL_DISK_PRIVATE)
		check_complain(check, vm, MULL_FIELD_DISKS,
			       "disk %zu is neither read-only nor private",
			       index);
	if (check_any_set(disk->partition, sizeof disk->partition) ||
	    check_any_set(disk->overlay, sizeof disk->overlay))
		check_complain(check, vm, MULL_FIELD_DISKS,
			       "disk %zu is of memory, but names a partition",
			       index);
	check_disk_room(check, vm, index);
}

static void check_disk(struct check *check, int vm, size_t index)
{
	const struct mull_disk *disk = &check->vms[vm].disks[index];

	if (disk->kind != MULL_DISK_MEMORY)
		check_complain(check, vm, MULL_FIELD_DISKS,
			       "disk %zu is of kind %u, which is not known",
			       index, disk->kind);
	else
		check_memory_disk(check, vm, index);
	if (disk->reserved || check_any_set(disk->more, sizeof disk->more))
		check_complain(check, vm, MULL_FIELD_DISKS,
			       "disk %zu asks for something that this version "
			       "does not know",
			       index);
}

static void check_disks(struct check *check, int vm)
{
	const struct mull_disk *disks = check->vms[vm].disks;
	size_t count = 0;

	while (count < MULL_DISK_MAX && disks[count].kind != MULL_DISK_NONE)
		check_disk(check, vm, count++);
	if (check_any_set(&disks[count],
			  (MULL_DISK_MAX - count) * sizeof *disks))
		check_complain(check, vm, MULL_FIELD_DISKS,
			       "there is something behind the last disk");
}

void check_devices(struct check *check, int vm)
{
	check_disks(check, vm);
}
