/* SPDX-License-Identifier: MIT */
/*
 * A driver at the registers of a virtio device, through configuration space
 * and BAR as a guest reaches them.  The device copies what it reads to where
 * it writes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "virtio_driver.h"

#include <arch/fake/fake.h>
#include <cmocka.h>
#include <mullion/guest.h>
#include <mullion/log.h>
#include <mullion/virtio.h>
#include <mullion/vm.h>
#include <stdlib.h>

#define SLOT 3
#define QUEUES 2
#define ECAM (MULL_GUEST_ECAM + (SLOT << 15))
#define BAR 0x10
#define COMMAND 4

static struct vm vm;
static struct vcpu first;
static struct virtio_device device;
static struct apic_message last;
static uint32_t sent, complaints, resets;
static uint32_t work_left; /* pieces that the device says it still has */

bool vm_interrupt(struct vm *to, const struct apic_message *message)
{
	assert_ptr_equal(to, &vm);
	last = *message;
	sent++;
	return true;
}

uint32_t vm_home(const struct vm *of)
{
	assert_ptr_equal(of, &vm);
	return 2;
}

void log_guest(struct vcpu *vcpu, const char *format, ...)
{
	(void)format;
	assert_ptr_equal(vcpu, &first);
	complaints++;
}

_Noreturn void panic(const char *format, ...)
{
	fail_msg("panic: %s", format);
	abort();
}

static bool echo(struct vm *of, struct virtio_device *to, uint32_t queue)
{
	uint8_t bytes[64];
	size_t length;

	assert_ptr_equal(of, &vm);
	if (work_left) {
		work_left--;
		return true;
	}
	if (!virtio_take(&vm, to, queue))
		return false;
	length = to->chain.readable_bytes;
	if (length > sizeof bytes) {
		virtio_break(&vm, to, "too much");
		return false;
	}
	assert_int_equal(virtio_chain_read(&to->queues[queue], &to->chain, 0,
					   bytes, length),
			 ERR_NONE);
	assert_int_equal(virtio_chain_write(&to->queues[queue], &to->chain, 0,
					    bytes, length),
			 ERR_NONE);
	virtio_give(&vm, to, queue, (uint32_t)length);
	return true;
}

static void on_reset(struct vm *of, struct virtio_device *which)
{
	assert_ptr_equal(of, &vm);
	assert_ptr_equal(which, &device);
	resets++;
}

static const struct virtio_type type = {
	.id = VIRTIO_ID_BLOCK,
	.class = 0x018000,
	.features = 1 << 5,
	.queue_count = QUEUES,
	.config_size = 6,
	.work = echo,
	.reset = on_reset,
};

/* ---- the guest's side ----------------------------------------------------- */

static uint64_t read_at(uint64_t at, uint32_t size)
{
	return guest_pci_read(&vm, gpa(at), size);
}

static void write_at(uint64_t at, uint32_t size, uint64_t value)
{
	guest_pci_write(&vm, gpa(at), size, value);
}

static uint64_t bar(void)
{
	return read_at(ECAM + BAR, 4);
}

static uint64_t common(uint32_t offset, uint32_t size)
{
	return read_at(bar() + offset, size);
}

static void set_common(uint32_t offset, uint32_t size, uint64_t value)
{
	write_at(bar() + offset, size, value);
}

static void notify(uint32_t queue)
{
	write_at(bar() + 0x3000 + queue * 4, 2, queue);
}

static void work(void)
{
	for (int i = 0; i < 100; i++)
		if (!guest_pci_work(&vm))
			return;
	fail_msg("the work does not end");
}

static void choose_features(uint64_t features)
{
	set_common(0x08, 4, 0);
	set_common(0x0c, 4, (uint32_t)features);
	set_common(0x08, 4, 1);
	set_common(0x0c, 4, features >> 32);
	set_common(0x14, 1, 1 | 2 | 8);
}

static void set_up_queue(uint16_t index, uint16_t vector)
{
	set_common(0x16, 2, index);
	set_common(0x18, 2, QUEUE_SIZE);
	set_common(0x1a, 2, vector);
	set_common(0x20, 8, DESCRIPTORS);
	set_common(0x28, 8, DRIVER);
	set_common(0x30, 8, DEVICE);
	set_common(0x1c, 2, 1);
}

