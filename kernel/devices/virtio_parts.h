/* SPDX-License-Identifier: MIT */
/* What the files of virtio devices know of each other. */
#ifndef VIRTIO_PARTS_H
#define VIRTIO_PARTS_H

#include <mullion/bits.h>
#include <mullion/virtio.h>

/* "Device Status Field" */
#define VIRTIO_STATUS_DRIVER_OK BIT(2)
#define VIRTIO_STATUS_FEATURES_OK BIT(3)
#define VIRTIO_STATUS_NEEDS_RESET BIT(6)
#define VIRTIO_STATUS_WRITABLE (BITS(3, 0) | BIT(7))

static inline struct virtio_device *virtio_of(struct pci_function *function)
{
	return (struct virtio_device *)function;
}

/* ---- virtio.c --------------------------------------------------------------- */

/* "Device Reset": it must be over before the driver reads a 0. */
bool virtio_is_leaving(struct virtio_device *device);
/* What its driver writes to the status. */
void virtio_write_status(struct vm *vm, struct virtio_device *device,
			 uint32_t value);
/* The driver has described @queue, and says so. */
void virtio_enable(struct vm *vm, struct virtio_device *device,
		   struct virtqueue *queue);
/* There is something in the queue with number @queue. */
void virtio_notify(struct vm *vm, struct virtio_device *device, uint32_t queue);

/* ---- virtio_registers.c ----------------------------------------------------- */

/* Its identity, its BAR, and the capabilities that say what is where. */
void virtio_place_registers(struct virtio_device *device);
uint32_t virtio_read_bar(struct vm *vm, struct pci_function *function,
			 uint32_t offset, uint32_t size);
void virtio_write_bar(struct vm *vm, struct pci_function *function,
		      uint32_t offset, uint32_t size, uint32_t value);
/* The same by way of configuration space. */
void virtio_config_read(struct vm *vm, struct pci_function *function,
			uint32_t accessed, uint32_t size);
void virtio_config_write(struct vm *vm, struct pci_function *function,
			 uint32_t accessed, uint32_t size);

#endif
