/* SPDX-License-Identifier: MIT */
/*
 * The host's end of a guest's sockets: a few connections with fixed buffers,
 * whose bytes the management channel brings and takes.  What the client has
 * not taken is the guest's credit.
 */
#include "virtio_vsock_parts.h"
#include <mullion/arch.h>
#include <mullion/bits.h>
#include <mullion/vm.h>
#include <string.h>

#define PORT_FIRST 0x40000000 /* of those that the host begins from */
#define BOTH (VSOCK_NO_MORE_RECEIVED | VSOCK_NO_MORE_SENT)

void vsock_host_init(struct virtio_vsock *vsock)
{
	for (uint32_t i = 0; i < VSOCK_HOST_STREAMS; i++) {
		struct vsock_host *it = &vsock->hosts[i];

		it->stream.to_guest = (struct console_ring){
			.bytes = it->to_guest, .size = VSOCK_HOST_BUFFER
		};
		it->stream.from_guest = (struct console_ring){
			.bytes = it->from_guest, .size = VSOCK_HOST_BUFFER
		};
	}
}

static bool is_up(const struct vsock_host *it)
{
	return it->state == VSOCK_HOST_ASKS || it->state == VSOCK_HOST_OPEN;
}

/* No packet is due but those of @due. */
static void finish(struct vsock_host *it, enum vsock_host_state state,
		   uint32_t due)
{
	it->state = state;
	it->due = due;
}

/* Its guest is told that it is over; the client may still read. */
static void reset(struct virtio_vsock *vsock, struct vsock_host *it)
{
	finish(it,
	       it->state == VSOCK_HOST_ASKS ? VSOCK_HOST_REFUSED :
					      VSOCK_HOST_ENDED,
	       BIT(VSOCK_RST));
	virtio_wake(vsock->vm, &vsock->device, VSOCK_RECEIVE);
}

/* Its client is done with it. */
static void leave(struct virtio_vsock *vsock, struct vsock_host *it)
{
	if (is_up(it))
		reset(vsock, it);
	it->state = it->due ? VSOCK_HOST_LEAVES : VSOCK_HOST_FREE;
}

void vsock_host_close(struct virtio_vsock *vsock)
{
	for (uint32_t i = 0; i < VSOCK_HOST_STREAMS; i++) {
		struct vsock_host *it = &vsock->hosts[i];

		it->due = 0;
		if (it->state == VSOCK_HOST_LEAVES)
			it->state = VSOCK_HOST_FREE;
		if (is_up(it))
			it->state = VSOCK_HOST_ENDED;
	}
}

void vsock_host_watch(struct virtio_vsock *vsock)
{
	const uint64_t limit = arch_time_ms(VSOCK_HOST_SECONDS * 1000);
	uint64_t now = arch_time();

	for (uint32_t i = 0; i < VSOCK_HOST_STREAMS; i++) {
		struct vsock_host *it = &vsock->hosts[i];

		if (it->state == VSOCK_HOST_FREE ||
		    it->state == VSOCK_HOST_LEAVES)
			continue;
		if (now - it->heard >= limit)
			leave(vsock, it);
		else
			virtio_wake_at(vsock->vm, &vsock->device, VSOCK_RECEIVE,
				       it->heard + limit);
	}
}

/* ---- what the guest sends --------------------------------------------------------- */

static struct vsock_host *find(struct virtio_vsock *vsock,
			       const struct vsock_header *header)
{
	for (uint32_t i = 0; i < VSOCK_HOST_STREAMS; i++) {
		struct vsock_host *it = &vsock->hosts[i];

		if (is_up(it) && it->guest_port == header->source_port &&
		    it->own_port == header->destination_port)
			return it;
	}
	return NULL;
}

static struct vsock_host *find_listener(struct virtio_vsock *vsock,
					uint32_t port)
{
	for (uint32_t i = 0; i < VSOCK_HOST_STREAMS; i++)
		if (vsock->hosts[i].state == VSOCK_HOST_LISTENS &&
		    vsock->hosts[i].own_port == port)
			return &vsock->hosts[i];
	return NULL;
}

/* Keeps the payload; false: there is no room, and the guest knows that. */
static enum vsock_outcome keep(struct virtio_vsock *vsock,
			       struct vsock_host *it, uint32_t length)
{
	struct console_ring *ring = &it->stream.from_guest;
	uint32_t at = (uint32_t)ring->head % VSOCK_HOST_BUFFER;
	uint32_t first = VSOCK_HOST_BUFFER - at;
	enum vsock_outcome outcome;

	if (length > console_free(ring)) {
		reset(vsock, it);
		return vsock_drop(vsock, MULL_DROP_FULL);
	}
	if (first > length)
		first = length;
	outcome = vsock_take_payload(vsock, 0, ring->bytes + at, first);
	if (outcome == VSOCK_DONE && first < length)
		outcome = vsock_take_payload(vsock, first, ring->bytes,
					     length - first);
	if (outcome == VSOCK_DONE)
		ring->head += length;
	return outcome;
}

