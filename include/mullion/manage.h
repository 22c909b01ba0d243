/* SPDX-License-Identifier: MIT */
/* The management service: runs on the service CPU, owns the serial line. */
#ifndef MULLION_MANAGE_H
#define MULLION_MANAGE_H

#include <mullion/error.h>
#include <mullion/package.h>
#include <stdbool.h>
#include <stddef.h>

struct vm;

/* Before any VM runs: take over the serial line as @machine says. */
void manage_start(const struct mull_machine *machine);
/* The VMs that it serves: consoles, events, commands. */
void manage_add_vm(struct vm *vm);

/*
 * One bounded round: receive and obey, send log, events and console output.
 * Service CPU only.  Returns whether there is more to do at once.
 */
bool manage_poll(void);

/* Console output or an event of @vm waits; any CPU.  Wakes the service CPU. */
void manage_notify(void);

/* Announces @vm's state (with its reason) to the channel and the log. */
void manage_event(struct vm *vm);

/* A panic speaks: plain text, at once, by polling, after a zero byte. */
void manage_emergency(const char *text, size_t length);

#endif
