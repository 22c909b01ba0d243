/* SPDX-License-Identifier: MIT */
/* A driver of a disk that is a partition, and a machine's disk that takes its
 * time. */
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

#define SIZE KIB(64)
#define HEADER 0x5000 /* 16 bytes each */
#define STATUS_AT 0x6000
#define DATA 0x8000

enum { IN = 0, OUT = 1, FLUSH = 4 };
enum { OK = 0, IO_ERROR = 1, NONE = 0xee };

static struct virtio_block block;
static struct block_flight flights[BLOCK_FLIGHTS];
static struct block_device machine_disk = { .sector_size = 4096 };
static struct block_partition partition = { .device = &machine_disk,
					    .size = SIZE };
static struct block_request *sent[2 * BLOCK_FLIGHTS];
static uint32_t sent_count;

void log_write(const char *format, ...)
{
	(void)format;
}

static void (*home_cpu)(void); /* is as quick as it can be, when kicked */

void arch_kick(uint32_t cpu)
{
	(void)cpu;
	if (home_cpu)
		home_cpu();
}

void block_send(struct block_request *request)
{
	assert_true(sent_count < ARRAY_COUNT(sent));
	assert_ptr_equal(request->partition, &partition);
	sent[sent_count++] = request;
}

/* The machine's disk has done request @index. */
static void come_back(uint32_t index, enum error error)
{
	sent[index]->error = error;
	sent[index]->done(sent[index]);
}

static int fresh(void **state)
{
	(void)state;
	ram_clear();
	memset(&vm, 0, sizeof vm);
	memset(&block, 0, sizeof block);
	fake_cpu_count = 1;
	sent_count = complaints = 0;
	slot = 2;
	vm.vcpus[0] = &first;
	vm.description.disks[1] = (struct mull_disk){
		.kind = MULL_DISK_PARTITION
	};
	virtio_block_init(&vm, &block, slot, 1);
	guest_pci_add(&vm, &block.device.function);
	block.partition = &partition;
	block.flights = flights;
	virtio_block_start(&block);
	guest_pci_reset(&vm);
	set_up(VERSION_1 | 1 << 28);
	return 0;
}

static void work(void)
{
	for (int i = 0; i < 100; i++)
		if (!guest_pci_work(&vm))
			return;
	fail_msg("the work does not end");
}

/* Request number @which, of an indirect table of its own. */
static void offer(uint32_t which, uint32_t type, uint64_t sector,
		  uint32_t length)
{
	uint64_t header = HEADER + which * 16, table = 0x7000 + which * 64;
	uint64_t data = DATA + which * 0x1000;

	put_32(header, type);
	put_64(header + 8, sector);
	ram[STATUS_AT + which] = NONE;
	describe_at(table, 0, header, 16, NEXT, 1);
	describe_at(table, 1, data, length,
		    (uint16_t)(NEXT | (type == OUT ? 0 : WRITE)), 2);
	describe_at(table, 2, STATUS_AT + which, 1, WRITE, 0);
	describe(which % QUEUE_SIZE, table, 3 * 16, IN_TABLE, 0);
	make_available((uint16_t)(which % QUEUE_SIZE));
	notify();
	work();
}

static uint8_t status(uint32_t which)
{
	return ram[STATUS_AT + which];
}

static void its_size_is_the_partitions(void **state)
{
	(void)state;
	assert_int_equal(guest_pci_read(&vm, gpa(bar() + 0x2000), 4),
			 SIZE / 512);
	assert_int_equal(guest_pci_read(&vm, gpa(bar() + 0x2014), 4), 4096);
}

static void requests_go_without_a_copy(void **state)
{
	(void)state;
	offer(0, IN, 8, 4096);
	assert_int_equal(sent_count, 1);
	assert_int_equal(sent[0]->operation, BLOCK_READ);
	assert_int_equal(sent[0]->offset, 4096);
	assert_int_equal(sent[0]->segment_count, 1);
	assert_int_equal(sent[0]->segments[0].at.value, DATA);
	assert_int_equal(sent[0]->segments[0].length, 4096);
	assert_int_equal(used_count(), 0);
	assert_true(virtio_block_flies(&block));
	come_back(0, ERR_NONE);
	assert_false(virtio_block_flies(&block));
	assert_int_equal(status(0), NONE); /* not before the home CPU works */
	work();
	assert_int_equal(status(0), OK);
	assert_int_equal(used_count(), 1);
	assert_int_equal(used_length(0), 4097);
	offer(1, OUT, 0, 4096);
	offer(2, FLUSH, 77, 0);
	assert_int_equal(sent[1]->operation, BLOCK_WRITE);
	assert_int_equal(sent[2]->operation, BLOCK_FLUSH);
	assert_int_equal(sent[2]->segment_count, 0);
	come_back(2, ERR_NONE);
	come_back(1, ERR_DEVICE);
	work();
	assert_int_equal(status(1), IO_ERROR);
	assert_int_equal(status(2), OK);
	assert_int_equal(used_length(1), 1);
}

