/* SPDX-License-Identifier: MIT */
/* The driver of virtio disks, its transport and its ring, and a model of a
 * device that may misbehave. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "drivers/virtio_blk.c"
#include "kernel/storage/block.c"

#include "disk_memory.h"
#include <cmocka.h>

/* Where the model has its areas in BAR 4. */
#define COMMON 0x0000
#define CONFIG 0x2000
#define NOTIFY 0x3000
#define TABLE 0x1000 /* of MSI-X */

#define SIZE 64 /* of its queue */

static struct model {
	uint64_t features, accepted;
	uint32_t feature_select, driver_select;
	uint8_t status;
	uint16_t queue_select, queue_size, size_max, entry;
	bool enabled;
	uint64_t areas[3]; /* descriptors, driver, device */
	uint16_t taken, used;
	uint64_t capacity;
	uint32_t segments, segment_max, block_size;
	uint32_t flushes, commands, resets;

	/* What it does wrong. */
	bool never_resets, refuses_features, silent, gone, refuses_entry;
	uint32_t silent_for, wrong_head;
	uint8_t answer;
} model;

static struct fake_function *function;

static void give(uint16_t head, uint32_t length)
{
	uint8_t *device = arch_direct(hpa(model.areas[2]));
	uint32_t entry[2] = { head + model.wrong_head, length };

	memcpy(device + 4 + 8 * (model.used % model.queue_size), entry, 8);
	model.used++;
	memcpy(device + 2, &model.used, 2);
	if (model.entry == 0)
		fake_messages[0].handler(fake_messages[0].context);
}

static void do_chain(uint16_t head)
{
	struct {
		uint64_t at;
		uint32_t length;
		uint16_t flags, next;
	} now;
	struct header header = { 0 };
	uint8_t *disk = NULL, status = model.answer;
	uint16_t at = head;
	uint32_t count = 0;

	for (;; at = now.next) {
		void *bytes;

		assert_true(at < model.queue_size && count <= SIZE);
		memcpy(&now,
		       (uint8_t *)arch_direct(hpa(model.areas[0])) + 16 * at,
		       sizeof now);
		bytes = arch_direct(hpa(now.at));
		if (count++ == 0) {
			assert_int_equal(now.flags, 1);
			memcpy(&header, bytes, sizeof header);
			disk = model_disk[header.sector % MODEL_SECTORS];
		} else if (!(now.flags & 1)) {
			assert_int_equal(now.flags, 2);
			assert_int_equal(now.length, 1);
			memcpy(bytes, &status, 1);
			break;
		} else if (header.type == TYPE_IN) {
			assert_int_equal(now.flags, 3);
			memcpy(bytes, disk, now.length);
			disk += now.length;
		} else {
			assert_int_equal(header.type, TYPE_OUT);
			assert_int_equal(now.flags, 1);
			memcpy(disk, bytes, now.length);
			disk += now.length;
		}
	}
	assert_true(count <= model.segments + 2);
	model.flushes += header.type == TYPE_FLUSH;
	give(head, UINT32_MAX);
}

static void on_notify(void)
{
	const uint16_t *driver = arch_direct(hpa(model.areas[1]));

	assert_true(model.enabled);
	assert_int_equal(model.status & 0xbf, 0xf);
	while (!model.silent && model.taken != driver[1]) {
		uint16_t head = driver[2 + model.taken++ % model.queue_size];

		model.commands++;
		if (model.silent_for)
			model.silent_for--;
		else
			do_chain(head);
	}
}

static uint64_t config_read(uint32_t offset)
{
	switch (offset) {
	case CONFIG_CAPACITY:
		return (uint32_t)model.capacity;
	case CONFIG_CAPACITY + 4:
		return model.capacity >> 32;
	case CONFIG_SIZE_MAX:
		return model.segment_max;
	case CONFIG_SEG_MAX:
		return model.segments;
	case CONFIG_BLOCK_SIZE:
		return model.block_size;
	}
	fail();
	return 0;
}

static uint64_t on_read(hpa_t at, uint32_t size)
{
	uint32_t offset = (uint32_t)(at.value - BAR_AT);

	if (model.gone)
		return BITS(8 * size - 1, 0);
	if (offset >= CONFIG)
		return config_read(offset - CONFIG);
	switch (offset) {
	case 0x04:
		return (uint32_t)(model.features >> 32 * model.feature_select);
	case 0x14:
		return model.status;
	case 0x18:
		return model.queue_select ? 0 : model.size_max;
	case 0x1a:
		return model.entry;
	case 0x1e:
		return 2;
	}
	fail();
	return 0;
}

