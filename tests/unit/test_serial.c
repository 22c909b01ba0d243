/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <mullion/manage.h>
#include <mullion/vm.h>
#include <string.h>

enum { DATA, IER, IIR, LCR, MCR, LSR, MSR, SCR, FCR = IIR };

#define RING 64

static struct vm vm;
static uint8_t ring_bytes[RING];
static bool line;
static int edges, notices;

void io_apic_set_line(struct vm *of, uint32_t pin, bool high)
{
	assert_ptr_equal(of, &vm);
	assert_int_equal(pin, MULL_GUEST_UART_GSI);
	edges += high && !line;
	line = high;
}

void manage_notify(void)
{
	notices++;
}

static uint8_t in(uint32_t reg)
{
	return serial_read(&vm, reg);
}

static void out(uint32_t reg, uint8_t value)
{
	serial_write(&vm, reg, value);
}

/* What the console has printed, as text. */
static const char *printed(void)
{
	static char text[RING + 1];

	text[console_take(&vm.serial.output, text, RING)] = 0;
	return text;
}

static size_t type(const char *text)
{
	return serial_receive(&vm, (const uint8_t *)text, strlen(text));
}

static int fresh(void **state)
{
	(void)state;
	memset(&vm, 0, sizeof vm);
	vm.serial.output.bytes = ring_bytes;
	vm.serial.output.size = RING;
	line = false;
	serial_reset(&vm);
	edges = notices = 0;
	return 0;
}

/* ---- what Linux's 8250 driver probes ------------------------------------ */

static void the_autoconfiguration_finds_a_16550a(void **state)
{
	(void)state;
	out(IER, 0);
	assert_int_equal(in(IER)&0xf, 0);
	out(IER, 0xf);
	assert_int_equal(in(IER), 0xf);
	out(IER, 0);
	out(MCR, 0x1a); /* loopback: OUT2 and RTS come back as DCD and CTS */
	assert_int_equal(in(MSR)&0xf0, 0x90);
	out(MCR, 0);
	out(LCR, 0xbf);
	out(FCR, 0);
	out(LCR, 0);
	out(FCR, 1);
	assert_int_equal(in(IIR) >> 6, 3);
	out(LCR, 0x80); /* no extended features register: no 16650 */
	assert_int_not_equal(in(IIR), 0);
	out(LCR, 0xbf);
	assert_int_not_equal(in(IIR), 0);
	out(LCR, 0);
	out(IER, 0x40); /* no UART unit enable bit: no XScale */
	assert_int_equal(in(IER)&0x40, 0);
}

static void the_loopback_fifo_is_16_deep(void **state)
{
	int count = 0;

	(void)state;
	out(FCR, 7);
	out(MCR, 0x10);
	for (int byte = 0; byte < 256; byte++)
		out(DATA, (uint8_t)byte);
	assert_int_equal(in(LSR), 0x63); /* with an overrun */
	assert_int_equal(in(LSR), 0x61); /* which is reported once */
	while (in(LSR)&1)
		assert_int_equal(in(DATA), count++);
	assert_int_equal(count, 16);
	assert_string_equal(printed(), "");
	assert_int_equal(notices, 0);
}

static void the_transmit_interrupt_comes_again_when_reenabled(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		out(IER, 2);
		assert_int_equal(in(IIR), 0x02);
		assert_int_equal(in(IIR), 0x01);
		out(IER, 0);
		assert_int_equal(in(IIR), 0x01);
	}
	assert_int_equal(edges, 3);
}

/* ---- registers ---------------------------------------------------------- */

static void plain_registers_keep_what_they_can(void **state)
{
	(void)state;
	out(SCR, 0xa5);
	assert_int_equal(in(SCR), 0xa5);
	out(MCR, 0xff);
	assert_int_equal(in(MCR), 0x1f);
	out(MCR, 0);
	out(LCR, 0x83);
	out(DATA, 0x34);
	out(IER, 0x12);
	assert_int_equal(in(DATA), 0x34);
	assert_int_equal(in(IER), 0x12);
	out(LCR, 0x03);
	assert_int_equal(in(IER), 0);
	assert_int_equal(in(LCR), 3);
	out(LSR, 0xff);
	out(MSR, 0xff);
	assert_int_equal(in(LSR), 0x60);
	assert_string_equal(printed(), "");
	assert_int_equal(in(8), 0xff);
	assert_int_equal(in(~0u), 0xff);
	out(8, 1);
}

