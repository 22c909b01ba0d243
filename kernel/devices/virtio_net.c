/* SPDX-License-Identifier: MIT */
/*
 * VIRTIO 1.2, "Network Device".  Its home CPU copies what the driver sends
 * into the receivers' rings, and what has come from its own ring to the
 * driver's buffers.
 */
#include <mullion/arch.h>
#include <mullion/virtio_net.h>
#include <mullion/vm.h>
#include <string.h>

#define CLASS_ETHERNET 0x020000

enum { RECEIVE, TRANSMIT, QUEUES };

/* "Feature bits" */
#define FEATURE_CSUM BIT(0)
#define FEATURE_GUEST_CSUM BIT(1)
#define FEATURE_MTU BIT(3)
#define FEATURE_MAC BIT(5)
#define FEATURE_GUEST_TSO4 BIT(7)
#define FEATURE_GUEST_TSO6 BIT(8)
#define FEATURE_GUEST_ECN BIT(9)
#define FEATURE_HOST_TSO4 BIT(11)
#define FEATURE_HOST_TSO6 BIT(12)
#define FEATURE_HOST_ECN BIT(13)
#define FEATURE_MRG_RXBUF BIT(15)
#define FEATURE_STATUS BIT(16)

#define FEATURES_PLAIN \
	(FEATURE_MTU | FEATURE_MAC | FEATURE_MRG_RXBUF | FEATURE_STATUS)
/* What leaves work to whoever is at the other end. */
#define FEATURES_LEFT \
	(FEATURE_CSUM | FEATURE_GUEST_CSUM | FEATURE_GUEST_TSO4 | \
	 FEATURE_GUEST_TSO6 | FEATURE_GUEST_ECN | FEATURE_HOST_TSO4 | \
	 FEATURE_HOST_TSO6 | FEATURE_HOST_ECN)

/* "Device configuration layout" */
struct configuration {
	uint8_t mac[MAC_SIZE];
	uint16_t status;
	uint16_t max_virtqueue_pairs; /* without the feature: none to read */
	uint16_t mtu;
};
#define STATUS_LINK_UP BIT(0)

/* One piece of work: so many packets, or so many bytes of them. */
#define BATCH 16
#define BATCH_BYTES KIB(32)
/* What may be sent at once, after a rest: milliseconds of the rate. */
#define BURST_MS 10

static struct virtio_net *of(struct virtio_device *device)
{
	return (struct virtio_net *)device;
}

/* ---- what it sends --------------------------------------------------------- */

struct source {
	const struct virtqueue *queue;
	const struct virtio_chain *chain;
};

static enum error copy_rest(const struct outgoing *packet, uint8_t *to)
{
	const struct source *source = packet->from;

	return virtio_chain_read(source->queue, source->chain,
				 sizeof packet->header + PACKET_START, to,
				 packet->length - PACKET_START);
}

/* Which features a driver needs that sends with @header. */
static uint64_t needs_to_send(const struct packet_header *header)
{
	uint64_t needs = 0;

	if (header->flags & PACKET_NEEDS_CHECKSUM)
		needs |= FEATURE_CSUM;
	if ((header->cut & 0x7f) == PACKET_CUT_TCP4)
		needs |= FEATURE_HOST_TSO4;
	if ((header->cut & 0x7f) == PACKET_CUT_TCP6)
		needs |= FEATURE_HOST_TSO6;
	if (header->cut & PACKET_CUT_ECN)
		needs |= FEATURE_HOST_ECN;
	return needs;
}

/* What the driver says of it; fields that say nothing are 0 for receivers. */
static bool take_header(const struct virtio_device *device,
			struct outgoing *packet)
{
	struct packet_header *header = &packet->header;

	header->flags &= PACKET_NEEDS_CHECKSUM;
	header->buffers = 1;
	if (!header->flags)
		header->summed = header->sum = 0;
	if (!header->cut)
		header->piece = header->start = 0;
	if (header->start > packet->length)
		header->start = (uint16_t)packet->length;
	return packet_header_fits(header, packet->length) &&
	       !(needs_to_send(header) & ~device->negotiated);
}

