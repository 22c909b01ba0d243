/* SPDX-License-Identifier: MIT */
/* The driver and a model of a controller, which may misbehave. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "drivers/nvme.c"
#include "kernel/storage/block.c"

#include "disk_memory.h"
#include <cmocka.h>

static struct model {
	uint64_t capabilities, admin_sq, admin_cq;
	uint32_t cc, csts, aqa;
	struct model_queue {
		uint64_t sq, cq;
		uint32_t size, head, cq_tail;
		bool phase;
	} queues[2];
	uint8_t vwc, mdts;
	uint32_t format; /* of its sectors */
	uint64_t sectors;
	uint32_t first_namespace;
	uint32_t flushes, commands, enables, interrupts;

	/* What it does wrong. */
	bool never_ready, never_stops, silent, gone, wrong_id, twice;
	bool polled; /* it has no MSI-X, rather */
	uint16_t admin_status, status;
	uint32_t silent_for; /* commands */
} model;

static struct fake_function *function;

static void finish(struct model_queue *queue, uint16_t id, uint16_t status)
{
	struct nvme_completion *to = arch_direct(hpa(queue->cq));

	to += queue->cq_tail;
	to->id = id;
	to->queue_head = (uint16_t)queue->head;
	to->status = (uint16_t)(status << 1 | queue->phase);
	queue->cq_tail = (queue->cq_tail + 1) % queue->size;
	if (!queue->cq_tail)
		queue->phase = !queue->phase;
}

static void do_identify(const struct nvme_command *command)
{
	uint8_t *to = arch_direct(hpa(command->prp1));

	switch (command->words[0]) {
	case NVME_IDENTIFY_CONTROLLER:
		memset(to + IDENTIFY_MODEL, ' ', IDENTIFY_MODEL_SIZE);
		memcpy(to + IDENTIFY_MODEL, "Model 1", 7);
		to[IDENTIFY_MDTS] = model.mdts;
		to[IDENTIFY_VWC] = model.vwc;
		break;
	case NVME_IDENTIFY_LIST:
		memcpy(to, &model.first_namespace, 4);
		break;
	case NVME_IDENTIFY_NAMESPACE:
		assert_int_equal(command->namespace_id, model.first_namespace);
		memcpy(to + IDENTIFY_NSZE, &model.sectors, 8);
		to[IDENTIFY_FLBAS] = 3;
		memcpy(to + IDENTIFY_LBAF + 4 * 3, &model.format, 4);
		break;
	default:
		fail();
	}
}

static void do_admin(const struct nvme_command *command)
{
	struct model_queue *io = &model.queues[1];

	switch (command->opcode) {
	case NVME_IDENTIFY:
		do_identify(command);
		break;
	case NVME_SET_FEATURES:
		break;
	case NVME_CREATE_CQ:
		io->cq = command->prp1;
		io->size = (command->words[0] >> 16) + 1;
		io->cq_tail = 0;
		io->phase = true;
		assert_int_equal(command->words[1], model.polled ? 1 : 3);
		break;
	case NVME_CREATE_SQ:
		io->sq = command->prp1;
		io->head = 0;
		assert_int_equal(command->words[0] >> 16, io->size - 1);
		assert_int_equal(command->words[1], 0x10001);
		break;
	default:
		fail();
	}
	finish(&model.queues[0], command->id, model.admin_status);
}

/* As a controller walks over PRPs. */
static void transfer(const struct nvme_command *command)
{
	uint8_t *disk = model_disk[command->words[0]];
	uint64_t left = (command->words[2] + 1ull) * 512, at = command->prp1;
	uint64_t pages = (at % 4096 + left + 4095) / 4096;
	const uint64_t *list = pages > 2 ? arch_direct(hpa(command->prp2)) :
					   &command->prp2;

	assert_int_equal(at % 4, 0);
	assert_true(command->words[0] + command->words[2] < MODEL_SECTORS);
	assert_true(left <= 4096u << (model.mdts ? model.mdts : 10));
	if (pages > 2)
		assert_true(command->prp2 % 4096 + (pages - 1) * 8 <= 4096);
	while (left) {
		uint64_t length = 4096 - at % 4096;

		if (length > left)
			length = left;
		if (command->opcode == NVME_READ)
			memcpy(arch_direct(hpa(at)), disk, length);
		else
			memcpy(disk, arch_direct(hpa(at)), length);
		disk += length;
		left -= length;
		if (left) {
			at = *list++;
			assert_int_equal(at % 4096, 0);
		}
	}
}

