/* SPDX-License-Identifier: MIT */
/*
 * What a driver does with its PCI function.  PCI Local Bus Specification 3.0,
 * "Base Addresses", "Capabilities List", "MSI-X Capability and Table
 * Structure".
 */
#include <mullion/arch.h>
#include <mullion/bits.h>
#include <mullion/cpu_loop.h>
#include <mullion/frame_pool.h>
#include <mullion/log.h>
#include <mullion/pci.h>

#define PCI_COMMAND 0x04 /* and status above it: written as zero */
#define PCI_COMMAND_MEMORY BIT(1)
#define PCI_COMMAND_BUS_MASTER BIT(2)
#define PCI_COMMAND_NO_INTX BIT(10)
#define PCI_STATUS_CAPABILITIES BIT(20)
#define PCI_BAR(number) (0x10 + 4 * (number))
#define PCI_BAR_IO BIT(0)
#define PCI_BAR_TYPE BITS(2, 1)
#define PCI_BAR_TYPE_64 2
#define PCI_BAR_ADDRESS BITS(31, 4)
#define PCI_BAR_MAX MIB(64)
#define PCI_CAPABILITIES 0x34
#define PCI_CAPABILITY_FIRST 0x40
#define PCI_CAPABILITY_COUNT 48 /* of four bytes: what fits */

#define MSIX_CONTROL 0x00 /* in the upper half */
#define MSIX_TABLE_SIZE BITS(26, 16)
#define MSIX_FUNCTION_MASK BIT(30)
#define MSIX_ENABLE BIT(31)
#define MSIX_TABLE 0x04
#define MSIX_TABLE_BAR BITS(2, 0)
#define MSIX_ENTRY_SIZE 16
#define MSIX_ENTRY_DATA 8
#define MSIX_ENTRY_CONTROL 12

uint32_t pci_get_32(const struct pci_device *device, uint8_t offset)
{
	return pci_read(device->bus, device->device, device->function, offset);
}

uint16_t pci_get_16(const struct pci_device *device, uint8_t offset)
{
	return (uint16_t)(pci_get_32(device, offset) >> 8 * (offset & 2));
}

static void put(const struct pci_device *device, uint8_t offset, uint64_t value)
{
	pci_write(device->bus, device->device, device->function, offset,
		  (uint32_t)value);
}

static uint32_t command(const struct pci_device *device)
{
	return pci_get_16(device, PCI_COMMAND);
}

uint8_t pci_capability(const struct pci_device *device, uint8_t id,
		       uint32_t number)
{
	uint8_t at;

	if (!(pci_get_32(device, PCI_COMMAND) & PCI_STATUS_CAPABILITIES))
		return 0;
	at = pci_get_32(device, PCI_CAPABILITIES) & 0xfc;
	for (uint32_t count = 0;
	     count < PCI_CAPABILITY_COUNT && at >= PCI_CAPABILITY_FIRST;
	     count++) {
		uint32_t header = pci_get_32(device, at);

		if ((header & 0xff) == id && number-- == 0)
			return at;
		at = header >> 8 & 0xfc;
	}
	return 0;
}

enum error pci_claim(struct pci_device *device, const char *owner)
{
	if (device->owner)
		return ERR_BUSY;
	device->owner = owner;
	put(device, PCI_COMMAND,
	    command(device) | PCI_COMMAND_MEMORY | PCI_COMMAND_NO_INTX);
	return ERR_NONE;
}

void pci_start(struct pci_device *device)
{
	put(device, PCI_COMMAND, command(device) | PCI_COMMAND_BUS_MASTER);
}

enum error pci_own(struct pci_device *device, const char *owner)
{
	enum error error = pci_claim(device, owner);

	if (!error)
		pci_start(device);
	return error;
}

void pci_stop(struct pci_device *device)
{
	put(device, PCI_COMMAND, command(device) & ~PCI_COMMAND_BUS_MASTER);
}

/* Bits that stay zero when ones are written tell the size.  Nothing may reach
 * the device's memory meanwhile. */
