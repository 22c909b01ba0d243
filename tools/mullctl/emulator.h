/* SPDX-License-Identifier: MIT */
/* The emulator as a child: started, watched, ended by its process id. */
#ifndef MULLCTL_EMULATOR_H
#define MULLCTL_EMULATOR_H

#include <sys/types.h>

#include "run_plan.h"

struct emulator {
	pid_t pid;	/* 0: not there, or no longer */
	int to, from;	/* its serial line; may be one socket */
	char *messages; /* file that holds what it says */
	bool only_kill; /* SIGTERM does not end it */
};

/* A list of arguments that grows; ends with NULL. */
struct arguments {
	size_t count;
	char *list[96 + 5 * REPEATED_MAX];
};
void arguments_add(struct arguments *arguments, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void arguments_free(struct arguments *arguments);

/* The command line; a message with the package to install when something is
 * missing.  bochs_arguments writes its configuration, too. */
enum status qemu_arguments(const struct run_plan *plan,
			   struct arguments *arguments);
enum status bochs_arguments(const struct run_plan *plan, unsigned port,
			    struct arguments *arguments);

/* emulator_stop in every case. */
enum status emulator_start(struct emulator *emulator,
			   const struct run_plan *plan);
/* Whether it has ended by itself. */
bool emulator_is_gone(struct emulator *emulator);
/* The last lines of what it said, to standard error. */
void emulator_show_messages(const struct emulator *emulator);
void emulator_stop(struct emulator *emulator);

#endif