static void do_io(const struct nvme_command *command)
{
	uint16_t id = model.wrong_id ? 77 : command->id;

	assert_int_equal(command->namespace_id, model.first_namespace);
	model.commands++;
	if (model.silent_for) {
		model.silent_for--;
		return;
	}
	if (command->opcode == NVME_FLUSH)
		model.flushes++;
	else if (!model.status)
		transfer(command);
	finish(&model.queues[1], id, model.status);
	if (model.twice)
		finish(&model.queues[1], id, 0);
	if (fake_message_count) {
		model.interrupts++;
		fake_messages[0].handler(fake_messages[0].context);
	}
}

static void ring_bell(uint32_t number, uint32_t tail)
{
	struct model_queue *queue = &model.queues[number / 2];

	assert_true(number < 4);
	assert_true(tail < queue->size);
	if (number & 1 || model.silent)
		return;
	while (queue->head != tail) {
		struct nvme_command command;

		memcpy(&command,
		       (struct nvme_command *)arch_direct(hpa(queue->sq)) +
			       queue->head,
		       sizeof command);
		queue->head = (queue->head + 1) % queue->size;
		if (queue == model.queues)
			do_admin(&command);
		else
			do_io(&command);
	}
}

static void set_enable(uint32_t value)
{
	struct model_queue *admin = &model.queues[0];

	if (value & 1 && !(model.cc & 1)) {
		model.enables++;
		*admin = (struct model_queue){ .sq = model.admin_sq,
					       .cq = model.admin_cq,
					       .size = (model.aqa & 0xfff) + 1,
					       .phase = true };
		model.csts = !model.never_ready;
	} else if (!(value & 1) && !model.never_stops) {
		model.csts = 0;
	}
	model.cc = value;
}

static uint64_t on_read(hpa_t at, uint32_t size)
{
	if (model.gone)
		return BITS(size * 8 - 1, 0);
	switch (at.value - BAR_AT) {
	case NVME_CAP:
		return model.capabilities;
	case NVME_CSTS:
		return model.csts;
	default:
		fail();
		return 0;
	}
}

static void on_write(hpa_t at, uint32_t size, uint64_t value)
{
	uint64_t offset = at.value - BAR_AT;
	uint32_t stride = 4u << field_get(CAP_DSTRD, model.capabilities);

	switch (offset) {
	case NVME_CC:
		set_enable((uint32_t)value);
		return;
	case NVME_AQA:
		model.aqa = (uint32_t)value;
		return;
	case NVME_ASQ:
		model.admin_sq = value;
		return;
	case NVME_ACQ:
		model.admin_cq = value;
		return;
	}
	if (offset >= 0x3000) /* the table of MSI-X */
		return;
	assert_int_equal(size, 4);
	assert_true(offset >= NVME_DOORBELLS);
	assert_int_equal((offset - NVME_DOORBELLS) % stride, 0);
	ring_bell((uint32_t)(offset - NVME_DOORBELLS) / stride,
		  (uint32_t)value);
}

static int fresh(void **state)
{
	(void)state;
	device_count = controller_count = ended = 0;
	disk_memory_start();
	model = (struct model){
		.capabilities = 1023 | 2ull << 24 | CAP_CSS_NVM,
		.vwc = 1,
		.mdts = 5,
		.format = 9 << 16,
		.sectors = MODEL_SECTORS,
		.first_namespace = 1,
	};
	fake_mmio_read = on_read;
	fake_mmio_write = on_write;
	fake_pci_start();
	function = fake_pci_add(3, 0x00101b36, PCI_CLASS_NVME);
	fake_pci_set_bar(function, 0, BAR_AT, 0x4000);
	fake_pci_add_capability(function, 0x40, PCI_CAPABILITY_MSIX, 0);
	function->config[0x11] = 0x3000;
	pci_quiesce();
	return 0;
}

