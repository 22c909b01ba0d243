/* SPDX-License-Identifier: MIT */
/* The management service: runs on the service CPU, owns the serial line. */
#ifndef MULLION_MANAGE_H
#define MULLION_MANAGE_H

#include <mullion/error.h>
#include <mullion/package.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vm;

/* Before any VM runs: take over the serial line as @machine says.  Until the
 * first manage_poll() each log line goes out at once, by waiting. */
void manage_start(const struct mull_machine *machine);
/* What it tells of the machine; both stay where they are. */
struct mull_boot_info;
void manage_describe(const struct mull_boot_info *boot, const uint8_t *sha256);
/* A VM that it serves: console, events, commands.  The first manage_poll()
 * announces their number; later, the service CPU adds and removes. */
void manage_add_vm(struct vm *vm);

/*
 * One bounded round: receive and obey, send log, events and console output.
 * Service CPU only.  Returns whether there is more to do at once.
 */
bool manage_poll(void);

/*
 * Whether time alone gives manage_poll() something to do, so that it must be
 * called each millisecond: the UART does not interrupt (or has not proved yet
 * that it does), or a few bytes wait for more.  Ask again after each
 * manage_poll().
 */
bool manage_needs_polling(void);

/* Each round of each CPU: the boot CPU ends the machine when it is time. */
void manage_end(void);

/* Console output or an event of @vm waits; any CPU.  Wakes the service CPU. */
void manage_notify(void);

/* Announces @vm's state (with its reason) to the channel and the log; any
 * CPU.  The end of a VM is told after everything that it has printed. */
void manage_event(struct vm *vm);

/* A phase of the start ended at @time, an arch_time(); any CPU. */
void ledger_start(const struct mull_boot_info *boot);
void ledger_note(uint64_t time, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* A panic speaks: plain text, at once, by polling, after a zero byte. */
void manage_emergency(const char *text, size_t length);

#endif
