/* SPDX-License-Identifier: MIT */
/* A virtio console with its driver on one side and the channel on the other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "virtio_guest.h"

#include <arch/fake/fake.h>
#include <cmocka.h>
#include <mullion/log.h>
#include <mullion/manage.h>
#include <mullion/virtio_console.h>
#include <stdlib.h>

#define MULTIPORT 2
#define QUEUES 6

enum { RX0, TX0, CONTROL_IN, CONTROL_OUT, RX1, TX1 };

static struct virtio_console console;
static uint8_t ring[256];
static uint32_t complaints, notices;

bool vm_interrupt(struct vm *to, const struct apic_message *message)
{
	(void)to;
	(void)message;
	return true;
}

void io_apic_set_line(struct vm *to, uint32_t pin, bool high)
{
	(void)to;
	(void)pin;
	(void)high;
}

uint32_t vm_home(const struct vm *of)
{
	(void)of;
	return 0;
}

void log_guest(struct vcpu *vcpu, const char *format, ...)
{
	(void)vcpu;
	(void)format;
	complaints++;
}

void manage_notify(void)
{
	notices++;
}

_Noreturn void panic(const char *format, ...)
{
	fail_msg("panic: %s", format);
	abort();
}

static int fresh_with(const char *command_line)
{
	ram_clear();
	memset(&vm, 0, sizeof vm);
	memset(&console, 0, sizeof console);
	fake_cpu_count = 1;
	complaints = notices = 0;
	vm.vcpus[0] = &first;
	vm.serial.output = (struct console_ring){ .bytes = ring,
						  .size = sizeof ring };
	strcpy(vm.description.command_line, command_line);
	virtio_console_add(&vm, &console, DRIVEN_SLOT);
	guest_pci_reset(&vm);
	return 0;
}

static int fresh(void **state)
{
	(void)state;
	return fresh_with("");
}

/* ---- the guest's side ----------------------------------------------------- */

static void work(void)
{
	assert_true(work_all());
}

static void say(uint32_t id, uint16_t event, uint16_t value)
{
	const struct {
		uint32_t id;
		uint16_t event, value;
	} control = { id, event, value };

	offer_chain(CONTROL_OUT, &control, sizeof control, 0);
	work();
}

static void assert_told(uint16_t index, uint32_t id, uint16_t event,
			const char *name)
{
	uint32_t length;
	const uint8_t *bytes = answer_of(CONTROL_IN, index, &length);
	const uint8_t control[8] = { (uint8_t)id,    0, 0, 0,
				     (uint8_t)event, 0, 1, 0 };

	assert_int_equal(length, 8 + strlen(name));
	assert_memory_equal(bytes, control, 8);
	assert_memory_equal(bytes + 8, name, strlen(name));
}

/* As Linux does: both ports are there, and open. */
static void start(void)
{
	start_driver(QUEUES, MULTIPORT);
	for (int i = 0; i < 4; i++)
		offer_chain(CONTROL_IN, "", 0, 64);
	say(~0u, 0, 1);
	say(0, 3, 1);
	for (int i = 0; i < 2; i++)
		offer_chain(CONTROL_IN, "", 0, 64);
	say(1, 3, 1);
	say(0, 6, 1);
	say(1, 6, 1);
}

static struct stream *agent(void)
{
	return virtio_console_agent(&vm);
}

static size_t hear(uint64_t *position, char *to, size_t room)
{
	size_t length = stream_read(agent(), position, to, room - 1);

	to[length] = 0;
	virtio_console_agent_changed(&vm);
	work();
	return length;
}

/* ---- tests ---------------------------------------------------------------- */

static void ports_are_told_in_order(void **state)
{
	(void)state;
	start_driver(QUEUES, MULTIPORT);
	assert_int_equal(get_register(0x2004, 4), 2); /* max_nr_ports */
	say(~0u, 0, 1);
	assert_int_equal(chains_used(CONTROL_IN), 0); /* nowhere to go */
	for (int i = 0; i < 4; i++)
		offer_chain(CONTROL_IN, "", 0, 64);
	work();
	assert_int_equal(chains_used(CONTROL_IN), 2);
	assert_told(0, 0, 1, "");
	assert_told(1, 1, 1, "");
	say(1, 3, 1);
	assert_told(2, 1, 7, "org.qemu.guest_agent.0");
	assert_told(3, 1, 6, "");
	offer_chain(CONTROL_IN, "", 0, 64);
	offer_chain(CONTROL_IN, "", 0, 64);
	say(0, 3, 1);
	assert_told(4, 0, 4, "");
	assert_told(5, 0, 6, "");
	assert_false(agent()->open);
	say(1, 6, 1);
	assert_true(agent()->open);
	say(1, 6, 0);
	assert_false(agent()->open);
	assert_int_equal(complaints, 0);
}