static struct block_device *bring_it_up(void)
{
	nvme_start();
	assert_non_null(block_device_at(0));
	return block_device_at(0);
}

static void it_tells_of_its_disk(void **state)
{
	const struct block_device *disk = bring_it_up();

	(void)state;
	assert_string_equal(disk->name, "nvme0");
	assert_string_equal(disk->model, "Model 1");
	assert_int_equal(disk->sector_size, 512);
	assert_int_equal(disk->sector_count, MODEL_SECTORS);
	assert_int_equal(disk->command_max, 32 * 4096);
	assert_int_equal(disk->slots, NVME_QUEUE_SIZE - 1);
	assert_true(disk->ready && disk->write_cache && !disk->read_only);
	assert_int_equal(function->config[1] & 4, 4);
	assert_int_equal(fake_message_count, 1);
	assert_int_equal(model.aqa, 31 << 16 | 31);
	assert_int_equal(model.cc, 0x00460001);
}

static void it_reads_and_writes(void **state)
{
	struct block_segment segment = piece(0, 0, 1024);
	struct block_request request;

	(void)state;
	bring_it_up();
	request = request_of(BLOCK_READ, 5, &segment, 1);
	assert_int_equal(do_request(&request), ERR_NONE);
	assert_memory_equal(data[0], model_disk[5], 1024);
	memset(data[0], 0xaa, 1024);
	request = request_of(BLOCK_WRITE, 100, &segment, 1);
	assert_int_equal(do_request(&request), ERR_NONE);
	assert_memory_equal(model_disk[100], data[0], 1024);
	assert_int_equal(model_disk[102][0], (uint8_t)(102 * 512 * 7 + 102));
	assert_true(block_device_at(0)->interrupts);
}

/* One, two and many pages, from their start and from within. */
static void lists_of_pages_are_right(void **state)
{
	static const uint32_t offsets[] = { 0, 4, 512, 4092 };
	static const uint32_t sectors[] = { 1,	7,   8,	  9,   16,
					    17, 255, 256, 257, 600 };

	(void)state;
	bring_it_up();
	for (size_t i = 0; i < ARRAY_COUNT(offsets); i++)
		for (size_t j = 0; j < ARRAY_COUNT(sectors); j++) {
			struct block_segment segment = piece(1, offsets[i],
							     sectors[j] * 512);
			struct block_request request = request_of(
				BLOCK_READ, 11, &segment, 1);

			memset(data, 0, sizeof data);
			assert_int_equal(do_request(&request), ERR_NONE);
			assert_memory_equal(&data[1][offsets[i]],
					    model_disk[11], sectors[j] * 512);
			assert_int_equal(
				(&data[1][offsets[i]])[sectors[j] * 512], 0);
		}
}

static void segments_are_gathered(void **state)
{
	struct block_segment segments[] = { piece(9, 2048, 2048),
					    piece(3, 0, 4096), piece(5, 0, 512),
					    piece(20, 512, 1024) };
	struct block_request request;

	(void)state;
	bring_it_up();
	request = request_of(BLOCK_READ, 0, segments, 4);
	assert_int_equal(do_request(&request), ERR_NONE);
	assert_int_equal(model.commands, 2);
	assert_memory_equal(&data[9][2048], model_disk[0], 2048);
	assert_memory_equal(data[3], model_disk[4], 4096);
	assert_memory_equal(data[5], model_disk[12], 512);
	assert_memory_equal(&data[20][512], model_disk[13], 1024);
}

static void a_flush_reaches_it(void **state)
{
	struct block_request request;

	(void)state;
	bring_it_up();
	request = request_of(BLOCK_FLUSH, 0, NULL, 0);
	assert_int_equal(do_request(&request), ERR_NONE);
	assert_int_equal(model.flushes, 1);
}

/* Through more than one turn of its rings. */
static void many_requests_end(void **state)
{
	struct block_segment segments[100];
	struct block_request requests[100];

	(void)state;
	bring_it_up();
	for (uint32_t i = 0; i < 100; i++) {
		segments[i] = piece(i, 0, 512);
		requests[i] = request_of(BLOCK_READ, i * 3, &segments[i], 1);
		block_send(&requests[i]);
	}
	for (uint32_t i = 0; i < 100 && ended < 100; i++)
		block_poll();
	assert_int_equal(ended, 100);
	for (uint32_t i = 0; i < 100; i++)
		assert_memory_equal(data[i], model_disk[i * 3], 512);
}

