/* SPDX-License-Identifier: MIT */
/*
 * A packet between partitions: an Ethernet frame with VIRTIO's header before
 * it, which says what of it is left to whoever needs it: its checksum, and its
 * being cut into pieces.  (A "frame" is 2 MiB of memory here.)
 */
#ifndef MULLION_PACKET_H
#define MULLION_PACKET_H

#include <mullion/bits.h>
#include <mullion/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAC_SIZE 6
#define PACKET_START 14 /* bytes of the Ethernet header */
#define PACKET_MTU 1500
#define PACKET_PLAIN_MAX (PACKET_START + 4 + PACKET_MTU) /* with a VLAN's tag */
/* One that is to be cut: IPv6 with the most that its length can say. */
#define PACKET_MAX (PACKET_START + 4 + 40 + 65535)

/* VIRTIO 1.2, "Network Device", "Device Operation": struct virtio_net_hdr. */
struct packet_header {
	uint8_t flags;	 /* PACKET_NEEDS_CHECKSUM */
	uint8_t cut;	 /* how: PACKET_CUT_TCP4 and so on; 0: not */
	uint16_t start;	 /* bytes of all its headers, or fewer */
	uint16_t piece;	 /* bytes of payload in each piece */
	uint16_t summed; /* where the bytes begin that the checksum is of */
	uint16_t sum;	 /* where the checksum is, from @summed on */
	uint16_t buffers;
};

#define PACKET_NEEDS_CHECKSUM BIT(0)
#define PACKET_CUT_TCP4 1
#define PACKET_CUT_TCP6 4
#define PACKET_CUT_ECN BIT(7) /* beside one of these */

/* @header and @bytes are adjoining, as they go to a guest. */
struct packet {
	uint32_t length; /* of @bytes; 0: nothing came of it */
	struct packet_header header;
	uint8_t bytes[];
};

_Static_assert(sizeof(struct packet_header) == 12, "VIRTIO");
_Static_assert(offsetof(struct packet, bytes) == 16, "no gap before bytes");

static inline bool mac_is(const uint8_t *mac, const uint8_t *other)
{
	return !((mac[0] ^ other[0]) | (mac[1] ^ other[1]) |
		 (mac[2] ^ other[2]) | (mac[3] ^ other[3]) |
		 (mac[4] ^ other[4]) | (mac[5] ^ other[5]));
}

static inline bool mac_is_group(const uint8_t *mac)
{
	return mac[0] & 1;
}

/* Whether @header, which is hostile, fits a packet of @length bytes. */
bool packet_header_fits(const struct packet_header *header, uint32_t length);

/* Does what @packet's header leaves to be done with its checksum. */
void packet_sum(struct packet *packet);

#define PACKET_HEADERS_MAX 160 /* Ethernet, a tag, IP and TCP with options */

/* A piece of a packet that is cut: headers made for it, and its payload. */
struct packet_piece {
	struct {
		struct packet_header header;
		uint8_t bytes[PACKET_HEADERS_MAX];
	} headers;
	uint32_t headers_length; /* without struct packet_header */
	const uint8_t *payload;	 /* in the packet */
	uint32_t payload_length;
};

/*
 * packet_cut - the piece of @packet whose payload begins at @offset of all
 *
 * Returns ERR_NONE; ERR_NOT_FOUND when there is none any more;
 * ERR_BAD_REQUEST when it is not TCP as its header says.
 */
enum error packet_cut(const struct packet *packet, uint32_t offset,
		      struct packet_piece *piece);

#endif
