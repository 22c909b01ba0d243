/* SPDX-License-Identifier: MIT */
/*
 * A private disk in memory whose base is a partition: what was never written is read from
 * there, straight to the guest's memory; what is written lies in the room, block
 * by block.  A part of a block that is written for the first time needs the rest
 * of it from the partition before.  One request at a time, and of it one part
 * with the machine's disk: its flight is the first.
 */
#include "virtio_block_parts.h"

#include <mullion/arch.h>
#include <mullion/bits.h>
#include <string.h>

#define FLIGHT 1u      /* its bit */
#define RUN KIB(128)   /* bytes of one, whole blocks */
#define STEP_COST 2000 /* instructions of a step, beside what is copied */
#define BYTES_OF_COST 8

static void fail(struct virtio_block *block, uint32_t queue)
{
	virtio_block_finish(block->vm, block, queue, STATUS_ERROR);
}

/* The segments of the flight are filled in. */
static void send(struct virtio_block *block, uint32_t queue, uint64_t at,
		 uint64_t length)
{
	struct block_flight *flight = &block->flights[0];

	flight->written = (uint32_t)length;
	flight->request.partition = block->partition;
	flight->request.operation = BLOCK_READ;
	flight->request.offset = at;
	block_flight_send(block, queue, flight);
}

static void break_it(struct virtio_block *block)
{
	virtio_break(block->vm, &block->device,
		     "a request's data is not in memory");
}

/* ---- reading ------------------------------------------------------------- */

static void read_base(struct virtio_block *block, uint32_t queue,
		      uint64_t length)
{
	struct block_flight *flight = &block->flights[0];
	enum error error;

	*flight = (struct block_flight){ .block = block };
	error = virtio_chain_locate(
		&block->device.queues[queue], &block->device.chain, true,
		block->done, length, (struct virtio_frames *)flight->segments,
		BLOCK_SEGMENTS_MAX, &flight->request.segment_count);
	if (error == ERR_BAD_ADDRESS)
		break_it(block);
	else if (error)
		fail(block, queue);
	else
		send(block, queue, block->at + block->done, length);
}

/* Returns the bytes that were copied. */
static uint64_t read_some(struct virtio_block *block, uint32_t queue)
{
	uint64_t length = block->size - block->done;
	const uint8_t *from;

	if (length > RUN)
		length = RUN;
	from = memory_disk_changed(&block->disk, block->at + block->done,
				   &length);
	if (!from) {
		read_base(block, queue, length);
		return 0;
	}
	if (virtio_chain_write(&block->device.queues[queue],
			       &block->device.chain, block->done, from,
			       length)) {
		break_it(block);
		return 0;
	}
	block->done += length;
	return length;
}

/* ---- writing ------------------------------------------------------------- */

/* What a block has where it is not written, to the place that will be its. */
static void fetch_block(struct virtio_block *block, uint32_t queue, uint64_t at)
{
	struct block_flight *flight = &block->flights[0];
	uint64_t length = block->disk.size - at;
	hpa_t place;

	if (length > DISK_BLOCK)
		length = DISK_BLOCK;
	if (memory_disk_next_place(&block->disk, &place)) {
		virtio_block_tell_full(block);
		fail(block, queue);
		return;
	}
	*flight = (struct block_flight){ .block = block };
	flight->segments[0] = (struct block_segment){ place, (uint32_t)length };
	flight->request.segment_count = 1;
	send(block, queue, at, length);
}

static uint64_t write_some(struct virtio_block *block, uint32_t queue)
{
	uint64_t at = block->at + block->done, within = at % DISK_BLOCK;
	uint64_t length = DISK_BLOCK - within, one = 1;
	enum error error;

	if (length > block->size - block->done)
		length = block->size - block->done;
	if (!memory_disk_changed(&block->disk, at, &one) &&
	    (within ||
	     (length < DISK_BLOCK && at + length < block->disk.size))) {
		fetch_block(block, queue, at - within);
		return 0;
	}
	if (virtio_chain_read(&block->device.queues[queue],
			      &block->device.chain,
			      sizeof(struct block_header) + block->done,
			      block->block, length)) {
		break_it(block);
		return 0;
	}
	error = memory_disk_write(&block->disk, at, block->block,
				  (uint32_t)length);
	if (error) {
		virtio_block_tell_full(block);
		fail(block, queue);
		return 0;
	}
	block->done += length;
	return length;
}

/* ---- both ---------------------------------------------------------------- */

/* What the flight has brought; false: the request has failed. */
static bool take_landed(struct virtio_block *block, uint32_t queue)
{
	const struct block_flight *flight = &block->flights[0];

	block->came = false;
	if (flight->request.error) {
		fail(block, queue);
		return false;
	}
	if (block->type == REQUEST_IN)
		block->done += flight->written;
	else
		memory_disk_map(&block->disk, flight->request.offset);
	return true;
}

uint32_t block_overlay_step(struct virtio_block *block, uint32_t queue)
{
	uint64_t copied = 0;

	if (block->came && !take_landed(block, queue))
		return STEP_COST;
	if (block->done < block->size)
		copied = block->type == REQUEST_IN ? read_some(block, queue) :
						     write_some(block, queue);
	if (block->busy && block->done == block->size &&
	    !virtio_is_broken(&block->device))
		virtio_block_finish(block->vm, block, queue, STATUS_OK);
	return STEP_COST + (uint32_t)copied / BYTES_OF_COST;
}

bool block_overlay_waits(const struct virtio_block *block)
{
	return !(block->free & FLIGHT);
}

void block_overlay_land(struct virtio_block *block)
{
	if (!(atomic_exchange(&block->landed, 0) & FLIGHT))
		return;
	block->free |= FLIGHT;
	block->came = !block->flights[0].abandoned;
}