static void set_status(uint8_t value)
{
	if (!value) {
		model.resets++;
		model.enabled = false;
		model.taken = model.used = 0;
		model.accepted = 0;
		if (model.never_resets)
			return;
	}
	if (value & 8 && model.refuses_features)
		value &= 0xf7;
	model.status = value;
}

static void on_write(hpa_t at, uint32_t size, uint64_t value)
{
	uint32_t offset = (uint32_t)(at.value - BAR_AT);

	if (offset >= TABLE && offset < CONFIG)
		return;
	if (offset == NOTIFY + 2 * 4) {
		assert_int_equal(size, 2);
		assert_int_equal(value, 0);
		on_notify();
		return;
	}
	switch (offset) {
	case 0x00:
		model.feature_select = (uint32_t)value;
		return;
	case 0x08:
		model.driver_select = (uint32_t)value;
		return;
	case 0x0c:
		model.accepted |= value << 32 * model.driver_select;
		return;
	case 0x10:
		assert_int_equal(value, 0xffff);
		return;
	case 0x14:
		set_status((uint8_t)value);
		return;
	case 0x16:
		model.queue_select = (uint16_t)value;
		return;
	case 0x18:
		model.queue_size = (uint16_t)value;
		return;
	case 0x1a:
		model.entry = model.refuses_entry ? 0xffff : (uint16_t)value;
		return;
	case 0x1c:
		model.enabled = true;
		return;
	}
	assert_int_equal(size, 4);
	assert_true(offset >= 0x20 && offset < 0x38);
	memcpy((uint8_t *)model.areas + offset - 0x20, &value, 4);
}

static void add_area(uint8_t at, uint32_t type, uint32_t offset,
		     uint32_t length)
{
	fake_pci_add_capability(function, at, PCI_CAPABILITY_VENDOR,
				type << 8 | 16);
	function->config[at / 4 + 1] = 4;
	function->config[at / 4 + 2] = offset;
	function->config[at / 4 + 3] = length;
}

static int fresh(void **state)
{
	(void)state;
	device_count = disk_count = ended = 0;
	disk_memory_start();
	model = (struct model){
		.features = 1ull << 32 | FEATURE_SEG_MAX | FEATURE_BLOCK_SIZE |
			    FEATURE_FLUSH | BIT(28),
		.size_max = SIZE,
		.capacity = MODEL_SECTORS,
		.segments = 16,
		.block_size = 512,
	};
	fake_mmio_read = on_read;
	fake_mmio_write = on_write;
	fake_pci_start();
	function = fake_pci_add(4, 0x10421af4, 0x010000);
	fake_pci_set_bar(function, 4, BAR_AT, 0x4000);
	fake_pci_add_capability(function, 0x40, PCI_CAPABILITY_MSIX, 1);
	function->config[0x11] = TABLE | 4;
	add_area(0x50, 4, CONFIG, 0x40);
	add_area(0x60, 1, COMMON, 0x38);
	add_area(0x80, 2, NOTIFY, 0x100);
	function->config[0x90 / 4] = 4; /* 4 bytes apart */
	pci_quiesce();
	return 0;
}

static struct block_device *bring_it_up(void)
{
	virtio_blk_start();
	assert_non_null(block_device_at(0));
	return block_device_at(0);
}

static void it_tells_of_its_disk(void **state)
{
	const struct block_device *disk = bring_it_up();

	(void)state;
	assert_string_equal(disk->name, "vd0");
	assert_int_equal(disk->sector_size, 512);
	assert_int_equal(disk->sector_count, MODEL_SECTORS);
	assert_int_equal(disk->segments_max, 16);
	assert_true(disk->ready && disk->write_cache && !disk->read_only);
	/* What it did not ask for it has not got. */
	assert_true(model.accepted == (1ull << 32 | FEATURE_SEG_MAX |
				       FEATURE_BLOCK_SIZE | FEATURE_FLUSH));
	assert_int_equal(model.queue_size, SIZE);
	assert_int_equal(model.entry, 0);
	assert_int_equal(model.status, 0xf);
}

static void it_reads_and_writes(void **state)
{
	struct block_segment segments[] = { piece(0, 3, 100),
					    piece(7, 11, 924) };
	struct block_request request;

	(void)state;
	bring_it_up();
	request = request_of(BLOCK_READ, 5, segments, 2);
	assert_int_equal(do_request(&request), ERR_NONE);
	assert_memory_equal(&data[0][3], model_disk[5], 100);
	assert_memory_equal(&data[7][11], &model_disk[5][100], 924);
	memset(data, 0x55, sizeof data);
	request = request_of(BLOCK_WRITE, 9, segments, 2);
	assert_int_equal(do_request(&request), ERR_NONE);
	assert_memory_equal(model_disk[9], data[0], 1024);
	assert_true(block_device_at(0)->interrupts);
}

