/* SPDX-License-Identifier: MIT */
/*
 * A virtio device: its life and its queues.  Virtual I/O Device (VIRTIO) 1.2,
 * "Device Initialization" and "Device Status Field".
 */
#include "virtio_parts.h"
#include <mullion/control.h>
#include <mullion/log.h>
#include <mullion/vm.h>

/* "Reserved Feature Bits" */
#define FEATURE_INDIRECT BIT(28)
#define FEATURE_EVENT_INDEX BIT(29)
#define FEATURE_VERSION_1 BIT(32)
#define FEATURE_PACKED BIT(34)

/* "ISR status capability" */
#define ISR_QUEUE BIT(0)
#define ISR_CONFIG BIT(1)

static bool virtio_is_live(const struct virtio_device *device)
{
	return device->status & VIRTIO_STATUS_DRIVER_OK &&
	       !(device->status & VIRTIO_STATUS_NEEDS_RESET);
}

bool virtio_is_leaving(struct virtio_device *device)
{
	if (device->leaving && !device->type->flies(device))
		device->leaving = 0;
	return device->leaving;
}

/* ---- its life ------------------------------------------------------------ */

static void reset(struct vm *vm, struct virtio_device *device)
{
	device->feature_select = device->driver_feature_select = 0;
	device->driver_features = device->negotiated = 0;
	device->status = device->isr = 0;
	device->config_vector = MSIX_NO_VECTOR;
	device->queue_select = 0;
	device->notified = 0;
	atomic_store(&device->woken, 0);
	for (uint32_t i = 0; i < VIRTIO_QUEUES_MAX; i++)
		device->queues[i] = (struct virtqueue){
			.memory = &vm->memory,
			.size = VIRTQUEUE_SIZE_MAX,
			.vector = MSIX_NO_VECTOR,
		};
	if (device->type->reset)
		device->type->reset(vm, device);
}

static void on_reset(struct vm *vm, struct pci_function *function)
{
	reset(vm, virtio_of(function));
}

void virtio_reconfigure(struct vm *vm, struct virtio_device *device)
{
	device->generation++;
	if (!virtio_is_live(device))
		return;
	device->isr |= ISR_CONFIG;
	msix_raise(vm, &device->function, device->config_vector);
}

void virtio_break(struct vm *vm, struct virtio_device *device, const char *why)
{
	if (device->status & VIRTIO_STATUS_NEEDS_RESET)
		return;
	log_guest(vm->vcpus[0], "virtio device in slot %u: %s",
		  device->function.slot, why);
	device->status |= VIRTIO_STATUS_NEEDS_RESET;
	device->isr |= ISR_CONFIG;
	msix_raise(vm, &device->function, device->config_vector);
}

bool virtio_is_broken(const struct virtio_device *device)
{
	return device->status & VIRTIO_STATUS_NEEDS_RESET;
}

void virtio_write_status(struct vm *vm, struct virtio_device *device,
			 uint32_t value)
{
	uint64_t features = device->driver_features;

	if (virtio_is_leaving(device))
		return;
	if (!value) {
		uint8_t before = device->status;

		reset(vm, device);
		if (device->type->flies && device->type->flies(device))
			device->leaving = before;
		return;
	}
	/* Features are settled once, and only those that were offered. */
	if (value & VIRTIO_STATUS_FEATURES_OK &&
	    !(device->status & VIRTIO_STATUS_FEATURES_OK)) {
		if (features & ~device->features ||
		    !(features & FEATURE_VERSION_1))
			value &= ~(uint32_t)VIRTIO_STATUS_FEATURES_OK;
		else
			device->negotiated = features;
	}
	if (!((device->status | value) & VIRTIO_STATUS_FEATURES_OK))
		value &= ~(uint32_t)VIRTIO_STATUS_DRIVER_OK;
	device->status |= value & VIRTIO_STATUS_WRITABLE;
	/* What was notified too early is looked at now. */
	if (virtio_is_live(device) && device->notified)
		guest_pci_notify(vm, &device->function);
}

/* ---- its queues ---------------------------------------------------------- */

void virtio_enable(struct vm *vm, struct virtio_device *device,
		   struct virtqueue *queue)
{
	queue->packed = device->negotiated & FEATURE_PACKED;
	if (queue->descriptors.value % 16 ||
	    queue->driver.value % (queue->packed ? 4 : 2) ||
	    queue->device.value % 4) {
		virtio_break(vm, device, "a ring is not aligned");
		return;
	}
	if (!queue->packed && queue->size & (queue->size - 1)) {
		virtio_break(vm, device, "a ring's size is no power of two");
		return;
	}
	queue->taken_wrap = queue->used_wrap = true;
	queue->event_index = device->negotiated & FEATURE_EVENT_INDEX;
	queue->indirect = device->negotiated & FEATURE_INDIRECT;
	queue->enabled = true;
}

