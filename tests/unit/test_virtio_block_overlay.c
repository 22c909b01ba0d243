/* SPDX-License-Identifier: MIT */
/* A driver of a disk whose base is a partition, which somebody else may read,
 * too, and whose changes lie in memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "block_driver.h"

#include <arch/fake/fake.h>
#include <cmocka.h>
#include <mullion/log.h>
#include <mullion/virtio_block.h>
#include <stdlib.h>

#define SIZE (KIB(40) + 1024) /* the last block is short */
#define SECTORS (SIZE / DISK_SECTOR)
#define ROUNDS 4000

static struct virtio_block block;
static struct block_flight flights[BLOCK_FLIGHTS];
static struct block_device machine_disk = { .sector_size = 512 };
static struct block_partition partition = { .device = &machine_disk,
					    .size = SIZE };
static struct block_request *sent; /* the one that is with the disk */
static uint32_t sent_count, lines;
static uint8_t base[SIZE], expected[SIZE];
static uint32_t frames[] = { 12, 10, 14 };

void log_write(const char *format, ...)
{
	(void)format;
	lines++;
}

void block_send(struct block_request *request)
{
	assert_null(sent);
	assert_ptr_equal(request->partition, &partition);
	assert_int_equal(request->operation, BLOCK_READ);
	sent = request;
	sent_count++;
}

static uint8_t *machine_memory(hpa_t at)
{
	if (at.value < RAM_SIZE)
		return ram + at.value;
	return (uint8_t *)arch_window(hpa(at.value / FRAME_SIZE * FRAME_SIZE)) +
	       at.value % FRAME_SIZE;
}

/* The machine's disk has done it. */
static void come_back(enum error error)
{
	struct block_request *request = sent;
	uint64_t at = request->offset;

	for (uint32_t i = 0; i < request->segment_count && !error; i++) {
		const struct block_segment *to = &request->segments[i];

		assert_true(at + to->length <= SIZE);
		memcpy(machine_memory(to->at), base + at, to->length);
		at += to->length;
	}
	sent = NULL;
	request->error = error;
	request->done(request);
}

static int make(uint32_t frame_count)
{
	const char *words;

	for (uint32_t i = 0; i < SIZE; i++)
		base[i] = expected[i] = (uint8_t)(i / DISK_SECTOR * 5 +
						  i % 253);
	ram_clear();
	fake_memory_clear();
	memset(&vm, 0, sizeof vm);
	memset(&block, 0, sizeof block);
	fake_cpu_count = 1;
	sent = NULL;
	sent_count = lines = 0;
	slot = 2;
	vm.vcpus[0] = &first;
	vm.description.disks[1] = (struct mull_disk){
		.kind = MULL_DISK_PARTITION, .flags = MULL_DISK_PRIVATE
	};
	virtio_block_init(&vm, &block, slot, 1);
	guest_pci_add(&vm, &block.device.function);
	block.partition = &partition;
	block.flights = flights;
	block.over = true;
	assert_int_equal(memory_disk_open_over(&block.disk, SIZE, frames,
					       frame_count, &words),
			 ERR_NONE);
	virtio_block_start(&block);
	guest_pci_reset(&vm);
	set_up(VERSION_1 | 1 << 28);
	return 0;
}

static int fresh(void **state)
{
	(void)state;
	return make(2);
}

/* The same, with the machine's disk at its side. */
static uint8_t ask(uint32_t type, uint64_t sector, uint32_t length)
{
	offer(type, sector, length);
	while (sent) {
		assert_int_equal(ram[STATUS_AT], NONE);
		come_back(ERR_NONE);
		work();
	}
	return ram[STATUS_AT];
}

static void expect_data(uint64_t sector, uint32_t length)
{
	for (uint32_t i = 0; i < length; i++)
		if (ram[DATA + i] != expected[sector * DISK_SECTOR + i])
			fail_msg("byte %u behind sector %lu is wrong", i,
				 (unsigned long)sector);
}

static void it_is_read_from_its_base(void **state)
{
	(void)state;
	assert_int_equal(ask(IN, 7, KIB(20)), OK);
	expect_data(7, KIB(20));
	assert_int_equal(sent_count, 1);
	assert_int_equal(ask(FLUSH, 0, 0), OK);
	assert_int_equal(ask(IN, SECTORS - 1, 1024), IO_ERROR);
	assert_int_equal(sent_count, 1);
}

static void whole_blocks_need_no_base(void **state)
{
	(void)state;
	memset(ram + DATA, 0xaa, KIB(8));
	assert_int_equal(ask(OUT, 8, KIB(8)), OK);
	assert_int_equal(sent_count, 0);
	assert_int_equal(block.disk.used, 2);
	memset(expected + KIB(4), 0xaa, KIB(8));
	/* Before, within and behind: two pieces are the base's. */
	assert_int_equal(ask(IN, 0, KIB(16)), OK);
	expect_data(0, KIB(16));
	assert_int_equal(sent_count, 2);
}

