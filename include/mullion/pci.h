/* SPDX-License-Identifier: MIT */
/* PCI configuration space of the machine, by ports 0xcf8 and 0xcfc. */
#ifndef MULLION_PCI_H
#define MULLION_PCI_H

#include <stdint.h>

uint32_t pci_read(uint8_t bus, uint8_t device, uint8_t function,
		  uint8_t offset);
void pci_write(uint8_t bus, uint8_t device, uint8_t function, uint8_t offset,
	       uint32_t value);

/* Takes bus mastering from every function, so that nothing the firmware set
 * up writes to memory any more; how many had it. */
uint32_t pci_quiesce(void);

#endif
