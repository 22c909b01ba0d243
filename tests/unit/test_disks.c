/* SPDX-License-Identifier: MIT */
/* Partitions by name, on disks in memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/storage/block.c"
#include "kernel/storage/disks.c"

#include "gpt_disk.h"
#include <cmocka.h>
#include <mullion/frame_pool.h>

#define DISKS 2

static struct block_device disk[DISKS];
static uint8_t contents[DISKS][GPT_DISK_SECTORS][512];
static frame_owner owners[64];
static uint64_t fails_at; /* a sector; 0: none */

static enum error start(struct block_device *device, uint32_t slot,
			const struct block_command *command)
{
	uint64_t sector = command->sector;

	assert_int_equal(slot, 0);
	assert_int_equal(command->operation, BLOCK_READ);
	if (fails_at && sector <= fails_at &&
	    fails_at < sector + command->sectors)
		return ERR_DEVICE;
	for (uint32_t i = 0; i < command->segment_count; i++) {
		const struct block_segment *to = &command->segments[i];

		memcpy(arch_direct(to->at), contents[device - disk][sector],
		       to->length);
		sector += to->length / 512;
	}
	return ERR_NONE;
}

static void poll(struct block_device *device)
{
	if (device->slot[0].request)
		block_ended(device, 0, ERR_NONE);
}

static const struct block_driver driver = { start, poll, poll, "fake" };

void nvme_start(void)
{
	for (uint32_t i = 0; i < DISKS; i++) {
		disk[i] = (struct block_device){
			.driver = &driver,
			.sector_size = 512,
			.sector_count = GPT_DISK_SECTORS,
			.command_max = 1024,
			.segments_max = 1,
			.slots = 1,
			.alignment = 4,
			.ready = true,
		};
		format_text(disk[i].name, sizeof disk[i].name, "disk%u", i);
		assert_int_equal(block_add(&disk[i]), ERR_NONE);
	}
}

void virtio_blk_start(void)
{
}

static int fresh(void **state)
{
	const struct mull_memory_range ram = { MIB(32), MIB(32),
					       MULL_MEMORY_USABLE, 0 };

	(void)state;
	if (!frames_free())
		frame_pool_start(&ram, 1, owners, frame_pool_span(&ram, 1));
	device_count = partition_count = 0;
	fails_at = 0;
	gpt_make();
	memcpy(contents[0], gpt_disk, sizeof gpt_disk);
	gpt_set(0, "swap", 40, 41);
	gpt_set(3, "home", 100, 200);
	gpt_seal();
	memcpy(contents[1], gpt_disk, sizeof gpt_disk);
	return 0;
}

static struct block_partition *take(const char *name, bool write)
{
	struct block_partition *partition;
	const char *words;

	assert_int_equal(block_take(name, write, &partition, &words), ERR_NONE);
	return partition;
}

static void assert_refused(const char *name, bool write, enum error expected,
			   const char *why)
{
	struct block_partition *partition;
	const char *words;

	assert_int_equal(block_take(name, write, &partition, &words), expected);
	assert_string_equal(words, why);
}

static void partitions_are_found_by_name(void **state)
{
	const struct block_partition *home;
	uint64_t pages = pages_in_use();

	(void)state;
	storage_start();
	assert_true(pages_in_use() <= pages + 3); /* but for those kept */
	home = take("home", false);
	assert_ptr_equal(home->device, &disk[1]);
	assert_int_equal(home->first, 100);
	assert_int_equal(home->size, 101 * 512);
	assert_ptr_equal(take("root", true)->device, &disk[0]);
	assert_refused("hom", false, ERR_NOT_FOUND,
		       "there is no such partition");
	assert_refused("home2", false, ERR_NOT_FOUND,
		       "there is no such partition");
	assert_refused("", false, ERR_NOT_FOUND, "there is no such partition");
	assert_string_equal(block_partition_at(3)->name, "home");
	assert_null(block_partition_at(4));
}

static void one_writes_or_several_read(void **state)
{
	struct block_partition *root, *again;

	(void)state;
	storage_start();
	root = take("root", true);
	assert_true(root->written);
	assert_refused("root", false, ERR_BUSY, "another VM has it");
	assert_refused("root", true, ERR_BUSY, "another VM has it");
	block_give(root);
	again = take("root", false);
	assert_ptr_equal(again, take("root", false));
	assert_false(again->written);
	assert_refused("root", true, ERR_BUSY, "another VM has it");
	block_give(again);
	assert_refused("root", true, ERR_BUSY, "another VM has it");
	block_give(again);
	take("root", true);
}

static void two_of_a_name_are_nobodys(void **state)
{
	(void)state;
	gpt_set(0, "data", 40, 41);
	gpt_seal();
	memcpy(contents[1], gpt_disk, sizeof gpt_disk);
	storage_start();
	assert_refused("data", false, ERR_UNSUPPORTED,
		       "there is another one of that name");
	assert_int_equal(block_partition_at(1)->size, 0);
	take("root", false);
	take("home", false);
}

static void what_the_table_refuses_nobody_gets(void **state)
{
	(void)state;
	gpt_set(0, "swap", 100, 101);
	gpt_seal();
	memcpy(contents[1], gpt_disk, sizeof gpt_disk);
	storage_start();
	assert_refused("home", false, ERR_UNSUPPORTED,
		       "it overlaps another one");
	assert_refused("swap", true, ERR_UNSUPPORTED,
		       "it overlaps another one");
}

static void a_disk_that_only_reads_is_not_written(void **state)
{
	(void)state;
	storage_start();
	disk[0].read_only = true;
	assert_refused("root", true, ERR_UNSUPPORTED,
		       "its disk can only be read");
	take("root", false);
}

static void a_disk_without_a_table_leaves_the_other(void **state)
{
	(void)state;
	memset(contents[0], 0, sizeof contents[0]);
	storage_start();
	assert_refused("root", false, ERR_NOT_FOUND,
		       "there is no such partition");
	take("home", true);
}

static void what_cannot_be_read_is_told(void **state)
{
	(void)state;
	fails_at = 1;
	storage_start(); /* the second table is good */
	take("home", true);
	fresh(NULL);
	memset(contents[1][GPT_LAST], 0, 512);
	fails_at = 20;
	storage_start();
	take("root", true);
	assert_refused("home", false, ERR_NOT_FOUND,
		       "there is no such partition");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup(name, fresh)
		TEST(partitions_are_found_by_name),
		TEST(one_writes_or_several_read),
		TEST(two_of_a_name_are_nobodys),
		TEST(what_the_table_refuses_nobody_gets),
		TEST(a_disk_that_only_reads_is_not_written),
		TEST(a_disk_without_a_table_leaves_the_other),
		TEST(what_cannot_be_read_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
