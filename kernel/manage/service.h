/* SPDX-License-Identifier: MIT */
/* What the files of the management service know of each other. */
#ifndef MANAGE_SERVICE_H
#define MANAGE_SERVICE_H

#include <mullion/channel.h>
#include <mullion/frame.h>
#include <mullion/log.h>
#include <mullion/uart16550.h>
#include <mullion/vm.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- log.c -------------------------------------------------------------- */

enum log_reader { LOG_SERIAL, LOG_SCREEN, LOG_READERS };

/* The next line for @reader, with its newline and no zero; 0: none.  Lines
 * that were overwritten before are one line that says so.  @room must be
 * LOG_LINE_MAX or more. */
size_t log_take(enum log_reader reader, char *to, size_t room);
bool log_waits(enum log_reader reader);

/* Draws at most @lines lines; returns whether there are more. */
bool log_draw(uint32_t lines);

/* @written is called after each line, in place of drawing at once. */
void log_on_line(void (*written)(void));

/* Nanoseconds since log_start(). */
uint64_t log_time(void);

/* Whether @source may log another line; says first how many it could not.
 * Numbers of VMs, or: */
enum log_source { LOG_SOURCE_ERRORS = MULL_VM_MAX, LOG_SOURCE_CHANNEL,
		  LOG_SOURCES };
bool log_allowed(uint32_t source, const char *name);

/* ---- line.c: the serial line, which a panic uses too -------------------- */

/* Looks for the UART of @machine; NULL and a log line: there is none. */
struct uart16550 *line_start(const struct mull_machine *machine);

#endif