static void what_cannot_be_is_not_sent(void **state)
{
	(void)state;
	offer(0, IN, 128, 4096); /* behind the end */
	offer(1, IN, 127, 4096);
	offer(2, IN, 1ull << 63, 512);
	offer(3, IN, 0, 513);
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(status(i), IO_ERROR);
	offer(4, IN, 0, 0);
	assert_int_equal(status(4), OK);
	assert_int_equal(sent_count, 0);
	block.read_only = true;
	offer(5, OUT, 0, 4096);
	assert_int_equal(status(5), IO_ERROR);
	assert_int_equal(complaints, 0);
	/* Data that are nowhere. */
	describe_at(0x7000 + 6 * 64, 0, HEADER, 16, NEXT, 1);
	put_32(HEADER, IN);
	put_64(HEADER + 8, 0);
	describe_at(0x7000 + 6 * 64, 1, RAM_SIZE - 256, 512, NEXT | WRITE, 2);
	describe_at(0x7000 + 6 * 64, 2, STATUS_AT, 1, WRITE, 0);
	describe(6, 0x7000 + 6 * 64, 3 * 16, IN_TABLE, 0);
	make_available(6);
	notify();
	work();
	assert_int_equal(complaints, 1);
	assert_int_equal(sent_count, 0);
}

/* More wait in the ring until one is back. */
static void only_so_many_fly(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < QUEUE_SIZE; i++)
		offer(i, IN, 0, 512);
	assert_int_equal(sent_count, BLOCK_FLIGHTS);
	block.free = 0;
	come_back(3, ERR_NONE);
	work();
	assert_int_equal(used_count(), 1);
	assert_int_equal(block.free, 8);
	offer(QUEUE_SIZE + 3, IN, 0, 512); /* with the descriptor of that */
	assert_int_equal(sent_count, BLOCK_FLIGHTS + 1);
	assert_int_equal(block.free, 0);
	put_16(DRIVER + 4, 0); /* and the next one */
	make_available(3);
	notify();
	work();
	assert_int_equal(sent_count, BLOCK_FLIGHTS + 1);
	come_back(0, ERR_NONE);
	work();
	assert_int_equal(sent_count, BLOCK_FLIGHTS + 2);
}

/* Before the service CPU is done with the one that made room. */
static void the_next_one_may_fly_at_once(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < QUEUE_SIZE; i++)
		offer(i, IN, 0, 512);
	offer(QUEUE_SIZE + 3, IN, 0, 512);
	assert_int_equal(sent_count, BLOCK_FLIGHTS);
	home_cpu = work;
	come_back(0, ERR_NONE);
	home_cpu = NULL;
	assert_int_equal(sent_count, BLOCK_FLIGHTS + 1);
	for (uint32_t i = 1; i < BLOCK_FLIGHTS; i++)
		come_back(i, ERR_NONE);
	assert_true(virtio_block_flies(&block));
	come_back(BLOCK_FLIGHTS, ERR_NONE);
	assert_false(virtio_block_flies(&block));
	work();
	assert_int_equal(used_count(), BLOCK_FLIGHTS + 1);
}

static bool found_flying;

static void look_whether_it_flies(void)
{
	found_flying = virtio_block_flies(&block);
}

/* Nobody kicks it a second time: an end that waits for the last one would wait
 * for ever. */
static void the_home_cpu_hears_of_the_last_one(void **state)
{
	(void)state;
	offer(0, IN, 0, 512);
	found_flying = true;
	home_cpu = look_whether_it_flies;
	come_back(0, ERR_NONE);
	home_cpu = NULL;
	assert_false(found_flying);
}

/* A reset is over when the disk does not touch the memory any more. */
static void a_reset_waits(void **state)
{
	(void)state;
	offer(0, IN, 0, 4096);
	offer(1, IN, 0, 4096);
	set(STATUS, 1, 0);
	assert_true(get(STATUS, 1));
	come_back(1, ERR_NONE);
	work();
	set(STATUS, 1, 1); /* too early */
	assert_true(get(STATUS, 1));
	come_back(0, ERR_NONE);
	assert_int_equal(get(STATUS, 1), 0);
	set_up(VERSION_1 | 1 << 28);
	work();
	assert_int_equal(status(0), NONE);
	assert_int_equal(status(1), NONE);
	assert_int_equal(used_count(), 0);
	offer(2, IN, 0, 4096);
	come_back(2, ERR_NONE);
	work();
	assert_int_equal(status(2), OK);
	assert_int_equal(used_count(), 1);
}

#define TEST(name) cmocka_unit_test_setup(name, fresh)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(its_size_is_the_partitions),
		TEST(requests_go_without_a_copy),
		TEST(what_cannot_be_is_not_sent),
		TEST(only_so_many_fly),
		TEST(the_next_one_may_fly_at_once),
		TEST(the_home_cpu_hears_of_the_last_one),
		TEST(a_reset_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
