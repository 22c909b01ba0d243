/* SPDX-License-Identifier: MIT */
/* The driver of 82574 network cards, and a model of one that may misbehave. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "drivers/e1000e.c"

#include "nic_machine.h"

static const uint8_t address[MAC_SIZE] = { 0x52, 0x54, 0, 1, 2, 3 };

static struct model {
	uint32_t registers[REGISTERS / 4];
	uint32_t causes, sent, sent_length, resets, touched;
	bool link;

	/* What it does wrong. */
	bool holds, gone, never_resets, never_rests, no_interrupts;
} model;

static struct fake_function *function;

static uint32_t *at_offset(uint32_t offset)
{
	return &model.registers[offset / 4];
}

static uint64_t queue_at(uint32_t queue)
{
	return *at_offset(queue + QUEUE_LOW) |
	       (uint64_t)*at_offset(queue + QUEUE_HIGH) << 32;
}

static void reset_model(void)
{
	uint32_t high = 0;

	memset(model.registers, 0, sizeof model.registers);
	memcpy(at_offset(RAL), address, 4);
	memcpy(&high, address + 4, 2);
	*at_offset(RAH) = high | (uint32_t)RAH_VALID;
	*at_offset(EECD) = EECD_AUTO_READ;
}

/* Has sent @count more, from its head. */
static void send_held(uint32_t count)
{
	struct send_descriptor *descriptors = arch_direct(
		hpa(queue_at(SEND_QUEUE)));
	uint32_t *head = at_offset(SEND_QUEUE + QUEUE_HEAD);

	while (count-- && *head != *at_offset(SEND_QUEUE + QUEUE_TAIL)) {
		struct send_descriptor *descriptor = &descriptors[*head];
		const uint8_t *bytes = arch_direct(hpa(descriptor->at));

		assert_int_equal(descriptor->command, 0xb);
		model.sent_length = descriptor->length;
		for (uint32_t i = 0; i < descriptor->length; i++)
			assert_int_equal(bytes[i], byte_of(model.sent, i));
		descriptor->status |= SEND_DONE;
		model.sent++;
		*head = (*head + 1) % SEND_BUFFERS;
	}
}

static void interrupt(uint32_t cause)
{
	model.causes |= cause;
	if (*at_offset(IMS) & cause && !model.no_interrupts)
		fake_messages[0].handler(fake_messages[0].context);
}

/* A packet has come; its descriptor is written with these. */
static bool write_back(uint32_t number, uint32_t length, uint16_t said,
		       uint8_t status, uint8_t errors)
{
	struct receive_descriptor *descriptors = arch_direct(
		hpa(queue_at(RECEIVE_QUEUE)));
	uint32_t *head = at_offset(RECEIVE_QUEUE + QUEUE_HEAD);
	struct receive_descriptor *descriptor = &descriptors[*head];
	uint8_t *bytes;

	if (*head == *at_offset(RECEIVE_QUEUE + QUEUE_TAIL))
		return false;
	bytes = arch_direct(hpa(descriptor->at));
	for (uint32_t i = 0; i < length; i++)
		bytes[i] = byte_of(number, i);
	memset(descriptor, 0xff, sizeof *descriptor);
	descriptor->length = said;
	descriptor->errors = errors;
	descriptor->status = status;
	*head = (*head + 1) % RECEIVE_BUFFERS;
	interrupt(CAUSE_RECEIVE);
	return true;
}

static bool deliver(uint32_t number, uint32_t length)
{
	return write_back(number, length, (uint16_t)length,
			  RECEIVE_DONE | RECEIVE_END, 0);
}

static uint64_t on_read(hpa_t at, uint32_t size)
{
	uint32_t offset = (uint32_t)(at.value - BAR_AT);
	uint32_t causes = model.causes;

	model.touched++;
	assert_int_equal(size, 4);
	assert_true(offset < REGISTERS);
	if (model.gone)
		return UINT32_MAX;
	if (offset == ICR) {
		model.causes = 0;
		return causes;
	}
	if (offset == STATUS)
		return (model.link ? STATUS_LINK_UP : 0) |
		       (model.never_rests ? STATUS_MASTER_ENABLE : 0);
	return *at_offset(offset);
}

