/* SPDX-License-Identifier: MIT */
/* A VM's overlay on a partition is opened before it runs, and kept at its end;
 * no disk writes to memory that is the VM's no more. */
#include "vm_life.h"

#include <mullion/bits.h>
#include <mullion/virtio_block.h>

#define BASE_SIZE KIB(64)
#define CHANGES_SIZE KIB(96)
#define RAM_FRAMES 4

static struct block_device machine_disk = { .sector_size = 512 };
static struct block_device coarse_disk = { .sector_size = 4096 };
static struct block_partition base_partition = { .device = &machine_disk,
						 .name = "base",
						 .size = BASE_SIZE };
static struct block_partition changes_partition = { .device = &machine_disk,
						    .name = "changes",
						    .size = CHANGES_SIZE };
static uint8_t base[BASE_SIZE], changes[CHANGES_SIZE];
static uint32_t flushes;
static uint32_t free_before;

static void come_back(enum error error)
{
	struct block_request *request = disk_request;
	uint8_t *medium = request->partition == &base_partition ? base :
								  changes;
	uint64_t at = request->offset;

	for (uint32_t i = 0; i < request->segment_count && !error; i++) {
		uint8_t *bytes = arch_direct(request->segments[i].at);

		if (request->operation == BLOCK_READ)
			memcpy(bytes, medium + at, request->segments[i].length);
		else
			memcpy(medium + at, bytes, request->segments[i].length);
		at += request->segments[i].length;
	}
	flushes += request->operation == BLOCK_FLUSH;
	disk_request = NULL;
	request->error = error;
	request->done(request);
}

static int with_overlay(void **state)
{
	struct mull_vm *description;

	if (fresh(state))
		return -1;
	vm_destroy(vm);
	free_before = frames_free();
	memset(changes, 0, sizeof changes);
	changes_partition.device = &machine_disk;
	changes_partition.size = CHANGES_SIZE;
	base_partition.users = changes_partition.users = 0;
	machine_partitions[0] = &base_partition;
	machine_partitions[1] = &changes_partition;
	disk_request = NULL;
	flushes = 0;
	description = describe(0, 1);
	description->disks[0] = (struct mull_disk){
		.kind = MULL_DISK_PARTITION,
		.flags = MULL_DISK_PRIVATE,
		.partition = "base",
		.overlay = "changes",
	};
	vm = vm_create(description, 0, NULL);
	return vm ? 0 : -1;
}

static int end_it(void **state)
{
	while (disk_request)
		come_back(ERR_NONE);
	stop_all(state);
	while (disk_request) {
		come_back(ERR_NONE);
		vm_work(vm);
		work();
	}
	memset(machine_partitions, 0, sizeof machine_partitions);
	return 0;
}

/* With the disk at its side. */
static void live(void)
{
	start();
	while (disk_request) {
		come_back(ERR_NONE);
		work();
	}
	obey_all();
}

static void it_is_opened_before_its_images_are_loaded(void **state)
{
	(void)state;
	assert_true(base_partition.users && changes_partition.users);
	assert_true(changes_partition.written);
	start();
	assert_non_null(disk_request);
	assert_int_equal(vm->phase, PHASE_OPEN);
	assert_int_equal(loads, 0);
	assert_int_equal(frames_free(), free_before - RAM_FRAMES - 1);
	live();
	assert_int_equal(vm->state, MULL_VM_RUNNING);
	assert_int_equal(loads, 1);
	assert_int_equal(flushes, 1); /* of its new header */
	assert_memory_equal(changes, "MULLOVER", 8);
}

static void what_is_wrong_is_told(void **state)
{
	(void)state;
	changes[5] = 1;
	live();
	assert_int_equal(vm->state, MULL_VM_REFUSED);
	assert_non_null(strstr(vm->end_words, "disk 0: the partition for its "
					      "overlay is neither empty nor"));
	assert_true(strlen(vm->end_words) + 1 < sizeof vm->end_words);
	assert_int_equal(changes[5], 1);
	assert_at_rest(free_before);
	changes[5] = 0; /* mended, it starts */
	live();
	assert_int_equal(vm->state, MULL_VM_RUNNING);
}

