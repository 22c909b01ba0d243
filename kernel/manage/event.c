/* SPDX-License-Identifier: MIT */
/*
 * What happened to VMs, on its way to the channel.  Events wait in a queue;
 * when it is full, the VM's bit stands for its newest state, so that the last
 * word about a VM is never lost.
 */
#include "service.h"
#include <mullion/arch.h>
#include <mullion/bits.h>
#include <mullion/manage.h>

/* All VMs may be refused at start, and others tell of theirs meanwhile. */
#define EVENTS_KEPT (2 * MULL_VM_MAX)

static_assert(MULL_VM_MAX <= 64, "a bit for each VM");

struct entry {
	uint16_t stream;
	/* The VM prints no more for now: it is sent behind all that was printed
	 * and logged, for whoever waits for it may leave then. */
	bool quiet;
	bool sent[LINES];
	uint64_t after;	    /* the console ring's head */
	uint64_t after_log; /* log_head() */
	struct mull_event event;
};

static struct {
	struct lock lock;
	uint64_t count; /* ever */
	/* VMs of which one was not sent before it went. */
	uint64_t missed[LINES];
	uint64_t sent_before[LINES]; /* all entries before that number */
	struct entry entries[EVENTS_KEPT];
} queue;

void event_describe(const struct vm *vm, struct mull_event *event)
{
	uint32_t stopped_by = vm->stopped_by;

	*event = (struct mull_event){ .state = vm->state,
				      .reason = vm->ending,
				      .code = vm->end_code,
				      .restarts = vm->restarts,
				      .time_ns = log_time() };
	if (event->state == MULL_VM_PAUSED && stopped_by) {
		event->reason = MULL_END_BREAKPOINT;
		event->code = stopped_by - 1;
	}
	format_text(event->name, sizeof event->name, "%.31s",
		    vm->description.name);
	if (event->reason || event->state == MULL_VM_REFUSED)
		format_text(event->words, sizeof event->words, "%.159s",
			    vm->end_words);
}

static struct entry describe(const struct vm *vm)
{
	struct entry entry = {
		.stream = (uint16_t)vm->index,
		.after = vm->serial.output.head,
	};

	event_describe(vm, &entry.event);
	entry.quiet = vm_state_rests(entry.event.state) ||
		      entry.event.state == MULL_VM_PAUSED;
	return entry;
}

/* ---- the log's line ------------------------------------------------------ */

const char *vm_state_word(uint32_t state)
{
	switch ((enum mull_vm_state)state) {
	case MULL_VM_STOPPED:
		return "stopped";
	case MULL_VM_STARTING:
		return "starting";
	case MULL_VM_RUNNING:
		return "running";
	case MULL_VM_STOPPING:
		return "stopping";
	case MULL_VM_CRASHED:
		return "crashed";
	case MULL_VM_REFUSED:
		return "refused";
	case MULL_VM_PAUSED:
		return "paused";
	case MULL_VM_DESTROYED:
		return "destroyed";
	}
	return "in no known state";
}

static void log_event(const struct vm *vm, const struct mull_event *event)
{
	bool ends = vm_state_rests(event->state);
	const char *colon = ends && event->words[0] ? ": " : "";
	const char *words = ends ? event->words : "";
	uint64_t tenth = arch_time_khz() * 100, lasted;

	if (ends && event->reason && vm->started_at && tenth) {
		lasted = (arch_time() - vm->started_at) / tenth;
		log_write("%s: %s%s%s after %lu.%lu s", event->name,
			  vm_state_word(event->state), colon, words,
			  lasted / 10, lasted % 10);
		return;
	}
	if (event->state == MULL_VM_RUNNING && event->restarts)
		log_write("%s: running again, restart %u", event->name,
			  event->restarts);
	else
		log_write("%s: %s%s%s", event->name,
			  vm_state_word(event->state), colon, words);
}

/* ---- the queue ----------------------------------------------------------- */

static void put(const struct entry *entry)
{
	struct entry *oldest;

	lock_take(&queue.lock);
	oldest = &queue.entries[queue.count % EVENTS_KEPT];
	for (uint32_t i = 0; queue.count >= EVENTS_KEPT && i < LINES; i++)
		if (!oldest->sent[i])
			queue.missed[i] |= BIT(oldest->stream);
	queue.count++;
	*oldest = *entry;
	lock_give(&queue.lock);
}

void manage_event(struct vm *vm)
{
	struct entry entry = describe(vm);

	log_event(vm, &entry.event);
	entry.after_log = log_head();
	put(&entry);
	manage_notify();
}

static bool sendable(const struct entry *entry, enum manage_line line)
{
	const struct console *console = console_of(entry->stream);

	return !entry->quiet ||
	       ((!console || console_passed(console, line, entry->after)) &&
		log_passed((enum log_reader)line, entry->after_log));
}

static uint64_t oldest_kept(void)
{
	return queue.count > EVENTS_KEPT ? queue.count - EVENTS_KEPT : 0;
}

/* The first entry that may go; none overtakes one of the same VM. */
static bool take_queued(struct entry *entry, enum manage_line line,
			uint64_t *held_back)
{
	uint64_t *first = &queue.sent_before[line];

	if (*first < oldest_kept())
		*first = oldest_kept();
	while (*first < queue.count &&
	       queue.entries[*first % EVENTS_KEPT].sent[line])
		++*first;
	for (uint64_t i = *first; i < queue.count; i++) {
		struct entry *queued = &queue.entries[i % EVENTS_KEPT];
		uint64_t bit = BIT(queued->stream);

		if (queued->sent[line])
			continue;
		*entry = *queued;
		queued->sent[line] = !(*held_back & bit) &&
				     sendable(queued, line);
		if (queued->sent[line])
			return true;
		*held_back |= bit;
	}
	return false;
}

static bool take_missed(struct entry *entry, enum manage_line line)
{
	for (uint32_t i = 0; queue.missed[line] && i < MULL_VM_MAX; i++) {
		uint64_t bit = BIT(i);

		if (!(queue.missed[line] & bit) || !console_of(i))
			continue;
		*entry = describe(console_of(i)->vm);
		if (!sendable(entry, line))
			continue;
		queue.missed[line] &= ~bit;
		return true;
	}
	return false;
}

bool event_take(enum manage_line line, uint16_t *stream,
		struct mull_event *event)
{
	uint64_t held_back = 0;
	struct entry entry;
	bool taken;

	lock_take(&queue.lock);
	taken = take_queued(&entry, line, &held_back) ||
		(!held_back && take_missed(&entry, line));
	lock_give(&queue.lock);
	if (taken) {
		*stream = entry.stream;
		*event = entry.event;
	}
	return taken;
}

void event_skip(enum manage_line line)
{
	lock_take(&queue.lock);
	for (uint32_t i = 0; i < EVENTS_KEPT; i++)
		queue.entries[i].sent[line] = true;
	queue.missed[line] = 0;
	lock_give(&queue.lock);
}

uint64_t event_count(void)
{
	return queue.count;
}

size_t events_read(uint64_t *first, struct mull_event *to, size_t room)
{
	size_t count = 0;

	lock_take(&queue.lock);
	if (*first < oldest_kept())
		*first = oldest_kept();
	if (*first > queue.count)
		*first = queue.count;
	for (; count < room && *first + count < queue.count; count++)
		to[count] = queue.entries[(*first + count) % EVENTS_KEPT].event;
	lock_give(&queue.lock);
	return count;
}