#define VERSION_1 (1ull << 32)
#define DRIVER_OK (1 | 2 | 8 | 4)

static void set_up(void)
{
	write_at(ECAM + COMMAND, 2, 2);
	choose_features(VERSION_1);
	set_up_queue(0, 1);
	set_common(0x14, 1, DRIVER_OK);
}

/* Vector @index goes to vCPU @index as vector 0x40 + @index. */
static void set_vector(uint32_t index, uint32_t control)
{
	uint64_t entry = bar() + 0x4000 + index * 16;

	write_at(entry, 8, 0xfee00000 | index << 12);
	write_at(entry + 8, 4, 0x40 + index);
	write_at(entry + 12, 4, control);
}

static void control_msix(uint32_t value)
{
	write_at(ECAM + device.function.msix_cap + 2, 2, value);
}

#define MSIX_ON 0x8000
#define MSIX_MASKED 0x4000

static void offer(void)
{
	memcpy(ram + 0x8000, "abc", 3);
	describe(0, 0x8000, 3, NEXT, 1);
	describe(1, 0x9000, 3, WRITE, 0);
	make_available(0);
}

static int fresh(void **state)
{
	(void)state;
	ram_clear();
	memset(&vm, 0, sizeof vm);
	memset(&device, 0, sizeof device);
	memset(fake_kicks, 0, sizeof fake_kicks);
	fake_cpu_count = 4;
	sent = complaints = resets = work_left = 0;
	vm.vcpus[0] = &first;
	virtio_add(&vm, &device, &type, SLOT);
	memcpy(device.config, "config", 6);
	guest_pci_reset(&vm);
	return 0;
}

/* ---- the bus ------------------------------------------------------------- */

static void a_function_says_what_it_is(void **state)
{
	(void)state;
	assert_int_equal(read_at(ECAM, 4), 0x10421af4);
	assert_int_equal(read_at(ECAM + 8, 4), 0x01800001);
	assert_int_equal(read_at(ECAM + 0x3d, 1), 0);  /* no INTx */
	assert_int_equal(read_at(ECAM + 0x100, 4), 0); /* nothing extended */
	assert_int_equal(read_at(ECAM + 6, 2) & 0x10, 0x10);
	write_at(ECAM, 4, 0);
	assert_int_equal(read_at(ECAM, 4), 0x10421af4);
	/* Nobody else is there, nor is another function of its own. */
	assert_int_equal(read_at(ECAM + 0x1000, 4), ~0u);
	assert_int_equal(read_at(MULL_GUEST_ECAM, 2), 0xffff);
	assert_int_equal(read_at(ECAM + 1, 4), ~0u);
	assert_int_equal(read_at(ECAM, 8), 0x0010000010421af4);
}

static uint32_t in(uint16_t port, uint32_t size)
{
	assert_true(guest_pci_is_port(port, size));
	return guest_pci_port_read(&vm, port, size);
}

static void out(uint16_t port, uint32_t size, uint32_t value)
{
	assert_true(guest_pci_is_port(port, size));
	guest_pci_port_write(&vm, port, size, value);
}

static void it_answers_by_ports_too(void **state)
{
	const uint32_t at = 0x80000000 | SLOT << 11;

	(void)state;
	out(0xcf8, 4, at | 3); /* the lowest bits are none */
	assert_int_equal(in(0xcf8, 4), at);
	assert_int_equal(in(0xcfc, 4), 0x10421af4);
	assert_int_equal(in(0xcfe, 2), 0x1042);
	assert_int_equal(in(0xcfd, 1), 0x1a);
	out(0xcf8, 4, at | COMMAND);
	out(0xcfc, 2, 2);
	assert_int_equal(read_at(ECAM + COMMAND, 2), 2);
	out(0xcf8, 4, at | 0x34);
	assert_int_equal(in(0xcfc, 1), read_at(ECAM + 0x34, 1));
	out(0xcf8, 4, at | 1 << 16); /* no other bus */
	assert_int_equal(in(0xcfc, 4), ~0u);
	out(0xcf8, 4, at | 1 << 8); /* nor another function */
	assert_int_equal(in(0xcfc, 4), ~0u);
	out(0xcf8, 4, at & 0x7fffffff);
	assert_int_equal(in(0xcfc, 4), ~0u);
	out(0xcfc, 4, 0);
	assert_false(guest_pci_is_port(0xcf8, 1));
	assert_false(guest_pci_is_port(0xcf9, 1)); /* a reset's */
	assert_false(guest_pci_is_port(0xcfe, 4));
	assert_false(guest_pci_is_port(0xd00, 1));
}

