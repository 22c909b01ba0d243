/* SPDX-License-Identifier: MIT */
/* The driver of virtio network cards, and a model of one that may misbehave. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "drivers/virtio_nic.c"

#include "nic_machine.h"

/* Where the model has its areas in BAR 4. */
#define COMMON 0x0000
#define TABLE 0x1000 /* of MSI-X */
#define CONFIG 0x2000
#define NOTIFY 0x3000

#define SIZE 32 /* of its queues */

static const uint8_t address[MAC_SIZE] = { 0x52, 0x54, 0, 1, 2, 3 };

static struct model {
	uint64_t features, accepted;
	uint32_t feature_select, driver_select;
	uint8_t status, mac[MAC_SIZE];
	uint16_t select, size_max, link;
	struct model_queue {
		uint64_t areas[3]; /* descriptors, driver, device */
		uint16_t size, entry, taken, used;
		bool enabled;
	} queues[QUEUES];
	uint16_t held[SIZE], held_count; /* packets not yet sent */
	uint32_t sent, sent_length, resets, orders, touched;

	/* What it does wrong. */
	bool holds, gone, never_resets, refuses_features, refuses_entry;
	bool no_interrupts;
	uint8_t answer;
} model;

static struct fake_function *function;

static void give(uint32_t number, uint32_t head, uint32_t length)
{
	struct model_queue *queue = &model.queues[number];
	uint8_t *device = arch_direct(hpa(queue->areas[2]));
	uint32_t entry[2] = { head, length };

	memcpy(device + 4 + 8 * (queue->used % queue->size), entry, 8);
	queue->used++;
	memcpy(device + 2, &queue->used, 2);
	if (queue->entry == 0 && !model.no_interrupts)
		fake_messages[0].handler(fake_messages[0].context);
}

struct model_descriptor {
	uint64_t at;
	uint32_t length;
	uint16_t flags, next;
};

static struct model_descriptor descriptor_of(uint32_t number, uint16_t at)
{
	struct model_descriptor descriptor;

	assert_true(at < model.queues[number].size);
	memcpy(&descriptor,
	       (uint8_t *)arch_direct(hpa(model.queues[number].areas[0])) +
		       16 * at,
	       sizeof descriptor);
	return descriptor;
}

/* What the driver has given; false: nothing more. */
static bool take(uint32_t number, uint16_t *head)
{
	struct model_queue *queue = &model.queues[number];
	const uint16_t *driver = arch_direct(hpa(queue->areas[1]));

	assert_true(queue->enabled);
	if (queue->taken == driver[1])
		return false;
	*head = driver[2 + queue->taken++ % queue->size];
	return true;
}

static void take_packet(uint16_t head)
{
	static const uint8_t nothing[12];
	struct model_descriptor descriptor = descriptor_of(TRANSMIT, head);
	const uint8_t *bytes = arch_direct(hpa(descriptor.at));

	assert_int_equal(descriptor.flags, 0);
	assert_memory_equal(bytes, nothing, 12);
	model.sent_length = descriptor.length - 12;
	for (uint32_t i = 0; i < model.sent_length; i++)
		assert_int_equal(bytes[12 + i], byte_of(model.sent, i));
	model.sent++;
	if (model.holds)
		model.held[model.held_count++] = head;
	else
		give(TRANSMIT, head, 0);
}

static void take_order(uint16_t head)
{
	static const uint8_t order[] = { 0, 0 };
	struct model_descriptor first = descriptor_of(CONTROL, head);
	struct model_descriptor on = descriptor_of(CONTROL, first.next);
	struct model_descriptor answer = descriptor_of(CONTROL, on.next);

	assert_int_equal(first.flags, 1);
	assert_int_equal(on.flags, 1);
	assert_int_equal(answer.flags, 2);
	assert_memory_equal(arch_direct(hpa(first.at)), order, 2);
	assert_int_equal(*(uint8_t *)arch_direct(hpa(on.at)), 1);
	*(uint8_t *)arch_direct(hpa(answer.at)) = model.answer;
	model.orders++;
	give(CONTROL, head, 1);
}

