/* SPDX-License-Identifier: MIT */
/*
 * The hypervisor's own place on the switch that has the uplink: ARP (RFC 826),
 * IPv4 (RFC 791) without options and fragments, echo (RFC 792) and UDP (RFC
 * 768) to one port.  It speaks when spoken to: an answer goes back to the
 * station that the question came from, so there are no tables and no routes.
 * What comes is hostile.  Service CPU only.
 */
#ifndef MULLION_ENDPOINT_H
#define MULLION_ENDPOINT_H

#include <mullion/package.h>
#include <mullion/packet.h>

#define ENDPOINT_DATA_MAX 1024 /* bytes of UDP's data; more is dropped */

/* Whom an answer goes to. */
struct endpoint_peer {
	uint8_t mac[MAC_SIZE];
	uint16_t port;
	uint32_t address;
};

/*
 * endpoint_start - take @machine's address, on its uplink's switch
 * @notify: packets have come; any CPU
 *
 * Returns ERR_NO_MEMORY when its ring or its switch finds no room.
 */
enum error endpoint_start(const struct mull_machine *machine,
			  void (*notify)(void));

/* Tells the neighbours where the address is. */
void endpoint_announce(void);

enum endpoint_got {
	ENDPOINT_NOTHING, /* and endpoint_start()'s @notify tells of more */
	ENDPOINT_OTHER,	  /* a packet, which is dealt with */
	ENDPOINT_DATA,	  /* @length bytes at @data, from @from */
};
/* Takes one packet; @data has ENDPOINT_DATA_MAX bytes. */
enum endpoint_got endpoint_take(struct endpoint_peer *from, uint8_t *data,
				size_t *length);
void endpoint_send(const struct endpoint_peer *to, const void *data,
		   size_t length);

#endif
