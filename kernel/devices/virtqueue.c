/* SPDX-License-Identifier: MIT */
#include "virtqueue_parts.h"

#include <mullion/bits.h>
#include <stdatomic.h>

/* "The Virtqueue Descriptor Table" */
struct descriptor {
	uint64_t address;
	uint32_t length;
	uint16_t flags;
	uint16_t next;
};

/* "The Virtqueue Available Ring", "The Virtqueue Used Ring" */
#define RING_FLAGS 0
#define RING_INDEX 2
#define RING_ENTRIES 4
#define AVAILABLE_NO_INTERRUPT BIT(0)

struct used_element {
	uint32_t id, length;
};

_Static_assert(sizeof(struct descriptor) == 16, "VIRTIO");
_Static_assert(sizeof(struct used_element) == 8, "VIRTIO");

static gpa_t available_entry(const struct virtqueue *queue, uint16_t index)
{
	return gpa(queue->driver.value + RING_ENTRIES +
		   2ull * (index % queue->size));
}

static gpa_t used_entry(const struct virtqueue *queue, uint16_t index)
{
	return gpa(queue->device.value + RING_ENTRIES +
		   sizeof(struct used_element) * (index % queue->size));
}

/* Behind the entries: up to where the driver wants an interrupt. */
static gpa_t used_event(const struct virtqueue *queue)
{
	return gpa(queue->driver.value + RING_ENTRIES + 2ull * queue->size);
}

/* And up to where the device wants a notification. */
static gpa_t available_event(const struct virtqueue *queue)
{
	return gpa(queue->device.value + RING_ENTRIES +
		   sizeof(struct used_element) * queue->size);
}

/* ---- taking -------------------------------------------------------------- */

/* Where the descriptors of a chain are: the queue's table or an indirect one.*/
struct table {
	gpa_t at;
	uint32_t count;
	bool indirect;
};

enum error virtio_chain_add(struct virtio_chain *chain, uint64_t address,
			    uint32_t length, bool writable)
{
	uint32_t count = chain->readable + chain->writable;

	if (count == VIRTQUEUE_SIZE_MAX || address + length < address)
		return ERR_BAD_REQUEST;
	chain->segments[count] = (struct virtio_segment){ gpa(address),
							  length };
	if (writable) {
		chain->writable++;
		chain->writable_bytes += length;
		return ERR_NONE;
	}
	if (chain->writable) /* "must be before any device-writable" */
		return ERR_BAD_REQUEST;
	chain->readable++;
	chain->readable_bytes += length;
	return ERR_NONE;
}

/* "Indirect Descriptors": the last of the chain, and no table in a table. */
static enum error enter(const struct virtqueue *queue, struct table *table,
			const struct descriptor *descriptor)
{
	uint32_t count = descriptor->length / sizeof *descriptor;

	if (!queue->indirect || table->indirect ||
	    descriptor->flags & (DESCRIPTOR_NEXT | DESCRIPTOR_WRITE) ||
	    descriptor->length % sizeof *descriptor || !count ||
	    count > VIRTQUEUE_SIZE_MAX)
		return ERR_BAD_REQUEST;
	*table = (struct table){ gpa(descriptor->address), count, true };
	return ERR_NONE;
}

/* Each descriptor is copied once; a loop has more of them than a chain may. */
static enum error walk(const struct virtqueue *queue,
		       struct virtio_chain *chain)
{
	struct table table = { queue->descriptors, queue->size, false };
	uint32_t index = chain->token.id;

	for (uint32_t left = 2 * VIRTQUEUE_SIZE_MAX; left; left--) {
		struct descriptor descriptor;
		enum error error;

		if (index >= table.count)
			return ERR_BAD_REQUEST;
		error = guest_read(
			queue->memory,
			gpa(table.at.value + index * sizeof descriptor),
			&descriptor, sizeof descriptor);
		if (error)
			return error;
		if (descriptor.flags & DESCRIPTOR_INDIRECT) {
			error = enter(queue, &table, &descriptor);
			index = 0;
		} else {
			error = virtio_chain_add(
				chain, descriptor.address, descriptor.length,
				descriptor.flags & DESCRIPTOR_WRITE);
			index = descriptor.next;
			if (!error && !(descriptor.flags & DESCRIPTOR_NEXT))
				return ERR_NONE;
		}
		if (error)
			return error;
	}
	return ERR_BAD_REQUEST;
}

