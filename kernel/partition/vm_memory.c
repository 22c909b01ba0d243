/* SPDX-License-Identifier: MIT */
#include "vm_memory.h"
#include <mullion/balloon.h>
#include <mullion/bits.h>
#include <mullion/frame_pool.h>
#include <mullion/images.h>
#include <mullion/log.h>
#include <mullion/shared_port.h>
#include <mullion/virtio_block.h>

#define GIB_FRAMES 512

static frame_owner owner_of(const struct vm *vm)
{
	return FRAME_VM + vm->index;
}

static void add_region(struct vm *vm, uint64_t start, uint64_t size,
		       uint64_t *given)
{
	struct guest_memory *memory = &vm->memory;

	if (size)
		memory->regions[memory->region_count++] = (struct guest_region){
			.start = gpa(start),
			.size = size,
			.frames = vm->frames + *given / FRAME_SIZE
		};
	*given += size;
}

/* What firmware lies in is of the VM's memory as well. */
void vm_memory_lay_out(struct vm *vm)
{
	const struct load_image kernel = image_find(vm->description.kernel);
	uint64_t size = vm->description.memory_size;
	uint64_t rom = image_firmware_room(&kernel), given = 0;
	uint64_t end = rom ? MULL_GUEST_PC_ECAM : MULL_GUEST_MMIO_START;

	if (rom >= size) /* the load will say so */
		rom = 0;
	size -= rom;
	vm->memory.elastic = vm->description.flags & MULL_VM_ELASTIC;
	vm->memory_low = size < end ? size : end;
	vm->memory_high = size - vm->memory_low;
	add_region(vm, 0, vm->memory_low, &given);
	add_region(vm, GIB(4), vm->memory_high, &given);
	add_region(vm, GIB(4) - rom, rom, &given);
}

bool vm_memory_index(const struct vm *vm, gpa_t at, uint32_t *index)
{
	for (uint32_t i = 0; i < vm->memory.region_count; i++) {
		const struct guest_region *region = &vm->memory.regions[i];
		uint64_t offset = at.value - region->start.value;

		if (offset >= region->size)
			continue;
		*index = (uint32_t)(region->frames - vm->frames +
				    offset / FRAME_SIZE);
		return true;
	}
	return false;
}

gpa_t vm_memory_address(const struct vm *vm, uint32_t index)
{
	for (uint32_t i = 0; i < vm->memory.region_count; i++) {
		const struct guest_region *region = &vm->memory.regions[i];
		uint64_t within = index - (region->frames - vm->frames);

		if (within < region->size / FRAME_SIZE)
			return gpa(region->start.value + within * FRAME_SIZE);
	}
	panic("vm_memory: %s has no frame %u", vm->description.name, index);
}

/* 1 GiB at once where it can be had, so that it is mapped by one entry. */
static uint32_t run_length(const struct vm *vm, uint32_t at)
{
	uint32_t low = vm->memory_low / FRAME_SIZE;
	uint32_t end = at < low ? low : vm->frame_count;
	uint32_t offset = at < low ? at : at - low;

	return offset % GIB_FRAMES == 0 && end - at >= GIB_FRAMES ? GIB_FRAMES :
								    1;
}

/* All frames of a VM in one row: RAM, then the rooms of its disks. */
static uint32_t all_frames(const struct vm *vm)
{
	uint32_t count = vm->frame_count;

	for (uint32_t i = 0; i < MULL_DISK_MAX; i++)
		if (vm->disks[i])
			count += vm->disks[i]->room_frames;
	return count;
}

static uint32_t *frame_number(struct vm *vm, uint32_t at)
{
	if (at < vm->frame_count)
		return &vm->frames[at];
	at -= vm->frame_count;
	for (uint32_t i = 0; i < MULL_DISK_MAX; i++) {
		struct virtio_block *disk = vm->disks[i];

		if (disk && at < disk->room_frames)
			return &disk->room[at];
		at -= disk ? disk->room_frames : 0;
	}
	panic("vm_memory: there is no such frame");
}

static void give_frames(struct vm *vm, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		if (*frame_number(vm, i) != GUEST_HOLE)
			frame_give(owner_of(vm), *frame_number(vm, i));
}

static enum error take_ram(struct vm *vm, uint32_t *taken)
{
	uint32_t first;

	while (*taken < vm->frame_count) {
		uint32_t run = run_length(vm, *taken);

		if (frame_take(owner_of(vm), run, &first) != ERR_NONE) {
			run = 1;
			if (frame_take(owner_of(vm), 1, &first) != ERR_NONE)
				return ERR_NO_MEMORY;
		}
		for (uint32_t i = 0; i < run; i++)
			vm->frames[(*taken)++] = first + i;
	}
	return ERR_NONE;
}

