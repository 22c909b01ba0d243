/* SPDX-License-Identifier: MIT */
/* Lines of the log about each exit, interrupt..., while somebody wants them. */
#ifndef MULLION_TRACE_H
#define MULLION_TRACE_H

#include <mullion/control.h>

struct vcpu;

extern _Atomic uint32_t traced; /* bits of enum mull_trace */

/* At most 100 lines a second, and how many there were beside them. */
void trace_write(struct vcpu *vcpu, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* @vcpu may be NULL: it is about no VM. */
#define TRACE(class, vcpu, ...) \
	do { \
		if (__builtin_expect(traced & MULL_TRACE_##class, 0)) \
			trace_write(vcpu, __VA_ARGS__); \
	} while (0)

#endif