static void on_notify(uint32_t number)
{
	uint16_t head;

	assert_int_equal(model.status & 0xbf, 0xf);
	if (number == TRANSMIT)
		while (take(TRANSMIT, &head))
			take_packet(head);
	if (number == CONTROL)
		while (take(CONTROL, &head))
			take_order(head);
}

/* A packet has come; it says that it has @said bytes with its header. */
static bool deliver(uint32_t number, uint32_t length, uint32_t said)
{
	struct model_descriptor descriptor;
	uint8_t *bytes;
	uint16_t head;

	if (!take(RECEIVE, &head))
		return false;
	descriptor = descriptor_of(RECEIVE, head);
	assert_int_equal(descriptor.flags, 2);
	assert_int_equal(descriptor.length, NIC_BUFFER_SIZE);
	bytes = arch_direct(hpa(descriptor.at));
	memset(bytes, 0, 12);
	for (uint32_t i = 0; i < length; i++)
		bytes[12 + i] = byte_of(number, i);
	give(RECEIVE, head, said);
	return true;
}

static uint64_t on_read(hpa_t at, uint32_t size)
{
	uint32_t offset = (uint32_t)(at.value - BAR_AT);

	model.touched++;
	if (model.gone)
		return BITS(8 * size - 1, 0);
	if (offset >= CONFIG && offset < CONFIG + MAC_SIZE)
		return model.mac[offset - CONFIG];
	switch (offset) {
	case CONFIG + 6:
		return model.link;
	case 0x04:
		return (uint32_t)(model.features >> 32 * model.feature_select);
	case 0x14:
		return model.status;
	case 0x18:
		return model.size_max;
	case 0x1a:
		return model.queues[model.select].entry;
	case 0x1e:
		return model.select;
	}
	fail();
	return 0;
}

static void set_status(uint8_t value)
{
	if (!value) {
		model.resets++;
		if (model.never_resets)
			return;
		memset(model.queues, 0, sizeof model.queues);
		model.held_count = 0;
		model.accepted = 0;
	}
	if (value & 8 && model.refuses_features)
		value &= 0xf7;
	model.status = value;
}

static void on_write(hpa_t at, uint32_t size, uint64_t value)
{
	uint32_t offset = (uint32_t)(at.value - BAR_AT);
	struct model_queue *queue = &model.queues[model.select];

	model.touched++;
	if (model.gone || (offset >= TABLE && offset < CONFIG))
		return;
	if (offset >= NOTIFY) {
		assert_int_equal(offset, NOTIFY + 4 * value);
		on_notify((uint32_t)value);
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
		return;
	case 0x14:
		set_status((uint8_t)value);
		return;
	case 0x16:
		assert_true(value < QUEUES);
		model.select = (uint16_t)value;
		return;
	case 0x18:
		queue->size = (uint16_t)value;
		return;
	case 0x1a:
		queue->entry = model.refuses_entry ? 0xffff : (uint16_t)value;
		return;
	case 0x1c:
		queue->enabled = true;
		return;
	}
	assert_int_equal(size, 4);
	assert_true(offset >= 0x20 && offset < 0x38);
	memcpy((uint8_t *)queue->areas + offset - 0x20, &value, 4);
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
	nic_machine_start();
	model = (struct model){
		.features = 1ull << 32 | FEATURE_MAC | FEATURE_STATUS |
			    FEATURE_CTRL_VQ | FEATURE_CTRL_RX | BIT(0),
		.size_max = SIZE,
		.link = 1,
	};
	memcpy(model.mac, address, MAC_SIZE);
	fake_mmio_read = on_read;
	fake_mmio_write = on_write;
	function = fake_pci_add(4, 0x10411af4, PCI_CLASS_ETHERNET);
	fake_pci_set_bar(function, 4, BAR_AT, 0x4000);
	fake_pci_add_capability(function, 0x40, PCI_CAPABILITY_MSIX, 1);
	function->config[0x11] = TABLE | 4;
	add_area(0x50, 4, CONFIG, 0x40);
	add_area(0x60, 1, COMMON, 0x38);
	add_area(0x80, 2, NOTIFY, 0x100);
	function->config[0x90 / 4] = 4; /* 4 bytes apart */
	return 0;
}

