/* SPDX-License-Identifier: MIT */
/*
 * Requests that are with a disk of the machine.  The disk reads and writes the
 * guest's memory by itself, so that must stay the guest's until they are back:
 * the VM's end and a reset of the device wait for them.
 */
#include "virtio_block_parts.h"

#include <mullion/arch.h>
#include <mullion/bits.h>
#include <mullion/vm.h>

_Static_assert(sizeof(struct virtio_frames) == sizeof(struct block_segment) &&
		       offsetof(struct virtio_frames, length) ==
			       offsetof(struct block_segment, length),
	       "one is filled as the other");

/* On the service CPU. */
static void done(struct block_request *request)
{
	struct block_flight *flight = request->context;
	struct virtio_block *block = flight->block;
	uint32_t bit = 1u << (flight - block->flights);
	struct vm *vm = block->vm;
	uint32_t home = vm_home(vm), queue = flight->queue;

	atomic_fetch_or(&block->landed, bit);
	/* The home CPU may send another one in its place from here on. */
	virtio_mark(vm, &block->device, queue);
	/* And from here on the VM may be gone.  The kick comes last: an end that
	 * waits for the last flight must find that it has ended. */
	atomic_fetch_sub(&block->flying, 1);
	arch_kick(home);
}

/* The last byte that the driver lets the device write. */
static gpa_t status_of(const struct virtio_chain *chain)
{
	const struct virtio_segment *last =
		&chain->segments[chain->readable + chain->writable - 1];

	while (!last->length)
		last--;
	return gpa(last->at.value + last->length - 1);
}

static enum error locate(struct virtio_block *block, uint32_t queue,
			 struct block_flight *flight, bool in)
{
	const struct virtio_chain *chain = &block->device.chain;

	return virtio_chain_locate(
		&block->device.queues[queue], chain, in,
		in ? 0 : sizeof(struct block_header), block->size,
		(struct virtio_frames *)flight->segments, BLOCK_SEGMENTS_MAX,
		&flight->request.segment_count);
}

void block_flight_send(struct virtio_block *block, uint32_t queue,
		       struct block_flight *flight)
{
	flight->queue = queue;
	flight->request.segments = flight->segments;
	flight->request.done = done;
	flight->request.context = flight;
	block->free &= ~(1u << (flight - block->flights));
	atomic_fetch_add(&block->flying, 1);
	block_send(&flight->request);
}

void block_flight_begin(struct vm *vm, struct virtio_block *block,
			uint32_t queue, uint32_t type)
{
	static const enum block_operation operations[] = {
		[REQUEST_IN] = BLOCK_READ,
		[REQUEST_OUT] = BLOCK_WRITE,
		[REQUEST_FLUSH] = BLOCK_FLUSH,
	};
	const struct virtio_chain *chain = &block->device.chain;
	uint32_t index = (uint32_t)__builtin_ctz(block->free);
	struct block_flight *flight = &block->flights[index];
	bool in = type == REQUEST_IN;
	enum error error;

	*flight = (struct block_flight){ .block = block,
					 .queue = queue,
					 .token = chain->token,
					 .status = status_of(chain) };
	error = locate(block, queue, flight, in);
	if (error == ERR_BAD_ADDRESS) {
		virtio_break(vm, &block->device,
			     "a request's data is not in memory");
		return;
	}
	if (error || (type != REQUEST_FLUSH && !block->size)) {
		virtio_block_finish(vm, block, queue,
				    error ? STATUS_ERROR : STATUS_OK);
		return;
	}
	flight->written = (uint32_t)chain->writable_bytes;
	flight->request.partition = block->partition;
	flight->request.operation = operations[type];
	flight->request.offset = type == REQUEST_FLUSH ? 0 : block->at;
	block_flight_send(block, queue, flight);
}

static void land(struct vm *vm, struct virtio_block *block,
		 struct block_flight *flight)
{
	struct virtio_device *device = &block->device;
	uint8_t status = flight->request.error ? STATUS_ERROR : STATUS_OK;

	if (flight->abandoned)
		return;
	if (guest_write(&vm->memory, flight->status, &status, 1))
		virtio_break(vm, device, "a status has nowhere to go");
	else
		virtio_give_back(vm, device, flight->queue, flight->token,
				 flight->written);
}

void block_flight_land(struct vm *vm, struct virtio_block *block)
{
	uint32_t landed = atomic_exchange(&block->landed, 0);

	for (uint32_t i = 0; i < BLOCK_FLIGHTS; i++) {
		if (!(landed & 1u << i))
			continue;
		land(vm, block, &block->flights[i]);
		block->free |= 1u << i;
	}
}

void block_flight_abandon(struct virtio_block *block)
{
	for (uint32_t i = 0; block->flights && i < BLOCK_FLIGHTS; i++)
		block->flights[i].abandoned = true;
}

bool block_flights_touch(const struct virtio_block *block, hpa_t frame)
{
	for (uint32_t i = 0; block->flights && i < BLOCK_FLIGHTS; i++) {
		const struct block_flight *flight = &block->flights[i];

		if (block->free & 1u << i)
			continue;
		for (uint32_t j = 0; j < flight->request.segment_count; j++) {
			uint64_t at = flight->segments[j].at.value;

			if (at < frame.value + FRAME_SIZE &&
			    frame.value < at + flight->segments[j].length)
				return true;
		}
	}
	return false;
}
