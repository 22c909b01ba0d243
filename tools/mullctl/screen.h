/* SPDX-License-Identifier: MIT */
/*
 * What a run shows.  Standard output gets what VMs print and nothing else:
 * raw from a single VM, line by line with names from several.  The rest goes
 * to standard error and to the file of --serial.
 */
#ifndef MULLCTL_SCREEN_H
#define MULLCTL_SCREEN_H

#include <mullion/package.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define SCREEN_LINE_MAX 4096
#define SCREEN_LAST_LINES 24

struct screen_vm {
	const char *name;
	char line[SCREEN_LINE_MAX]; /* what is not shown yet */
	size_t length;
	double since; /* when its first byte came */
};

struct screen {
	size_t vm_count;
	int name_width;
	bool coloured;
	bool verbose;
	FILE *serial; /* or NULL */
	struct screen_vm vms[MULL_VM_MAX];
	int open_vm; /* whose unended line the cursor stands in, or -1 */
	bool failed; /* standard output takes no more */
	char log[SCREEN_LINE_MAX]; /* the log's line under way */
	size_t log_length;
	bool log_is_text;  /* its line under way is not from the log */
	bool log_returned; /* the next byte overwrites the line */
	bool in_escape;	   /* in a terminal's command, which is left out */
	char *last[SCREEN_LAST_LINES]; /* of the log, a ring */
	size_t log_lines;
	bool shown_all; /* the log's last lines stand on standard error */
};

/* @names must outlive the screen. */
void screen_start(struct screen *screen, const struct mull_vm *vms,
		  size_t vm_count, bool verbose);

void screen_console(struct screen *screen, size_t vm, const void *bytes,
		    size_t length);
/* The hypervisor's log, and text on the line that is no frame: hostile, both.
 * They share no line. */
void screen_log(struct screen *screen, const void *text, size_t length);
void screen_text(struct screen *screen, const void *text, size_t length);

/* Shows lines without an end that are waiting for some time; returns how many
 * milliseconds from now this may be needed again, or -1. */
int screen_tick(struct screen *screen);

/* The log's last lines on standard error, unless they stand there. */
void screen_show_log(struct screen *screen);
/* Everything that is held back, and an end for the line of the cursor. */
void screen_finish(struct screen *screen);
/* Ends the line of the cursor, before a message. */
void screen_end_line(struct screen *screen);
void screen_free(struct screen *screen);

#endif