static void a_stop_waits_for_what_flies(void **state)
{
	(void)state;
	for (uint32_t pieces = 0; pieces < 4; pieces++) {
		start();
		for (uint32_t i = 0; i < pieces; i++) {
			come_back(ERR_NONE);
			work();
		}
		assert_int_equal(vm->phase, PHASE_OPEN);
		vm_command(vm, MULL_COMMAND_STOP);
		work();
		assert_int_equal(vm->state, MULL_VM_STARTING);
		assert_int_equal(frames_free(), free_before - RAM_FRAMES - 1);
		come_back(ERR_TIMEOUT);
		work();
		assert_null(disk_request);
		assert_int_equal(vm->state, MULL_VM_STOPPED);
		assert_at_rest(free_before);
	}
	/* And what is left of it does no harm. */
	live();
	assert_int_equal(vm->state, MULL_VM_RUNNING);
}

static void an_end_keeps_what_was_written(void **state)
{
	uint32_t entry;

	(void)state;
	for (int reset = 0; reset < 2; reset++) {
		live();
		overlay_map(&vm->disks[0]->overlay, 3 + reset, 1 + reset);
		flushes = 0;
		vm_command(vm, reset ? MULL_COMMAND_RESET : MULL_COMMAND_STOP);
		finish();
		assert_non_null(disk_request);
		assert_int_equal(vm->phase, PHASE_PARK);
		assert_int_equal(frames_free(), free_before - RAM_FRAMES - 1);
		while (disk_request) {
			come_back(ERR_NONE);
			work();
		}
		obey_all();
		assert_int_equal(flushes, 2);
		memcpy(&entry, changes + KIB(4) + 4 * (3 + reset), 4);
		assert_int_equal(entry, 1 + reset);
	}
	assert_int_equal(vm->state, MULL_VM_RUNNING);
	assert_int_equal(vm->disks[0]->overlay.used, 2);
}

static struct vm *again(void)
{
	vm_destroy(vm);
	vm = vm_create(&boot_package.vms[0], 0, NULL);
	assert_non_null(vm);
	return vm;
}

static void expect_refusal(const char *words)
{
	again();
	start();
	assert_int_equal(vm->state, MULL_VM_REFUSED);
	assert_string_equal(vm->end_words, words);
	assert_null(vm->disks[0]->partition);
	assert_int_equal(base_partition.users + changes_partition.users, 0);
}

static void both_partitions_must_be_had(void **state)
{
	(void)state;
	strcpy(boot_package.vms[0].disks[0].overlay, "nothing");
	expect_refusal("there is no such partition");
	strcpy(boot_package.vms[0].disks[0].overlay, "changes");
	changes_partition.device = &coarse_disk;
	expect_refusal("its overlay's disk has larger sectors than its base's");
	changes_partition.device = &machine_disk;
	again();
	live();
	assert_int_equal(vm->state, MULL_VM_RUNNING);
	vm_command(vm, MULL_COMMAND_STOP);
	finish();
	changes_partition.size = KIB(8);
	again();
	start();
	assert_string_equal(vm->end_words,
			    "its overlay's partition has no room for the map "
			    "of its base");
	assert_at_rest(free_before);
}

#undef TEST
#define TEST(name) cmocka_unit_test_setup_teardown(name, with_overlay, end_it)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(it_is_opened_before_its_images_are_loaded),
		TEST(what_is_wrong_is_told),
		TEST(a_stop_waits_for_what_flies),
		TEST(an_end_keeps_what_was_written),
		TEST(both_partitions_must_be_had),
	};

	return cmocka_run_group_tests(tests, start_memory, NULL);
}
