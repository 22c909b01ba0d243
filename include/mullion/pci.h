/* SPDX-License-Identifier: MIT */
/*
 * The machine's own PCI functions (a guest's are in guest_pci.h).  PCI Local
 * Bus Specification 3.0, "Configuration Space".  Configuration space is
 * reached by ports 0xcf8 and 0xcfc, two accesses each: the boot CPU at start,
 * later the service CPU alone.
 *
 * A device is hostile: every number that it gives is bounded.  But one that
 * may be bus master can write to any memory, as long as no IOMMU is used.
 */
#ifndef MULLION_PCI_H
#define MULLION_PCI_H

#include <mullion/address.h>
#include <mullion/error.h>
#include <stdbool.h>
#include <stdint.h>

uint32_t pci_read(uint8_t bus, uint8_t device, uint8_t function,
		  uint8_t offset);
void pci_write(uint8_t bus, uint8_t device, uint8_t function, uint8_t offset,
	       uint32_t value);

/* Takes bus mastering from every function, so that nothing the firmware set
 * up writes to memory any more; how many had it.  Remembers the functions that
 * there are, for pci_next(). */
uint32_t pci_quiesce(void);

#define PCI_DEVICES_MAX 128 /* more functions are not remembered */
#define PCI_BARS 6

/* Base class, subclass and interface of struct pci_device. */
#define PCI_CLASS_NVME 0x010802
#define PCI_CLASS_ETHERNET 0x020000

/* One function of the machine. */
struct pci_device {
	uint8_t bus, device, function;
	uint16_t vendor, id;
	uint32_t class;
	const char *owner; /* the driver that has it; NULL: none */
	uint8_t msix;	   /* its capability, once it is on; or 0 */
	char name[8];	   /* "00:1f.2" */
};

/* The function after @previous, or the first one; NULL: there are no more. */
struct pci_device *pci_next(struct pci_device *previous);

/* Two aligned bytes, or four, of its configuration space. */
uint16_t pci_get_16(const struct pci_device *device, uint8_t offset);
uint32_t pci_get_32(const struct pci_device *device, uint8_t offset);

/*
 * pci_capability - where in configuration space capability @id is
 * @number: 0 for the first one of that id, and so on
 *
 * Returns 0 when there are no more: at the list's end, or after as many as can
 * be, where the list is a ring.
 */
#define PCI_CAPABILITY_MSIX 0x11
#define PCI_CAPABILITY_VENDOR 0x09
uint8_t pci_capability(const struct pci_device *device, uint8_t id,
		       uint32_t number);

/*
 * pci_own - make @owner the driver of @device, which may read and write
 *           memory from now on and has its registers decoded
 *
 * Returns ERR_BUSY when it has a driver.
 */
enum error pci_own(struct pci_device *device, const char *owner);
/* The same, but it may not read or write memory before pci_start(): what the
 * firmware has left running is to be reset before. */
enum error pci_claim(struct pci_device *device, const char *owner);
void pci_start(struct pci_device *device);
/* It can write to no memory any more, and interrupts nobody; it stays owned:
 * a device that went wrong is not tried again. */
void pci_stop(struct pci_device *device);

/* Registers of a device. */
struct pci_bar {
	hpa_t at;
	uint64_t size; /* bytes, a power of two */
};

/*
 * pci_map_bar - map memory BAR @number, uncached
 *
 * At start only; for arch_mmio_read() and arch_mmio_write() then.  Returns
 * ERR_NOT_FOUND when it is none, or has no address; ERR_TOO_LARGE above
 * 64 MiB; ERR_BAD_ADDRESS when it would lie in RAM.
 */
enum error pci_map_bar(struct pci_device *device, uint32_t number,
		       struct pci_bar *bar);

/*
 * pci_interrupt - have entry @entry of the MSI-X table call
 *                 @handler(@context), on the service CPU
 *
 * At start only.  Returns ERR_UNSUPPORTED when the function has no MSI-X or
 * fewer entries, or ERR_NO_MEMORY when no vector is free: it must be polled.
 */
enum error pci_interrupt(struct pci_device *device, uint32_t entry,
			 void (*handler)(void *context), void *context);

#endif