static void shut_down(struct virtio_vsock *vsock, struct vsock_host *it,
		      uint32_t flags)
{
	it->guest_shutdown |= flags & BOTH;
	if (it->guest_shutdown == BOTH)
		reset(vsock, it); /* which is how both know of the end */
}

static enum vsock_outcome obey(struct virtio_vsock *vsock,
			       struct vsock_host *it,
			       const struct vsock_header *header)
{
	bool opens = it->state == VSOCK_HOST_ASKS &&
		     header->operation == VSOCK_RESPONSE;

	it->buffer_size = header->buffer_size;
	it->forwarded = header->forwarded;
	virtio_wake(vsock->vm, &vsock->device, VSOCK_RECEIVE);
	if (header->operation == VSOCK_RST) {
		finish(it,
		       it->state == VSOCK_HOST_ASKS ? VSOCK_HOST_REFUSED :
						      VSOCK_HOST_ENDED,
		       0);
		return VSOCK_DONE;
	}
	if (opens) {
		it->state = VSOCK_HOST_OPEN;
		vsock->opened++;
		return VSOCK_DONE;
	}
	if (it->state != VSOCK_HOST_OPEN || !vsock_is_good(header) ||
	    header->operation == VSOCK_REQUEST ||
	    header->operation == VSOCK_RESPONSE) {
		reset(vsock, it);
		return vsock_drop(vsock, MULL_DROP_MALFORMED);
	}
	if (header->operation == VSOCK_RW)
		return keep(vsock, it, header->length);
	if (header->operation == VSOCK_SHUTDOWN)
		shut_down(vsock, it, header->flags);
	else if (header->operation == VSOCK_CREDIT_REQUEST)
		it->due |= BIT(VSOCK_CREDIT_UPDATE);
	return VSOCK_DONE;
}

/* As one that begins anew. */
static void begin(struct vsock_host *it, enum vsock_host_state state,
		  uint32_t guest_port, uint32_t own_port, uint32_t due)
{
	struct stream *stream = &it->stream;

	it->state = state;
	it->guest_port = guest_port;
	it->own_port = own_port;
	it->due = due;
	it->shutdown = it->guest_shutdown = 0;
	it->buffer_size = it->forwarded = it->told = 0;
	stream->to_guest.head = stream->to_guest.tail = 0;
	stream->from_guest.head = stream->from_guest.tail = 0;
}

enum vsock_outcome vsock_host_take(struct virtio_vsock *vsock,
				   const struct vsock_header *header)
{
	struct vsock_host *it = find(vsock, header);

	if (it)
		return obey(vsock, it, header);
	if (header->operation == VSOCK_REQUEST && vsock_is_good(header))
		it = find_listener(vsock, header->destination_port);
	if (!it)
		return vsock_answer(vsock, header);
	vsock->opened++;
	begin(it, VSOCK_HOST_OPEN, header->source_port, it->own_port,
	      BIT(VSOCK_RESPONSE));
	it->buffer_size = header->buffer_size;
	it->forwarded = header->forwarded;
	virtio_wake(vsock->vm, &vsock->device, VSOCK_RECEIVE);
	return VSOCK_DONE;
}

/* ---- what it is sent -------------------------------------------------------------- */

/* How much the guest has room for, by what it says: anything. */
static uint32_t credit(const struct vsock_host *it)
{
	uint32_t under_way = (uint32_t)it->stream.to_guest.tail - it->forwarded;

	return under_way < it->buffer_size ? it->buffer_size - under_way : 0;
}

/* Bytes for it that adjoin, as far as there is credit. */
static uint32_t sendable(const struct vsock_host *it)
{
	const struct console_ring *ring = &it->stream.to_guest;
	uint32_t at = (uint32_t)ring->tail % VSOCK_HOST_BUFFER;
	uint64_t length = ring->head - ring->tail;
	uint32_t most = credit(it);

	if (it->state != VSOCK_HOST_OPEN ||
	    it->guest_shutdown & VSOCK_NO_MORE_RECEIVED)
		return 0;
	if (length > VSOCK_HOST_BUFFER - at)
		length = VSOCK_HOST_BUFFER - at;
	return length < most ? (uint32_t)length : most;
}

/* Whether the guest must be told of room that it does not know of. */
static bool has_news(const struct vsock_host *it)
{
	uint32_t more = (uint32_t)it->stream.from_guest.tail - it->told;

	return it->state == VSOCK_HOST_OPEN && more >= VSOCK_HOST_BUFFER / 4;
}

static enum vsock_operation next_for(const struct vsock_host *it)
{
	const struct console_ring *ring = &it->stream.to_guest;

