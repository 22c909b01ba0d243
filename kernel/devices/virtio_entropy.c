/* SPDX-License-Identifier: MIT */
/* VIRTIO 1.2, "Entropy Device": the processor's random numbers. */
#include <mullion/arch.h>
#include <mullion/virtio.h>

#define CLASS_OTHER 0x00ff00 /* PCI Code and ID Assignment, none fits */
#define PIECE 64	     /* bytes of a chain: a driver asks again */
#define CHAINS_A_STEP 4

static bool fill_chain(struct vm *vm, struct virtio_device *device,
		       uint32_t queue)
{
	uint64_t bytes[PIECE / sizeof(uint64_t)];
	const struct virtio_chain *chain = &device->chain;
	uint32_t length = PIECE, count = 0;

	if (!virtio_take(vm, device, queue))
		return false;
	if (chain->readable || !chain->writable_bytes) {
		virtio_break(vm, device, "entropy has nowhere to go");
		return false;
	}
	if (chain->writable_bytes < length)
		length = (uint32_t)chain->writable_bytes;
	while (count < PIECE / sizeof *bytes && arch_random(&bytes[count]))
		count++;
	/* Less is allowed; none means that the processor has no more now. */
	if (count * sizeof *bytes < length)
		length = (uint32_t)(count * sizeof *bytes);
	if (virtio_chain_write(&device->queues[queue], chain, 0, bytes,
			       length)) {
		virtio_break(vm, device, "entropy is to go where no memory is");
		return false;
	}
	virtio_give(vm, device, queue, length);
	return true;
}

/* More than one, so that a single one needs no second step, for which the guest
 * would have to exit. */
static bool work(struct vm *vm, struct virtio_device *device, uint32_t queue)
{
	for (int i = 0; i < CHAINS_A_STEP; i++)
		if (!fill_chain(vm, device, queue))
			return false;
	return true;
}

const struct virtio_type virtio_entropy = {
	.id = VIRTIO_ID_ENTROPY,
	.class = CLASS_OTHER,
	.queue_count = 1,
	.work = work,
};