static void what_port_0_sends_is_on_the_console(void **state)
{
	char text[300], got[512];

	(void)state;
	start();
	offer_chain(TX0, "hello", 5, 0);
	work();
	assert_int_equal(chains_used(TX0), 1);
	assert_int_equal(notices, 1);
	assert_int_equal(console_take(&vm.serial.output, got, 512), 5);
	assert_memory_equal(got, "hello", 5);
	/* More than the console's ring holds: the rest waits. */
	for (size_t i = 0; i < sizeof text; i++)
		text[i] = (char)(i * 7);
	offer_chain(TX0, text, sizeof text, 0);
	work();
	assert_int_equal(chains_used(TX0), 1);
	assert_int_equal(console_take(&vm.serial.output, got, 512), 256);
	virtio_console_drained(&vm);
	work();
	assert_int_equal(chains_used(TX0), 2);
	assert_int_equal(console_take(&vm.serial.output, got + 256, 256), 44);
	assert_memory_equal(got, text, sizeof text);
	/* Nobody reads: it does not wait. */
	vm.serial.output.detached = true;
	for (int i = 0; i < 4; i++)
		offer_chain(TX0, text, sizeof text, 0);
	work();
	assert_int_equal(chains_used(TX0), 6);
}

static void typed_bytes_go_to_port_0(void **state)
{
	const uint8_t typed[100] = { 1, 2, 3 };
	uint32_t length;

	(void)state;
	assert_false(virtio_console_listens(&vm));
	start_driver(QUEUES, MULTIPORT);
	assert_false(virtio_console_listens(&vm)); /* it is not open */
	start();
	assert_true(virtio_console_listens(&vm));
	assert_int_equal(virtio_console_type(&vm, typed, 100),
			 VIRTIO_CONSOLE_TYPED);
	assert_int_equal(virtio_console_type(&vm, typed, 1), 0);
	work();
	offer_chain(RX0, "", 0, 60);
	offer_chain(RX0, "", 0, 60);
	work();
	assert_int_equal(chains_used(RX0), 2);
	assert_memory_equal(answer_of(RX0, 0, &length), typed, 60);
	assert_int_equal(length, 60);
	answer_of(RX0, 1, &length);
	assert_int_equal(length, VIRTIO_CONSOLE_TYPED - 60);
	vm.serial.ier = 1; /* its driver listens */
	assert_false(virtio_console_listens(&vm));
}