/* The chain that was taken; returns how long it is, 0 when it broke. */
static uint32_t send(struct vm *vm, struct virtio_net *net)
{
	struct virtio_device *device = &net->device;
	const struct virtio_chain *chain = &device->chain;
	struct source source = { &device->queues[TRANSMIT], chain };
	struct outgoing packet = { .copy = copy_rest, .from = &source };
	struct {
		struct packet_header header;
		uint8_t start[PACKET_START];
	} first;

	if (chain->writable || chain->readable_bytes < sizeof first ||
	    chain->readable_bytes > sizeof packet.header + PACKET_MAX) {
		virtio_break(vm, device, "what it sends is no packet");
		return 0;
	}
	packet.length = (uint32_t)(chain->readable_bytes -
				   sizeof packet.header);
	if (virtio_chain_read(source.queue, chain, 0, &first, sizeof first)) {
		virtio_break(vm, device, "a packet is not in its memory");
		return 0;
	}
	packet.header = first.header;
	memcpy(packet.start, first.start, sizeof packet.start);
	if (!take_header(device, &packet)) {
		switch_drop(&net->port, MULL_DROP_MALFORMED);
	} else if (switch_send(&net->port, &packet)) {
		virtio_break(vm, device, "a packet is not in its memory");
		return 0;
	}
	return packet.length;
}

/* When it may send again: 0, if it may now.  A bucket of tokens, told by when
 * it would be full again. */
static uint64_t too_early(struct virtio_net *net)
{
	uint64_t now = arch_time(), burst = arch_time_ms(BURST_MS);

	if (!net->rate)
		return 0;
	if (net->next < now)
		net->next = now;
	return net->next > now + burst ? net->next - burst : 0;
}

static void pay(struct virtio_net *net, uint32_t bytes)
{
	if (net->rate)
		net->next += bytes * 8ull * arch_time_khz() / net->rate;
}

static bool transmit(struct vm *vm, struct virtio_net *net)
{
	struct virtio_device *device = &net->device;
	uint32_t bytes = 0, count = 0;

	while (count < BATCH && bytes < BATCH_BYTES) {
		uint64_t wait = too_early(net);
		uint32_t length;

		if (wait) {
			virtio_wake_at(vm, device, TRANSMIT, wait);
			break;
		}
		if (!virtio_take(vm, device, TRANSMIT))
			break;
		length = send(vm, net);
		if (!length)
			return false;
		virtio_return(vm, device, TRANSMIT, 0);
		pay(net, length);
		bytes += length;
		count++;
	}
	virtio_signal(vm, device, TRANSMIT);
	return count == BATCH || bytes >= BATCH_BYTES;
}

/* ---- what it receives ------------------------------------------------------ */

enum outcome { DONE, NO_BUFFERS, TOO_SHORT, BROKEN };

/* Two runs of bytes, to be written one behind the other. */
struct runs {
	const uint8_t *bytes[2];
	uint32_t length[2];
};

/* Bytes @from on of @runs, @length of them, to the chain's start. */
static enum error write_runs(const struct virtio_device *device,
			     const struct runs *runs, uint32_t from,
			     uint32_t length)
{
	uint32_t at = 0;

	for (int i = 0; i < 2 && length; i++) {
		uint32_t here = runs->length[i];
		enum error error;

		if (from >= here) {
			from -= here;
			continue;
		}
		here -= from;
		if (here > length)
			here = length;
		error = virtio_chain_write(&device->queues[RECEIVE],
					   &device->chain, at,
					   runs->bytes[i] + from, here);
		if (error)
			return error;
		from = 0;
		at += here;
		length -= here;
	}
	return ERR_NONE;
}

/* The header's last field, in the first of several buffers, when their number
 * is known: its two bytes may be apart. */
struct field {
	gpa_t at[2];
};

static enum error find_field(const struct virtio_chain *chain,
			     struct field *field)
{
	uint64_t offset = offsetof(struct packet_header, buffers);

	return virtio_chain_place(chain, offset, &field->at[0]) ||
			       virtio_chain_place(chain, offset + 1,
						  &field->at[1]) ?
		       ERR_BAD_ADDRESS :
		       ERR_NONE;
}

static enum error write_field(const struct virtqueue *queue,
			      const struct field *field, uint32_t value)
{
	const uint8_t bytes[2] = { (uint8_t)value, (uint8_t)(value >> 8) };
	enum error error = guest_write(queue->memory, field->at[0], bytes, 1);

	return error ? error :
		       guest_write(queue->memory, field->at[1], bytes + 1, 1);
}

