/* SPDX-License-Identifier: MIT */
/*
 * A packed virtqueue: one ring in which the driver makes descriptors available
 * and the device gives them back in the same places.
 */
#include "virtqueue_parts.h"

#include <mullion/bits.h>
#include <stdatomic.h>
#include <stddef.h>

/* "Structure Definitions": of a descriptor. */
struct descriptor {
	uint64_t address;
	uint32_t length;
	uint16_t id;
	uint16_t flags;
};

_Static_assert(sizeof(struct descriptor) == 16, "VIRTIO");

#define FLAGS_AT offsetof(struct descriptor, flags)
#define DESCRIPTOR_AVAILABLE BIT(7)
#define DESCRIPTOR_USED BIT(15)

/* "Event Suppression Structure Format" */
#define EVENT_PLACE 0 /* and the wrap counter there, in bit 15 */
#define EVENT_FLAGS 2
#define EVENT_WRAP BIT(15)
enum event { EVENT_ENABLE = 0, EVENT_DISABLE = 1, EVENT_AT_PLACE = 2 };

/* ---- taking -------------------------------------------------------------- */

static gpa_t place_at(const struct virtqueue *queue, uint32_t place)
{
	return gpa(queue->descriptors.value +
		   place * sizeof(struct descriptor));
}

static enum error read_flags(const struct virtqueue *queue, gpa_t at,
			     struct descriptor *descriptor)
{
	return guest_load_16(queue->memory, gpa(at.value + FLAGS_AT),
			     &descriptor->flags);
}

/* The rest, which the flags have made valid. */
static enum error read_rest(const struct virtqueue *queue, gpa_t at,
			    struct descriptor *descriptor)
{
	atomic_thread_fence(memory_order_acquire);
	return guest_read(queue->memory, at, descriptor, FLAGS_AT);
}

static bool is_available(const struct virtqueue *queue, uint16_t flags)
{
	bool available = flags & DESCRIPTOR_AVAILABLE;
	bool used = flags & DESCRIPTOR_USED;

	return available == queue->taken_wrap && used != queue->taken_wrap;
}

/* Wants a notification of the descriptor at the next place. */
static enum error ask(struct virtqueue *queue)
{
	uint16_t place = queue->taken |
			 (queue->taken_wrap ? (uint16_t)EVENT_WRAP : 0);
	enum error error = guest_store_16(
		queue->memory, gpa(queue->device.value + EVENT_PLACE), place);

	return error ? error :
		       guest_store_16(queue->memory,
				      gpa(queue->device.value + EVENT_FLAGS),
				      EVENT_AT_PLACE);
}

/* The descriptor at the next place; ERR_NOT_FOUND when there is none, not
 * even after the driver was asked to tell. */
static enum error first(struct virtqueue *queue, struct descriptor *descriptor)
{
	const gpa_t at = place_at(queue, queue->taken);
	enum error error = read_flags(queue, at, descriptor);

	if (!error && !is_available(queue, descriptor->flags) &&
	    queue->event_index) {
		error = ask(queue);
		atomic_thread_fence(memory_order_seq_cst);
		if (!error)
			error = read_flags(queue, at, descriptor);
	}
	if (error)
		return error;
	return is_available(queue, descriptor->flags) ?
		       read_rest(queue, at, descriptor) :
		       ERR_NOT_FOUND;
}

/* "Indirect Flag: Scatter-Gather Support": all of the table's descriptors, and
 * of their flags one. */
static enum error walk_table(const struct virtqueue *queue,
			     const struct descriptor *table,
			     struct virtio_chain *chain)
{
	uint32_t count = table->length / sizeof *table;

	if (!queue->indirect ||
	    table->flags & (DESCRIPTOR_NEXT | DESCRIPTOR_WRITE) ||
	    table->length % sizeof *table || !count ||
	    count > VIRTQUEUE_SIZE_MAX)
		return ERR_BAD_REQUEST;
	for (uint32_t i = 0; i < count; i++) {
		struct descriptor descriptor;
		enum error error = guest_read(
			queue->memory,
			gpa(table->address + i * sizeof descriptor),
			&descriptor, sizeof descriptor);

		if (!error)
			error = virtio_chain_add(
				chain, descriptor.address, descriptor.length,
				descriptor.flags & DESCRIPTOR_WRITE);
		if (error)
			return error;
	}
	return ERR_NONE;
}

static void advance(const struct virtqueue *queue, uint16_t *place, bool *wrap,
		    uint32_t count)
{
	uint32_t next = *place + count;

	if (next >= queue->size) {
		next -= queue->size;
		*wrap = !*wrap;
	}
	*place = (uint16_t)next;
}

