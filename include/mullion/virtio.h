/* SPDX-License-Identifier: MIT */
/*
 * Virtio devices of a guest, on its PCI bus.  Virtual I/O Device (VIRTIO) 1.2,
 * "Virtio Over PCI Bus": modern devices only, with MSI-X.
 */
#ifndef MULLION_VIRTIO_H
#define MULLION_VIRTIO_H

#include <mullion/guest_pci.h>
#include <mullion/virtqueue.h>

#define VIRTIO_QUEUES_MAX 7 /* with one vector each, and one for changes */

/* "Device Types" */
enum virtio_id {
	VIRTIO_ID_NET = 1,
	VIRTIO_ID_BLOCK = 2,
	VIRTIO_ID_CONSOLE = 3,
	VIRTIO_ID_ENTROPY = 4,
	VIRTIO_ID_BALLOON = 5,
	VIRTIO_ID_VSOCK = 19,
};

struct virtio_device;

/* What makes a device the one it is; callers hold vm->device_lock. */
struct virtio_type {
	enum virtio_id id;
	uint32_t class;	   /* of the PCI function */
	uint64_t features; /* its own; those of the ring are added */
	uint32_t queue_count;
	uint32_t config_size; /* bytes of @config in struct virtio_device */
	/* Those that the driver may write, 4 at once; the device never trusts
	 * them. */
	uint32_t config_written_at, config_written_size;
	/*
	 * The next piece of what is in @queue, at most some 20,000
	 * instructions; returns whether there is more.
	 */
	bool (*work)(struct vm *vm, struct virtio_device *device,
		     uint32_t queue);
	void (*reset)(struct vm *vm, struct virtio_device *device); /* NULL */
	/* Whether it still touches the guest's memory after that; the driver
	 * then waits for the status to become 0.  NULL: never. */
	bool (*flies)(const struct virtio_device *device);
	/* Adds what it counts beside its queues, or NULL. */
	void (*stats)(const struct virtio_device *device,
		      struct mull_device_stats *stats);
};

struct virtio_device {
	struct pci_function function; /* first: one is made of the other */
	const struct virtio_type *type;
	uint8_t config[64]; /* device configuration */
	uint64_t features, negotiated;
	uint32_t feature_select, driver_feature_select;
	uint64_t driver_features;
	uint8_t status, generation, isr;
	uint8_t leaving; /* status before the reset that is not over yet */
	uint16_t config_vector, queue_select;
	struct virtqueue queues[VIRTIO_QUEUES_MAX];
	uint32_t notified;	/* queues that have work */
	_Atomic uint32_t woken; /* those that have some for another reason */
	uint32_t window; /* capability by which configuration reaches BAR 0 */
	struct virtio_chain chain; /* the one that is worked on */
	uint64_t notifications, interrupts, chains; /* ever */
};

/* Makes @device of @type, for @slot of a bus; no lock. */
void virtio_init(struct virtio_device *device, const struct virtio_type *type,
		 uint32_t slot);
/* And puts it on @vm's bus. */
void virtio_add(struct vm *vm, struct virtio_device *device,
		const struct virtio_type *type, uint32_t slot);

/*
 * virtio_take - the next chain of @queue, in device->chain
 *
 * Returns false when there is none.  A ring that breaks the rules breaks the
 * device: it says so to the driver and to the log, and does nothing until it
 * is reset.
 */
bool virtio_take(struct vm *vm, struct virtio_device *device, uint32_t queue);
/* Puts back the chain that was just taken: it is taken again, and walked anew,
 * since there is no room for all that is in it now. */
void virtio_untake(struct virtio_device *device, uint32_t queue);
/* Hands it back with @written bytes, and interrupts where that is wanted. */
void virtio_give(struct vm *vm, struct virtio_device *device, uint32_t queue,
		 uint32_t written);
/* The same for a chain that was taken before others. */
void virtio_give_back(struct vm *vm, struct virtio_device *device,
		      uint32_t queue, struct virtio_token token,
		      uint32_t written);
/* A chain is not as the device's own protocol has it: the device is broken. */
void virtio_break(struct vm *vm, struct virtio_device *device, const char *why);
/* What the device has in @config has changed: the driver is told. */
void virtio_reconfigure(struct vm *vm, struct virtio_device *device);
/* Whether it is, and waits for its reset. */
bool virtio_is_broken(const struct virtio_device *device);
/* The two halves of virtio_give(), for several chains with one interrupt. */
void virtio_return(struct vm *vm, struct virtio_device *device, uint32_t queue,
		   uint32_t written);
void virtio_signal(struct vm *vm, struct virtio_device *device, uint32_t queue);
/* There is something for @queue besides what its driver notifies of.  Any CPU,
 * no lock. */
void virtio_wake(struct vm *vm, struct virtio_device *device, uint32_t queue);
/* The same without the kick of its home CPU, which the caller does. */
void virtio_mark(struct vm *vm, struct virtio_device *device, uint32_t queue);
/* There will be, when arch_time() reaches @time.  Home CPU. */
void virtio_wake_at(struct vm *vm, struct virtio_device *device, uint32_t queue,
		    uint64_t time);

/* "Entropy Device" (kernel/devices/virtio_entropy.c) */
extern const struct virtio_type virtio_entropy;

#endif