static void parts_of_blocks_have_the_rest_of_the_base(void **state)
{
	(void)state;
	memset(ram + DATA, 0xbb, 1024);
	assert_int_equal(ask(OUT, 7, 1024), OK); /* in two blocks */
	assert_int_equal(sent_count, 2);
	memset(expected + 7 * DISK_SECTOR, 0xbb, 1024);
	assert_int_equal(ask(OUT, 7, 1024), OK); /* now they are there */
	assert_int_equal(ask(IN, 0, KIB(8)), OK);
	expect_data(0, KIB(8));
	assert_int_equal(sent_count, 2);
	memset(ram + DATA, 0xcc, 512);
	assert_int_equal(ask(OUT, SECTORS - 1, 512), OK);
	memset(expected + SIZE - 512, 0xcc, 512);
	assert_int_equal(ask(IN, SECTORS - 2, 1024), OK);
	expect_data(SECTORS - 2, 1024);
}

/* A model of it, with any requests. */
static void it_is_like_any_disk(void **state)
{
	uint8_t before[SIZE];

	(void)state;
	memcpy(before, base, SIZE);
	srand(1);
	for (uint32_t i = 0; i < ROUNDS; i++) {
		uint64_t sector = (uint64_t)rand() % SECTORS;
		uint32_t most = (uint32_t)(SECTORS - sector);
		uint32_t count = 1 +
				 (uint32_t)rand() % (DATA_SIZE / DISK_SECTOR);

		if (count > most)
			count = most;
		if (i % 500 == 0)
			assert_int_equal(make(2), 0);
		memset(ram + DATA, rand(), count * DISK_SECTOR);
		if (rand() % 3 == 0) {
			memcpy(expected + sector * DISK_SECTOR, ram + DATA,
			       count * DISK_SECTOR);
			assert_int_equal(ask(OUT, sector, count * DISK_SECTOR),
					 OK);
		} else {
			assert_int_equal(ask(IN, sector, count * DISK_SECTOR),
					 OK);
			expect_data(sector, count * DISK_SECTOR);
		}
	}
	assert_memory_equal(base, before, SIZE);
}

static void errors_of_the_base_are_its_own(void **state)
{
	(void)state;
	offer(IN, 0, 512);
	come_back(ERR_DEVICE);
	work();
	assert_int_equal(ram[STATUS_AT], IO_ERROR);
	offer(OUT, 1, 512);
	come_back(ERR_TIMEOUT);
	work();
	assert_int_equal(ram[STATUS_AT], IO_ERROR);
	assert_int_equal(block.disk.used, 0);
	assert_int_equal(ask(IN, 0, KIB(8)), OK);
	expect_data(0, KIB(8));
}

static void a_full_room_fails_in_words(void **state)
{
	(void)state;
	block.disk.places = 2;
	assert_int_equal(ask(OUT, 0, KIB(12)), IO_ERROR);
	assert_int_equal(ask(OUT, 33, 512), IO_ERROR); /* a part of one */
	assert_int_equal(sent_count, 0);
	assert_int_equal(lines, 1); /* once */
	assert_int_equal(ask(OUT, 9, 512), OK);
}

/* What is on its way then must neither be told nor become the disk's. */
static void a_reset_forgets_what_flies(void **state)
{
	(void)state;
	offer(OUT, 1, 512);
	assert_non_null(sent);
	set(STATUS, 1, 0);
	assert_true(get(STATUS, 1)); /* not before it is back */
	come_back(ERR_NONE);
	assert_int_equal(get(STATUS, 1), 0);
	set_up(VERSION_1 | 1 << 28);
	work();
	assert_int_equal(ram[STATUS_AT], NONE);
	assert_int_equal(block.disk.used, 0);
	assert_int_equal(ask(IN, 0, KIB(8)), OK);
	expect_data(0, KIB(8));
	assert_int_equal(used_count(), 1);
}

static void a_room_must_hold_its_map(void **state)
{
	const char *words = "";
	struct memory_disk disk;

	(void)state;
	assert_int_equal(memory_disk_open_over(&disk, SIZE, frames, 1, &words),
			 ERR_NO_MEMORY);
	assert_true(*words);
	assert_int_equal(
		memory_disk_open_over(&disk, GIB(4) + 512, frames, 3, &words),
		ERR_NO_MEMORY);
}

#define TEST(name) cmocka_unit_test_setup(name, fresh)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(it_is_read_from_its_base),
		TEST(whole_blocks_need_no_base),
		TEST(parts_of_blocks_have_the_rest_of_the_base),
		TEST(it_is_like_any_disk),
		TEST(errors_of_the_base_are_its_own),
		TEST(a_full_room_fails_in_words),
		TEST(a_reset_forgets_what_flies),
		TEST(a_room_must_hold_its_map),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
