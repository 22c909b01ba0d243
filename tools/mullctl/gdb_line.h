/* SPDX-License-Identifier: MIT */
/* Where gdb is: at a TCP port, or on standard input and output. */
#ifndef MULLCTL_GDB_LINE_H
#define MULLCTL_GDB_LINE_H

#include <stdbool.h>

#include "gdb_packet.h"

struct gdb_line {
	int in, out;  /* -1: nobody is there */
	int listener; /* -1: none */
	int any;      /* readable when something is to be done, a signal too */
	bool gone;    /* gdb has ended the line, or does not read */
	char last[GDB_WIRE_MAX]; /* what was sent */
	size_t last_length;
	struct gdb_parser parser;
	uint8_t bytes[512]; /* that came and are not looked at yet */
	size_t taken, count;
};

/* At "tcp:HOST:PORT", or with NULL on standard input and output; false after a
 * message.  gdb_line_close() releases it in either case. */
bool gdb_line_open(struct gdb_line *line, const char *address);
void gdb_line_close(struct gdb_line *line);
/* Whether gdb is there now; it may have come. */
bool gdb_line_accept(struct gdb_line *line);

/* The next thing that has come, if any; waits for nothing. */
enum gdb_input gdb_line_read(struct gdb_line *line);
void gdb_line_send(struct gdb_line *line, const char *data, size_t length);
void gdb_line_send_again(struct gdb_line *line);
/* A single byte: an acknowledgement. */
void gdb_line_put(struct gdb_line *line, char byte);

#endif
