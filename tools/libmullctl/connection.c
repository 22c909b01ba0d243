/* SPDX-License-Identifier: MIT */
/* The line: frames out, frames in, and what is sent again. */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "parts.h"
#include "quiet_frame.h"

#define PATIENCE 1.2 /* 1 s, and 2,000 bytes at 115,200 baud */
#define ATTEMPTS 5
#define PENDING_SECONDS 600 /* at most, while it is said to be done */
#define FIRST_TEXT 7	    /* no text has a control character below it */

double mull_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

void mull_clean(char *text, size_t room)
{
	text[room - 1] = 0;
	for (; *text; text++)
		if (*text < ' ' || *text > '~')
			*text = '?';
}

int mull_fail(struct mull *mull, int error, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(mull->words, sizeof mull->words, format, arguments);
	va_end(arguments);
	return error;
}

const char *mull_words(const struct mull *mull)
{
	return mull ? mull->words : "out of memory";
}

/* ---- frames that came --------------------------------------------------- */

static void finish(struct posted *posted, int error,
		   const struct mull_answer *answer)
{
	posted->used = false; /* first: @done may post the next one */
	if (posted->done)
		posted->done(posted->context, error, answer);
}

/* NULL: nobody asked, or has the reply already. */
static struct posted *find_posted(struct mull *mull, uint32_t sequence)
{
	for (size_t i = 0; i < MULL_UNANSWERED_MAX; i++)
		if (mull->posted[i].used &&
		    mull->posted[i].sequence == sequence)
			return &mull->posted[i];
	return NULL;
}

/* It is being done: neither asked for again nor given up. */
static void take_pending(struct mull *mull, const uint8_t *payload)
{
	struct mull_reply reply;
	struct posted *posted;

	memcpy(&reply, payload, sizeof reply);
	posted = find_posted(mull, reply.sequence);
	if (!posted || mull_clock() > posted->since + PENDING_SECONDS)
		return;
	posted->attempts = 1;
	posted->due = mull_clock() + mull->patience;
}

static void take_reply(struct mull *mull, const uint8_t *payload, size_t length)
{
	struct mull_answer *answer = &mull->answer;
	struct mull_reply reply;
	struct posted *posted;

	memcpy(&reply, payload, sizeof reply);
	posted = find_posted(mull, reply.sequence);
	if (!posted)
		return;
	answer->value = reply.value;
	answer->length = length - sizeof reply;
	memcpy(answer->data, payload + sizeof reply, answer->length);
	if (!reply.error) {
		finish(posted, MULL_OK, answer);
		return;
	}
	snprintf(mull->words, sizeof mull->words, "%.*s", (int)answer->length,
		 (const char *)answer->data);
	mull_clean(mull->words, sizeof mull->words);
	if (!mull->words[0])
		mull_fail(mull, 0, "%s", error_text((enum error)reply.error));
	/* An error above those known must not look like one of the library's */
	finish(posted, reply.error < ERR_COUNT ? (int)reply.error : ERR_COUNT,
	       answer);
}

static void take_event(const struct mull *mull, uint32_t vm,
		       const void *payload)
{
	struct mull_event event;

	if (!mull->handlers.event)
		return;
	memcpy(&event, payload, sizeof event);
	mull_clean(event.name, sizeof event.name);
	mull_clean(event.words, sizeof event.words);
	mull->handlers.event(mull->handlers.context, vm, &event);
}

/* One that has started anew remembers no request: what ended it must not end
 * it again. */
static void drop_ends(struct mull *mull)
{
	for (size_t i = 0; i < MULL_UNANSWERED_MAX; i++) {
		struct posted *posted = &mull->posted[i];

		if (!posted->used || !posted->ends_machine)
			continue;
		mull_fail(mull, MULL_RESTARTED, "the machine has started anew");
		finish(posted, MULL_RESTARTED, NULL);
	}
}

static void take_hello(struct mull *mull, const void *payload)
{
	struct mull_hello hello;

	drop_ends(mull);
	if (!mull->handlers.hello)
		return;
	memcpy(&hello, payload, sizeof hello);
	mull_clean(hello.version, sizeof hello.version);
	mull->handlers.hello(mull->handlers.context, &hello);
}

/* Nothing is believed that does not have its full length. */
static void on_frame(void *context, const struct mull_frame_header *header,
		     const void *payload, size_t length)
{
	struct mull *mull = context;
	const struct mull_handlers *handlers = &mull->handlers;

	switch (header->type) {
	case MULL_FRAME_HELLO:
		if (length >= sizeof(struct mull_hello))
			take_hello(mull, payload);
		break;
	case MULL_FRAME_LOG:
		if (handlers->log)
			handlers->log(handlers->context, payload, length);
		break;
	case MULL_FRAME_CONSOLE:
		if (handlers->console)
			handlers->console(handlers->context, header->stream,
					  payload, length);
		break;
	case MULL_FRAME_EVENT:
		if (length >= sizeof(struct mull_event))
			take_event(mull, header->stream, payload);
		break;
	case MULL_FRAME_REPLY:
		if (length >= sizeof(struct mull_reply))
			take_reply(mull, payload, length);
		break;
	case MULL_FRAME_PENDING:
		if (length >= sizeof(struct mull_reply))
			take_pending(mull, payload);
		break;
	default: /* of a newer hypervisor */
		break;
	}
}

