/* SPDX-License-Identifier: MIT */
/* The machine's schedules. */
#include "request.h"
#include <mullion/arch.h>
#include <mullion/cpu_loop.h>
#include <mullion/log.h>
#include <mullion/schedule.h>

enum error request_schedule(const struct asked *asked, struct answer *answer)
{
	(void)asked;
	schedule_status(
		answer_add(answer, sizeof(struct mull_schedule_status)));
	return ERR_NONE;
}

enum error request_schedule_switch(const struct asked *asked,
				   struct answer *answer)
{
	struct mull_schedule_status status;
	enum error error = schedule_switch((uint32_t)asked->argument);

	schedule_status(&status);
	if (error == ERR_NOT_FOUND)
		return answer_words(answer, error,
				    "the machine has %u schedules",
				    status.count);
	if (error)
		return answer_words(answer, error,
				    "a switch to schedule %.15s is under way",
				    status.schedules[status.next].name);
	log_write("schedule %s is in force from the next frame on",
		  status.schedules[status.next].name);
	return ERR_NONE;
}

enum error request_slot_stats(const struct asked *asked, struct answer *answer)
{
	for (uint32_t cpu = asked->argument; cpu < arch_cpu_count(); cpu++) {
		struct mull_slot_stats *stats;

		if (!cpu_loop_has_slots(cpu))
			continue;
		stats = answer_add(answer, sizeof *stats);
		if (!stats) {
			answer->reply.value = cpu;
			break;
		}
		cpu_loop_slot_stats(cpu, stats);
	}
	return ERR_NONE;
}