static void a_bridge_is_there_and_does_nothing(void **state)
{
	(void)state;
	guest_pci_add_bridge(&vm);
	guest_pci_reset(&vm);
	assert_int_equal(read_at(MULL_GUEST_ECAM + 8, 4) >> 16, 0x0600);
	write_at(MULL_GUEST_ECAM + BAR, 4, ~0u);
	assert_int_equal(read_at(MULL_GUEST_ECAM + BAR, 4), 0);
	write_at(MULL_GUEST_ECAM + COMMAND, 2, 0xffff);
	assert_int_equal(read_at(MULL_GUEST_PCI_MEMORY, 4), ~0u);
	assert_int_equal(read_at(MULL_GUEST_ECAM + 0x34, 1), 0);
	assert_int_equal(sent, 0);
}

static void capabilities_lead_to_the_structures(void **state)
{
	uint32_t at = (uint32_t)read_at(ECAM + 0x34, 1), types = 0;

	(void)state;
	for (int i = 0; at && i < 10; i++) {
		uint32_t id = (uint32_t)read_at(ECAM + at, 1);

		if (id == 9)
			types |= 1u << read_at(ECAM + at + 3, 1);
		else
			assert_int_equal(id, 0x11);
		at = (uint32_t)read_at(ECAM + at + 1, 1);
	}
	assert_int_equal(at, 0);
	assert_int_equal(types, 0x3e); /* one of each, 1 to 5 */
}

static void a_bar_can_be_measured_and_moved(void **state)
{
	uint64_t at = bar();

	(void)state;
	assert_true(guest_pci_is_at(&vm, gpa(at)));
	assert_int_equal(read_at(at + 0x12, 2), 0xffff); /* not decoded */
	write_at(ECAM + COMMAND, 2, 0xffff);
	assert_int_equal(read_at(ECAM + COMMAND, 2), 0x406);
	assert_int_equal(read_at(at + 0x12, 2), QUEUES);
	write_at(ECAM + BAR, 4, ~0u);
	assert_int_equal(bar(), 0xffff8000);
	write_at(ECAM + BAR, 4, MULL_GUEST_PCI_MEMORY + 0x10000);
	assert_int_equal(read_at(MULL_GUEST_PCI_MEMORY + 0x10012, 2), QUEUES);
	assert_int_equal(read_at(at + 0x12, 2), 0xffff);
	/* Over configuration space or anything else: out of reach. */
	write_at(ECAM + BAR, 4, MULL_GUEST_ECAM);
	assert_int_equal(read_at(MULL_GUEST_ECAM + 0x12, 2), 0xffff);
	guest_pci_reset(&vm);
	assert_int_equal(bar(), at);
	assert_int_equal(read_at(ECAM + COMMAND, 2), 0);
}

static void the_bar_can_be_reached_by_configuration(void **state)
{
	uint64_t window = ECAM + device.window;

	(void)state;
	write_at(window + 4, 1, 0);
	write_at(window + 8, 4, 0x12);
	write_at(window + 12, 4, 2);
	assert_int_equal(read_at(window + 16, 4), QUEUES);
	write_at(window + 8, 4, 0x14);
	write_at(window + 12, 4, 1);
	write_at(window + 16, 4, 3);
	assert_int_equal(device.status, 3);
	write_at(window + 16, 4, 0);
	assert_int_equal(device.status, 0);
	/* No access that a BAR would not have. */
	write_at(window + 8, 4, 0x11);
	write_at(window + 12, 4, 4);
	assert_int_equal(read_at(window + 16, 4), 0);
	write_at(window + 8, 4, 0x8000);
	assert_int_equal(read_at(window + 16, 4), 0);
	write_at(window + 8, 4, 0x12);
	write_at(window + 12, 4, 3);
	assert_int_equal(read_at(window + 16, 4), 0);
	write_at(window + 12, 4, 2);
	write_at(window + 4, 1, 1);
	assert_int_equal(read_at(window + 16, 4), 0);
}

