/* SPDX-License-Identifier: MIT */
/* The port between a switch and a card, and a driver that does as it is told.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake_pci.h"

#include "kernel/net/uplink.c"

#include <mullion/frame_pool.h>
#include <stdlib.h>

static frame_owner owners[64];
static struct switch_port vm;
static uint8_t ours[MAC_SIZE] = { 2, 0, 0, 0, 0, 1 };
static const uint8_t card_mac[MAC_SIZE] = { 0x52, 0x54, 0, 1, 2, 3 };
static const uint8_t far_mac[MAC_SIZE] = { 0x52, 0x54, 0, 9, 9, 9 };

static struct {
	bool link, opens, down;
	uint32_t room, come, sent, flushes, looks;
	uint8_t come_bytes[PACKET_PLAIN_MAX], last[PACKET_PLAIN_MAX];
	uint32_t come_length, last_length;
} model;

static bool model_knows(const struct pci_device *pci)
{
	return pci->vendor == 0x1234;
}

static const char *model_look(struct nic *it)
{
	memcpy(it->mac, card_mac, MAC_SIZE);
	it->link = true;
	return NULL;
}

static const char *model_open(struct nic *it)
{
	it->state = &model;
	it->ready = it->connected = true;
	return model.opens ? NULL : "it does not want to";
}

static bool model_send(struct nic *it, const struct packet *packet)
{
	(void)it;
	if (!model.room)
		return false;
	model.room--;
	model.sent++;
	model.last_length = packet->length;
	assert_in_range(packet->length, PACKET_START, PACKET_PLAIN_MAX);
	memcpy(model.last, packet->bytes, packet->length);
	return true;
}

static void model_flush(struct nic *it)
{
	(void)it;
	model.flushes++;
}

static uint32_t model_poll(struct nic *it, uint32_t count)
{
	uint32_t done = 0;

	it->ready = !model.down;
	for (; it->ready && done < count && model.come; done++, model.come--)
		nic_received(it, model.come_bytes, model.come_length);
	return done;
}

static const char *model_check(struct nic *it)
{
	model.looks++;
	nic_set_link(it, model.link);
	return NULL;
}

static void model_reset(struct nic *it)
{
	(void)it;
}

#define MODEL \
	{ \
		.kind = "model", .knows = model_knows, .look = model_look, \
		.open = model_open, .send = model_send, .flush = model_flush, \
		.poll = model_poll, .check = model_check, .reset = model_reset \
	}
const struct nic_driver virtio_nic_driver = MODEL;
const struct nic_driver e1000e_driver = MODEL;

static void on_notice(struct switch_port *of)
{
	(void)of;
}

/* Cards 1 and 2, of which the first has no driver. */
static int fresh(void **state)
{
	const struct mull_memory_range ram = { MIB(32), MIB(96),
					       MULL_MEMORY_USABLE, 0 };
	struct fake_function *card;

	(void)state;
	if (!frames_free())
		frame_pool_start(&ram, 1, owners, frame_pool_span(&ram, 1));
	memset(&model, 0, sizeof model);
	model.link = model.opens = true;
	model.room = UINT32_MAX;
	fake_time = 1;
	fake_kicks[0] = 0;
	fake_pci_start();
	fake_pci_add(1, 0x00015678, PCI_CLASS_ETHERNET);
	card = fake_pci_add(2, 0x00011234, PCI_CLASS_ETHERNET);
	fake_pci_set_bar(card, 0, 0x1800000000, 0x4000);
	fake_pci_add_capability(card, 0x40, PCI_CAPABILITY_MSIX, 0);
	fake_pci_add(3, 0x00021234, 0x010000); /* no card */
	pci_quiesce();
	vm = (struct switch_port){ .notify = on_notice, .open = true };
	memcpy(vm.mac, ours, MAC_SIZE);
	vm.ring.bytes = aligned_alloc(64, PACKET_RING_BYTES);
	return 0;
}

static int clear(void **state)
{
	(void)state;
	if (vm.on)
		switch_detach(&vm);
	if (port.on)
		switch_detach(&port);
	free(vm.ring.bytes);
	if (nic)
		page_free(port.ring.bytes, RING_PAGES);
	switch_set_uplink("");
	port = (struct switch_port){ .on = NULL };
	nic = NULL;
	full = false;
	return 0;
}

