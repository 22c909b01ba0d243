/* SPDX-License-Identifier: MIT */
/* Statements that must panic: in a child, since a panic leaves locks held. */
#ifndef EXPECT_PANIC_H
#define EXPECT_PANIC_H

#include <mullion/log.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define PANICKED 77

static bool expecting_panic;

_Noreturn void panic(const char *format, ...)
{
	if (expecting_panic)
		_exit(PANICKED);
	fprintf(stderr, "panic: %s\n", format);
	abort();
}

#define assert_panics(statement) \
	do { \
		pid_t child_ = fork(); \
		int status_; \
		if (child_ == 0) { \
			expecting_panic = true; \
			statement; \
			_exit(0); \
		} \
		assert_int_equal(waitpid(child_, &status_, 0), child_); \
		assert_true(WIFEXITED(status_)); \
		assert_int_equal(WEXITSTATUS(status_), PANICKED); \
	} while (0)

#endif
