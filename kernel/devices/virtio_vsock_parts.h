/* SPDX-License-Identifier: MIT */
/* What the files of the socket device know of each other. */
#ifndef VIRTIO_VSOCK_PARTS_H
#define VIRTIO_VSOCK_PARTS_H

#include <mullion/bits.h>
#include <mullion/virtio_vsock.h>

enum vsock_queue { VSOCK_RECEIVE, VSOCK_TRANSMIT, VSOCK_EVENT, VSOCK_QUEUES };

enum vsock_outcome {
	VSOCK_DONE,
	VSOCK_NOTHING,	  /* there is nothing to do */
	VSOCK_NO_BUFFERS, /* its driver has none to receive into */
	VSOCK_HELD,	  /* the packet waits for room */
	VSOCK_TOO_LATE,	  /* it has waited long enough */
	VSOCK_DROPPED,	  /* it is not passed on, which is counted */
	VSOCK_BROKEN,	  /* so is the device */
};

/* One piece of work: so many packets, or so many bytes of them. */
#define VSOCK_BATCH 8
#define VSOCK_BATCH_BYTES KIB(32)

/* ---- virtio_vsock_transmit.c ------------------------------------------------ */

/* A piece of the driver's queue; whether there is more to do at once. */
bool vsock_transmit(struct virtio_vsock *vsock);
/* Copies the payload of the packet that its driver sends, or breaks it. */
enum vsock_outcome vsock_take_payload(struct virtio_vsock *vsock,
				      uint32_t offset, void *to,
				      uint32_t length);

/* ---- virtio_vsock_receive.c ------------------------------------------------- */

/* A piece of what has come; whether there is more to do at once. */
bool vsock_receive(struct virtio_vsock *vsock);
/*
 * vsock_give - a packet for the driver's next buffer
 * @header: whole but for its length
 * @given: bytes of the @length at @payload that fitted
 */
enum vsock_outcome vsock_give(struct virtio_vsock *vsock,
			      struct vsock_header header,
			      const uint8_t *payload, uint32_t length,
			      uint32_t *given);

/* ---- virtio_vsock_connections.c --------------------------------------------- */

/* One that is not at its end; NULL: there is none. */
struct vsock_connection *vsock_connection_find(struct virtio_vsock *vsock,
					       uint64_t cid, uint32_t own_port,
					       uint32_t port);
/* A new one, for which a place was taken. */
void vsock_connection_add(struct virtio_vsock *vsock,
			  const struct vsock_connection *it);
void vsock_connection_drop(struct virtio_vsock *vsock,
			   struct vsock_connection *it);
/* It has been answered. */
void vsock_connection_open(struct virtio_vsock *vsock,
			   struct vsock_connection *it);
/* It lives no more; @whom: VSOCK_TELL_DRIVER, VSOCK_TELL_PEER. */
void vsock_connection_end(struct virtio_vsock *vsock,
			  struct vsock_connection *it, uint32_t whom);
/* That it began with @cid. */
uint32_t vsock_connection_count(const struct virtio_vsock *vsock, uint64_t cid);
/* The next of those by which its driver is to be told of an end, among them
 * those whose other end has come to its own. */
enum vsock_outcome vsock_tell_driver(struct virtio_vsock *vsock);
/* Tells the other ends, as far as there is room. */
void vsock_tell_peers(struct virtio_vsock *vsock);

/* Not passed on: VSOCK_DROPPED. */
enum vsock_outcome vsock_drop(struct virtio_vsock *vsock, enum mull_drop why);
/* An RST for a packet of its driver's that has the header @header; not for one
 * that is an RST.  There is room: transmitting stops before.  Returns
 * VSOCK_DROPPED. */
enum vsock_outcome vsock_answer(struct virtio_vsock *vsock,
				const struct vsock_header *header);
enum vsock_outcome vsock_give_answer(struct virtio_vsock *vsock);

/* Whether its operation is known, and only a VSOCK_RW has a payload. */
bool vsock_is_good(const struct vsock_header *header);

/* ---- virtio_vsock_host.c ---------------------------------------------------- */

void vsock_host_init(struct virtio_vsock *vsock);
/* What its driver sends to the host. */
enum vsock_outcome vsock_host_take(struct virtio_vsock *vsock,
				   const struct vsock_header *header);
/* The next packet for it from there. */
enum vsock_outcome vsock_host_give(struct virtio_vsock *vsock, uint32_t *bytes);
/* The driver is gone. */
void vsock_host_close(struct virtio_vsock *vsock);
/* Clients that have not been heard for long are gone, too. */
void vsock_host_watch(struct virtio_vsock *vsock);

#endif
