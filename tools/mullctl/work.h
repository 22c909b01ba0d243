/* SPDX-License-Identifier: MIT */
/*
 * Work that must leave nothing behind: signals are noted instead of ending
 * mullctl in the middle, and the folder for temporary files goes at exit.
 */
#ifndef MULLCTL_WORK_H
#define MULLCTL_WORK_H

/* From here on SIGINT, SIGTERM, SIGHUP and SIGQUIT are only noted. */
void work_begin(void);
/* Readable when a signal is there to be noted. */
int work_signal_fd(void);
/* The first signal noted, or 0. */
int work_signal(void);
/* In a child before exec: signals are as they were. */
void work_in_child(void);
/* Ends by the signal that was noted, if any, so that a shell sees it. */
void work_end(void);

/* A folder of this run's own, removed at exit; NULL after a message. */
const char *work_folder(void);

/* One line on standard error that the next one replaces, when that is a
 * terminal. */
void progress(const char *format, ...) __attribute__((format(printf, 1, 2)));
void progress_erase(void);

/* Seconds on a clock that nobody sets. */
double seconds_now(void);

#endif
