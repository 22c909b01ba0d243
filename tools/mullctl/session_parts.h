/* SPDX-License-Identifier: MIT */
/* What session.c and session_input.c share. */
#ifndef MULLCTL_SESSION_PARTS_H
#define MULLCTL_SESSION_PARTS_H

#include <mullion/control.h>
#include <mullion/frame.h>

#include "emulator.h"
#include "guests.h"
#include "listen.h"
#include "screen.h"

#define TYPED_MAX 65536		     /* bytes of input that wait for a guest */
#define OUT_MAX (4 * FRAME_WIRE_MAX) /* bytes that wait for the line */

/* Whether a VM can be thought to listen. */
struct listener {
	double printed; /* when it last printed or was sent a line */
	bool prompt;	/* its last line has no end */
	bool any_sent;	/* it has got input already */
};

struct session {
	const struct run_plan *plan;
	struct emulator emulator;
	struct frame_decoder decoder;
	struct screen screen;
	struct guests guests;
	double started;
	bool hello;		/* the hypervisor speaks */
	bool waits_for_console; /* no VM has printed anything yet */
	double panicked;	/* when plain text told of a panic, or 0 */
	bool over;
	enum status status;

	/* input */
	size_t chosen; /* the VM that gets it */
	bool typed_at_terminal;
	bool typed_ended;
	bool escaped; /* Ctrl-] was the last key */
	uint8_t typed[TYPED_MAX];
	size_t typed_length;
	struct listener listeners[MULL_VM_MAX];

	struct listen listen; /* others that see and control it */

	/* to the hypervisor */
	uint32_t sequence;
	uint8_t out[OUT_MAX];
	size_t out_length;
};

void session_end(struct session *session, enum status status);

/* Puts a frame into the queue for the line; false when there is no room. */
bool session_send(struct session *session, enum mull_frame_type type,
		  uint16_t stream, const void *payload, size_t length);
/* The same for another client's frame; @sequence: the number that it gets, or
 * NULL: it keeps its own. */
bool session_pass(void *session, const struct mull_frame_header *header,
		  const void *payload, size_t length, uint32_t *sequence);
/* Writes what the line takes. */
void session_flush(struct session *session);

/* The VM that got the input has ended: the next one that has not gets it. */
void session_choose_next(struct session *session);
/* Standard input is readable. */
void session_read_input(struct session *session);
/* Whether it should be read now. */
bool session_wants_input(const struct session *session);
/* Sends what is typed once the guest listens; returns the milliseconds until
 * it should be asked again, or -1. */
int session_send_input(struct session *session);

#endif
