/* SPDX-License-Identifier: MIT */
/*
 * What a socket device's driver sends: into the rings of other partitions, or
 * to the host's end.
 *
 * Connections must not lose anything, so a packet for a full ring stays in the
 * driver's queue, with all behind it.  It waits until half of that ring is
 * free, and at most VSOCK_PATIENCE_MS; then its connection is reset at both
 * ends, and so are, without waiting, the next ones to a ring that is still so
 * full.  A driver that takes what comes, as credit lets it, is never waited for
 * long; one that does not, or that is paused, cannot hold up others for more.
 */
#include "virtio_vsock_parts.h"
#include <mullion/arch.h>
#include <mullion/bits.h>
#include <mullion/vm.h>

/* ---- to other partitions -------------------------------------------------- */

enum vsock_outcome vsock_take_payload(struct virtio_vsock *vsock,
				      uint32_t offset, void *to,
				      uint32_t length)
{
	struct virtio_device *device = &vsock->device;

	if (!virtio_chain_read(&device->queues[VSOCK_TRANSMIT], &device->chain,
			       sizeof(struct vsock_header) + offset, to,
			       length))
		return VSOCK_DONE;
	virtio_break(vsock->vm, device, "a packet is not in its memory");
	return VSOCK_BROKEN;
}

/* There is no room for a packet in @peer's ring: whether it is waited for. */
static enum vsock_outcome hold(struct virtio_vsock *vsock,
			       const struct vsock_port *peer)
{
	uint64_t limit = arch_time_ms(VSOCK_PATIENCE_MS);
	uint64_t now = arch_time();

	if (vsock->stalled & BIT(peer->index))
		return VSOCK_TOO_LATE;
	if (!vsock->held_since)
		vsock->held_since = now;
	vsock->held_for = peer->cid;
	if (now - vsock->held_since < limit) {
		virtio_wake_at(vsock->vm, &vsock->device, VSOCK_TRANSMIT,
			       vsock->held_since + limit);
		return VSOCK_HELD;
	}
	vsock->stalled |= BIT(peer->index);
	vsock->held_since = 0;
	return VSOCK_TOO_LATE;
}

/* A ring that was full is not used again one letter after the other: else who
 * takes them out so would hold up its senders for ever. */
static struct packet *find_room(struct virtio_vsock *vsock,
				struct vsock_port *peer, uint32_t length,
				uint32_t *slot)
{
	bool was_full = vsock->stalled & BIT(peer->index) ||
			(vsock->held_since && vsock->held_for == peer->cid);

	return was_full && !vsock_has_room(peer) ?
		       NULL :
		       vsock_reserve(peer, length, slot);
}

/* The packet with that header into @peer's ring. */
static enum vsock_outcome put(struct virtio_vsock *vsock,
			      struct vsock_port *peer, uint32_t life,
			      const struct vsock_header *header, bool place)
{
	uint32_t slot;
	struct packet *room = find_room(vsock, peer, header->length, &slot);
	struct vsock_letter *letter;
	enum vsock_outcome outcome = VSOCK_DONE;

	if (!room)
		return hold(vsock, peer);
	vsock->held_since = 0;
	vsock->stalled &= ~BIT(peer->index);
	letter = vsock_letter_of(room);
	*letter = (struct vsock_letter){
		.life = vsock_life(&vsock->port),
		.to_life = life,
		.from = (uint8_t)vsock->port.index,
		.has_place = place,
		.header = *header,
	};
	if (header->length)
		outcome = vsock_take_payload(vsock, 0, letter->payload,
					     header->length);
	if (outcome != VSOCK_DONE)
		room->length = 0;
	vsock_commit(peer, slot);
	return outcome;
}

/* A connection with @peer begins, where both have a place for it. */
static enum vsock_outcome begin(struct virtio_vsock *vsock,
				struct vsock_port *peer, uint32_t life,
				const struct vsock_header *header)
{
	uint32_t own_life = vsock_life(&vsock->port);
	enum vsock_outcome outcome = VSOCK_TOO_LATE;

	if (life && own_life && vsock_is_good(header) &&
	    vsock_connection_count(vsock, peer->cid) < VSOCK_PLACES_EACH &&
	    vsock_take_place(&vsock->port, own_life)) {
		if (vsock_take_place(peer, life)) {
			outcome = put(vsock, peer, life, header, true);
			if (outcome != VSOCK_DONE)
				vsock_give_place(peer, life);
		}
		if (outcome != VSOCK_DONE)
			vsock_give_place(&vsock->port, own_life);
	}
	if (outcome == VSOCK_TOO_LATE)
		return vsock_answer(vsock, header);
	if (outcome == VSOCK_DONE)
		vsock_connection_add(vsock,
				     &(struct vsock_connection){
					     .cid = peer->cid,
					     .own_port = header->source_port,
					     .port = header->destination_port,
					     .life = life,
					     .index = (uint8_t)peer->index,
					     .state = VSOCK_LIVES,
					     .began = true });
	return outcome;
}