static enum error take_frames(struct vm *vm)
{
	uint32_t taken = 0, count = all_frames(vm);
	enum error error = take_ram(vm, &taken);

	for (; !error && taken < count; taken++) {
		error = frame_take(owner_of(vm), 1, frame_number(vm, taken));
		if (error)
			break;
	}
	if (error)
		give_frames(vm, taken);
	return error;
}

/* Runs of adjoining frames are mapped together, with the largest pages; but
 * each alone where each can go alone. */
static enum error map_region(struct vm *vm, const struct guest_region *region)
{
	uint32_t count = region->size / FRAME_SIZE;

	for (uint32_t at = 0, run; at < count; at += run) {
		enum error error;

		for (run = 1;
		     !vm->memory.elastic && at + run < count &&
		     region->frames[at + run] == region->frames[at] + run;
		     run++)
			;
		error = virt->stage2_map(
			vm->stage2, gpa(region->start.value + at * FRAME_SIZE),
			hpa((uint64_t)region->frames[at] << FRAME_SHIFT),
			run * FRAME_SIZE, STAGE2_ALL);
		if (error != ERR_NONE)
			return error;
	}
	return ERR_NONE;
}

static enum error map_all(struct vm *vm)
{
	enum error error = virt->stage2_create(&vm->stage2);

	for (uint32_t i = 0; i < vm->memory.region_count && !error; i++)
		error = map_region(vm, &vm->memory.regions[i]);
	return error;
}

void vm_memory_give(struct vm *vm)
{
	hpa_t root = vm->stage2;

	lock_take(&vm->stage2_lock);
	vm->stage2 = hpa(0);
	lock_give(&vm->stage2_lock);
	if (root.value)
		virt->stage2_destroy(root);
	give_frames(vm, all_frames(vm));
}

enum error vm_memory_take(struct vm *vm, const char **words)
{
	if (take_frames(vm) != ERR_NONE) {
		*words = "there are not enough free frames for its memory";
		return ERR_NO_MEMORY;
	}
	if (map_all(vm) == ERR_NONE && shared_ports_map(vm) == ERR_NONE) {
		if (vm->balloon)
			vm_balloon_begin(vm);
		return ERR_NONE;
	}
	vm_memory_give(vm);
	*words = "no memory for its page tables";
	return ERR_NO_MEMORY;
}

enum error vm_memory_take_room(struct vm *vm, struct virtio_block *disk)
{
	for (uint32_t i = 0; i < disk->room_frames; i++) {
		if (frame_take(owner_of(vm), 1, &disk->room[i]) == ERR_NONE)
			continue;
		while (i--)
			frame_give(owner_of(vm), disk->room[i]);
		return ERR_NO_MEMORY;
	}
	return ERR_NONE;
}

void vm_memory_give_room(struct vm *vm, struct virtio_block *disk)
{
	for (uint32_t i = 0; i < disk->room_frames; i++)
		frame_give(owner_of(vm), disk->room[i]);
}

bool vm_memory_clear_room(struct virtio_block *disk, uint64_t *at)
{
	uint32_t frame = (uint32_t)(*at / FRAME_SIZE);

	if (frame == disk->room_frames)
		return true;
	frame_zero(disk->room[frame], *at % FRAME_SIZE, FRAME_ZERO_PIECE);
	*at += FRAME_ZERO_PIECE;
	return false;
}

static bool is_cleared(const struct vm *vm, bool disks)
{
	return vm->phase_frame >= vm->frame_count &&
	       (!disks || vm->phase_frame >= all_frames(vm));
}

/* Small ones cost a tenth more; long ones would make a neighbour's slot late. */
static uint32_t piece_to_clear(const struct vm *vm)
{
	return vm->phase_offset % FRAME_ZERO_LONG == 0 && vm->home_alone ?
		       FRAME_ZERO_LONG :
		       FRAME_ZERO_PIECE;
}

bool vm_memory_clear_piece(struct vm *vm, bool disks)
{
	uint32_t frame, piece;

	/* Asked for less than was done already: a restart after all. */
	if (is_cleared(vm, disks))
		return true;
	frame = *frame_number(vm, vm->phase_frame);
	if (frame == GUEST_HOLE) {
		vm->phase_frame++;
		return is_cleared(vm, disks);
	}
	piece = piece_to_clear(vm);
	frame_zero(frame, vm->phase_offset, piece);
	vm->phase_offset += piece;
	if (vm->phase_offset == FRAME_SIZE) {
		vm->phase_offset = 0;
		vm->phase_frame++;
	}
	return is_cleared(vm, disks);
}
