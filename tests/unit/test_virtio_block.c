/* SPDX-License-Identifier: MIT */
/* A driver of a disk, and one that breaks the rules. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "block_fixture.h"

#include <arch/fake/fake.h>
#include <cmocka.h>
#include <mullion/log.h>
#include <mullion/virtio_block.h>
#include <stdlib.h>

#define SIZE (KIB(256) + 1024) /* the last block is short */
#define SECTORS (SIZE / DISK_SECTOR)
#define HEADER 0x5000
#define STATUS_AT 0x6000
#define DATA 0x8000
#define DATA_SIZE (RAM_SIZE - DATA)

enum { IN = 0, OUT = 1, FLUSH = 4, GET_ID = 8 };
enum { OK = 0, IO_ERROR = 1, UNSUPPORTED = 2, NONE = 0xee };

static struct virtio_block block;
static uint8_t image[SIZE], expected[DATA_SIZE];
static struct mull_image record = { .size = SIZE, .kind = MULL_IMAGE_DISK };
static uint32_t frames[] = { 12, 10, 14 };
static uint32_t lines;
static char line[LOG_LINE_MAX];

void log_write(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	format_text_list(line, sizeof line, format, arguments);
	va_end(arguments);
	lines++;
}

void block_send(struct block_request *request)
{
	(void)request;
	fail_msg("it is in memory");
}

static uint8_t pattern(uint64_t at)
{
	return (uint8_t)(at / DISK_SECTOR * 5 + at % 253);
}

static int make(uint32_t flags)
{
	const struct load_image base = { .record = &record, .bytes = image };
	const char *words;
	bool read_only = flags & MULL_DISK_READ_ONLY;

	for (uint64_t i = 0; i < SIZE; i++)
		image[i] = pattern(i);
	ram_clear();
	fake_memory_clear();
	memset(&vm, 0, sizeof vm);
	memset(&block, 0, sizeof block);
	fake_cpu_count = 1;
	complaints = lines = 0;
	slot = 2;
	vm.vcpus[0] = &first;
	strcpy(vm.description.name, "guest");
	vm.description.disks[1] = (struct mull_disk){ .kind = MULL_DISK_MEMORY,
						      .flags = flags };
	virtio_block_init(&vm, &block, slot, 1);
	guest_pci_add(&vm, &block.device.function);
	assert_int_equal(memory_disk_open(&block.disk, &base, frames,
					  read_only ? 0 : ARRAY_COUNT(frames),
					  &words),
			 ERR_NONE);
	virtio_block_start(&block);
	guest_pci_reset(&vm);
	set_up(VERSION_1 | 1 << 28);
	return 0;
}

static int fresh(void **state)
{
	(void)state;
	return make(MULL_DISK_PRIVATE);
}

static int read_only(void **state)
{
	(void)state;
	return make(MULL_DISK_READ_ONLY);
}

/* ---- the driver ---------------------------------------------------------- */

static void work(void)
{
	for (int i = 0; i < 100; i++)
		if (!guest_pci_work(&vm))
			return;
	fail_msg("the work does not end");
}

static void put_header(uint32_t type, uint64_t sector)
{
	put_32(HEADER, type);
	put_32(HEADER + 4, 0x1234); /* reserved: not looked at */
	put_64(HEADER + 8, sector);
	ram[STATUS_AT] = NONE;
}

/* A header, @length bytes of data and a status, each in a descriptor. */
static void offer(uint32_t type, uint64_t sector, uint32_t length)
{
	put_header(type, sector);
	describe(0, HEADER, 16, NEXT, length ? 1 : 2);
	describe(1, DATA, length, NEXT | (type == OUT ? 0 : WRITE), 2);
	describe(2, STATUS_AT, 1, WRITE, 0);
	make_available(0);
	notify();
}

/* What was offered is given back; returns its status. */
static uint8_t finish(void)
{
	uint16_t given = used_count();

	work();
	assert_int_equal(complaints, 0);
	assert_int_equal(used_count(), given + 1);
	return ram[STATUS_AT];
}

static uint8_t ask(uint32_t type, uint64_t sector, uint32_t length)
{
	offer(type, sector, length);
	return finish();
}

/* The data are what the image has at @sector. */
static void expect_image(uint64_t sector, uint32_t length)
{
	for (uint32_t i = 0; i < length; i++)
		expected[i] = pattern(sector * DISK_SECTOR + i);
	assert_memory_equal(ram + DATA, expected, length);
}