/* ---- initialization ------------------------------------------------------- */

static void only_what_is_offered_is_negotiated(void **state)
{
	(void)state;
	write_at(ECAM + COMMAND, 2, 2);
	set_common(0, 4, 0);
	assert_int_equal(common(4, 4), 0x30000020);
	set_common(0, 4, 1);
	assert_int_equal(common(4, 4), 5); /* and RING_PACKED */
	set_common(0, 4, 2);
	assert_int_equal(common(4, 4), 0);
	choose_features(VERSION_1 | 0x40); /* not offered */
	assert_int_equal(common(0x14, 1), 3);
	choose_features(0x20); /* an old driver */
	assert_int_equal(common(0x14, 1), 3);
	set_common(0x14, 1, DRIVER_OK & ~8); /* goes on all the same */
	assert_int_equal(common(0x14, 1), 3);
	choose_features(VERSION_1 | 0x20);
	assert_int_equal(common(0x14, 1), 11);
	assert_true(device.negotiated == (VERSION_1 | 0x20));
	choose_features(VERSION_1); /* too late */
	assert_true(device.negotiated == (VERSION_1 | 0x20));
	set_common(0x08, 4, 5);
	set_common(0x0c, 4, 7);
	assert_int_equal(common(0x0c, 4), 0);
	set_common(0x14, 1, 0);
	assert_int_equal(common(0x14, 1), 0);
	assert_true(device.negotiated == 0);
	assert_int_equal(resets, 2);
}

static void a_queue_stays_as_it_was_enabled(void **state)
{
	(void)state;
	set_up();
	set_common(0x18, 2, 4);
	set_common(0x20, 4, 0x7000);
	assert_int_equal(common(0x18, 2), QUEUE_SIZE);
	assert_int_equal(common(0x20, 4), DESCRIPTORS);
	assert_int_equal(common(0x1c, 2), 1);
	set_common(0x16, 2, 1);
	assert_int_equal(common(0x18, 2), VIRTQUEUE_SIZE_MAX);
	assert_int_equal(common(0x1e, 2), 1);
	set_common(0x18, 2, 0);
	set_common(0x18, 2, VIRTQUEUE_SIZE_MAX + 1);
	assert_int_equal(common(0x18, 2), VIRTQUEUE_SIZE_MAX);
	set_common(0x28, 8, 0x123456789a);
	assert_int_equal(common(0x28, 8), 0x123456789a);
	set_common(0x1a, 2, MSIX_VECTORS);
	assert_int_equal(common(0x1a, 2), MSIX_NO_VECTOR);
	set_common(0x16, 2, QUEUES); /* there is none */
	assert_int_equal(common(0x18, 2), 0);
	set_common(0x1c, 2, 1);
	assert_int_equal(common(0x1c, 2), 0);
}

/* And if it is not packed, of a size that divides 65536. */
static void rings_must_be_aligned(void **state)
{
	(void)state;
	write_at(ECAM + COMMAND, 2, 2);
	choose_features(VERSION_1);
	set_common(0x18, 2, 6);
	set_common(0x1c, 2, 1);
	assert_int_equal(common(0x1c, 2), 0);
	assert_int_equal(common(0x14, 1) & 64, 64);
	set_common(0x14, 1, 0);
	write_at(ECAM + COMMAND, 2, 2);
	choose_features(VERSION_1);
	set_common(0x20, 8, DESCRIPTORS + 8);
	set_common(0x1c, 2, 1);
	assert_int_equal(common(0x1c, 2), 0);
	assert_int_equal(common(0x14, 1), 11 | 0x40);
	assert_int_equal(complaints, 2);
}

static void the_device_has_its_configuration(void **state)
{
	(void)state;
	write_at(ECAM + COMMAND, 2, 2);
	assert_int_equal(read_at(bar() + 0x2000, 4), 0x666e6f63);
	assert_int_equal(read_at(bar() + 0x2004, 1), 'i');
	assert_int_equal(read_at(bar() + 0x2008, 4), 0);
	write_at(bar() + 0x2000, 4, 0);
	assert_int_equal(device.config[0], 'c');
	assert_int_equal(read_at(bar() + 0x6000, 4), 0);
}