/* The driver resets a connection. */
static enum vsock_outcome end(struct virtio_vsock *vsock,
			      struct vsock_connection *it,
			      struct vsock_port *peer, uint32_t life,
			      const struct vsock_header *header)
{
	enum vsock_outcome outcome = VSOCK_DONE;

	it->state &= (uint8_t)~VSOCK_TELL_DRIVER;
	if (it->state & VSOCK_LIVES && it->life == life && peer)
		outcome = put(vsock, peer, life, header, false);
	if (outcome == VSOCK_TOO_LATE) {
		vsock_connection_end(vsock, it, VSOCK_TELL_PEER);
		return VSOCK_DONE;
	}
	if (outcome == VSOCK_DONE && !(it->state & VSOCK_TELL_PEER))
		vsock_connection_drop(vsock, it);
	return outcome;
}

static enum vsock_outcome send_to_peer(struct virtio_vsock *vsock,
				       const struct vsock_header *header)
{
	struct vsock_connection *it = vsock_connection_find(
		vsock, header->destination_cid, header->source_port,
		header->destination_port);
	struct vsock_port *peer = vsock_find(&vsock->port,
					     header->destination_cid);
	uint32_t life = peer ? vsock_life(peer) : 0;
	bool is_good = vsock_is_good(header);
	enum vsock_outcome outcome;

	if (!it && header->operation == VSOCK_REQUEST)
		return begin(vsock, peer, life, header);
	if (!it)
		return vsock_answer(vsock, header);
	if (header->operation == VSOCK_RST)
		return end(vsock, it, peer, life, header);
	if (!(it->state & VSOCK_LIVES)) /* the driver does not know yet */
		return vsock_drop(vsock, MULL_DROP_CLOSED);
	if (it->life != life || !peer) {
		vsock_connection_end(vsock, it, VSOCK_TELL_DRIVER);
		return vsock_drop(vsock, MULL_DROP_CLOSED);
	}
	outcome = is_good ? put(vsock, peer, life, header, false) :
			    VSOCK_TOO_LATE;
	if (outcome == VSOCK_DONE && header->operation == VSOCK_RESPONSE)
		vsock_connection_open(vsock, it);
	if (outcome != VSOCK_TOO_LATE)
		return outcome;
	vsock_connection_end(vsock, it, VSOCK_TELL_DRIVER | VSOCK_TELL_PEER);
	return vsock_drop(vsock,
			  is_good ? MULL_DROP_FULL : MULL_DROP_MALFORMED);
}

/* ---- its queue ------------------------------------------------------------ */

/* The header of the chain that was taken, copied once. */
static bool take_header(struct virtio_vsock *vsock, struct vsock_header *header)
{
	struct virtio_device *device = &vsock->device;
	const struct virtio_chain *chain = &device->chain;

	if (chain->writable || chain->readable_bytes < sizeof *header) {
		virtio_break(vsock->vm, device, "what it sends is no packet");
		return false;
	}
	if (virtio_chain_read(&device->queues[VSOCK_TRANSMIT], chain, 0, header,
			      sizeof *header)) {
		virtio_break(vsock->vm, device,
			     "a packet is not in its memory");
		return false;
	}
	if (header->length <= VSOCK_PAYLOAD_MAX &&
	    header->length <= chain->readable_bytes - sizeof *header)
		return true;
	virtio_break(vsock->vm, device, "a packet is shorter than it says");
	return false;
}

/* The chain that was taken; @bytes of it are done with. */
static enum vsock_outcome send(struct virtio_vsock *vsock, uint32_t *bytes)
{
	struct vsock_header header;
	enum vsock_outcome outcome = VSOCK_DONE;

	if (!take_header(vsock, &header))
		return VSOCK_BROKEN;
	*bytes = header.length;
	if (header.source_cid != vsock->port.cid) {
		return vsock_drop(vsock, MULL_DROP_SPOOFED);
	}
	if (header.type != VSOCK_STREAM)
		outcome = vsock_answer(vsock, &header);
	else if (header.destination_cid == VSOCK_CID_HOST)
		outcome = vsock_host_take(vsock, &header);
	else
		outcome = send_to_peer(vsock, &header);
	if (outcome == VSOCK_DONE) {
		vsock->sent++;
		vsock->sent_bytes += header.length;
	}
	return outcome;
}

bool vsock_transmit(struct virtio_vsock *vsock)
{
	struct virtio_device *device = &vsock->device;
	struct vm *vm = vsock->vm;
	uint32_t bytes = 0, count = 0;

	vsock_tell_peers(vsock);
	/* Who does not take answers gets no more of them. */
	while (count < VSOCK_BATCH && bytes < VSOCK_BATCH_BYTES &&
	       vsock->reset_count < VSOCK_RESETS) {
		enum vsock_outcome outcome;
		uint32_t length = 0;

		if (!virtio_take(vm, device, VSOCK_TRANSMIT))
			break;
		outcome = send(vsock, &length);
		if (outcome == VSOCK_HELD) {
			virtio_untake(device, VSOCK_TRANSMIT);
			break;
		}
		if (outcome == VSOCK_BROKEN)
			return false;
		virtio_return(vm, device, VSOCK_TRANSMIT, 0);
		bytes += length;
		count++;
	}
	virtio_signal(vm, device, VSOCK_TRANSMIT);
	return count == VSOCK_BATCH || bytes >= VSOCK_BATCH_BYTES;
}
