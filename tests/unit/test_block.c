/* SPDX-License-Identifier: MIT */
/* Requests to a disk whose driver is the test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/storage/block.c"
#include <arch/fake/fake.h>
#include <cmocka.h>
#include <string.h>

#define SECOND 1000000000ull
#define PAGE 0x10000 /* addresses of segments: nobody looks there */

static struct block_device disk;
static struct begun {
	enum block_operation operation;
	uint32_t slot;
	uint64_t sector;
	uint32_t sectors, count;
	struct block_segment segments[8];
} begun[64];
static uint32_t begun_count, room, resets, polls, dones;
static struct block_request *done[64];

static enum error start(struct block_device *device, uint32_t slot,
			const struct block_command *command)
{
	struct begun *to = &begun[begun_count];

	assert_ptr_equal(device, &disk);
	if (!room)
		return ERR_BUSY;
	room--;
	assert_true(begun_count < ARRAY_COUNT(begun));
	begun_count++;
	*to = (struct begun){ .operation = command->operation,
			      .slot = slot,
			      .sector = command->sector,
			      .sectors = command->sectors,
			      .count = command->segment_count };
	for (uint32_t i = 0; i < to->count && i < 8; i++)
		to->segments[i] = command->segments[i];
	return ERR_NONE;
}

static void poll(struct block_device *device)
{
	assert_ptr_equal(device, &disk);
	polls++;
}

static void reset(struct block_device *device)
{
	assert_ptr_equal(device, &disk);
	assert_false(device->ready);
	resets++;
}

static const struct block_driver driver = { start, poll, reset, "fake" };

static void on_done(struct block_request *request)
{
	done[dones++] = request;
}

static int fresh(void **state)
{
	(void)state;
	disk = (struct block_device){
		.driver = &driver,
		.name = "fake",
		.sector_size = 512,
		.sector_count = 1000,
		.command_max = 8192,
		.segments_max = 3,
		.slots = 4,
		.alignment = 4,
		.write_cache = true,
		.ready = true,
	};
	device_count = 0;
	assert_int_equal(block_add(&disk), ERR_NONE);
	begun_count = resets = polls = dones = 0;
	room = 1000;
	fake_time = 5 * SECOND;
	fake_kicks[0] = 0;
	return 0;
}

static struct block_partition *part(void)
{
	static struct block_partition partition;

	partition = (struct block_partition){
		.device = &disk, .first = 100, .size = 64 * 512, .written = true
	};
	return &partition;
}

static struct block_request request_of(enum block_operation operation,
				       uint64_t sector,
				       const struct block_segment *segments,
				       uint32_t count)
{
	return (struct block_request){
		.partition = part(),
		.operation = operation,
		.offset = sector * 512,
		.segments = segments,
		.segment_count = count,
		.done = on_done,
	};
}

static void send(struct block_request *request)
{
	block_send(request);
	while (block_poll())
		;
}

static void a_request_is_a_command_and_an_end(void **state)
{
	struct block_segment segments[] = { { hpa(PAGE), 1024 },
					    { hpa(PAGE + 8192), 512 } };
	struct block_request request = request_of(BLOCK_WRITE, 7, segments, 2);

	(void)state;
	assert_true(block_deadline() == ARCH_NO_DEADLINE);
	send(&request);
	assert_int_equal(fake_kicks[0], 1);
	assert_int_equal(begun_count, 1);
	assert_int_equal(begun[0].operation, BLOCK_WRITE);
	assert_int_equal(begun[0].sector, 107);
	assert_int_equal(begun[0].sectors, 3);
	assert_int_equal(begun[0].count, 2);
	assert_int_equal(begun[0].segments[1].at.value, PAGE + 8192);
	assert_int_equal(dones, 0);
	block_ended(&disk, begun[0].slot, ERR_NONE);
	assert_int_equal(dones, 1);
	assert_ptr_equal(done[0], &request);
	assert_int_equal(request.error, ERR_NONE);
	assert_true(block_deadline() == ARCH_NO_DEADLINE);
}

