/* SPDX-License-Identifier: MIT */
#include "virtio_block_parts.h"

#include <mullion/bits.h>
#include <mullion/log.h>
#include <mullion/vm.h>
#include <string.h>

#define CLASS_STORAGE 0x018000 /* mass storage, of no class below */

/* "Feature bits" */
#define FEATURE_SIZE BIT(1)
#define FEATURE_SEGMENTS BIT(2)
#define FEATURE_READ_ONLY BIT(5)
#define FEATURE_BLOCK_SIZE BIT(6)
#define FEATURE_FLUSH BIT(9)

/* "Device configuration layout" */
#define CONFIG_CAPACITY 0
#define CONFIG_SIZE 8
#define CONFIG_SEGMENTS 12
#define CONFIG_BLOCK_SIZE 20
#define CONFIG_END 24

/* Of a request: so that the places in the machine's memory of all that it has
 * fit into a struct block_flight, though each may lie in two frames. */
#define SEGMENT_BYTES (FRAME_SIZE / 2)
#define SEGMENTS (BLOCK_SEGMENTS_MAX / 2 - 2)

/*
 * A step does as many requests as it can, since the guest may run for a slot
 * before the next one.  What their parts cost at most in instructions, as
 * tests/bench/disk_requests.py counts them; copying as if by turns of 8 bytes.
 */
#define STEP_COST 20000
#define REQUEST_COST 3000
#define SEGMENT_COST 150
#define SKIP_COST 6 /* each segment before the one that is meant */
#define BLOCK_COST 500
#define BYTES_OF_COST 8
#define PIECE KIB(32) /* copied at once: not much of a step */

static struct virtio_block *of(struct virtio_device *device)
{
	return (struct virtio_block *)device;
}

static uint32_t segments(const struct virtio_block *block)
{
	return block->device.chain.readable + block->device.chain.writable;
}

/* ---- a request, from its first step to its last -------------------------- */

void virtio_block_finish(struct vm *vm, struct virtio_block *block,
			 uint32_t queue, enum block_status status)
{
	struct virtio_device *device = &block->device;
	const struct virtio_chain *chain = &device->chain;
	uint8_t byte = (uint8_t)status;

	block->busy = false;
	if (virtio_chain_write(&device->queues[queue], chain,
			       chain->writable_bytes - 1, &byte, 1))
		virtio_break(vm, device, "a status has nowhere to go");
	else
		virtio_give(vm, device, queue, (uint32_t)chain->writable_bytes);
}

/* Of a read or write: what it says makes sense. */
static bool is_on_disk(struct virtio_block *block, uint64_t sector)
{
	uint64_t sectors = block->capacity / DISK_SECTOR;

	return block->size % DISK_SECTOR == 0 && sector <= sectors &&
	       block->size / DISK_SECTOR <= sectors - sector;
}

static void give_id(struct vm *vm, struct virtio_block *block, uint32_t queue)
{
	struct virtio_device *device = &block->device;
	uint64_t room = device->chain.writable_bytes - 1;
	size_t length = room < sizeof block->id ? room : sizeof block->id;

	if (virtio_chain_write(&device->queues[queue], &device->chain, 0,
			       block->id, length))
		virtio_break(vm, device, "an id has nowhere to go");
	else
		virtio_block_finish(vm, block, queue, STATUS_OK);
}

/* The chain has a header and room for a status. */
static void begin(struct vm *vm, struct virtio_block *block, uint32_t queue,
		  const struct block_header *header)
{
	const struct virtio_chain *chain = &block->device.chain;
	bool in = header->type == REQUEST_IN;

	switch (header->type) {
	case REQUEST_IN:
	case REQUEST_OUT:
		block->type = header->type;
		block->size = in ? chain->writable_bytes - 1 :
				   chain->readable_bytes - sizeof *header;
		if (!is_on_disk(block, header->sector) ||
		    (!in && block->read_only)) {
			virtio_block_finish(vm, block, queue, STATUS_ERROR);
			return;
		}
		*(in ? &block->reads : &block->writes) += block->size /
							  DISK_SECTOR;
		block->at = header->sector * DISK_SECTOR;
		block->done = 0;
		if (block->partition && !block->over)
			block_flight_begin(vm, block, queue, header->type);
		else if (block->size)
			block->busy = true;
		else
			virtio_block_finish(vm, block, queue, STATUS_OK);
		break;
	case REQUEST_FLUSH: /* memory is as lasting as it ever will be */
		block->type = header->type;
		block->size = block->done = 0;
		if (block->changes)
			block->busy = true;
		else if (block->partition && !block->over)
			block_flight_begin(vm, block, queue, header->type);
		else
			virtio_block_finish(vm, block, queue, STATUS_OK);
		break;
	case REQUEST_ID:
		give_id(vm, block, queue);
		break;
	default:
		virtio_block_finish(vm, block, queue, STATUS_UNSUPPORTED);
		break;
	}
}

static bool take(struct vm *vm, struct virtio_block *block, uint32_t queue)
{
	struct virtio_device *device = &block->device;
	const struct virtio_chain *chain = &device->chain;
	struct block_header header;

	if (!virtio_take(vm, device, queue))
		return false;
	if (chain->readable_bytes < sizeof header || !chain->writable_bytes ||
	    virtio_chain_read(&device->queues[queue], chain, 0, &header,
			      sizeof header)) {
		virtio_break(vm, device,
			     "a request has no header or no status");
		return false;
	}
	begin(vm, block, queue, &header);
	return true;
}

/* ---- bytes --------------------------------------------------------------- */

