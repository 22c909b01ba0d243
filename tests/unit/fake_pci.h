/* SPDX-License-Identifier: MIT */
/* PCI functions of a fake machine, behind ports 0xcf8 and 0xcfc: configuration
 * space that keeps what it is given, with BARs of a size. */
#ifndef FAKE_PCI_H
#define FAKE_PCI_H

#include <arch/fake/fake.h>
#include <mullion/pci.h>
#include <string.h>

struct fake_function {
	uint32_t place; /* bus << 16 | device << 11 | function << 8 */
	uint32_t config[64];
	uint32_t bar_fixed[6]; /* bits of each that cannot be written */
};

static struct fake_function fake_functions[4];
static uint32_t fake_function_count, fake_pci_address;

static struct fake_function *fake_pci_chosen(void)
{
	for (uint32_t i = 0; i < fake_function_count; i++)
		if (fake_functions[i].place == (fake_pci_address & 0xffff00))
			return &fake_functions[i];
	return NULL;
}

static uint32_t fake_pci_in(uint16_t port)
{
	const struct fake_function *function = fake_pci_chosen();

	(void)port;
	return function ? function->config[fake_pci_address / 4 & 63] :
			  0xffffffff;
}

static void fake_pci_out(uint16_t port, uint32_t value)
{
	struct fake_function *function = fake_pci_chosen();
	uint32_t word = fake_pci_address / 4 & 63;

	if (port == 0xcf8) {
		fake_pci_address = value;
		return;
	}
	if (!function)
		return;
	if (word >= 4 && word < 10) {
		uint32_t fixed = function->bar_fixed[word - 4];

		value = (value & ~fixed) | (function->config[word] & fixed);
	}
	if (word == 1) /* status is cleared by ones */
		value = (value & 0xffff) | (function->config[1] & 0xffff0000);
	function->config[word] = value;
}

/* At 0:@device.0; without any BAR or capability yet. */
static struct fake_function *fake_pci_add(uint32_t device, uint32_t id,
					  uint32_t class)
{
	struct fake_function *function = &fake_functions[fake_function_count++];

	*function = (struct fake_function){ .place = device << 11 };
	function->config[0] = id;
	function->config[2] = class << 8;
	memset(function->bar_fixed, 0xff, sizeof function->bar_fixed);
	return function;
}

/* A 64-bit one. */
static void fake_pci_set_bar(struct fake_function *function, uint32_t number,
			     uint64_t at, uint64_t size)
{
	function->config[4 + number] = (uint32_t)at | 4;
	function->config[5 + number] = (uint32_t)(at >> 32);
	function->bar_fixed[number] = (uint32_t)size - 1;
	function->bar_fixed[number + 1] = (uint32_t)((size - 1) >> 32);
}

/* At @at, a multiple of 4, before those that were there. */
static void fake_pci_add_capability(struct fake_function *function, uint8_t at,
				    uint8_t id, uint32_t rest)
{
	function->config[at / 4] = rest << 16 |
				   (function->config[13] & 0xff) << 8 | id;
	function->config[13] = at;
	function->config[1] |= BIT(20);
}

static void fake_pci_start(void)
{
	fake_function_count = 0;
	fake_port_in32 = fake_pci_in;
	fake_port_out32 = fake_pci_out;
	fake_message_count = 0;
}

#endif
