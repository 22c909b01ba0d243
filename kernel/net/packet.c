/* SPDX-License-Identifier: MIT */
/*
 * What a sender leaves to others, done for a receiver that does not do it: the
 * checksum (RFC 1071), and the cutting of TCP into packets of the wire's size.
 * The packet is in the hypervisor's memory and holds still, but what is in it
 * is hostile.
 */
#include <mullion/packet.h>
#include <string.h>

#include "wire.h"

#define TYPE_IP6 0x86dd
#define TYPE_TAG 0x8100 /* IEEE 802.1Q */
#define TAG_SIZE 4

/* RFC 8200 */
#define IP6_SIZE 40
#define IP6_LENGTH 4
#define IP6_NEXT 6
#define IP6_ADDRESSES 8
/* RFC 9293 */
#define PROTOCOL_TCP 6
#define TCP_SIZE 20
#define TCP_SEQUENCE 4
#define TCP_OFFSET 12
#define TCP_FLAGS 13
#define TCP_SUM 16
#define TCP_FIN BIT(0)
#define TCP_PSH BIT(3)
#define TCP_CWR BIT(7)

bool packet_header_fits(const struct packet_header *header, uint32_t length)
{
	uint32_t kind = header->cut & ~(uint32_t)PACKET_CUT_ECN;

	if (header->flags & ~(uint32_t)PACKET_NEEDS_CHECKSUM)
		return false;
	if (header->flags & PACKET_NEEDS_CHECKSUM &&
	    (header->summed < PACKET_START ||
	     (uint32_t)header->summed + header->sum + 2 > length))
		return false;
	if (!header->cut)
		return true;
	return (kind == PACKET_CUT_TCP4 || kind == PACKET_CUT_TCP6) &&
	       header->flags & PACKET_NEEDS_CHECKSUM && header->piece;
}

/* ---- checksums ------------------------------------------------------------ */

uint64_t sum_up(uint64_t sum, const uint8_t *bytes, size_t length)
{
	uint64_t word;

	for (; length >= 8; bytes += 8, length -= 8) {
		__builtin_memcpy(&word, bytes, 8);
		sum += word;
		sum += sum < word;
	}
	word = 0;
	for (size_t i = 0; i < length; i++)
		word |= (uint64_t)bytes[i] << 8 * i;
	sum += word;
	return sum + (sum < word);
}

