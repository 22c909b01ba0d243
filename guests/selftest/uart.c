/* SPDX-License-Identifier: MIT */
/* The 16550A, and its interrupt through the I/O APIC.  TI SLLS177, "Summary
 * of Registers". */
#include "selftest.h"

#define UART(reg) ((uint16_t)(MULL_GUEST_UART_PORT + (reg)))
enum {
	DATA,
	INTERRUPTS,
	IDENTITY,
	LINE_CONTROL,
	MODEM_CONTROL,
	LINE_STATUS,
	MODEM_STATUS,
	SCRATCH
};
#define FIFO_CONTROL IDENTITY /* when written */
#define FIFO_ON 0x07	      /* and both cleared */
#define IDENTITY_FIFO 0xc0
#define LINE_CONTROL_8N1 0x03
#define LINE_CONTROL_DIVISOR 0x80
#define LINE_RECEIVED 0x01
#define LINE_EMPTY 0x20
#define MODEM_OUT 0x0b /* DTR, RTS and the interrupt's gate OUT2 */
#define MODEM_LOOP 0x10
#define INTERRUPT_EMPTY 0x02
#define VECTOR_UART 0x60
#define WAIT (500 * NS_PER_MS)

static volatile unsigned int interrupt_count;

static void on_uart(struct interrupt_frame *frame)
{
	(void)frame;
	port_read(UART(IDENTITY)); /* acknowledges it */
	interrupt_count++;
}

static void test_registers_hold(void)
{
	bool held = true;
	uint8_t low, high;

	for (int value = 0; value < 256; value++) {
		port_write(UART(SCRATCH), (uint8_t)value);
		held = held && port_read(UART(SCRATCH)) == value;
	}
	report(held, "the UART's scratch register holds every value");

	port_write(UART(LINE_CONTROL), LINE_CONTROL_DIVISOR | LINE_CONTROL_8N1);
	low = port_read(UART(0));
	high = port_read(UART(1));
	port_write(UART(0), 0x34);
	port_write(UART(1), 0x12);
	held = port_read(UART(0)) == 0x34 && port_read(UART(1)) == 0x12;
	port_write(UART(0), low);
	port_write(UART(1), high);
	port_write(UART(LINE_CONTROL), LINE_CONTROL_8N1);
	report(held, "the UART's divisor latch holds its value");
	port_write(UART(FIFO_CONTROL), FIFO_ON);
	report((port_read(UART(IDENTITY)) & IDENTITY_FIFO) == IDENTITY_FIFO,
	       "the UART is a 16550A");
	report(port_read(UART(LINE_STATUS)) & LINE_EMPTY,
	       "the UART can take a byte");
}

/* Reports come after the loop is open again: they may go by this UART. */
static void test_loop(void)
{
	uint8_t set, clear, received;

	port_write(UART(MODEM_CONTROL), MODEM_LOOP | 0x0f);
	set = port_read(UART(MODEM_STATUS)) & 0xf0;
	port_write(UART(MODEM_CONTROL), MODEM_LOOP);
	clear = port_read(UART(MODEM_STATUS)) & 0xf0;
	port_write(UART(DATA), 0xa7);
	received = port_read(UART(LINE_STATUS)) & LINE_RECEIVED ?
			   port_read(UART(DATA)) :
			   0;
	port_write(UART(MODEM_CONTROL), MODEM_OUT);
	report(set == 0xf0 && clear == 0,
	       "loop: the modem lines come back (%02x, %02x)", set, clear);
	report(received == 0xa7, "loop: the byte comes back (%02x)", received);
}

static void test_interrupt(void)
{
	uint64_t start;

	interrupt_count = 0;
	interrupt_handle(VECTOR_UART, on_uart);
	io_apic_route(MULL_GUEST_UART_GSI, VECTOR_UART);
	port_write(UART(MODEM_CONTROL), MODEM_OUT);
	port_write(UART(INTERRUPTS), INTERRUPT_EMPTY);
	start = time_ns();
	interrupts_on();
	while (!interrupt_count && time_ns() - start < WAIT)
		cpu_relax();
	interrupts_off();
	port_write(UART(INTERRUPTS), 0);
	io_apic_mask(MULL_GUEST_UART_GSI);
	report(interrupt_count > 0,
	       "the UART interrupts through the I/O APIC (%u)",
	       interrupt_count);
}

/* "input=1": somebody types a line, which comes back in brackets. */
static void test_input(void)
{
	char line[64];
	size_t length = 0;
	uint64_t start = time_ns();
	int c = -1;

	if (!option_number("input", 0))
		return;
	print("TYPE a line\n");
	while (c != '\r' && c != '\n' && length < sizeof line - 1 &&
	       time_ns() - start < 60 * NS_PER_SECOND) {
		c = console_read();
		if (c >= ' ')
			line[length++] = (char)c;
	}
	line[length] = 0;
	report(length > 0 && (c == '\r' || c == '\n'), "a line came: [%s]",
	       line);
}

void test_uart(void)
{
	test_registers_hold();
	test_loop();
	test_interrupt();
	test_input();
	console_use_uart();
	print("a line by the UART\n");
}
