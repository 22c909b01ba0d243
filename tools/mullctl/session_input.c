/* SPDX-License-Identifier: MIT */
/* From the keys, or from what stands in their place, to a VM. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <quiet_frame.h>

#include "keys.h"
#include "session_parts.h"
#include "texts.h"
#include "work.h"

/* A guest's serial driver throws away what came before it; so input that
 * nobody types waits for a prompt (a line without an end, and silence), or
 * for a silence that is longer than any pause of a guest at work. */
#define PROMPT_SILENCE 0.2
#define LINUX_SILENCE 10.0
#define OTHER_SILENCE 0.5
#define LATER_SILENCE 0.3

#define INPUT_FRAME_MAX 64

/* ---- the line ----------------------------------------------------------- */

bool session_pass(void *context, const struct mull_frame_header *header,
		  const void *payload, size_t length, uint32_t *sequence)
{
	struct session *session = context;
	struct mull_frame_header numbered = *header;
	uint8_t *to = session->out + session->out_length;

	if (OUT_MAX - session->out_length < FRAME_WIRE_MAX)
		return false;
	if (!sequence) { /* sent again, with the number that it has */
		session->out_length += frame_encode(&numbered, payload, length,
						    to);
		return true;
	}
	numbered.sequence = session->sequence;
	session->out_length += quiet_frame_encode(&numbered, payload, length,
						  to);
	*sequence = session->sequence = numbered.sequence;
	return true;
}

bool session_send(struct session *session, enum mull_frame_type type,
		  uint16_t stream, const void *payload, size_t length)
{
	struct mull_frame_header header = { .version = MULL_CHANNEL_VERSION,
					    .type = (uint8_t)type,
					    .stream = stream };
	uint32_t sequence;

	return session_pass(session, &header, payload, length, &sequence);
}

void session_flush(struct session *session)
{
	ssize_t done;

	if (!session->out_length)
		return;
	done = write(session->emulator.to, session->out, session->out_length);
	if (done <= 0) /* full, or gone: reading will tell */
		return;
	session->out_length -= (size_t)done;
	memmove(session->out, session->out + done, session->out_length);
}

/* ---- keys --------------------------------------------------------------- */

static void press_button(struct session *session)
{
	struct mull_request request = {
		.command = MULL_COMMAND_POWER_BUTTON,
		.vm = (uint32_t)session->chosen,
	};

	session_send(session, MULL_FRAME_REQUEST, MULL_STREAM_HYPERVISOR,
		     &request, sizeof request);
}

static void choose(struct session *session, size_t vm)
{
	screen_end_line(&session->screen);
	if (vm >= session->guests.count) {
		tell("there is no VM %zu", vm + 1);
		return;
	}
	session->chosen = vm;
	tell("input goes to %s", session->guests.list[vm].vm->name);
}

void session_choose_next(struct session *session)
{
	for (size_t i = 0; i < session->guests.count; i++) {
		const struct guest *guest = &session->guests.list[i];

		if (!guest->started || guest->ended)
			continue;
		if (session->typed_at_terminal)
			choose(session, i);
		session->chosen = i;
		return;
	}
}

static void show_keys(struct session *session)
{
	screen_end_line(&session->screen);
	for (const struct note *note = key_notes; note->what; note++)
		tell("%-14s %s", note->what, note->words);
}

static void take_key(struct session *session, unsigned char byte)
{
	switch (key_of(byte, &session->escaped)) {
	case KEY_BYTE:
		session->typed[session->typed_length++] = byte;
		break;
	case KEY_NONE:
		break;
	case KEY_QUIT:
		session_end(session, STATUS_QUIT);
		break;
	case KEY_BUTTON:
		press_button(session);
		break;
	case KEY_CHOOSE:
		choose(session, (size_t)(byte - '1'));
		break;
	case KEY_HELP:
		show_keys(session);
		break;
	}
}

bool session_wants_input(const struct session *session)
{
	if (session->typed_ended || session->typed_length == TYPED_MAX)
		return false;
	return !session->typed_at_terminal || session->hello;
}

void session_read_input(struct session *session)
{
	uint8_t bytes[512];
	size_t room = TYPED_MAX - session->typed_length;
	ssize_t got = read(STDIN_FILENO, bytes,
			   room < sizeof bytes ? room : sizeof bytes);

	if (got < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (got <= 0) {
		session->typed_ended = true;
		return;
	}
	if (session->typed_at_terminal) {
		for (ssize_t i = 0; i < got; i++)
			take_key(session, bytes[i]);
		return;
	}
	memcpy(session->typed + session->typed_length, bytes, (size_t)got);
	session->typed_length += (size_t)got;
}

/* ---- to the VM ---------------------------------------------------------- */

/* Seconds until the chosen VM can be thought to listen; 0: now. */
static double patience(const struct session *session)
{
	const struct listener *it = &session->listeners[session->chosen];
	const struct manifest *manifest = &session->plan->manifest;
	const struct mull_vm *vm = &manifest->vms[session->chosen];
	double silence, wait = LATER_SILENCE;

	if (session->typed_at_terminal)
		return 0;
	silence = seconds_now() - it->printed;
	if (it->prompt)
		wait = PROMPT_SILENCE;
	else if (!it->any_sent)
		wait = manifest->images[vm->kernel].kind == MULL_IMAGE_ELF64 ?
			       OTHER_SILENCE :
			       LINUX_SILENCE;
	return wait > silence ? wait - silence : 0;
}

/* How much of it goes in one frame: a line at most, so that the guest can
 * answer each. */
static size_t next_piece(const struct session *session)
{
	size_t length = session->typed_length;
	const uint8_t *end;

	if (length > INPUT_FRAME_MAX)
		length = INPUT_FRAME_MAX;
	if (session->typed_at_terminal)
		return length;
	end = memchr(session->typed, '\n', length);
	return end ? (size_t)(end - session->typed) + 1 : length;
}

int session_send_input(struct session *session)
{
	const struct guest *guest = &session->guests.list[session->chosen];
	struct listener *listener = &session->listeners[session->chosen];

	while (session->typed_length && session->hello &&
	       guest->state == MULL_VM_RUNNING) {
		size_t length = next_piece(session);
		double wait = patience(session);
		bool line = session->typed[length - 1] == '\n';

		if (wait > 0)
			return (int)(wait * 1000) + 1;
		if (!session_send(session, MULL_FRAME_INPUT,
				  (uint16_t)session->chosen, session->typed,
				  length))
			return -1; /* goes on when the line has taken some */
		session->typed_length -= length;
		memmove(session->typed, session->typed + length,
			session->typed_length);
		listener->any_sent = true;
		if (line) {
			listener->printed = seconds_now();
			listener->prompt = false;
		}
	}
	return -1;
}