/* How many chains are available; asks for a notification of the next one
 * before the last look that finds none. */
static enum error available(struct virtqueue *queue, uint16_t *count)
{
	const gpa_t index = gpa(queue->driver.value + RING_INDEX);
	uint16_t made;
	enum error error = guest_load_16(queue->memory, index, &made);

	if (!error && made == queue->taken && queue->event_index) {
		error = guest_store_16(queue->memory, available_event(queue),
				       queue->taken);
		atomic_thread_fence(memory_order_seq_cst);
		if (!error)
			error = guest_load_16(queue->memory, index, &made);
	}
	if (error)
		return error;
	*count = (uint16_t)(made - queue->taken);
	return *count > queue->size ? ERR_BAD_REQUEST : ERR_NONE;
}

static enum error split_take(struct virtqueue *queue,
			     struct virtio_chain *chain)
{
	uint16_t count;
	enum error error = available(queue, &count);

	if (error)
		return error;
	if (!count)
		return ERR_NOT_FOUND;
	/* The index before the entry: that is what makes it valid. */
	atomic_thread_fence(memory_order_acquire);
	error = guest_load_16(queue->memory,
			      available_entry(queue, queue->taken),
			      &chain->token.id);
	if (!error)
		error = walk(queue, chain);
	if (!error)
		queue->taken++;
	return error;
}

enum error virtqueue_take(struct virtqueue *queue, struct virtio_chain *chain)
{
	chain->readable = chain->writable = 0;
	chain->readable_bytes = chain->writable_bytes = 0;
	return queue->packed ? packed_take(queue, chain) :
			       split_take(queue, chain);
}

void virtqueue_untake(struct virtqueue *queue, struct virtio_token token)
{
	if (queue->packed)
		packed_untake(queue, token);
	else
		queue->taken--;
}

/* ---- giving -------------------------------------------------------------- */

static enum error write_used(const struct virtqueue *queue, uint32_t index,
			     uint16_t head, uint32_t written)
{
	const struct used_element element = { head, written };

	return guest_write(queue->memory,
			   used_entry(queue, (uint16_t)(queue->used + index)),
			   &element, sizeof element);
}

static enum error publish(struct virtqueue *queue, uint32_t count)
{
	atomic_thread_fence(memory_order_release);
	queue->used += (uint16_t)count;
	return guest_store_16(queue->memory,
			      gpa(queue->device.value + RING_INDEX),
			      queue->used);
}

static enum error split_give(struct virtqueue *queue, uint16_t head,
			     uint32_t written)
{
	enum error error = write_used(queue, 0, head, written);

	return error ? error : publish(queue, 1);
}

static enum error split_give_all(struct virtqueue *queue,
				 const struct virtio_given *given,
				 uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		enum error error = write_used(queue, i, given[i].token.id,
					      given[i].written);

		if (error)
			return error;
	}
	return publish(queue, count);
}

enum error virtqueue_give(struct virtqueue *queue, struct virtio_token token,
			  uint32_t written)
{
	return queue->packed ? packed_give(queue, token, written) :
			       split_give(queue, token.id, written);
}

enum error virtqueue_give_all(struct virtqueue *queue,
			      const struct virtio_given *given, uint32_t count)
{
	return queue->packed ? packed_give_all(queue, given, count) :
			       split_give_all(queue, given, count);
}

static bool split_interrupts(struct virtqueue *queue)
{
	uint16_t flags, event, given = queue->used - queue->signalled;

	if (!given)
		return false;
	/* The used index must be out before the driver's wish is read. */
	atomic_thread_fence(memory_order_seq_cst);
	if (!queue->event_index) {
		queue->signalled = queue->used;
		return guest_load_16(queue->memory,
				     gpa(queue->driver.value + RING_FLAGS),
				     &flags) == ERR_NONE &&
		       !(flags & AVAILABLE_NO_INTERRUPT);
	}
	if (guest_load_16(queue->memory, used_event(queue), &event) != ERR_NONE)
		return false;
	queue->signalled = queue->used;
	/* Whether @event is among those given, as the standard has it. */
	return (uint16_t)(queue->used - event - 1) < given;
}

