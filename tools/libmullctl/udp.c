/* SPDX-License-Identifier: MIT */
/* The channel over UDP: docs/protocol.md, "Over UDP". */
#include <ctype.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "parts.h"
#include <mullion/window.h>

#define OPEN_SECONDS 5
#define OPEN_AGAIN_MS 300
#define ALIVE_MS 1000  /* of silence, then it is asked whether it is there */
#define ANSWER_MS 5000 /* for the answer */

struct udp {
	struct datagram_key key;
	uint8_t session[MULL_SESSION_SIZE];
	uint64_t heard, sent;	      /* counters */
	uint64_t sent_at, waits_from; /* ms; 0: no answer is due */
	bool gone;
	struct window window;
};

static uint64_t now_ms(void)
{
	return (uint64_t)(mull_clock() * 1000);
}

/* ---- the key -------------------------------------------------------------- */

static int digit(char letter)
{
	const char *digits = "0123456789abcdef";
	const char *at = letter ? strchr(digits, tolower((uint8_t)letter)) :
				  NULL;

	return at ? (int)(at - digits) : -1;
}

const char *mull_read_key(const char *path, uint8_t key[MULL_KEY_SIZE])
{
	char text[2 * MULL_KEY_SIZE + 3];
	FILE *stream = fopen(path, "re");
	size_t length;

	if (!stream)
		return strerror(errno);
	length = fread(text, 1, sizeof text - 1, stream);
	fclose(stream);
	while (length && isspace((uint8_t)text[length - 1]))
		length--;
	for (size_t i = 0; i < length; i++)
		if (digit(text[i]) < 0)
			length = 0;
	if (length != 2 * (size_t)MULL_KEY_SIZE)
		return "a key is 64 hexadecimal digits, such as "
		       "\"openssl rand -hex 32\" makes";
	for (size_t i = 0; i < MULL_KEY_SIZE; i++)
		key[i] = (uint8_t)(digit(text[2 * i]) << 4 |
				   digit(text[2 * i + 1]));
	return NULL;
}

/* ---- datagrams ------------------------------------------------------------ */

/* One that is lost, or cannot go now, is sent again. */
static void put_datagram(struct mull *mull, struct mull_datagram *header,
			 const void *data, size_t length)
{
	uint8_t wire[MULL_DATAGRAM_MAX];

	length = datagram_seal(&mull->udp->key, header, data, length, wire);
	(void)!send(mull->fd, wire, length, 0);
}

static void put_session(struct mull *mull, enum mull_datagram_type type,
			struct mull_datagram *header, const void *data,
			size_t length)
{
	struct udp *udp = mull->udp;

	header->type = (uint8_t)type;
	memcpy(header->session, udp->session, sizeof header->session);
	header->counter = ++udp->sent;
	udp->sent_at = now_ms();
	if (!udp->waits_from)
		udp->waits_from = udp->sent_at;
	put_datagram(mull, header, data, length);
}

/* The next one with the right seal and @session; NULL: none is there. */
static const uint8_t *get_datagram(struct mull *mull,
				   struct mull_datagram *header, uint8_t *wire)
{
	for (;;) {
		ssize_t got = recv(mull->fd, wire, MULL_DATAGRAM_MAX,
				   MSG_DONTWAIT | MSG_TRUNC);
		const uint8_t *data;

		if (got < 0 && errno == ECONNREFUSED)
			continue; /* of an earlier one: nobody was there then */
		if (got < 0)
			return NULL;
		data = datagram_open(&mull->udp->key, wire, (size_t)got,
				     header);
		if (data && !memcmp(header->session, mull->udp->session,
				    sizeof header->session))
			return data;
	}
}

/* ---- the beginning -------------------------------------------------------- */

/* Whether the session has begun; @busy: another client has one. */
static bool get_offer(struct mull *mull, bool *busy)
{
	uint8_t wire[MULL_DATAGRAM_MAX];
	struct mull_datagram header;
	struct udp *udp = mull->udp;
	const uint8_t *data;

	while ((data = get_datagram(mull, &header, wire))) {
		*busy = header.type == MULL_DATAGRAM_BUSY;
		if (header.type != MULL_DATAGRAM_OFFER ||
		    header.length != MULL_SESSION_SIZE)
			continue;
		memcpy(udp->session, data, MULL_SESSION_SIZE);
		window_start(&udp->window);
		udp->window.news = true; /* accepts the offer */
		return true;
	}
	return false;
}