static void an_error_is_the_requests_own(void **state)
{
	struct block_segment segment = piece(0, 0, 512);
	struct block_request request;

	(void)state;
	bring_it_up();
	model.status = 0x281; /* "Unrecovered Read Error" */
	request = request_of(BLOCK_READ, 0, &segment, 1);
	assert_int_equal(do_request(&request), ERR_DEVICE);
	model.status = 0;
	assert_int_equal(do_request(&request), ERR_NONE);
	assert_int_equal(model.enables, 1);
}

static void a_lost_command_costs_a_reset(void **state)
{
	struct block_segment segment = piece(0, 0, 512);
	struct block_request request;

	(void)state;
	bring_it_up();
	model.silent_for = 1;
	request = request_of(BLOCK_READ, 3, &segment, 1);
	assert_int_equal(do_request(&request), ERR_TIMEOUT);
	assert_int_equal(do_request(&request), ERR_NONE);
	assert_memory_equal(data[0], model_disk[3], 512);
	assert_int_equal(model.enables, 2);
	assert_int_equal(function->config[1] & 4, 4);
}

static void who_never_answers_is_given_up(void **state)
{
	struct block_segment segment = piece(0, 0, 512);
	struct block_request request;

	(void)state;
	bring_it_up();
	model.silent_for = 1000;
	request = request_of(BLOCK_READ, 3, &segment, 1);
	for (uint32_t i = 0; i <= BLOCK_FAILURES_MAX; i++)
		assert_int_equal(do_request(&request), ERR_TIMEOUT);
	assert_int_equal(do_request(&request), ERR_DEVICE);
	assert_int_equal(model.enables, 1 + BLOCK_FAILURES_MAX);
	assert_int_equal(function->config[1] & 4, 0);
}

/* Its memory is given back only when it cannot be written to any more. */
static void one_that_cannot_be_stopped_loses_the_bus(void **state)
{
	struct block_segment segment = piece(0, 0, 512);
	struct block_request request;

	(void)state;
	bring_it_up();
	model.silent_for = 1;
	model.never_stops = true;
	request = request_of(BLOCK_READ, 3, &segment, 1);
	block_send(&request);
	for (uint32_t i = 0; i < 100000 && !ended; i++) {
		assert_int_equal(function->config[1] & 4, 4);
		block_poll();
	}
	assert_int_equal(ended, 1);
	assert_int_equal(function->config[1] & 4, 0);
	assert_int_equal(request.error, ERR_DEVICE);
}

static void ends_of_what_does_not_run_reset_it(void **state)
{
	struct block_segment segment = piece(0, 0, 512);
	struct block_request request;

	(void)state;
	bring_it_up();
	model.wrong_id = true;
	request = request_of(BLOCK_READ, 3, &segment, 1);
	assert_int_equal(do_request(&request), ERR_TIMEOUT);
	model.wrong_id = false;
	assert_int_equal(do_request(&request), ERR_NONE);
	model.twice = true;
	assert_int_equal(do_request(&request), ERR_NONE);
	model.twice = false;
	assert_int_equal(do_request(&request), ERR_NONE);
	assert_int_equal(model.enables, 3);
}

static void a_fatal_status_resets_it(void **state)
{
	struct block_segment segment = piece(0, 0, 512);
	struct block_request request;

	(void)state;
	bring_it_up();
	model.csts |= CSTS_FATAL;
	model.silent_for = 1;
	request = request_of(BLOCK_READ, 3, &segment, 1);
	assert_int_equal(do_request(&request), ERR_TIMEOUT);
	assert_true(fake_time < 5000000000); /* it was not waited for */
	assert_int_equal(do_request(&request), ERR_NONE);
	model.gone = true;
	model.silent = true;
	assert_int_equal(do_request(&request), ERR_DEVICE);
	assert_true(block_device_at(0)->dead);
}

