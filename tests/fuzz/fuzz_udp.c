/* SPDX-License-Identifier: MIT */
/*
 * The channel's place on the network, with anything on the wire: packets of
 * any bytes, UDP of any contents, and datagrams with a right seal and anything
 * in them.  Nothing outside of the buffers is touched, no packet is answered by
 * more than one outside of a session, what leaves is whole and has the right
 * sums, nothing without a seal begins a session, and a client that opens one
 * behind all that is answered.
 */
#include "fuzz_input.h"

#include "kernel/manage/network.c"
#include "kernel/net/endpoint.c"
#include <arch/fake/fake.h>
#include <stdlib.h>

#define STEPS_MAX 200
#define ROUNDS_MAX 64
#define OURS 0x0a000002u
#define THEIRS 0x0a000001u
#define MS 1000000u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t our_mac[MAC_SIZE] = { 2, 'M', 10, 0, 0, 2 };
static const uint8_t their_mac[MAC_SIZE] = { 2, 9, 9, 9, 9, 9 };
static struct switch_port wire_end;
static uint8_t memories[2][PACKET_RING_BYTES] __attribute__((aligned(64)));
static uint8_t bytes[PACKET_PLAIN_MAX];
static uint8_t offered[MULL_SESSION_SIZE];
static uint64_t counter;
static bool has_offer, has_spoken; /* with the key */

static void require(bool holds)
{
	if (!holds)
		abort();
}

/* ---- the rest of the hypervisor ------------------------------------------- */

static uint64_t fed;

size_t channel_next(enum manage_line line, uint8_t *wire)
{
	size_t length = any(1) % 4 ? 0 : any(2) % FRAME_WIRE_MAX;

	require(line == LINE_NETWORK);
	memset(wire, 0x55, length);
	return length;
}

bool channel_has_room(enum manage_line line)
{
	require(line == LINE_NETWORK);
	return any(1) % 4;
}

void channel_receive(enum manage_line line, const uint8_t *from, size_t length)
{
	require(line == LINE_NETWORK && from);
	require(length && length <= LINE_RECEIVE_MAX);
	fed += length;
}

void channel_forget(enum manage_line line)
{
	require(line == LINE_NETWORK);
}

uint64_t console_attach(enum manage_line line, uint32_t stream, bool attached)
{
	require(line == LINE_NETWORK && stream == MULL_ALL_VMS && !attached);
	return 0;
}

bool consoles_print(enum manage_line line)
{
	require(line == LINE_NETWORK);
	return false;
}

void event_skip(enum manage_line line)
{
	require(line == LINE_NETWORK);
}

void log_skip(enum log_reader reader)
{
	require(reader == LOG_NETWORK);
}

bool log_waits(enum log_reader reader)
{
	require(reader == LOG_NETWORK);
	return false;
}

uint64_t log_time(void)
{
	return fake_time;
}

void log_write(const char *format, ...)
{
	(void)format;
}

void manage_notify(void)
{
}

uint64_t guest_clock_wall(uint64_t time)
{
	return time;
}

void *page_alloc(uint32_t count)
{
	require(count * PAGE_SIZE == PACKET_RING_BYTES);
	return memories[1];
}

_Noreturn void panic(const char *format, ...)
{
	(void)format;
	abort();
}

/* ---- what leaves ---------------------------------------------------------- */

static void check_udp(const uint8_t *ip, size_t length)
{
	const uint8_t *udp = ip + IP4_SIZE, *data;
	struct mull_datagram header;

	require(length >= UDP_SIZE && get_16(udp + UDP_LENGTH) == length);
	require(!sum_fold(udp_sum(ip, udp, length)));
	data = datagram_open(&key, udp + UDP_SIZE, length - UDP_SIZE, &header);
	require(data && header.type > MULL_DATAGRAM_LEAVE);
	if (header.type != MULL_DATAGRAM_OFFER)
		return;
	require(header.length == MULL_SESSION_SIZE);
	memcpy(offered, data, MULL_SESSION_SIZE);
	has_offer = true;
}

/* How many packets. */
static uint32_t drain(void)
{
	const struct packet *packet;
	uint32_t count = 0;

	while ((packet = packet_ring_first(&wire_end.ring))) {
		const uint8_t *at = packet->bytes, *ip = at + PACKET_START;
		uint32_t type = get_16(at + ETHER_TYPE);

		require(packet->length <= PACKET_PLAIN_MAX);
		require(mac_is(at + MAC_SIZE, our_mac));
		require(type == TYPE_ARP || type == TYPE_IP4);
		if (type == TYPE_IP4) {
			size_t length = packet->length - PACKET_START;

			require(get_16(ip + IP4_LENGTH) == length);
			require(!sum_fold(sum_up(0, ip, IP4_SIZE)));
			require(get_32(ip + IP4_ADDRESSES) == OURS);
			if (ip[IP4_PROTOCOL] == PROTOCOL_UDP)
				check_udp(ip, length - IP4_SIZE);
		}
		packet_ring_pop(&wire_end.ring);
		count++;
	}
	return count;
}

/* ---- what comes ----------------------------------------------------------- */

static enum error copy_bytes(const struct outgoing *packet, uint8_t *to)
{
	memcpy(to, bytes + PACKET_START, packet->length - PACKET_START);
	return ERR_NONE;
}

static void arrive(size_t length)
{
	struct outgoing packet = { .length = (uint32_t)length,
				   .copy = copy_bytes };
	bool lived = session.live;
	uint32_t answers;

	memcpy(packet.start, bytes, PACKET_START);
	switch_send(&wire_end, &packet);
	for (int i = 0; i < ROUNDS_MAX && network_poll(); i++)
		;
	require(session.window.held <= WINDOW_SIZE);
	require(session.window.there <= WINDOW_SIZE);
	require(session.window.flying <= session.window.held);
	answers = drain();
	require(lived || session.live || answers <= 1);
}

