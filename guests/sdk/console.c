/* SPDX-License-Identifier: MIT */
/* Text to the console: by hypercall, or by the UART where there is none. */
#include "sdk.h"

#define UART_DATA MULL_GUEST_UART_PORT
#define UART_LINE_STATUS (MULL_GUEST_UART_PORT + 5)
#define UART_LINE_RECEIVED BIT(0)
#define UART_LINE_EMPTY BIT(5)

/* Longer than the UART or a printing vCPU can take: then the text goes out
 * anyway, since a garbled line tells more than a silent guest. */
#define PATIENCE 10000000

static bool uart_only;
static uint32_t console_lock;

static void uart_write(char c)
{
	for (int i = 0; i < PATIENCE; i++) {
		if (port_read(UART_LINE_STATUS) & UART_LINE_EMPTY)
			break;
	}
	port_write(UART_DATA, (uint8_t)c);
}

void console_use_uart(void)
{
	uart_only = true;
}

void console_write(const char *text, size_t length)
{
	bool by_call = !uart_only && mullion_present();
	size_t done = 0;
	int64_t taken;

	while (by_call && done < length) {
		taken = hypercall(MULL_CALL_CONSOLE, (uintptr_t)text + done,
				  length - done);
		if (taken <= 0)
			break;
		done += (size_t)taken;
	}
	for (; done < length; done++)
		uart_write(text[done]);
}

int console_read(void)
{
	if (!(port_read(UART_LINE_STATUS) & UART_LINE_RECEIVED))
		return -1;
	return port_read(UART_DATA);
}

void print(const char *format, ...)
{
	char text[256];
	size_t length;
	va_list values;

	va_start(values, format);
	length = format_text(text, sizeof text, format, values);
	va_end(values);

	for (int i = 0; i < PATIENCE; i++) {
		if (!__atomic_exchange_n(&console_lock, 1, __ATOMIC_ACQUIRE))
			break;
		cpu_relax();
	}
	console_write(text, length);
	__atomic_store_n(&console_lock, 0, __ATOMIC_RELEASE);
}
