/* SPDX-License-Identifier: MIT */
#include <arch/fake/fake.h>

uint8_t (*fake_port_in)(uint16_t port);
void (*fake_port_out)(uint16_t port, uint8_t value);
uint32_t (*fake_port_in32)(uint16_t port);
void (*fake_port_out32)(uint16_t port, uint32_t value);

FAKE uint8_t arch_port_in8(uint16_t port)
{
	return fake_port_in ? fake_port_in(port) : 0xff;
}

FAKE void arch_port_out8(uint16_t port, uint8_t value)
{
	if (fake_port_out)
		fake_port_out(port, value);
}

FAKE uint32_t arch_port_in32(uint16_t port)
{
	return fake_port_in32 ? fake_port_in32(port) : 0xffffffff;
}

FAKE void arch_port_out32(uint16_t port, uint32_t value)
{
	if (fake_port_out32)
		fake_port_out32(port, value);
}

uint64_t (*fake_mmio_read)(hpa_t at, uint32_t size);
void (*fake_mmio_write)(hpa_t at, uint32_t size, uint64_t value);
uint32_t fake_message_count;
struct fake_message fake_messages[FAKE_MESSAGES];

FAKE uint64_t arch_mmio_read(hpa_t at, uint32_t size)
{
	return fake_mmio_read ? fake_mmio_read(at, size) :
				BITS(8 * size - 1, 0);
}

FAKE void arch_mmio_write(hpa_t at, uint32_t size, uint64_t value)
{
	if (fake_mmio_write)
		fake_mmio_write(at, size, value);
}

FAKE enum error arch_connect_message(uint32_t cpu,
				     void (*handler)(void *context),
				     void *context,
				     struct arch_message *message)
{
	if (fake_message_count == FAKE_MESSAGES)
		return ERR_NO_MEMORY;
	*message = (struct arch_message){ 0xfee00000 + (cpu << 12),
					  0x60 + fake_message_count };
	fake_messages[fake_message_count++] = (struct fake_message){ cpu,
								     handler,
								     context };
	return ERR_NONE;
}