static void modem_status_tells_changes_once(void **state)
{
	(void)state;
	assert_int_equal(in(MSR), 0xb0);
	out(IER, 8);
	out(MCR, 0x10 | 0x4); /* CTS, DSR, DCD fall; RI rises */
	assert_int_equal(in(IIR), 0x00);
	assert_true(line);
	assert_int_equal(in(MSR), 0x40 | 0xb);
	assert_int_equal(in(MSR), 0x40);
	assert_false(line);
	out(MCR, 0x10); /* RI ends */
	assert_int_equal(in(MSR), 0x04);
	out(MCR, 0x11);
	out(MCR, 0x13); /* two changes before it is read */
	assert_int_equal(in(MSR), 0x30 | 0x3);
	out(MCR, 0x17);
	assert_int_equal(in(MSR), 0x70);
}

static void each_interrupt_has_its_enable_bit(void **state)
{
	(void)state;
	out(FCR, 1);
	out(MCR, 0x10);
	in(MSR);
	for (int i = 0; i < 17; i++)
		out(DATA, 'a');
	out(IER, 0xf & ~4); /* there is an overrun, and there are bytes */
	assert_int_equal(in(IIR), 0xc4);
	out(IER, 0xf & ~5);
	assert_int_equal(in(IIR), 0xc2);
	out(DATA, 'a');
	out(IER, 0xf & ~7);
	assert_int_equal(in(IIR), 0xc1);
	out(MCR, 0x11);
	assert_int_equal(in(IIR), 0xc0);
	out(IER, 0);
	assert_int_equal(in(IIR), 0xc1);
}

static void the_transmit_interrupt_needs_its_bit_to_change(void **state)
{
	(void)state;
	out(IER, 2);
	assert_int_equal(in(IIR), 2);
	out(IER, 3);
	assert_int_equal(in(IIR), 1);
	out(IER, 1);
	assert_int_equal(in(IIR), 1);
	out(IER, 3);
	assert_int_equal(in(IIR), 2);
}

static void fifo_control_counts_while_the_fifo_is_on(void **state)
{
	(void)state;
	out(FCR, 0xc0); /* off, so that its trigger means nothing */
	out(IER, 1);
	assert_int_equal(type("ab"), 1);
	assert_true(line);
	assert_int_equal(in(IIR), 0x04);
	out(FCR, 0xc2);
	assert_int_equal(in(DATA), 'a');
	out(FCR, 0x01);
	type("ab");
	out(FCR, 0x85);
	assert_int_equal(in(DATA), 'a');
	out(FCR, 0x00); /* on or off, it is emptied */
	assert_int_equal(in(LSR), 0x60);
	assert_int_equal(in(IIR), 0x01);
}

static void one_byte_in_loopback_is_no_overrun(void **state)
{
	(void)state;
	out(LCR, 0x03);
	out(MCR, 0x10);
	out(DATA, 'a');
	assert_int_equal(in(LSR), 0x61);
	assert_int_equal(in(DATA), 'a');
	out(MCR, 0x0f); /* what is not the loop bit loops nothing */
	out(DATA, 'b');
	assert_string_equal(printed(), "b");
}

static void a_reset_keeps_the_output(void **state)
{
	(void)state;
	out(DATA, 'x');
	out(IER, 0xf);
	out(LCR, 3);
	serial_reset(&vm);
	assert_false(line);
	assert_int_equal(in(IER) | in(LCR) | in(MCR), 0);
	assert_string_equal(printed(), "x");
}

/* ---- output ------------------------------------------------------------- */

static void what_is_written_is_printed(void **state)
{
	(void)state;
	for (const char *c = "Hello\n"; *c; c++) {
		assert_int_equal(in(LSR), 0x60);
		out(DATA, (uint8_t)*c);
	}
	assert_int_equal(serial_print(&vm, "you\n", 4), 4);
	assert_string_equal(printed(), "Hello\nyou\n");
}