static void expect_bytes(uint32_t at, uint8_t value, uint32_t length)
{
	memset(expected, value, length);
	assert_memory_equal(ram + DATA + at, expected, length);
}

/* The device was broken by what was offered, and heals by a reset. */
static void expect_broken(void)
{
	uint16_t given = used_count();

	make_available(0);
	notify();
	work();
	assert_int_equal(used_count(), given);
	assert_int_equal(complaints, 1);
	assert_true(get(STATUS, 1) & NEEDS_RESET);
	complaints = 0;
	set_up(VERSION_1 | 1 << 28);
	assert_int_equal(ask(IN, 0, 512), OK);
	expect_image(0, 512);
}

/* ---- what it is ---------------------------------------------------------- */

static void it_says_what_it_is(void **state)
{
	(void)state;
	assert_int_equal(guest_pci_read(&vm, gpa(ecam()), 4), 0x10421af4);
	assert_int_equal(get(0x2000, 4), SECTORS);
	assert_int_equal(get(0x2004, 4), 0);
	assert_int_equal(get(0x2008, 4), 0);
	assert_int_equal(get(0x200c, 4), 126); /* segments */
	assert_int_equal(get(0x2014, 4), 512);
	set(0, 4, 0);
	assert_int_equal(get(4, 4) & 0xffffff, 0x244); /* not read only */
	make(MULL_DISK_READ_ONLY);
	set(0, 4, 0);
	assert_int_equal(get(4, 4) & 0xffffff, 0x264);
}

static void it_has_an_id(void **state)
{
	(void)state;
	memset(ram + DATA, 0xaa, 64);
	assert_int_equal(ask(GET_ID, 99, 20), OK);
	assert_memory_equal(ram + DATA, "mullion-disk1\0\0\0\0\0\0\0\xaa", 21);
	memset(ram + DATA, 0xaa, 64);
	assert_int_equal(ask(GET_ID, 0, 3), OK);
	assert_memory_equal(ram + DATA, "mul\xaa", 4);
	assert_int_equal(ask(GET_ID, 0, 64), OK);
	assert_int_equal(ram[DATA + 20], 0xaa);
	assert_int_equal(ask(GET_ID, 0, 0), OK);
}

static void requests_without_data(void **state)
{
	static const uint32_t unknown[] = { 2, 3, 5, 9, 10, 11, 13, 14, ~0u };

	(void)state;
	assert_int_equal(ask(FLUSH, 0, 0), OK);
	assert_int_equal(ask(FLUSH, ~0ull, 512), OK);
	for (uint32_t i = 0; i < ARRAY_COUNT(unknown); i++) {
		ram[DATA] = 0xaa;
		assert_int_equal(ask(unknown[i], 0, 512), UNSUPPORTED);
		assert_int_equal(ram[DATA], 0xaa);
	}
}

/* ---- reading and writing ------------------------------------------------- */

static void sectors_are_read(void **state)
{
	(void)state;
	assert_int_equal(ask(IN, 0, 512), OK);
	expect_image(0, 512);
	assert_int_equal(used_length(0), 513);
	assert_int_equal(ask(IN, 3, KIB(12)), OK);
	expect_image(3, KIB(12));
	assert_int_equal(ask(IN, SECTORS - 1, 512), OK);
	expect_image(SECTORS - 1, 512);
	assert_int_equal(block.reads, 1 + 24 + 1);
	assert_int_equal(block.writes, 0);
}

static void sectors_are_written(void **state)
{
	(void)state;
	memset(ram + DATA, 0xaa, KIB(12));
	assert_int_equal(ask(OUT, 7, KIB(8) + 512), OK);
	assert_int_equal(used_length(0), 1);
	assert_int_equal(block.writes, 17);
	memset(ram + DATA, 0, KIB(32));
	assert_int_equal(ask(IN, 0, KIB(16)), OK);
	expect_bytes(7 * 512, 0xaa, KIB(8) + 512);
	expect_image(0, 7 * 512);
	for (uint32_t i = 24 * 512; i < KIB(16); i++)
		assert_int_equal(ram[DATA + i], pattern(i));
	/* The end of the disk, where a block is short. */
	memset(ram + DATA, 0xbb, 512);
	assert_int_equal(ask(OUT, SECTORS - 1, 512), OK);
	assert_int_equal(ask(IN, SECTORS - 2, 1024), OK);
	expect_image(SECTORS - 2, 512);
	expect_bytes(512, 0xbb, 512);
	for (uint64_t i = 0; i < SIZE; i++)
		assert_int_equal(image[i], pattern(i));
}

