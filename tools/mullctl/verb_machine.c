/* SPDX-License-Identifier: MIT */
/* Verbs about the whole machine: what it counts and logs, and its end. */
#include <mullion/bits.h>
#include <mullion/vm_exit.h>
#include <string.h>

#include "put_devices.h"
#include "put_storage.h"
#include "remote.h"
#include "texts.h"
#include "work.h"

#define AUDIT_SECONDS 120

/* ---- stats -------------------------------------------------------------- */

static int show_cpus(struct mull *mull, struct output *output)
{
	static struct mull_cpu_stats stats[MULL_CPU_MAX];
	size_t count;
	int error = mull_cpu_stats(mull, stats, &count);

	if (error)
		return error;
	output_list_begin(output, "cpus");
	for (size_t i = 0; i < count; i++) {
		output_row_begin(output);
		output_number(output, "cpu", stats[i].cpu);
		output_number(output, "vcpus", stats[i].vcpu_count);
		output_time(output, "in_guests", stats[i].guest_ns);
		output_time(output, "in_hypervisor", stats[i].hypervisor_ns);
		output_time(output, "idle", stats[i].idle_ns);
		output_number(output, "kicks", stats[i].kicks);
		output_number(output, "worst_step_ns", stats[i].worst_step_ns);
		output_row_end(output);
	}
	output_list_end(output);
	return MULL_OK;
}

static int show_machine(struct mull *mull, struct output *output)
{
	int error = show_cpus(mull, output);

	return error ? error : put_disk_counts(mull, output);
}

/* A silent guest has only such exits as it asked for. */
static void put_exit_sums(struct output *output,
			  const struct mull_vm_stats *stats)
{
	uint64_t asked = 0, other = 0;

	for (uint32_t kind = 0; kind < MULL_EXIT_KINDS; kind++)
		*(exit_is_asked_for(kind) ? &asked :
					    &other) += stats->exits[kind];
	output_number(output, "exits_asked_for", asked);
	output_number(output, "exits_not_asked_for", other);
}

static void put_stats(struct output *output, const struct mull_vm_stats *stats)
{
	output_time(output, "time", stats->time_ns);
	output_time(output, "in_guest", stats->guest_ns);
	output_time(output, "in_hypervisor", stats->hypervisor_ns);
	output_number(output, "interrupts", stats->interrupts);
	output_size(output, "memory", stats->memory_size - stats->memory_gone);
	output_size(output, "typed", stats->console_in);
	output_size(output, "printed", stats->console_out);
	output_number(output, "doorbells", stats->doorbells);
	output_number(output, "refused_writes", stats->refused_writes);
	put_exit_sums(output, stats);
	output_list_begin(output, "exits");
	for (int kind = 0; kind < MULL_EXIT_KINDS; kind++) {
		if (!stats->exits[kind])
			continue;
		output_row_begin(output);
		output_text(output, "exit", exit_kind_name((uint32_t)kind));
		output_number(output, "count", stats->exits[kind]);
		output_text(output, "asked_for",
			    exit_is_asked_for((uint32_t)kind) ? "yes" : "-");
		output_row_end(output);
	}
	output_list_end(output);
}

static enum status show_stats(struct mull *mull,
			      const struct mull_vm_status *vm,
			      struct output *output)
{
	struct mull_vm_stats stats;
	int error;

	if (!vm)
		return remote_status(mull, show_machine(mull, output));
	error = mull_vm_stats(mull, vm->number, MULL_ALL_VCPUS, &stats);
	if (!error)
		put_stats(output, &stats);
	if (!error)
		error = put_device_stats(mull, vm->number, output);
	return remote_status(mull, error);
}

int verb_stats(const struct options *options)
{
	return remote_show(options, show_stats);
}

/* ---- trace -------------------------------------------------------------- */

static const struct trace_class {
	const char *name;
	uint64_t bits;
} classes[] = {
	{ "exit", MULL_TRACE_EXIT },	 { "interrupt", MULL_TRACE_INTERRUPT },
	{ "device", MULL_TRACE_DEVICE }, { "manage", MULL_TRACE_MANAGE },
	{ "all", MULL_TRACE_ALL },	 { "none", 0 },
};