static uint64_t probe_size(struct pci_device *device, uint32_t number,
			   bool wide)
{
	uint32_t was = command(device);
	uint32_t low = pci_get_32(device, PCI_BAR(number));
	uint32_t high = wide ? pci_get_32(device, PCI_BAR(number + 1)) : 0;
	uint64_t mask = BITS(63, 32);

	put(device, PCI_COMMAND, was & ~PCI_COMMAND_MEMORY);
	put(device, PCI_BAR(number), UINT32_MAX);
	mask |= pci_get_32(device, PCI_BAR(number)) & PCI_BAR_ADDRESS;
	put(device, PCI_BAR(number), low);
	if (wide) {
		put(device, PCI_BAR(number + 1), UINT32_MAX);
		mask &= (uint64_t)pci_get_32(device, PCI_BAR(number + 1))
				<< 32 |
			UINT32_MAX;
		put(device, PCI_BAR(number + 1), high);
	}
	put(device, PCI_COMMAND, was);
	return mask & -mask;
}

/* A device that claims to be where RAM is would have us map that uncached, and
 * write to it. */
static bool is_in_ram(const struct pci_bar *bar)
{
	for (uint64_t at = round_down(bar->at.value, FRAME_SIZE);
	     at < bar->at.value + bar->size; at += FRAME_SIZE)
		if (frame_owner_of((uint32_t)(at >> FRAME_SHIFT)) !=
		    FRAME_ABSENT)
			return true;
	return false;
}

enum error pci_map_bar(struct pci_device *device, uint32_t number,
		       struct pci_bar *bar)
{
	uint32_t low;
	bool wide;

	if (number >= PCI_BARS)
		return ERR_NOT_FOUND;
	low = pci_get_32(device, PCI_BAR(number));
	wide = field_get(PCI_BAR_TYPE, low) == PCI_BAR_TYPE_64;
	if (low & PCI_BAR_IO || (wide && number == PCI_BARS - 1))
		return ERR_NOT_FOUND;
	bar->at = hpa(low & PCI_BAR_ADDRESS);
	if (wide)
		bar->at.value |=
			(uint64_t)pci_get_32(device, PCI_BAR(number + 1)) << 32;
	bar->size = probe_size(device, number, wide);
	if (bar->at.value == 0)
		return ERR_NOT_FOUND;
	if (bar->size == 0 || bar->size > PCI_BAR_MAX)
		return ERR_TOO_LARGE;
	if (bar->at.value > BIT(46) || bar->at.value % bar->size ||
	    is_in_ram(bar))
		return ERR_BAD_ADDRESS;
	return arch_map(bar->at, bar->size, ARCH_MAP_DEVICE);
}

static enum error find_table(struct pci_device *device, uint32_t entry,
			     hpa_t *table)
{
	uint8_t at = pci_capability(device, PCI_CAPABILITY_MSIX, 0);
	uint32_t where, offset;
	struct pci_bar bar;
	enum error error;

	if (!at || entry > field_get(MSIX_TABLE_SIZE,
				     pci_get_32(device, at + MSIX_CONTROL)))
		return ERR_UNSUPPORTED;
	where = pci_get_32(device, at + MSIX_TABLE);
	error = pci_map_bar(device, where & MSIX_TABLE_BAR, &bar);
	if (error)
		return error;
	offset = (where & ~(uint32_t)MSIX_TABLE_BAR) + entry * MSIX_ENTRY_SIZE;
	if (offset > bar.size - MSIX_ENTRY_SIZE)
		return ERR_UNSUPPORTED;
	*table = hpa(bar.at.value + offset);
	device->msix = at;
	return ERR_NONE;
}

/* Every other entry is masked as after a reset, and the driver leads nothing
 * to it. */
enum error pci_interrupt(struct pci_device *device, uint32_t entry,
			 void (*handler)(void *context), void *context)
{
	struct arch_message message;
	enum error error;
	hpa_t at;

	error = find_table(device, entry, &at);
	if (!error)
		error = arch_connect_message(cpu_loop_service(), handler,
					     context, &message);
	if (error)
		return error;
	arch_mmio_write(at, 4, (uint32_t)message.address);
	arch_mmio_write(hpa(at.value + 4), 4, message.address >> 32);
	arch_mmio_write(hpa(at.value + MSIX_ENTRY_DATA), 4, message.data);
	arch_mmio_write(hpa(at.value + MSIX_ENTRY_CONTROL), 4, 0);
	put(device, device->msix + MSIX_CONTROL,
	    (pci_get_32(device, device->msix + MSIX_CONTROL) &
	     ~MSIX_FUNCTION_MASK) |
		    MSIX_ENABLE);
	return ERR_NONE;
}
