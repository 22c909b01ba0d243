/* SPDX-License-Identifier: MIT */
/* PCI Local Bus Specification 3.0, "Configuration Space Enable". */
#include <mullion/arch.h>
#include <mullion/bits.h>
#include <mullion/log.h>
#include <mullion/pci.h>

#define CONFIG_ADDRESS 0xcf8
#define CONFIG_DATA 0xcfc
#define CONFIG_ENABLE BIT(31)

#define PCI_ID 0x00
#define PCI_NO_DEVICE 0xffffffff
#define PCI_COMMAND 0x04
#define PCI_COMMAND_BUS_MASTER BIT(2)
#define PCI_STATUS BITS(31, 16) /* write-one-to-clear: written as zero */
#define PCI_CLASS 0x08		/* above the revision */
#define PCI_HEADER 0x0c
#define PCI_HEADER_MULTI BIT(23)
#define PCI_HEADER_TYPE BITS(22, 16) /* 0: neither bridge nor CardBus */

static struct pci_device devices[PCI_DEVICES_MAX];
static uint32_t device_count;

static uint32_t config_address(uint8_t bus, uint8_t device, uint8_t function,
			       uint8_t offset)
{
	return CONFIG_ENABLE | (uint32_t)bus << 16 |
	       (uint32_t)(device & 31) << 11 | (uint32_t)(function & 7) << 8 |
	       (offset & 0xfc);
}

uint32_t pci_read(uint8_t bus, uint8_t device, uint8_t function, uint8_t offset)
{
	arch_port_out32(CONFIG_ADDRESS,
			config_address(bus, device, function, offset));
	return arch_port_in32(CONFIG_DATA);
}

void pci_write(uint8_t bus, uint8_t device, uint8_t function, uint8_t offset,
	       uint32_t value)
{
	arch_port_out32(CONFIG_ADDRESS,
			config_address(bus, device, function, offset));
	arch_port_out32(CONFIG_DATA, value);
}

struct pci_device *pci_next(struct pci_device *previous)
{
	uint32_t index = previous ? (uint32_t)(previous - devices) + 1 : 0;

	return index < device_count ? &devices[index] : NULL;
}

/* Bridges are of no use to a driver. */
static void remember(uint8_t bus, uint8_t device, uint8_t function)
{
	uint32_t id = pci_read(bus, device, function, PCI_ID);
	struct pci_device *known = &devices[device_count];

	if (pci_read(bus, device, function, PCI_HEADER) & PCI_HEADER_TYPE ||
	    device_count == PCI_DEVICES_MAX)
		return;
	*known = (struct pci_device){
		.bus = bus,
		.device = device,
		.function = function,
		.vendor = (uint16_t)id,
		.id = (uint16_t)(id >> 16),
		.class = pci_read(bus, device, function, PCI_CLASS) >> 8,
	};
	format_text(known->name, sizeof known->name, "%02x:%02x.%x", bus,
		    device, function);
	device_count++;
}

static uint32_t quiesce_function(uint8_t bus, uint8_t device, uint8_t function)
{
	uint32_t command = pci_read(bus, device, function, PCI_COMMAND);

	remember(bus, device, function);
	if (!(command & PCI_COMMAND_BUS_MASTER))
		return 0;
	pci_write(bus, device, function, PCI_COMMAND,
		  command & ~(PCI_STATUS | PCI_COMMAND_BUS_MASTER));
	return 1;
}

static uint32_t quiesce_device(uint8_t bus, uint8_t device)
{
	uint32_t count = 0, functions = 1;

	if (pci_read(bus, device, 0, PCI_ID) == PCI_NO_DEVICE)
		return 0;
	if (pci_read(bus, device, 0, PCI_HEADER) & PCI_HEADER_MULTI)
		functions = 8;
	for (uint32_t function = 0; function < functions; function++)
		if (pci_read(bus, device, function, PCI_ID) != PCI_NO_DEVICE)
			count += quiesce_function(bus, device, function);
	return count;
}

uint32_t pci_quiesce(void)
{
	uint32_t count = 0;

	device_count = 0;
	for (uint32_t bus = 0; bus < 256; bus++)
		for (uint32_t device = 0; device < 32; device++)
			count += quiesce_device(bus, device);
	return count;
}
