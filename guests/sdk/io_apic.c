/* SPDX-License-Identifier: MIT */
/* The I/O APIC: an index and a data register; two registers a pin. */
#include "sdk.h"

#define IO_APIC_INDEX MULL_GUEST_IO_APIC
#define IO_APIC_DATA (MULL_GUEST_IO_APIC + 0x10)
#define IO_APIC_MASKED BIT(16)

uint32_t io_apic_read(uint32_t reg)
{
	mmio_write(IO_APIC_INDEX, reg);
	return mmio_read(IO_APIC_DATA);
}

void io_apic_write(uint32_t reg, uint32_t value)
{
	mmio_write(IO_APIC_INDEX, reg);
	mmio_write(IO_APIC_DATA, value);
}

void io_apic_route(uint32_t pin, uint8_t vector)
{
	io_apic_write(IO_APIC_PIN + 2 * pin + 1, apic_id() << 24);
	io_apic_write(IO_APIC_PIN + 2 * pin, vector);
}

void io_apic_mask(uint32_t pin)
{
	io_apic_write(IO_APIC_PIN + 2 * pin, (uint32_t)IO_APIC_MASKED);
}
