/* SPDX-License-Identifier: MIT */
/*
 * Sockets between partitions: who can be reached by whom, and letters in their
 * rings (packet_ring.h).  A VM has a context identifier (CID), and a group by
 * whose name alone others reach it.  VIRTIO 1.2, "Socket Device".
 *
 * Who sends copies into the receiver's ring.  Unlike a switch's, no letter is
 * lost that a connection needs: where there is no room the sender keeps it.
 */
#ifndef MULLION_VSOCK_H
#define MULLION_VSOCK_H

#include <mullion/package.h>
#include <mullion/packet_ring.h>

#define VSOCK_CID_HOST 2
#define VSOCK_PAYLOAD_MAX 0x10000 /* bytes in a packet */

/* "Device Operation": struct virtio_vsock_hdr. */
struct vsock_header {
	uint64_t source_cid, destination_cid;
	uint32_t source_port, destination_port;
	uint32_t length; /* of what is behind it */
	uint16_t type;	 /* VSOCK_STREAM */
	uint16_t operation;
	uint32_t flags; /* of VSOCK_SHUTDOWN */
	uint32_t buffer_size, forwarded;
} __attribute__((packed, aligned(4)));

_Static_assert(sizeof(struct vsock_header) == 44, "VIRTIO");

#define VSOCK_STREAM 1

enum vsock_operation {
	VSOCK_INVALID = 0,
	VSOCK_REQUEST = 1,
	VSOCK_RESPONSE = 2,
	VSOCK_RST = 3,
	VSOCK_SHUTDOWN = 4,
	VSOCK_RW = 5,
	VSOCK_CREDIT_UPDATE = 6,
	VSOCK_CREDIT_REQUEST = 7,
	VSOCK_OPERATIONS
};

#define VSOCK_NO_MORE_RECEIVED BIT(0) /* flags of VSOCK_SHUTDOWN */
#define VSOCK_NO_MORE_SENT BIT(1)

/* What lies in a ring, as the bytes of a packet. */
struct vsock_letter {
	uint32_t life;	  /* the sender's when it was sent */
	uint32_t to_life; /* the receiver's that it is for */
	uint8_t from;	  /* the sender's VM */
	bool has_place;	  /* it brings a place in the receiver's table */
	uint16_t unused;
	struct vsock_header header;
	uint8_t payload[];
};

_Static_assert(sizeof(struct vsock_letter) + VSOCK_PAYLOAD_MAX <= PACKET_MAX,
	       "the longest letter fits");

enum vsock_notice {
	VSOCK_HAS_LETTERS, /* some came while the receiver waited */
	VSOCK_HAS_ROOM,	   /* a ring that was full has some again */
	VSOCK_LIFE_ENDED,  /* of one in the same group */
};

struct vsock_port {
	uint32_t index; /* of its VM */
	uint32_t cid;
	char group[MULL_LABEL_MAX]; /* "": nobody reaches it */
	/* Any CPU, no lock but perhaps another VM's device_lock: it leaves a
	 * note, no more. */
	void (*notify)(struct vsock_port *port, enum vsock_notice notice);
	void *owner; /* for @notify */
	struct packet_ring ring;
	_Atomic bool wanted;	  /* a sender waits for room */
	_Atomic uint32_t working; /* odd: it looks at others */
	/* Its life in the upper half: a number that none had before, or 0
	 * while no driver is there; and free places in its table. */
	_Atomic uint64_t state;
};

/* Makes @port one that others reach.  Service CPU. */
void vsock_attach(struct vsock_port *port);
/* No CPU touches it any more when this comes back.  Service CPU. */
void vsock_detach(struct vsock_port *port);

/* Between these two, which its home CPU alone calls, none of the ports that
 * are found goes away. */
void vsock_begin(struct vsock_port *port);
void vsock_end(struct vsock_port *port);
/* The port in @port's group with that CID, but itself; NULL: there is none. */
struct vsock_port *vsock_find(const struct vsock_port *port, uint64_t cid);
/* The life of VM @index's port; 0: there is none. */
uint32_t vsock_life_of(uint32_t index);

/* A new life begins, with @places in its table; or it ends, which all in its
 * group are told. */
void vsock_open(struct vsock_port *port, uint32_t places);
void vsock_close(struct vsock_port *port);
uint32_t vsock_life(const struct vsock_port *port);
/* Takes a place in @port's table, or gives one back, if it is in @life. */
bool vsock_take_place(struct vsock_port *port, uint32_t life);
void vsock_give_place(struct vsock_port *port, uint32_t life);

/*
 * vsock_reserve - room in @to's ring for a letter with @length bytes
 * @slot: what vsock_commit() takes
 *
 * NULL when it is full; its sender is then told when half of it is free.
 */
struct packet *vsock_reserve(struct vsock_port *to, uint32_t length,
			     uint32_t *slot);
/* Whether half of it is free; else its sender is told when it is. */
bool vsock_has_room(struct vsock_port *to);
void vsock_commit(struct vsock_port *to, uint32_t slot);
/* The letter that came first is done with. */
void vsock_pop(struct vsock_port *port);

static inline struct vsock_letter *vsock_letter_of(struct packet *packet)
{
	return (struct vsock_letter *)packet->bytes;
}

#endif
