/* SPDX-License-Identifier: MIT */
/* The machine's disks, as the operator asks for them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/manage/request.h"
#include "tests/unit/fake_line.h"
#include <mullion/virtio_block.h>

static void on_wire(uint8_t byte)
{
	(void)byte;
}

static struct answer answer;

static enum error ask(uint32_t command, uint64_t argument)
{
	struct mull_request request = { command, 0, argument };

	request_obey(LINE_SERIAL, 1, &request, sizeof request, &answer);
	assert_false(answer.pending);
	return answer.reply.error;
}

static const struct block_driver driver = { NULL, NULL, NULL, "nvme" };
static struct block_device disks[2];
static struct block_partition partitions[7];

static int fresh(void **unused)
{
	(void)unused;
	begin(MULL_SERIAL_CHANNEL, 2);
	serve(200);
	for (uint32_t i = 0; i < 2; i++)
		disks[i] = (struct block_device){ .driver = &driver,
						  .name = "nvme0",
						  .model = "a model",
						  .pci = "00:1f.2",
						  .sector_size = 4096,
						  .sector_count = 1000,
						  .ready = true };
	disks[1].name[4]++;
	for (uint32_t i = 0; i < 7; i++)
		partitions[i] = (struct block_partition){ .device = &disks[1],
							  .name = "part0",
							  .guid = { 1, 2, 3 },
							  .first = 10 * i,
							  .size = 40960 };
	fake_disks = disks;
	fake_disk_count = 2;
	fake_partitions = partitions;
	fake_partition_count = 7;
	return 0;
}

static void disks_tell_what_they_are_and_did(void **unused)
{
	const struct mull_machine_disk *told = (void *)answer.data;

	(void)unused;
	disks[1].ready = disks[0].interrupts = false;
	disks[1].dead = disks[1].read_only = disks[1].write_cache =
		disks[1].interrupts = true;
	for (uint32_t i = 0; i < BLOCK_OPERATIONS; i++) {
		disks[1].commands[i] = 5 + i;
		disks[1].bytes[i] = 4096 * (i + 1);
	}
	disks[1].errors = 8;
	disks[1].resets = 9;
	assert_int_equal(ask(MULL_COMMAND_MACHINE_DISKS, 0), ERR_NONE);
	assert_int_equal(answer.length, 2 * sizeof *told);
	assert_int_equal(answer.reply.value, 0);
	assert_string_equal(told[0].name, "nvme0");
	assert_int_equal(told[0].flags,
			 MULL_MACHINE_DISK_READY | MULL_MACHINE_DISK_POLLED);
	assert_int_equal(told[0].size, 4096000);
	assert_string_equal(told[1].name, "nvme1");
	assert_string_equal(told[1].driver, "nvme");
	assert_string_equal(told[1].model, "a model");
	assert_string_equal(told[1].pci, "00:1f.2");
	assert_int_equal(told[1].number, 1);
	assert_int_equal(told[1].flags, MULL_MACHINE_DISK_DEAD |
						MULL_MACHINE_DISK_READ_ONLY |
						MULL_MACHINE_DISK_CACHED);
	assert_int_equal(told[1].sector_size, 4096);
	assert_int_equal(told[1].reads, 5);
	assert_int_equal(told[1].read_bytes, 4096);
	assert_int_equal(told[1].writes, 6);
	assert_int_equal(told[1].written_bytes, 8192);
	assert_int_equal(told[1].flushes, 7);
	assert_int_equal(told[1].errors, 8);
	assert_int_equal(told[1].resets, 9);
	assert_int_equal(ask(MULL_COMMAND_MACHINE_DISKS, 1), ERR_NONE);
	assert_int_equal(answer.length, sizeof *told);
	assert_int_equal(ask(MULL_COMMAND_MACHINE_DISKS, 9), ERR_BAD_REQUEST);
	fake_disk_count = 0;
	assert_int_equal(ask(MULL_COMMAND_MACHINE_DISKS, 0), ERR_NONE);
	assert_int_equal(answer.length, 0);
}

static void partitions_tell_who_has_them(void **unused)
{
	const struct mull_partition_status *told = (void *)answer.data;
	struct virtio_block disk = { .partition = &partitions[1] };

	(void)unused;
	vms[1]->disks[2] = &disk;
	partitions[1].users = 1;
	partitions[1].written = true;
	partitions[2].refusal = "it overlaps another one";
	partitions[2].size = 0;
	assert_int_equal(ask(MULL_COMMAND_PARTITIONS, 0), ERR_NONE);
	assert_int_equal(answer.length, 5 * sizeof *told);
	assert_int_equal(answer.reply.value, 5);
	assert_string_equal(told[0].name, "part0");
	assert_string_equal(told[0].holder, "");
	assert_string_equal(told[0].words, "");
	assert_int_equal(told[0].users, 0);
	assert_int_equal(told[0].flags, 0);
	assert_int_equal(told[0].disk, 1);
	assert_int_equal(told[1].first, 10);
	assert_int_equal(told[1].size, 40960);
	assert_string_equal(told[1].holder, vms[1]->description.name);
	assert_true(told[1].holder[0]);
	assert_int_equal(told[1].users, 1);
	assert_int_equal(told[1].flags, MULL_PARTITION_WRITTEN);
	assert_memory_equal(told[1].guid, "\1\2\3\0", 4);
	assert_string_equal(told[2].words, "it overlaps another one");
	assert_int_equal(ask(MULL_COMMAND_PARTITIONS, 5), ERR_NONE);
	assert_int_equal(answer.length, 2 * sizeof *told);
	assert_int_equal(answer.reply.value, 0);
	assert_int_equal(told[1].first, 60);
	assert_int_equal(ask(MULL_COMMAND_PARTITIONS, 129), ERR_BAD_REQUEST);
	vms[1]->disks[2] = NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(disks_tell_what_they_are_and_did, fresh),
		cmocka_unit_test_setup(partitions_tell_who_has_them, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