static void on_text(void *context, const void *text, size_t length)
{
	const uint8_t *bytes = text;
	struct mull *mull = context;

	/* The decoder lets go of a frame at its second byte, the version. */
	if (length == 2 && bytes[0] > 1 && bytes[1] > MULL_CHANNEL_VERSION &&
	    bytes[1] < FIRST_TEXT)
		mull->other_version = bytes[1];
	if (mull->handlers.text)
		mull->handlers.text(mull->handlers.context, text, length);
}

/* ---- sending ------------------------------------------------------------ */

static bool queue(struct mull *mull, const uint8_t *wire, size_t length)
{
	if (sizeof mull->out - mull->out_length < length)
		return false;
	memcpy(mull->out + mull->out_length, wire, length);
	mull->out_length += length;
	return true;
}

static size_t encode(struct mull *mull, enum mull_frame_type type,
		     uint16_t stream, const void *payload, size_t length,
		     uint8_t *wire)
{
	struct mull_frame_header header = { .version = MULL_CHANNEL_VERSION,
					    .type = (uint8_t)type,
					    .stream = stream,
					    .sequence = mull->sequence };
	size_t size = quiet_frame_encode(&header, payload, length, wire);

	mull->sequence = header.sequence;
	return size;
}

static bool ends_machine(enum mull_frame_type type, const void *payload,
			 size_t length)
{
	struct mull_request request = { .command = 0 };

	if (type == MULL_FRAME_REQUEST && length >= sizeof request)
		memcpy(&request, payload, sizeof request);
	return request.command == MULL_COMMAND_MACHINE;
}

int mull_post(struct mull *mull, enum mull_frame_type type, uint16_t stream,
	      const void *payload, size_t length, mull_done *done,
	      void *context)
{
	struct posted *posted = mull->posted;

	if (mull->ended)
		return mull_fail(mull, MULL_UNREACHABLE,
				 "the connection has ended");
	while (posted->used)
		if (++posted == mull->posted + MULL_UNANSWERED_MAX)
			return mull_fail(mull, MULL_FULL,
					 "%d requests are unanswered",
					 MULL_UNANSWERED_MAX);
	posted->length = encode(mull, type, stream, payload, length,
				posted->wire);
	if (!posted->length)
		return mull_fail(mull, ERR_TOO_LARGE,
				 "a frame takes %d bytes at most",
				 MULL_FRAME_PAYLOAD_MAX);
	if (!queue(mull, posted->wire, posted->length))
		return mull_fail(mull, MULL_FULL, "the line takes no more");
	posted->used = true;
	posted->sequence = mull->sequence;
	posted->attempts = 1;
	posted->ends_machine = ends_machine(type, payload, length);
	posted->since = mull_clock();
	posted->due = posted->since + mull->patience;
	posted->done = done;
	posted->context = context;
	return MULL_OK;
}

int mull_input(struct mull *mull, uint32_t vm, const void *bytes, size_t length)
{
	uint8_t wire[FRAME_WIRE_MAX];
	size_t size;

	if (sizeof mull->out - mull->out_length < sizeof wire)
		return mull_fail(mull, MULL_FULL, "the line takes no more");
	size = encode(mull, MULL_FRAME_INPUT, (uint16_t)vm, bytes, length,
		      wire);
	if (!size || !queue(mull, wire, size))
		return mull_fail(mull, ERR_TOO_LARGE,
				 "a frame takes %d bytes at most",
				 MULL_FRAME_PAYLOAD_MAX);
	return MULL_OK;
}

/* ---- the loop ----------------------------------------------------------- */

static int end(struct mull *mull)
{
	mull->ended = true;
	mull_fail(mull, MULL_UNREACHABLE,
		  mull->udp ? "the session has ended: no answer, another "
			      "client, or a restart" :
			      "the other side has ended the line");
	for (size_t i = 0; i < MULL_UNANSWERED_MAX; i++)
		if (mull->posted[i].used)
			finish(&mull->posted[i], MULL_UNREACHABLE, NULL);
	return MULL_UNREACHABLE;
}

static int read_line(struct mull *mull)
{
	uint8_t bytes[4096];
	ssize_t got;

	if (mull->udp)
		return mull_udp_read(mull) ? MULL_OK : end(mull);
	got = read(mull->fd, bytes, sizeof bytes);
	if (got > 0) {
		frame_decode(&mull->decoder, bytes, (size_t)got);
		return MULL_OK;
	}
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return MULL_OK;
	frame_decoder_flush(&mull->decoder);
	return end(mull);
}

