/* SPDX-License-Identifier: MIT */
#include <mullion/arch.h>
#include <mullion/description.h>
#include <mullion/schedule.h>
#include <stdatomic.h>
#include <string.h>

/* A schedule comes into force at @start, which is the end of a frame of the one
 * before. */
struct epoch {
	uint32_t schedule;
	uint64_t start;
};

/* Of the last epochs none is written that anybody reads: a switch is refused
 * until the one before has been in force for a frame. */
#define EPOCHS 4
/* So long before it begins, all CPUs can see it. */
#define KNOWN_BEFORE_MS 1

static const struct mull_machine *machine;
static uint64_t ends[MULL_SCHEDULE_MAX][MULL_SLOT_MAX]; /* from the frame's
							    begin on */
static uint64_t overrun; /* ticks: what begins later is one */
static struct epoch epochs[EPOCHS];
static _Atomic uint32_t newest; /* counts them all */

static uint64_t frame_length(uint32_t schedule)
{
	return ends[schedule][machine->schedules[schedule].slot_count - 1];
}

void schedule_start(const struct mull_machine *from, uint64_t now)
{
	machine = from;
	overrun = MULL_OVERRUN_US * arch_time_khz() / 1000;
	for (uint32_t i = 0; i < mull_schedule_count(machine); i++) {
		uint64_t end = 0;

		for (uint32_t j = 0; j < machine->schedules[i].slot_count; j++)
			ends[i][j] = end += machine->schedules[i].slots_us[j] *
					    arch_time_khz() / 1000;
	}
	epochs[0] = (struct epoch){ .start = now };
	atomic_store(&newest, 0);
}

/* The one that is in force; the clocks of CPUs may differ a little. */
static struct epoch epoch_at(uint64_t now, uint32_t *number)
{
	*number = atomic_load(&newest);
	if (*number && now < epochs[*number % EPOCHS].start)
		--*number;
	return epochs[*number % EPOCHS];
}

/* To the next slot, which it is most often. */
static bool go_on(struct slot_place *place, uint64_t now)
{
	const uint64_t *end = ends[place->schedule];
	uint32_t slot = place->slot + 1;
	uint64_t length;

	if (slot < machine->schedules[place->schedule].slot_count)
		length = end[slot] - end[slot - 1];
	else
		length = end[slot = 0];
	if (place->epoch != atomic_load(&newest) || now < place->end ||
	    now - place->end >= length)
		return false;
	place->slot = slot;
	place->number++;
	place->begin = place->end;
	place->end += length;
	return true;
}

static void find_place(struct slot_place *place, uint64_t now)
{
	struct epoch epoch = epoch_at(now, &place->epoch);
	uint64_t length = frame_length(epoch.schedule), passed, frames;
	const uint64_t *end = ends[epoch.schedule];

	passed = now > epoch.start ? now - epoch.start : 0;
	frames = passed / length;
	passed %= length;
	place->schedule = epoch.schedule;
	for (place->slot = 0; passed >= end[place->slot];)
		place->slot++;
	place->number = frames * machine->schedules[epoch.schedule].slot_count +
			place->slot;
	place->begin = epoch.start + frames * length;
	place->end = place->begin + end[place->slot];
	if (place->slot)
		place->begin += end[place->slot - 1];
}

struct slot_place schedule_place(uint64_t now)
{
	struct slot_place place;

	find_place(&place, now);
	return place;
}

enum error schedule_switch(uint32_t number)
{
	uint32_t last = atomic_load(&newest);
	struct epoch epoch = epochs[last % EPOCHS];
	uint64_t length, now = arch_time();

	if (!machine || number >= mull_schedule_count(machine))
		return ERR_NOT_FOUND;
	length = frame_length(epoch.schedule);
	if (last && now < epoch.start + length)
		return ERR_WRONG_STATE;
	epoch.start += ((now - epoch.start) / length + 1) * length;
	while (epoch.start < now + arch_time_ms(KNOWN_BEFORE_MS))
		epoch.start += length;
	epoch.schedule = number;
	epochs[(last + 1) % EPOCHS] = epoch;
	atomic_store(&newest, last + 1);
	return ERR_NONE;
}

/* ---- what a CPU knows ---------------------------------------------------- */

/* Apart, so that the usual way saves no registers for it. */
static __attribute__((noinline)) void find_anew(struct slot_clock *clock,
						uint64_t now)
{
	struct slot_place *place = &clock->place;
	uint64_t expected = place->number + 1;
	uint32_t epoch = place->epoch;
	bool goes_on = place->end;

	find_place(place, now);
	if (goes_on && epoch == place->epoch)
		clock->missed += place->number - expected;
}

void slot_clock_move(struct slot_clock *clock, uint64_t now)
{
	clock->fresh = true;
	clock->slots++;
	if (!clock->place.end || !go_on(&clock->place, now))
		find_anew(clock, now);
}

static void note(uint64_t *all, uint64_t *worst, uint64_t ticks)
{
	*all += ticks;
	if (ticks > *worst)
		*worst = ticks;
}

void slot_clock_enter(struct slot_clock *clock, uint64_t now, bool switched,
		      enum slot_turn turn)
{
	if (switched && clock->left) {
		clock->switches++;
		note(&clock->switched, &clock->switch_worst, now - clock->left);
	}
	if (clock->fresh && turn == SLOT_OWN) {
		uint64_t late = now - clock->place.begin;

		clock->entries++;
		note(&clock->late, &clock->late_worst, late);
		clock->overruns += late > overrun;
	}
	clock->fresh = false;
}

void slot_clock_idle(struct slot_clock *clock)
{
	clock->fresh = false;
	clock->left = 0;
}

void slot_clock_stats(const struct slot_clock *clock,
		      struct mull_slot_stats *stats)
{
	stats->slots = clock->slots;
	stats->missed = clock->missed;
	stats->overruns = clock->overruns;
	stats->entries = clock->entries;
	stats->late_ns = arch_time_ns(clock->late);
	stats->late_worst_ns = arch_time_ns(clock->late_worst);
	stats->switches = clock->switches;
	stats->switch_ns = arch_time_ns(clock->switched);
	stats->switch_worst_ns = arch_time_ns(clock->switch_worst);
}

void schedule_status(struct mull_schedule_status *status)
{
	struct slot_place place;

	memset(status, 0, sizeof *status);
	if (machine)
		status->count = mull_schedule_count(machine);
	if (!status->count)
		return;
	place = schedule_place(arch_time());
	status->in_force = place.schedule;
	status->next = epochs[atomic_load(&newest) % EPOCHS].schedule;
	status->frames = place.number /
			 machine->schedules[place.schedule].slot_count;
	memcpy(status->schedules, machine->schedules, sizeof status->schedules);
}