static void its_address_and_link_are_found(void **state)
{
	(void)state;
	find_it();
	assert_memory_equal(nic->mac, address, MAC_SIZE);
	assert_true(nic->link && !nic->dead && !nic->ready);
	/* At rest: it may read and write no memory. */
	assert_int_equal(function->config[1] & 4, 0);
	model.link = 0;
	nic->driver->check(nic);
	assert_false(nic->link);
}

static void what_it_does_not_need_it_does_not_take(void **state)
{
	(void)state;
	bring_it_up();
	assert_true(model.accepted ==
		    (1ull << 32 | FEATURE_MAC | FEATURE_STATUS |
		     FEATURE_CTRL_VQ | FEATURE_CTRL_RX));
	assert_int_equal(model.status, 0xf);
	assert_int_equal(model.orders, 1);
	assert_int_equal(model.queues[TRANSMIT].entry, 0xffff);
	assert_int_equal(function->config[1] & 4, 4);
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
		assert_true(deliver(i, length, 12 + length));
		rounds(1);
		assert_int_equal(nic->waiting, 0);
		assert_int_equal(received.count, i + 1);
		assert_int_equal(received.length, length);
		for (uint32_t j = 0; j < length; j++)
			assert_int_equal(received.bytes[j], byte_of(i, j));
		if (length == PACKET_PLAIN_MAX || length + 5 > PACKET_PLAIN_MAX)
			break;
	}
	assert_int_equal(nic->resets, 0);
	assert_int_equal(nic->received, received.count);
}

static void its_buffers_run_out_and_come_back_in_any_order(void **state)
{
	(void)state;
	bring_it_up();
	model.holds = true;
	for (uint32_t turn = 0; turn < 3; turn++) {
		uint32_t count = 0;

		while (send_one(turn * SIZE + count, 60))
			count++;
		assert_int_equal(count, SIZE);
		nic->driver->flush(nic);
		rounds(1);
		assert_int_equal(nic->waiting, SIZE);
		assert_false(send_one(0, 60));
		while (model.held_count)
			give(TRANSMIT, model.held[--model.held_count], 0);
		rounds(1);
		assert_int_equal(nic->waiting, 0);
	}
	assert_int_equal(nic->resets, 0);
}

static void a_round_takes_so_many_and_no_more(void **state)
{
	uint32_t count = 0;

	(void)state;
	bring_it_up();
	while (deliver(count, 60, 72))
		count++;
	assert_int_equal(count, SIZE);
	assert_true(nic_poll(nic));
	assert_int_equal(received.count, 16);
	assert_true(nic_poll(nic));
	assert_int_equal(received.count, SIZE);
	assert_false(nic_poll(nic));
	assert_true(deliver(0, 60, 72)); /* it has got its buffers back */
}

static void wrong_lengths_are_no_packets(void **state)
{
	static const uint32_t wrong[] = { 0,	      1,	 11,   12,
					  25,	      1531,	 2048, 2049,
					  0x80000000, UINT32_MAX };

	(void)state;
	bring_it_up();
	for (size_t i = 0; i < ARRAY_COUNT(wrong); i++)
		assert_true(deliver(0, 60, wrong[i]));
	rounds(2);
	assert_int_equal(received.count, 0);
	assert_int_equal(nic->malformed, ARRAY_COUNT(wrong));
	assert_true(nic->received_bytes <= 2036 * ARRAY_COUNT(wrong));
	assert_true(deliver(7, 1518, 1530) && deliver(7, 14, 26));
	rounds(1);
	assert_int_equal(received.count, 2);
}

/* Of queue @number, @head, which it was not given. */
static void assert_reset_by(uint32_t number, uint32_t head)
{
	give(number, head, 72);
	rounds(1);
	assert_int_equal(nic->resets, 1);
	assert_false(nic->ready);
	rounds(3);
	assert_true(nic->ready);
	assert_int_equal(received.count, 0);
	assert_true(deliver(1, 60, 72) && send_one(0, 60));
	nic->driver->flush(nic);
	rounds(1);
	assert_int_equal(received.count, 1);
	assert_int_equal(model.sent, 1);
	assert_int_equal(model.orders, 2);
	assert_int_equal(nic->waiting, 0);
}

