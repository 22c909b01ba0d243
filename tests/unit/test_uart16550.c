/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arch/fake/fake.h>
#include <cmocka.h>
#include <mullion/uart16550.h>
#include <string.h>

#define PORT 0x2f8

/* A 16550 whose line takes a byte each @slowness looks at its status. */
static struct {
	bool absent, no_loopback, stuck;
	uint8_t line, modem, scratch, interrupts, fifo;
	uint16_t divisor;
	uint32_t slowness, looks;
	uint32_t in_fifo, depth;
	char sent[256];
	size_t sent_count;
	char incoming[64];
	size_t incoming_count, incoming_taken;
	uint32_t lowered; /* how often all interrupts were off */
} chip;

static uint8_t line_status(void)
{
	bool received = chip.incoming_taken < chip.incoming_count;

	if (chip.in_fifo && !chip.stuck && ++chip.looks >= chip.slowness) {
		chip.looks = 0;
		chip.in_fifo--;
	}
	return (uint8_t)(received | (chip.in_fifo ? 0 : 0x60));
}

static uint8_t chip_in(uint16_t port)
{
	if (chip.absent)
		return 0xff;
	assert_in_range(port, PORT, PORT + 7);
	switch (port - PORT) {
	case 0:
		assert_true(chip.incoming_taken < chip.incoming_count);
		return (uint8_t)chip.incoming[chip.incoming_taken++];
	case 2:
		return chip.depth > 1 && (chip.fifo & 1) ? 0xc1 : 0x01;
	case 5:
		return line_status();
	case 6:
		if (!(chip.modem & 0x10) || chip.no_loopback)
			return 0xb0;
		return (uint8_t)((chip.modem & 8) << 4 | (chip.modem & 2) << 3);
	case 7:
		return chip.scratch;
	}
	fail_msg("read of register %d", port - PORT);
	return 0;
}

static void send_byte(uint8_t byte)
{
	assert_true(chip.in_fifo < chip.depth); /* nothing overruns */
	assert_true(chip.sent_count < sizeof chip.sent);
	chip.in_fifo++;
	chip.sent[chip.sent_count++] = (char)byte;
}

static void chip_out(uint16_t port, uint8_t value)
{
	bool divisor = chip.line & 0x80;

	assert_in_range(port, PORT, PORT + 7);
	switch (port - PORT) {
	case 0:
		if (!divisor)
			send_byte(value);
		else
			chip.divisor = (chip.divisor & 0xff00) | value;
		break;
	case 1:
		if (divisor) {
			chip.divisor = (uint16_t)(value << 8) |
				       (chip.divisor & 0xff);
		} else {
			chip.interrupts = value;
			chip.lowered += !value;
		}
		break;
	case 2:
		chip.fifo = value;
		break;
	case 3:
		chip.line = value;
		break;
	case 4:
		chip.modem = value;
		break;
	case 7:
		chip.scratch = value;
		break;
	}
}

static struct uart16550 uart;

static int fresh(void **state)
{
	(void)state;
	memset(&chip, 0, sizeof chip);
	chip.depth = 16;
	chip.slowness = 3;
	chip.line = 0x1b;
	fake_port_in = chip_in;
	fake_port_out = chip_out;
	return 0;
}

static void start(void)
{
	assert_int_equal(uart_start(&uart, PORT, 115200), ERR_NONE);
}

static void the_line_is_set_as_asked(void **state)
{
	(void)state;
	chip.interrupts = 0x0f;
	assert_int_equal(uart_start(&uart, PORT, 9600), ERR_NONE);
	assert_int_equal(chip.divisor, 12);
	assert_int_equal(chip.line, 0x03);
	assert_int_equal(chip.modem, 0x0b);
	assert_int_equal(chip.fifo, 0x87);
	assert_int_equal(chip.interrupts, 0);
	assert_int_equal(uart.depth, 16);
	assert_int_equal(chip.sent_count, 0);
	start();
	assert_int_equal(chip.divisor, 1);
}