bool virtqueue_interrupts(struct virtqueue *queue)
{
	return queue->packed ? packed_interrupts(queue) :
			       split_interrupts(queue);
}

/* ---- the bytes of a chain ------------------------------------------------ */

struct part {
	const struct virtio_segment *segments;
	uint32_t count;
	uint64_t offset; /* into the first one */
};

static void skip(struct part *part)
{
	while (part->count && part->offset >= part->segments->length) {
		part->offset -= part->segments->length;
		part->segments++;
		part->count--;
	}
}

/* The next run of it, at most @length bytes. */
static size_t run(struct part *part, size_t length, gpa_t *at)
{
	uint64_t left;

	skip(part);
	if (!part->count)
		return 0;
	left = part->segments->length - part->offset;
	*at = gpa(part->segments->at.value + part->offset);
	if (left > length)
		left = length;
	part->offset += left;
	return (size_t)left;
}

enum error virtio_chain_read(const struct virtqueue *queue,
			     const struct virtio_chain *chain, uint64_t offset,
			     void *to, size_t length)
{
	struct part part = { chain->segments, chain->readable, offset };
	uint8_t *bytes = to;
	gpa_t at;

	while (length) {
		size_t count = run(&part, length, &at);
		enum error error = count ? guest_read(queue->memory, at, bytes,
						      count) :
					   ERR_BAD_ADDRESS;

		if (error)
			return error;
		bytes += count;
		length -= count;
	}
	return ERR_NONE;
}

enum error virtio_chain_write(const struct virtqueue *queue,
			      const struct virtio_chain *chain, uint64_t offset,
			      const void *from, size_t length)
{
	struct part part = { chain->segments + chain->readable, chain->writable,
			     offset };
	const uint8_t *bytes = from;
	gpa_t at;

	while (length) {
		size_t count = run(&part, length, &at);
		enum error error = count ? guest_write(queue->memory, at, bytes,
						       count) :
					   ERR_BAD_ADDRESS;

		if (error)
			return error;
		bytes += count;
		length -= count;
	}
	return ERR_NONE;
}

static enum error add_frames(struct virtio_frames *frames, uint32_t most,
			     uint32_t *count, hpa_t at, uint32_t length)
{
	struct virtio_frames *last = *count ? &frames[*count - 1] : NULL;

	if (last && last->at.value + last->length == at.value &&
	    last->length <= UINT32_MAX - length) {
		last->length += length;
		return ERR_NONE;
	}
	if (*count == most)
		return ERR_TOO_LARGE;
	frames[(*count)++] = (struct virtio_frames){ at, length };
	return ERR_NONE;
}

enum error virtio_chain_locate(const struct virtqueue *queue,
			       const struct virtio_chain *chain, bool written,
			       uint64_t offset, uint64_t length,
			       struct virtio_frames *frames, uint32_t most,
			       uint32_t *count)
{
	struct part part = { chain->segments + (written ? chain->readable : 0),
			     written ? chain->writable : chain->readable,
			     offset };
	gpa_t at = { 0 };

	*count = 0;
	while (length) {
		/* RAM is in one piece within a frame only. */
		size_t piece = run(&part, length, &at);
		uint64_t left = FRAME_SIZE - at.value % FRAME_SIZE;
		enum error error = piece ? ERR_NONE : ERR_BAD_ADDRESS;
		hpa_t where = { 0 };

		if (piece > left) {
			part.offset -= piece - left;
			piece = left;
		}
		if (!error && !guest_is_ram(queue->memory, at, piece))
			error = ERR_BAD_ADDRESS;
		if (!error)
			error = guest_locate(queue->memory, at, &where);
		if (!error)
			error = add_frames(frames, most, count, where,
					   (uint32_t)piece);
		if (error)
			return error;
		length -= piece;
	}
	return ERR_NONE;
}

enum error virtio_chain_place(const struct virtio_chain *chain, uint64_t offset,
			      gpa_t *at)
{
	struct part part = { chain->segments + chain->readable, chain->writable,
			     offset };

	return run(&part, 1, at) ? ERR_NONE : ERR_BAD_ADDRESS;
}
