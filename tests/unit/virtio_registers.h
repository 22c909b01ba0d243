/* SPDX-License-Identifier: MIT */
/* The driver's side of a virtio device's registers, as a guest reaches them. */
#ifndef TESTS_UNIT_VIRTIO_REGISTERS_H
#define TESTS_UNIT_VIRTIO_REGISTERS_H

#include "virtio_driver.h"

#include <mullion/guest.h>
#include <mullion/guest_pci.h>
#include <mullion/vm.h>

#define STATUS 0x14
#define VERSION_1 (1ull << 32)
#define DRIVER_OK (1 | 2 | 8 | 4)
#define NEEDS_RESET 0x40

static struct vm vm;
static uint32_t slot; /* of the device */

static inline uint64_t ecam(void)
{
	return MULL_GUEST_ECAM + (slot << 15);
}

static inline uint64_t bar(void)
{
	return guest_pci_read(&vm, gpa(ecam() + 0x10), 4);
}

static inline uint64_t get(uint32_t offset, uint32_t size)
{
	return guest_pci_read(&vm, gpa(bar() + offset), size);
}

static inline void set(uint32_t offset, uint32_t size, uint64_t value)
{
	guest_pci_write(&vm, gpa(bar() + offset), size, value);
}

/* Resets it, and takes @features with one queue and no interrupts. */
static inline void set_up(uint64_t features)
{
	guest_pci_write(&vm, gpa(ecam() + 4), 2, 2);
	set(STATUS, 1, 0);
	memset(ram + DRIVER, 0, 64);
	memset(ram + DEVICE, 0, 128);
	set(0x08, 4, 0);
	set(0x0c, 4, (uint32_t)features);
	set(0x08, 4, 1);
	set(0x0c, 4, features >> 32);
	set(STATUS, 1, 1 | 2 | 8);
	set(0x16, 2, 0);
	set(0x18, 2, QUEUE_SIZE);
	set(0x20, 8, DESCRIPTORS);
	set(0x28, 8, DRIVER);
	set(0x30, 8, DEVICE);
	set(0x1c, 2, 1);
	set(STATUS, 1, DRIVER_OK);
}

static inline void notify(void)
{
	set(0x3000, 2, 0);
}

#endif
