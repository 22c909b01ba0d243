/* SPDX-License-Identifier: MIT */
#include <arch/fake/fake.h>

uint8_t (*fake_port_in)(uint16_t port);
void (*fake_port_out)(uint16_t port, uint8_t value);

FAKE uint8_t arch_port_in8(uint16_t port)
{
	return fake_port_in ? fake_port_in(port) : 0xff;
}

FAKE void arch_port_out8(uint16_t port, uint8_t value)
{
	if (fake_port_out)
		fake_port_out(port, value);
}
