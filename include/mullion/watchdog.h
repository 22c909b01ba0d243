/* SPDX-License-Identifier: MIT */
/*
 * A guest's watchdog: registers of one byte at ports, which the WDAT table
 * tells of.  "Hardware Watchdog Timers Design Specification", "Watchdog Action
 * Table".  It runs only after the guest has started it.  Callers hold
 * vm->device_lock, if nothing else is said.
 */
#ifndef MULLION_WATCHDOG_H
#define MULLION_WATCHDOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct vm;

struct watchdog {
	uint8_t seconds; /* that it waits; at most what the manifest says */
	bool bitten;	 /* it has ended the VM, and the guest was not told */
	/* arch_time(); ARCH_NO_DEADLINE: it does not run */
	_Atomic uint64_t deadline;
};

uint8_t watchdog_read(struct vm *vm, uint16_t port);
void watchdog_write(struct vm *vm, uint16_t port, uint8_t value);
/* The VM begins to run: it does not; nor for a VM that has none. */
void watchdog_reset(struct vm *vm);
/* The VM stood still, and its guest could not feed it: it waits anew. */
void watchdog_resume(struct vm *vm);

/* When it is due, as arch_time(); no lock. */
uint64_t watchdog_deadline(const struct vm *vm);
/* Ends a VM whose time has passed.  Its home CPU, while it runs; no lock. */
void watchdog_look(struct vm *vm);

#endif