static void a_flush_reaches_it(void **state)
{
	struct block_request request;

	(void)state;
	bring_it_up();
	request = request_of(BLOCK_FLUSH, 0, NULL, 0);
	assert_int_equal(do_request(&request), ERR_NONE);
	assert_int_equal(model.flushes, 1);
	fresh(NULL);
	model.features &= ~FEATURE_FLUSH;
	assert_false(bring_it_up()->write_cache);
	assert_int_equal(do_request(&request), ERR_NONE);
	assert_int_equal(model.commands, 0);
}

/* More than the ring has descriptors for, and round it more than once. */
static void many_requests_end(void **state)
{
	static struct block_segment segments[100][8];
	struct block_request requests[100];

	(void)state;
	bring_it_up();
	for (uint32_t i = 0; i < 100; i++) {
		for (uint32_t j = 0; j < 8; j++)
			segments[i][j] = piece(i, 512 * (7 - j), 512);
		requests[i] = request_of(BLOCK_READ, i * 8, segments[i], 8);
		block_send(&requests[i]);
	}
	model.silent = true;
	block_poll();
	assert_int_equal(ended, 0);
	assert_int_equal(block_device_at(0)->running, SIZE / 10);
	model.silent = false;
	on_notify();
	for (uint32_t i = 0; i < 1000 && ended < 100; i++)
		block_poll();
	assert_int_equal(ended, 100);
	for (uint32_t i = 0; i < 100; i++)
		for (uint32_t j = 0; j < 8; j++)
			assert_memory_equal(&data[i][512 * (7 - j)],
					    model_disk[i * 8 + j], 512);
}

static void sectors_of_4096_bytes_are_counted_in_512(void **state)
{
	struct block_segment segment = piece(0, 0, 4096);
	struct block_request request;

	(void)state;
	model.block_size = 4096;
	model.features |= FEATURE_READ_ONLY | FEATURE_SIZE_MAX;
	model.segment_max = 9000;
	assert_int_equal(bring_it_up()->sector_count, MODEL_SECTORS / 8);
	assert_true(block_device_at(0)->read_only);
	assert_int_equal(block_device_at(0)->command_max, 8192);
	request = request_of(BLOCK_READ, 3, &segment, 1);
	assert_int_equal(do_request(&request), ERR_NONE);
	assert_memory_equal(data[0], model_disk[24], 4096);
}

static void an_error_is_the_requests_own(void **state)
{
	struct block_segment segment = piece(0, 0, 512);
	struct block_request request;

	(void)state;
	bring_it_up();
	model.answer = 1;
	request = request_of(BLOCK_READ, 0, &segment, 1);
	assert_int_equal(do_request(&request), ERR_DEVICE);
	model.answer = STATUS_NONE; /* it said nothing */
	assert_int_equal(do_request(&request), ERR_DEVICE);
	model.answer = 0;
	assert_int_equal(do_request(&request), ERR_NONE);
	assert_int_equal(model.resets, 1);
}

static void a_lost_command_costs_a_reset(void **state)
{
	struct block_segment segment = piece(0, 0, 512);
	struct block_request request;

	(void)state;
	bring_it_up();
	request = request_of(BLOCK_READ, 3, &segment, 1);
	for (uint32_t i = 0; i < 5; i++)
		assert_int_equal(do_request(&request), ERR_NONE);
	model.silent_for = 1;
	assert_int_equal(do_request(&request), ERR_TIMEOUT);
	assert_int_equal(model.resets, 2);
	assert_int_equal(do_request(&request), ERR_NONE);
	model.silent_for = 1000;
	for (uint32_t i = 0; i <= BLOCK_FAILURES_MAX; i++)
		assert_int_equal(do_request(&request), ERR_TIMEOUT);
	assert_int_equal(do_request(&request), ERR_DEVICE);
	assert_int_equal(function->config[1] & 4, 0);
}

static void one_that_cannot_be_reset_loses_the_bus(void **state)
{
	struct block_segment segment = piece(0, 0, 512);
	struct block_request request;

	(void)state;
	bring_it_up();
	model.silent_for = 1;
	model.never_resets = true;
	request = request_of(BLOCK_READ, 3, &segment, 1);
	assert_int_equal(do_request(&request), ERR_DEVICE);
	assert_int_equal(function->config[1] & 4, 0);
}

