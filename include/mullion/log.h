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

#define LOG_LINE_MAX 256 /* bytes with level, time and newline */

/* A format may begin with a level; if not, it is LOG_INFO's. */
#define LOG_ERROR "<3>"
#define LOG_WARNING "<4>"
#define LOG_INFO "<6>"
#define LOG_TRACE "<7>"
#define LOG_LEVEL 3 /* bytes of it before a line of the log */

/*
 * log_write - add one line (without the newline) to the log
 * @format: as format_text
 *
 * Any CPU; prefixes the time since start as "[    1.234567] ".  What is not
 * printable ASCII becomes '?', what exceeds LOG_LINE_MAX is cut off.
 */
void log_write(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A line about what a guest did: "web/1: ..."; by VM 20 lines and then one a
 * second, with the number of those that were dropped between. */
void log_guest(struct vcpu *vcpu, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Bounded formatting: printf's %d %i %u %x %X %c %s %p %%, '-' '0' '#', width,
 * precision for %s, and hh h l ll z.  Returns the length that is there, without
 * the final zero. */
size_t format_text(char *to, size_t room, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
size_t format_text_list(char *to, size_t room, const char *format,
			va_list arguments);

/* The place of origin of an error, logged once; rate-limited. */
enum error error_trace(enum error error, const char *file, int line);
#define FAIL(error) error_trace((error), __FILE_NAME__, __LINE__)

/* A bug of the hypervisor: words, registers and stack on every output. */
_Noreturn void panic(const char *format, ...)
	__attribute__((format(printf, 1, 2)));

/* What this CPU works for until the next call, for a panic's words: the vCPU
 * that it runs or whose exit it handles, or NULL. */
void panic_running(uint32_t cpu, struct vcpu *vcpu);

#define ASSERT(condition) \
	do { \
		if (!(condition)) \
			panic("assertion failed: %s (%s:%d)", #condition, \
			      __FILE_NAME__, __LINE__); \
	} while (0)

struct mull_boot_info;
/* From now on the log is also kept where a warm reset leaves it; takes what the
 * run before has left there. */
void log_record_start(const struct mull_boot_info *boot);
/* The log's time begins now. */
void log_start(void);
/* The framebuffer is ready: draws what was logged, and each line from now on
 * (by the CPU that writes it, until manage_start()). */
void log_to_screen(void);

#endif
