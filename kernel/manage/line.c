/* SPDX-License-Identifier: MIT */
/*
 * The machine's serial line.  The service sends and receives by it; a panic
 * takes it from whoever has it, even before there is a service.
 */
#include "service.h"
#include <mullion/manage.h>
#include <string.h>

#define FIRST_PORT 0x3f8 /* COM1, until the package says another */
#define FIRST_BAUD 115200

static struct uart16550 uart;
static enum { LINE_UNKNOWN, LINE_UP, LINE_NONE } state;
static bool spoken; /* an emergency has begun */

static enum error start(uint16_t port, uint32_t baud)
{
	enum error error = uart_start(&uart, port, baud);

	state = error ? LINE_NONE : LINE_UP;
	return error;
}

struct uart16550 *line_start(const struct mull_machine *machine)
{
	uint32_t port = machine->serial_port ? machine->serial_port :
					       FIRST_PORT;
	uint32_t baud = machine->serial_baud ? machine->serial_baud :
					       FIRST_BAUD;
	enum error error;

	state = LINE_NONE;
	if (machine->serial_mode == MULL_SERIAL_NONE)
		return NULL;
	error = port > UINT16_MAX - 7 ? ERR_UNSUPPORTED :
					start((uint16_t)port, baud);
	if (!error)
		return &uart;
	log_write("serial line at port 0x%x, %u baud: %s", port, baud,
		  error_text(error));
	return NULL;
}

void manage_emergency(const char *text, size_t length)
{
	if (state == LINE_UNKNOWN)
		start(FIRST_PORT, FIRST_BAUD);
	if (state != LINE_UP)
		return;
	/* The zero ends a frame that was cut short. */
	if (!spoken)
		uart_send_waiting(&uart, "\0\r\n", 3);
	spoken = true;
	while (length) {
		const char *newline = memchr(text, '\n', length);
		size_t piece = newline ? (size_t)(newline - text) : length;

		if (uart_send_waiting(&uart, text, piece) < piece)
			state = LINE_NONE; /* stuck: do not wait again */
		if (state != LINE_UP || !newline)
			return;
		uart_send_waiting(&uart, "\r\n", 2);
		text += piece + 1;
		length -= piece + 1;
	}
}
