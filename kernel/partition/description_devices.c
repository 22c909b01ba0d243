/* SPDX-License-Identifier: MIT */
#include "description_parts.h"

#include <mullion/bits.h>
#include <mullion/memory_disk.h>
#include <stddef.h>
#include <string.h>

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

void mull_close_up_disks(struct mull_vm *vm)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < MULL_DISK_MAX; i++)
		if (vm->disks[i].kind != MULL_DISK_NONE)
			vm->disks[count++] = vm->disks[i];
	memset(&vm->disks[count], 0,
	       (MULL_DISK_MAX - count) * sizeof *vm->disks);
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

static bool is_name(const char *name)
{
	const char *end = memchr(name, 0, MULL_PARTITION_MAX);

	for (const char *at = name; end && at < end; at++)
		if (*at < ' ' || *at > '~')
			return false;
	return end && end > name;
}

static void check_partition(struct check *check, int vm, size_t index)
{
	const struct mull_disk *disk = &check->vms[vm].disks[index];

	if (!is_name(disk->partition))
		check_complain(check, vm, MULL_FIELD_DISKS,
			       "the partition of disk %zu has no name of 1 to "
			       "%u printable characters",
			       index, MULL_PARTITION_MAX - 1);
	if ((disk->flags && disk->flags != MULL_DISK_READ_ONLY &&
	     disk->flags != MULL_DISK_PRIVATE) ||
	    disk->image)
		check_complain(check, vm, MULL_FIELD_DISKS,
			       "disk %zu is a partition, and can only be "
			       "read-write, read-only or private",
			       index);
	if (!check_any_set(disk->overlay, sizeof disk->overlay))
		;
	else if (disk->flags != MULL_DISK_PRIVATE)
		check_complain(check, vm, MULL_FIELD_DISKS,
			       "disk %zu has an overlay, but is not private",
			       index);
	else if (!is_name(disk->overlay))
		check_complain(check, vm, MULL_FIELD_DISKS,
			       "the overlay of disk %zu has no name of 1 to %u "
			       "printable characters",
			       index, MULL_PARTITION_MAX - 1);
	check_disk_room(check, vm, index);
}

/* What a disk does with the partition @name. */
enum use {
	USE_NONE,
	USE_READ,
	USE_WRITE,
};

/* @name is a good one; @field is one of a disk's. */
static bool is_named(const char *field, const char *name)
{
	return memcmp(field, name, strlen(name) + 1) == 0;
}

static enum use use_of(const struct mull_disk *disk, const char *name)
{
	if (disk->kind != MULL_DISK_PARTITION)
		return USE_NONE;
	if (is_named(disk->overlay, name))
		return USE_WRITE;
	if (!is_named(disk->partition, name))
		return USE_NONE;
	return disk->flags & (MULL_DISK_READ_ONLY | MULL_DISK_PRIVATE) ?
		       USE_READ :
		       USE_WRITE;
}

/* A partition that one VM writes is nobody else's. */
static void check_owner(struct check *check, int vm, size_t index, int other,
			const char *name)
{
	const struct mull_disk *disk = &check->vms[vm].disks[index];

	for (size_t i = 0; i < MULL_DISK_MAX; i++) {
		enum use its = use_of(&check->vms[other].disks[i], name);

		if ((other == vm && i >= index) || its == USE_NONE ||
		    (its == USE_READ && use_of(disk, name) == USE_READ))
			continue;
		check_complain(check, vm, MULL_FIELD_DISKS,
			       "disk %zu is partition \"%s\", which %s \"%s\" "
			       "has, too, and one of them writes it",
			       index, name, other == vm ? "the same vm" : "vm",
			       check->vms[other].name);
		return;
	}
}

static void check_name(struct check *check, int vm, size_t index,
		       const char *name)
{
	if (!is_name(name))
		return;
	for (int other = 0; other <= vm; other++)
		if ((other == vm || check_counts(check, other)) &&
		    memchr(check->vms[other].name, 0, MULL_NAME_MAX))
			check_owner(check, vm, index, other, name);
}

static void check_owners(struct check *check, int vm)
{
	for (size_t i = 0; i < MULL_DISK_MAX; i++) {
		const struct mull_disk *disk = &check->vms[vm].disks[i];

		if (disk->kind != MULL_DISK_PARTITION)
			continue;
		check_name(check, vm, i, disk->partition);
		check_name(check, vm, i, disk->overlay);
		if (is_name(disk->overlay) &&
		    is_named(disk->partition, disk->overlay))
			check_complain(check, vm, MULL_FIELD_DISKS,
				       "disk %zu has its base \"%s\" as its "
				       "overlay, too",
				       i, disk->partition);
	}
}

static void check_disk(struct check *check, int vm, size_t index)
{
	const struct mull_disk *disk = &check->vms[vm].disks[index];

	if (disk->kind == MULL_DISK_PARTITION)
		check_partition(check, vm, index);
	else if (disk->kind != MULL_DISK_MEMORY)
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
	check_owners(check, vm);
}

void check_devices(struct check *check, int vm)
{
	check_disks(check, vm);
}