/* Both copy what lies together, and say how much that was. */
static enum error read_some(struct virtio_block *block, uint32_t queue,
			    uint64_t *length)
{
	struct virtio_device *device = &block->device;
	const uint8_t *from;

	*length = block->size - block->done;
	if (*length > PIECE)
		*length = PIECE;
	from = memory_disk_at(&block->disk, block->at + block->done, length);
	return virtio_chain_write(&device->queues[queue], &device->chain,
				  block->done, from, *length);
}

static enum error write_some(struct virtio_block *block, uint32_t queue,
			     uint64_t *length)
{
	struct virtio_device *device = &block->device;
	uint64_t at = block->at + block->done;
	enum error error;

	*length = DISK_BLOCK - at % DISK_BLOCK;
	if (*length > block->size - block->done)
		*length = block->size - block->done;
	error = virtio_chain_read(&device->queues[queue], &device->chain,
				  sizeof(struct block_header) + block->done,
				  block->block, *length);
	return error ? error :
		       memory_disk_write(&block->disk, at, block->block,
					 (uint32_t)*length);
}

void virtio_block_tell_full(struct virtio_block *block)
{
	if (block->told_full)
		return;
	block->told_full = true;
	log_write("%s: %.20s: the room for changes is full, writes fail",
		  block->vm->description.name, block->id);
}

/* Returns what it has cost. */
static uint32_t go_on(struct vm *vm, struct virtio_block *block, uint32_t queue)
{
	uint64_t length;
	enum error error = block->type == REQUEST_IN ?
				   read_some(block, queue, &length) :
				   write_some(block, queue, &length);

	block->done += length;
	if (error == ERR_NO_MEMORY) {
		virtio_block_tell_full(block);
		virtio_block_finish(vm, block, queue, STATUS_ERROR);
	} else if (error) {
		virtio_break(vm, &block->device,
			     "a request's data is not in memory");
	} else if (block->done == block->size) {
		virtio_block_finish(vm, block, queue, STATUS_OK);
	}
	return BLOCK_COST + SKIP_COST * segments(block) +
	       (uint32_t)length / BYTES_OF_COST;
}

static bool work(struct vm *vm, struct virtio_device *device, uint32_t queue)
{
	struct virtio_block *block = of(device);
	uint32_t cost = 0;

	if (block->changes)
		block_kept_land(block);
	else if (block->over)
		block_overlay_land(block);
	else if (block->partition)
		block_flight_land(vm, block);
	while (cost < STEP_COST && !virtio_is_broken(device)) {
		if (block->over && block_overlay_waits(block))
			return false; /* it wakes us */
		else if (block->busy && block->changes)
			cost += block_kept_step(block, queue);
		else if (block->busy && block->over)
			cost += block_overlay_step(block, queue);
		else if (block->busy)
			cost += go_on(vm, block, queue);
		else if (cost > STEP_COST / 2)
			return true; /* the next one may be long */
		else if (block->partition && !block->free)
			return false; /* who comes back makes room */
		else if (take(vm, block, queue))
			cost += REQUEST_COST + SEGMENT_COST * segments(block);
		else
			return false;
	}
	return true;
}

static void reset(struct vm *vm, struct virtio_device *device)
{
	(void)vm;
	of(device)->busy = of(device)->came = false;
	block_flight_abandon(of(device));
}

static bool flies(const struct virtio_device *device)
{
	return virtio_block_flies((const struct virtio_block *)device);
}

/* ---- making one ---------------------------------------------------------- */

static void put_config(struct virtio_device *device, uint32_t at,
		       uint64_t value, size_t size)
{
	memcpy(device->config + at, &value, size);
}

void virtio_block_init(struct vm *vm, struct virtio_block *block, uint32_t slot,
		       uint32_t index)
{
	static const struct virtio_type type = {
		.id = VIRTIO_ID_BLOCK,
		.class = CLASS_STORAGE,
		.features = FEATURE_SEGMENTS | FEATURE_BLOCK_SIZE |
			    FEATURE_FLUSH,
		.queue_count = 1,
		.config_size = CONFIG_END,
		.work = work,
		.reset = reset,
		.flies = flies,
	};
	const struct mull_disk *disk = &vm->description.disks[index];

	virtio_init(&block->device, &type, slot);
	block->read_only = disk->flags & MULL_DISK_READ_ONLY;
	if (block->read_only)
		block->device.features |= FEATURE_READ_ONLY;
	format_text(block->id, sizeof block->id, "mullion-disk%u", index);
	block->vm = vm;
}

void virtio_block_start(struct virtio_block *block)
{
	block->reads = 0;
	block->writes = 0;
	block->told_full = false;
	block->is_open = block->busy = block->came = false;
	block->stage = KEPT_NONE;
	block->free = BITS(BLOCK_FLIGHTS - 1, 0);
	atomic_store(&block->landed, 0);
	block->capacity = block->partition ? block->partition->size :
					     block->disk.size;
	put_config(&block->device, CONFIG_CAPACITY,
		   block->capacity / DISK_SECTOR, 8);
	if (block->partition) {
		block->device.features |= FEATURE_SIZE;
		put_config(&block->device, CONFIG_SIZE, SEGMENT_BYTES, 4);
	}
	/* Header and status take a segment each. */
	put_config(&block->device, CONFIG_SEGMENTS,
		   block->partition ? SEGMENTS : VIRTQUEUE_SIZE_MAX - 2, 4);
	put_config(&block->device, CONFIG_BLOCK_SIZE,
		   block->partition ? block->partition->device->sector_size :
				      DISK_SECTOR,
		   4);
}
