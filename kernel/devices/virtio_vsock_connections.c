/* SPDX-License-Identifier: MIT */
/*
 * The connections that a VM has with other partitions.  Each end keeps its
 * own list, by what it sends and receives: so both know what is to be reset
 * when one of them goes, and neither can make the other keep more.
 */
#include "virtio_vsock_parts.h"
#include <mullion/arch.h>
#include <mullion/bits.h>
#include <mullion/log.h>
#include <mullion/vm.h>
#include <string.h>

#define TELLS 4 /* in one piece of work */

static bool is(const struct vsock_connection *it, uint64_t cid,
	       uint32_t own_port, uint32_t port)
{
	return it->state && it->port == port && it->own_port == own_port &&
	       it->cid == cid;
}

struct vsock_connection *vsock_connection_find(struct virtio_vsock *vsock,
					       uint64_t cid, uint32_t own_port,
					       uint32_t port)
{
	if (is(&vsock->connections[vsock->last], cid, own_port, port))
		return &vsock->connections[vsock->last];
	for (uint32_t i = 0; i < VSOCK_PLACES; i++) {
		if (!is(&vsock->connections[i], cid, own_port, port))
			continue;
		vsock->last = i;
		return &vsock->connections[i];
	}
	return NULL;
}

void vsock_connection_add(struct virtio_vsock *vsock,
			  const struct vsock_connection *it)
{
	for (uint32_t i = 0; i < VSOCK_PLACES; i++) {
		if (vsock->connections[i].state)
			continue;
		vsock->connections[i] = *it;
		return;
	}
	ASSERT(false); /* a place was taken for it */
}

void vsock_connection_drop(struct virtio_vsock *vsock,
			   struct vsock_connection *it)
{
	vsock->refused += it->began && !it->open;
	it->state = 0;
	vsock_give_place(&vsock->port, vsock_life(&vsock->port));
}

void vsock_connection_open(struct virtio_vsock *vsock,
			   struct vsock_connection *it)
{
	vsock->opened += !it->open;
	it->open = true;
}

void vsock_connection_end(struct virtio_vsock *vsock,
			  struct vsock_connection *it, uint32_t whom)
{
	it->state = (uint8_t)whom;
	if (whom & VSOCK_TELL_DRIVER) {
		atomic_store(&vsock->look, true);
		virtio_wake(vsock->vm, &vsock->device, VSOCK_RECEIVE);
	}
	if (whom & VSOCK_TELL_PEER) {
		vsock->tell_peers = true;
		virtio_wake(vsock->vm, &vsock->device, VSOCK_TRANSMIT);
	}
}

uint32_t vsock_connection_count(const struct virtio_vsock *vsock, uint64_t cid)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < VSOCK_PLACES; i++)
		count += vsock->connections[i].state &&
			 vsock->connections[i].began &&
			 vsock->connections[i].cid == cid;
	return count;
}

/* ---- whom an end is told ----------------------------------------------------- */

/* The RST that @it's other end would send. */
static enum vsock_outcome give_reset(struct virtio_vsock *vsock,
				     const struct vsock_connection *it)
{
	const struct vsock_header header = {
		.source_cid = it->cid,
		.destination_cid = vsock->port.cid,
		.source_port = it->port,
		.destination_port = it->own_port,
		.type = VSOCK_STREAM,
		.operation = VSOCK_RST,
	};
	uint32_t given;

	return vsock_give(vsock, header, NULL, 0, &given);
}

/* One step of that for @it. */
static enum vsock_outcome tell_driver(struct virtio_vsock *vsock,
				      struct vsock_connection *it)
{
	enum vsock_outcome outcome;

	if (it->state & VSOCK_LIVES && vsock_life_of(it->index) != it->life)
		it->state = VSOCK_TELL_DRIVER;
	if (!(it->state & VSOCK_TELL_DRIVER))
		return VSOCK_NOTHING;
	outcome = give_reset(vsock, it);
	if (outcome == VSOCK_DONE) {
		it->state &= (uint8_t)~VSOCK_TELL_DRIVER;
		if (!it->state)
			vsock_connection_drop(vsock, it);
	}
	return outcome;
}

enum vsock_outcome vsock_tell_driver(struct virtio_vsock *vsock)
{
	uint32_t told = 0;

