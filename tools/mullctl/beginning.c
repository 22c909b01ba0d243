/* SPDX-License-Identifier: MIT */
#include "beginning.h"

#include <string.h>

void beginning_hear(void *context, uint32_t vm, const struct mull_event *event)
{
	struct beginning *beginning = context;

	if (vm != beginning->vm || event->time_ns < beginning->since_ns)
		return;
	beginning->runs |= event->state == MULL_VM_RUNNING;
	beginning->ended |= event->state < 32 && IN(event->state) & ENDED;
	memcpy(beginning->words, event->words, sizeof beginning->words);
	beginning->words[sizeof beginning->words - 1] = '\0';
}
