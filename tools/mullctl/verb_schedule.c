/* SPDX-License-Identifier: MIT */
/* The machine's schedules: what is planned, and how the CPUs keep to it. */
#include <stdio.h>
#include <string.h>

#include "remote.h"
#include "texts.h"
#include "work.h"

#define SWITCH_SECONDS 30 /* more than two frames of the longest kind */
#define LOOK_MILLISECONDS 20

/* All that a table is made of. */
struct plan {
	struct mull_schedule_status status;
	struct mull_vm vms[MULL_VM_MAX]; /* their descriptions */
	size_t vm_count;
	struct mull_slot_stats cpus[MULL_CPU_MAX];
	size_t cpu_count;
};

static int ask(struct mull *mull, struct plan *plan)
{
	static struct mull_vm_status list[MULL_VM_MAX];
	int error = mull_schedule(mull, &plan->status);

	if (!error)
		error = mull_list(mull, list, &plan->vm_count);
	for (size_t i = 0; i < plan->vm_count && !error; i++)
		error = mull_show(mull, list[i].number, &plan->vms[i]);
	if (!error)
		error = mull_slot_stats(mull, plan->cpus, &plan->cpu_count);
	return error;
}

/* Names of the VMs with one of @bits in that schedule. */
static void put_names(struct output *output, const char *key,
		      const struct plan *plan, uint32_t schedule, uint32_t bits)
{
	char names[MULL_VM_MAX * MULL_NAME_MAX] = "";
	size_t length = 0;

	for (size_t i = 0; i < plan->vm_count; i++)
		if (plan->vms[i].slots[schedule] & bits)
			length += (size_t)sprintf(
				names + length, "%s%.*s", length ? " " : "",
				MULL_NAME_MAX - 2, plan->vms[i].name);
	output_text(output, key, names);
}

static const char *state_of(const struct mull_schedule_status *status,
			    uint32_t schedule)
{
	if (schedule == status->in_force)
		return "in force";
	return schedule == status->next ? "next" : "";
}

static void put_slots(struct output *output, const struct plan *plan,
		      uint32_t index)
{
	const struct mull_schedule *schedule = &plan->status.schedules[index];
	uint64_t begin = 0;

	for (uint32_t i = 0; i < schedule->slot_count && i < MULL_SLOT_MAX;
	     i++) {
		output_row_begin(output);
		output_text(output, "schedule", schedule->name);
		output_text(output, "state", state_of(&plan->status, index));
		output_number(output, "slot", i);
		output_span(output, "begins", begin * 1000);
		output_span(output, "length", schedule->slots_us[i] * 1000ull);
		put_names(output, "vms", plan, index, 1u << i);
		put_names(output, "background", plan, index,
			  MULL_SLOT_BACKGROUND);
		output_row_end(output);
		begin += schedule->slots_us[i];
	}
}

static void put_cpu(struct output *output, const struct mull_slot_stats *cpu)
{
	output_row_begin(output);
	output_number(output, "cpu", cpu->cpu);
	output_number(output, "slots", cpu->slots);
	output_number(output, "missed", cpu->missed);
	output_number(output, "overruns", cpu->overruns);
	output_span(output, "late",
		    cpu->entries ? cpu->late_ns / cpu->entries : 0);
	output_span(output, "late_worst", cpu->late_worst_ns);
	output_number(output, "switches", cpu->switches);
	output_span(output, "switch",
		    cpu->switches ? cpu->switch_ns / cpu->switches : 0);
	output_span(output, "switch_worst", cpu->switch_worst_ns);
	output_row_end(output);
}

static enum status show_schedule(struct mull *mull,
				 const struct mull_vm_status *vm,
				 struct output *output)
{
	static struct plan plan;
	int error = ask(mull, &plan);

	(void)vm;
	if (error)
		return remote_status(mull, error);
	if (!plan.status.count) {
		tell("the machine has no schedules; they stand in its "
		     "manifest");
		return STATUS_CONFLICT;
	}
	output_list_begin(output, "schedules");
	for (uint32_t i = 0; i < plan.status.count; i++)
		put_slots(output, &plan, i);
	output_list_end(output);
	output_number(output, "frames", plan.status.frames);
	output_list_begin(output, "cpus");
	for (size_t i = 0; i < plan.cpu_count; i++)
		put_cpu(output, &plan.cpus[i]);
	output_list_end(output);
	return STATUS_OK;
}

/* ---- another one --------------------------------------------------------- */

static enum status find(const struct mull_schedule_status *status,
			const char *name, uint32_t *number)
{
	for (*number = 0; *number < status->count; ++*number)
		if (!strcmp(status->schedules[*number].name, name))
			return STATUS_OK;
	tell("the machine has no schedule \"%s\"%s", name,
	     status->count ? ": mullctl schedule shows those that it has" : "");
	return STATUS_CONFLICT;
}

/* Until it is in force, which is at the end of a frame. */
static enum status change(struct mull *mull, const char *name)
{
	double limit = seconds_now() + SWITCH_SECONDS;
	struct mull_schedule_status status;
	int error = mull_schedule(mull, &status);
	enum status found;
	uint32_t number;

	if (error)
		return remote_status(mull, error);
	found = find(&status, name, &number);
	if (found != STATUS_OK)
		return found;
	error = mull_switch_schedule(mull, number);
	while (!error && status.in_force != number) {
		error = mull_pump(mull, LOOK_MILLISECONDS, -1);
		if (!error)
			error = mull_schedule(mull, &status);
		if (!error && seconds_now() > limit)
			return STATUS_TIMED_OUT;
	}
	return remote_status(mull, error);
}

int verb_schedule(const struct options *options)
{
	const char *name = options->text[OPTION_SWITCH];
	enum status status = STATUS_OK;
	struct mull *mull;

	if (!name)
		return remote_show(options, show_schedule);
	mull = remote_open(options, NULL, &status);
	if (!mull)
		return status;
	status = change(mull, name);
	mull_close(mull);
	return status;
}
