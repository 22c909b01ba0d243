/* SPDX-License-Identifier: MIT */
/*
 * VIRTIO 1.2, "Socket Device".  Its home CPU copies what the driver sends into
 * the rings of other partitions, or to the host's end, and what has come from
 * there to the driver's buffers.
 */
#include "virtio_vsock_parts.h"
#include <mullion/vm.h>
#include <string.h>

#define CLASS_OTHER 0x078000 /* communication, as other hypervisors have it */

static struct virtio_vsock *of(struct virtio_device *device)
{
	return (struct virtio_vsock *)device;
}

static bool work(struct vm *vm, struct virtio_device *device, uint32_t queue)
{
	struct virtio_vsock *vsock = of(device);
	bool more = false;

	(void)vm;
	/* Nothing ends a connection but an RST for it, or the driver itself, so
	 * that there are no events: docs/decisions/sockets-by-group.md. */
	if (queue == VSOCK_EVENT || !device->queues[VSOCK_RECEIVE].enabled)
		return false;
	vsock_begin(&vsock->port);
	if (!vsock_life(&vsock->port))
		vsock_open(&vsock->port, VSOCK_PLACES);
	more = queue == VSOCK_RECEIVE ? vsock_receive(vsock) :
					vsock_transmit(vsock);
	vsock_end(&vsock->port);
	if (virtio_is_broken(device))
		virtio_vsock_close(vsock);
	return more;
}

void virtio_vsock_close(struct virtio_vsock *vsock)
{
	vsock_begin(&vsock->port);
	vsock_close(&vsock->port);
	vsock_end(&vsock->port);
	memset(vsock->connections, 0, sizeof vsock->connections);
	atomic_store(&vsock->look, false);
	vsock->tell_peers = false;
	vsock->cut = vsock->reset_count = vsock->stalled = 0;
	vsock->held_since = 0;
	vsock_host_close(vsock);
}

static void reset(struct vm *vm, struct virtio_device *device)
{
	(void)vm;
	virtio_vsock_close(of(device));
}

static void stats(const struct virtio_device *device,
		  struct mull_device_stats *stats)
{
	const struct virtio_vsock *vsock = (const struct virtio_vsock *)device;

	stats->sent = vsock->sent;
	stats->sent_bytes = vsock->sent_bytes;
	stats->received = vsock->received;
	stats->received_bytes = vsock->received_bytes;
	stats->connections = vsock->opened;
	stats->refused = vsock->refused;
	memcpy(stats->drops, vsock->drops, sizeof stats->drops);
	memcpy(stats->network, vsock->port.group, sizeof stats->network);
}

static const struct virtio_type virtio_vsock = {
	.id = VIRTIO_ID_VSOCK,
	.class = CLASS_OTHER,
	.queue_count = VSOCK_QUEUES,
	.config_size = sizeof(uint64_t),
	.work = work,
	.reset = reset,
	.stats = stats,
};

static void notify(struct vsock_port *port, enum vsock_notice notice)
{
	struct virtio_vsock *vsock = port->owner;

	if (notice == VSOCK_LIFE_ENDED)
		atomic_store(&vsock->look, true);
	if (notice != VSOCK_HAS_ROOM)
		virtio_wake(vsock->vm, &vsock->device, VSOCK_RECEIVE);
	if (notice != VSOCK_HAS_LETTERS)
		virtio_wake(vsock->vm, &vsock->device, VSOCK_TRANSMIT);
}

void virtio_vsock_add(struct vm *vm, struct virtio_vsock *vsock, uint32_t slot)
{
	const uint64_t cid = vm->description.vsock;

	vsock->vm = vm;
	vsock->port.index = vm->index;
	vsock->port.cid = vm->description.vsock;
	memcpy(vsock->port.group, vm->description.vsock_group,
	       sizeof vsock->port.group);
	vsock->port.notify = notify;
	vsock->port.owner = vsock;
	vsock_host_init(vsock);
	virtio_add(vm, &vsock->device, &virtio_vsock, slot);
	memcpy(vsock->device.config, &cid, sizeof cid);
	vsock_attach(&vsock->port);
}

void virtio_vsock_remove(struct virtio_vsock *vsock)
{
	vsock_detach(&vsock->port);
}
