/* SPDX-License-Identifier: MIT */
/* Memory, and registers of devices. */
#include "secret.h"

#define WORDS (PAGE_SIZE / sizeof(uint64_t))

/* Free from the start; the loader's tables are below, ACPI's are between. */
#define LOW_FREE 0x10000

static bool is_zero(uint64_t from, uint64_t to)
{
	for (uint64_t at = from; at < to; at += sizeof at)
		if (!secret_same("a word of memory", *(uint64_t *)at, 0))
			return false;
	return true;
}

static void look_at_memory(void)
{
	report(is_zero(LOW_FREE, MULL_GUEST_ACPI_AREA) &&
		       is_zero(MIB(1), (uintptr_t)image_start) &&
		       is_zero((uintptr_t)image_end, guest_info.memory_low),
	       "memory is zero, %lu MiB", guest_info.memory_low / MIB(1));
}

static void fill_memory(void)
{
	for (uint64_t at = (uintptr_t)image_end; at < guest_info.memory_low;
	     at += sizeof at)
		*(uint64_t *)at = secret((uint32_t)(at / PAGE_SIZE));
}

/* Another word of each page each time. */
static bool memory_kept(void)
{
	static uint64_t word;
	bool all = true;

	word = (word + 37) % WORDS;
	for (uint64_t at = (uintptr_t)image_end; at < guest_info.memory_low;
	     at += PAGE_SIZE)
		all = all &&
		      secret_same("a word of memory", ((uint64_t *)at)[word],
				  secret((uint32_t)(at / PAGE_SIZE)));
	return all;
}

const struct secret_class class_memory = { .name = "memory",
					   .look = look_at_memory,
					   .fill = fill_memory,
					   .kept = memory_kept };

#define UART_LINE_CONTROL (MULL_GUEST_UART_PORT + 3)
#define UART_MODEM_CONTROL (MULL_GUEST_UART_PORT + 4)
#define UART_SCRATCH (MULL_GUEST_UART_PORT + 7)
#define IO_APIC_ENTRY(pin) (0x10 + 2 * (pin))
#define IO_APIC_MASKED 0x10000
#define PIN 5

static void look_at_devices(void)
{
	bool masked = true;

	report(!port_read(UART_SCRATCH) && !port_read(UART_LINE_CONTROL) &&
		       !port_read(UART_MODEM_CONTROL),
	       "the UART is as at power-on");
	report(console_read() < 0, "nothing was typed");
	report(!port_read(MULL_GUEST_EVENT_PORT) &&
		       !port_read(MULL_GUEST_SLEEP_CONTROL),
	       "the platform's registers are as at power-on");
	for (uint32_t pin = 0; pin < MULL_GUEST_IO_APIC_PINS; pin++)
		masked &= io_apic_read(IO_APIC_ENTRY(pin)) == IO_APIC_MASKED &&
			  !io_apic_read(IO_APIC_ENTRY(pin) + 1);
	report(masked, "the I/O APIC is as at power-on");
}

static uint32_t entry_secret(void)
{
	return IO_APIC_MASKED | (0xa0 + secret_number);
}

static void fill_devices(void)
{
	port_write(UART_SCRATCH, (uint8_t)(0x50 + secret_number));
	io_apic_write(IO_APIC_ENTRY(PIN), entry_secret());
}

static bool devices_kept(void)
{
	return secret_same("the UART's scratch register",
			   port_read(UART_SCRATCH), 0x50 + secret_number) &
	       secret_same("an I/O APIC entry",
			   io_apic_read(IO_APIC_ENTRY(PIN)), entry_secret());
}

const struct secret_class class_devices = { .name = "devices",
					    .look = look_at_devices,
					    .fill = fill_devices,
					    .kept = devices_kept };