static size_t put_headers(size_t length)
{
	uint8_t *ip = bytes + IP_AT, *udp = bytes + BODY_AT;

	memcpy(bytes, our_mac, MAC_SIZE);
	memcpy(bytes + MAC_SIZE, their_mac, MAC_SIZE);
	put_16(bytes + ETHER_TYPE, TYPE_IP4);
	memset(ip, 0, IP4_SIZE + UDP_SIZE);
	ip[0] = IP4_NO_OPTIONS;
	put_16(ip + IP4_LENGTH, (uint32_t)(IP4_SIZE + UDP_SIZE + length));
	ip[IP4_TTL] = TTL;
	ip[IP4_PROTOCOL] = PROTOCOL_UDP;
	put_32(ip + IP4_ADDRESSES, THEIRS);
	put_32(ip + IP4_TARGET, OURS);
	put_16(udp, 4000);
	put_16(udp + UDP_TARGET, MULL_UDP_PORT);
	put_16(udp + UDP_LENGTH, (uint32_t)(UDP_SIZE + length));
	return BODY_AT + UDP_SIZE + length;
}

static void put_sums(size_t length)
{
	uint8_t *ip = bytes + IP_AT, *udp = bytes + BODY_AT;
	size_t size = length - BODY_AT;

	put_16(ip + IP4_SUM, 0);
	sum_put(ip + IP4_SUM, sum_up(0, ip, IP4_SIZE));
	put_16(udp + UDP_SUM, 0);
	sum_put(udp + UDP_SUM, udp_sum(ip, udp, size));
}

static void raw(void)
{
	size_t length = PACKET_START +
			any(2) % (PACKET_PLAIN_MAX - PACKET_START);
	uint32_t said = any(1) % 64;

	memset(bytes, 0, length);
	memcpy(bytes, our_mac, MAC_SIZE);
	memcpy(bytes + MAC_SIZE, their_mac, MAC_SIZE);
	put_16(bytes + ETHER_TYPE, any(1) % 2 ? TYPE_ARP : TYPE_IP4);
	for (uint32_t i = 0; i < said && i + PACKET_START < length; i++)
		bytes[PACKET_START + i] = (uint8_t)any(1);
	arrive(length);
}

/* Right headers, of which some bytes are changed, before or after the sums. */
static void nearly_right(void)
{
	size_t length = put_headers(any(2) % 900);
	uint32_t changes = any(1) % 4;
	bool sums_last = any(1) % 2;

	if (!sums_last)
		put_sums(length);
	for (uint32_t i = 0; i < changes; i++)
		bytes[any(2) % length] = (uint8_t)any(1);
	if (sums_last)
		put_sums(length);
	arrive(length);
	require(!session.live || has_spoken);
}

static void send_sealed(struct mull_datagram *header, size_t size)
{
	static const uint8_t data[MULL_DATAGRAM_DATA_MAX] = { 7 };
	size_t length = put_headers(sizeof *header + size + MULL_SEAL_SIZE);

	datagram_seal(&key, header, data, size, bytes + BODY_AT + UDP_SIZE);
	put_sums(length);
	arrive(length);
}

/* Of somebody with the key, who keeps to no rule. */
static void sealed(void)
{
	struct mull_datagram header = {
		.type = (uint8_t)(any(1) % 22),
		.counter = any(1) % 4 ? ++counter : any(8),
		.position = (uint32_t)(any(1) % 2 ? session.window.next :
						    any(4)),
		.taken = (uint32_t)(session.window.taken + any(2)),
		.room = (uint32_t)any(any(1) % 2 ? 2 : 4),
	};

	has_spoken = true;
	if (has_offer && any(1) % 8)
		memcpy(header.session, offered, sizeof offered);
	send_sealed(&header, any(2) % (MULL_DATAGRAM_DATA_MAX + 1));
}

static void end_well(void)
{
	struct mull_datagram header = { .type = MULL_DATAGRAM_OPEN };
	uint64_t before;

	fake_time += (uint64_t)2 * STUCK * MS;
	memset(header.session, 0xee, sizeof header.session);
	has_offer = false;
	send_sealed(&header, 0);
	require(has_offer);
	header = (struct mull_datagram){ .type = MULL_DATAGRAM_WRITE,
					 .counter = 1,
					 .room = WINDOW_SIZE };
	memcpy(header.session, offered, sizeof offered);
	before = fed;
	send_sealed(&header, 100);
	require(session.live);
	require(session.window.there + fed - before == 100);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mull_machine machine = { .address = OURS,
					.uplink = "outside",
					.key = { 1, 2, 3 } };

	input.data = data;
	input.size = size;
	fake_time = MS;
	counter = 0;
	has_offer = has_spoken = false;
	memset(&session, 0, sizeof session);
	wire_end = (struct switch_port){
		.mac = { 2, 7 }, .uplink = true, .open = true, .notify = notify
	};
	wire_end.ring.bytes = memories[0];
	network_start(&machine);
	require(switch_attach(&wire_end, "outside") == ERR_NONE);
	for (int i = 0; i < STEPS_MAX && input.size; i++) {
		uint32_t step = any(1);

		fake_time += (uint64_t)MS * (1 + step / 4);
		if (step % 4 == 0)
			raw();
		else if (step % 4 == 1)
			nearly_right();
		else
			sealed();
	}
	end_well();
	switch_detach(&wire_end);
	switch_detach(&port);
	return 0;
}