static void begin(uint32_t number)
{
	struct mull_machine machine = { .uplink_nic = number };

	memcpy(machine.uplink, "lan", 4);
	uplink_start(&machine);
	assert_int_equal(switch_attach(&vm, "lan"), ERR_NONE);
	uplink_poll();
}

static uint64_t dropped(enum mull_drop why)
{
	struct mull_nic_status status = { .number = 2 };

	uplink_stats(&status);
	assert_string_equal(status.network, "lan");
	return status.drops[why];
}

static enum error copy_zeros(const struct outgoing *packet, uint8_t *to)
{
	memset(to, 0, packet->length - PACKET_START);
	return ERR_NONE;
}

static void vm_sends(uint32_t length, struct packet_header header)
{
	struct outgoing packet = { .header = header,
				   .length = length,
				   .copy = copy_zeros };

	memcpy(packet.start, far_mac, MAC_SIZE);
	memcpy(packet.start + MAC_SIZE, ours, MAC_SIZE);
	assert_int_equal(switch_send(&vm, &packet), ERR_NONE);
}

static void sends(uint32_t count)
{
	while (count--)
		vm_sends(60, (struct packet_header){ .buffers = 1 });
}

/* The wire has @count packets from @from. */
static void comes(const uint8_t *from, uint32_t count)
{
	for (uint32_t i = 0; i < sizeof model.come_bytes; i++)
		model.come_bytes[i] = (uint8_t)(i * 3);
	memcpy(model.come_bytes, ours, MAC_SIZE);
	memcpy(model.come_bytes + MAC_SIZE, from, MAC_SIZE);
	model.come = count;
	model.come_length = 100;
}

static void packets_go_both_ways(void **state)
{
	const struct packet *packet;

	(void)state;
	begin(2);
	assert_string_equal(uplink_switch(), "lan");
	assert_memory_equal(uplink_mac(), card_mac, MAC_SIZE);
	assert_true(switch_has_uplink(&vm));
	sends(1);
	assert_int_equal(fake_kicks[0], 1);
	uplink_poll();
	assert_int_equal(model.sent, 1);
	assert_int_equal(model.flushes, 1);
	assert_int_equal(model.last_length, 60);
	assert_memory_equal(model.last, far_mac, MAC_SIZE);
	comes(far_mac, 1);
	uplink_poll();
	packet = packet_ring_first(&vm.ring);
	assert_non_null(packet);
	assert_int_equal(packet->length, 100);
	assert_memory_equal(packet->bytes, model.come_bytes, 100);
	assert_int_equal(packet->header.flags, 0);
}

static void who_sends_as_another_is_not_heard(void **state)
{
	const uint8_t group[MAC_SIZE] = { 1, 0, 0, 0, 0, 1 };

	(void)state;
	begin(2);
	comes(ours, 3);
	uplink_poll();
	comes(group, 1);
	uplink_poll();
	assert_null(packet_ring_first(&vm.ring));
	assert_int_equal(dropped(MULL_DROP_SPOOFED), 4);
}

static void without_a_link_packets_are_dropped(void **state)
{
	(void)state;
	begin(2);
	sends(2); /* wait already */
	model.link = false;
	fake_time += 2000000000; /* it is looked at */
	uplink_poll();
	assert_int_equal(dropped(MULL_DROP_CLOSED), 2);
	sends(3);
	assert_int_equal(dropped(MULL_DROP_CLOSED), 5);
	assert_int_equal(model.sent, 0);
	model.link = true;
	fake_time += 2000000000;
	uplink_poll();
	sends(1);
	uplink_poll();
	assert_int_equal(model.sent, 1);
}

static void during_a_reset_packets_are_dropped(void **state)
{
	(void)state;
	begin(2);
	model.down = true;
	uplink_poll();
	sends(1);
	uplink_poll();
	assert_int_equal(dropped(MULL_DROP_CLOSED), 1);
	assert_int_equal(model.sent + model.flushes, 0);
	assert_true(uplink_deadline() <= fake_time + 100000);
	model.down = false;
	uplink_poll();
	sends(1);
	uplink_poll();
	assert_int_equal(model.sent, 1);
}

