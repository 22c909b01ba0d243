/* SPDX-License-Identifier: MIT */
/* What comes for a socket device's driver: letters in its ring, what the host
 * sends, and ends of connections. */
#include "virtio_vsock_parts.h"
#include <mullion/vm.h>

enum vsock_outcome vsock_give(struct virtio_vsock *vsock,
			      struct vsock_header header,
			      const uint8_t *payload, uint32_t length,
			      uint32_t *given)
{
	struct virtio_device *device = &vsock->device;
	const struct virtqueue *queue = &device->queues[VSOCK_RECEIVE];
	const struct virtio_chain *chain = &device->chain;
	uint64_t room;

	if (!virtio_take(vsock->vm, device, VSOCK_RECEIVE))
		return VSOCK_NO_BUFFERS;
	room = chain->writable_bytes;
	if (chain->readable || room < sizeof header ||
	    (length && room == sizeof header)) {
		virtio_break(vsock->vm, device, "a buffer takes no packet");
		return VSOCK_BROKEN;
	}
	room -= sizeof header;
	header.length = length < room ? length : (uint32_t)room;
	if (virtio_chain_write(queue, chain, 0, &header, sizeof header) ||
	    (header.length && virtio_chain_write(queue, chain, sizeof header,
						 payload, header.length))) {
		virtio_break(vsock->vm, device,
			     "a buffer is not in its memory");
		return VSOCK_BROKEN;
	}
	*given = header.length;
	virtio_return(vsock->vm, device, VSOCK_RECEIVE,
		      (uint32_t)sizeof header + header.length);
	vsock->received++;
	vsock->received_bytes += header.length;
	return VSOCK_DONE;
}

enum verdict { TAKE, DROP, LATER };

/* What becomes of @letter; *@it is the connection that it belongs to. */
static enum verdict judge(struct virtio_vsock *vsock,
			  const struct vsock_letter *letter,
			  struct vsock_connection **it)
{
	const struct vsock_header *header = &letter->header;
	bool current = letter->life == vsock_life_of(letter->from);

	*it = vsock_connection_find(vsock, header->source_cid,
				    header->destination_port,
				    header->source_port);
	/* A former life's connection ends before one of this begins. */
	if (*it && (*it)->life != letter->life && current &&
	    (*it)->state & VSOCK_LIVES)
		vsock_connection_end(vsock, *it, VSOCK_TELL_DRIVER);
	if (*it && (*it)->life != letter->life && current &&
	    (*it)->state == VSOCK_TELL_PEER) {
		vsock_connection_drop(vsock, *it);
		*it = NULL;
	}
	if (header->operation == VSOCK_REQUEST && *it &&
	    (*it)->state & VSOCK_TELL_DRIVER) {
		atomic_store(&vsock->look, true);
		return LATER;
	}
	if (!*it)
		return header->operation == VSOCK_REQUEST &&
				       letter->has_place && current ?
			       TAKE :
			       DROP;
	return (*it)->life == letter->life && (*it)->state & VSOCK_LIVES ?
		       TAKE :
		       DROP;
}

/* @letter, which its driver has or does not get, is done with. */
static void finish(struct virtio_vsock *vsock,
		   const struct vsock_letter *letter,
		   struct vsock_connection *it, bool taken)
{
	const struct vsock_header *header = &letter->header;

	if (taken && !it)
		vsock_connection_add(
			vsock, &(struct vsock_connection){
				       .cid = (uint32_t)header->source_cid,
				       .own_port = header->destination_port,
				       .port = header->source_port,
				       .life = letter->life,
				       .index = letter->from,
				       .state = VSOCK_LIVES });
	else if (letter->has_place)
		vsock_give_place(&vsock->port, letter->to_life);
	if (!taken)
		vsock_drop(vsock, MULL_DROP_CLOSED);
	if (taken && it && header->operation == VSOCK_RESPONSE)
		vsock_connection_open(vsock, it);
	if (taken && it && header->operation == VSOCK_RST)
		vsock_connection_drop(vsock, it);
	vsock->cut = 0;
	vsock_pop(&vsock->port);
}

static enum vsock_outcome receive_letter(struct virtio_vsock *vsock,
					 uint32_t *bytes)
{
	struct packet *packet = packet_ring_first(&vsock->port.ring);
	const struct vsock_letter *letter;
	struct vsock_connection *it = NULL;
	enum vsock_outcome outcome;
	enum verdict verdict = DROP;

	if (!packet)
		return packet_ring_wait(&vsock->port.ring) ? VSOCK_NOTHING :
							     VSOCK_DONE;
	letter = vsock_letter_of(packet);
	if (!packet->length) {
		vsock_pop(&vsock->port);
		return VSOCK_DONE;
	}
	if (letter->to_life == vsock_life(&vsock->port))
		verdict = judge(vsock, letter, &it);
	if (verdict == LATER)
		return VSOCK_DONE;
	if (verdict == DROP) {
		finish(vsock, letter, NULL, false);
		return VSOCK_DONE;
	}
	outcome = vsock_give(vsock, letter->header,
			     letter->payload + vsock->cut,
			     letter->header.length - vsock->cut, bytes);
	if (outcome != VSOCK_DONE)
		return outcome;
	vsock->cut += *bytes;
	if (vsock->cut == letter->header.length)
		finish(vsock, letter, it, true);
	return VSOCK_DONE;
}

/* The next packet for the driver: ends first, then the ring and the host in
 * turn. */
static enum vsock_outcome receive_next(struct virtio_vsock *vsock,
				       uint32_t *bytes)
{
	enum vsock_outcome outcome = vsock_give_answer(vsock);

	if (outcome == VSOCK_NOTHING)
		outcome = vsock_tell_driver(vsock);
	for (int i = 0; i < 2 && outcome == VSOCK_NOTHING; i++) {
		vsock->turn = !vsock->turn;
		outcome = vsock->turn ? receive_letter(vsock, bytes) :
					vsock_host_give(vsock, bytes);
	}
	return outcome;
}

bool vsock_receive(struct virtio_vsock *vsock)
{
	enum vsock_outcome outcome = VSOCK_DONE;
	uint32_t bytes = 0, count = 0;

	vsock_host_watch(vsock);
	while (count < VSOCK_BATCH && bytes < VSOCK_BATCH_BYTES &&
	       outcome == VSOCK_DONE) {
		uint32_t length = 0;

		outcome = receive_next(vsock, &length);
		bytes += length;
		count++;
	}
	virtio_signal(vsock->vm, &vsock->device, VSOCK_RECEIVE);
	return outcome == VSOCK_DONE;
}
