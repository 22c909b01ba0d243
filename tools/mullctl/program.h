/* SPDX-License-Identifier: MIT */
/* Other programs that mullctl needs. */
#ifndef MULLCTL_PROGRAM_H
#define MULLCTL_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>

/* The path of @name, also where only root looks; NULL: not there.  free(). */
char *program_find(const char *name);

/* As program_find, with a message that names Debian's @package. */
char *program_need(const char *name, const char *package);

/* Runs @arguments[0] to its end and takes the start of what it says; any exit
 * status will do. */
void program_ask(const char *const *arguments, char *words, size_t room);

/* Runs @arguments[0] to its end, silently; a message when it fails. */
bool program_run(const char *const *arguments);

#endif
