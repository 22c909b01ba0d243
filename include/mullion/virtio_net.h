/* SPDX-License-Identifier: MIT */
/* A guest's network device: VIRTIO 1.2, "Network Device", at a switch's port. */
#ifndef MULLION_VIRTIO_NET_H
#define MULLION_VIRTIO_NET_H

#include <mullion/switch.h>
#include <mullion/virtio.h>

struct virtio_net {
	struct virtio_device device; /* first: one is made of the other */
	struct vm *vm;
	struct switch_port port;
	uint32_t stale; /* packets up to there were for the driver before */
	uint32_t cut;	/* of the first packet's payload, what it has already */
	struct virtio_given given[VIRTQUEUE_SIZE_MAX]; /* of one packet */
	/* What it may send, in bits a millisecond; 0: any.  @next is when
	 * the bits that were sent will have gone at that rate. */
	uint32_t rate;
	uint64_t next;
};

/*
 * virtio_net_init - a device as @nic says, for @slot of @vm's bus
 * @net: zero, but for port.ring.bytes
 * @mac: its address
 *
 * It is at its switch, and takes nothing before a driver wants it.
 * virtio_net_add() puts it on the bus as well.  Service CPU.  Errors as
 * switch_attach().
 */
enum error virtio_net_init(struct vm *vm, struct virtio_net *net,
			   const struct mull_nic *nic,
			   const uint8_t mac[MAC_SIZE], uint32_t slot);
enum error virtio_net_add(struct vm *vm, struct virtio_net *net,
			  const struct mull_nic *nic,
			  const uint8_t mac[MAC_SIZE], uint32_t slot);
/* No packets come in any more, until a driver wants them.  vm->device_lock,
 * or its vCPUs are out of the guest. */
void virtio_net_close(struct virtio_net *net);
/* Takes it off its switch.  Service CPU. */
void virtio_net_remove(struct virtio_net *net);

#endif