uint16_t sum_fold(uint64_t sum)
{
	sum = (sum & BITS(31, 0)) + (sum >> 32);
	sum = (sum & BITS(31, 0)) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

void sum_put(uint8_t *at, uint64_t sum)
{
	uint16_t words = sum_fold(sum);

	if (!words)
		words = 0xffff;
	__builtin_memcpy(at, &words, 2);
}

/* Where the sum will be, the sender has put that of what is not in the packet
 * (the pseudo header), so that it is added like the rest. */
void packet_sum(struct packet *packet)
{
	struct packet_header *header = &packet->header;
	uint8_t *from = packet->bytes + header->summed;

	sum_put(from + header->sum,
		sum_up(0, from, packet->length - header->summed));
	header->flags = 0;
	header->summed = header->sum = 0;
}

/* ---- cutting --------------------------------------------------------------- */

struct layout {
	uint32_t ip, tcp, payload; /* where they begin */
	bool is_6;
};

static enum error find_tcp(const struct packet *packet, struct layout *layout)
{
	const uint8_t *bytes = packet->bytes;
	uint32_t kind = packet->header.cut & ~(uint32_t)PACKET_CUT_ECN;
	uint32_t type, protocol, size;

	if (packet->length < PACKET_START + TAG_SIZE + IP4_SIZE)
		return ERR_BAD_REQUEST;
	type = get_16(bytes + ETHER_TYPE);
	layout->ip = PACKET_START;
	if (type == TYPE_TAG) {
		type = get_16(bytes + ETHER_TYPE + TAG_SIZE);
		layout->ip += TAG_SIZE;
	}
	layout->is_6 = kind == PACKET_CUT_TCP6;
	if (type != (layout->is_6 ? TYPE_IP6 : TYPE_IP4))
		return ERR_BAD_REQUEST;
	size = layout->is_6 ? IP6_SIZE : (bytes[layout->ip] & 15u) * 4;
	protocol = bytes[layout->ip + (layout->is_6 ? IP6_NEXT : IP4_PROTOCOL)];
	layout->tcp = layout->ip + size;
	if (size < IP4_SIZE || protocol != PROTOCOL_TCP ||
	    packet->header.summed != layout->tcp ||
	    packet->header.sum != TCP_SUM ||
	    layout->tcp + TCP_SIZE > packet->length)
		return ERR_BAD_REQUEST;
	size = (bytes[layout->tcp + TCP_OFFSET] >> 4) * 4u;
	layout->payload = layout->tcp + size;
	if (size < TCP_SIZE || layout->payload >= packet->length ||
	    layout->payload > PACKET_HEADERS_MAX)
		return ERR_BAD_REQUEST;
	return ERR_NONE;
}

static void finish_ip(const struct layout *layout, uint8_t *bytes,
		      uint32_t length, uint32_t number)
{
	uint8_t *ip = bytes + layout->ip;

	if (layout->is_6) {
		put_16(ip + IP6_LENGTH, length - layout->ip - IP6_SIZE);
		return;
	}
	put_16(ip + IP4_LENGTH, length - layout->ip);
	put_16(ip + IP4_ID, (get_16(ip + IP4_ID) + number) & 0xffff);
	put_16(ip + IP4_SUM, 0);
	sum_put(ip + IP4_SUM, sum_up(0, ip, layout->tcp - layout->ip));
}

/* Pseudo header, header and payload. */
static void finish_tcp(const struct layout *layout, uint8_t *bytes,
		       const struct packet_piece *piece)
{
	uint8_t *tcp = bytes + layout->tcp;
	uint32_t header = layout->payload - layout->tcp;
	uint8_t pseudo[4] = { 0, PROTOCOL_TCP };
	uint64_t sum;

	put_16(pseudo + 2, header + piece->payload_length);
	put_16(tcp + TCP_SUM, 0);
	if (layout->is_6)
		sum = sum_up(0, bytes + layout->ip + IP6_ADDRESSES, 32);
	else
		sum = sum_up(0, bytes + layout->ip + IP4_ADDRESSES, 8);
	sum = sum_up(sum, pseudo, sizeof pseudo);
	sum = sum_up(sum, tcp, header);
	sum = sum_up(sum, piece->payload, piece->payload_length);
	sum_put(tcp + TCP_SUM, sum);
}

enum error packet_cut(const struct packet *packet, uint32_t offset,
		      struct packet_piece *piece)
{
	uint8_t *bytes = piece->headers.bytes;
	uint32_t size = packet->header.piece, rest;
	struct layout layout;
	uint8_t *tcp;
	enum error error = find_tcp(packet, &layout);

	if (error)
		return error;
	/* None is larger than what a wire takes. */
	if (layout.payload + size > PACKET_PLAIN_MAX)
		return ERR_BAD_REQUEST;
	if (offset >= packet->length - layout.payload)
		return ERR_NOT_FOUND;
	rest = packet->length - layout.payload - offset;
	piece->payload = packet->bytes + layout.payload + offset;
	piece->payload_length = rest < size ? rest : size;
	piece->headers_length = layout.payload;
	piece->headers.header = (struct packet_header){ .buffers = 1 };
	memcpy(bytes, packet->bytes, layout.payload);
	tcp = bytes + layout.tcp;
	put_32(tcp + TCP_SEQUENCE, get_32(tcp + TCP_SEQUENCE) + offset);
	if (rest > size)
		tcp[TCP_FLAGS] &= (uint8_t) ~(TCP_FIN | TCP_PSH);
	if (offset)
		tcp[TCP_FLAGS] &= (uint8_t)~TCP_CWR;
	finish_ip(&layout, bytes, layout.payload + piece->payload_length,
		  offset / size);
	finish_tcp(&layout, bytes, piece);
	return ERR_NONE;
}