static void no_sectors_are_none(void **state)
{
	(void)state;
	assert_int_equal(ask(IN, 0, 0), OK);
	assert_int_equal(ask(IN, SECTORS, 0), OK);
	assert_int_equal(ask(OUT, SECTORS, 0), OK);
	assert_int_equal(ask(IN, SECTORS + 1, 0), IO_ERROR);
	assert_int_equal(block.disk.used, 0);
}

static void nothing_lies_behind_the_end(void **state)
{
	static const struct {
		uint64_t sector;
		uint32_t length;
	} rows[] = {
		{ SECTORS, 512 },
		{ SECTORS - 1, 1024 },
		{ SECTORS + 1, 512 },
		{ 0x80000000, 512 },
		/* Times 512 these are 0, and -512. */
		{ 1ull << 55, 512 },
		{ (1ull << 55) - 1, 512 },
		{ (1ull << 55) - 1, 1024 },
		{ ~0ull, 512 },
		{ ~0ull, 1024 },
		{ 0, SIZE + 512 }, /* the guest has no such memory either */
		{ 0, 0xfffffe00 },
	};

	(void)state;
	for (uint32_t i = 0; i < ARRAY_COUNT(rows); i++) {
		ram[DATA] = 0xaa;
		assert_int_equal(ask(IN, rows[i].sector, rows[i].length),
				 IO_ERROR);
		assert_int_equal(ask(OUT, rows[i].sector, rows[i].length),
				 IO_ERROR);
		assert_int_equal(ram[DATA], 0xaa);
	}
	assert_int_equal(block.disk.used, 0);
	assert_int_equal(block.reads + block.writes, 0);
}

static void sectors_are_whole(void **state)
{
	static const uint32_t lengths[] = { 1, 511, 513, 1023, 4095 };

	(void)state;
	for (uint32_t i = 0; i < ARRAY_COUNT(lengths); i++) {
		assert_int_equal(ask(IN, 0, lengths[i]), IO_ERROR);
		assert_int_equal(ask(OUT, 0, lengths[i]), IO_ERROR);
	}
	assert_int_equal(block.disk.used, 0);
}

static void a_disk_to_read_only_is_not_written(void **state)
{
	(void)state;
	assert_int_equal(ask(OUT, 0, 512), IO_ERROR);
	assert_int_equal(ask(OUT, 0, 0), IO_ERROR);
	assert_int_equal(ask(FLUSH, 0, 0), OK);
	assert_int_equal(ask(IN, 0, SIZE / 2 / 512 * 512), OK);
	expect_image(0, SIZE / 2 / 512 * 512);
	assert_int_equal(block.writes, 0);
}

/* ---- where the bytes of a request lie ------------------------------------- */

/* A header in three parts, one of them empty; the data in two odd ones, the
 * second of which is followed at once by the status. */
static void descriptors_can_be_odd(void **state)
{
	(void)state;
	put_header(IN, 9);
	describe(0, HEADER, 3, NEXT, 1);
	describe(1, HEADER, 0, NEXT, 2);
	describe(2, HEADER + 3, 13, NEXT, 3);
	describe(3, DATA, 7, NEXT | WRITE, 4);
	describe(4, DATA + 7, 512 - 7 + 1, WRITE, 0);
	ram[DATA + 512] = NONE;
	make_available(0);
	notify();
	work();
	expect_image(9, 512);
	assert_int_equal(ram[DATA + 512], OK);
	assert_int_equal(used_length(0), 513);

	/* Header and data in one; and a status behind an empty one. */
	put_32(DATA, OUT);
	put_64(DATA + 8, 9);
	memset(ram + DATA + 16, 0xaa, 512);
	describe(0, DATA, 528, NEXT, 1);
	describe(1, DATA, 0, NEXT | WRITE, 2);
	describe(2, STATUS_AT, 1, WRITE, 0);
	ram[STATUS_AT] = NONE;
	make_available(0);
	assert_int_equal(used_count(), 1);
	notify();
	assert_int_equal(finish(), OK);
	assert_int_equal(ask(IN, 9, 512), OK);
	expect_bytes(0, 0xaa, 512);
}

