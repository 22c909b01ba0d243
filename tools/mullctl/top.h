/* SPDX-License-Identifier: MIT */
/* What top shows: samples of a hypervisor (top_sample.c), drawn on a terminal
 * (top_screen.c). */
#ifndef MULLCTL_TOP_H
#define MULLCTL_TOP_H

#include <mullctl.h>
#include <stdbool.h>

struct top_vm {
	struct mull_vm_status status;
	struct mull_vm_stats stats;
};

/* All that was there at one time. */
struct top_sample {
	struct mull_info info;
	size_t cpu_count, vm_count;
	struct mull_cpu_stats cpus[MULL_CPU_MAX];
	struct top_vm vms[MULL_VM_MAX];
};

/* Two samples, one after the other. */
struct top_pair {
	struct top_sample before, now;
	double seconds; /* between them; 0: there are no rates yet */
};

enum top_column {
	TOP_NAME,
	TOP_STATE,
	TOP_VCPUS,
	TOP_MEMORY,
	TOP_GUEST,	/* percent of one processor */
	TOP_HYPERVISOR, /* the same */
	TOP_EXITS,	/* a second, as the next ones */
	TOP_REASON,	/* the most frequent exit: enum exit_kind, or -1 */
	TOP_INTERRUPTS,
	TOP_PRINTED,
	TOP_UP, /* nanoseconds that it runs for; 0: it does not */
	TOP_RESTARTS,
	TOP_COLUMNS
};

struct top_row {
	const struct top_vm *vm;
	double value[TOP_COLUMNS];     /* the name has none */
	double exits[MULL_EXIT_KINDS]; /* a second */
};

/* Of all processors, in percent. */
struct top_load {
	double guest, hypervisor, idle;
};

/* Takes a new sample into @pair->now; the one that was there becomes the one
 * before.  An error is one of libmullctl's. */
int top_take(struct mull *mull, struct top_pair *pair);
/* A row for each VM; how many. */
size_t top_rows(const struct top_pair *pair, struct top_row rows[MULL_VM_MAX]);
struct top_load top_load(const struct top_pair *pair);
/* Names go up and numbers down, unless @reverse. */
void top_sort(struct top_row *rows, size_t count, enum top_column column,
	      bool reverse);

/* "812", "1.2k", "35M", in steps of 1000 or 1024: 5 characters at most. */
void top_short_count(char text[8], double count, double step);
/* "45s", "12m34", "3h12", "4d03": 5 characters at most, up to 99 days. */
void top_short_time(char text[8], double nanoseconds);

/* What the screen shows. */
struct top_view {
	const char *address;
	enum top_column column; /* to sort by */
	bool reverse;
	bool help;	     /* the keys are shown */
	bool detail;	     /* the exits of the VM are shown */
	size_t chosen;	     /* row of the VM */
	size_t first;	     /* row that stands at the top */
	const char *words;   /* a question, or what happened last */
	const char *trouble; /* the machine is away; or "" */
};

/* False when the terminal cannot be drawn on. */
bool top_screen_begin(void);
/* Draws all; @rows are sorted. */
void top_screen_draw(const struct top_pair *pair, const struct top_row *rows,
		     size_t count, struct top_view *view);
/* The column whose letter @key is, or TOP_COLUMNS. */
enum top_column top_column_of(int key);

#endif
