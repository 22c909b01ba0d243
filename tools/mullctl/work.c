/* SPDX-License-Identifier: MIT */
#include "work.h"

#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "texts.h"

static sigset_t before;
static int signals = -1;
static int noted;
static char *folder;
static bool progress_is_there;

void work_begin(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGQUIT);
	sigprocmask(SIG_BLOCK, &set, &before);
	signal(SIGPIPE, SIG_IGN); /* the write says it, too */
	signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

int work_signal_fd(void)
{
	return signals;
}

int work_signal(void)
{
	struct signalfd_siginfo info;

	if (!noted && read(signals, &info, sizeof info) == sizeof info)
		noted = (int)info.ssi_signo;
	return noted;
}

void work_in_child(void)
{
	signal(SIGPIPE, SIG_DFL);
	sigprocmask(SIG_SETMASK, &before, NULL);
}

static int remove_entry(const char *path, const struct stat *status, int kind,
			struct FTW *walk)
{
	(void)status;
	(void)kind;
	(void)walk;
	remove(path);
	return 0;
}

static void remove_folder(void)
{
	if (folder)
		nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
	free(folder);
	folder = NULL;
}

void work_end(void)
{
	progress_erase();
	if (!work_signal())
		return;
	remove_folder();
	fflush(stdout);
	signal(noted, SIG_DFL);
	sigprocmask(SIG_SETMASK, &before, NULL);
	raise(noted);
}

const char *work_folder(void)
{
	const char *base = getenv("TMPDIR");

	if (folder)
		return folder;
	folder = texts_format("%s/mullctl-XXXXXX",
			      base && *base ? base : "/tmp");
	if (!mkdtemp(folder)) {
		tell("%s: %s", folder, strerror(errno));
		free(folder);
		folder = NULL;
		return NULL;
	}
	atexit(remove_folder);
	return folder;
}

void progress(const char *format, ...)
{
	va_list arguments;

	if (!isatty(STDERR_FILENO))
		return;
	fputs("\r\033[K", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fflush(stderr);
	progress_is_there = true;
}

void progress_erase(void)
{
	if (!progress_is_there)
		return;
	fputs("\r\033[K", stderr);
	fflush(stderr);
	progress_is_there = false;
}

double seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}