/* By command, since that is what the disk does; what fails is no read. */
static void commands_are_counted(void **state)
{
	struct block_segment segment = { hpa(PAGE), 10240 };
	struct block_request read = request_of(BLOCK_READ, 0, &segment, 1);
	struct block_request write = request_of(BLOCK_WRITE, 0, &segment, 1);
	struct block_request flush = request_of(BLOCK_FLUSH, 0, NULL, 0);

	(void)state;
	send(&read); /* two commands */
	block_ended(&disk, begun[0].slot, ERR_NONE);
	assert_int_equal(disk.commands[BLOCK_READ], 1);
	assert_int_equal(disk.bytes[BLOCK_READ], 8192);
	block_ended(&disk, begun[1].slot, ERR_DEVICE);
	assert_int_equal(disk.commands[BLOCK_READ], 1);
	assert_int_equal(disk.bytes[BLOCK_READ], 8192);
	assert_int_equal(disk.errors, 1);
	send(&write);
	send(&flush);
	for (uint32_t i = 2; i < 5; i++)
		block_ended(&disk, begun[i].slot, ERR_NONE);
	assert_int_equal(disk.commands[BLOCK_WRITE], 2);
	assert_int_equal(disk.bytes[BLOCK_WRITE], 10240);
	assert_int_equal(disk.commands[BLOCK_FLUSH], 1);
	assert_int_equal(disk.errors, 1);
	assert_int_equal(disk.resets, 0);
	block_reset(&disk, "it is tried");
	assert_int_equal(disk.resets, 1);
}

/* The order of what one CPU has sent is kept. */
static void requests_go_in_turn(void **state)
{
	struct block_segment segment = { hpa(PAGE), 512 };
	struct block_request requests[6];

	(void)state;
	for (uint32_t i = 0; i < 6; i++) {
		requests[i] = request_of(BLOCK_READ, i, &segment, 1);
		block_send(&requests[i]);
	}
	assert_int_equal(fake_kicks[0], 1);
	block_poll();
	assert_int_equal(begun_count, 4); /* slots */
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(begun[i].sector, 100 + i);
	block_ended(&disk, begun[2].slot, ERR_NONE);
	assert_ptr_equal(done[0], &requests[2]);
	block_poll();
	assert_int_equal(begun_count, 5);
	assert_int_equal(begun[4].sector, 104);
	assert_int_equal(begun[4].slot, begun[2].slot);
}

static void a_driver_without_room_is_asked_again(void **state)
{
	struct block_segment segment = { hpa(PAGE), 512 };
	struct block_request request = request_of(BLOCK_READ, 0, &segment, 1);

	(void)state;
	room = 0;
	send(&request);
	assert_int_equal(begun_count, 0);
	room = 1;
	block_poll();
	assert_int_equal(begun_count, 1);
}

/* At most 8 KiB and three segments at once; what adjoins is one segment. */
static void a_long_request_is_cut(void **state)
{
	struct block_segment segments[] = {
		{ hpa(PAGE), 4096 },	      { hpa(PAGE + 4096), 512 },
		{ hpa(PAGE + 0x4000), 512 },  { hpa(PAGE + 0x5000), 512 },
		{ hpa(PAGE + 0x6000), 1536 }, { hpa(PAGE + 0x10000), 10240 },
	};
	struct block_request request = request_of(BLOCK_READ, 0, segments, 6);

	(void)state;
	send(&request);
	assert_int_equal(begun_count, 3);
	assert_int_equal(begun[0].count, 3);
	assert_int_equal(begun[0].segments[0].length, 4608);
	assert_int_equal(begun[0].sectors, 11);
	assert_int_equal(begun[1].sector, 111);
	assert_int_equal(begun[1].count, 2);
	assert_int_equal(begun[1].segments[0].at.value, PAGE + 0x6000);
	assert_int_equal(begun[1].sectors, 16);
	assert_int_equal(begun[2].segments[0].at.value, PAGE + 0x10000 + 6656);
	assert_int_equal(begun[2].sectors, 7);
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(dones, 0);
		block_ended(&disk, begun[i].slot, ERR_NONE);
	}
	assert_int_equal(dones, 1);
}

/* As NVMe's lists of pages want it. */
static void segments_may_have_to_be_whole_pages(void **state)
{
	struct block_segment segments[] = {
		{ hpa(PAGE + 512), 3584 },
		{ hpa(PAGE + 0x3000), 1024 },
		{ hpa(PAGE + 0x5000), 512 },
		{ hpa(PAGE + 0x7200), 512 },
	};
	struct block_request request = request_of(BLOCK_READ, 0, segments, 4);

	(void)state;
	disk.whole_pages = true;
	send(&request);
	assert_int_equal(begun_count, 3);
	assert_int_equal(begun[0].count, 2);
	assert_int_equal(begun[0].sectors, 9);
	assert_int_equal(begun[1].count, 1);
	assert_int_equal(begun[1].segments[0].at.value, PAGE + 0x5000);
	assert_int_equal(begun[2].count, 1);
	assert_int_equal(begun[2].segments[0].at.value, PAGE + 0x7200);
}

