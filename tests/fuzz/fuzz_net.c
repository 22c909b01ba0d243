/* SPDX-License-Identifier: MIT */
/*
 * A network device whose driver does anything, beside a neighbour at the same
 * switch: nothing outside the guest's memory is touched, what reaches the
 * neighbour's ring has the device's own address and a header that fits, work
 * comes to an end, and behind a reset packets go both ways.
 */
#include "fuzz_device.h"
#include "fuzz_input.h"
#include "tests/unit/net_driver.h"

#define STEPS_MAX 300
#define WORK_MAX 3000
#define BUFFERS 0x8000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct virtio_net net;
static struct switch_port neighbour;
static uint8_t memories[2][PACKET_RING_BYTES] __attribute__((aligned(64)));
static const uint8_t mac[MAC_SIZE] = { 2, 0, 0, 0, 0, 1 };
static const uint8_t other[MAC_SIZE] = { 2, 0, 0, 0, 0, 2 };
static uint8_t bytes[PACKET_MAX];

/* ---- the neighbour --------------------------------------------------------- */

static void on_notice(struct switch_port *port)
{
	require(port == &neighbour);
}

/* Everything that came is as a receiver may count on; returns how many. */
static uint32_t take_all(void)
{
	struct packet_piece piece;
	struct packet *packet;
	uint32_t count = 0;

	while ((packet = packet_ring_first(&neighbour.ring))) {
		uint32_t length = packet->length, cut = 0;

		if (length) {
			require(length >= PACKET_START);
			require(length <= PACKET_MAX);
			require(mac_is(packet->bytes + MAC_SIZE, mac));
			require(packet_header_fits(&packet->header, length));
			count++;
		}
		/* And as one does who needs it plain. */
		while (length && packet->header.cut &&
		       !packet_cut(packet, cut, &piece)) {
			require(piece.payload_length > 0);
			require(piece.headers_length + piece.payload_length <=
				PACKET_PLAIN_MAX);
			cut += piece.payload_length;
		}
		if (length && packet->header.flags)
			packet_sum(packet);
		packet_ring_pop(&neighbour.ring);
	}
	packet_ring_wait(&neighbour.ring);
	return count;
}

static enum error copy(const struct outgoing *packet, uint8_t *to)
{
	memcpy(to, bytes + PACKET_START, packet->length - PACKET_START);
	return ERR_NONE;
}

static void come(struct packet_header header, uint32_t length)
{
	struct outgoing packet = { header, length, { 0 }, copy, NULL };

	memcpy(bytes, mac, MAC_SIZE);
	memcpy(bytes + MAC_SIZE, other, MAC_SIZE);
	memcpy(packet.start, bytes, PACKET_START);
	packet.header.buffers = 1;
	if (packet_header_fits(&header, length))
		require(switch_send(&neighbour, &packet) == ERR_NONE);
}

/* TCP more often than chance would have it. */
static void come_any(void)
{
	static const uint8_t tcp[] = { 8, 0, 0x45 };
	uint8_t what = (uint8_t)any(1);
	struct packet_header header = { .flags = what & 1,
					.cut = what & 2 ? (uint8_t)any(1) : 0,
					.piece = (uint16_t)any(2),
					.summed = 34,
					.sum = 16 };
	uint32_t length = what & 4 ? (uint32_t)any(3) % PACKET_MAX :
				     (uint32_t)any(1);

	if (what & 8) {
		memcpy(bytes + 12, tcp, sizeof tcp);
		bytes[23] = 6;
		bytes[46] = 0x50;
		header.cut = PACKET_CUT_TCP4;
		header.flags = 1;
	} else {
		bytes[12 + any(1) % 40] = (uint8_t)any(1);
	}
	if (!header.flags)
		header.summed = header.sum = 0;
	come(header, length < PACKET_START ? PACKET_START : length);
}

/* ---- the driver ------------------------------------------------------------ */

