/* SPDX-License-Identifier: MIT */
/*
 * A real 16550 at I/O ports: the machine's serial line.  TI SNLS378,
 * "PC16550D Universal Asynchronous Receiver/Transmitter with FIFOs",
 * "Summary of Registers".  One CPU at a time uses it; nothing here waits
 * longer than its stated bound.
 */
#ifndef MULLION_UART16550_H
#define MULLION_UART16550_H

#include <mullion/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct uart16550 {
	uint16_t port; /* the first of eight */
	uint8_t depth; /* bytes that fit when the transmitter is empty */
};

/*
 * uart_start - look for a UART and set it to 8 data bits, no parity
 * @baud: a divisor of 115200
 *
 * What the firmware has sent goes out first, as far as that ends in time.
 * Its interrupts are off afterwards.  Returns ERR_NONE, ERR_UNSUPPORTED for
 * a rate that the UART cannot have, or ERR_NOT_FOUND.
 */
enum error uart_start(struct uart16550 *uart, uint16_t port, uint32_t baud);

/* How many of @length bytes the transmitter takes now. */
size_t uart_send(struct uart16550 *uart, const void *bytes, size_t length);

/* Takes out what has come, at most @room bytes. */
size_t uart_receive(struct uart16550 *uart, void *bytes, size_t room);

/*
 * uart_interrupts - interrupt when bytes have come (@receive) and when the
 *		     transmitter is empty (@transmit)
 *
 * What is already the case interrupts (again) at once: the line goes low and
 * high, so that an edge which came too early is not missed.
 */
void uart_interrupts(struct uart16550 *uart, bool receive, bool transmit);

/*
 * uart_send_waiting - send without interrupts, for start and panics
 *
 * Returns the bytes sent: fewer than @length when the transmitter did not
 * become empty within some 400,000 looks.
 */
size_t uart_send_waiting(struct uart16550 *uart, const void *bytes,
			 size_t length);

#endif
