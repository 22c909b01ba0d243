/* SPDX-License-Identifier: MIT */
/* What becomes of a VM's disks, and of the room for what is written to them. */
#include "vm_life.h"

#include <mullion/bits.h>
#include <mullion/virtio_block.h>

#define RAM_FRAMES 4
#define ROOM_FRAMES 3 /* of the first disk; the third has as many */
#define ALL_FRAMES (RAM_FRAMES + 2 * ROOM_FRAMES)

static const uint8_t image_bytes[KIB(16)] = "image";
static const struct mull_image record = { .kind = MULL_IMAGE_DISK,
					  .size = sizeof image_bytes };
static uint32_t free_before;

/* Two disks with a room, and one to read only between them. */
static int with_disks(void **state)
{
	struct mull_vm *description;

	if (fresh(state))
		return -1;
	free_before = frames_free();
	image = (struct load_image){ .record = &record, .bytes = image_bytes };
	vm_destroy(vm);
	description = describe(0, 1);
	for (uint32_t i = 0; i < 3; i++)
		description->disks[i] = (struct mull_disk){
			.kind = MULL_DISK_MEMORY,
			.flags = i == 1 ? MULL_DISK_READ_ONLY :
					  MULL_DISK_PRIVATE,
			.room = i == 1 ? 0 : ROOM_FRAMES * FRAME_SIZE,
		};
	vm = vm_create(description, 0, NULL);
	return vm ? 0 : -1;
}

static void write_disk(uint32_t index, uint8_t value)
{
	uint8_t block[DISK_BLOCK];

	memset(block, value, sizeof block);
	assert_int_equal(memory_disk_write(&vm->disks[index]->disk, DISK_BLOCK,
					   block, sizeof block),
			 ERR_NONE);
}

static uint8_t read_disk(uint32_t index)
{
	uint64_t length = 1;

	return *memory_disk_at(&vm->disks[index]->disk, 2 * DISK_BLOCK - 1,
			       &length);
}

/* Writes 0xaa and 0xbb, and makes its RAM dirty. */
static void live(void)
{
	start();
	assert_int_equal(vm->state, MULL_VM_RUNNING);
	for (uint32_t i = 0; i < RAM_FRAMES; i++)
		memset(frame_bytes(vm->frames[i]), 0xcc, FRAME_SIZE);
	write_disk(0, 0xaa);
	write_disk(2, 0xbb);
}

/* Of its own or of the first or third disk; from 0, all in one row. */
static uint32_t frame_of(uint32_t index)
{
	if (index < RAM_FRAMES)
		return vm->frames[index];
	index -= RAM_FRAMES;
	return vm->disks[index < ROOM_FRAMES ? 0 : 2]
		->room[index % ROOM_FRAMES];
}

static bool is_zero(uint32_t from, uint32_t to)
{
	static const uint8_t zeros[FRAME_SIZE];

	for (uint32_t i = from; i < to; i++)
		if (memcmp(frame_bytes(frame_of(i)), zeros, FRAME_SIZE))
			return false;
	return true;
}

/* It has no memory, and left nothing in what it had. */
static void assert_erased(void)
{
	assert_at_rest(free_before);
	for (uint32_t i = 0; i < ALL_FRAMES; i++)
		assert_int_equal(frame_owner_of(frame_of(i)), FRAME_FREE);
	assert_true(is_zero(0, ALL_FRAMES));
}

static void rooms_are_counted(void **state)
{
	(void)state;
	assert_int_equal(frames_free(), free_before);
	live();
	assert_int_equal(frames_free(), free_before - ALL_FRAMES);
	/* Each has its own; and none of it can be reached as RAM. */
	for (uint32_t i = 0; i < ALL_FRAMES; i++) {
		assert_int_equal(frame_owner_of(frame_of(i)), FRAME_VM);
		for (uint32_t other = 0; other < i; other++)
			assert_int_not_equal(frame_of(i), frame_of(other));
	}
	assert_null(vm->disks[1]->disk.frames);
	assert_int_equal(vm->disks[2]->disk.places,
			 (ROOM_FRAMES - 1) * (FRAME_SIZE / DISK_BLOCK));
	assert_false(
		guest_is_ram(&vm->memory, gpa(RAM_FRAMES * FRAME_SIZE), 1));
	assert_null(vm->disks[3]);
}

static void rooms_begin_empty(void **state)
{
	(void)state;
	for (uint32_t i = 2; i <= POOL_FRAMES; i++)
		if (frame_owner_of(i) == FRAME_FREE)
			memset(frame_bytes(i), 0xee, FRAME_SIZE);
	start();
	assert_true(is_zero(0, ALL_FRAMES));
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(read_disk(i), 0);
}

static void a_stop_erases_them(void **state)
{
	(void)state;
	live();
	assert_int_equal(read_disk(0), 0xaa);
	vm_command(vm, MULL_COMMAND_STOP);
	finish();
	assert_int_equal(vm->state, MULL_VM_STOPPED);
	assert_erased();
	start();
	assert_int_equal(read_disk(0), 0);
	assert_int_equal(read_disk(2), 0);
}

static void a_crash_erases_them(void **state)
{
	(void)state;
	live();
	vm_end(vm, MULL_END_TRIPLE_FAULT, 0, "triple fault");
	finish();
	assert_int_equal(vm->state, MULL_VM_CRASHED);
	assert_erased();
}