/* "exit,manage"; false after a message. */
static bool take_classes(const char *text, uint64_t *bits)
{
	*bits = 0;
	while (*text) {
		size_t length = strcspn(text, ","), i = 0;

		while (i < ARRAY_COUNT(classes) &&
		       (strlen(classes[i].name) != length ||
			strncmp(classes[i].name, text, length) != 0))
			i++;
		if (i == ARRAY_COUNT(classes)) {
			tell("trace classes are exit, interrupt, device, "
			     "manage, all and none, not \"%.*s\"",
			     (int)length, text);
			return false;
		}
		*bits |= classes[i].bits;
		text += length;
		text += *text == ',';
	}
	return true;
}

static enum status show_trace(struct mull *mull,
			      const struct mull_vm_status *vm,
			      struct output *output)
{
	struct mull_answer answer;
	int error = mull_ask(mull, MULL_COMMAND_TRACE, 0, MULL_TRACE_LOOK,
			     &answer);

	(void)vm;
	for (size_t i = 0; !error && classes[i].bits != MULL_TRACE_ALL; i++)
		output_yes(output, classes[i].name,
			   answer.value & classes[i].bits);
	return remote_status(mull, error);
}

int verb_trace(const struct options *options)
{
	enum status status;
	struct mull *mull;
	uint64_t bits;

	if (!options->operand)
		return remote_show(options, show_trace);
	if (!take_classes(options->operand, &bits))
		return STATUS_USAGE;
	mull = remote_open(options, NULL, &status);
	if (!mull)
		return status;
	status = remote_status(
		mull, mull_ask(mull, MULL_COMMAND_TRACE, 0, bits, NULL));
	mull_close(mull);
	return status;
}

/* ---- audit -------------------------------------------------------------- */

static int run_audit(struct mull *mull, struct mull_audit *audit)
{
	double limit = seconds_now() + AUDIT_SECONDS;
	int error = mull_audit(mull, true, audit);

	while (!error && audit->running && seconds_now() < limit) {
		mull_pump(mull, 100, -1);
		error = mull_audit(mull, false, audit);
	}
	return error;
}

static enum status show_audit(struct mull *mull,
			      const struct mull_vm_status *vm,
			      struct output *output)
{
	struct mull_audit audit;
	int error = run_audit(mull, &audit);

	(void)vm;
	if (error)
		return remote_status(mull, error);
	output_yes(output, "finished", !audit.running);
	output_number(output, "faults", audit.faults);
	output_text(output, "first_fault", audit.words);
	output_number(output, "frames", audit.frames);
	output_number(output, "tables", audit.tables);
	output_number(output, "entries", audit.entries);
	if (audit.running)
		return STATUS_TIMED_OUT;
	return audit.faults ? STATUS_FAILED : STATUS_OK;
}

int verb_audit(const struct options *options)
{
	return remote_show(options, show_audit);
}

/* ---- the end ------------------------------------------------------------ */

static int end_machine(const struct options *options, enum mull_machine_end end)
{
	enum status status;
	struct mull *mull = remote_open(options, NULL, &status);
	int error;

	if (!mull)
		return status;
	error = mull_ask(mull, MULL_COMMAND_MACHINE, 0, end, NULL);
	/* The answer may be lost, and who was asked is gone then. */
	if (error == MULL_UNREACHABLE ||
	    (error == MULL_RESTARTED && end != MULL_MACHINE_POWER_OFF))
		status = STATUS_OK;
	else
		status = remote_status(mull, error);
	mull_close(mull);
	return status;
}

int verb_shutdown(const struct options *options)
{
	return end_machine(options, MULL_MACHINE_POWER_OFF);
}

int verb_reboot(const struct options *options)
{
	return end_machine(options, options->text[OPTION_WARM] ?
					    MULL_MACHINE_WARM_RESET :
					    MULL_MACHINE_REBOOT);
}
