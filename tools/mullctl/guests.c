/* SPDX-License-Identifier: MIT */
#include "guests.h"

#include <string.h>

#include "texts.h"

void guests_start(struct guests *guests, const struct mull_vm *vms,
		  size_t count)
{
	*guests = (struct guests){ .count = count };
	for (size_t i = 0; i < count; i++) {
		guests->list[i].vm = &vms[i];
		guests->list[i].started = vms[i].flags & MULL_VM_AUTOSTART;
	}
}

/* A VM that is to restart goes from stopping to starting; one that was never
 * started is stopped without a reason. */
static bool is_end(const struct mull_event *event)
{
	switch (event->state) {
	case MULL_VM_STOPPED:
		return event->reason != MULL_END_NONE;
	case MULL_VM_CRASHED:
	case MULL_VM_REFUSED:
		return true;
	default:
		return false;
	}
}

void guests_event(struct guests *guests, size_t vm,
		  const struct mull_event *event, double after)
{
	struct guest *guest = &guests->list[vm];

	guest->state = event->state;
	guest->reason = event->reason;
	guest->code = event->code;
	guest->ended = is_end(event);
	guest->ended_after = after;
	if (event->state != MULL_VM_STOPPED || guest->ended)
		guest->started = true;
	memset(guest->words, 0, sizeof guest->words);
	for (size_t i = 0; i + 1 < sizeof guest->words && event->words[i]; i++)
		guest->words[i] = texts_printable(event->words[i]);
}

bool guests_are_over(const struct guests *guests)
{
	bool any = false;

	for (size_t i = 0; i < guests->count; i++) {
		if (guests->list[i].started && !guests->list[i].ended)
			return false;
		any |= guests->list[i].ended;
	}
	return any;
}

static enum status status_of(const struct guest *guest)
{
	if (!guest->ended)
		return STATUS_OK;
	if (guest->state == MULL_VM_REFUSED ||
	    guest->reason == MULL_END_BAD_IMAGE)
		return STATUS_REFUSED;
	if (guest->reason == MULL_END_RESET)
		return STATUS_RESET;
	if (guest->reason == MULL_END_EXIT_CODE && guest->code)
		return guest->code > STATUS_GUEST_MAX - STATUS_GUEST ?
			       STATUS_GUEST_MAX :
			       STATUS_GUEST + guest->code;
	if (guest->state == MULL_VM_CRASHED ||
	    guest->reason == MULL_END_ALL_HALTED)
		return STATUS_CRASHED;
	return STATUS_OK;
}

enum status guests_status(const struct guests *guests)
{
	enum status worst = STATUS_OK;

	/* The numbers stand in the order of how bad it is, but for 0. */
	for (size_t i = 0; i < guests->count; i++) {
		enum status status = status_of(&guests->list[i]);

		if (status != STATUS_OK &&
		    (worst == STATUS_OK || status < worst))
			worst = status;
	}
	return worst;
}

/* "powered off", and whether the hypervisor's words add something. */
static const char *end_words(const struct guest *guest, bool *more)
{
	*more = true;
	if (status_of(guest) == STATUS_REFUSED)
		return guest->state == MULL_VM_REFUSED ? "refused" :
							 "not loaded";
	switch (guest->reason) {
	case MULL_END_POWEROFF:
		*more = false;
		return "powered off";
	case MULL_END_RESET:
		*more = false;
		return "reset itself";
	case MULL_END_COMMAND:
		return "stopped by command";
	case MULL_END_EXIT_CODE:
		return "ended";
	case MULL_END_ALL_HALTED:
		return "halted for ever";
	default:
		return guest->state == MULL_VM_CRASHED ? "crashed" : "stopped";
	}
}

static const char *unended_words(const struct guest *guest)
{
	switch (guest->state) {
	case MULL_VM_RUNNING:
		return "was still running";
	case MULL_VM_STOPPING:
		return "was about to end";
	default:
		return "was not running yet";
	}
}

void guests_tell(const struct guests *guests)
{
	for (size_t i = 0; i < guests->count; i++) {
		const struct guest *guest = &guests->list[i];
		const char *name = guest->vm->name, *words;
		bool more;

		if (!guest->started)
			continue;
		if (!guest->ended) {
			tell("%s: %s", name, unended_words(guest));
			continue;
		}
		words = end_words(guest, &more);
		more = more && guest->words[0];
		if (guest->reason == MULL_END_EXIT_CODE)
			tell("%s: %s with exit code %u after %.1f s", name,
			     words, guest->code, guest->ended_after);
		else
			tell("%s: %s after %.1f s%s%s", name, words,
			     guest->ended_after, more ? ": " : "",
			     more ? guest->words : "");
	}
}
