/* SPDX-License-Identifier: MIT */
#include "session.h"

#include <errno.h>
#include <mullion/bits.h>
#include <mullion/error.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "keys.h"
#include "session_parts.h"
#include "texts.h"
#include "work.h"

#define PANIC_SECONDS 2.0 /* a panic may take so long to say everything */
#define PROGRESS_MILLISECONDS 500

void session_end(struct session *session, enum status status)
{
	if (session->over)
		return;
	session->over = true;
	session->status = status;
}

static double since_start(const struct session *session)
{
	return seconds_now() - session->started;
}

/* ---- what the line says ------------------------------------------------- */

static void take_console(struct session *session, size_t vm,
			 const uint8_t *bytes, size_t length)
{
	session->waits_for_console = false;
	screen_console(&session->screen, vm, bytes, length);
	if (!length)
		return;
	session->listeners[vm].printed = seconds_now();
	session->listeners[vm].prompt = bytes[length - 1] != '\n' &&
					bytes[length - 1] != '\r';
}

static void take_event(struct session *session, size_t vm,
		       const struct mull_event *event)
{
	guests_event(&session->guests, vm, event, since_start(session));
	if (event->state == MULL_VM_RUNNING)
		session->listeners[vm] = (struct listener){
			.printed = seconds_now(),
		};
	if (vm == session->chosen && session->guests.list[vm].ended)
		session_choose_next(session);
	/* Others may start them again. */
	if (guests_are_over(&session->guests) && !session->plan->listen)
		session_end(session, guests_status(&session->guests));
}

/* The reason in words stands behind a reply with an error. */
static void take_reply(struct session *session, const void *payload,
		       size_t length)
{
	struct mull_reply reply;
	char words[128];

	memcpy(&reply, payload, sizeof reply);
	if (!reply.error)
		return;
	length -= sizeof reply;
	if (length >= sizeof words)
		length = sizeof words - 1;
	for (size_t i = 0; i < length; i++)
		words[i] = texts_printable(
			((const char *)payload)[sizeof reply + i]);
	words[length] = 0;
	screen_end_line(&session->screen);
	tell("the hypervisor says: %s",
	     length ? words : error_text((enum error)reply.error));
}

static void take_hello(struct session *session, const struct mull_hello *hello)
{
	session->hello = true;
	keys_begin();
	if (!session->plan->verbose)
		return;
	screen_end_line(&session->screen);
	tell("Mullion %.*s with %u CPUs, %u VMs, %lu MiB of memory for them",
	     (int)sizeof hello->version, hello->version, hello->cpu_count,
	     hello->vm_count, hello->memory_free >> 20);
}

/* Nothing is believed that does not have its full length. */
static void on_frame(void *context, const struct mull_frame_header *header,
		     const void *payload, size_t length)
{
	struct session *session = context;
	bool is_vm = header->stream < session->guests.count;

	if (listen_frame(&session->listen, header, payload, length))
		return;
	switch (header->type) {
	case MULL_FRAME_HELLO:
		if (length == sizeof(struct mull_hello))
			take_hello(session, payload);
		break;
	case MULL_FRAME_LOG:
		screen_log(&session->screen, payload, length);
		break;
	case MULL_FRAME_CONSOLE:
		if (is_vm)
			take_console(session, header->stream, payload, length);
		break;
	case MULL_FRAME_EVENT:
		if (is_vm && length == sizeof(struct mull_event))
			take_event(session, header->stream, payload);
		break;
	case MULL_FRAME_REPLY:
		if (length >= sizeof(struct mull_reply))
			take_reply(session, payload, length);
		break;
	default: /* of a newer hypervisor */
		break;
	}
}

/* Guests speak in frames only, so these words in plain text are not theirs. */
static bool tells_of_death(const struct screen *screen)
{
	static const char *const words[] = {
		"PANIC on CPU",	      /* the hypervisor's */
		"!!!! X64 Exception", /* the firmware's, or an early one */
	};

	for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
		size_t length = strlen(words[i]);

		if (screen->log_length >= length &&
		    !memcmp(screen->log + screen->log_length - length, words[i],
			    length))
			return true;
	}
	return false;
}

static void on_text(void *context, const void *text, size_t length)
{
	struct session *session = context;
	const char *at = text;

	for (size_t i = 0; i < length; i++) {
		screen_text(&session->screen, at + i, 1);
		if (!session->panicked && tells_of_death(&session->screen))
			session->panicked = seconds_now();
	}
}

static void read_line(struct session *session)
{
	uint8_t bytes[4096];
	ssize_t got = read(session->emulator.from, bytes, sizeof bytes);

	if (got > 0) {
		frame_decode(&session->decoder, bytes, (size_t)got);
	} else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
		frame_decoder_flush(&session->decoder);
		session_end(session, STATUS_DIED);
	}
}

/* ---- the loop ----------------------------------------------------------- */

static void show_progress(const struct session *session)
{
	const struct guest *guest = &session->guests.list[session->chosen];
	const char *what = "starting the firmware";

	if (session->hello)
		what = guest->state == MULL_VM_RUNNING ?
			       "the guest is starting" :
			       "the hypervisor is loading the guests";
	progress("%s (%.0f s)", what, since_start(session));
}

