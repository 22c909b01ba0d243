/* SPDX-License-Identifier: MIT */
/*
 * A private disk whose base is a partition, and whose changes are kept on
 * another one.  Both read and write the guest's memory by themselves; only a
 * part of a block that is written for the first time goes through @block, with
 * the rest of it as the base has it.
 *
 * One request at a time, and of it one part with a machine's disk: so nothing
 * is written while a flush is under way, and what the map names then has been
 * written before.  A flush is that of the data, the map, and that of the map.
 */
#include "virtio_block_parts.h"

#include <mullion/arch.h>
#include <mullion/log.h>
#include <mullion/vm.h>

#define FLIGHT 1u /* its bit */
#define RUN ((uint64_t)OVERLAY_RUN * OVERLAY_BLOCK)
#define STEP_COST 4000 /* instructions of a step, beside what is copied */
#define BYTES_OF_COST 8

_Static_assert(DISK_BLOCK == OVERLAY_BLOCK, "@block holds one");

static void fail(struct virtio_block *block, uint32_t queue)
{
	block->stage = KEPT_NONE;
	virtio_block_finish(block->vm, block, queue, STATUS_ERROR);
}

static void break_it(struct virtio_block *block)
{
	virtio_break(block->vm, &block->device,
		     "a request's data is not in memory");
}

void block_kept_fill(struct virtio_block *block, hpa_t at, uint32_t length)
{
	struct block_flight *flight = &block->flights[0];

	*flight = (struct block_flight){ .block = block };
	flight->segments[0] = (struct block_segment){ at, length };
	flight->request.segment_count = 1;
}

void block_kept_send(struct virtio_block *block, enum kept_stage stage,
		     struct block_partition *partition,
		     enum block_operation operation, uint64_t offset)
{
	struct block_flight *flight = &block->flights[0];

	block->stage = stage;
	flight->request.partition = partition;
	flight->request.operation = operation;
	flight->request.offset = offset;
	block_flight_send(block, 0, flight);
}

/* The next @length bytes between the guest's memory and a partition. */
static void send_direct(struct virtio_block *block, uint32_t queue,
			enum kept_stage stage,
			struct block_partition *partition, uint64_t offset,
			uint64_t length)
{
	struct block_flight *flight = &block->flights[0];
	bool in = block->type == REQUEST_IN;
	enum error error;

	*flight = (struct block_flight){ .block = block,
					 .written = (uint32_t)length };
	error = virtio_chain_locate(
		&block->device.queues[queue], &block->device.chain, in,
		block->done + (in ? 0 : sizeof(struct block_header)), length,
		(struct virtio_frames *)flight->segments, BLOCK_SEGMENTS_MAX,
		&flight->request.segment_count);
	if (error == ERR_BAD_ADDRESS)
		break_it(block);
	else if (error)
		fail(block, queue);
	else
		block_kept_send(block, stage, partition,
				in ? BLOCK_READ : BLOCK_WRITE, offset);
}

static uint64_t rest_of(const struct virtio_block *block)
{
	uint64_t rest = block->size - block->done;

	return rest < RUN ? rest : RUN;
}

static void read_some(struct virtio_block *block, uint32_t queue)
{
	uint64_t at = block->at + block->done, length = rest_of(block), offset;

	if (overlay_find(&block->overlay, at, &length, &offset))
		send_direct(block, queue, KEPT_DIRECT, block->changes, offset,
			    length);
	else
		send_direct(block, queue, KEPT_DIRECT, block->partition, at,
			    length);
}

/* ---- writing ------------------------------------------------------------- */

/* Bytes of the block at @at; the last one may be short. */
static uint64_t block_length(const struct virtio_block *block, uint64_t at)
{
	uint64_t rest = block->capacity - at;

	return rest < OVERLAY_BLOCK ? rest : OVERLAY_BLOCK;
}

/* Bytes of whole blocks at the beginning of the @length ones at @at. */
static uint64_t whole_blocks(const struct virtio_block *block, uint64_t at,
			     uint64_t length)
{
	if (at % OVERLAY_BLOCK)
		return 0;
	return at + length == block->capacity ?
		       length :
		       round_down(length, OVERLAY_BLOCK);
}

static void fetch(struct virtio_block *block, uint64_t at)
{
	block_kept_fill(block, arch_physical(block->block),
			(uint32_t)block_length(block, at));
	block_kept_send(block, KEPT_FETCH, block->partition, BLOCK_READ, at);
}

/* It has come: the guest's part over it, and to its place. */
static void merge(struct virtio_block *block, uint32_t queue)
{
	uint64_t at = block->at + block->done, within = at % OVERLAY_BLOCK;
	uint64_t length = block_length(block, at - within);
	uint64_t part = length - within;

	if (part > block->size - block->done)
		part = block->size - block->done;
	if (virtio_chain_read(&block->device.queues[queue],
			      &block->device.chain,
			      sizeof(struct block_header) + block->done,
			      block->block + within, part)) {
		break_it(block);
		return;
	}
	block_kept_fill(block, arch_physical(block->block), (uint32_t)length);
	block->flights[0].written = (uint32_t)part;
	block->first = at / OVERLAY_BLOCK;
	block->count = 1;
	block_kept_send(block, KEPT_NEW, block->changes, BLOCK_WRITE,
			overlay_offset(&block->overlay, block->overlay.next));
}