/* Writes the next part into the next buffer, which becomes number @count of
 * the packet; *@done of @total are written. */
static enum outcome fill(struct vm *vm, struct virtio_net *net,
			 const struct runs *runs, uint32_t total,
			 uint32_t count, uint32_t *done)
{
	struct virtio_device *device = &net->device;
	const struct virtio_chain *chain = &device->chain;
	uint32_t part = total - *done;

	if (!virtio_take(vm, device, RECEIVE))
		return NO_BUFFERS;
	if (chain->readable || count == VIRTQUEUE_SIZE_MAX ||
	    chain->writable_bytes < sizeof(struct packet_header)) {
		virtio_break(vm, device, "a buffer takes no packet");
		return BROKEN;
	}
	if (part > chain->writable_bytes) {
		if (!(device->negotiated & FEATURE_MRG_RXBUF)) {
			virtio_untake(device, RECEIVE);
			return TOO_SHORT;
		}
		part = (uint32_t)chain->writable_bytes;
	}
	if (write_runs(device, runs, *done, part)) {
		virtio_break(vm, device, "a buffer is not in its memory");
		return BROKEN;
	}
	net->given[count] = (struct virtio_given){ chain->token, part };
	*done += part;
	return DONE;
}

/* All of it or nothing. */
static enum outcome give(struct vm *vm, struct virtio_net *net,
			 const struct runs *runs)
{
	struct virtqueue *queue = &net->device.queues[RECEIVE];
	uint32_t total = runs->length[0] + runs->length[1];
	uint32_t count = 0, done = 0;
	struct field field = { 0 };

	do {
		enum outcome outcome = fill(vm, net, runs, total, count, &done);

		if (outcome != DONE) {
			while (count)
				virtqueue_untake(queue,
						 net->given[--count].token);
			return outcome;
		}
		if (count++ == 0 && done < total &&
		    find_field(&net->device.chain, &field))
			return BROKEN; /* not: it has room for a header */
	} while (done < total);
	if ((count > 1 && write_field(queue, &field, count)) ||
	    virtqueue_give_all(queue, net->given, count)) {
		virtio_break(vm, &net->device, "a buffer is not in its memory");
		return BROKEN;
	}
	return DONE;
}

/* What its driver does itself of what a sender may leave. */
static bool takes_cut(const struct virtio_device *device, uint8_t cut)
{
	uint64_t needs = FEATURE_GUEST_CSUM;

	needs |= (cut & 0x7f) == PACKET_CUT_TCP4 ? FEATURE_GUEST_TSO4 :
						   FEATURE_GUEST_TSO6;
	if (cut & PACKET_CUT_ECN)
		needs |= FEATURE_GUEST_ECN;
	return !(needs & ~device->negotiated);
}

static enum outcome deliver_whole(struct vm *vm, struct virtio_net *net,
				  struct packet *packet)
{
	const struct runs runs = {
		.bytes = { (const uint8_t *)&packet->header },
		.length = { (uint32_t)sizeof packet->header + packet->length },
	};

	if (packet->header.flags & PACKET_NEEDS_CHECKSUM &&
	    !(net->device.negotiated & FEATURE_GUEST_CSUM))
		packet_sum(packet);
	return give(vm, net, &runs);
}

/* The next piece of it; *@last: there is none behind it. */
static enum outcome deliver_piece(struct vm *vm, struct virtio_net *net,
				  const struct packet *packet, bool *last)
{
	struct packet_piece piece = { .payload = NULL };
	enum error error = packet_cut(packet, net->cut, &piece);
	enum outcome outcome;
	struct runs runs;

	*last = error;
	if (error) {
		if (error != ERR_NOT_FOUND)
			switch_drop(&net->port, MULL_DROP_MALFORMED);
		return DONE;
	}
	runs = (struct runs){
		.bytes = { (const uint8_t *)&piece.headers, piece.payload },
		.length = { (uint32_t)sizeof piece.headers.header +
				    piece.headers_length,
			    piece.payload_length },
	};
	outcome = give(vm, net, &runs);
	if (outcome == DONE)
		net->cut += piece.payload_length;
	return outcome;
}

