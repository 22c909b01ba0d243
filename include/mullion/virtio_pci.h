/* SPDX-License-Identifier: MIT */
/*
 * A virtio device of the machine, as its driver reaches it.  Virtual I/O
 * Device (VIRTIO) 1.2, "Virtio Over PCI Bus": the modern interface only, which
 * transitional devices have as well.
 *
 * In order: open; then reset (begin, wait until it is done), negotiate, a ring
 * for each queue, and go.
 */
#ifndef MULLION_VIRTIO_PCI_H
#define MULLION_VIRTIO_PCI_H

#include <mullion/pci.h>
#include <mullion/virtio_ring.h>

#define VIRTIO_PCI_VENDOR 0x1af4
#define VIRTIO_PCI_MODERN 0x1040 /* + device type */
/* Transitional devices have numbers of their own. */
#define VIRTIO_PCI_OLD_NET 0x1000
#define VIRTIO_PCI_OLD_BLOCK 0x1001

/* Feature bits of all devices. */
#define VIRTIO_FEATURE_VERSION_1 BIT(32)

struct virtio_pci {
	struct pci_device *pci;
	struct virtio_pci_area {
		hpa_t at;
		uint32_t size; /* bytes; 0: it has none */
	} common, notify, config;
	uint32_t notify_unit;
	uint64_t features; /* that were negotiated */
};

/*
 * virtio_pci_open - find the registers of @pci, which is owned; at start only
 *
 * Returns ERR_UNSUPPORTED when it has no modern interface, or one that makes
 * no sense.
 */
enum error virtio_pci_open(struct virtio_pci *device, struct pci_device *pci);

/* After virtio_pci_reset() it is reset when virtio_pci_is_reset() says so, and
 * touches no memory from then on. */
void virtio_pci_reset(struct virtio_pci *device);
bool virtio_pci_is_reset(const struct virtio_pci *device);
/* Whether it gives up, and wants a reset; or is gone. */
bool virtio_pci_needs_reset(const struct virtio_pci *device);

/* Takes the features of @wanted that it has, version 1 among them, or
 * ERR_UNSUPPORTED. */
enum error virtio_pci_negotiate(struct virtio_pci *device, uint64_t wanted);

/* How many descriptors a ring for @queue can have: a power of two, at most
 * VIRTIO_RING_MAX; 0: there is no such queue. */
uint16_t virtio_pci_queue_size(struct virtio_pci *device, uint16_t queue);
/*
 * virtio_pci_set_queue - has the device use @ring as @queue
 * @entry: of MSI-X, which pci_interrupt() has connected; or VIRTIO_PCI_NO_ENTRY
 *
 * Returns ERR_UNSUPPORTED when it refuses @entry: it must be polled.
 */
#define VIRTIO_PCI_NO_ENTRY 0xffff
enum error virtio_pci_set_queue(struct virtio_pci *device, uint16_t queue,
				const struct virtio_ring *ring, uint16_t entry);
/* From now on it works. */
void virtio_pci_go(struct virtio_pci *device);
/* There is something new in @queue's ring. */
void virtio_pci_notify(const struct virtio_pci *device, uint16_t queue);

/* @size (1, 2 or 4) bytes of the device's own configuration; ones where it has
 * none. */
uint32_t virtio_pci_config(const struct virtio_pci *device, uint32_t offset,
			   uint32_t size);

#endif
