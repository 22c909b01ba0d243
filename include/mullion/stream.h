/* SPDX-License-Identifier: MIT */
/*
 * Bytes in both directions between the management channel and something that
 * listens in a guest: its agent.  The client takes by position what comes, so
 * that nothing is lost or taken twice when a reply is; what it does not take
 * keeps the guest waiting.  Callers hold vm->device_lock.
 */
#ifndef MULLION_STREAM_H
#define MULLION_STREAM_H

#include <mullion/serial.h>

struct stream {
	struct console_ring to_guest, from_guest;
	bool open; /* something in the guest listens */
};

/*
 * stream_read - what the guest sent, from *@position on
 * @position: bytes before it are no longer kept; it becomes that of the first
 *	      byte in @to, which is within what is kept
 *
 * Returns how many bytes, at most @room.
 */
size_t stream_read(struct stream *stream, uint64_t *position, void *to,
		   size_t room);

/* The guest's device is reset: nothing listens, and what was sent is lost. */
void stream_reset(struct stream *stream);

#endif