/* ---- at work -------------------------------------------------------------- */

static void a_notified_queue_is_worked_on_by_the_home_cpu(void **state)
{
	(void)state;
	set_up();
	offer();
	assert_false(guest_pci_work(&vm));
	notify(0);
	assert_int_equal(fake_kicks[2], 1);
	work_left = 3;
	work();
	assert_int_equal(used_count(), 1);
	assert_int_equal(used_length(0), 3);
	assert_memory_equal(ram + 0x9000, "abc", 3);
	assert_int_equal(read_at(bar() + 0x1000, 1), 1); /* and cleared by it */
	assert_int_equal(read_at(bar() + 0x1000, 1), 0);
	assert_int_equal(sent, 0); /* MSI-X is off */
	notify(1);		   /* not enabled: nothing */
	notify(QUEUES);
	work();
	assert_int_equal(used_count(), 1);
	assert_int_equal(complaints, 0);
}

static void what_comes_before_the_driver_is_ready_waits(void **state)
{
	(void)state;
	write_at(ECAM + COMMAND, 2, 2);
	choose_features(VERSION_1);
	set_up_queue(0, 0);
	offer();
	notify(0);
	work();
	assert_int_equal(used_count(), 0);
	set_common(0x14, 1, DRIVER_OK);
	work();
	assert_int_equal(used_count(), 1);
}

static void interrupts_are_messages(void **state)
{
	(void)state;
	set_up();
	set_vector(1, 0);
	control_msix(MSIX_ON);
	offer();
	notify(0);
	work();
	assert_int_equal(sent, 1);
	assert_int_equal(last.destination, 1);
	assert_int_equal(last.vector, 0x41);
	assert_int_equal(last.delivery, APIC_FIXED);
	assert_false(last.logical || last.level);
	assert_int_equal(read_at(bar() + 0x4010, 8), 0xfee01000);
}

static void masked_messages_wait(void **state)
{
	(void)state;
	set_up();
	set_vector(1, 1);
	control_msix(MSIX_ON);
	for (int i = 0; i < 2; i++) {
		offer();
		notify(0);
		work();
	}
	assert_int_equal(sent, 0);
	assert_int_equal(read_at(bar() + 0x5000, 8), 2);
	control_msix(MSIX_ON | MSIX_MASKED);
	set_vector(1, 0); /* all are masked now */
	assert_int_equal(sent, 0);
	control_msix(MSIX_ON);
	assert_int_equal(sent, 1); /* one for both */
	assert_int_equal(read_at(bar() + 0x5000, 4), 0);
	control_msix(0);
	offer();
	notify(0);
	work();
	control_msix(MSIX_ON);
	assert_int_equal(sent, 1); /* what came while it was off is lost */
}

static void a_message_goes_nowhere_but_to_apics(void **state)
{
	static const struct {
		uint64_t address;
		uint32_t data;
	} bad[] = {
		{ 0xfed00000, 0x41 },  { 0x1fee00000, 0x41 },
		{ 0x1000, 0x41 },      { 0xfee00000, 0x241 }, /* SMI */
		{ 0xfee00000, 0x541 },			      /* INIT */
		{ 0xfee00000, 0x641 },			      /* start-up */
		{ 0xfee00000, 0x741 },			      /* ExtINT */
	};

	(void)state;
	set_up();
	control_msix(MSIX_ON);
	for (uint32_t i = 0; i < ARRAY_COUNT(bad); i++) {
		set_vector(1, 1);
		write_at(bar() + 0x4010, 8, bad[i].address);
		write_at(bar() + 0x4018, 4, bad[i].data);
		msix_raise(&vm, &device.function, 1);
		write_at(bar() + 0x401c, 4, 0);
	}
	assert_int_equal(sent, 0);
	write_at(bar() + 0x4010, 8, 0xfee03004);
	write_at(bar() + 0x4018, 4, 0x4100 | 0x99);
	msix_raise(&vm, &device.function, 1);
	assert_int_equal(last.delivery, APIC_LOWEST);
	assert_true(last.logical);
	assert_int_equal(last.destination, 3);
	msix_raise(&vm, &device.function, MSIX_VECTORS);
	msix_raise(&vm, &device.function, MSIX_NO_VECTOR);
	assert_int_equal(sent, 1);
}