static void a_disk_that_comes_back_changed_is_given_up(void **state)
{
	struct block_segment segment = piece(0, 0, 512);
	struct block_request request;

	(void)state;
	bring_it_up();
	model.silent_for = 1;
	model.sectors = 100;
	request = request_of(BLOCK_READ, 3, &segment, 1);
	assert_int_equal(do_request(&request), ERR_TIMEOUT);
	assert_int_equal(do_request(&request), ERR_DEVICE);
	assert_int_equal(block_device_at(0)->sector_count, MODEL_SECTORS);
}

static void assert_no_disk(void)
{
	nvme_start();
	assert_null(block_device_at(0));
	assert_int_equal(function->config[1] & 4, 0);
}

static void who_does_not_start_is_no_disk(void **state)
{
	model.never_ready = true;
	assert_no_disk();
	fresh(state);
	model.silent = true;
	assert_no_disk();
	fresh(state);
	model.gone = true;
	assert_no_disk();
	fresh(state);
	model.csts = 1;
	model.never_stops = true;
	assert_no_disk();
	fresh(state);
	model.admin_status = 2;
	assert_no_disk();
}

static void what_it_says_of_itself_is_checked(void **state)
{
	model.format = 9 << 16 | 8; /* metadata */
	assert_no_disk();
	fresh(state);
	model.format = 11 << 16;
	assert_no_disk();
	fresh(state);
	model.format = 255 << 16;
	assert_no_disk();
	fresh(state);
	model.sectors = 0;
	assert_no_disk();
	fresh(state);
	model.sectors = UINT64_MAX;
	assert_no_disk();
	fresh(state);
	model.first_namespace = 0;
	assert_no_disk();
	fresh(state);
	model.first_namespace = UINT32_MAX;
	assert_no_disk();
	fresh(state);
	model.capabilities &= ~CAP_CSS_NVM;
	assert_no_disk();
	fresh(state);
	model.capabilities |= 1ull << 48; /* pages of 8 KiB at least */
	assert_no_disk();
	fresh(state);
	model.capabilities |= 15ull << 32; /* doorbells beyond its BAR */
	assert_no_disk();
	fresh(state);
	model.capabilities &= ~CAP_MQES;
	assert_no_disk();
	fresh(state);
	fake_pci_set_bar(function, 0, BAR_AT, 0x1000);
	assert_no_disk();
}

static void a_small_one_works_as_well(void **state)
{
	struct block_segment segments[8];
	struct block_request requests[8];

	(void)state;
	model.capabilities &= ~CAP_MQES;
	model.capabilities |= 1 | 1ull << 32; /* two entries; a stride of 8 */
	model.mdts = 1;
	model.polled = true;
	function->config[1] &= ~(uint32_t)BIT(20);
	assert_int_equal(bring_it_up()->slots, 1);
	assert_int_equal(block_device_at(0)->command_max, 8192);
	for (uint32_t i = 0; i < 8; i++) {
		segments[i] = piece(4 * i, 8, 12288);
		requests[i] = request_of(BLOCK_READ, i * 30, &segments[i], 1);
		block_send(&requests[i]);
	}
	for (uint32_t i = 0; i < 100 && ended < 8; i++)
		block_poll();
	for (uint32_t i = 0; i < 8; i++)
		assert_memory_equal(&data[4 * i][8], model_disk[i * 30], 12288);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup(name, fresh)
		TEST(it_tells_of_its_disk),
		TEST(it_reads_and_writes),
		TEST(lists_of_pages_are_right),
		TEST(segments_are_gathered),
		TEST(a_flush_reaches_it),
		TEST(many_requests_end),
		TEST(an_error_is_the_requests_own),
		TEST(a_lost_command_costs_a_reset),
		TEST(who_never_answers_is_given_up),
		TEST(one_that_cannot_be_stopped_loses_the_bus),
		TEST(ends_of_what_does_not_run_reset_it),
		TEST(a_fatal_status_resets_it),
		TEST(a_disk_that_comes_back_changed_is_given_up),
		TEST(who_does_not_start_is_no_disk),
		TEST(what_it_says_of_itself_is_checked),
		TEST(a_small_one_works_as_well),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