static void on_write(hpa_t at, uint32_t size, uint64_t value)
{
	uint32_t offset = (uint32_t)(at.value - BAR_AT);

	model.touched++;
	if (model.gone || offset >= REGISTERS)
		return;
	assert_int_equal(size, 4);
	*at_offset(offset) = (uint32_t)value;
	if (offset == CTRL && value & CTRL_RESET && !model.never_resets) {
		model.resets++;
		reset_model();
	}
	if (offset == SEND_QUEUE + QUEUE_TAIL && *at_offset(TCTL) &&
	    !model.holds)
		send_held(SEND_BUFFERS);
}

static int fresh(void **state)
{
	(void)state;
	nic_machine_start();
	memset(&model, 0, sizeof model);
	model.link = true;
	reset_model();
	fake_mmio_read = on_read;
	fake_mmio_write = on_write;
	function = fake_pci_add(4, 0x10d38086, PCI_CLASS_ETHERNET);
	fake_pci_set_bar(function, 0, BAR_AT, REGISTERS);
	fake_pci_set_bar(function, 2, BAR_AT + 0x100000, 0x4000);
	fake_pci_add_capability(function, 0x40, PCI_CAPABILITY_MSIX, 4);
	function->config[0x11] = 2; /* in BAR 2 */
	return 0;
}

static void its_address_and_link_are_found(void **state)
{
	(void)state;
	find_it();
	assert_memory_equal(nic->mac, address, MAC_SIZE);
	assert_true(nic->link && !nic->dead && !nic->ready);
	assert_int_equal(model.resets, 1);
	/* At rest: it may read and write no memory. */
	assert_int_equal(function->config[1] & 4, 0);
	assert_int_equal(*at_offset(RCTL) | *at_offset(TCTL), 0);
	model.link = false;
	nic->driver->check(nic);
	assert_false(nic->link);
	model.gone = true;
	nic->driver->check(nic);
	assert_false(nic->link);
}

static void it_is_set_up_to_take_all(void **state)
{
	(void)state;
	bring_it_up();
	assert_int_equal(function->config[1] & 4, 4);
	assert_int_equal(*at_offset(RCTL), 0x0400801a);
	assert_int_equal(*at_offset(RECEIVE_QUEUE + QUEUE_LENGTH), 2048);
	assert_int_equal(*at_offset(SEND_QUEUE + QUEUE_LENGTH), 1024);
	assert_int_equal(*at_offset(RECEIVE_QUEUE + QUEUE_TAIL), 127);
	assert_int_equal(*at_offset(IVAR), 0x80008);
}

static void it_sends_and_receives(void **state)
{
	(void)state;
	bring_it_up();
	for (uint32_t i = 0; i < 300; i++) {
		uint32_t length = 14 + i * 5;

		assert_true(send_one(i, length));
		nic->driver->flush(nic);
		assert_int_equal(model.sent, i + 1);
		assert_int_equal(model.sent_length, length);
		assert_true(deliver(i, length));
		rounds(1);
		assert_int_equal(nic->waiting, 0);
		assert_int_equal(received.count, i + 1);
		assert_int_equal(received.length, length);
		for (uint32_t j = 0; j < length; j++)
			assert_int_equal(received.bytes[j], byte_of(i, j));
	}
	assert_int_equal(nic->resets, 0);
}

static void its_buffers_run_out_and_come_back_in_order(void **state)
{
	(void)state;
	bring_it_up();
	model.holds = true;
	for (uint32_t turn = 0; turn < 3; turn++) {
		uint32_t count = 0;

		while (send_one(model.sent + count, 60))
			count++;
		assert_int_equal(count, SEND_BUFFERS - 1);
		nic->driver->flush(nic);
		rounds(1);
		assert_int_equal(nic->waiting, count);
		send_held(10);
		rounds(1);
		assert_int_equal(nic->waiting, count - 10);
		send_held(SEND_BUFFERS);
		rounds(1);
		assert_int_equal(nic->waiting, 0);
	}
	assert_int_equal(model.sent, 3 * (SEND_BUFFERS - 1));
}