static void wrong_buffers_reset_it(void **state)
{
	static const uint32_t wrong[] = { SIZE, 0xffff, 0x10000, UINT32_MAX };

	for (size_t i = 0; i < ARRAY_COUNT(wrong); i++)
		for (uint32_t queue = RECEIVE; queue <= TRANSMIT; queue++) {
			fresh(state);
			bring_it_up();
			assert_reset_by(queue, wrong[i]);
		}
	fresh(state);
	bring_it_up();
	assert_reset_by(TRANSMIT, 0); /* nothing was sent */
}

/* Each of its buffers at most once, whatever the index says. */
static void an_index_far_ahead_resets_it(void **state)
{
	uint16_t far = 0x8000;

	(void)state;
	bring_it_up();
	memcpy((uint8_t *)arch_direct(hpa(model.queues[TRANSMIT].areas[2])) + 2,
	       &far, 2);
	rounds(1);
	assert_int_equal(nic->resets, 1);
	assert_int_equal(nic->waiting, 0);
}

/* What is no packet is no sign of health. */
static void nonsense_between_its_failures_does_not_save_it(void **state)
{
	(void)state;
	bring_it_up();
	for (uint32_t i = 0; i <= NIC_FAILURES_MAX; i++) {
		assert_true(nic->ready);
		assert_true(deliver(0, 60, 0));
		rounds(1);
		give(RECEIVE, SIZE, 72);
		rounds(4);
	}
	assert_given_up();
	assert_int_equal(nic->malformed, NIC_FAILURES_MAX + 1);
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
	touched = model.touched;
	rounds(3000);
	assert_int_equal(model.touched, touched);
}

static void one_that_never_resets_loses_the_bus(void **state)
{
	(void)state;
	bring_it_up();
	model.never_resets = true;
	model.status |= 0x40; /* it asks for a reset */
	rounds(5000);
	assert_given_up();
	assert_int_equal(nic->resets, 1);
}

static void one_that_sends_nothing_is_reset_and_given_up(void **state)
{
	(void)state;
	bring_it_up();
	model.holds = true;
	for (uint32_t i = 0; i < 100000 && !nic->dead; i++) {
		model.sent = 0;
		if (nic->ready && send_one(0, 60))
			nic->driver->flush(nic);
		rounds(1);
	}
	assert_given_up();
	assert_int_equal(nic->resets, NIC_FAILURES_MAX + 1);
}

/* Packets come and should go, for so many rounds. */
static void traffic(uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		model.sent = 0;
		if (nic_takes(nic) && send_one(0, 60))
			nic->driver->flush(nic);
		if (nic->ready)
			deliver(0, 60, 72);
		rounds(1);
	}
}

static void one_that_only_receives_is_left_in_peace(void **state)
{
	struct mull_nic_status status;
	uint32_t before;

	(void)state;
	bring_it_up();
	model.holds = true;
	traffic(30000);
	assert_true(nic->ready && nic->mute && !nic_takes(nic));
	assert_int_equal(nic->resets, NIC_FAILURES_MAX);
	nic_describe(nic, &status);
	assert_int_equal(status.flags & MULL_NIC_MUTE, MULL_NIC_MUTE);
	before = received.count;
	traffic(30000);
	assert_int_equal(received.count, before + 30000);
	assert_int_equal(nic->resets, NIC_FAILURES_MAX);
	/* It sends after all. */
	while (model.held_count)
		give(TRANSMIT, model.held[--model.held_count], 0);
	model.holds = false;
	traffic(3000);
	assert_true(nic_takes(nic));
	assert_int_equal(nic->waiting, 0);
	assert_int_equal(nic->resets, NIC_FAILURES_MAX);
}

static void a_new_link_is_a_new_chance(void **state)
{
	(void)state;
	bring_it_up();
	model.holds = true;
	traffic(30000);
	assert_true(nic->mute);
	model.link = 0;
	traffic(2000);
	model.link = 1;
	traffic(2000);
	assert_true(nic_takes(nic));
	traffic(10000);
	assert_true(nic->mute); /* and no more */
	assert_int_equal(nic->resets, NIC_FAILURES_MAX);
}

