/* SPDX-License-Identifier: MIT */
/* The hypervisor's log: a ring in memory, sent to the serial line and drawn
 * on the framebuffer. */
#ifndef MULLION_LOG_H
#define MULLION_LOG_H

#include <mullion/error.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

struct vm;
struct vcpu;

/*
 * log_write - add one line (without the newline) to the log
 * @format: %s %c %d %u %x %lu %lx %ld %p %%, with width and zero padding
 *
 * Any CPU; prefixes the time since start as "[    1.234567] ".
 */
void log_write(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A line about what a guest did: "web/1: ..." ; rate-limited by VM. */
void log_guest(struct vcpu *vcpu, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Bounded formatting as above; returns the length without the final zero. */
size_t format_text(char *to, size_t room, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
size_t format_text_list(char *to, size_t room, const char *format,
			va_list arguments);

/* The place of origin of an error, logged once. */
enum error error_trace(enum error error, const char *file, int line);
#define FAIL(error) error_trace((error), __FILE_NAME__, __LINE__)

/* A bug of the hypervisor: words, registers and stack on every output. */
_Noreturn void panic(const char *format, ...)
	__attribute__((format(printf, 1, 2)));
#define ASSERT(condition) \
	do { \
		if (!(condition)) \
			panic("assertion failed: %s (%s:%d)", #condition, \
			      __FILE_NAME__, __LINE__); \
	} while (0)

/* Outputs that log_drain feeds; set at start. */
void log_start(void);

#endif
