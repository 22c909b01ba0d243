/* SPDX-License-Identifier: MIT */
#include "virtio.h"

#define VENDOR 0x1af4
#define DEVICE_BASE 0x1040

/* "PCI Type 0 Configuration Space" */
#define PCI_COMMAND 0x04
#define PCI_COMMAND_MEMORY_AND_MASTER 6
#define PCI_BAR 0x10
#define PCI_CAPABILITIES 0x34
#define PCI_SLOTS 32

/* "Virtio Structure PCI Capabilities" */
#define CAPABILITY_VENDOR 0x09
enum { STRUCTURE_COMMON = 1, STRUCTURE_NOTIFY = 2, STRUCTURE_DEVICE = 4 };

/* "Common configuration structure layout" */
enum common {
	COMMON_FEATURE_SELECT = 0x00,
	COMMON_FEATURE = 0x04,
	COMMON_DRIVER_FEATURE_SELECT = 0x08,
	COMMON_DRIVER_FEATURE = 0x0c,
	COMMON_STATUS = 0x14,
	COMMON_QUEUE_SELECT = 0x16,
	COMMON_QUEUE_SIZE = 0x18,
	COMMON_QUEUE_ENABLE = 0x1c,
	COMMON_QUEUE_DESCRIPTORS = 0x20,
	COMMON_QUEUE_DRIVER = 0x28,
	COMMON_QUEUE_DEVICE = 0x30,
};

/* "Device Status Field" */
#define STATUS_FOUND (BIT(0) | BIT(1)) /* ACKNOWLEDGE and DRIVER */
#define STATUS_FEATURES_OK BIT(3)
#define STATUS_DRIVER_OK BIT(2)

#define DESCRIPTOR_NEXT BIT(0)
#define DESCRIPTOR_WRITE BIT(1)
#define AVAILABLE_NO_INTERRUPT BIT(0)

static void set_8(uint64_t at, uint64_t value)
{
	*(volatile uint8_t *)at = (uint8_t)value;
}

static void set_16(uint64_t at, uint64_t value)
{
	*(volatile uint16_t *)at = (uint16_t)value;
}

static void set_64(uint64_t at, const volatile void *value)
{
	mmio_write(at, (uint32_t)(uint64_t)value);
	mmio_write(at + 4, (uint32_t)((uint64_t)value >> 32));
}

/* Where its structures are, of which all are in BAR 0. */
static void find_structures(struct virtio_device *device)
{
	uint64_t at = device->function;
	uint64_t bar = mmio_read(at + PCI_BAR) & ~15u;
	uint32_t next = mmio_read(at + PCI_CAPABILITIES) & 0xff;

	while (next) {
		uint32_t word = mmio_read(at + next);
		uint64_t there = bar + mmio_read(at + next + 8);
		bool is_structure = (word & 0xff) == CAPABILITY_VENDOR;

		if (is_structure && word >> 24 == STRUCTURE_COMMON)
			device->common = there;
		if (is_structure && word >> 24 == STRUCTURE_DEVICE)
			device->own = there;
		if (is_structure && word >> 24 == STRUCTURE_NOTIFY) {
			device->bell = there;
			device->bell_distance = mmio_read(at + next + 16);
		}
		next = word >> 8 & 0xff;
	}
}

bool virtio_find(struct virtio_device *device, uint32_t type, uint32_t before)
{
	for (uint64_t slot = 0; slot < PCI_SLOTS; slot++) {
		uint64_t at = MULL_GUEST_ECAM + (slot << 15);

		if (mmio_read(at) != ((DEVICE_BASE + type) << 16 | VENDOR))
			continue;
		if (before--)
			continue;
		*device = (struct virtio_device){ .function = at };
		find_structures(device);
		set_16(at + PCI_COMMAND, PCI_COMMAND_MEMORY_AND_MASTER);
		return device->common && device->bell;
	}
	return false;
}

bool virtio_begin(const struct virtio_device *device, uint64_t features)
{
	uint64_t common = device->common;

	set_8(common + COMMON_STATUS, 0);
	set_8(common + COMMON_STATUS, STATUS_FOUND);
	features |= VIRTIO_F_VERSION_1;
	for (uint32_t half = 0; half < 2; half++) {
		mmio_write(common + COMMON_DRIVER_FEATURE_SELECT, half);
		mmio_write(common + COMMON_DRIVER_FEATURE,
			   (uint32_t)(features >> 32 * half));
	}
	set_8(common + COMMON_STATUS, STATUS_FOUND | STATUS_FEATURES_OK);
	return virtio_status(device) & STATUS_FEATURES_OK;
}

void virtio_add_queue(const struct virtio_device *device,
		      struct virtio_queue *queue, uint16_t number)
{
	uint64_t common = device->common;

	memset(queue, 0, sizeof *queue);
	queue->number = number;
	queue->bell = device->bell + (uint64_t)number * device->bell_distance;
	queue->available.flags = AVAILABLE_NO_INTERRUPT;
	set_16(common + COMMON_QUEUE_SELECT, number);
	set_16(common + COMMON_QUEUE_SIZE, VIRTIO_QUEUE_SIZE);
	set_64(common + COMMON_QUEUE_DESCRIPTORS, queue->descriptors);
	set_64(common + COMMON_QUEUE_DRIVER, &queue->available);
	set_64(common + COMMON_QUEUE_DEVICE, &queue->used);
	set_16(common + COMMON_QUEUE_ENABLE, 1);
}

void virtio_go(const struct virtio_device *device)
{
	set_8(device->common + COMMON_STATUS,
	      STATUS_FOUND | STATUS_FEATURES_OK | STATUS_DRIVER_OK);
}

uint8_t virtio_status(const struct virtio_device *device)
{
	return *(volatile uint8_t *)(device->common + COMMON_STATUS);
}

void virtio_offer(struct virtio_queue *queue, uint16_t head,
		  const struct virtio_part *parts, uint32_t count)
{
	uint16_t index = queue->available.index;

	for (uint32_t i = 0; i < count; i++) {
		uint32_t at = (head + i) % VIRTIO_QUEUE_SIZE;

		queue->descriptors[at].at = (uint64_t)parts[i].at;
		queue->descriptors[at].length = parts[i].length;
		queue->descriptors[at].flags =
			(uint16_t)((i + 1 < count ? DESCRIPTOR_NEXT : 0) |
				   (parts[i].write ? DESCRIPTOR_WRITE : 0));
		queue->descriptors[at].next = (uint16_t)((at + 1) %
							 VIRTIO_QUEUE_SIZE);
	}
	queue->available.ring[index % VIRTIO_QUEUE_SIZE] = head;
	__atomic_store_n(&queue->available.index, (uint16_t)(index + 1),
			 __ATOMIC_RELEASE);
}

void virtio_ring(const struct virtio_queue *queue)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	set_16(queue->bell, queue->number);
}

bool virtio_take(struct virtio_queue *queue, uint32_t *written)
{
	uint16_t at = queue->taken % VIRTIO_QUEUE_SIZE;

	if (__atomic_load_n(&queue->used.index, __ATOMIC_ACQUIRE) ==
	    queue->taken)
		return false;
	*written = queue->used.ring[at].length;
	queue->taken++;
	return true;
}
