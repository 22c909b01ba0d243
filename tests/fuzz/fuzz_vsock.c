/* SPDX-License-Identifier: MIT */
/*
 * A socket device whose driver does anything, beside a partition in its group
 * and a client of the host's end: nothing outside the guest's memory is
 * touched, what reaches the neighbour's ring has the device's own identifier
 * and a length that fits, no place in a table is lost or made, work comes to an
 * end, and behind a reset packets go both ways.
 */
#include "fuzz_device.h"
#include "fuzz_input.h"
#include "tests/unit/net_driver.h"

#include <mullion/virtio_vsock.h>

#define STEPS_MAX 300
#define WORK_MAX 5000
#define BUFFERS 0x8000
#define HEAD sizeof(struct vsock_header)
#define CID 3
#define PEER 4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct virtio_vsock vsock;
static struct vsock_port peer;
static uint8_t memories[2][PACKET_RING_BYTES] __attribute__((aligned(64)));
static uint32_t streams[4];

/* ---- the rest of the hypervisor ------------------------------------------- */

static void on_notice(struct vsock_port *port, enum vsock_notice notice)
{
	require(port == &peer && notice <= VSOCK_LIFE_ENDED);
}

/* ---- the neighbour --------------------------------------------------------- */

static uint32_t take_all(void)
{
	struct packet *packet;
	uint32_t count = 0;

	while ((packet = packet_ring_first(&peer.ring))) {
		const struct vsock_letter *letter = vsock_letter_of(packet);

		if (packet->length) {
			require(letter->header.source_cid == CID);
			require(letter->header.destination_cid == PEER);
			require(letter->header.type == VSOCK_STREAM);
			require(letter->header.operation > VSOCK_INVALID &&
				letter->header.operation < VSOCK_OPERATIONS);
			require(letter->from == vm.index);
			require(sizeof *letter + letter->header.length ==
				packet->length);
			if (letter->has_place)
				vsock_give_place(&peer, letter->to_life);
			count++;
		}
		vsock_pop(&peer);
	}
	packet_ring_wait(&peer.ring);
	return count;
}

/* As another device would send; it keeps to what the hypervisor makes sure of. */
static void come(uint32_t own_port, uint32_t port, uint16_t operation,
		 uint32_t length)
{
	uint32_t life = vsock_life(&vsock.port), slot;
	bool place = operation == VSOCK_REQUEST;
	struct packet *packet;

	if (place && !vsock_take_place(&vsock.port, life))
		return;
	packet = vsock_reserve(&vsock.port, length, &slot);
	if (!packet) {
		if (place)
			vsock_give_place(&vsock.port, life);
		return;
	}
	*vsock_letter_of(packet) = (struct vsock_letter){
		.life = vsock_life(&peer),
		.to_life = life,
		.from = (uint8_t)peer.index,
		.has_place = place,
		.header = { .source_cid = PEER,
			    .destination_cid = CID,
			    .source_port = port,
			    .destination_port = own_port,
			    .length = length,
			    .type = VSOCK_STREAM,
			    .operation = operation },
	};
	vsock_commit(&vsock.port, slot);
}

/* ---- the driver and the client ---------------------------------------------- */

static void work(void)
{
	for (int i = 0; guest_pci_work(&vm); i++)
		require(i < WORK_MAX);
	fake_time += 1000;
}

static void write_header(void)
{
	static const uint64_t cids[] = { PEER, PEER, 2, 2, CID, 9, 0, ~0ull };
	uint64_t at = BUFFERS + any(1) % 8 * 0x1000;
	uint8_t what = (uint8_t)any(1);
	struct vsock_header header = {
		.source_cid = what & 0x80 ? any(8) : CID,
		.destination_cid = cids[what % 8],
		.source_port = (uint32_t)any(1) % 4,
		.destination_port = (uint32_t)any(1) % 4,
		.length = what & 0x40 ? (uint32_t)any(4) : (uint32_t)any(2),
		.type = what & 0x20 ? (uint16_t)any(1) : VSOCK_STREAM,
		.operation = (uint16_t)(any(1) % 9),
		.flags = (uint32_t)any(1),
		.buffer_size = (uint32_t)any(4),
		.forwarded = (uint32_t)any(2),
	};

	/* The host's ports are high. */
	if (header.destination_cid == 2 && what & 0x10)
		header.destination_port += 0x40000000;
	memcpy(ram + at, &header, HEAD);
}

static void write_descriptor(uint32_t queue)
{
	uint8_t length = (uint8_t)any(1);

	net_describe(queue, (uint32_t)any(1) % 10,
		     any(1) ? BUFFERS + any(1) % 8 * 0x1000 : any(8),
		     length < 8 ? (uint32_t)any(4) : length * 256u,
		     (uint16_t)any(1), (uint16_t)(any(1) % 10));
}

