/* SPDX-License-Identifier: MIT */
/*
 * A stream of bytes each way over datagrams that may be lost, doubled or
 * reordered.  Each byte has a position; a side says up to where all came and
 * how much more it can keep; what is not taken in time is sent again from there
 * on.  Bytes that come too early are dropped, and come again.
 * Pure and without allocation: compiled into hypervisor and tools.  Times are
 * milliseconds of any clock that nobody sets.
 */
#ifndef MULLION_WINDOW_H
#define MULLION_WINDOW_H

#include <mullion/datagram.h>

#define WINDOW_SIZE 8192 /* bytes that are kept each way; a power of two */
#define WINDOW_AGAIN 100 /* until it is sent again; doubles up to: */
#define WINDOW_AGAIN_MAX 1600

struct window {
	/* What is sent: @held bytes from position @taken on, of which @flying
	 * are on their way. */
	uint8_t out[WINDOW_SIZE];
	uint32_t taken, held, flying;
	uint32_t peer_room;
	uint32_t again;	     /* milliseconds that are waited now */
	uint64_t due;	     /* when it is sent again, while @held */
	uint64_t waits_from; /* since when nothing was taken, while @held */
	uint32_t repeats;    /* of the same news, which tell of a loss */
	bool went_back;	     /* since the last byte was taken */

	/* What came: @there bytes from position @next - @there on. */
	uint8_t in[WINDOW_SIZE];
	uint32_t next, there;
	uint32_t told_room;
	bool news; /* the other side must be told of @next and room */
};

void window_start(struct window *window);

/* Puts in as much of @length bytes as fits, and says how much. */
size_t window_put(struct window *window, const void *bytes, size_t length,
		  uint64_t now);
size_t window_room(const struct window *window);
/* Takes at most @room bytes out that came. */
size_t window_take(struct window *window, void *bytes, size_t room);

/* A datagram of the other side, whose seal and counter are right. */
void window_receive(struct window *window, const struct mull_datagram *header,
		    const uint8_t *data, uint64_t now);

/*
 * window_next - what is to be sent now
 * @header: position, taken and room are filled in
 * @data: room for MULL_DATAGRAM_DATA_MAX bytes; @length: how many are there
 *
 * Returns false when nothing is; else to be called again.
 */
bool window_next(struct window *window, struct mull_datagram *header,
		 uint8_t *data, size_t *length, uint64_t now);

/* Milliseconds since which the other side has taken nothing of what is held
 * for it; 0: nothing is. */
uint64_t window_stuck(const struct window *window, uint64_t now);

#endif
