/* SPDX-License-Identifier: MIT */
#include <mullion/description.h>
#include <mullion/endpoint.h>
#include <mullion/page.h>
#include <mullion/switch.h>
#include <string.h>

#include "wire.h"

/* RFC 826, for Ethernet and IPv4; offsets in it. */
#define ARP_SIZE 28
#define ARP_OPERATION 6
#define ARP_SENDER 8
#define ARP_SENDER_ADDRESS 14
#define ARP_TARGET 18
#define ARP_TARGET_ADDRESS 24
#define ARP_ASKS 1
#define ARP_ANSWERS 2
static const uint8_t arp_kind[] = { 0, 1, 8, 0, 6, 4 };

#define IP4_NO_OPTIONS 0x45	 /* version 4, header of five words */
#define IP4_FRAGMENT_MASK 0xbfff /* all but "do not fragment" */
#define IP4_DO_NOT_FRAGMENT 0x4000
#define IP4_TARGET (IP4_ADDRESSES + 4)
#define TTL 64

/* RFC 792 */
#define PROTOCOL_ICMP 1
#define ICMP_SIZE 8
#define ICMP_ASKS 8
#define ICMP_SUM 2

/* RFC 768 */
#define PROTOCOL_UDP 17
#define UDP_SIZE 8
#define UDP_TARGET 2
#define UDP_LENGTH 4
#define UDP_SUM 6

#define IP_AT PACKET_START
#define BODY_AT (IP_AT + IP4_SIZE)

static struct switch_port port;
static uint32_t address, udp_port;
static void (*notify_user)(void);

/* What is sent: one at a time. */
static uint8_t frame[BODY_AT + UDP_SIZE + PACKET_MTU];

static void notify(struct switch_port *of)
{
	(void)of;
	notify_user();
}

enum error endpoint_start(const struct mull_machine *machine,
			  void (*to_notify)(void))
{
	port = (struct switch_port){ .outside = true, .notify = notify };
	mull_channel_mac(machine, port.mac);
	address = machine->address;
	udp_port = machine->port ? machine->port : MULL_UDP_PORT;
	notify_user = to_notify;
	port.ring.bytes = page_alloc(PACKET_RING_BYTES / PAGE_SIZE);
	if (!port.ring.bytes)
		return ERR_NO_MEMORY;
	port.ring.waits = true;
	port.open = true;
	return switch_attach(&port, machine->uplink);
}

/* ---- sending -------------------------------------------------------------- */

static enum error copy(const struct outgoing *packet, uint8_t *to)
{
	memcpy(to, frame + PACKET_START, packet->length - PACKET_START);
	return ERR_NONE;
}

static void send_frame(const uint8_t *to, uint32_t type, size_t length)
{
	struct outgoing packet = { .length = (uint32_t)length, .copy = copy };

	memcpy(frame, to, MAC_SIZE);
	memcpy(frame + MAC_SIZE, port.mac, MAC_SIZE);
	put_16(frame + ETHER_TYPE, type);
	memcpy(packet.start, frame, PACKET_START);
	switch_send(&port, &packet);
}

/* @length bytes stand at BODY_AT. */
static void send_ip(const struct endpoint_peer *to, uint8_t protocol,
		    size_t length)
{
	uint8_t *ip = frame + IP_AT;

	memset(ip, 0, IP4_SIZE);
	ip[0] = IP4_NO_OPTIONS;
	put_16(ip + IP4_LENGTH, (uint32_t)(IP4_SIZE + length));
	put_16(ip + IP4_FRAGMENT, IP4_DO_NOT_FRAGMENT);
	ip[IP4_TTL] = TTL;
	ip[IP4_PROTOCOL] = protocol;
	put_32(ip + IP4_ADDRESSES, address);
	put_32(ip + IP4_TARGET, to->address);
	sum_put(ip + IP4_SUM, sum_up(0, ip, IP4_SIZE));
	send_frame(to->mac, TYPE_IP4, BODY_AT + length);
}

/* Of header, data and the pseudo header before them. */
static uint64_t udp_sum(const uint8_t *ip, const uint8_t *udp, size_t length)
{
	uint8_t pseudo[4] = { 0, PROTOCOL_UDP };

	put_16(pseudo + 2, (uint32_t)length);
	return sum_up(
		sum_up(sum_up(0, ip + IP4_ADDRESSES, 8), pseudo, sizeof pseudo),
		udp, length);
}

void endpoint_send(const struct endpoint_peer *to, const void *data,
		   size_t length)
{
	uint8_t *udp = frame + BODY_AT;

	memcpy(udp + UDP_SIZE, data, length);
	length += UDP_SIZE;
	put_16(udp, udp_port);
	put_16(udp + UDP_TARGET, to->port);
	put_16(udp + UDP_LENGTH, (uint32_t)length);
	put_16(udp + UDP_SUM, 0);
	put_32(frame + IP_AT + IP4_ADDRESSES, address);
	put_32(frame + IP_AT + IP4_TARGET, to->address);
	sum_put(udp + UDP_SUM, udp_sum(frame + IP_AT, udp, length));
	send_ip(to, PROTOCOL_UDP, length);
}

