/* SPDX-License-Identifier: MIT */
/* A vCPU's registers as gdb knows them, and the description that it gets. */
#ifndef MULLCTL_GDB_REGISTERS_H
#define MULLCTL_GDB_REGISTERS_H

#include <mullion/control.h>
#include <stdbool.h>
#include <stddef.h>

/* The target description; its length. */
size_t gdb_description(const char **text);

/* All registers as hexadecimal digits, or the one with gdb's @number: how many
 * digits; 0: there is none. */
size_t gdb_registers_put(const struct mull_registers *registers, char *to);
size_t gdb_register_put(const struct mull_registers *registers, uint64_t number,
			char *to);

/* The same, the other way.  What cannot be set is passed over with all of them,
 * and false for one. */
bool gdb_registers_take(struct mull_registers *registers, const char *digits);
bool gdb_register_take(struct mull_registers *registers, uint64_t number,
		       const char *digits);

/* Digits for all registers. */
#define GDB_REGISTERS_MAX 1024

#endif
