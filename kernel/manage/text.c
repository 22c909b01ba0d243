/* SPDX-License-Identifier: MIT */
/*
 * The line carries text for a person with a terminal: the log, and what the
 * VMs print, line by line, with the VM's name before each when there is more
 * than one.  What is typed goes to one VM.
 */
#include "service.h"
#include <mullion/arch.h>
#include <string.h>

/* An unfinished line keeps others from speaking while its VM goes on printing;
 * in milliseconds without a byte, and in all. */
#define QUIET_TIME 50
#define LINE_TIME 500

#define NOBODY UINT32_MAX
#define KEY_ESCAPE 0x1d /* Ctrl-] */

static struct {
	uint32_t owner;		     /* the source of the unfinished line */
	uint64_t began_at, spoke_at; /* arch_time() */
	uint8_t last;		     /* the byte before */
} line = { .owner = NOBODY };

/* ---- output ------------------------------------------------------------- */

static bool may_speak(uint32_t source)
{
	uint64_t now = arch_time(), khz = arch_time_khz();

	return line.owner == NOBODY || line.owner == source ||
	       now - line.spoke_at >= QUIET_TIME * khz ||
	       now - line.began_at >= LINE_TIME * khz;
}

static size_t fetch_log(uint8_t *piece)
{
	char line_of_log[LOG_LINE_MAX];
	size_t length = log_take(LOG_SERIAL, line_of_log, sizeof line_of_log);

	if (!length)
		return 0;
	memcpy(piece, line_of_log + LOG_LEVEL, length - LOG_LEVEL);
	return length - LOG_LEVEL;
}

/* At most a line of the log or CONSOLE_PIECE bytes. */
static size_t fetch(uint32_t source, uint8_t *piece)
{
	struct console *console;

	static_assert(CONSOLE_PIECE >= LOG_LINE_MAX, "one buffer for both");
	if (source == SOURCE_LOG)
		return fetch_log(piece);
	console = console_of(source);
	if (!console || !console_ready(console, LINE_SERIAL))
		return 0;
	return console_fetch(console, LINE_SERIAL, piece, CONSOLE_PIECE, true);
}

/* What stands before a line of @source, unless it is alone. */
static size_t put_name(uint32_t source, uint8_t *to)
{
	uint32_t others = console_count() - (source != SOURCE_LOG);
	const char *name = "mullion";

	if (source != SOURCE_LOG)
		name = console_of(source)->vm->description.name;
	if (!others)
		return 0;
	return format_text((char *)to, MULL_NAME_MAX + 3, "%.31s | ", name);
}

/* Terminals want a carriage return before each newline. */
static size_t put_text(const uint8_t *piece, size_t length, uint8_t *to)
{
	size_t out = 0;

	for (size_t i = 0; i < length; i++) {
		if (piece[i] == '\n' && line.last != '\r')
			to[out++] = '\r';
		line.last = to[out++] = piece[i];
	}
	return out;
}

static size_t speak(uint32_t source, uint8_t *to)
{
	static_assert(2 + MULL_NAME_MAX + 3 + 2 * CONSOLE_PIECE <=
			      FRAME_WIRE_MAX,
		      "the longest piece fits");
	uint8_t piece[CONSOLE_PIECE];
	size_t length = fetch(source, piece), out = 0;

	if (!length)
		return 0;
	line.spoke_at = arch_time();
	if (line.owner != source) {
		line.began_at = line.spoke_at;
		line.last = '\n';
		if (line.owner != NOBODY) {
			to[out++] = '\r';
			to[out++] = '\n';
		}
		out += put_name(source, to + out);
	}
	out += put_text(piece, length, to + out);
	line.owner = line.last == '\n' ? NOBODY : source;
	return out;
}

/* There is one line for a person: the serial one. */
size_t text_next(enum manage_line serial, uint8_t *to)
{
	static uint32_t last_source;
	uint32_t source = last_source;

	for (uint32_t i = source_count(serial); i; i--) {
		size_t length;

		source = source_behind(serial, source);
		length = may_speak(source) ? speak(source, to) : 0;
		if (length) {
			last_source = source;
			return length;
		}
	}
	return 0;
}

/* ---- input -------------------------------------------------------------- */

static uint32_t listener; /* the VM that typed bytes go to */

/* The first VM from @stream on, in a circle. */
static uint32_t vm_from(uint32_t stream)
{
	for (uint32_t i = 0; i < MULL_VM_MAX; i++)
		if (console_prints((stream + i) % MULL_VM_MAX))
			return (stream + i) % MULL_VM_MAX;
	return 0;
}

/* The key behind Ctrl-]. */
static void command(uint8_t key)
{
	uint32_t chosen = MULL_VM_MAX;

	if (key >= '1' && key <= '9')
		chosen = key - '1';
	else if (key == 'n')
		chosen = vm_from(listener + 1);
	if (!console_of(chosen)) {
		log_write("Ctrl-] 1 to 9 chooses a VM, Ctrl-] n the next one");
		return;
	}
	listener = chosen;
	log_write("typed input goes to %.31s",
		  console_of(chosen)->vm->description.name);
}

bool text_has_room(enum manage_line serial)
{
	(void)serial;
	return true;
}

void text_receive(enum manage_line serial, const uint8_t *bytes, size_t length)
{
	static bool escaped;

	(void)serial;
	if (!console_of(listener))
		listener = vm_from(0);
	for (size_t i = 0; i < length; i++) {
		bool literal = escaped && bytes[i] == KEY_ESCAPE;

		if (bytes[i] == KEY_ESCAPE && !escaped) {
			escaped = true;
			continue;
		}
		if (escaped && !literal)
			command(bytes[i]);
		else
			console_type(listener, &bytes[i], 1);
		escaped = false;
	}
}
