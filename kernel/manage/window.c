/* SPDX-License-Identifier: MIT */
#include <mullion/window.h>
#include <string.h>

/* So often the same news, while bytes fly: one before them was lost. */
#define REPEATS 2

static_assert(!(WINDOW_SIZE & (WINDOW_SIZE - 1)), "positions wrap with it");

static uint32_t minimum(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

void window_start(struct window *window)
{
	memset(window, 0, sizeof *window);
	window->peer_room = window->told_room = WINDOW_SIZE;
	window->again = WINDOW_AGAIN;
}

/* To and from a ring, whose byte @position is at its remainder. */
static void ring_put(uint8_t *ring, uint32_t position, const uint8_t *from,
		     size_t length)
{
	size_t at = position % WINDOW_SIZE, first = WINDOW_SIZE - at;

	if (first > length)
		first = length;
	memcpy(ring + at, from, first);
	memcpy(ring, from + first, length - first);
}

static void ring_get(const uint8_t *ring, uint32_t position, uint8_t *to,
		     size_t length)
{
	size_t at = position % WINDOW_SIZE, first = WINDOW_SIZE - at;

	if (first > length)
		first = length;
	memcpy(to, ring + at, first);
	memcpy(to + first, ring, length - first);
}

/* ---- the users' side ------------------------------------------------------ */

size_t window_room(const struct window *window)
{
	return WINDOW_SIZE - window->held;
}

size_t window_put(struct window *window, const void *bytes, size_t length,
		  uint64_t now)
{
	if (length > window_room(window))
		length = window_room(window);
	if (!length)
		return 0;
	ring_put(window->out, window->taken + window->held, bytes, length);
	if (!window->held) {
		window->due = now + window->again;
		window->waits_from = now;
	}
	window->held += (uint32_t)length;
	return length;
}

/* None rather than a little: small pieces cost as much as large ones. */
static uint32_t room_to_tell(const struct window *window)
{
	uint32_t room = WINDOW_SIZE - window->there;

	return room < MULL_DATAGRAM_DATA_MAX ? 0 : room;
}

size_t window_take(struct window *window, void *bytes, size_t room)
{
	if (room > window->there)
		room = window->there;
	ring_get(window->in, window->next - window->there, bytes, room);
	window->there -= (uint32_t)room;
	if (!window->told_room && window->there <= WINDOW_SIZE / 2)
		window->news = true;
	return room;
}

uint64_t window_stuck(const struct window *window, uint64_t now)
{
	return window->held ? now - window->waits_from : 0;
}

/* ---- what comes ----------------------------------------------------------- */

static void go_back(struct window *window)
{
	window->flying = 0;
	window->went_back = true;
}

static void take_news(struct window *window, const struct mull_datagram *header,
		      uint64_t now)
{
	uint32_t more = header->taken - window->taken;

	if (more > window->held)
		return; /* old, or it cannot be */
	if (more) {
		window->taken += more;
		window->held -= more;
		window->flying -= minimum(window->flying, more);
		window->again = WINDOW_AGAIN;
		window->due = now + window->again;
		window->waits_from = now;
		window->repeats = 0;
		window->went_back = false;
	} else if (window->flying && !header->length &&
		   header->room == window->peer_room && !window->went_back &&
		   ++window->repeats == REPEATS) {
		go_back(window);
	}
	window->peer_room = header->room;
}

void window_receive(struct window *window, const struct mull_datagram *header,
		    const uint8_t *data, uint64_t now)
{
	uint32_t known = window->next - header->position;
	uint32_t length = header->length;

	take_news(window, header, now);
	if (!length)
		return;
	window->news = true;
	if (known >= length)
		return; /* all of it came before, or what is before it did not */
	length = minimum(length - known, WINDOW_SIZE - window->there);
	ring_put(window->in, window->next, data + known, length);
	window->next += length;
	window->there += length;
}

/* ---- what goes ------------------------------------------------------------ */

bool window_next(struct window *window, struct mull_datagram *header,
		 uint8_t *data, size_t *length, uint64_t now)
{
	uint32_t limit = minimum(window->held, window->peer_room);
	uint32_t piece = 0;

	if (window->held && now >= window->due) {
		go_back(window);
		window->again = minimum(2 * window->again, WINDOW_AGAIN_MAX);
		window->due = now + window->again;
		/* Even without room: so that the other side tells of it. */
		if (!limit)
			limit = 1;
	}
	if (window->flying < limit)
		piece = minimum(limit - window->flying, MULL_DATAGRAM_DATA_MAX);
	if (!piece && !window->news)
		return false;
	header->position = window->taken + window->flying;
	header->taken = window->next;
	header->room = window->told_room = room_to_tell(window);
	ring_get(window->out, header->position, data, piece);
	*length = piece;
	window->flying += piece;
	window->news = false;
	return true;
}
