/* SPDX-License-Identifier: MIT */
/* Samples of a hypervisor, and what happened between two of them. */
#include <stdio.h>
#include <string.h>

#include "top.h"

/* The VM as it was; NULL when it was not there or nothing can be said. */
static const struct top_vm *find_before(const struct top_pair *pair,
					const struct mull_vm_status *status)
{
	for (size_t i = 0; pair->seconds > 0 && i < pair->before.vm_count;
	     i++) {
		const struct top_vm *vm = &pair->before.vms[i];

		/* A number may have been given to another VM. */
		if (vm->status.number == status->number &&
		    !strcmp(vm->status.name, status->name))
			return vm;
	}
	return NULL;
}

/* A VM that has done nothing is not asked about: the line may be slow. */
static int take_stats(struct mull *mull, const struct top_pair *pair,
		      struct top_vm *vm)
{
	const struct top_vm *before = find_before(pair, &vm->status);
	int error;

	if (before && before->status.exits == vm->status.exits &&
	    before->status.guest_ns == vm->status.guest_ns) {
		vm->stats = before->stats;
		return MULL_OK;
	}
	error = mull_vm_stats(mull, vm->status.number, MULL_ALL_VCPUS,
			      &vm->stats);
	return error > 0 ? MULL_OK : error; /* it may have gone meanwhile */
}

int top_take(struct mull *mull, struct top_pair *pair)
{
	static struct mull_vm_status list[MULL_VM_MAX];
	struct top_sample *now = &pair->now;
	int error;

	pair->before = *now;
	pair->seconds = 0;
	error = mull_info(mull, &now->info);
	/* A time that went back: the machine has started anew. */
	if (!error && pair->before.info.time_ns &&
	    now->info.time_ns > pair->before.info.time_ns)
		pair->seconds = (double)(now->info.time_ns -
					 pair->before.info.time_ns) /
				1e9;
	if (!error)
		error = mull_cpu_stats(mull, now->cpus, &now->cpu_count);
	if (!error)
		error = mull_list(mull, list, &now->vm_count);
	for (size_t i = 0; !error && i < now->vm_count; i++) {
		now->vms[i] = (struct top_vm){ .status = list[i] };
		error = take_stats(mull, pair, &now->vms[i]);
	}
	if (error)
		memset(now, 0, sizeof *now); /* it is in pieces */
	return error;
}

/* A counter that went back has begun anew. */
static double grown(uint64_t now, uint64_t before)
{
	return now > before ? (double)(now - before) : 0;
}

static void put_rates(struct top_row *row, const struct top_vm *before,
		      double seconds)
{
	const struct mull_vm_stats *now = &row->vm->stats;
	const struct mull_vm_stats *then = &before->stats;
	double *value = row->value, most = 0;

	value[TOP_GUEST] = grown(now->guest_ns, then->guest_ns) / seconds / 1e7;
	value[TOP_HYPERVISOR] = grown(now->hypervisor_ns, then->hypervisor_ns) /
				seconds / 1e7;
	value[TOP_INTERRUPTS] = grown(now->interrupts, then->interrupts) /
				seconds;
	value[TOP_PRINTED] = grown(row->vm->status.console_position,
				   before->status.console_position) /
			     seconds;
	for (uint32_t kind = 0; kind < MULL_EXIT_KINDS; kind++) {
		row->exits[kind] = grown(now->exits[kind], then->exits[kind]) /
				   seconds;
		value[TOP_EXITS] += row->exits[kind];
		if (row->exits[kind] > most) {
			most = row->exits[kind];
			value[TOP_REASON] = kind;
		}
	}
}

size_t top_rows(const struct top_pair *pair, struct top_row rows[MULL_VM_MAX])
{
	for (size_t i = 0; i < pair->now.vm_count; i++) {
		const struct top_vm *vm = &pair->now.vms[i];
		const struct mull_vm_status *status = &vm->status;
		const struct top_vm *before = find_before(pair, status);
		bool alive = status->state == MULL_VM_RUNNING ||
			     status->state == MULL_VM_PAUSED;
		double *value = rows[i].value;

		rows[i] = (struct top_row){ .vm = vm };
		value[TOP_STATE] = alive;
		value[TOP_VCPUS] = status->vcpu_count;
		value[TOP_MEMORY] = (double)status->memory_size;
		value[TOP_RESTARTS] = status->restarts;
		value[TOP_REASON] = -1;
		if (alive)
			value[TOP_UP] = grown(pair->now.info.time_ns,
					      status->started_ns);
		if (before)
			put_rates(&rows[i], before, pair->seconds);
	}
	return pair->now.vm_count;
}

struct top_load top_load(const struct top_pair *pair)
{
	size_t count = pair->now.cpu_count;
	struct top_load sum = { 0 };
	double all;

	if (pair->seconds == 0 || count != pair->before.cpu_count)
		return sum;
	for (size_t i = 0; i < count; i++) {
		const struct mull_cpu_stats *now = &pair->now.cpus[i];
		const struct mull_cpu_stats *before = &pair->before.cpus[i];

		sum.guest += grown(now->guest_ns, before->guest_ns);
		sum.hypervisor += grown(now->hypervisor_ns,
					before->hypervisor_ns);
		sum.idle += grown(now->idle_ns, before->idle_ns);
	}
	all = (sum.guest + sum.hypervisor + sum.idle) / 100;
	if (all > 0)
		sum = (struct top_load){ sum.guest / all, sum.hypervisor / all,
					 sum.idle / all };
	return sum;
}

/* Below 0: @a comes before @b. */
static int compare(const struct top_row *a, const struct top_row *b,
		   enum top_column column)
{
	double left = a->value[column], right = b->value[column];

	if (column == TOP_NAME)
		return strcmp(a->vm->status.name, b->vm->status.name);
	return (right > left) - (right < left);
}

/* Insertion keeps the order of equals, so that rows do not jump. */
void top_sort(struct top_row *rows, size_t count, enum top_column column,
	      bool reverse)
{
	for (size_t i = 1; i < count; i++) {
		struct top_row row = rows[i];
		size_t at = i;

		for (; at; at--) {
			int order = compare(&rows[at - 1], &row, column);

			if (reverse ? order >= 0 : order <= 0)
				break;
			rows[at] = rows[at - 1];
		}
		rows[at] = row;
	}
}

void top_short_count(char text[8], double count, double step)
{
	const char *unit = step > 1000 ? " KMGT" : " kMGT";

	for (; count >= 999.5 && unit[1]; unit++)
		count /= step;
	if (*unit == ' ')
		snprintf(text, 8, "%.0f", count);
	else
		snprintf(text, 8, count < 9.95 ? "%.1f%c" : "%.0f%c",
			 count < 9999 ? count : 9999, *unit);
}

void top_short_time(char text[8], double nanoseconds)
{
	unsigned long seconds = (unsigned long)(nanoseconds / 1e9);

	if (seconds < 60)
		snprintf(text, 8, "%lus", seconds);
	else if (seconds < 3600)
		snprintf(text, 8, "%lum%02lu", seconds / 60, seconds % 60);
	else if (seconds < 86400)
		snprintf(text, 8, "%luh%02lu", seconds / 3600,
			 seconds / 60 % 60);
	else
		snprintf(text, 8, "%lud%02lu", seconds / 86400 % 10000,
			 seconds / 3600 % 24);
}