/* But no command has less than a sector. */
static void a_sector_in_too_many_pieces_is_refused(void **state)
{
	struct block_segment segments[] = {
		{ hpa(PAGE), 512 },	     { hpa(PAGE + 0x2000), 128 },
		{ hpa(PAGE + 0x3000), 128 }, { hpa(PAGE + 0x4000), 128 },
		{ hpa(PAGE + 0x5000), 128 },
	};
	struct block_request request = request_of(BLOCK_READ, 0, segments, 5);

	(void)state;
	send(&request);
	assert_int_equal(begun_count, 1);
	assert_int_equal(begun[0].sectors, 1);
	assert_int_equal(begun[0].count, 1);
	assert_int_equal(dones, 0);
	block_ended(&disk, begun[0].slot, ERR_NONE);
	assert_int_equal(dones, 1);
	assert_int_equal(request.error, ERR_BAD_REQUEST);
}

static void assert_refused(struct block_request request)
{
	uint32_t before = dones;

	send(&request);
	assert_int_equal(dones, before + 1);
	assert_int_equal(request.error, ERR_BAD_REQUEST);
	assert_int_equal(begun_count, 0);
}

static void what_is_not_in_the_partition_is_refused(void **state)
{
	static struct block_segment many[BLOCK_SEGMENTS_MAX + 1];
	struct block_segment two = { hpa(PAGE), 1024 };
	struct block_segment odd = { hpa(PAGE), 500 };
	struct block_segment none = { hpa(PAGE), 0 };
	struct block_segment askew = { hpa(PAGE + 2), 512 };
	struct block_segment huge[] = { { hpa(PAGE), UINT32_MAX - 511 },
					{ hpa(PAGE), 1024 } };
	struct block_request request;

	(void)state;
	for (uint32_t i = 0; i < ARRAY_COUNT(many); i++)
		many[i] = two;
	assert_refused(request_of(BLOCK_READ, 63, &two, 1));
	assert_refused(request_of(BLOCK_READ, 64, &two, 1));
	assert_refused(request_of(BLOCK_READ, 1ull << 54, &two, 1));
	assert_refused(request_of(BLOCK_READ, UINT64_MAX / 512, &two, 1));
	assert_refused(request_of(BLOCK_READ, 0, &two, 0));
	assert_refused(request_of(BLOCK_READ, 0, &odd, 1));
	assert_refused(request_of(BLOCK_READ, 0, &none, 1));
	assert_refused(request_of(BLOCK_READ, 0, &askew, 1));
	assert_refused(request_of(BLOCK_READ, 0, huge, 2));
	assert_refused(request_of(BLOCK_READ, 0, many, ARRAY_COUNT(many)));
	assert_refused(request_of(BLOCK_FLUSH, 0, &two, 1));
	request = request_of(BLOCK_READ, 0, &two, 1);
	request.offset = 100;
	assert_refused(request);
}

static void who_only_reads_cannot_write(void **state)
{
	struct block_segment segment = { hpa(PAGE), 512 };
	struct block_request request = request_of(BLOCK_WRITE, 0, &segment, 1);

	(void)state;
	request.partition->written = false;
	assert_refused(request);
	request.operation = BLOCK_READ;
	send(&request);
	assert_int_equal(begun_count, 1);
}

static void a_flush_is_a_command_if_there_is_a_cache(void **state)
{
	struct block_request request = request_of(BLOCK_FLUSH, 0, NULL, 0);

	(void)state;
	send(&request);
	assert_int_equal(begun_count, 1);
	assert_int_equal(begun[0].operation, BLOCK_FLUSH);
	assert_int_equal(dones, 0);
	block_ended(&disk, begun[0].slot, ERR_NONE);
	assert_int_equal(dones, 1);
	disk.write_cache = false;
	send(&request);
	assert_int_equal(begun_count, 1);
	assert_int_equal(dones, 2);
	assert_int_equal(request.error, ERR_NONE);
}

/* The rest is not begun, and the end comes when what ran has ended. */
static void a_failed_command_fails_its_request(void **state)
{
	struct block_segment segment = { hpa(PAGE), 5 * 4096 };
	struct block_request request = request_of(BLOCK_READ, 0, &segment, 1);

	(void)state;
	disk.slots = 2;
	send(&request);
	assert_int_equal(begun_count, 2);
	block_ended(&disk, begun[1].slot, ERR_DEVICE);
	assert_int_equal(dones, 0);
	block_poll();
	assert_int_equal(begun_count, 2);
	assert_int_equal(dones, 0);
	block_ended(&disk, begun[0].slot, ERR_NONE);
	assert_int_equal(dones, 1);
	assert_int_equal(request.error, ERR_DEVICE);
	assert_null(disk.first_waiting);
}

