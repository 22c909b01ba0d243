/* SPDX-License-Identifier: MIT */
/* The registers of a virtio device.  VIRTIO 1.2, "PCI Device Layout". */
#include "virtio_parts.h"
#include <mullion/vm.h>
#include <string.h>

#define VENDOR 0x1af4
#define DEVICE_BASE 0x1040

/* BAR 0: a page for each structure. */
enum bar {
	BAR_COMMON = 0x0000,
	BAR_ISR = 0x1000,
	BAR_DEVICE = 0x2000,
	BAR_NOTIFY = 0x3000,
	BAR_MSIX_TABLE = 0x4000,
	BAR_MSIX_PENDING = 0x5000,
	BAR_SIZE = 0x8000,
};

#define NOTIFY_MULTIPLIER 4

/* "Virtio Structure PCI Capabilities" */
#define CAPABILITY_VENDOR 0x09
enum structure {
	STRUCTURE_COMMON = 1,
	STRUCTURE_NOTIFY = 2,
	STRUCTURE_ISR = 3,
	STRUCTURE_DEVICE = 4,
	STRUCTURE_WINDOW = 5, /* "PCI configuration access capability" */
};

struct virtio_capability {
	uint8_t id, next, length, type, bar, padding[3];
	uint32_t offset, size;
	uint32_t more; /* notify: multiplier; window: data */
};

/* "Common configuration structure layout" */
enum common {
	COMMON_FEATURE_SELECT = 0x00,
	COMMON_FEATURE = 0x04,
	COMMON_DRIVER_FEATURE_SELECT = 0x08,
	COMMON_DRIVER_FEATURE = 0x0c,
	COMMON_CONFIG_VECTOR = 0x10,
	COMMON_QUEUE_COUNT = 0x12,
	COMMON_STATUS = 0x14,
	COMMON_GENERATION = 0x15,
	COMMON_QUEUE_SELECT = 0x16,
	COMMON_QUEUE_SIZE = 0x18,
	COMMON_QUEUE_VECTOR = 0x1a,
	COMMON_QUEUE_ENABLE = 0x1c,
	COMMON_QUEUE_NOTIFY = 0x1e,
	COMMON_QUEUE_DESCRIPTORS = 0x20,
	COMMON_QUEUE_DRIVER = 0x28,
	COMMON_QUEUE_DEVICE = 0x30,
	COMMON_END = 0x38,
};

static struct virtqueue *virtio_selected(struct virtio_device *device)
{
	return device->queue_select < device->type->queue_count ?
		       &device->queues[device->queue_select] :
		       NULL;
}

/* ---- writing and reading them --------------------------------------------- */

static void set_half(gpa_t *address, uint32_t offset, uint32_t value)
{
	uint32_t shift = offset % 8 * 8;

	address->value = (address->value & ~(BITS(31, 0) << shift)) |
			 (uint64_t)value << shift;
}

/* An enabled queue stays as it is. */
static void write_queue(struct vm *vm, struct virtio_device *device,
			uint32_t offset, uint32_t value)
{
	struct virtqueue *queue = virtio_selected(device);

	if (!queue)
		return;
	if (offset == COMMON_QUEUE_VECTOR)
		queue->vector = value < MSIX_VECTORS ? (uint16_t)value :
						       MSIX_NO_VECTOR;
	if (queue->enabled)
		return;
	switch (offset) {
	case COMMON_QUEUE_SIZE:
		if (value && value <= VIRTQUEUE_SIZE_MAX)
			queue->size = (uint16_t)value;
		break;
	case COMMON_QUEUE_ENABLE:
		if (value == 1)
			virtio_enable(vm, device, queue);
		break;
	case COMMON_QUEUE_DESCRIPTORS:
	case COMMON_QUEUE_DESCRIPTORS + 4:
		set_half(&queue->descriptors, offset, value);
		break;
	case COMMON_QUEUE_DRIVER:
	case COMMON_QUEUE_DRIVER + 4:
		set_half(&queue->driver, offset, value);
		break;
	case COMMON_QUEUE_DEVICE:
	case COMMON_QUEUE_DEVICE + 4:
		set_half(&queue->device, offset, value);
		break;
	}
}