static void look_at_clock(struct session *session)
{
	double limit = session->plan->timeout;

	if (work_signal())
		session_end(session, STATUS_QUIT);
	if (limit > 0 && since_start(session) >= limit)
		session_end(session, STATUS_TIMEOUT);
	if (session->panicked &&
	    seconds_now() - session->panicked > PANIC_SECONDS)
		session_end(session, STATUS_DIED);
	if (session->screen.failed)
		session_end(session, STATUS_HOST);
}

static int sooner(int a, int b)
{
	return a < 0 || (b >= 0 && b < a) ? b : a;
}

/* Milliseconds until something is due without being waited for. */
static int next_wait(const struct session *session, int input, int screen)
{
	double limit = session->plan->timeout;
	int wait = sooner(input, screen);

	if (session->waits_for_console)
		wait = sooner(wait, PROGRESS_MILLISECONDS);
	if (limit > 0)
		wait = sooner(wait,
			      (int)((limit - since_start(session)) * 1000) + 1);
	if (session->panicked)
		wait = sooner(wait, 100);
	return wait;
}

static void wait_and_serve(struct session *session)
{
	int input = session_send_input(session);
	int screen = screen_tick(&session->screen);
	struct pollfd waits[3 + LISTEN_POLLS] = {
		{ .fd = session->emulator.from, .events = POLLIN },
		{ .fd = work_signal_fd(), .events = POLLIN },
		{ .fd = session_wants_input(session) ? STDIN_FILENO : -1,
		  .events = POLLIN },
	};

	listen_polls(&session->listen, waits + 3);
	session_flush(session);
	if (session->out_length)
		waits[0].events |= POLLOUT;
	if (session->waits_for_console)
		show_progress(session);
	if (poll(waits, 3 + LISTEN_POLLS, next_wait(session, input, screen)) <
	    0)
		return;
	if (waits[0].revents & ~POLLOUT)
		read_line(session);
	if (waits[2].revents)
		session_read_input(session);
	listen_serve(&session->listen, waits + 3);
}

/* ---- the end ------------------------------------------------------------ */

static void tell_end(struct session *session)
{
	struct screen *screen = &session->screen;

	switch (session->status) {
	case STATUS_TIMEOUT:
		screen_show_log(screen);
		tell("the timeout of %.0f s has passed",
		     session->plan->timeout);
		break;
	case STATUS_DIED:
		screen_show_log(screen);
		if (session->panicked)
			tell("hypervisor or firmware panicked after %.1f s",
			     since_start(session));
		else
			tell("the emulator ended by itself after %.1f s",
			     since_start(session));
		emulator_show_messages(&session->emulator);
		break;
	case STATUS_REFUSED:
	case STATUS_CRASHED:
		screen_show_log(screen);
		break;
	case STATUS_QUIT:
		tell("the run was ended");
		break;
	case STATUS_HOST:
		tell("standard output takes no more");
		break;
	default:
		break;
	}
	guests_tell(&session->guests);
}

static bool open_serial(struct session *session)
{
	const char *file = session->plan->serial;

	if (!file)
		return true;
	session->screen.serial = fopen(file, "we");
	if (!session->screen.serial) {
		tell("%s: %s", file, strerror(errno));
		return false;
	}
	/* Others watch it while it grows. */
	setvbuf(session->screen.serial, NULL, _IOLBF, BUFSIZ);
	return true;
}

static enum status serve(struct session *session)
{
	const struct run_plan *plan = session->plan;

	if (plan->gdb)
		tell("waits for gdb: gdb -ex 'target remote %s/gdb'",
		     plan->folder);
	if (plan->listen && plan->verbose)
		tell("others see and control it by: mullctl --connect %s",
		     plan->listen);
	while (!session->over) {
		wait_and_serve(session);
		look_at_clock(session);
	}
	keys_end();
	screen_finish(&session->screen);
	tell_end(session);
	return session->status;
}

enum status session_run(const struct run_plan *plan)
{
	const struct manifest *manifest = &plan->manifest;
	struct session *session = memory_get(NULL, sizeof *session);
	enum status status = STATUS_HOST;

	*session = (struct session){
		.plan = plan,
		.decoder = { .on_frame = on_frame,
			     .on_text = on_text,
			     .context = session },
		.typed_at_terminal = isatty(STDIN_FILENO),
		.typed_ended = isatty(STDIN_FILENO) && !keys_are_typed(),
		.waits_for_console = true,
		.started = seconds_now(),
	};
	screen_start(&session->screen, manifest->vms, manifest->vm_count,
		     plan->verbose);
	guests_start(&session->guests, manifest->vms, manifest->vm_count);
	if (listen_start(&session->listen, plan->listen, session_pass,
			 session) &&
	    open_serial(session)) {
		status = emulator_start(&session->emulator, plan);
		if (status == STATUS_OK)
			status = serve(session);
		emulator_stop(&session->emulator);
	}
	listen_stop(&session->listen);
	screen_free(&session->screen);
	free(session);
	return status;
}