static void a_round_takes_so_many_and_no_more(void **state)
{
	uint32_t count = 0;

	(void)state;
	bring_it_up();
	while (deliver(count, 60))
		count++;
	assert_int_equal(count, RECEIVE_BUFFERS - 1);
	for (uint32_t i = 1; i <= count / 16; i++) {
		assert_true(nic_poll(nic));
		assert_int_equal(received.count, 16 * i);
	}
	assert_false(nic_poll(nic));
	assert_int_equal(received.count, count);
	assert_true(deliver(0, 60)); /* it has got its buffers back */
}

static void wrong_packets_are_none(void **state)
{
	static const struct {
		uint16_t length;
		uint8_t status, errors;
	} wrong[] = {
		{ 0, 3, 0 },
		{ 13, 3, 0 },
		{ 1519, 3, 0 },
		{ 2048, 3, 0 },
		{ 2049, 3, 0 },
		{ 0xffff, 3, 0 },
		{ 60, 3, 0x01 },
		{ 60, 3, 0x80 },
		{ 60, 3, 0xff },
		/* Pieces of one that is too long: the last is none, either. */
		{ 2048, 1, 0 },
		{ 1000, 1, 0 },
		{ 60, 3, 0 },
	};

	(void)state;
	bring_it_up();
	for (size_t i = 0; i < ARRAY_COUNT(wrong); i++)
		assert_true(write_back(0, 60, wrong[i].length, wrong[i].status,
				       wrong[i].errors));
	rounds(2);
	assert_int_equal(received.count, 0);
	assert_int_equal(nic->malformed, ARRAY_COUNT(wrong));
	assert_true(nic->received_bytes <= NIC_BUFFER_SIZE * 4);
	assert_true(deliver(7, 1518) && deliver(7, 14));
	/* Checksums are not its business. */
	assert_true(write_back(7, 60, 60, 3, 0x60));
	rounds(1);
	assert_int_equal(received.count, 3);
}

/* It fills all descriptors, those too that it does not have, with addresses
 * that are not its own. */
static void what_it_writes_of_addresses_is_not_believed(void **state)
{
	const struct card *card;

	(void)state;
	bring_it_up();
	card = nic->state;
	memset(card->descriptors, 0xff, sizeof *card->descriptors);
	for (uint32_t i = 0; i < 100; i++) {
		rounds(1);
		assert_true(nic->received <= 16 * (i + 1));
	}
	assert_int_equal(received.count, 0);
	assert_int_equal(nic->waiting, 0);
	for (uint32_t i = 0; i < RECEIVE_BUFFERS; i++)
		assert_true(card->descriptors->receive[i].at ==
			    arch_physical(card->receive_buffers +
					  i * NIC_BUFFER_SIZE)
				    .value);
	/* What is sent has its own descriptor again. */
	assert_true(send_one(0, 60));
	assert_true(card->descriptors->send[0].at ==
		    arch_physical(card->send_buffers).value);
	assert_int_equal(card->descriptors->send[0].status, 0);
}

static void one_that_vanishes_is_given_up(void **state)
{
	uint32_t touched;

	(void)state;
	bring_it_up();
	assert_true(send_one(0, 60));
	model.gone = true;
	rounds(3000);
	assert_given_up();
	assert_int_equal(nic->resets, 1);
	touched = model.touched;
	rounds(3000);
	assert_int_equal(model.touched, touched);
}

static void one_that_never_resets_loses_the_bus(void **state)
{
	(void)state;
	bring_it_up();
	model.never_resets = true;
	nic_reset(nic, "test");
	rounds(5000);
	assert_given_up();
}