/* To places that none of the @length bytes has yet. */
static void write_new(struct virtio_block *block, uint32_t queue, uint64_t at,
		      uint64_t length)
{
	struct overlay *overlay = &block->overlay;
	uint64_t whole = whole_blocks(block, at, length);
	uint32_t blocks = (uint32_t)((whole + OVERLAY_BLOCK - 1) /
				     OVERLAY_BLOCK);

	if (!overlay_seek(overlay))
		return; /* the next step goes on */
	block->count = overlay_free(overlay, blocks ? blocks : 1);
	if (!block->count) {
		virtio_block_tell_full(block);
		fail(block, queue);
	} else if (!blocks) {
		fetch(block, round_down(at, OVERLAY_BLOCK));
	} else {
		if (block->count < blocks)
			whole = (uint64_t)block->count * OVERLAY_BLOCK;
		block->first = at / OVERLAY_BLOCK;
		send_direct(block, queue, KEPT_NEW, block->changes,
			    overlay_offset(overlay, overlay->next), whole);
	}
}

static void write_some(struct virtio_block *block, uint32_t queue)
{
	uint64_t at = block->at + block->done, length = rest_of(block), offset;

	if (block->overlay.failed)
		fail(block, queue);
	else if (overlay_find(&block->overlay, at, &length, &offset))
		send_direct(block, queue, KEPT_DIRECT, block->changes, offset,
			    length);
	else
		write_new(block, queue, at, length);
}

/* ---- flushing ------------------------------------------------------------ */

static void send_flush(struct virtio_block *block, enum kept_stage stage)
{
	block->flights[0] = (struct block_flight){ .block = block };
	block_kept_send(block, stage, block->changes, BLOCK_FLUSH, 0);
}

static void send_map(struct virtio_block *block)
{
	uint32_t first;

	block->count = overlay_dirty(&block->overlay, &first);
	block->first = first;
	block_kept_fill(block, overlay_map_at(&block->overlay, first),
			block->count * OVERLAY_BLOCK);
	block_kept_send(block, KEPT_MAP, block->changes, BLOCK_WRITE,
			(1 + block->first) * OVERLAY_BLOCK);
}

/* The next request of a flush; false: there is none, all is kept. */
static bool flush_some(struct virtio_block *block)
{
	switch (block->stage) {
	case KEPT_FLUSH_DATA:
		if (!block->overlay.dirty)
			break;
		send_map(block);
		return true;
	case KEPT_MAP:
		if (block->overlay.dirty)
			send_map(block);
		else
			send_flush(block, KEPT_FLUSH_MAP);
		return true;
	case KEPT_FLUSH_MAP:
		break;
	default:
		send_flush(block, KEPT_FLUSH_DATA);
		return true;
	}
	block->stage = KEPT_NONE;
	return false;
}

/* What is in front of a flush that failed may be lost though later ones do not
 * fail, and then the map must not name it. */
static void note_failure(struct virtio_block *block)
{
	const struct block_request *request = &block->flights[0].request;
	bool map = request->partition == block->changes &&
		   request->offset < overlay_offset(&block->overlay, 1);

	if (!request->error || !map || block->overlay.failed)
		return;
	block->overlay.failed = true;
	log_write(LOG_ERROR "%s: %.20s: its overlay cannot be flushed; until "
			    "the VM is started again writes fail",
		  block->vm->description.name, block->id);
}

static void flush(struct virtio_block *block, uint32_t queue)
{
	if (block->overlay.failed)
		fail(block, queue);
	else if (!flush_some(block))
		virtio_block_finish(block->vm, block, queue, STATUS_OK);
}

/* ---- all of it ----------------------------------------------------------- */

/* A request went well. */
static void note_done(struct virtio_block *block)
{
	struct overlay *overlay = &block->overlay;

	if (block->stage == KEPT_NEW)
		for (uint32_t i = 0; i < block->count; i++)
			overlay_map(overlay, block->first + i,
				    overlay->next + i);
	else if (block->stage == KEPT_MAP)
		overlay_clean(overlay, (uint32_t)block->first, block->count);
	block->done += block->flights[0].written;
}

/* What has come back; false: the step is over. */
static bool take_landed(struct virtio_block *block, uint32_t queue)
{
	block->came = false;
	if (block->flights[0].request.error) {
		fail(block, queue);
		return false;
	}
	if (block->stage == KEPT_FETCH) {
		merge(block, queue);
		return false;
	}
	note_done(block);
	return true;
}

uint32_t block_kept_step(struct virtio_block *block, uint32_t queue)
{
	if (block->came && !take_landed(block, queue))
		return STEP_COST + OVERLAY_BLOCK / BYTES_OF_COST;
	if (block->type == REQUEST_FLUSH) {
		flush(block, queue);
		return STEP_COST;
	}
	block->stage = KEPT_NONE;
	if (block->done == block->size)
		virtio_block_finish(block->vm, block, queue, STATUS_OK);
	else if (block->type == REQUEST_IN)
		read_some(block, queue);
	else
		write_some(block, queue);
	return STEP_COST;
}

void block_kept_land(struct virtio_block *block)
{
	if (!(atomic_exchange(&block->landed, 0) & FLIGHT))
		return;
	block->free |= FLIGHT;
	block->came = !block->flights[0].abandoned;
	note_failure(block);
	if (!block->came)
		block->stage = KEPT_NONE;
}

/* Ends even when the disk is lost: its requests then fail. */
bool virtio_block_settle(struct virtio_block *block)
{
	if (!block->changes)
		return true;
	if (virtio_block_flies(block))
		return false;
	if (block->busy) { /* the guest's last request: it has gone */
		block->busy = false;
		block_flight_abandon(block);
	}
	block_kept_land(block);
	if (block->came) {
		block->came = false;
		if (!block->flights[0].request.error)
			note_done(block);
	}
	if (block->overlay.failed ||
	    (block->stage == KEPT_NONE && !block->overlay.dirty)) {
		block->stage = KEPT_NONE;
		return true;
	}
	return !flush_some(block);
}