static void a_link_that_flaps_floods_no_log(void **state)
{
	(void)state;
	bring_it_up();
	for (uint32_t i = 0; i < 100; i++) {
		model.link = !model.link;
		nic->driver->check(nic);
	}
	assert_int_equal(nic->link_changes, 100);
	assert_int_equal(nic->told, NIC_LINES_A_MINUTE);
	assert_int_equal(nic->untold, 100 - NIC_LINES_A_MINUTE);
	rounds(70000); /* behind the minute it is told how many */
	assert_int_equal(nic->untold, 0);
	model.link = 0;
	rounds(2000);
	assert_int_equal(nic->told, 1);
}

static void with_its_link_down_it_is_not_stuck(void **state)
{
	(void)state;
	bring_it_up();
	model.holds = true;
	assert_true(send_one(0, 60));
	nic->driver->flush(nic);
	model.link = 0;
	rounds(30000);
	assert_false(nic->link);
	assert_int_equal(nic->resets, 0);
	model.link = 1;
	rounds(3000);
	assert_true(nic->link);
}

static void without_interrupts_it_is_polled(void **state)
{
	bring_it_up();
	assert_true(nic->connected);
	assert_true(nic_deadline(nic, false) == nic->next_check);
	model.no_interrupts = true;
	for (uint32_t i = 0; i < 3000; i++) {
		deliver(0, 60, 72);
		rounds(1);
	}
	assert_false(nic->connected);
	assert_true(received.count >= 3000 - 1);
	fresh(state);
	model.refuses_entry = true;
	bring_it_up();
	assert_false(nic->connected);
	assert_true(nic_deadline(nic, false) <= fake_time + 1000000);
}

static void assert_no_card(void)
{
	find_it();
	if (!nic->dead)
		assert_non_null(nic_open(nic, on_received));
	assert_true(nic->dead && !nic->ready);
	assert_int_equal(function->config[1] & 4, 0);
}

static void who_does_not_start_is_no_card(void **state)
{
	model.never_resets = true;
	model.status = 1;
	assert_no_card();
	fresh(state);
	model.gone = true;
	assert_no_card();
	fresh(state);
	model.refuses_features = true;
	assert_no_card();
	fresh(state);
	model.features &= ~FEATURE_MAC;
	assert_no_card();
	fresh(state);
	model.features &= UINT32_MAX; /* an old one */
	assert_no_card();
	fresh(state);
	model.mac[0] = 1; /* a group's */
	assert_no_card();
	fresh(state);
	model.size_max = 3;
	assert_no_card();
	fresh(state);
	function->config[0x68 / 4] = 0x3ff0; /* its registers' place */
	assert_no_card();
}

static void one_that_takes_no_orders_works(void **state)
{
	(void)state;
	model.answer = 1; /* refused: a warning */
	bring_it_up();
	rounds(1);
	assert_true(nic->ready);
	fresh(state);
	model.features &= ~(uint64_t)FEATURE_CTRL_VQ;
	bring_it_up();
	assert_int_equal(model.orders, 0);
	assert_false(model.queues[CONTROL].enabled);
	assert_true(deliver(3, 100, 112));
	rounds(1);
	assert_int_equal(received.count, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup(name, fresh)
		TEST(its_address_and_link_are_found),
		TEST(what_it_does_not_need_it_does_not_take),
		TEST(it_sends_and_receives),
		TEST(its_buffers_run_out_and_come_back_in_any_order),
		TEST(a_round_takes_so_many_and_no_more),
		TEST(wrong_lengths_are_no_packets),
		TEST(wrong_buffers_reset_it),
		TEST(an_index_far_ahead_resets_it),
		TEST(nonsense_between_its_failures_does_not_save_it),
		TEST(one_that_vanishes_is_given_up),
		TEST(one_that_never_resets_loses_the_bus),
		TEST(one_that_sends_nothing_is_reset_and_given_up),
		TEST(one_that_only_receives_is_left_in_peace),
		TEST(a_new_link_is_a_new_chance),
		TEST(a_link_that_flaps_floods_no_log),
		TEST(with_its_link_down_it_is_not_stuck),
		TEST(without_interrupts_it_is_polled),
		TEST(who_does_not_start_is_no_card),
		TEST(one_that_takes_no_orders_works),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