static void a_wrong_chain_resets_it(void **state)
{
	struct block_segment segment = piece(0, 0, 512);
	struct block_request request;

	(void)state;
	bring_it_up();
	request = request_of(BLOCK_READ, 3, &segment, 1);
	model.wrong_head = 1; /* within another chain */
	assert_int_equal(do_request(&request), ERR_TIMEOUT);
	model.wrong_head = 0xffff0000;
	assert_int_equal(do_request(&request), ERR_TIMEOUT);
	model.wrong_head = 0;
	assert_int_equal(do_request(&request), ERR_NONE);
	assert_int_equal(model.resets, 3);
	assert_true(fake_time < 5000000000); /* it was not waited for */
	model.used += 1000;		     /* more than there can be */
	do_request(&request);
	assert_int_equal(do_request(&request), ERR_NONE);
	assert_int_equal(model.resets, 4);
}

static void who_asks_for_a_reset_gets_one(void **state)
{
	struct block_segment segment = piece(0, 0, 512);
	struct block_request request;

	(void)state;
	bring_it_up();
	request = request_of(BLOCK_READ, 3, &segment, 1);
	model.silent_for = 1;
	model.status |= 0x40;
	assert_int_equal(do_request(&request), ERR_TIMEOUT);
	assert_true(fake_time < 5000000000);
	assert_int_equal(do_request(&request), ERR_NONE);
	assert_int_equal(model.resets, 2);
}

static void assert_no_disk(void)
{
	virtio_blk_start();
	assert_null(block_device_at(0));
	assert_int_equal(function->config[1] & 4, 0);
}

static void who_does_not_start_is_no_disk(void **state)
{
	model.never_resets = true;
	model.status = 1;
	assert_no_disk();
	fresh(state);
	model.gone = true;
	assert_no_disk();
	fresh(state);
	model.refuses_features = true;
	assert_no_disk();
	fresh(state);
	model.features &= UINT32_MAX; /* an old one */
	assert_no_disk();
	fresh(state);
	model.size_max = 3;
	assert_no_disk();
	fresh(state);
	model.block_size = 1024;
	assert_no_disk();
	fresh(state);
	model.capacity = 0;
	assert_no_disk();
	fresh(state);
	model.capacity = UINT64_MAX;
	assert_no_disk();
	fresh(state);
	model.segments = 0;
	assert_no_disk();
	fresh(state);
	model.features |= FEATURE_SIZE_MAX; /* of no bytes */
	assert_no_disk();
}

static void its_areas_must_lie_in_their_bars(void **state)
{
	static const struct {
		uint32_t word, value;
	} changes[] = {
		{ 0x64 / 4, 2 },	  { 0x64 / 4, 0xff },
		{ 0x68 / 4, 0x3ff0 },	  { 0x68 / 4, 0xfffffff0 },
		{ 0x68 / 4, 2 },	  { 0x6c / 4, 0x37 },
		{ 0x6c / 4, 0xffffffff }, { 0x8c / 4, 1 },
		{ 0x88 / 4, 0x4000 },	  { 0x90 / 4, 3 },
		{ 0x60 / 4, 0 },
	};

	for (size_t i = 0; i < ARRAY_COUNT(changes); i++) {
		fresh(state);
		function->config[changes[i].word] = changes[i].value;
		assert_no_disk();
	}
}

static void without_interrupts_it_is_polled(void **state)
{
	struct block_segment segment = piece(0, 0, 512);
	struct block_request request;

	(void)state;
	model.refuses_entry = true;
	bring_it_up();
	request = request_of(BLOCK_READ, 3, &segment, 1);
	assert_int_equal(do_request(&request), ERR_NONE);
	assert_false(block_device_at(0)->interrupts);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup(name, fresh)
		TEST(it_tells_of_its_disk),
		TEST(it_reads_and_writes),
		TEST(a_flush_reaches_it),
		TEST(many_requests_end),
		TEST(sectors_of_4096_bytes_are_counted_in_512),
		TEST(an_error_is_the_requests_own),
		TEST(a_lost_command_costs_a_reset),
		TEST(one_that_cannot_be_reset_loses_the_bus),
		TEST(a_wrong_chain_resets_it),
		TEST(who_asks_for_a_reset_gets_one),
		TEST(who_does_not_start_is_no_disk),
		TEST(its_areas_must_lie_in_their_bars),
		TEST(without_interrupts_it_is_polled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
