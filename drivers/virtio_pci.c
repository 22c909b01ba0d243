/* SPDX-License-Identifier: MIT */
#include <mullion/arch.h>
#include <mullion/bits.h>
#include <mullion/virtio_pci.h>

/* "Virtio Structure PCI Capabilities": bytes in one */
#define CAP_TYPE 0 /* in its upper byte; before it, the length */
#define CAP_BAR 4
#define CAP_OFFSET 8
#define CAP_LENGTH 12
#define CAP_NOTIFY_UNIT 16
#define CAP_LAST 0xe8 /* where one with all of that can begin */

enum cap_type { CAP_COMMON = 1, CAP_NOTIFY = 2, CAP_DEVICE = 4 };

/* "Common configuration structure layout" */
#define COMMON_FEATURE_SELECT 0x00
#define COMMON_FEATURES 0x04
#define COMMON_DRIVER_FEATURE_SELECT 0x08
#define COMMON_DRIVER_FEATURES 0x0c
#define COMMON_CONFIG_ENTRY 0x10
#define COMMON_STATUS 0x14
#define COMMON_QUEUE_SELECT 0x16
#define COMMON_QUEUE_SIZE 0x18
#define COMMON_QUEUE_ENTRY 0x1a
#define COMMON_QUEUE_ENABLE 0x1c
#define COMMON_QUEUE_NOTIFY 0x1e
#define COMMON_QUEUE_DESCRIPTORS 0x20
#define COMMON_QUEUE_DRIVER 0x28
#define COMMON_QUEUE_DEVICE 0x30
#define COMMON_SIZE 0x38

/* "Device Status Field" */
#define STATUS_ACKNOWLEDGE 0x01
#define STATUS_DRIVER 0x02
#define STATUS_DRIVER_OK 0x04
#define STATUS_FEATURES_OK 0x08
#define STATUS_NEEDS_RESET 0x40

static uint32_t get(const struct virtio_pci *device, uint32_t offset,
		    uint32_t size)
{
	return (uint32_t)arch_mmio_read(hpa(device->common.at.value + offset),
					size);
}

static void put(const struct virtio_pci *device, uint32_t offset, uint32_t size,
		uint32_t value)
{
	arch_mmio_write(hpa(device->common.at.value + offset), size, value);
}

/* Two registers of 32 bits. */
static void put_64(const struct virtio_pci *device, uint32_t offset,
		   uint64_t value)
{
	put(device, offset, 4, (uint32_t)value);
	put(device, offset + 4, 4, (uint32_t)(value >> 32));
}

/* Where the capability at @at says; only what lies in its BAR. */
static void take_area(struct pci_device *pci, uint8_t at,
		      struct virtio_pci_area *area)
{
	uint32_t offset = pci_get_32(pci, at + CAP_OFFSET);
	uint32_t length = pci_get_32(pci, at + CAP_LENGTH);
	struct pci_bar bar;

	if (pci_map_bar(pci, pci_get_32(pci, at + CAP_BAR) & 0xff, &bar) !=
		    ERR_NONE ||
	    offset % 4 || offset >= bar.size || length > bar.size - offset)
		return;
	area->at = hpa(bar.at.value + offset);
	area->size = length;
}

/* The first of each kind that can be used is the one. */
enum error virtio_pci_open(struct virtio_pci *device, struct pci_device *pci)
{
	uint8_t at;

	*device = (struct virtio_pci){ .pci = pci };
	for (uint32_t i = 0;
	     (at = pci_capability(pci, PCI_CAPABILITY_VENDOR, i)); i++) {
		if (at > CAP_LAST)
			continue;
		switch (pci_get_32(pci, at + CAP_TYPE) >> 24) {
		case CAP_COMMON:
			if (!device->common.size)
				take_area(pci, at, &device->common);
			break;
		case CAP_NOTIFY:
			if (device->notify.size)
				break;
			take_area(pci, at, &device->notify);
			device->notify_unit = pci_get_32(pci,
							 at + CAP_NOTIFY_UNIT);
			break;
		case CAP_DEVICE:
			if (!device->config.size)
				take_area(pci, at, &device->config);
			break;
		}
	}
	if (device->common.size < COMMON_SIZE || device->notify.size < 2 ||
	    device->notify_unit % 2)
		return ERR_UNSUPPORTED;
	return ERR_NONE;
}

void virtio_pci_reset(struct virtio_pci *device)
{
	put(device, COMMON_STATUS, 1, 0);
}

