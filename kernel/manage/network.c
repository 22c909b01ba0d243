/* SPDX-License-Identifier: MIT */
/*
 * The channel over UDP: one client at a time, which has the key.  Its session
 * is a line of its own beside the serial one; what waits for a client that has
 * gone silent is dropped after a while, and no guest waits for it longer.
 */
#include "service.h"
#include <mullion/arch.h>
#include <mullion/endpoint.h>
#include <mullion/guest_clock.h>
#include <mullion/manage.h>
#include <mullion/window.h>
#include <string.h>

#define SILENT 3000 /* ms; then another client gets the session */
#define STUCK 5000  /* ms without taking what waits: the client is gone */
#define STUCK_AT_END 1000
/* Of a wire that floods, so many packets a millisecond are looked at. */
#define PACKETS_A_MS 4

static bool is_there; /* the manifest gives an address and a key */
static struct datagram_key key;

static struct {
	bool live;
	uint8_t id[MULL_SESSION_SIZE];
	uint64_t heard, sent; /* counters */
	uint64_t heard_at;    /* ms */
	struct endpoint_peer peer;
	struct window window;
} session;

/* What the client that asked last may begin. */
static struct {
	bool valid;
	uint8_t nonce[MULL_SESSION_SIZE], id[MULL_SESSION_SIZE];
} offer;

static struct {
	bool left; /* packets wait, and nobody will tell of them */
	uint64_t ms;
	uint32_t taken; /* in that millisecond */
} flood;

static uint64_t now_ms(void)
{
	return log_time() / 1000000;
}

void network_start(const struct mull_machine *machine)
{
	uint32_t at = machine->address;
	enum error error;

	is_there = false;
	session.live = offer.valid = flood.left = false;
	if (!at)
		return;
	arch_fpu_begin();
	datagram_set_key(&key, machine->key);
	arch_fpu_end();
	error = endpoint_start(machine, manage_notify);
	if (error) {
		log_write(LOG_ERROR "the channel is not on the network: %s",
			  error_text(error));
		return;
	}
	is_there = true;
	log_write("the channel is at %u.%u.%u.%u, UDP port %u", at >> 24,
		  at >> 16 & 0xff, at >> 8 & 0xff, at & 0xff,
		  machine->port ? machine->port : MULL_UDP_PORT);
}

void network_serve(void)
{
	if (is_there)
		endpoint_announce();
}

/* ---- sending -------------------------------------------------------------- */

static void send(const struct endpoint_peer *to, struct mull_datagram *header,
		 const void *data, size_t length)
{
	uint8_t wire[MULL_DATAGRAM_MAX];

	arch_fpu_begin();
	length = datagram_seal(&key, header, data, length, wire);
	arch_fpu_end();
	endpoint_send(to, wire, length);
}

/* Outside of a session: @id says what it answers. */
static void answer(const struct endpoint_peer *to, enum mull_datagram_type type,
		   const uint8_t id[MULL_SESSION_SIZE], const void *data,
		   size_t length)
{
	struct mull_datagram header = { .type = (uint8_t)type };

	memcpy(header.session, id, sizeof header.session);
	send(to, &header, data, length);
}

/* Whether there was anything to send. */
static bool send_next(uint64_t now)
{
	struct mull_datagram header = { .type = MULL_DATAGRAM_READ };
	uint8_t data[MULL_DATAGRAM_DATA_MAX];
	size_t length;

	if (!window_next(&session.window, &header, data, &length, now))
		return false;
	memcpy(header.session, session.id, sizeof header.session);
	header.counter = ++session.sent;
	send(&session.peer, &header, data, length);
	return true;
}

/* ---- sessions ------------------------------------------------------------- */

static void leave(const char *why)
{
	if (!session.live)
		return;
	session.live = false;
	console_attach(LINE_NETWORK, MULL_ALL_VMS, false);
	channel_forget(LINE_NETWORK);
	log_write("channel: the client at %u.%u.%u.%u %s",
		  session.peer.address >> 24, session.peer.address >> 16 & 0xff,
		  session.peer.address >> 8 & 0xff, session.peer.address & 0xff,
		  why);
}

static void begin(const struct endpoint_peer *from)
{
	leave("was silent, and another one comes");
	log_write("channel: a client at %u.%u.%u.%u", from->address >> 24,
		  from->address >> 16 & 0xff, from->address >> 8 & 0xff,
		  from->address & 0xff);
	memset(&session, 0, sizeof session);
	memcpy(session.id, offer.id, sizeof session.id);
	offer.valid = false;
	window_start(&session.window);
	channel_forget(LINE_NETWORK);
	/* It begins with what comes; what was it can ask for. */
	log_skip(LOG_NETWORK);
	event_skip(LINE_NETWORK);
	session.live = true;
}

/* Never the same again, and nobody without the key can tell it before: the
 * processor's random numbers alone are not on every machine. */
