/* SPDX-License-Identifier: MIT */
/* The checker's part about schedules: ARINC 653's major frames and partition
 * windows. */
#include <mullion/log.h>
#include <stddef.h>
#include <string.h>

#include "description_parts.h"

uint32_t mull_schedule_count(const struct mull_machine *machine)
{
	uint32_t count = 0;

	while (count < MULL_SCHEDULE_MAX && machine->schedules[count].name[0])
		count++;
	return count;
}

bool mull_is_scheduled(const struct mull_vm *vm)
{
	uint32_t any = 0;

	for (uint32_t i = 0; i < MULL_SCHEDULE_MAX; i++)
		any |= vm->slots[i];
	return any;
}

/* ---- the machine's ------------------------------------------------------- */

static void complain(struct check *check, const struct mull_schedule *schedule,
		     const char *words)
{
	check_complain(check, MULL_MACHINE_ITSELF, MULL_FIELD_SCHEDULES,
		       "schedule %.15s %s", schedule->name, words);
}

static void check_lengths(struct check *check,
			  const struct mull_schedule *schedule)
{
	uint32_t count = schedule->slot_count;
	uint64_t total = 0;

	if (count == 0 || count > MULL_SLOT_MAX) {
		complain(check, schedule, "has not 1 to 16 slots");
		return;
	}
	for (uint32_t i = 0; i < count; i++) {
		if (schedule->slots_us[i] < MULL_SLOT_US_MIN)
			complain(check, schedule,
				 "has a slot of less than 100 us");
		total += schedule->slots_us[i];
	}
	if (total > MULL_FRAME_US_MAX)
		complain(check, schedule, "has a frame of more than 10 s");
	if (schedule->reserved ||
	    check_any_set(&schedule->slots_us[count],
			  (MULL_SLOT_MAX - count) *
				  sizeof schedule->slots_us[0]))
		complain(check, schedule,
			 "asks for something that this version does not know");
}

static bool name_is_taken(const struct mull_machine *machine, uint32_t index)
{
	const char *name = machine->schedules[index].name;

	for (uint32_t i = 0; i < index; i++)
		if (!memcmp(name, machine->schedules[i].name, strlen(name) + 1))
			return true;
	return false;
}

void check_schedules(struct check *check)
{
	const struct mull_machine *machine = check->machine;
	uint32_t count = mull_schedule_count(machine);
	uint32_t rest = MULL_SCHEDULE_MAX - count;

	for (uint32_t i = 0; i < count; i++) {
		const struct mull_schedule *schedule = &machine->schedules[i];

		if (!check_is_name(schedule->name, sizeof schedule->name)) {
			check_complain(check, MULL_MACHINE_ITSELF,
				       MULL_FIELD_SCHEDULES,
				       "the name of schedule %u is not 1 to %u "
				       "of a-z, 0-9 and -",
				       i + 1, MULL_LABEL_MAX - 1);
			continue;
		}
		if (name_is_taken(machine, i))
			complain(check, schedule, "is there twice");
		check_lengths(check, schedule);
	}
	if (rest && check_any_set(&machine->schedules[count],
				  rest * sizeof machine->schedules[0]))
		check_complain(check, MULL_MACHINE_ITSELF, MULL_FIELD_SCHEDULES,
			       "there is a schedule without a name");
}

/* ---- a VM's part --------------------------------------------------------- */

void check_slots(struct check *check, int vm)
{
	const struct mull_vm *it = &check->vms[vm];
	const struct mull_machine *machine = check->machine;
	uint32_t count = mull_schedule_count(machine);

	for (uint32_t i = 0; i < MULL_SCHEDULE_MAX; i++) {
		uint32_t slots = i < count ? machine->schedules[i].slot_count :
					     0;
		uint32_t known = slots && slots <= MULL_SLOT_MAX ?
					 ((1u << slots) - 1) |
						 MULL_SLOT_BACKGROUND :
					 0;

		if (it->slots[i] & ~known)
			check_complain(check, vm, MULL_FIELD_SCHEDULES,
				       "has a part in schedule %u, which the "
				       "machine has not, or has without that "
				       "slot",
				       i + 1);
	}
}

bool check_slot_overlap(const struct check *check, const struct mull_vm *one,
			const struct mull_vm *other, char *words, size_t room)
{
	for (uint32_t i = 0; i < MULL_SCHEDULE_MAX; i++) {
		uint32_t both = one->slots[i] & other->slots[i] &
				~MULL_SLOT_BACKGROUND;
		uint32_t slot = 0;

		if (!both)
			continue;
		while (!(both >> slot & 1))
			slot++;
		format_text(words, room, "in slot %u of schedule %.15s", slot,
			    check->machine->schedules[i].name);
		return true;
	}
	return false;
}