static int write_line(struct mull *mull)
{
	ssize_t done;

	if (mull->udp) {
		mull_udp_write(mull);
		return MULL_OK;
	}
	done = send(mull->fd, mull->out, mull->out_length, MSG_NOSIGNAL);
	if (done < 0 && errno == ENOTSOCK)
		done = write(mull->fd, mull->out, mull->out_length);
	if (done < 0)
		return errno == EAGAIN || errno == EINTR ? MULL_OK : end(mull);
	mull->out_length -= (size_t)done;
	memmove(mull->out, mull->out + done, mull->out_length);
	return MULL_OK;
}

static void give_up(struct mull *mull, struct posted *posted)
{
	int error = MULL_NO_ANSWER;

	mull_fail(mull, error, "no answer in %.0f seconds",
		  mull_clock() - posted->since);
	if (mull->other_version)
		error = mull_fail(mull, MULL_OTHER_FRAMES,
				  "the hypervisor speaks version %u of the "
				  "protocol, this program version %d",
				  mull->other_version, MULL_CHANNEL_VERSION);
	finish(posted, error, NULL);
}

static void send_again(struct mull *mull)
{
	double now = mull_clock();

	for (size_t i = 0; i < MULL_UNANSWERED_MAX; i++) {
		struct posted *posted = &mull->posted[i];

		if (!posted->used || posted->due > now)
			continue;
		if (posted->attempts++ == ATTEMPTS) {
			give_up(mull, posted);
			continue;
		}
		queue(mull, posted->wire, posted->length);
		posted->due = now + mull->patience;
	}
}

/* Milliseconds, at most @most, until something is to be sent again. */
static int next_due(const struct mull *mull, int most)
{
	double now = mull_clock();

	for (size_t i = 0; i < MULL_UNANSWERED_MAX; i++) {
		const struct posted *posted = &mull->posted[i];
		int wait = (int)((posted->due - now) * 1000) + 1;

		if (posted->used && (most < 0 || wait < most))
			most = wait < 0 ? 0 : wait;
	}
	return most;
}

int mull_pump(struct mull *mull, int milliseconds, int other_fd)
{
	struct pollfd waits[] = { { .fd = mull->fd, .events = POLLIN },
				  { .fd = other_fd, .events = POLLIN } };
	int error = MULL_OK;

	if (mull->ended)
		return mull_fail(mull, MULL_UNREACHABLE,
				 "the connection has ended");
	if (mull->out_length || mull->udp)
		error = write_line(mull);
	if (error)
		return error;
	if (mull->out_length && !mull->udp)
		waits[0].events |= POLLOUT;
	milliseconds = next_due(mull, milliseconds);
	if (mull->udp)
		milliseconds = mull_udp_wait(mull, milliseconds);
	/* Over UDP also the time without an answer is looked at. */
	if ((poll(waits, 2, milliseconds) > 0 && waits[0].revents & ~POLLOUT) ||
	    mull->udp)
		error = read_line(mull);
	if (!error && mull->udp)
		error = write_line(mull);
	send_again(mull);
	return error;
}

/* ---- opening ------------------------------------------------------------ */

void mull_handle(struct mull *mull, const struct mull_handlers *handlers)
{
	mull->handlers = handlers ? *handlers : (struct mull_handlers){ 0 };
}

int mull_open(struct mull **result, const char *address,
	      const struct mull_handlers *handlers)
{
	struct mull *mull = calloc(1, sizeof *mull);

	*result = mull;
	if (!mull)
		return MULL_NO_ROOM;
	mull->fd = mull->lock = -1;
	mull->patience = PATIENCE;
	mull->decoder = (struct frame_decoder){ .on_frame = on_frame,
						.on_text = on_text,
						.context = mull };
	mull_handle(mull, handlers);
	/* Two clients one after the other must not look like one that asks
	 * again. */
	if (getrandom(&mull->sequence, sizeof mull->sequence, 0) < 0)
		mull->sequence = (uint32_t)time(NULL) * 2654435761u;
	return mull_connect(mull, address);
}

static bool is_sending(const struct mull *mull)
{
	return mull->out_length || (mull->udp && mull_udp_holds(mull));
}

void mull_close(struct mull *mull)
{
	double limit = mull_clock() + 1;

	if (!mull)
		return;
	/* What was typed last still goes out. */
	while (mull->fd >= 0 && !mull->ended && is_sending(mull) &&
	       mull_clock() < limit)
		mull_pump(mull, 100, -1);
	if (mull->udp)
		mull_udp_close(mull);
	if (mull->fd >= 0)
		close(mull->fd);
	if (mull->lock >= 0)
		close(mull->lock);
	free(mull);
}
