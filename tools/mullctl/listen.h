/* SPDX-License-Identifier: MIT */
/*
 * The socket of `run --listen`: a hypervisor's line has one client, which is
 * the run; this passes on what other clients say and hear, each as if it were
 * alone.
 */
#ifndef MULLCTL_LISTEN_H
#define MULLCTL_LISTEN_H

#include <mullion/frame.h>
#include <poll.h>
#include <stdbool.h>

#define LISTEN_CLIENTS 8
#define LISTEN_POLLS (LISTEN_CLIENTS + 1)
#define LISTEN_PASSED 128 /* requests that are remembered */
#define LISTEN_OUT_MAX 65536

/* Sends a frame to the hypervisor; its number, and false: no room now. */
typedef bool listen_send(void *context, const struct mull_frame_header *header,
			 const void *payload, size_t length,
			 uint32_t *sequence);

struct listen_client {
	int fd;		 /* -1: nobody */
	uint64_t serial; /* which client it is, of all that came */
	struct listen *listen;
	struct frame_decoder decoder;
	size_t out_length;
	uint8_t out[LISTEN_OUT_MAX];
};

struct listen {
	int fd; /* -1: not asked for */
	const char *path;
	listen_send *send;
	void *context;
	uint64_t next_serial;
	struct listen_client clients[LISTEN_CLIENTS];
	/* Whose request has which number on the line. */
	struct listen_passed {
		uint64_t serial; /* 0: unused */
		uint32_t theirs, ours;
	} passed[LISTEN_PASSED];
	size_t passed_count;
};

/* @path as "unix:PATH", or NULL for none; false after a message. */
bool listen_start(struct listen *listener, const char *address,
		  listen_send *send, void *context);
void listen_stop(struct listen *listener);

/* Fills LISTEN_POLLS entries, and takes what they then tell. */
void listen_polls(const struct listen *listener, struct pollfd *waits);
void listen_serve(struct listen *listener, const struct pollfd *waits);

/* A frame came from the hypervisor; whether it was a client's reply. */
bool listen_frame(struct listen *listener,
		  const struct mull_frame_header *header, const void *payload,
		  size_t length);

#endif