static void work(void)
{
	for (int i = 0; guest_pci_work(&vm); i++)
		require(i < WORK_MAX);
	fake_time += 1000;
}

static void write_header(void)
{
	uint64_t at = BUFFERS + any(1) % 8 * 0x1000;

	for (int i = 0; i < HEADER; i++)
		ram[at + i] = (uint8_t)any(1);
	memcpy(ram + at + HEADER, any(1) % 4 ? other : mac, MAC_SIZE);
	memcpy(ram + at + HEADER + MAC_SIZE, any(1) % 8 ? mac : other,
	       MAC_SIZE);
}

static void write_descriptor(uint32_t queue)
{
	uint8_t length = (uint8_t)any(1);

	net_describe(queue, (uint32_t)any(1) % 10,
		     any(1) ? BUFFERS + any(1) % 8 * 0x1000 : any(8),
		     length < 8 ? (uint32_t)any(4) : length * 16u,
		     (uint16_t)any(1), (uint16_t)(any(1) % 10));
}

static void step(void)
{
	uint8_t what = (uint8_t)any(1);
	uint32_t queue = what / 8 % 2;

	switch (what % 8) {
	case 0:
		net_set_up((any(3) & net.device.features) |
			   (what & 16 ? PACKED : 0));
		break;
	case 1:
		write_descriptor(queue);
		break;
	case 2:
		write_header();
		break;
	case 3:
		net_offer(queue, (uint16_t)(any(1) % 10));
		net_notify(queue);
		break;
	case 4:
		put_16(net_queue(queue) + (what & 16 ? 0x1000 : 0x2000) +
			       any(1) % 64 * 2,
		       (uint16_t)any(2));
		break;
	case 5:
		come_any();
		break;
	case 6:
		take_all();
		break;
	case 7:
		work();
		break;
	}
}

static void require_health(void)
{
	guest_pci_reset(&vm);
	work();
	take_all();
	net_set_up(0);
	net_describe(RECEIVE, 0, BUFFERS, 1530, WRITE, 0);
	net_offer(RECEIVE, 0);
	net_notify(RECEIVE);
	work();
	come((struct packet_header){ 0 }, 100);
	work();
	require(net_used(RECEIVE) == 1);
	require(!memcmp(ram + BUFFERS + HEADER, bytes, 100));
	memset(ram + 0x9000, 0, HEADER);
	memcpy(ram + 0x9000 + HEADER, other, MAC_SIZE);
	memcpy(ram + 0x9000 + HEADER + MAC_SIZE, mac, MAC_SIZE);
	net_describe(TRANSMIT, 0, 0x9000, HEADER + 60, 0, 0);
	net_offer(TRANSMIT, 0);
	net_notify(TRANSMIT);
	/* What was sent before may have used up the rate. */
	fake_time += 10 * 1000 * arch_time_khz();
	work();
	require(net_used(TRANSMIT) == 1 && take_all() == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mull_nic nic = { .network = "lan" };

	input.data = data;
	input.size = size;
	fake_cpu_count = 1;
	nic.rate = any(1) & 1 ? 100000 : 0;
	memset(&vm, 0, sizeof vm);
	memset(&net, 0, sizeof net);
	memset(ram, 0, 0x10000);
	vm.vcpus[0] = &first;
	net.port.ring.bytes = memories[0];
	require(virtio_net_add(&vm, &net, &nic, mac, NET_SLOT) == ERR_NONE);
	guest_pci_reset(&vm);
	neighbour = (struct switch_port){ .notify = on_notice, .open = true };
	memcpy(neighbour.mac, other, MAC_SIZE);
	neighbour.ring.bytes = memories[1];
	require(switch_attach(&neighbour, "lan") == ERR_NONE);
	for (int i = 0; i < STEPS_MAX && input.size; i++)
		step();
	require_health();
	switch_detach(&neighbour);
	virtio_net_remove(&net);
	return 0;
}