static uint32_t read_queue(struct virtio_device *device, uint32_t offset)
{
	const struct virtqueue *queue = virtio_selected(device);

	if (!queue)
		return 0; /* a size of 0: there is none */
	switch (offset) {
	case COMMON_QUEUE_SIZE:
		return queue->size;
	case COMMON_QUEUE_VECTOR:
		return queue->vector;
	case COMMON_QUEUE_ENABLE:
		return queue->enabled;
	case COMMON_QUEUE_NOTIFY:
		return device->queue_select;
	case COMMON_QUEUE_DESCRIPTORS:
	case COMMON_QUEUE_DESCRIPTORS + 4:
		return (uint32_t)(queue->descriptors.value >> offset % 8 * 8);
	case COMMON_QUEUE_DRIVER:
	case COMMON_QUEUE_DRIVER + 4:
		return (uint32_t)(queue->driver.value >> offset % 8 * 8);
	case COMMON_QUEUE_DEVICE:
	case COMMON_QUEUE_DEVICE + 4:
		return (uint32_t)(queue->device.value >> offset % 8 * 8);
	default:
		return 0;
	}
}

static uint32_t read_common(struct virtio_device *device, uint32_t offset)
{
	switch (offset) {
	case COMMON_FEATURE_SELECT:
		return device->feature_select;
	case COMMON_FEATURE:
		return device->feature_select > 1 ?
			       0 :
			       (uint32_t)(device->features >>
					  32 * device->feature_select);
	case COMMON_DRIVER_FEATURE_SELECT:
		return device->driver_feature_select;
	case COMMON_DRIVER_FEATURE:
		return device->driver_feature_select > 1 ?
			       0 :
			       (uint32_t)(device->driver_features >>
					  32 * device->driver_feature_select);
	case COMMON_CONFIG_VECTOR:
		return device->config_vector;
	case COMMON_QUEUE_COUNT:
		return device->type->queue_count;
	case COMMON_STATUS:
		return virtio_is_leaving(device) ? device->leaving :
						   device->status;
	case COMMON_GENERATION:
		return device->generation;
	case COMMON_QUEUE_SELECT:
		return device->queue_select;
	default:
		return read_queue(device, offset);
	}
}

static void write_features(struct virtio_device *device, uint32_t value)
{
	uint32_t shift = 32 * device->driver_feature_select;

	if (shift > 32 || device->status & VIRTIO_STATUS_FEATURES_OK)
		return;
	device->driver_features = (device->driver_features &
				   ~(BITS(31, 0) << shift)) |
				  (uint64_t)value << shift;
}

static void write_common(struct vm *vm, struct virtio_device *device,
			 uint32_t offset, uint32_t value)
{
	switch (offset) {
	case COMMON_FEATURE_SELECT:
		device->feature_select = value;
		break;
	case COMMON_DRIVER_FEATURE_SELECT:
		device->driver_feature_select = value > 1 ? 2 : value;
		break;
	case COMMON_DRIVER_FEATURE:
		write_features(device, value);
		break;
	case COMMON_CONFIG_VECTOR:
		device->config_vector = value < MSIX_VECTORS ? (uint16_t)value :
							       MSIX_NO_VECTOR;
		break;
	case COMMON_STATUS:
		virtio_write_status(vm, device, (uint8_t)value);
		break;
	case COMMON_QUEUE_SELECT:
		device->queue_select = (uint16_t)value;
		break;
	default:
		write_queue(vm, device, offset, value);
		break;
	}
}

/* It is cleared by that. */
static uint32_t read_isr(struct virtio_device *device)
{
	uint32_t value = device->isr;

	device->isr = 0;
	return value;
}

uint32_t virtio_read_bar(struct vm *vm, struct pci_function *function,
			 uint32_t offset, uint32_t size)
{
	struct virtio_device *device = virtio_of(function);
	uint32_t within = offset & 0xfff, value = 0;

	(void)vm;
	switch (offset & ~0xfffu) {
	case BAR_COMMON:
		return within < COMMON_END ? read_common(device, within) : 0;
	case BAR_ISR:
		return within ? 0 : read_isr(device);
	case BAR_DEVICE:
		if (within < device->type->config_size)
			memcpy(&value, device->config + within, size);
		return value;
	case BAR_MSIX_TABLE:
	case BAR_MSIX_PENDING:
		return size == 4 ? msix_read(function, offset) : 0;
	default:
		return 0;
	}
}