static void rates_that_it_cannot_have_are_refused(void **state)
{
	(void)state;
	assert_int_equal(uart_start(&uart, PORT, 0), ERR_UNSUPPORTED);
	assert_int_equal(uart_start(&uart, PORT, 230400), ERR_UNSUPPORTED);
	assert_int_equal(uart_start(&uart, PORT, 115201), ERR_UNSUPPORTED);
	assert_int_equal(uart_start(&uart, PORT, 1), ERR_UNSUPPORTED);
	assert_int_equal(uart_start(&uart, PORT, 50000), ERR_UNSUPPORTED);
}

static void nothing_there_is_not_found(void **state)
{
	uint8_t byte;

	(void)state;
	chip.absent = true;
	assert_int_equal(uart_start(&uart, PORT, 115200), ERR_NOT_FOUND);
	assert_int_equal(uart_receive(&uart, &byte, 1), 0);
	chip.absent = false;
	chip.no_loopback = true;
	assert_int_equal(uart_start(&uart, PORT, 115200), ERR_NOT_FOUND);
}

static void what_the_firmware_sends_goes_out_first(void **state)
{
	(void)state;
	chip.in_fifo = 16;
	start();
	assert_int_equal(chip.in_fifo, 0);
}

static void sends_what_fits_and_does_not_wait(void **state)
{
	(void)state;
	start();
	assert_int_equal(uart_send(&uart, "0123456789abcdefXYZ", 19), 16);
	assert_int_equal(uart_send(&uart, "XYZ", 3), 0);
	chip.in_fifo = 0;
	assert_int_equal(uart_send(&uart, "XYZ", 3), 3);
	assert_memory_equal(chip.sent, "0123456789abcdefXYZ", 19);
}

static void without_fifo_one_byte_at_a_time(void **state)
{
	(void)state;
	chip.depth = 1;
	start();
	assert_int_equal(uart_send(&uart, "abc", 3), 1);
	assert_int_equal(uart_send_waiting(&uart, "bc", 2), 2);
	assert_memory_equal(chip.sent, "abc", 3);
}

static void waiting_send_is_whole_or_ends(void **state)
{
	char text[100];

	(void)state;
	memset(text, 'x', sizeof text);
	start();
	assert_int_equal(uart_send_waiting(&uart, text, 100), 100);
	chip.stuck = true;
	chip.in_fifo = 1;
	assert_int_equal(uart_send_waiting(&uart, text, 100), 0);
}

static void receives_what_has_come(void **state)
{
	uint8_t bytes[8];

	(void)state;
	start();
	assert_int_equal(uart_receive(&uart, bytes, 8), 0);
	memcpy(chip.incoming, "0123456789", 10);
	chip.incoming_count = 10;
	assert_int_equal(uart_receive(&uart, bytes, 8), 8);
	assert_memory_equal(bytes, "01234567", 8);
	assert_int_equal(uart_receive(&uart, bytes, 8), 2);
	assert_memory_equal(bytes, "89", 2);
}

static void asking_for_interrupts_makes_a_new_edge(void **state)
{
	(void)state;
	start();
	chip.lowered = 0;
	uart_interrupts(&uart, true, true);
	assert_int_equal(chip.interrupts, 3);
	uart_interrupts(&uart, true, false);
	assert_int_equal(chip.interrupts, 1);
	uart_interrupts(&uart, false, true);
	assert_int_equal(chip.interrupts, 2);
	assert_int_equal(chip.lowered, 3);
}

#define TEST(name) cmocka_unit_test_setup(name, fresh)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_line_is_set_as_asked),
		TEST(rates_that_it_cannot_have_are_refused),
		TEST(nothing_there_is_not_found),
		TEST(what_the_firmware_sends_goes_out_first),
		TEST(sends_what_fits_and_does_not_wait),
		TEST(without_fifo_one_byte_at_a_time),
		TEST(waiting_send_is_whole_or_ends),
		TEST(receives_what_has_come),
		TEST(asking_for_interrupts_makes_a_new_edge),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