static int begin(struct mull *mull, const char *host, const char *port)
{
	struct pollfd waits = { .fd = mull->fd, .events = POLLIN };
	struct mull_datagram open = { .type = MULL_DATAGRAM_OPEN };
	double limit = mull_clock() + OPEN_SECONDS;
	bool busy = false;

	/* What is answered now was not answered before. */
	if (getrandom(mull->udp->session, MULL_SESSION_SIZE, 0) < 0)
		return mull_fail(mull, MULL_UNREACHABLE, "getrandom: %s",
				 strerror(errno));
	memcpy(open.session, mull->udp->session, sizeof open.session);
	while (mull_clock() < limit) {
		double again = mull_clock() + OPEN_AGAIN_MS / 1000.0;

		put_datagram(mull, &open, NULL, 0);
		while (mull_clock() < again) {
			if (poll(&waits, 1, OPEN_AGAIN_MS) > 0 &&
			    get_offer(mull, &busy))
				return MULL_OK;
		}
	}
	if (busy)
		return mull_fail(mull, MULL_IN_USE,
				 "another client has the channel of %s:%s",
				 host, port);
	return mull_fail(mull, MULL_NO_SESSION,
			 "no answer from %s:%s in %d seconds", host, port,
			 OPEN_SECONDS);
}

static int connect_to(struct mull *mull, const char *host, const char *port)
{
	struct addrinfo hints = { .ai_family = AF_INET,
				  .ai_socktype = SOCK_DGRAM };
	struct addrinfo *found;
	int error = getaddrinfo(host, port, &hints, &found);

	if (error)
		return mull_fail(mull, MULL_UNREACHABLE, "%s:%s: %s", host,
				 port, gai_strerror(error));
	mull->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
			  0);
	error = connect(mull->fd, found->ai_addr, found->ai_addrlen);
	freeaddrinfo(found);
	if (error)
		return mull_fail(mull, MULL_UNREACHABLE, "%s:%s: %s", host,
				 port, strerror(errno));
	return MULL_OK;
}

int mull_open_udp(struct mull *mull, const char *place)
{
	const char *comma = strchr(place, ',');
	uint8_t key[MULL_KEY_SIZE];
	char host[256], usual[8], *port;
	const char *problem;
	int error;

	if (!comma || comma == place || (size_t)(comma - place) >= sizeof host)
		return mull_fail(mull, MULL_BAD_ADDRESS,
				 "udp:%s: wanted is udp:HOST:PORT,KEYFILE",
				 place);
	snprintf(host, sizeof host, "%.*s", (int)(comma - place), place);
	port = strrchr(host, ':');
	if (port)
		*port++ = 0;
	problem = mull_read_key(comma + 1, key);
	if (problem)
		return mull_fail(mull, MULL_BAD_ADDRESS, "%s: %s", comma + 1,
				 problem);
	mull->udp = calloc(1, sizeof *mull->udp);
	if (!mull->udp)
		return mull_fail(mull, MULL_NO_ROOM, "out of memory");
	datagram_set_key(&mull->udp->key, key);
	snprintf(usual, sizeof usual, "%d", MULL_UDP_PORT);
	if (!port)
		port = usual;
	error = connect_to(mull, host, port);
	return error ? error : begin(mull, host, port);
}

/* ---- the session ---------------------------------------------------------- */

void mull_udp_write(struct mull *mull)
{
	struct udp *udp = mull->udp;
	struct mull_datagram header = { 0 };
	uint8_t data[MULL_DATAGRAM_DATA_MAX];
	uint64_t now = now_ms();
	size_t length;

	length = window_put(&udp->window, mull->out, mull->out_length, now);
	mull->out_length -= length;
	memmove(mull->out, mull->out + length, mull->out_length);
	if (now - udp->sent_at >= ALIVE_MS)
		udp->window.news = true;
	while (window_next(&udp->window, &header, data, &length, now))
		put_session(mull, MULL_DATAGRAM_WRITE, &header, data, length);
}

bool mull_udp_read(struct mull *mull)
{
	uint8_t wire[MULL_DATAGRAM_MAX], bytes[MULL_DATAGRAM_DATA_MAX];
	struct mull_datagram header;
	struct udp *udp = mull->udp;
	const uint8_t *data;
	size_t length;

	while ((data = get_datagram(mull, &header, wire))) {
		if (header.type == MULL_DATAGRAM_GONE)
			udp->gone = true;
		if (header.type != MULL_DATAGRAM_READ ||
		    header.counter <= udp->heard)
			continue;
		udp->heard = header.counter;
		udp->waits_from = 0;
		window_receive(&udp->window, &header, data, now_ms());
		while ((length = window_take(&udp->window, bytes,
					     sizeof bytes)))
			frame_decode(&mull->decoder, bytes, length);
	}
	return !udp->gone &&
	       (!udp->waits_from || now_ms() - udp->waits_from < ANSWER_MS);
}

bool mull_udp_holds(const struct mull *mull)
{
	return mull->udp->window.held;
}

int mull_udp_wait(const struct mull *mull, int most)
{
	const struct udp *udp = mull->udp;
	uint64_t now = now_ms(), due = udp->sent_at + ALIVE_MS;

	if (udp->window.held && udp->window.due < due)
		due = udp->window.due;
	if (due <= now)
		return 0;
	return most < 0 || due - now < (uint64_t)most ? (int)(due - now) : most;
}

void mull_udp_close(struct mull *mull)
{
	struct mull_datagram header = { 0 };

	if (mull->udp->sent && !mull->udp->gone)
		put_session(mull, MULL_DATAGRAM_LEAVE, &header, NULL, 0);
	free(mull->udp);
	mull->udp = NULL;
}