static void send_arp(const uint8_t *to, uint32_t operation,
		     const uint8_t *target, uint32_t target_address)
{
	uint8_t *arp = frame + PACKET_START;

	memcpy(arp, arp_kind, sizeof arp_kind);
	put_16(arp + ARP_OPERATION, operation);
	memcpy(arp + ARP_SENDER, port.mac, MAC_SIZE);
	put_32(arp + ARP_SENDER_ADDRESS, address);
	memcpy(arp + ARP_TARGET, target, MAC_SIZE);
	put_32(arp + ARP_TARGET_ADDRESS, target_address);
	send_frame(to, TYPE_ARP, PACKET_START + ARP_SIZE);
}

/* RFC 5227, "ARP Announcement". */
void endpoint_announce(void)
{
	static const uint8_t everybody[MAC_SIZE] = { 0xff, 0xff, 0xff,
						     0xff, 0xff, 0xff };
	static const uint8_t nobody[MAC_SIZE];

	send_arp(everybody, ARP_ASKS, nobody, address);
}

/* ---- receiving ------------------------------------------------------------ */

static void take_arp(const uint8_t *arp, size_t length)
{
	if (length < ARP_SIZE || memcmp(arp, arp_kind, sizeof arp_kind) ||
	    get_16(arp + ARP_OPERATION) != ARP_ASKS ||
	    get_32(arp + ARP_TARGET_ADDRESS) != address ||
	    mac_is_group(arp + ARP_SENDER))
		return;
	send_arp(arp + ARP_SENDER, ARP_ANSWERS, arp + ARP_SENDER,
		 get_32(arp + ARP_SENDER_ADDRESS));
}

static void take_icmp(const struct endpoint_peer *from, const uint8_t *icmp,
		      size_t length)
{
	uint8_t *answer = frame + BODY_AT;

	if (length < ICMP_SIZE || icmp[0] != ICMP_ASKS || icmp[1] ||
	    sum_fold(sum_up(0, icmp, length)))
		return;
	memcpy(answer, icmp, length);
	answer[0] = 0;
	put_16(answer + ICMP_SUM, 0);
	sum_put(answer + ICMP_SUM, sum_up(0, answer, length));
	send_ip(from, PROTOCOL_ICMP, length);
}

/* The data's length; 0: it is nothing for us. */
static size_t take_udp(struct endpoint_peer *from, const uint8_t *ip,
		       const uint8_t *udp, size_t length, uint8_t *data)
{
	size_t size;

	if (length < UDP_SIZE || get_16(udp + UDP_TARGET) != udp_port)
		return 0;
	size = get_16(udp + UDP_LENGTH);
	if (size < UDP_SIZE || size > length ||
	    size - UDP_SIZE > ENDPOINT_DATA_MAX || !get_16(udp + UDP_SUM) ||
	    sum_fold(udp_sum(ip, udp, size)))
		return 0;
	from->port = (uint16_t)get_16(udp);
	memcpy(data, udp + UDP_SIZE, size - UDP_SIZE);
	return size - UDP_SIZE;
}

/* Broadcasts, groups and this host are nobody to answer to. */
static bool is_station(uint32_t of)
{
	return of >> 24 && of >> 24 != 127 && of >> 24 < 224 && of != address;
}

static size_t take_ip(struct endpoint_peer *from, const uint8_t *ip,
		      size_t length, uint8_t *data)
{
	size_t size;

	if (length < IP4_SIZE || ip[0] != IP4_NO_OPTIONS)
		return 0;
	size = get_16(ip + IP4_LENGTH); /* behind it, Ethernet pads */
	if (size < IP4_SIZE || size > length || size > PACKET_MTU ||
	    sum_fold(sum_up(0, ip, IP4_SIZE)) ||
	    get_16(ip + IP4_FRAGMENT) & IP4_FRAGMENT_MASK ||
	    get_32(ip + IP4_TARGET) != address)
		return 0;
	from->address = get_32(ip + IP4_ADDRESSES);
	if (!is_station(from->address))
		return 0;
	size -= IP4_SIZE;
	if (ip[IP4_PROTOCOL] == PROTOCOL_UDP)
		return take_udp(from, ip, ip + IP4_SIZE, size, data);
	if (ip[IP4_PROTOCOL] == PROTOCOL_ICMP)
		take_icmp(from, ip + IP4_SIZE, size);
	return 0;
}

/* The packet is in the hypervisor's memory, and holds still. */
static size_t take(const struct packet *packet, struct endpoint_peer *from,
		   uint8_t *data)
{
	const uint8_t *bytes = packet->bytes;
	size_t length = packet->length - PACKET_START;

	if (packet->length < PACKET_START || mac_is_group(bytes + MAC_SIZE))
		return 0;
	switch_count_received(&port, packet->length);
	memcpy(from->mac, bytes + MAC_SIZE, MAC_SIZE);
	if (get_16(bytes + ETHER_TYPE) == TYPE_ARP)
		take_arp(bytes + PACKET_START, length);
	/* Only what is for this station alone. */
	if (get_16(bytes + ETHER_TYPE) == TYPE_IP4 && mac_is(bytes, port.mac))
		return take_ip(from, bytes + PACKET_START, length, data);
	return 0;
}

enum endpoint_got endpoint_take(struct endpoint_peer *from, uint8_t *data,
				size_t *length)
{
	const struct packet *packet = packet_ring_first(&port.ring);

	if (!packet && packet_ring_wait(&port.ring))
		return ENDPOINT_NOTHING;
	packet = packet_ring_first(&port.ring);
	*length = take(packet, from, data);
	packet_ring_pop(&port.ring);
	return *length ? ENDPOINT_DATA : ENDPOINT_OTHER;
}