static void make_offer(const uint8_t nonce[MULL_SESSION_SIZE])
{
	static uint64_t count;
	struct {
		uint64_t time, wall, count, random[2];
		uint8_t nonce[MULL_SESSION_SIZE];
	} from = { .time = arch_time(),
		   .wall = guest_clock_wall(arch_time()),
		   .count = count };
	uint8_t mac[br_sha256_SIZE];

	count++;
	arch_random(&from.random[0]);
	arch_random(&from.random[1]);
	memcpy(from.nonce, nonce, sizeof from.nonce);
	arch_fpu_begin();
	datagram_mac(&key, &from, sizeof from, mac);
	arch_fpu_end();
	memcpy(offer.id, mac, sizeof offer.id);
	memcpy(offer.nonce, nonce, sizeof offer.nonce);
	offer.valid = true;
}

static void open(const struct endpoint_peer *from,
		 const uint8_t nonce[MULL_SESSION_SIZE], uint64_t now)
{
	if (session.live && now - session.heard_at < SILENT) {
		answer(from, MULL_DATAGRAM_BUSY, nonce, NULL, 0);
		return;
	}
	/* One that asks again has the same offer again. */
	if (!offer.valid || memcmp(offer.nonce, nonce, sizeof offer.nonce))
		make_offer(nonce);
	answer(from, MULL_DATAGRAM_OFFER, nonce, offer.id, sizeof offer.id);
}

/* Its seal is right; so it was made by somebody with the key, but perhaps long
 * ago. */
static void obey(const struct endpoint_peer *from,
		 const struct mull_datagram *header, const uint8_t *data,
		 uint64_t now)
{
	if (header->type == MULL_DATAGRAM_OPEN) {
		open(from, header->session, now);
		return;
	}
	if (header->type != MULL_DATAGRAM_WRITE &&
	    header->type != MULL_DATAGRAM_LEAVE)
		return; /* our own, come back */
	if (offer.valid && header->type == MULL_DATAGRAM_WRITE &&
	    !memcmp(header->session, offer.id, sizeof offer.id))
		begin(from);
	if (!session.live ||
	    memcmp(header->session, session.id, sizeof session.id)) {
		answer(from, MULL_DATAGRAM_GONE, header->session, NULL, 0);
		return;
	}
	if (header->counter <= session.heard)
		return; /* a replay, or it was overtaken */
	session.heard = header->counter;
	session.heard_at = now;
	session.peer = *from; /* it may have moved */
	if (header->type == MULL_DATAGRAM_LEAVE) {
		leave("has left");
		return;
	}
	/* Also without data it is a question whether we are there. */
	session.window.news = true;
	window_receive(&session.window, header, data, now);
}

/* Whether a packet was taken; one with a seal is a step of work. */
static bool receive(uint64_t now)
{
	uint8_t wire[ENDPOINT_DATA_MAX];
	struct mull_datagram header;
	struct endpoint_peer from;
	enum endpoint_got got;
	const uint8_t *data;
	size_t length;

	if (flood.ms != now)
		flood.taken = 0;
	flood.ms = now;
	if (flood.taken == PACKETS_A_MS)
		return false;
	got = endpoint_take(&from, wire, &length);
	flood.left = got != ENDPOINT_NOTHING;
	flood.taken += flood.left;
	if (got != ENDPOINT_DATA)
		return flood.left;
	arch_fpu_begin();
	data = datagram_open(&key, wire, length, &header);
	arch_fpu_end();
	if (data)
		obey(&from, &header, data, now);
	return true;
}

/* ---- the round ------------------------------------------------------------ */

static bool feed_channel(void)
{
	uint8_t bytes[LINE_RECEIVE_MAX];

	if (!session.window.there)
		return false;
	channel_receive(LINE_NETWORK, bytes,
			window_take(&session.window, bytes, sizeof bytes));
	return session.window.there;
}

static bool fill_window(uint64_t now)
{
	uint8_t wire[FRAME_WIRE_MAX];
	size_t length;

	if (window_room(&session.window) < sizeof wire)
		return false;
	length = channel_next(LINE_NETWORK, wire);
	window_put(&session.window, wire, length, now);
	return length;
}

bool network_poll(void)
{
	bool more, has_room;
	uint64_t now;

	if (!is_there)
		return false;
	now = now_ms();
	/* A seal is opened or made in a round, not both. */
	if (receive(now))
		return true;
	/* What a client has asked for comes to its end also without it. */
	has_room = channel_has_room(LINE_NETWORK);
	if (!session.live)
		return false;
	if (window_stuck(&session.window, now) > STUCK) {
		leave("answers no more");
		return false;
	}
	more = has_room && feed_channel();
	more |= fill_window(now);
	return send_next(now) || more;
}

bool network_needs_polling(void)
{
	return flood.left ||
	       (session.live &&
		(session.window.held || session.window.there ||
		 consoles_print(LINE_NETWORK) || log_waits(LOG_NETWORK)));
}

bool network_is_told(void)
{
	return !session.live ||
	       (!session.window.held && !consoles_print(LINE_NETWORK)) ||
	       window_stuck(&session.window, now_ms()) > STUCK_AT_END;
}