static void tables_can_be_indirect(void **state)
{
	(void)state;
	put_header(IN, 2);
	describe_at(INDIRECT, 0, HEADER, 16, NEXT, 1);
	describe_at(INDIRECT, 1, DATA, 1024, NEXT | WRITE, 2);
	describe_at(INDIRECT, 2, STATUS_AT, 1, WRITE, 0);
	describe(0, INDIRECT, 48, IN_TABLE, 0);
	make_available(0);
	notify();
	assert_int_equal(finish(), OK);
	expect_image(2, 1024);
}

/* Only one descriptor for the status, which is then read over. */
static void a_status_behind_all_that_there_is(void **state)
{
	(void)state;
	put_header(FLUSH, 0);
	memset(ram + DATA, NONE, 100);
	describe(0, HEADER, 16, NEXT, 1);
	describe(1, DATA, 100, WRITE, 0);
	make_available(0);
	notify();
	work();
	expect_bytes(0, NONE, 99);
	assert_int_equal(ram[DATA + 99], OK);
}

/* ---- rules that are broken ----------------------------------------------- */

static void a_request_has_a_header(void **state)
{
	(void)state;
	put_header(IN, 0);
	describe(0, HEADER, 15, NEXT, 1);
	describe(1, DATA, 513, WRITE, 0);
	expect_broken();
	describe(0, DATA, 513, WRITE, 0);
	expect_broken();
	describe(0, RAM_SIZE - 8, 16, NEXT, 1);
	describe(1, DATA, 513, WRITE, 0);
	expect_broken();
}

static void a_request_has_a_status(void **state)
{
	(void)state;
	put_header(OUT, 0);
	describe(0, HEADER, 16, NEXT, 1);
	describe(1, DATA, 512, 0, 0);
	expect_broken();
	describe(1, DATA, 0, WRITE, 0);
	expect_broken();
	put_header(FLUSH, 0);
	describe(1, RAM_SIZE, 1, WRITE, 0);
	expect_broken();
	put_header(99, 0);
	describe(1, ~0ull - 1, 1, WRITE, 0);
	expect_broken();
}

static void data_are_in_memory(void **state)
{
	(void)state;
	put_header(IN, 0);
	describe(0, HEADER, 16, NEXT, 1);
	describe(1, RAM_SIZE - 511, 512, NEXT | WRITE, 2);
	describe(2, STATUS_AT, 1, WRITE, 0);
	expect_broken();
	put_header(OUT, 0);
	describe(0, HEADER, 16, NEXT, 1);
	describe(1, 1ull << 40, 512, NEXT, 2);
	describe(2, STATUS_AT, 1, WRITE, 0);
	expect_broken();
	assert_int_equal(block.disk.used, 0);
	put_header(GET_ID, 0);
	describe(0, HEADER, 16, NEXT, 1);
	describe(1, RAM_SIZE - 4, 20, NEXT | WRITE, 2);
	describe(2, STATUS_AT, 1, WRITE, 0);
	expect_broken();
}

/* ---- long ones ----------------------------------------------------------- */

/* So many steps before it is done; what waits behind it is not begun. */
static uint32_t count_steps(void)
{
	uint32_t steps = 0;

	while (used_count() == 0) {
		assert_int_equal(ram[STATUS_AT], NONE);
		assert_true(steps++ < 100);
		guest_pci_work(&vm);
	}
	return steps;
}

static void a_long_request_is_done_in_pieces(void **state)
{
	(void)state;
	offer(IN, 1, KIB(192));
	make_available(0); /* the same once more */
	assert_int_equal(count_steps(), 2);
	expect_image(1, KIB(192));
	work();
	assert_int_equal(used_count(), 2);
	expect_image(1, KIB(192));

	/* By blocks now, of which the first and the last are parts. */
	fresh(state);
	memset(ram + DATA, 0xaa, KIB(192));
	offer(OUT, 1, KIB(192));
	assert_in_range(count_steps(), 3, 8);
	memset(ram + DATA, 0, KIB(192));
	set_up(VERSION_1);
	offer(IN, 1, KIB(192));
	assert_in_range(count_steps(), 3, 8);
	expect_bytes(0, 0xaa, KIB(192));
}