void virtio_write_bar(struct vm *vm, struct pci_function *function,
		      uint32_t offset, uint32_t size, uint32_t value)
{
	struct virtio_device *device = virtio_of(function);
	uint32_t within = offset & 0xfff;

	switch (offset & ~0xfffu) {
	case BAR_COMMON:
		if (within < COMMON_END)
			write_common(vm, device, within, value);
		break;
	case BAR_DEVICE:
		if (size == 4 && within - device->type->config_written_at <
					 device->type->config_written_size)
			memcpy(device->config + within, &value, size);
		break;
	case BAR_NOTIFY:
		virtio_notify(vm, device, within / NOTIFY_MULTIPLIER);
		break;
	case BAR_MSIX_TABLE:
		if (size == 4)
			msix_write(vm, function, offset, value);
		break;
	}
}

/* ---- BAR 0 by way of configuration space ---------------------------------- */

/* Where in it the window stands; false: nowhere. */
static bool window(struct virtio_device *device, uint32_t accessed,
		   uint32_t *offset, uint32_t *size)
{
	struct pci_function *function = &device->function;
	uint32_t at = device->window;
	uint32_t data = at + (uint32_t)offsetof(struct virtio_capability, more);

	if (accessed != data)
		return false;
	*offset = (uint32_t)pci_config_get(
		function, at + offsetof(struct virtio_capability, offset), 4);
	*size = (uint32_t)pci_config_get(
		function, at + offsetof(struct virtio_capability, size), 4);
	return function->config[at + offsetof(struct virtio_capability, bar)] ==
		       0 &&
	       (*size == 1 || *size == 2 || *size == 4) &&
	       *offset % *size == 0 && *offset < BAR_SIZE;
}

void virtio_config_read(struct vm *vm, struct pci_function *function,
			uint32_t accessed, uint32_t size)
{
	uint32_t offset, width;

	(void)size;
	if (window(virtio_of(function), accessed, &offset, &width))
		pci_config_put(function, accessed, 4,
			       virtio_read_bar(vm, function, offset, width));
}

void virtio_config_write(struct vm *vm, struct pci_function *function,
			 uint32_t accessed, uint32_t size)
{
	uint32_t offset, width;

	(void)size;
	if (window(virtio_of(function), accessed, &offset, &width))
		virtio_write_bar(
			vm, function, offset, width,
			(uint32_t)pci_config_get(function, accessed, width));
}

/* ---- where they are -------------------------------------------------------- */

static uint32_t add_structure(struct pci_function *function,
			      enum structure type, uint32_t offset,
			      uint32_t size)
{
	const struct virtio_capability capability = {
		.length = sizeof capability,
		.type = (uint8_t)type,
		.offset = offset,
		.size = size,
		.more = type == STRUCTURE_NOTIFY ? NOTIFY_MULTIPLIER : 0,
	};

	return pci_add_capability(function, CAPABILITY_VENDOR, &capability,
				  sizeof capability);
}

static void add_window(struct virtio_device *device)
{
	struct pci_function *function = &device->function;
	uint32_t at = add_structure(function, STRUCTURE_WINDOW, 0, 0);

	device->window = at;
	pci_let_write(function, at + offsetof(struct virtio_capability, bar), 1,
		      0xff);
	pci_let_write(function, at + offsetof(struct virtio_capability, offset),
		      4, BITS(31, 0));
	pci_let_write(function, at + offsetof(struct virtio_capability, size),
		      4, BITS(31, 0));
	pci_let_write(function, at + offsetof(struct virtio_capability, more),
		      4, BITS(31, 0));
}

void virtio_place_registers(struct virtio_device *device)
{
	struct pci_function *function = &device->function;
	const struct virtio_type *type = device->type;

	function->bar_size = BAR_SIZE;
	pci_function_init(function, VENDOR, (uint16_t)(DEVICE_BASE + type->id),
			  type->class);
	add_structure(function, STRUCTURE_COMMON, BAR_COMMON, COMMON_END);
	add_structure(function, STRUCTURE_NOTIFY, BAR_NOTIFY,
		      type->queue_count * NOTIFY_MULTIPLIER);
	add_structure(function, STRUCTURE_ISR, BAR_ISR, 1);
	if (type->config_size)
		add_structure(function, STRUCTURE_DEVICE, BAR_DEVICE,
			      type->config_size);
	add_window(device);
	pci_add_msix(function, BAR_MSIX_TABLE, BAR_MSIX_PENDING);
}