static void who_has_printed_is_told_once(void **state)
{
	(void)state;
	serial_take_printed();
	assert_int_equal(serial_take_printed(), 0);
	vm.index = MULL_VM_MAX - 1;
	serial_print(&vm, "", 0);
	assert_int_equal(serial_take_printed(), 0);
	out(DATA, 'a');
	vm.index = 2;
	serial_print(&vm, "b", 1); /* also behind what nobody has read yet */
	assert_int_equal(serial_take_printed(), BIT(MULL_VM_MAX - 1) | BIT(2));
	assert_int_equal(serial_take_printed(), 0);
	vm.index = 0;
}

static void the_reader_is_woken_once_a_run(void **state)
{
	(void)state;
	for (int i = 0; i < 10; i++)
		out(DATA, 'a');
	assert_int_equal(notices, 1);
	printed();
	out(DATA, 'b');
	assert_int_equal(notices, 2);
	assert_int_equal(serial_print(&vm, "c", 1), 1);
	assert_int_equal(notices, 2);
	assert_int_equal(serial_print(&vm, "", 0), 0);
	printed();
	assert_int_equal(serial_print(&vm, "", 0), 0);
	assert_int_equal(notices, 2);
}

static void each_byte_makes_an_edge(void **state)
{
	(void)state;
	out(IER, 2);
	assert_int_equal(edges, 1);
	for (int i = 0; i < 5; i++) /* by a driver that never reads the IIR */
		out(DATA, 'a');
	assert_int_equal(edges, 6);
	assert_true(line);
}

static void a_full_ring_holds_the_transmitter(void **state)
{
	char byte;
	int sent = 0;

	(void)state;
	out(IER, 2);
	while (in(LSR)&0x20) {
		out(DATA, 'a');
		assert_true(++sent < 1000);
	}
	assert_int_equal(in(LSR), 0);
	assert_int_equal(sent, RING - 15); /* a whole FIFO no longer fits */
	assert_false(line);
	assert_int_equal(in(IIR), 1);
	for (int i = 0; i < 100; i++) /* the rest, and what does not fit */
		out(DATA, 'b');
	assert_int_equal(console_free(&vm.serial.output), 0);
	edges = 0;
	assert_int_equal(console_take(&vm.serial.output, &byte, 1), 1);
	serial_drained(&vm);
	assert_false(line); /* not yet: drivers send a whole FIFO */
	assert_int_equal(strlen(printed()), RING - 1);
	serial_drained(&vm);
	assert_int_equal(edges, 1);
	assert_int_equal(in(LSR), 0x60);
	assert_int_equal(in(IIR), 2);
	serial_drained(&vm);
	assert_int_equal(in(IIR), 1); /* answered is answered */
}

static void a_transmitter_enabled_while_full_waits(void **state)
{
	(void)state;
	while (in(LSR)&0x20)
		out(DATA, 'a');
	out(IER, 2);
	assert_false(line);
	printed();
	serial_drained(&vm);
	assert_true(line);
	/* Filled beside the UART, it is full for it, too. */
	out(IER, 0);
	while (serial_print(&vm, "a", 1))
		;
	out(IER, 2);
	assert_false(line);
	printed();
	serial_drained(&vm);
	assert_true(line);
}

static void the_ring_wraps(void **state)
{
	char bytes[RING];

	(void)state;
	vm.serial.output.head = vm.serial.output.tail = 0xfffffff0;
	for (int i = 0; i < 20; i++) {
		assert_int_equal(serial_print(&vm, "0123456789", 10), 10);
		assert_int_equal(console_take(&vm.serial.output, bytes, RING),
				 10);
		assert_memory_equal(bytes, "0123456789", 10);
	}
	memset(bytes, 'z', sizeof bytes);
	assert_int_equal(serial_print(&vm, bytes, RING - 1), RING - 1);
	assert_int_equal(serial_print(&vm, "yy", 2), 1);
	assert_int_equal(console_take(&vm.serial.output, bytes, 3), 3);
	assert_int_equal(console_free(&vm.serial.output), 3);
}