static void the_command_line_says_which_console_is_the_main_one(void **state)
{
	static const struct {
		const char *line;
		bool is;
	} lines[] = {
		{ "console=ttyS0 console=hvc0", true },
		{ "console=hvc0 console=ttyS0", false },
		{ "quiet console=hvc0 rw", true },
		{ "noconsole=hvc0", false },
		{ "", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(lines); i++) {
		fresh_with(lines[i].line);
		start();
		vm.serial.ier = 1;
		assert_int_equal(virtio_console_listens(&vm), lines[i].is);
	}
}

static void a_driver_without_ports_has_the_console(void **state)
{
	(void)state;
	start_driver(2, 0);
	assert_true(virtio_console_listens(&vm));
	virtio_console_type(&vm, (const uint8_t *)"x", 1);
	offer_chain(RX0, "", 0, 8);
	offer_chain(TX0, "y", 1, 0);
	work();
	assert_int_equal(chains_used(RX0), 1);
	assert_int_equal(vm.serial.output.head, 1);
	start_driver(QUEUES, 0);
	offer_chain(TX1, "y", 1, 0);
	offer_chain(CONTROL_OUT, "y", 1, 0);
	work();
	assert_int_equal(chains_used(TX1) + chains_used(CONTROL_OUT), 0);
}

static void the_agent_is_asked_and_answers(void **state)
{
	uint64_t position = 0;
	uint32_t length;
	char text[64];

	(void)state;
	start();
	assert_int_equal(console_put(&agent()->to_guest, "ping\n", 5), 5);
	virtio_console_agent_changed(&vm);
	work();
	offer_chain(RX1, "", 0, 64);
	work();
	assert_memory_equal(answer_of(RX1, 0, &length), "ping\n", 5);
	assert_int_equal(length, 5);
	offer_chain(TX1, "{}\n", 3, 0);
	work();
	assert_int_equal(hear(&position, text, sizeof text), 3);
	assert_string_equal(text, "{}\n");
	/* The reply was lost: asked again, it comes again. */
	assert_int_equal(hear(&position, text, sizeof text), 3);
	position += 3;
	assert_int_equal(hear(&position, text, sizeof text), 0);
	position = 0; /* forgotten */
	assert_int_equal(hear(&position, text, sizeof text), 0);
	assert_int_equal(position, 3);
	position = UINT64_MAX;
	assert_int_equal(hear(&position, text, sizeof text), 0);
	assert_int_equal(position, 3);
}

static void an_agent_that_nobody_hears_waits(void **state)
{
	static char bytes[CHAIN_ROOM / 2], got[VIRTIO_CONSOLE_FROM_AGENT + 1];
	uint64_t position = 0;
	size_t heard = 0, length;
	uint16_t chains = 0;

	(void)state;
	start();
	memset(bytes, 'x', sizeof bytes);
	for (; chains < 3; chains++)
		offer_chain(TX1, bytes, sizeof bytes, 0);
	work();
	assert_int_equal(chains_used(TX1), 3);
	for (; chains < 6; chains++)
		offer_chain(TX1, bytes, sizeof bytes, 0);
	work();
	assert_int_equal(chains_used(TX1), 4); /* 4 KiB */
	/* What it says next comes when there is room for it. */
	for (int i = 0; i < 8; i++) {
		length = hear(&position, got, sizeof got);
		position += length;
		heard += length;
	}
	assert_int_equal(heard, 6 * sizeof bytes);
	assert_int_equal(chains_used(TX1), 6);
}

static void
another_listener_does_not_get_what_was_meant_for_the_one_before(void **state)
{
	(void)state;
	start();
	console_put(&agent()->to_guest, "secret", 6);
	say(1, 6, 0);
	say(1, 6, 1);
	virtio_console_agent_changed(&vm);
	offer_chain(RX1, "", 0, 64);
	work();
	assert_int_equal(chains_used(RX1), 0);
	/* Nor after a reset of the device. */
	console_put(&agent()->to_guest, "secret", 6);
	start_driver(QUEUES, MULTIPORT);
	assert_false(agent()->open);
	virtio_console_agent_changed(&vm);
	offer_chain(RX1, "", 0, 64);
	work();
	assert_int_equal(chains_used(RX1), 0);
}

/* What breaks the device's rules breaks the device, and nothing else. */
static void assert_broken(void)
{
	work();
	assert_int_equal(get_register(0x14, 1) & 0x40, 0x40);
	assert_int_equal(complaints, 1);
	complaints = 0;
	start();
	offer_chain(TX0, "z", 1, 0);
	work();
	assert_int_equal(chains_used(TX0), 1);
}

static void hostile_chains_stop_the_device(void **state)
{
	(void)state;
	start();
	offer_chain(CONTROL_OUT, "short", 5, 0);
	assert_broken();
	virtio_console_type(&vm, (const uint8_t *)"x", 1);
	offer_chain(RX0, "x", 1, 8); /* to be read */
	assert_broken();
	virtio_console_type(&vm, (const uint8_t *)"x", 1);
	describe_at(RING(RX0), 0, RAM_SIZE, 8, WRITE, 0);
	put_16(RING(RX0) + RING_DRIVER + 2, 1);
	set_register(0x3000, 2, 0);
	assert_broken();
	describe_at(RING(TX0), 0, RAM_SIZE, 8, 0, 0);
	put_16(RING(TX0) + RING_DRIVER + 2, 2); /* the second is of no use */
	put_16(RING(TX0) + RING_DRIVER + 6, 0);
	set_register(0x3004, 2, 0);
	assert_broken();
	offer_chain(CONTROL_IN, "", 0, 4); /* too small */
	say(0, 3, 1);
	offer_chain(CONTROL_IN, "", 0, 4);
	assert_broken();
}

static void a_chain_that_shrinks_while_it_waits_is_given_back(void **state)
{
	char text[300] = "", got[512];

	(void)state;
	start();
	offer_chain(TX0, text, sizeof text, 0);
	work();
	describe_at(RING(TX0), 0, OUT_BYTES(TX0, 0), 1, 0, 0);
	console_take(&vm.serial.output, got, sizeof got);
	virtio_console_drained(&vm);
	work();
	assert_int_equal(chains_used(TX0), 1);
	assert_int_equal(complaints, 0);
}

static void unknown_messages_do_nothing(void **state)
{
	(void)state;
	start();
	for (uint16_t event = 0; event < 12; event++) {
		say(2, event, 1);
		say(~0u, event, 0);
	}
	assert_int_equal(complaints, 0);
	assert_true(agent()->open);
}

#define TEST(name) cmocka_unit_test_setup(name, fresh)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(ports_are_told_in_order),
		TEST(what_port_0_sends_is_on_the_console),
		TEST(typed_bytes_go_to_port_0),
		TEST(the_command_line_says_which_console_is_the_main_one),
		TEST(a_driver_without_ports_has_the_console),
		TEST(the_agent_is_asked_and_answers),
		TEST(an_agent_that_nobody_hears_waits),
		TEST(another_listener_does_not_get_what_was_meant_for_the_one_before),
		TEST(hostile_chains_stop_the_device),
		TEST(a_chain_that_shrinks_while_it_waits_is_given_back),
		TEST(unknown_messages_do_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