/* The first packet in the ring, or the next piece of it. */
static enum outcome deliver(struct vm *vm, struct virtio_net *net,
			    struct packet *packet)
{
	struct switch_port *port = &net->port;
	uint32_t length = packet->length;
	enum outcome outcome = DONE;
	bool last = true;

	if ((int32_t)(packet_ring_popped(&port->ring) - net->stale) < 0)
		length = 0;
	if (length && packet->header.cut &&
	    !takes_cut(&net->device, packet->header.cut))
		outcome = deliver_piece(vm, net, packet, &last);
	else if (length)
		outcome = deliver_whole(vm, net, packet);
	if (outcome == TOO_SHORT) {
		switch_drop(port, MULL_DROP_TOO_LONG);
		last = true;
		length = 0;
	}
	if (outcome == NO_BUFFERS || outcome == BROKEN || !last)
		return outcome;
	if (length)
		switch_count_received(port, length);
	net->cut = 0;
	packet_ring_pop(&port->ring);
	return DONE;
}

static bool receive(struct vm *vm, struct virtio_net *net)
{
	uint32_t bytes = 0, count = 0;
	enum outcome outcome = DONE;

	if (!net->device.queues[RECEIVE].enabled)
		return false;
	atomic_store(&net->port.open, true);
	while (count < BATCH && bytes < BATCH_BYTES && outcome == DONE) {
		struct packet *packet = packet_ring_first(&net->port.ring);

		if (packet) {
			bytes += packet->length;
			outcome = deliver(vm, net, packet);
			count++;
		} else if (packet_ring_wait(&net->port.ring)) {
			break;
		}
	}
	virtio_signal(vm, &net->device, RECEIVE);
	return outcome == DONE && (count == BATCH || bytes >= BATCH_BYTES);
}

/* ---- the device ------------------------------------------------------------ */

static bool work(struct vm *vm, struct virtio_device *device, uint32_t queue)
{
	return queue == RECEIVE ? receive(vm, of(device)) :
				  transmit(vm, of(device));
}

/* What was on its way is not for the next driver. */
void virtio_net_close(struct virtio_net *net)
{
	atomic_store(&net->port.open, false);
	net->stale = packet_ring_count(&net->port.ring);
	net->cut = 0;
}

static void reset(struct vm *vm, struct virtio_device *device)
{
	(void)vm;
	virtio_net_close(of(device));
}

static void stats(const struct virtio_device *device,
		  struct mull_device_stats *stats)
{
	switch_stats(&((const struct virtio_net *)device)->port, stats);
}

static const struct virtio_type virtio_net = {
	.id = VIRTIO_ID_NET,
	.class = CLASS_ETHERNET,
	.features = FEATURES_PLAIN,
	.queue_count = QUEUES,
	.config_size = sizeof(struct configuration),
	.work = work,
	.reset = reset,
	.stats = stats,
};

static void notify(struct switch_port *port)
{
	struct virtio_net *net = port->owner;

	virtio_wake(net->vm, &net->device, RECEIVE);
}

enum error virtio_net_init(struct vm *vm, struct virtio_net *net,
			   const struct mull_nic *nic,
			   const uint8_t mac[MAC_SIZE], uint32_t slot)
{
	struct configuration configuration = { .status = STATUS_LINK_UP,
					       .mtu = PACKET_MTU };
	enum error error;

	net->vm = vm;
	net->rate = nic->rate;
	net->port.notify = notify;
	net->port.owner = net;
	memcpy(net->port.mac, mac, MAC_SIZE);
	virtio_init(&net->device, &virtio_net, slot);
	error = switch_attach(&net->port, nic->network);
	if (error)
		return error;
	if (!switch_has_uplink(&net->port))
		net->device.features |= FEATURES_LEFT;
	memcpy(configuration.mac, mac, MAC_SIZE);
	memcpy(net->device.config, &configuration, sizeof configuration);
	return ERR_NONE;
}

enum error virtio_net_add(struct vm *vm, struct virtio_net *net,
			  const struct mull_nic *nic,
			  const uint8_t mac[MAC_SIZE], uint32_t slot)
{
	enum error error = virtio_net_init(vm, net, nic, mac, slot);

	if (!error)
		guest_pci_add(vm, &net->device.function);
	return error;
}

void virtio_net_remove(struct virtio_net *net)
{
	switch_detach(&net->port);
}