	if (!atomic_exchange(&vsock->look, false))
		return VSOCK_NOTHING;
	for (uint32_t i = 0; i < VSOCK_PLACES; i++) {
		enum vsock_outcome outcome = tell_driver(
			vsock, &vsock->connections[i]);

		if (outcome == VSOCK_NOTHING)
			continue;
		if (outcome != VSOCK_DONE || ++told == TELLS) {
			atomic_store(&vsock->look, true);
			return outcome;
		}
	}
	return told ? VSOCK_DONE : VSOCK_NOTHING;
}

/* Whether the other end of @it knows, or is no more. */
static bool tell_peer(struct virtio_vsock *vsock,
		      const struct vsock_connection *it)
{
	struct vsock_port *peer = vsock_find(&vsock->port, it->cid);
	struct vsock_letter *letter;
	struct packet *room;
	uint32_t slot;

	if (!peer || vsock_life(peer) != it->life)
		return true;
	room = vsock_reserve(peer, 0, &slot);
	if (!room)
		return false;
	letter = vsock_letter_of(room);
	*letter = (struct vsock_letter){
		.life = vsock_life(&vsock->port),
		.to_life = it->life,
		.from = (uint8_t)vsock->port.index,
		.header = { .source_cid = vsock->port.cid,
			    .destination_cid = it->cid,
			    .source_port = it->own_port,
			    .destination_port = it->port,
			    .type = VSOCK_STREAM,
			    .operation = VSOCK_RST },
	};
	vsock_commit(peer, slot);
	return true;
}

void vsock_tell_peers(struct virtio_vsock *vsock)
{
	uint32_t left = 0;

	if (!vsock->tell_peers)
		return;
	for (uint32_t i = 0; i < VSOCK_PLACES; i++) {
		struct vsock_connection *it = &vsock->connections[i];

		if (!(it->state & VSOCK_TELL_PEER))
			continue;
		if (!tell_peer(vsock, it)) {
			left++;
			continue;
		}
		it->state &= (uint8_t)~VSOCK_TELL_PEER;
		if (!it->state)
			vsock_connection_drop(vsock, it);
	}
	vsock->tell_peers = left != 0;
}

/* ---- packets without a connection -------------------------------------------- */

enum vsock_outcome vsock_drop(struct virtio_vsock *vsock, enum mull_drop why)
{
	vsock->drops[why]++;
	return VSOCK_DROPPED;
}

enum vsock_outcome vsock_answer(struct virtio_vsock *vsock,
				const struct vsock_header *header)
{
	if (header->operation == VSOCK_RST)
		return vsock_drop(vsock, MULL_DROP_NOBODY);
	ASSERT(vsock->reset_count < VSOCK_RESETS);
	vsock->resets[vsock->reset_count++] = (struct vsock_header){
		.source_cid = header->destination_cid,
		.destination_cid = header->source_cid,
		.source_port = header->destination_port,
		.destination_port = header->source_port,
		.type = header->type,
		.operation = VSOCK_RST,
	};
	virtio_wake(vsock->vm, &vsock->device, VSOCK_RECEIVE);
	if (header->operation != VSOCK_REQUEST)
		return vsock_drop(vsock, MULL_DROP_NOBODY);
	vsock->refused++;
	return VSOCK_DROPPED;
}

enum vsock_outcome vsock_give_answer(struct virtio_vsock *vsock)
{
	enum vsock_outcome outcome;
	uint32_t given;

	if (!vsock->reset_count)
		return VSOCK_NOTHING;
	outcome = vsock_give(vsock, vsock->resets[0], NULL, 0, &given);
	if (outcome != VSOCK_DONE)
		return outcome;
	/* One that was not sent on for want of room here goes on now. */
	if (vsock->reset_count-- == VSOCK_RESETS)
		virtio_wake(vsock->vm, &vsock->device, VSOCK_TRANSMIT);
	memmove(vsock->resets, vsock->resets + 1,
		vsock->reset_count * sizeof *vsock->resets);
	return VSOCK_DONE;
}

bool vsock_is_good(const struct vsock_header *header)
{
	return header->operation > VSOCK_INVALID &&
	       header->operation < VSOCK_OPERATIONS &&
	       (!header->length || header->operation == VSOCK_RW);
}