static void be_client(void)
{
	uint8_t what = (uint8_t)any(1);
	uint32_t *number = &streams[what / 8 % 4];
	struct vsock_host *host = virtio_vsock_host(&vm, *number);
	uint8_t bytes[1000] = { 0 };
	uint64_t position;

	switch (what % 8) {
	case 0:
	case 1:
		virtio_vsock_connect(&vm, (uint32_t)any(1) % 4, what % 8,
				     number);
		break;
	case 2:
		virtio_vsock_end(&vm, *number, false);
		break;
	case 3:
		virtio_vsock_end(&vm, *number, true);
		break;
	case 4:
	case 5:
		if (host)
			console_put(&host->stream.to_guest, bytes,
				    any(2) % 1000);
		break;
	case 6:
		position = host ? host->stream.from_guest.tail + any(1) : 0;
		if (host)
			require(stream_read(&host->stream, &position, bytes,
					    sizeof bytes) <= sizeof bytes);
		break;
	case 7:
		fake_time += any(2) * 1000 * arch_time_khz();
		break;
	}
	virtio_vsock_changed(&vm);
}

static void step(void)
{
	uint8_t what = (uint8_t)any(1);
	uint32_t queue = what / 16 % 2;

	switch (what % 16) {
	case 0:
		net_set_up(what & 16 ? PACKED : 0);
		break;
	case 1:
	case 2:
		write_descriptor(queue);
		break;
	case 3:
	case 4:
		write_header();
		break;
	case 5:
	case 6:
	case 7:
		net_offer(queue, (uint16_t)(any(1) % 10));
		net_notify(queue);
		break;
	case 8:
		put_16(net_queue(queue) + (what & 32 ? 0x1000 : 0x2000) +
			       any(1) % 64 * 2,
		       (uint16_t)any(2));
		break;
	case 9:
	case 10:
		come((uint32_t)any(1) % 4, (uint32_t)any(1) % 4,
		     (uint16_t)(1 + any(1) % 7),
		     any(1) % 4 ? 0 : (uint32_t)any(2));
		break;
	case 11:
		take_all();
		break;
	case 12:
		be_client();
		break;
	case 13:
		vsock_close(&peer);
		vsock_open(&peer, VSOCK_PLACES);
		on_notice(&peer, VSOCK_HAS_ROOM);
		vsock.port.notify(&vsock.port, VSOCK_LIFE_ENDED);
		break;
	default:
		work();
		break;
	}
}

/* All places are free, or used by a connection or a letter. */
static void require_places(void)
{
	uint32_t used = 0;

	work();
	for (uint32_t i = 0; i < VSOCK_PLACES; i++)
		used += vsock.connections[i].state != 0;
	require(!vsock_life(&vsock.port) ||
		used + (uint32_t)atomic_load(&vsock.port.state) <=
			VSOCK_PLACES);
	require(vsock.reset_count <= VSOCK_RESETS);
}

static void require_health(void)
{
	struct vsock_header header = { .source_cid = CID,
				       .destination_cid = PEER,
				       .source_port = 1,
				       .destination_port = 1,
				       .type = VSOCK_STREAM,
				       .operation = VSOCK_REQUEST };

	guest_pci_reset(&vm);
	work();
	take_all();
	for (int i = 0; i < 4; i++)
		virtio_vsock_end(&vm, streams[i], true);
	net_set_up(0);
	net_describe(RECEIVE, 0, BUFFERS, 256, WRITE, 0);
	net_offer(RECEIVE, 0);
	net_notify(RECEIVE);
	work();
	require((uint32_t)atomic_load(&vsock.port.state) == VSOCK_PLACES);
	memcpy(ram + 0x9000, &header, HEAD);
	net_describe(TRANSMIT, 0, 0x9000, HEAD, 0, 0);
	net_offer(TRANSMIT, 0);
	net_notify(TRANSMIT);
	work();
	require(net_used(TRANSMIT) == 1 && take_all() == 1);
	come(1, 1, VSOCK_RESPONSE, 0);
	work();
	require(net_used(RECEIVE) == 1);
	memcpy(&header, ram + BUFFERS, HEAD);
	require(header.operation == VSOCK_RESPONSE &&
		header.source_cid == PEER);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	input.data = data;
	input.size = size;
	fake_cpu_count = 1;
	fake_time = 1000000;
	memset(&vm, 0, sizeof vm);
	memset(&vsock, 0, sizeof vsock);
	memset(ram, 0, 0x10000);
	memset(streams, 0, sizeof streams);
	vm.vcpus[0] = &first;
	vm.index = 1;
	vm.vsock = &vsock;
	vm.description.vsock = CID;
	memcpy(vm.description.vsock_group, "all", 4);
	vsock.port.ring.bytes = memories[0];
	virtio_vsock_add(&vm, &vsock, NET_SLOT);
	guest_pci_reset(&vm);
	peer = (struct vsock_port){
		.index = 2, .cid = PEER, .group = "all", .notify = on_notice
	};
	peer.ring.bytes = memories[1];
	vsock_attach(&peer);
	vsock_open(&peer, VSOCK_PLACES);
	net_set_up(0);
	for (int i = 0; i < STEPS_MAX && input.size; i++)
		step();
	require_places();
	require_health();
	vsock_detach(&peer);
	virtio_vsock_remove(&vsock);
	return 0;
}