static void a_restart_keeps_them(void **state)
{
	(void)state;
	live();
	for (int i = 0; i < 2; i++) {
		if (i)
			vm_command(vm, MULL_COMMAND_RESET);
		else
			vm_end(vm, MULL_END_RESET, 0, "reset");
		finish();
		obey_all();
		assert_int_equal(vm->state, MULL_VM_RUNNING);
		assert_int_equal(vm->restarts, i + 1);
		assert_true(is_zero(0, RAM_FRAMES));
		assert_int_equal(read_disk(0), 0xaa);
		assert_int_equal(read_disk(2), 0xbb);
		assert_int_equal(vm->disks[2]->disk.used, 1);
	}
	assert_int_equal(frames_free(), free_before - ALL_FRAMES);
}

/* The erasing of a restart goes on to the end of all. */
static void stop_while_erasing(uint32_t pieces)
{
	live();
	vm_end(vm, MULL_END_RESET, 0, "reset");
	work();
	obey_all();
	for (uint32_t i = 0; i < pieces; i++)
		vm_work(vm);
	vm_command(vm, MULL_COMMAND_STOP);
	finish();
	assert_int_equal(vm->state, MULL_VM_STOPPED);
	assert_erased();
}

static void a_stop_in_a_restart_erases_all(void **state)
{
	const uint32_t steps = FRAME_SIZE / FRAME_ZERO_PIECE; /* of a frame */

	(void)state;
	stop_while_erasing(0);
	stop_while_erasing(1);
	stop_while_erasing(steps);
	/* About where the RAM ends, and the next load begins. */
	for (uint32_t i = 0; i < 5; i++)
		stop_while_erasing(RAM_FRAMES * steps - 2 + i);
}

static void a_stop_in_a_pause_erases_all(void **state)
{
	(void)state;
	vm->description.on_crash = MULL_END_RESTART;
	live();
	for (int i = 0; i < 4; i++) {
		vm_end(vm, MULL_END_TRIPLE_FAULT, 0, "triple fault");
		finish();
		obey_all();
	}
	assert_int_equal(vm->phase, PHASE_WAIT);
	assert_int_equal(read_disk(0), 0xaa);
	vm_command(vm, MULL_COMMAND_STOP);
	finish();
	assert_erased();
}

/* What is on its disks must not stay when its images cannot be loaded. */
static void a_failed_load_erases_them(void **state)
{
	(void)state;
	live();
	load_error = ERR_BAD_HASH;
	vm_end(vm, MULL_END_RESET, 0, "reset");
	finish();
	assert_int_equal(vm->state, MULL_VM_REFUSED);
	assert_erased();
}

static void expect_refusal(const char *words)
{
	start();
	assert_int_equal(vm->state, MULL_VM_REFUSED);
	assert_string_equal(vm->end_words, words);
	assert_int_equal(frames_free(), free_before);
	assert_int_equal(fake_virt.roots, 0);
}

static void a_disk_that_cannot_be_is_refused(void **state)
{
	struct mull_image other = record;

	(void)state;
	image.record = &other;
	other.size = 513;
	expect_refusal("the image of a disk is not made of sectors of 512 "
		       "bytes");
	/* A map of three frames leaves no room. */
	other.size = 2 * GIB(2) + 512;
	expect_refusal("a disk is too large for the room for its changes");
	image = (struct load_image){ 0 };
	expect_refusal("the image of a disk is not there");
	image = (struct load_image){ .record = &record, .bytes = image_bytes };
	start();
	assert_int_equal(vm->state, MULL_VM_RUNNING);
}

static void too_few_frames_are_refused(void **state)
{
	uint32_t taken[POOL_FRAMES], count = 0;

	(void)state;
	while (frames_free() >= ALL_FRAMES)
		frame_take(FRAME_VM + 5, 1, &taken[count++]);
	free_before = frames_free();
	expect_refusal("there are not enough free frames for its memory");
	while (count)
		frame_give(FRAME_VM + 5, taken[--count]);
}

static void nothing_stays_of_one_that_is_destroyed(void **state)
{
	uint64_t pages;

	(void)state;
	vm_destroy(vm);
	pages = pages_in_use();
	vm = vm_create(&boot_package.vms[0], 0, NULL);
	assert_true(pages_in_use() > pages);
	live();
	vm_command(vm, MULL_COMMAND_STOP);
	finish();
	vm_destroy(vm);
	assert_int_equal(pages_in_use(), pages);
	vm = vm_create(&boot_package.vms[0], 0, NULL);
}

#define WITH(name) cmocka_unit_test_setup_teardown(name, with_disks, stop_all)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(rooms_are_counted),
		WITH(rooms_begin_empty),
		WITH(a_stop_erases_them),
		WITH(a_crash_erases_them),
		WITH(a_restart_keeps_them),
		WITH(a_stop_in_a_restart_erases_all),
		WITH(a_stop_in_a_pause_erases_all),
		WITH(a_failed_load_erases_them),
		WITH(a_disk_that_cannot_be_is_refused),
		WITH(too_few_frames_are_refused),
		WITH(nothing_stays_of_one_that_is_destroyed),
	};

	return cmocka_run_group_tests(tests, start_memory, NULL);
}
