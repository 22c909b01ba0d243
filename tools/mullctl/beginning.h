/* SPDX-License-Identifier: MIT */
/* What the events say of a VM that was told to start. */
#ifndef MULLCTL_BEGINNING_H
#define MULLCTL_BEGINNING_H

#include <mullctl.h>
#include <mullion/channel.h>
#include <mullion/control.h>

struct beginning {
	uint32_t vm;
	/* The hypervisor's time before it was told: what is older is of the
	 * run before, and an event may wait for what was printed before it. */
	uint64_t since_ns;
	bool runs, ended;
	char words[sizeof((struct mull_event *)0)->words];
};

#define IN(state) (1u << (state))
#define ENDED (IN(MULL_VM_STOPPED) | IN(MULL_VM_CRASHED) | IN(MULL_VM_REFUSED))

/* The handler of events; @context is the beginning. */
void beginning_hear(void *context, uint32_t vm, const struct mull_event *event);

#endif
