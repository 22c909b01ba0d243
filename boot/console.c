/* SPDX-License-Identifier: MIT */
#include "console.h"

#include <stdbool.h>

#include "device_path.h"
#include "firmware.h"
#include "text.h"

#define LINE_MAX 256
#define PAUSE_SECONDS 30
#define CONSOLE_VARIABLE_MAX 4096

/* National Semiconductor PC16550D, "Summary of Registers" */
#define UART 0x3f8
#define UART_DATA (UART + 0)
#define UART_INTERRUPTS (UART + 1)
#define UART_FIFO (UART + 2)
#define UART_LINE (UART + 3)
#define UART_MODEM (UART + 4)
#define UART_STATUS (UART + 5)
#define UART_SCRATCH (UART + 7)
#define LINE_8N1 0x03
#define LINE_DIVISOR 0x80 /* the first two registers are the divisor */
#define DIVISOR_115200 1
#define FIFO_ON_AND_EMPTY 0x07
#define MODEM_READY 0x03
#define STATUS_CAN_SEND 0x20
#define POLLS_MAX 100000 /* a character takes 87 us, a read about 1 us */

static bool serial_on;

static void port_write(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static uint8_t port_read(uint16_t port)
{
	uint8_t value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static bool console_is_serial(void)
{
	static uint8_t paths[CONSOLE_VARIABLE_MAX];
	EFI_GUID global = EFI_GLOBAL_VARIABLE;
	UINTN size = sizeof paths;
	EFI_STATUS status = firmware->RuntimeServices->GetVariable(
		L"ConOut", &global, NULL, &size, paths);

	return !EFI_ERROR(status) && device_path_has_uart(paths, size);
}

static bool serial_start(void)
{
	port_write(UART_SCRATCH, 0x5a);
	if (port_read(UART_SCRATCH) != 0x5a)
		return false; /* no UART there */
	port_write(UART_INTERRUPTS, 0);
	port_write(UART_LINE, LINE_8N1 | LINE_DIVISOR);
	port_write(UART_DATA, DIVISOR_115200);
	port_write(UART_INTERRUPTS, DIVISOR_115200 >> 8);
	port_write(UART_LINE, LINE_8N1);
	port_write(UART_FIFO, FIFO_ON_AND_EMPTY);
	port_write(UART_MODEM, MODEM_READY);
	return true;
}

static void serial_put(char character)
{
	for (int polls = 0; polls < POLLS_MAX; polls++)
		if (port_read(UART_STATUS) & STATUS_CAN_SEND)
			break;
	port_write(UART_DATA, character);
}

/* Lines end in "\r\n" on both consoles. */
static void serial_write(const char *text)
{
	for (; *text; text++) {
		if (*text == '\n')
			serial_put('\r');
		serial_put(*text);
	}
}

static void screen_write(const char *text)
{
	CHAR16 wide[2 * LINE_MAX];
	UINTN length = 0;

	if (!firmware->ConOut)
		return;
	for (; *text; text++) {
		if (*text == '\n')
			wide[length++] = '\r';
		wide[length++] = *text;
	}
	wide[length] = 0;
	firmware->ConOut->OutputString(firmware->ConOut, wide);
}

void console_start(void)
{
	serial_on = !console_is_serial() && serial_start();
	if (!firmware->ConOut)
		return;
	/* The firmware's logo would show through. */
	firmware->ConOut->SetAttribute(firmware->ConOut,
				       EFI_TEXT_ATTR(EFI_LIGHTGRAY, EFI_BLACK));
	firmware->ConOut->ClearScreen(firmware->ConOut);
}

void say(const char *format, ...)
{
	char line[LINE_MAX];
	va_list values;

	va_start(values, format);
	text_format_list(line, sizeof line, format, values);
	va_end(values);
	screen_write(line);
	if (serial_on)
		serial_write(line);
}

void say_progress(const char *format, ...)
{
	char line[LINE_MAX];
	va_list values;

	va_start(values, format);
	text_format_list(line, sizeof line, format, values);
	va_end(values);
	screen_write(line);
	screen_write("\r");
}

void console_pause(void)
{
	EFI_INPUT_KEY key;

	say("Going back to the firmware in %u s, or when a key is pressed\n",
	    (uint32_t)PAUSE_SECONDS);
	for (int i = 0; i < PAUSE_SECONDS * 10; i++) {
		firmware->BootServices->Stall(100000);
		if (firmware->ConIn &&
		    !EFI_ERROR(firmware->ConIn->ReadKeyStroke(firmware->ConIn,
							      &key)))
			return;
	}
}