/* ---- input -------------------------------------------------------------- */

static void what_is_typed_is_received(void **state)
{
	(void)state;
	out(FCR, 1);
	assert_int_equal(type("ok"), 2);
	assert_false(line);
	out(IER, 1);
	assert_true(line);
	assert_int_equal(in(LSR), 0x61);
	assert_int_equal(in(DATA), 'o');
	assert_true(line);
	assert_int_equal(in(DATA), 'k');
	assert_false(line);
	assert_int_equal(in(LSR), 0x60);
	assert_int_equal(in(DATA), 0);
}

static void the_receiver_takes_what_fits(void **state)
{
	static const char text[] = "0123456789abcdef0123456789abcdef"
				   "0123456789abcdef0123456789abcdefXYZ";

	(void)state;
	assert_int_equal(type("ab"), 1); /* without FIFO */
	assert_int_equal(in(DATA), 'a');
	out(FCR, 1);
	for (int round = 0; round < 3; round++) {
		assert_int_equal(type(text), 64);
		assert_int_equal(type("n"), 0);
		for (int i = 0; i < 40; i++)
			assert_int_equal(in(DATA), text[i]);
		assert_int_equal(type("nm"), 2);
		for (int i = 40; i < 64; i++)
			assert_int_equal(in(DATA), text[i]);
		assert_int_equal(in(DATA), 'n');
		assert_int_equal(in(DATA), 'm');
	}
	assert_int_equal(in(LSR), 0x60);
}

static void few_bytes_are_reported_as_a_pause(void **state)
{
	(void)state;
	out(FCR, 0x81); /* from 8 bytes on */
	out(IER, 1);
	type("1234567");
	assert_int_equal(in(IIR), 0xcc);
	type("8");
	assert_int_equal(in(IIR), 0xc4);
	out(FCR, 0x83); /* cleared */
	assert_int_equal(in(IIR), 0xc1);
	assert_false(line);
}

static void interrupts_have_their_priorities(void **state)
{
	(void)state;
	out(FCR, 1);
	out(MCR, 0x10);
	for (int i = 0; i < 17; i++)
		out(DATA, 'a');
	out(IER, 0xf);
	assert_int_equal(in(IIR), 0xc6);
	in(LSR);
	assert_int_equal(in(IIR), 0xc4);
	while (in(LSR)&1)
		in(DATA);
	assert_int_equal(in(IIR), 0xc2);
	assert_int_equal(in(IIR), 0xc0);
	in(MSR);
	assert_true(in(IIR) == 0xc1 && !line);
}

static void in_loopback_the_line_is_cut_off(void **state)
{
	(void)state;
	out(MCR, 0x10);
	assert_int_equal(type("a"), 0);
	out(MCR, 0);
	assert_int_equal(type("a"), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup(name, fresh)
		TEST(the_autoconfiguration_finds_a_16550a),
		TEST(the_loopback_fifo_is_16_deep),
		TEST(the_transmit_interrupt_comes_again_when_reenabled),
		TEST(plain_registers_keep_what_they_can),
		TEST(modem_status_tells_changes_once),
		TEST(each_interrupt_has_its_enable_bit),
		TEST(the_transmit_interrupt_needs_its_bit_to_change),
		TEST(fifo_control_counts_while_the_fifo_is_on),
		TEST(one_byte_in_loopback_is_no_overrun),
		TEST(a_reset_keeps_the_output),
		TEST(what_is_written_is_printed),
		TEST(who_has_printed_is_told_once),
		TEST(the_reader_is_woken_once_a_run),
		TEST(each_byte_makes_an_edge),
		TEST(a_full_ring_holds_the_transmitter),
		TEST(a_transmitter_enabled_while_full_waits),
		TEST(the_ring_wraps),
		TEST(what_is_typed_is_received),
		TEST(the_receiver_takes_what_fits),
		TEST(few_bytes_are_reported_as_a_pause),
		TEST(interrupts_have_their_priorities),
		TEST(in_loopback_the_line_is_cut_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
