/* SPDX-License-Identifier: MIT */
#include <mullion/arch.h>
#include <mullion/bits.h>
#include <mullion/uart16550.h>

/* "Summary of Registers": offsets from the first port. */
enum uart_register {
	UART_DATA = 0,	      /* RBR when read, THR when written */
	UART_DIVISOR_LOW = 0, /* with UART_LINE_DIVISOR set */
	UART_INTERRUPTS = 1,  /* IER */
	UART_DIVISOR_HIGH = 1,
	UART_IDENTIFICATION = 2, /* IIR, read */
	UART_FIFO = 2,		 /* FCR, written */
	UART_LINE = 3,		 /* LCR */
	UART_MODEM = 4,		 /* MCR */
	UART_LINE_STATUS = 5,	 /* LSR */
	UART_MODEM_STATUS = 6,	 /* MSR */
	UART_SCRATCH = 7,
};

/* "Interrupt Enable Register" */
#define UART_ON_RECEIVE BIT(0)
#define UART_ON_TRANSMIT BIT(1)
/* "Interrupt Identification Register" */
#define UART_FIFOS_ON BITS(7, 6)
/* "FIFO Control Register": on, both empty; interrupt from 8 bytes on, or after
 * a pause, which leaves 8 more bytes of time to come */
#define UART_FIFO_RESET (BITS(2, 0) | BIT(7))
/* "Line Control Register" */
#define UART_LINE_8N1 BITS(1, 0)
#define UART_LINE_DIVISOR BIT(7)
/* "Modem Control Register"; OUT2 lets the interrupt out on a PC */
#define UART_MODEM_DTR BIT(0)
#define UART_MODEM_RTS BIT(1)
#define UART_MODEM_OUT2 BIT(3)
#define UART_MODEM_LOOP BIT(4)
/* "Line Status Register" */
#define UART_RECEIVED BIT(0)
#define UART_ROOM BIT(5)  /* THRE: the transmit FIFO is empty */
#define UART_EMPTY BIT(6) /* TEMT: the last bit is out */
#define UART_ABSENT 0xff  /* what a port without a device gives */
/* "Modem Status Register": in loopback, OUT2 shows as DCD and RTS as CTS */
#define UART_MODEM_INPUTS BITS(7, 4)
#define UART_MODEM_DCD BIT(7)
#define UART_MODEM_CTS BIT(4)

#define UART_BAUD_MAX 115200 /* 1.8432 MHz / 16 */
#define UART_FIFO_DEPTH 16

/* A look at a port takes about 1 us on a PC; 16 bytes at 1200 baud 133 ms. */
#define UART_LOOKS 400000

static uint8_t get(const struct uart16550 *uart, enum uart_register reg)
{
	return arch_port_in8((uint16_t)(uart->port + reg));
}

static void put(const struct uart16550 *uart, enum uart_register reg,
		uint64_t value)
{
	arch_port_out8((uint16_t)(uart->port + reg), (uint8_t)value);
}

/* Whether all of @status came up within the bound. */
static bool wait_for(const struct uart16550 *uart, uint64_t status)
{
	for (uint32_t looks = 0; looks < UART_LOOKS; looks++) {
		if ((get(uart, UART_LINE_STATUS) & status) == status)
			return true;
		arch_pause();
	}
	return false;
}

/* A register that keeps what it is given, and modem outputs that come back
 * as inputs: nothing else on a PC's ports does both. */
static bool is_there(const struct uart16550 *uart)
{
	uint64_t inputs;

	put(uart, UART_SCRATCH, 0x5a);
	if (get(uart, UART_SCRATCH) != 0x5a)
		return false;
	put(uart, UART_SCRATCH, 0xa5);
	if (get(uart, UART_SCRATCH) != 0xa5)
		return false;
	put(uart, UART_MODEM,
	    UART_MODEM_LOOP | UART_MODEM_OUT2 | UART_MODEM_RTS);
	inputs = get(uart, UART_MODEM_STATUS) & UART_MODEM_INPUTS;
	put(uart, UART_MODEM, 0);
	return inputs == (UART_MODEM_DCD | UART_MODEM_CTS);
}

enum error uart_start(struct uart16550 *uart, uint16_t port, uint32_t baud)
{
	uint32_t divisor = baud ? UART_BAUD_MAX / baud : 0;

	if (!divisor || divisor > UINT16_MAX || UART_BAUD_MAX % baud)
		return ERR_UNSUPPORTED;
	*uart = (struct uart16550){ .port = port, .depth = 1 };
	wait_for(uart, UART_EMPTY);
	put(uart, UART_LINE, UART_LINE_8N1);
	put(uart, UART_INTERRUPTS, 0);
	if (!is_there(uart))
		return ERR_NOT_FOUND;

	put(uart, UART_LINE, UART_LINE_8N1 | UART_LINE_DIVISOR);
	put(uart, UART_DIVISOR_LOW, divisor);
	put(uart, UART_DIVISOR_HIGH, divisor >> 8);
	put(uart, UART_LINE, UART_LINE_8N1);
	put(uart, UART_FIFO, UART_FIFO_RESET);
	if ((get(uart, UART_IDENTIFICATION) & UART_FIFOS_ON) == UART_FIFOS_ON)
		uart->depth = UART_FIFO_DEPTH;
	put(uart, UART_MODEM,
	    UART_MODEM_DTR | UART_MODEM_RTS | UART_MODEM_OUT2);
	return ERR_NONE;
}

/* Fills the transmitter, which is empty. */
static size_t fill(struct uart16550 *uart, const uint8_t *bytes, size_t length)
{
	size_t count = length < uart->depth ? length : uart->depth;

	for (size_t i = 0; i < count; i++)
		put(uart, UART_DATA, bytes[i]);
	return count;
}

size_t uart_send(struct uart16550 *uart, const void *bytes, size_t length)
{
	const uint8_t *at = bytes;
	size_t sent = 0;

	/* An emulated UART is empty again at once: hence the loop. */
	while (sent < length && (get(uart, UART_LINE_STATUS) & UART_ROOM))
		sent += fill(uart, at + sent, length - sent);
	return sent;
}

size_t uart_send_waiting(struct uart16550 *uart, const void *bytes,
			 size_t length)
{
	const uint8_t *at = bytes;
	size_t sent = 0;

	while (sent < length && wait_for(uart, UART_ROOM))
		sent += fill(uart, at + sent, length - sent);
	return sent;
}

size_t uart_receive(struct uart16550 *uart, void *bytes, size_t room)
{
	uint8_t *to = bytes;
	size_t count = 0;

	while (count < room) {
		uint8_t status = get(uart, UART_LINE_STATUS);

		if (status == UART_ABSENT || !(status & UART_RECEIVED))
			break;
		to[count++] = get(uart, UART_DATA);
	}
	return count;
}

void uart_interrupts(struct uart16550 *uart, bool receive, bool transmit)
{
	put(uart, UART_INTERRUPTS, 0);
	put(uart, UART_INTERRUPTS,
	    (receive ? UART_ON_RECEIVE : 0) |
		    (transmit ? UART_ON_TRANSMIT : 0));
}
