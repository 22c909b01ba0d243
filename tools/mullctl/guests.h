/* SPDX-License-Identifier: MIT */
/* What is known of each VM of a run from the hypervisor's events. */
#ifndef MULLCTL_GUESTS_H
#define MULLCTL_GUESTS_H

#include <mullion/channel.h>
#include <stdbool.h>
#include <stddef.h>

#include "status.h"

struct guest {
	const struct mull_vm *vm;
	bool started; /* it is to start, or has started */
	bool ended;
	uint32_t state, reason, code;
	char words[sizeof((struct mull_event *)0)->words];
	double ended_after; /* seconds */
};

struct guests {
	size_t count;
	struct guest list[MULL_VM_MAX];
};

void guests_start(struct guests *guests, const struct mull_vm *vms,
		  size_t count);
/* @event comes off the line: its texts may lack their ends. */
void guests_event(struct guests *guests, size_t vm,
		  const struct mull_event *event, double after);
/* Whether there were VMs to wait for and all of them have ended. */
bool guests_are_over(const struct guests *guests);
/* The worst of what became of them. */
enum status guests_status(const struct guests *guests);
/* A line for each on standard error. */
void guests_tell(const struct guests *guests);

#endif