bool virtio_pci_is_reset(const struct virtio_pci *device)
{
	return get(device, COMMON_STATUS, 1) == 0;
}

/* Of a device that is gone, all bits are set. */
bool virtio_pci_needs_reset(const struct virtio_pci *device)
{
	return get(device, COMMON_STATUS, 1) & STATUS_NEEDS_RESET;
}

enum error virtio_pci_negotiate(struct virtio_pci *device, uint64_t wanted)
{
	uint8_t status = STATUS_ACKNOWLEDGE | STATUS_DRIVER;
	uint64_t offered;

	put(device, COMMON_STATUS, 1, STATUS_ACKNOWLEDGE);
	put(device, COMMON_STATUS, 1, status);
	put(device, COMMON_FEATURE_SELECT, 4, 0);
	offered = get(device, COMMON_FEATURES, 4);
	put(device, COMMON_FEATURE_SELECT, 4, 1);
	offered |= (uint64_t)get(device, COMMON_FEATURES, 4) << 32;
	device->features = offered & (wanted | VIRTIO_FEATURE_VERSION_1);
	if (!(device->features & VIRTIO_FEATURE_VERSION_1))
		return ERR_UNSUPPORTED;
	put(device, COMMON_DRIVER_FEATURE_SELECT, 4, 0);
	put(device, COMMON_DRIVER_FEATURES, 4, (uint32_t)device->features);
	put(device, COMMON_DRIVER_FEATURE_SELECT, 4, 1);
	put(device, COMMON_DRIVER_FEATURES, 4,
	    (uint32_t)(device->features >> 32));
	status |= STATUS_FEATURES_OK;
	put(device, COMMON_STATUS, 1, status);
	if (!(get(device, COMMON_STATUS, 1) & STATUS_FEATURES_OK))
		return ERR_UNSUPPORTED;
	put(device, COMMON_CONFIG_ENTRY, 2, VIRTIO_PCI_NO_ENTRY);
	return ERR_NONE;
}

uint16_t virtio_pci_queue_size(struct virtio_pci *device, uint16_t queue)
{
	uint32_t size;

	put(device, COMMON_QUEUE_SELECT, 2, queue);
	size = get(device, COMMON_QUEUE_SIZE, 2);
	if (size > VIRTIO_RING_MAX)
		size = VIRTIO_RING_MAX;
	while (size & (size - 1))
		size &= size - 1;
	return (uint16_t)size;
}

enum error virtio_pci_set_queue(struct virtio_pci *device, uint16_t queue,
				const struct virtio_ring *ring, uint16_t entry)
{
	put(device, COMMON_QUEUE_SELECT, 2, queue);
	put(device, COMMON_QUEUE_SIZE, 2, ring->size);
	put_64(device, COMMON_QUEUE_DESCRIPTORS,
	       virtio_ring_descriptors(ring).value);
	put_64(device, COMMON_QUEUE_DRIVER, virtio_ring_driver(ring).value);
	put_64(device, COMMON_QUEUE_DEVICE, virtio_ring_device(ring).value);
	put(device, COMMON_QUEUE_ENTRY, 2, entry);
	put(device, COMMON_QUEUE_ENABLE, 2, 1);
	return get(device, COMMON_QUEUE_ENTRY, 2) == entry ? ERR_NONE :
							     ERR_UNSUPPORTED;
}

void virtio_pci_go(struct virtio_pci *device)
{
	put(device, COMMON_STATUS, 1,
	    STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK |
		    STATUS_DRIVER_OK);
}

/* "Notification structure layout"; where that would be elsewhere, the device
 * is at fault, and will not answer. */
void virtio_pci_notify(const struct virtio_pci *device, uint16_t queue)
{
	uint64_t offset;

	put(device, COMMON_QUEUE_SELECT, 2, queue);
	offset = (uint64_t)get(device, COMMON_QUEUE_NOTIFY, 2) *
		 device->notify_unit;
	if (offset <= device->notify.size - 2)
		arch_mmio_write(hpa(device->notify.at.value + offset), 2,
				queue);
}

uint32_t virtio_pci_config(const struct virtio_pci *device, uint32_t offset,
			   uint32_t size)
{
	if (offset >= device->config.size ||
	    size > device->config.size - offset)
		return UINT32_MAX >> (32 - 8 * size);
	return (uint32_t)arch_mmio_read(hpa(device->config.at.value + offset),
					size);
}