void packed_untake(struct virtqueue *queue, struct virtio_token token)
{
	uint32_t before = queue->taken + queue->size - token.places;

	if (before >= queue->size)
		before -= queue->size;
	else
		queue->taken_wrap = !queue->taken_wrap;
	queue->taken = (uint16_t)before;
}

enum error packed_take(struct virtqueue *queue, struct virtio_chain *chain)
{
	struct descriptor descriptor;
	enum error error = first(queue, &descriptor);
	uint16_t place = queue->taken, places = 1;
	bool wrap = queue->taken_wrap;

	if (error)
		return error;
	if (descriptor.flags & DESCRIPTOR_INDIRECT)
		error = walk_table(queue, &descriptor, chain);
	while (!error && !(descriptor.flags & DESCRIPTOR_INDIRECT)) {
		error = virtio_chain_add(chain, descriptor.address,
					 descriptor.length,
					 descriptor.flags & DESCRIPTOR_WRITE);
		if (error || !(descriptor.flags & DESCRIPTOR_NEXT))
			break;
		advance(queue, &place, &wrap, 1);
		/* A table may only be alone. */
		if (places++ == queue->size)
			return ERR_BAD_REQUEST;
		error = read_flags(queue, place_at(queue, place), &descriptor);
		if (!error)
			error = read_rest(queue, place_at(queue, place),
					  &descriptor);
		if (!error && descriptor.flags & DESCRIPTOR_INDIRECT)
			return ERR_BAD_REQUEST;
	}
	if (error)
		return error;
	chain->token = (struct virtio_token){ descriptor.id, places };
	advance(queue, &queue->taken, &queue->taken_wrap, places);
	return ERR_NONE;
}

/* ---- giving -------------------------------------------------------------- */

/* The used descriptor at @place; its flags make it the driver's. */
static enum error write_used(const struct virtqueue *queue, uint16_t place,
			     bool wrap, struct virtio_token token,
			     uint32_t written)
{
	struct descriptor descriptor = { .length = written, .id = token.id };
	const size_t from = offsetof(struct descriptor, length);
	gpa_t at = place_at(queue, place);
	uint16_t flags = written ? DESCRIPTOR_WRITE : 0;
	enum error error;

	if (wrap)
		flags |= DESCRIPTOR_AVAILABLE | DESCRIPTOR_USED;
	error = guest_write(queue->memory, gpa(at.value + from),
			    &descriptor.length, FLAGS_AT - from);
	if (error)
		return error;
	atomic_thread_fence(memory_order_release);
	return guest_store_16(queue->memory, gpa(at.value + FLAGS_AT), flags);
}

/* The first one last: a driver goes by the order of places. */
enum error packed_give_all(struct virtqueue *queue,
			   const struct virtio_given *given, uint32_t count)
{
	uint16_t place = queue->used, places = 0;
	bool wrap = queue->used_wrap;
	enum error error = ERR_NONE;

	for (uint32_t i = 0; i < count && !error; i++) {
		if (i)
			error = write_used(queue, place, wrap, given[i].token,
					   given[i].written);
		advance(queue, &place, &wrap, given[i].token.places);
		places = (uint16_t)(places + given[i].token.places);
	}
	if (!error)
		error = write_used(queue, queue->used, queue->used_wrap,
				   given[0].token, given[0].written);
	queue->used = place;
	queue->used_wrap = wrap;
	queue->signalled = (uint16_t)(queue->signalled + places);
	return error;
}

enum error packed_give(struct virtqueue *queue, struct virtio_token token,
		       uint32_t written)
{
	const struct virtio_given given = { token, written };

	return packed_give_all(queue, &given, 1);
}

/* Whether the place in @event is among the last @given ones, as the standard's
 * example "Driver notifications" has it. */
static bool is_passed(const struct virtqueue *queue, uint16_t event,
		      uint16_t given)
{
	uint16_t place = event & (uint16_t)~EVENT_WRAP;

	if (!(event & EVENT_WRAP) == queue->used_wrap)
		place = (uint16_t)(place - queue->size);
	return (uint16_t)(queue->used - place - 1) < given;
}

bool packed_interrupts(struct virtqueue *queue)
{
	uint16_t flags, event, given = queue->signalled;

	if (!given)
		return false;
	/* What was given must be out before the driver's wish is read. */
	atomic_thread_fence(memory_order_seq_cst);
	if (guest_load_16(queue->memory, gpa(queue->driver.value + EVENT_FLAGS),
			  &flags) != ERR_NONE)
		return false;
	queue->signalled = 0;
	if (flags == EVENT_AT_PLACE && queue->event_index)
		return guest_load_16(queue->memory,
				     gpa(queue->driver.value + EVENT_PLACE),
				     &event) == ERR_NONE &&
		       is_passed(queue, event, given);
	return flags != EVENT_DISABLE;
}
