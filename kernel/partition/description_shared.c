/* SPDX-License-Identifier: MIT */
#include "description_parts.h"

#include <mullion/bits.h>
#include <string.h>

static uint32_t shared_count(const struct mull_vm *vm)
{
	uint32_t count = 0;

	while (count < MULL_SHARED_MAX && vm->shared[count].name[0])
		count++;
	return count;
}

static bool label_is_good(const char label[MULL_LABEL_MAX])
{
	return check_is_name(label, MULL_LABEL_MAX);
}

/* The one of @vm's first @count that is called @name; NULL: none. */
static const struct mull_shared *find_shared(const struct mull_vm *vm,
					     uint32_t count, const char *name)
{
	for (uint32_t i = 0; i < count; i++)
		if (label_is_good(name) && label_is_good(vm->shared[i].name) &&
		    !memcmp(vm->shared[i].name, name, strlen(name) + 1))
			return &vm->shared[i];
	return NULL;
}

static bool size_is_good(uint64_t size)
{
	return size >= KIB(4) && size <= MULL_SHARED_SIZE_MAX &&
	       (size & (size - 1)) == 0;
}

static void check_one(struct check *check, int vm, uint32_t index)
{
	const struct mull_vm *it = &check->vms[vm];
	const struct mull_shared *shared = &it->shared[index];
	uint64_t size = shared->size;
	const char *unit = check_unit(&size);

	if (!label_is_good(shared->name))
		check_complain(check, vm, MULL_FIELD_SHARED,
			       "a shared memory's name is not 1 to %u of a-z, "
			       "0-9 and -",
			       MULL_LABEL_MAX - 1);
	else if (find_shared(it, index, shared->name))
		check_complain(check, vm, MULL_FIELD_SHARED,
			       "names shared memory \"%s\" twice",
			       shared->name);
	else if (!size_is_good(shared->size))
		check_complain(check, vm, MULL_FIELD_SHARED,
			       "shared memory \"%s\" of %lu %s is not a power "
			       "of two from 4 KiB to 64 MiB",
			       shared->name, size, unit);
	if (shared->reserved || shared->flags & ~(uint32_t)MULL_SHARED_WRITE)
		check_complain(check, vm, MULL_FIELD_FLAGS,
			       "asks of shared memory what this version does "
			       "not know");
}

/* Firmware gives each BAR a place of its own choice, and others that of the
 * memory, which stays where it is. */
static void check_firmware(struct check *check, int vm)
{
	if (check_image_kind(check, check->vms[vm].kernel) ==
	    MULL_IMAGE_FIRMWARE)
		check_complain(check, vm, MULL_FIELD_SHARED,
			       "has firmware, which would put other devices "
			       "where shared memory lies");
}

void check_shared(struct check *check, int vm)
{
	const struct mull_shared *shared = check->vms[vm].shared;
	uint32_t count = shared_count(&check->vms[vm]);

	if (count)
		check_firmware(check, vm);
	for (uint32_t i = 0; i < count; i++)
		check_one(check, vm, i);
	if (check_any_set(&shared[count],
			  (MULL_SHARED_MAX - count) * sizeof *shared))
		check_complain(check, vm, MULL_FIELD_SHARED,
			       "names shared memory behind the end of the "
			       "list");
}

/* What the first VM before @vm that names @shared, too, says of it; NULL. */
static const struct mull_shared *first_of(const struct check *check, int vm,
					  const struct mull_shared *shared,
					  int *first)
{
	for (*first = 0; *first < vm; (*first)++) {
		const struct mull_vm *it = &check->vms[*first];
		const struct mull_shared *found = find_shared(
			it, shared_count(it), shared->name);

		if (found && check_counts(check, *first))
			return found;
	}
	return NULL;
}

void check_sharers(struct check *check, int vm)
{
	const struct mull_vm *it = &check->vms[vm];
	int other;

	for (uint32_t i = 0; i < shared_count(it); i++) {
		const struct mull_shared *mine = &it->shared[i];
		const struct mull_shared *first = first_of(check, vm, mine,
							   &other);

		if (first && first->size != mine->size)
			check_complain(check, vm, MULL_FIELD_SHARED,
				       "shared memory \"%s\" has another size "
				       "than for vm \"%.31s\"",
				       mine->name, check->vms[other].name);
	}
}

uint64_t check_shared_bytes(const struct check *check, int vm)
{
	const struct mull_vm *it = &check->vms[vm];
	uint64_t bytes = 0;
	int other;

	for (uint32_t i = 0; i < shared_count(it); i++)
		if (it->shared[i].size <= MULL_SHARED_SIZE_MAX &&
		    !first_of(check, vm, &it->shared[i], &other))
			bytes += round_up(it->shared[i].size, FRAME_SIZE);
	return bytes;
}

uint64_t mull_memory_needed(const struct mull_vm *vms, size_t vm_count)
{
	const struct mull_limits limits = { .bad_ones_count = true };
	const struct check check = { .vms = vms, .limits = &limits };
	uint64_t sum = 0;

	for (int vm = 0; (size_t)vm < vm_count; vm++)
		sum += mull_vm_memory(&vms[vm]) +
		       check_shared_bytes(&check, vm);
	return sum;
}
