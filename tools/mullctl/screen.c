/* SPDX-License-Identifier: MIT */
#include "screen.h"

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "texts.h"
#include "work.h"

#define SILENCE 0.1 /* seconds after which a line without an end is shown */

void screen_start(struct screen *screen, const struct mull_vm *vms,
		  size_t vm_count, bool verbose)
{
	*screen = (struct screen){ .vm_count = vm_count,
				   .verbose = verbose,
				   .coloured = isatty(STDOUT_FILENO),
				   .open_vm = -1 };
	for (size_t i = 0; i < vm_count; i++) {
		int width = (int)strlen(vms[i].name);

		screen->vms[i].name = vms[i].name;
		if (width > screen->name_width)
			screen->name_width = width;
	}
}

static void put(struct screen *screen, const void *bytes, size_t length)
{
	const char *at = bytes;

	while (length && !screen->failed) {
		ssize_t done = write(STDOUT_FILENO, at, length);

		if (done < 0 && errno == EAGAIN) {
			struct pollfd waits = { .fd = STDOUT_FILENO,
						.events = POLLOUT };

			poll(&waits, 1, -1);
		} else if (done < 0 && errno != EINTR) {
			screen->failed = true;
		} else if (done > 0) {
			at += done;
			length -= (size_t)done;
		}
	}
}

/* ---- consoles of several VMs -------------------------------------------- */

static void put_name(struct screen *screen, size_t vm)
{
	char prefix[80];
	int length;

	if (screen->coloured) /* red to cyan; one after the other */
		length = snprintf(prefix, sizeof prefix,
				  "\033[%zum%-*s\033[0m | ", 31 + vm % 6,
				  screen->name_width, screen->vms[vm].name);
	else
		length = snprintf(prefix, sizeof prefix, "%-*s | ",
				  screen->name_width, screen->vms[vm].name);
	put(screen, prefix, (size_t)length);
}

/* Shows what is held of @vm's line; the cursor then stands behind it. */
static void show_held(struct screen *screen, size_t vm)
{
	struct screen_vm *it = &screen->vms[vm];

	if (screen->open_vm != (int)vm) {
		if (screen->open_vm >= 0)
			put(screen, "\n", 1);
		put_name(screen, vm);
		screen->open_vm = (int)vm;
	}
	put(screen, it->line, it->length);
	it->length = 0;
}

static void take_byte(struct screen *screen, size_t vm, char byte)
{
	struct screen_vm *it = &screen->vms[vm];

	if (byte == '\n') {
		/* the carriage return before it would move names about */
		while (it->length && it->line[it->length - 1] == '\r')
			it->length--;
		show_held(screen, vm);
		put(screen, "\n", 1);
		screen->open_vm = -1;
		return;
	}
	if (!it->length)
		it->since = seconds_now();
	it->line[it->length++] = byte;
	if (it->length == sizeof it->line)
		show_held(screen, vm);
}

void screen_console(struct screen *screen, size_t vm, const void *bytes,
		    size_t length)
{
	const char *at = bytes;

	progress_erase();
	if (screen->vm_count == 1) {
		put(screen, bytes, length);
		if (length)
			screen->open_vm = at[length - 1] == '\n' ? -1 : 0;
		return;
	}
	for (size_t i = 0; i < length; i++)
		take_byte(screen, vm, at[i]);
}

int screen_tick(struct screen *screen)
{
	double now = seconds_now();
	int next = -1;

	for (size_t i = 0; i < screen->vm_count; i++) {
		struct screen_vm *it = &screen->vms[i];
		double left = it->since + SILENCE - now;
		int wait = (int)(left * 1000) + 1;

		if (!it->length)
			continue;
		if (left <= 0)
			show_held(screen, i);
		else if (next < 0 || wait < next)
			next = wait;
	}
	return next;
}

void screen_end_line(struct screen *screen)
{
	progress_erase();
	/* A file gets what the VM printed, to the byte. */
	if (screen->open_vm >= 0 &&
	    (screen->vm_count > 1 || isatty(STDOUT_FILENO)))
		put(screen, "\n", 1);
	screen->open_vm = -1;
}

/* ---- the log ------------------------------------------------------------ */

static void end_log_line(struct screen *screen)
{
	char **slot = &screen->last[screen->log_lines % SCREEN_LAST_LINES];

	while (screen->log_length && screen->log[screen->log_length - 1] == ' ')
		screen->log_length--;
	if (!screen->log_length)
		return;
	free(*slot);
	*slot = texts_format("%.*s", (int)screen->log_length, screen->log);
	screen->log_lines++;
	screen->log_length = 0;
	if (!screen->verbose)
		return;
	screen_end_line(screen);
	fprintf(stderr, "%s\n", *slot);
}

static void take_log_byte(struct screen *screen, char byte)
{
	/* The firmware clears screens, which this one must survive. */
	if (screen->in_escape) {
		screen->in_escape = !isalpha((unsigned char)byte);
	} else if (byte == '\033') {
		screen->in_escape = true;
	} else if (byte >= ' ' && byte <= '~') {
		if (screen->log_returned)
			screen->log_length = 0;
		screen->log[screen->log_length++] = byte;
	}
	screen->log_returned = byte == '\r';
	if (byte == '\n' || byte == '\033' ||
	    screen->log_length == sizeof screen->log)
		end_log_line(screen);
}

static void take_log(struct screen *screen, const char *text, size_t length,
		     bool is_text)
{
	if (screen->serial)
		fwrite(text, 1, length, screen->serial);
	if (screen->log_is_text != is_text)
		end_log_line(screen);
	screen->log_is_text = is_text;
	for (size_t i = 0; i < length; i++)
		take_log_byte(screen, text[i]);
}

void screen_log(struct screen *screen, const void *text, size_t length)
{
	const char *at = text, *end = at + length;

	while (at < end) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		size_t line = (size_t)((newline ? newline + 1 : end) - at);
		/* "<6>": its level */
		size_t level = line > 3 && at[0] == '<' && at[2] == '>' ? 3 : 0;

		take_log(screen, at + level, line - level, false);
		at += line;
	}
}

void screen_text(struct screen *screen, const void *text, size_t length)
{
	take_log(screen, text, length, true);
}

void screen_show_log(struct screen *screen)
{
	size_t first = screen->log_lines > SCREEN_LAST_LINES ?
			       screen->log_lines - SCREEN_LAST_LINES :
			       0;

	if (screen->verbose || screen->shown_all || !screen->log_lines)
		return;
	screen->shown_all = true;
	tell("the last lines of the hypervisor's log:");
	for (size_t i = first; i < screen->log_lines; i++)
		fprintf(stderr, "  %s\n", screen->last[i % SCREEN_LAST_LINES]);
}

void screen_finish(struct screen *screen)
{
	end_log_line(screen);
	for (size_t i = 0; i < screen->vm_count; i++)
		if (screen->vms[i].length)
			show_held(screen, i);
	screen_end_line(screen);
}

void screen_free(struct screen *screen)
{
	for (size_t i = 0; i < SCREEN_LAST_LINES; i++)
		free(screen->last[i]);
	if (screen->serial && fclose(screen->serial))
		tell("the file of --serial could not be written");
}