static void a_silent_disk_is_reset(void **state)
{
	struct block_segment segment = { hpa(PAGE), 512 };
	struct block_request first = request_of(BLOCK_READ, 0, &segment, 1);
	struct block_request second = request_of(BLOCK_READ, 1, &segment, 1);

	(void)state;
	send(&first);
	fake_time += 9 * SECOND;
	block_poll();
	assert_int_equal(resets, 0);
	fake_time += 2 * SECOND;
	block_poll();
	assert_int_equal(resets, 1);
	assert_int_equal(dones, 0); /* its memory may yet be written to */
	send(&second);
	assert_int_equal(begun_count, 1);
	assert_int_equal(resets, 1);
	block_lost(&disk, ERR_TIMEOUT);
	assert_int_equal(dones, 1);
	assert_int_equal(first.error, ERR_TIMEOUT);
	disk.ready = true;
	block_poll();
	assert_int_equal(begun_count, 2);
	assert_int_equal(disk.failures, 1);
	block_ended(&disk, begun[1].slot, ERR_NONE);
	assert_int_equal(second.error, ERR_NONE);
	assert_int_equal(disk.failures, 0);
}

static void a_dead_disk_fails_everything(void **state)
{
	struct block_segment segment = { hpa(PAGE), 512 };
	struct block_request requests[6];

	(void)state;
	for (uint32_t i = 0; i < 6; i++) {
		requests[i] = request_of(BLOCK_READ, i, &segment, 1);
		send(&requests[i]);
	}
	block_give_up(&disk, "it is of no use");
	block_poll();
	assert_int_equal(dones, 6);
	for (uint32_t i = 0; i < 6; i++)
		assert_int_equal(requests[i].error, ERR_DEVICE);
	send(&requests[0]);
	assert_int_equal(dones, 7);
	assert_true(block_deadline() == ARCH_NO_DEADLINE);
}

static void a_disk_that_interrupts_is_seldom_looked_at(void **state)
{
	struct block_segment segment = { hpa(PAGE), 512 };
	struct block_request request = request_of(BLOCK_READ, 0, &segment, 1);

	(void)state;
	send(&request);
	assert_true(block_deadline() == fake_time + SECOND / 10000);
	disk.interrupts = true;
	assert_true(block_deadline() == fake_time + SECOND / 10);
	polls = 0;
	block_poll();
	assert_int_equal(polls, 1);
	block_ended(&disk, begun[0].slot, ERR_NONE);
	block_poll();
	assert_int_equal(polls, 1); /* it has nothing to do */
}

static void what_a_driver_says_is_checked(void **state)
{
	(void)state;
	disk.sector_size = 1024;
	assert_int_equal(block_add(&disk), ERR_UNSUPPORTED);
	disk.sector_size = 4096;
	disk.sector_count = 0;
	assert_int_equal(block_add(&disk), ERR_UNSUPPORTED);
	disk.sector_count = UINT64_MAX;
	assert_int_equal(block_add(&disk), ERR_UNSUPPORTED);
	disk.sector_count = BIT(36);
	disk.command_max = 2048;
	assert_int_equal(block_add(&disk), ERR_UNSUPPORTED);
	disk.command_max = 4096;
	disk.segments_max = 0;
	assert_int_equal(block_add(&disk), ERR_UNSUPPORTED);
	disk.segments_max = UINT32_MAX;
	assert_int_equal(block_add(&disk), ERR_NONE);
	assert_int_equal(disk.segments_max, BLOCK_SEGMENTS_MAX);
	device_count = BLOCK_DEVICES_MAX;
	assert_int_equal(block_add(&disk), ERR_NO_MEMORY);
	device_count = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup(name, fresh)
		TEST(a_request_is_a_command_and_an_end),
		TEST(commands_are_counted),
		TEST(requests_go_in_turn),
		TEST(a_driver_without_room_is_asked_again),
		TEST(a_long_request_is_cut),
		TEST(segments_may_have_to_be_whole_pages),
		TEST(a_sector_in_too_many_pieces_is_refused),
		TEST(what_is_not_in_the_partition_is_refused),
		TEST(who_only_reads_cannot_write),
		TEST(a_flush_is_a_command_if_there_is_a_cache),
		TEST(a_failed_command_fails_its_request),
		TEST(a_silent_disk_is_reset),
		TEST(a_dead_disk_fails_everything),
		TEST(a_disk_that_interrupts_is_seldom_looked_at),
		TEST(what_a_driver_says_is_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