void virtio_notify(struct vm *vm, struct virtio_device *device, uint32_t queue)
{
	if (queue >= device->type->queue_count)
		return;
	device->notifications++;
	device->notified |= 1u << queue;
	if (virtio_is_live(device))
		guest_pci_notify(vm, &device->function);
}

void virtio_wake(struct vm *vm, struct virtio_device *device, uint32_t queue)
{
	atomic_fetch_or(&device->woken, 1u << queue);
	guest_pci_notify(vm, &device->function);
}

void virtio_mark(struct vm *vm, struct virtio_device *device, uint32_t queue)
{
	atomic_fetch_or(&device->woken, 1u << queue);
	guest_pci_mark(vm, &device->function);
}

void virtio_wake_at(struct vm *vm, struct virtio_device *device, uint32_t queue,
		    uint64_t time)
{
	atomic_fetch_or(&device->woken, 1u << queue);
	guest_pci_wake_at(vm, &device->function, time);
}

bool virtio_take(struct vm *vm, struct virtio_device *device, uint32_t queue)
{
	enum error error;

	if (!device->queues[queue].enabled)
		return false;
	error = virtqueue_take(&device->queues[queue], &device->chain);
	if (error && error != ERR_NOT_FOUND)
		virtio_break(vm, device, "a ring breaks the rules");
	device->chains += !error;
	return !error;
}

void virtio_untake(struct virtio_device *device, uint32_t queue)
{
	virtqueue_untake(&device->queues[queue], device->chain.token);
}

void virtio_return(struct vm *vm, struct virtio_device *device, uint32_t queue,
		   uint32_t written)
{
	if (virtqueue_give(&device->queues[queue], device->chain.token,
			   written))
		virtio_break(vm, device, "a ring is not in its memory");
}

void virtio_signal(struct vm *vm, struct virtio_device *device, uint32_t queue)
{
	struct virtqueue *ring = &device->queues[queue];

	if (!virtio_is_live(device) || !virtqueue_interrupts(ring))
		return;
	device->isr |= ISR_QUEUE;
	device->interrupts++;
	msix_raise(vm, &device->function, ring->vector);
}

void virtio_give(struct vm *vm, struct virtio_device *device, uint32_t queue,
		 uint32_t written)
{
	virtio_give_back(vm, device, queue, device->chain.token, written);
}

void virtio_give_back(struct vm *vm, struct virtio_device *device,
		      uint32_t queue, struct virtio_token token,
		      uint32_t written)
{
	if (virtqueue_give(&device->queues[queue], token, written))
		virtio_break(vm, device, "a ring is not in its memory");
	else
		virtio_signal(vm, device, queue);
}

static bool work(struct vm *vm, struct pci_function *function)
{
	struct virtio_device *device = virtio_of(function);

	device->notified |= atomic_exchange(&device->woken, 0);
	for (uint32_t i = 0; i < device->type->queue_count; i++) {
		if (!virtio_is_live(device))
			return false;
		if (!(device->notified & 1u << i))
			continue;
		device->notified &= ~(1u << i);
		if (device->type->work(vm, device, i))
			device->notified |= 1u << i;
	}
	return virtio_is_live(device) && device->notified;
}

static void stats(const struct pci_function *function,
		  struct mull_device_stats *stats)
{
	const struct virtio_device *device = (const struct virtio_device *)
		function;

	stats->type = device->type->id;
	stats->notifications = device->notifications;
	stats->interrupts = device->interrupts;
	stats->chains = device->chains;
	if (device->type->stats)
		device->type->stats(device, stats);
}

/* ---- making one ---------------------------------------------------------- */

void virtio_init(struct virtio_device *device, const struct virtio_type *type,
		 uint32_t slot)
{
	static const struct pci_operations operations = {
		.read = virtio_read_bar,
		.write = virtio_write_bar,
		.config_read = virtio_config_read,
		.config_write = virtio_config_write,
		.reset = on_reset,
		.work = work,
		.stats = stats,
	};
	struct pci_function *function = &device->function;

	device->type = type;
	device->features = type->features | FEATURE_INDIRECT |
			   FEATURE_EVENT_INDEX | FEATURE_VERSION_1 |
			   FEATURE_PACKED;
	function->operations = &operations;
	function->slot = slot;
	virtio_place_registers(device);
}

void virtio_add(struct vm *vm, struct virtio_device *device,
		const struct virtio_type *type, uint32_t slot)
{
	virtio_init(device, type, slot);
	guest_pci_add(vm, &device->function);
}