static void a_broken_ring_stops_the_device(void **state)
{
	(void)state;
	set_up();
	set_common(0x10, 2, 0);
	set_vector(0, 0);
	control_msix(MSIX_ON);
	make_available(QUEUE_SIZE);
	notify(0);
	work();
	assert_int_equal(common(0x14, 1), DRIVER_OK | 0x40);
	assert_int_equal(sent, 1);
	assert_int_equal(last.vector, 0x40); /* the change's */
	assert_int_equal(read_at(bar() + 0x1000, 1), 2);
	put_16(DRIVER + 2, 0);
	offer();
	notify(0);
	work();
	assert_int_equal(used_count(), 0);
	assert_int_equal(complaints, 1);
	set_common(0x14, 1, 0);
	set_up();
	notify(0);
	work();
	assert_int_equal(used_count(), 1);
}

static void a_chain_of_another_kind_stops_it_too(void **state)
{
	(void)state;
	set_up();
	describe(0, 0x8000, 65, 0, 0);
	make_available(0);
	notify(0);
	work();
	assert_int_equal(common(0x14, 1), DRIVER_OK | 0x40);
	virtio_break(&vm, &device, "again");
	assert_int_equal(complaints, 1);
}

static void a_reset_forgets_what_was_to_be_done(void **state)
{
	(void)state;
	set_up();
	offer();
	notify(0);
	set_common(0x14, 1, 0);
	work();
	assert_int_equal(used_count(), 0);
	assert_int_equal(device.notified, 0);
	notify(0);
	guest_pci_reset(&vm);
	assert_false(guest_pci_work(&vm));
	assert_int_equal(used_count(), 0);
}

static void entropy_is_random_numbers(void **state)
{
	static struct virtio_device entropy;

	(void)state;
	virtio_add(&vm, &entropy, &virtio_entropy, SLOT);
	guest_pci_reset(&vm);
	set_up();
	describe(0, 0x8000, 100, WRITE, 0);
	make_available(0);
	describe(1, 0x9000, 5, WRITE, 0);
	make_available(1);
	notify(0);
	work();
	assert_int_equal(used_count(), 2);
	assert_int_equal(used_length(0), 64);
	assert_memory_equal(ram + 0x8000, "\xef\xcd\xab", 3);
	assert_int_equal(ram[0x8000 + 64], 0);
	assert_int_equal(used_length(1), 5);
	assert_int_equal(ram[0x9005], 0);
	fake_random = 0; /* none now: the driver asks again */
	make_available(1);
	notify(0);
	work();
	assert_int_equal(used_length(2), 0);
	fake_random = 1;
	describe(1, 0x9000, 5, 0, 0);
	make_available(1);
	notify(0);
	work();
	assert_int_equal(complaints, 1);
	assert_int_equal(used_count(), 3);
}

#define TEST(name) cmocka_unit_test_setup(name, fresh)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_function_says_what_it_is),
		TEST(it_answers_by_ports_too),
		TEST(a_bridge_is_there_and_does_nothing),
		TEST(capabilities_lead_to_the_structures),
		TEST(a_bar_can_be_measured_and_moved),
		TEST(the_bar_can_be_reached_by_configuration),
		TEST(only_what_is_offered_is_negotiated),
		TEST(a_queue_stays_as_it_was_enabled),
		TEST(rings_must_be_aligned),
		TEST(the_device_has_its_configuration),
		TEST(a_notified_queue_is_worked_on_by_the_home_cpu),
		TEST(what_comes_before_the_driver_is_ready_waits),
		TEST(interrupts_are_messages),
		TEST(masked_messages_wait),
		TEST(a_message_goes_nowhere_but_to_apics),
		TEST(a_broken_ring_stops_the_device),
		TEST(a_chain_of_another_kind_stops_it_too),
		TEST(a_reset_forgets_what_was_to_be_done),
		TEST(entropy_is_random_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
