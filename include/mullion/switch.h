/* SPDX-License-Identifier: MIT */
/*
 * Switches between partitions, each with the ports of those that name it.
 * Every port has one address, which the manifest gives: nothing is learnt.
 * A packet goes to the port that has its destination; to all others, if it is
 * for a group; or to the uplink, if there is one.  A port that sends with a
 * source that is not its own is not heard.
 *
 * Who sends copies into the receiver's ring (packet_ring.h), and never waits
 * for it: what does not fit is lost, and counted there.
 */
#ifndef MULLION_SWITCH_H
#define MULLION_SWITCH_H

#include <mullion/control.h>
#include <mullion/package.h>
#include <mullion/packet_ring.h>

struct net_switch;

struct switch_port {
	uint8_t mac[MAC_SIZE]; /* of an uplink: its own */
	bool uplink;  /* takes what is for nobody else, and sends for anybody */
	bool outside; /* it and the uplink see each other alone: no partition's
			 packet reaches it, and none of its a partition */
	/*
	 * Packets have come while its ring's receiver waited.  Any CPU, no
	 * lock but perhaps the sender's device_lock: it leaves a note, no more.
	 */
	void (*notify)(struct switch_port *port);
	void *owner; /* for @notify */
	struct packet_ring ring;
	_Atomic bool open; /* packets are taken in */

	struct net_switch *on;
	_Atomic(struct switch_port *) next;
	_Atomic uint32_t sending; /* odd: a packet of its is on its way */
	_Atomic uint64_t sent, sent_bytes, received, received_bytes;
	_Atomic uint64_t drops[MULL_DROP_REASONS];
};

/* A packet that is sent: its first bytes, and a way to the others. */
struct outgoing {
	struct packet_header header; /* is good: packet_header_fits() */
	uint32_t length;	     /* of it all */
	uint8_t start[PACKET_START]; /* what is decided by; copied once */
	/* Copies what is behind @start to @to. */
	enum error (*copy)(const struct outgoing *packet, uint8_t *to);
	const void *from; /* for @copy */
};

/*
 * switch_attach - put @port, whose ring has its memory, on switch @name
 * @name: MULL_LABEL_MAX bytes with the final zero; it is made when it is new
 *
 * Service CPU.  Returns ERR_NO_MEMORY when there are too many switches.
 */
enum error switch_attach(struct switch_port *port, const char *name);
/* Takes it off; no CPU touches it any more when this comes back.  Service CPU.
 */
void switch_detach(struct switch_port *port);

/* Whether there is, or was, a switch of that name; and all of these, in no
 * order: "" where there is none, NULL behind the last.  Service CPU. */
bool switch_is_known(const char *name);
const char *switch_name_at(uint32_t index);

/*
 * switch_set_uplink - switch @name will have an uplink
 *
 * Before there are ports: on such a switch packets must be as they are on a
 * wire, so that none is offered to leave checksums and cutting to others.
 */
void switch_set_uplink(const char *name);
bool switch_has_uplink(const struct switch_port *port);

/*
 * switch_send - have @port send @packet
 *
 * The port's VM's home CPU, or its driver's; one at a time.  Returns ERR_NONE
 * also for what is dropped, which is counted; or packet->copy()'s error.
 */
enum error switch_send(struct switch_port *port, const struct outgoing *packet);

/* @port's owner has given a packet of @length bytes on. */
void switch_count_received(struct switch_port *port, uint32_t length);
/* What is counted at @port, for the operator.  Any CPU. */
void switch_stats(const struct switch_port *port,
		  struct mull_device_stats *stats);
/* Counts a packet of or for @port that goes nowhere. */
void switch_drop(struct switch_port *port, enum mull_drop why);

#endif
