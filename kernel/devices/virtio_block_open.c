/* SPDX-License-Identifier: MIT */
/*
 * An overlay's partition before the VM runs: its header and its map are read
 * and checked.  One that is empty becomes an overlay; one that is neither stays
 * as it is.
 */
#include "virtio_block_parts.h"

#include <mullion/arch.h>
#include <mullion/log.h>
#include <mullion/vm.h>

#define FLIGHT 1u /* its bit */

static void send_block(struct virtio_block *block, enum kept_stage stage,
		       enum block_operation operation, uint64_t number)
{
	block_kept_fill(block, arch_physical(block->block), OVERLAY_BLOCK);
	block_kept_send(block, stage, block->changes, operation,
			number * OVERLAY_BLOCK);
}

/* The next run of map blocks, from @first on. */
static void read_map(struct virtio_block *block)
{
	uint64_t rest = block->overlay.map_blocks - block->first;

	block->count = rest < OVERLAY_RUN ? (uint32_t)rest : OVERLAY_RUN;
	block_kept_fill(block,
			overlay_map_at(&block->overlay, (uint32_t)block->first),
			block->count * OVERLAY_BLOCK);
	block_kept_send(block, OPEN_MAP, block->changes, BLOCK_READ,
			(1 + block->first) * OVERLAY_BLOCK);
}

static const char *take_header(struct virtio_block *block)
{
	block->fresh = overlay_is_empty(block->block, OVERLAY_BLOCK);
	if (!block->fresh) {
		const char *words = overlay_check_header(
			&block->overlay, block->partition->guid, block->block);

		if (words)
			return words;
	}
	block->first = 0;
	read_map(block);
	return NULL;
}

static void tell(const struct virtio_block *block)
{
	log_write("%s: %.20s: its overlay '%s' is %s: %u of %u blocks are used",
		  block->vm->description.name, block->id, block->changes->name,
		  block->fresh ? "new" : "open", block->overlay.used,
		  block->overlay.places);
}

/* Behind the map, up to where nothing of anybody else may be. */
static bool is_looked_at(const struct virtio_block *block)
{
	return block->first * OVERLAY_BLOCK >= OVERLAY_CLEAR ||
	       (block->first + 1) * OVERLAY_BLOCK > block->changes->size;
}

static void look_on(struct virtio_block *block)
{
	if (!is_looked_at(block)) {
		send_block(block, OPEN_REST, BLOCK_READ, block->first);
		return;
	}
	overlay_make_header(&block->overlay, block->partition->guid,
			    block->block);
	send_block(block, OPEN_FORMAT, BLOCK_WRITE, 0);
}

/* Of the map, one block at a step. */
static const char *check_map(struct virtio_block *block, bool *done)
{
	struct overlay *overlay = &block->overlay;
	uint32_t index = (uint32_t)block->first;
	const char *words;

	if (!block->fresh) {
		words = overlay_take_map(overlay, index);
		if (words)
			return words;
	} else if (!overlay_map_is_empty(overlay, index)) {
		return OVERLAY_NOT_EMPTY;
	}
	block->first++;
	block->count--;
	if (block->count)
		return NULL;
	if (block->first < overlay->map_blocks) {
		read_map(block);
	} else if (block->fresh) {
		block->first++; /* behind the header, too */
		look_on(block);
	} else {
		*done = true;
	}
	return NULL;
}

/* What was asked for is there. */
static const char *go_on(struct virtio_block *block, bool *done)
{
	switch (block->stage) {
	case OPEN_HEADER:
		return take_header(block);
	case OPEN_MAP:
		block->stage = OPEN_CHECK;
		return NULL;
	case OPEN_CHECK:
		return check_map(block, done);
	case OPEN_REST:
		if (!overlay_is_empty(block->block, OVERLAY_BLOCK))
			return OVERLAY_NOT_EMPTY;
		block->first++;
		look_on(block);
		return NULL;
	case OPEN_FORMAT:
		block->flights[0] = (struct block_flight){ .block = block };
		block_kept_send(block, OPEN_FLUSH, block->changes, BLOCK_FLUSH,
				0);
		return NULL;
	case OPEN_FLUSH:
		*done = true;
		return NULL;
	default:
		send_block(block, OPEN_HEADER, BLOCK_READ, 0);
		return NULL;
	}
}

const char *virtio_block_open(struct virtio_block *block, bool *done)
{
	const char *words;

	*done = !block->changes || block->is_open;
	if (*done || virtio_block_flies(block))
		return NULL;
	if (atomic_exchange(&block->landed, 0) & FLIGHT) {
		block->free |= FLIGHT;
		if (block->flights[0].request.error)
			return "its overlay's partition cannot be read or "
			       "written";
	}
	words = go_on(block, done);
	if (*done) {
		block->is_open = true;
		block->stage = KEPT_NONE;
		tell(block);
	}
	return words;
}
