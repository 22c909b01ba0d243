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