/* It says that it still reads and writes: it is reset all the same. */
static void one_that_never_rests_is_reset(void **state)
{
	(void)state;
	bring_it_up();
	model.never_rests = true;
	nic_reset(nic, "test");
	rounds(20);
	assert_int_equal(model.resets, 1);
	rounds(1000);
	assert_int_equal(model.resets, 2);
	assert_true(nic->ready);
}

static void after_a_reset_it_works(void **state)
{
	(void)state;
	bring_it_up();
	model.holds = true;
	for (uint32_t i = 0; i < 40; i++)
		assert_true(deliver(i, 60) && send_one(i, 60));
	nic_reset(nic, "test");
	assert_false(nic->ready);
	rounds(100);
	assert_true(nic->ready);
	assert_int_equal(received.count, 0);
	assert_int_equal(nic->waiting, 0);
	model.holds = false;
	assert_true(deliver(1, 60) && send_one(0, 60));
	nic->driver->flush(nic);
	rounds(1);
	assert_int_equal(received.count, 1);
	assert_int_equal(model.sent, 1);
	assert_int_equal(nic->waiting, 0);
}

static void one_that_sends_nothing_is_reset_and_given_up(void **state)
{
	(void)state;
	bring_it_up();
	model.holds = true;
	for (uint32_t i = 0; i < 100000 && !nic->dead; i++) {
		if (nic->ready && send_one(0, 60))
			nic->driver->flush(nic);
		rounds(1);
	}
	assert_given_up();
	assert_int_equal(nic->resets, NIC_FAILURES_MAX + 1);
}

static void its_link_goes_and_comes(void **state)
{
	(void)state;
	bring_it_up();
	model.holds = true;
	assert_true(send_one(0, 60));
	nic->driver->flush(nic);
	model.link = false;
	interrupt(CAUSE_LINK);
	rounds(1);
	assert_false(nic->link);
	rounds(30000);
	assert_int_equal(nic->resets, 0);
	model.link = true; /* without a word */
	rounds(3000);
	assert_true(nic->link);
}

static void without_interrupts_it_is_polled(void **state)
{
	bring_it_up();
	assert_true(nic->connected);
	model.no_interrupts = true;
	for (uint32_t i = 0; i < 3000; i++) {
		deliver(0, 60);
		rounds(1);
	}
	assert_false(nic->connected);
	fresh(state);
	function->config[0x11] = 5; /* its table is nowhere */
	bring_it_up();
	assert_false(nic->connected);
	assert_int_equal(*at_offset(IMS), 0);
	assert_true(nic_deadline(nic, false) <= fake_time + 1000000);
}

static void assert_no_card(void)
{
	find_it();
	assert_true(nic->dead && !nic->ready);
	assert_non_null(nic_open(nic, on_received));
	assert_int_equal(function->config[1] & 4, 0);
}

static void who_does_not_start_is_no_card(void **state)
{
	model.never_resets = true;
	assert_no_card();
	fresh(state);
	model.gone = true;
	assert_no_card();
	fresh(state);
	model.never_resets = true;
	*at_offset(EECD) = 0;
	assert_no_card();
	fresh(state);
	fake_pci_set_bar(function, 0, BAR_AT, REGISTERS / 2);
	assert_no_card();
	fresh(state);
	function->config[0] = 0x100e8086; /* another card */
	assert_no_card();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup(name, fresh)
		TEST(its_address_and_link_are_found),
		TEST(it_is_set_up_to_take_all),
		TEST(it_sends_and_receives),
		TEST(its_buffers_run_out_and_come_back_in_order),
		TEST(a_round_takes_so_many_and_no_more),
		TEST(wrong_packets_are_none),
		TEST(what_it_writes_of_addresses_is_not_believed),
		TEST(one_that_vanishes_is_given_up),
		TEST(one_that_never_resets_loses_the_bus),
		TEST(one_that_never_rests_is_reset),
		TEST(after_a_reset_it_works),
		TEST(one_that_sends_nothing_is_reset_and_given_up),
		TEST(its_link_goes_and_comes),
		TEST(without_interrupts_it_is_polled),
		TEST(who_does_not_start_is_no_card),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