static void a_full_card_makes_them_wait(void **state)
{
	(void)state;
	begin(2);
	model.room = 3;
	sends(5);
	assert_false(uplink_poll());
	assert_int_equal(model.sent, 3);
	assert_true(uplink_deadline() <= fake_time + 100000);
	model.room = 100;
	uplink_poll();
	assert_int_equal(model.sent, 5);
	assert_true(uplink_deadline() > fake_time + 100000);
	for (int i = 0; i < MULL_DROP_REASONS; i++)
		assert_int_equal(dropped(i), 0);
}

static void a_round_is_bounded(void **state)
{
	(void)state;
	begin(2);
	sends(40);
	comes(far_mac, 40);
	assert_true(uplink_poll());
	assert_int_equal(model.sent, 16);
	assert_int_equal(model.come, 24);
	assert_true(uplink_poll());
	assert_false(uplink_poll());
	assert_int_equal(model.sent, 40);
	assert_int_equal(model.come, 0);
}

static void what_is_left_to_others_is_done(void **state)
{
	struct packet_header header = { .flags = PACKET_NEEDS_CHECKSUM,
					.summed = 14,
					.sum = 6,
					.buffers = 1 };

	(void)state;
	begin(2);
	vm_sends(60, header);
	uplink_poll();
	assert_int_equal(model.sent, 1);
	assert_int_equal(model.last[20] & model.last[21], 0xff);
	header = (struct packet_header){ .cut = PACKET_CUT_TCP4 };
	vm_sends(4000, header);
	uplink_poll();
	assert_int_equal(model.sent, 1);
	assert_int_equal(dropped(MULL_DROP_TOO_LONG), 1);
}

static void assert_none(uint32_t number)
{
	begin(number);
	assert_null(uplink_switch());
	assert_null(uplink_mac());
	assert_false(switch_has_uplink(&vm));
	assert_false(uplink_poll());
	assert_true(uplink_deadline() == ARCH_NO_DEADLINE);
	sends(1);
	assert_int_equal(model.sent, 0);
	assert_int_equal(vm.drops[MULL_DROP_NOBODY], 1);
}

static void without_a_card_there_is_no_uplink(void **state)
{
	static const uint32_t none[] = { 0, 1, 3, 8, 9, UINT32_MAX };

	for (size_t i = 0; i < ARRAY_COUNT(none); i++) {
		assert_none(none[i]);
		clear(state);
		fresh(state);
	}
	model.opens = false;
	assert_none(2);
}

static void cards_are_told_of(void **state)
{
	struct mull_nic_status status;

	(void)state;
	begin(2);
	assert_null(nic_at(0));
	assert_null(nic_at(3));
	nic_describe(nic_at(1), &status);
	assert_int_equal(status.flags, MULL_NIC_DEAD);
	assert_string_equal(status.kind, "");
	assert_int_equal(status.vendor, 0x5678);
	uplink_stats(&status);
	assert_string_equal(status.network, "");
	sends(2);
	comes(far_mac, 3);
	uplink_poll();
	nic_describe(nic_at(2), &status);
	assert_int_equal(status.flags, MULL_NIC_LINK | MULL_NIC_OPEN);
	assert_string_equal(status.kind, "model");
	assert_memory_equal(status.mac, card_mac, MAC_SIZE);
	assert_int_equal(status.sent, 2);
	assert_int_equal(status.sent_bytes, 120);
	assert_int_equal(status.received, 3);
	assert_int_equal(status.received_bytes, 300);
	nic_give_up(nic, "test");
	nic_describe(nic, &status);
	assert_int_equal(status.flags, MULL_NIC_OPEN | MULL_NIC_DEAD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh, clear)
		TEST(packets_go_both_ways),
		TEST(who_sends_as_another_is_not_heard),
		TEST(without_a_link_packets_are_dropped),
		TEST(during_a_reset_packets_are_dropped),
		TEST(a_full_card_makes_them_wait),
		TEST(a_round_is_bounded),
		TEST(what_is_left_to_others_is_done),
		TEST(without_a_card_there_is_no_uplink),
		TEST(cards_are_told_of),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
