/* SPDX-License-Identifier: MIT */
/*
 * VIRTIO 1.2, "Socket Device".  Its home CPU copies what the driver sends into
 * the rings of other partitions, or to the host's end, and what has come from
 * there to the driver's buffers.
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
#include <string.h>

#define CLASS_OTHER 0x078000 /* communication, as other hypervisors have it */

/* One piece of work: so many packets, or so many bytes of them. */
#define BATCH 8
#define BATCH_BYTES KIB(32)

static struct virtio_vsock *of(struct virtio_device *device)
{
	return (struct virtio_vsock *)device;
}

/* ---- what it sends to other partitions ---------------------------------------- */

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
	vsock->stalled |= (uint32_t)BIT(peer->index);
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
	vsock->stalled &= ~(uint32_t)BIT(peer->index);
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
	if (outcome == VSOCK_TOO_LATE) {
		vsock_answer(vsock, header);
		return VSOCK_DONE;
	}
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
	enum vsock_outcome outcome;

	if (!it && header->operation == VSOCK_REQUEST)
		return begin(vsock, peer, life, header);
	if (!it) {
		vsock_answer(vsock, header);
		return VSOCK_DONE;
	}
	if (header->operation == VSOCK_RST)
		return end(vsock, it, peer, life, header);
	if (!(it->state & VSOCK_LIVES))
		return VSOCK_DONE; /* the driver does not know yet */
	if (it->life != life || !peer) {
		vsock_connection_end(vsock, it, VSOCK_TELL_DRIVER);
		return VSOCK_DONE;
	}
	outcome = vsock_is_good(header) ?
			  put(vsock, peer, life, header, false) :
			  VSOCK_TOO_LATE;
	if (outcome != VSOCK_TOO_LATE)
		return outcome;
	vsock_connection_end(vsock, it, VSOCK_TELL_DRIVER | VSOCK_TELL_PEER);
	return VSOCK_DONE;
}

/* ---- what it sends ------------------------------------------------------------- */

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
		vsock->spoofed++;
		return VSOCK_DONE;
	}
	if (header.type != VSOCK_STREAM)
		vsock_answer(vsock, &header);
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

static bool transmit(struct virtio_vsock *vsock)
{
	struct virtio_device *device = &vsock->device;
	struct vm *vm = vsock->vm;
	uint32_t bytes = 0, count = 0;

	vsock_tell_peers(vsock);
	/* Who does not take answers gets no more of them. */
	while (count < BATCH && bytes < BATCH_BYTES &&
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
	return count == BATCH || bytes >= BATCH_BYTES;
}

/* ---- what it receives ----------------------------------------------------------- */

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

static bool receive(struct virtio_vsock *vsock)
{
	enum vsock_outcome outcome = VSOCK_DONE;
	uint32_t bytes = 0, count = 0;

	vsock_host_watch(vsock);
	while (count < BATCH && bytes < BATCH_BYTES && outcome == VSOCK_DONE) {
		uint32_t length = 0;

		outcome = receive_next(vsock, &length);
		bytes += length;
		count++;
	}
	virtio_signal(vsock->vm, &vsock->device, VSOCK_RECEIVE);
	return outcome == VSOCK_DONE;
}

/* ---- the device ------------------------------------------------------------------ */

static bool work(struct vm *vm, struct virtio_device *device, uint32_t queue)
{
	struct virtio_vsock *vsock = of(device);
	bool more = false;

	(void)vm;
	/* Nothing interrupts communication without an RST for each connection,
	 * so that there are no events. */
	if (queue == VSOCK_EVENT || !device->queues[VSOCK_RECEIVE].enabled)
		return false;
	vsock_begin(&vsock->port);
	if (!vsock_life(&vsock->port))
		vsock_open(&vsock->port, VSOCK_PLACES);
	more = queue == VSOCK_RECEIVE ? receive(vsock) : transmit(vsock);
	vsock_end(&vsock->port);
	if (virtio_is_broken(device))
		virtio_vsock_close(vsock);
	return more;
}

void virtio_vsock_close(struct virtio_vsock *vsock)
{
	vsock_begin(&vsock->port);
	vsock_close(&vsock->port);
	vsock_end(&vsock->port);
	memset(vsock->connections, 0, sizeof vsock->connections);
	atomic_store(&vsock->look, false);
	vsock->tell_peers = false;
	vsock->cut = vsock->reset_count = vsock->stalled = 0;
	vsock->held_since = 0;
	vsock_host_close(vsock);
}

static void reset(struct vm *vm, struct virtio_device *device)
{
	(void)vm;
	virtio_vsock_close(of(device));
}

static void stats(const struct virtio_device *device,
		  struct mull_device_stats *stats)
{
	const struct virtio_vsock *vsock = (const struct virtio_vsock *)device;

	stats->sent = vsock->sent;
	stats->sent_bytes = vsock->sent_bytes;
	stats->received = vsock->received;
	stats->received_bytes = vsock->received_bytes;
	stats->drops[MULL_DROP_SPOOFED] = vsock->spoofed;
}

static const struct virtio_type virtio_vsock = {
	.id = VIRTIO_ID_VSOCK,
	.class = CLASS_OTHER,
	.queue_count = VSOCK_QUEUES,
	.config_size = sizeof(uint64_t),
	.work = work,
	.reset = reset,
	.stats = stats,
};

static void notify(struct vsock_port *port, enum vsock_notice notice)
{
	struct virtio_vsock *vsock = port->owner;

	if (notice == VSOCK_LIFE_ENDED)
		atomic_store(&vsock->look, true);
	if (notice != VSOCK_HAS_ROOM)
		virtio_wake(vsock->vm, &vsock->device, VSOCK_RECEIVE);
	if (notice != VSOCK_HAS_LETTERS)
		virtio_wake(vsock->vm, &vsock->device, VSOCK_TRANSMIT);
}

void virtio_vsock_add(struct vm *vm, struct virtio_vsock *vsock, uint32_t slot)
{
	const uint64_t cid = vm->description.vsock;

	vsock->vm = vm;
	vsock->port.index = vm->index;
	vsock->port.cid = vm->description.vsock;
	memcpy(vsock->port.group, vm->description.vsock_group,
	       sizeof vsock->port.group);
	vsock->port.notify = notify;
	vsock->port.owner = vsock;
	vsock_host_init(vsock);
	virtio_add(vm, &vsock->device, &virtio_vsock, slot);
	memcpy(vsock->device.config, &cid, sizeof cid);
	vsock_attach(&vsock->port);
}

void virtio_vsock_remove(struct virtio_vsock *vsock)
{
	vsock_detach(&vsock->port);
}