	if (it->due & BIT(VSOCK_RST))
		return VSOCK_RST;
	if (it->due & BIT(VSOCK_REQUEST))
		return VSOCK_REQUEST;
	if (it->due & BIT(VSOCK_RESPONSE))
		return VSOCK_RESPONSE;
	if (sendable(it))
		return VSOCK_RW;
	if (it->due & BIT(VSOCK_SHUTDOWN) && ring->head == ring->tail)
		return VSOCK_SHUTDOWN;
	if (it->due & BIT(VSOCK_CREDIT_UPDATE) || has_news(it))
		return VSOCK_CREDIT_UPDATE;
	return VSOCK_INVALID;
}

static enum vsock_outcome give_one(struct virtio_vsock *vsock,
				   struct vsock_host *it, uint32_t *bytes)
{
	struct console_ring *ring = &it->stream.to_guest;
	enum vsock_operation operation = next_for(it);
	const struct vsock_header header = {
		.source_cid = VSOCK_CID_HOST,
		.destination_cid = vsock->port.cid,
		.source_port = it->own_port,
		.destination_port = it->guest_port,
		.type = VSOCK_STREAM,
		.operation = (uint16_t)operation,
		.flags = operation == VSOCK_SHUTDOWN ? it->shutdown : 0,
		.buffer_size = VSOCK_HOST_BUFFER,
		.forwarded = (uint32_t)it->stream.from_guest.tail,
	};
	uint32_t length = operation == VSOCK_RW ? sendable(it) : 0;
	enum vsock_outcome outcome;

	if (operation == VSOCK_INVALID)
		return VSOCK_NOTHING;
	outcome = vsock_give(vsock, header,
			     ring->bytes + ring->tail % VSOCK_HOST_BUFFER,
			     length, bytes);
	if (outcome != VSOCK_DONE)
		return outcome;
	ring->tail += *bytes;
	it->due &= ~(uint32_t)BIT(operation);
	it->told = header.forwarded;
	if (it->state == VSOCK_HOST_LEAVES && !it->due)
		it->state = VSOCK_HOST_FREE;
	return VSOCK_DONE;
}

enum vsock_outcome vsock_host_give(struct virtio_vsock *vsock, uint32_t *bytes)
{
	for (uint32_t i = 0; i < VSOCK_HOST_STREAMS; i++) {
		struct vsock_host *it =
			&vsock->hosts[vsock->host_turn++ % VSOCK_HOST_STREAMS];
		enum vsock_outcome outcome = give_one(vsock, it, bytes);

		if (outcome != VSOCK_NOTHING)
			return outcome;
	}
	return VSOCK_NOTHING;
}

/* ---- the client's side -------------------------------------------------------------- */

enum error virtio_vsock_connect(struct vm *vm, uint32_t port, bool listens,
				uint32_t *number)
{
	struct virtio_vsock *vsock = vm->vsock;
	struct vsock_host *it = NULL;
	uint32_t count, i;

	if (!listens && !vsock_life(&vsock->port))
		return ERR_WRONG_STATE;
	if (listens && find_listener(vsock, port))
		return ERR_EXISTS;
	for (i = 0; i < VSOCK_HOST_STREAMS && !it; i++)
		if (vsock->hosts[i].state == VSOCK_HOST_FREE)
			it = &vsock->hosts[i];
	if (!it)
		return ERR_BUSY;
	count = vsock->host_count++;
	if (listens)
		begin(it, VSOCK_HOST_LISTENS, 0, port, 0);
	else
		begin(it, VSOCK_HOST_ASKS, port,
		      PORT_FIRST + count % PORT_FIRST, BIT(VSOCK_REQUEST));
	/* No two have the same for long. */
	it->number = count * VSOCK_HOST_STREAMS + i - 1;
	it->number = MULL_STREAM_VSOCK + it->number % 0x10000000;
	it->heard = arch_time();
	*number = it->number;
	virtio_wake(vm, &vsock->device, VSOCK_RECEIVE);
	return ERR_NONE;
}

struct vsock_host *virtio_vsock_host(struct vm *vm, uint32_t number)
{
	struct vsock_host *it;

	if (!vm->vsock || number < MULL_STREAM_VSOCK)
		return NULL;
	it = &vm->vsock->hosts[(number - MULL_STREAM_VSOCK) %
			       VSOCK_HOST_STREAMS];
	if (it->number != number || it->state == VSOCK_HOST_FREE ||
	    it->state == VSOCK_HOST_LEAVES)
		return NULL;
	it->heard = arch_time();
	return it;
}

void virtio_vsock_changed(struct vm *vm)
{
	virtio_wake(vm, &vm->vsock->device, VSOCK_RECEIVE);
}

void virtio_vsock_end(struct vm *vm, uint32_t number, bool all)
{
	struct vsock_host *it = virtio_vsock_host(vm, number);

	if (!it)
		return;
	if (all) {
		leave(vm->vsock, it);
	} else if (is_up(it)) {
		it->shutdown |= VSOCK_NO_MORE_SENT;
		it->due |= BIT(VSOCK_SHUTDOWN);
	}
	virtio_vsock_changed(vm);
}
