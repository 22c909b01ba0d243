/* SPDX-License-Identifier: MIT */
/*
 * A guest's socket device: VIRTIO 1.2, "Socket Device", with connections to
 * other partitions and to the host's end, which is the management channel.
 * Callers hold vm->device_lock, if nothing else is said.
 */
#ifndef MULLION_VIRTIO_VSOCK_H
#define MULLION_VIRTIO_VSOCK_H

#include <mullion/control.h>
#include <mullion/stream.h>
#include <mullion/virtio.h>
#include <mullion/vsock.h>

#define VSOCK_PLACES 128     /* connections of a VM with other partitions, */
#define VSOCK_PLACES_EACH 32 /* and with each of them that it may begin */
#define VSOCK_RESETS 16	     /* that wait for its own driver */
#define VSOCK_HOST_STREAMS 4
#define VSOCK_HOST_BUFFER 4096 /* bytes each way; a power of two */
#define VSOCK_HOST_SECONDS 60  /* without a word of its client */
#define VSOCK_PATIENCE_MS 1000 /* a full ring is waited for so long */

/* A connection with another partition. */
struct vsock_connection {
	uint32_t cid, own_port, port; /* of the other end */
	uint32_t life;		      /* the other end's */
	uint8_t index;		      /* its VM */
	uint8_t state;		      /* enum vsock_connection_state; 0: free */
	bool began;		      /* at this end */
	bool open;		      /* it was answered */
};

enum vsock_connection_state {
	VSOCK_LIVES = 1 << 0,
	VSOCK_TELL_DRIVER = 1 << 1, /* its own, that it is reset */
	VSOCK_TELL_PEER = 1 << 2,   /* the other end's */
};

enum vsock_host_state {
	VSOCK_HOST_FREE,
	VSOCK_HOST_LISTENS,
	VSOCK_HOST_ASKS, /* the guest has not answered yet */
	VSOCK_HOST_OPEN,
	VSOCK_HOST_ENDED,   /* what came can still be read */
	VSOCK_HOST_REFUSED, /* nothing listens there */
	VSOCK_HOST_LEAVES,  /* the client is done with it */
};

/* A connection with the host. */
struct vsock_host {
	struct stream stream; /* its positions begin at 0 */
	uint32_t number;      /* by which the client knows it */
	uint32_t state;	      /* enum vsock_host_state */
	uint32_t guest_port, own_port;
	uint32_t due; /* packets to the driver: bits of enum vsock_operation */
	uint32_t shutdown, guest_shutdown; /* flags of VSOCK_SHUTDOWN */
	uint32_t buffer_size, forwarded;   /* the guest's, as it says */
	uint32_t told;			   /* what it was told of ours */
	uint64_t heard; /* arch_time() of the client's last word */
	uint8_t to_guest[VSOCK_HOST_BUFFER], from_guest[VSOCK_HOST_BUFFER];
};

struct virtio_vsock {
	struct virtio_device device; /* first: one is made of the other */
	struct vm *vm;
	struct vsock_port port;
	uint32_t cut; /* of the first letter's payload, what it has already */
	struct vsock_connection connections[VSOCK_PLACES];
	uint32_t last;	   /* one that was used last */
	_Atomic bool look; /* the driver is to be told of some */
	bool tell_peers;   /* others are */
	/* A packet waits for room since that time, 0: none does; and rings
	 * that are not waited for any more, as bits by their VMs. */
	uint64_t held_since;
	uint32_t held_for;
	uint64_t stalled;
	/* What is answered by RST, but for connections above. */
	struct vsock_header resets[VSOCK_RESETS];
	uint32_t reset_count;
	struct vsock_host hosts[VSOCK_HOST_STREAMS];
	uint32_t host_turn, host_count; /* connections ever */
	bool turn; /* whose is next: the ring's or the host's */
	uint64_t sent, sent_bytes, received, received_bytes;
	uint64_t opened;  /* connections, from either end */
	uint64_t refused; /* that its driver asked for in vain */
	uint64_t drops[MULL_DROP_REASONS];
};

/* Puts @vsock, all zero but for port.ring.bytes, on @vm's bus at @slot.
 * Service CPU, no lock. */
void virtio_vsock_add(struct vm *vm, struct virtio_vsock *vsock, uint32_t slot);
/* The connections that it has end. */
void virtio_vsock_close(struct virtio_vsock *vsock);
/* Nobody reaches it any more.  Service CPU, no lock. */
void virtio_vsock_remove(struct virtio_vsock *vsock);

/* ---- the host's end --------------------------------------------------------- */

/* A connection to @port of the guest, or with @listens one that is waited for
 * at @port of the host.  ERR_BUSY: all are in use; ERR_EXISTS: somebody listens
 * there already; ERR_WRONG_STATE: the guest has no driver. */
enum error virtio_vsock_connect(struct vm *vm, uint32_t port, bool listens,
				uint32_t *number);
/* NULL: there is no such connection.  It has a client that lives. */
struct vsock_host *virtio_vsock_host(struct vm *vm, uint32_t number);
/* There is more for the guest, or room for more from it. */
void virtio_vsock_changed(struct vm *vm);
/* No more is sent to the guest; or with @all the connection is over. */
void virtio_vsock_end(struct vm *vm, uint32_t number, bool all);

#endif