/* The guest may have its slot behind each step. */
static void short_requests_are_done_together(void **state)
{
	(void)state;
	offer(IN, 1, KIB(4));
	make_available(0);
	make_available(0);
	guest_pci_work(&vm);
	assert_int_equal(used_count(), 3);
	/* But not without end. */
	for (int i = 0; i < QUEUE_SIZE - 1; i++)
		make_available(0);
	notify();
	guest_pci_work(&vm);
	assert_in_range(used_count(), 3 + 2, 3 + 3);
	work();
	assert_int_equal(used_count(), 3 + QUEUE_SIZE - 1);
}

/* Whose walk alone costs as much as a step may. */
static void a_long_chain_is_only_taken_at_first(void **state)
{
	(void)state;
	put_header(IN, 0);
	describe_at(INDIRECT, 0, HEADER, 16, NEXT, 1);
	for (uint16_t i = 1; i < 127; i++)
		describe_at(INDIRECT, i, DATA + (i - 1) * 512, 512,
			    NEXT | WRITE, i + 1);
	describe_at(INDIRECT, 127, STATUS_AT, 1, WRITE, 0);
	describe(0, INDIRECT, 128 * 16, IN_TABLE, 0);
	make_available(0);
	notify();
	assert_true(guest_pci_work(&vm));
	assert_int_equal(ram[DATA + 1], 0);
	assert_int_equal(finish(), OK);
	expect_image(0, 126 * 512);
}

static void a_reset_ends_a_long_request(void **state)
{
	(void)state;
	offer(IN, 0, KIB(192));
	assert_true(guest_pci_work(&vm));
	set(STATUS, 1, 0);
	memset(ram + DATA, 0xaa, KIB(192));
	work();
	expect_bytes(0, 0xaa, KIB(192));
	assert_int_equal(ram[STATUS_AT], NONE);
	assert_int_equal(used_count(), 0);
	/* The next one is from its own beginning. */
	set_up(VERSION_1);
	assert_int_equal(ask(IN, 5, 512), OK);
	expect_image(5, 512);
	assert_int_equal(used_count(), 1);
}

/* What was written stays in a reset of the machine, too. */
static void a_reset_keeps_what_was_written(void **state)
{
	(void)state;
	memset(ram + DATA, 0xaa, 512);
	assert_int_equal(ask(OUT, 5, 512), OK);
	guest_pci_reset(&vm);
	set_up(VERSION_1);
	ram[DATA] = 0;
	assert_int_equal(ask(IN, 5, 512), OK);
	expect_bytes(0, 0xaa, 512);
}

static void a_full_room_is_told_once(void **state)
{
	(void)state;
	block.disk.places = 3;
	memset(ram + DATA, 0xaa, KIB(32));
	assert_int_equal(ask(OUT, 8, KIB(32)), IO_ERROR);
	assert_int_equal(lines, 1);
	assert_string_equal(line, "guest: mullion-disk1: the room for changes "
				  "is full, writes fail");
	assert_int_equal(ask(OUT, 80, 512), IO_ERROR);
	assert_int_equal(lines, 1);
	/* It is read still, and written where that needs no room. */
	assert_int_equal(ask(OUT, 8, KIB(12)), OK);
	memset(ram + DATA, 0, KIB(32));
	assert_int_equal(ask(IN, 8, KIB(16)), OK);
	expect_bytes(0, 0xaa, KIB(12));
	assert_int_equal(ram[DATA + KIB(12)], pattern(KIB(16)));
	virtio_block_start(&block);
	assert_int_equal(ask(OUT, 80, 512), IO_ERROR);
	assert_int_equal(lines, 2);
}

#define TEST(name) cmocka_unit_test_setup(name, fresh)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(it_says_what_it_is),
		TEST(it_has_an_id),
		TEST(requests_without_data),
		TEST(sectors_are_read),
		TEST(sectors_are_written),
		TEST(no_sectors_are_none),
		TEST(nothing_lies_behind_the_end),
		TEST(sectors_are_whole),
		cmocka_unit_test_setup(a_disk_to_read_only_is_not_written,
				       read_only),
		TEST(descriptors_can_be_odd),
		TEST(tables_can_be_indirect),
		TEST(a_status_behind_all_that_there_is),
		TEST(a_request_has_a_header),
		TEST(a_request_has_a_status),
		TEST(data_are_in_memory),
		TEST(a_long_request_is_done_in_pieces),
		TEST(short_requests_are_done_together),
		TEST(a_long_chain_is_only_taken_at_first),
		TEST(a_reset_ends_a_long_request),
		TEST(a_reset_keeps_what_was_written),
		TEST(a_full_room_is_told_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
