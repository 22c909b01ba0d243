/* SPDX-License-Identifier: MIT */
/*
 * The machine's schedules: which slot is due at a time.  All CPUs compute it from
 * the same numbers, so that VMs switch on them together without a word between
 * them.
 */
#ifndef MULLION_SCHEDULE_H
#define MULLION_SCHEDULE_H

#include <mullion/control.h>
#include <mullion/error.h>
#include <stdbool.h>
#include <stdint.h>

/* Where a CPU is; times are arch_time()'s. */
struct slot_place {
	uint32_t schedule, slot;
	uint32_t epoch;	 /* how often schedules had been switched */
	uint64_t number; /* of the slot, since the schedule is in force */
	uint64_t begin, end;
};

/* Whether a VM may run; less is before more. */
enum slot_turn {
	SLOT_OWN,    /* by right */
	SLOT_SLACK,  /* with what others leave */
	SLOT_NONE,   /* not now */
	SLOT_ABSENT, /* it has no part in the schedule in force */
};

/* What a CPU knows of its slots; one CPU's own, but any may read the counts. */
struct slot_clock {
	struct slot_place place; /* end 0: it has none yet */
	bool fresh;		 /* nobody has run or waited in this slot yet */
	uint64_t left; /* when the last VM was left; 0: this CPU idled since */
	uint64_t slots, missed, overruns;
	/* In ticks of arch_time(), as in struct mull_slot_stats. */
	uint64_t entries, late, late_worst;
	uint64_t switches, switched, switch_worst;
};

/* Takes @machine's, which have been checked; the first is in force from @now
 * on.  Boot CPU, before the others come to their loops. */
void schedule_start(const struct mull_machine *machine, uint64_t now);

/* The place of @now. */
struct slot_place schedule_place(uint64_t now);

/* Of a VM with these mull_vm.slots. */
static inline enum slot_turn
schedule_turn(const struct slot_place *place,
	      const uint32_t slots[MULL_SCHEDULE_MAX])
{
	uint32_t mask = slots[place->schedule];

	if (mask >> place->slot & 1)
		return SLOT_OWN;
	if (mask & MULL_SLOT_BACKGROUND)
		return SLOT_SLACK;
	return mask ? SLOT_NONE : SLOT_ABSENT;
}

/*
 * schedule_switch - another one is in force from the end of a frame on
 *
 * Service CPU.  ERR_NOT_FOUND: there is none with that number; ERR_WRONG_STATE:
 * a switch is under way.
 */
enum error schedule_switch(uint32_t number);

/* Goes to the slot of @now, which has begun: the one before has ended. */
void slot_clock_move(struct slot_clock *clock, uint64_t now);
/* A guest is entered @now; @switched: of another VM than before. */
void slot_clock_enter(struct slot_clock *clock, uint64_t now, bool switched,
		      enum slot_turn turn);
void slot_clock_idle(struct slot_clock *clock);
/* All but the CPU. */
void slot_clock_stats(const struct slot_clock *clock,
		      struct mull_slot_stats *stats);

void schedule_status(struct mull_schedule_status *status);

#endif
