/* SPDX-License-Identifier: MIT */
/* How much memory a guest has, where it is elastic. */
#include <mullion/bits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "remote.h"
#include "texts.h"
#include "work.h"

#define WAIT_SECONDS 60
#define QUIET_SECONDS 3 /* so long nothing moves: it is all that there is */
#define LOOK_MILLISECONDS 200

/* VIRTIO 1.2, "Memory Statistics Tags" */
static const char *const stat_names[] = {
	"swapped_in",	      "swapped_out", "major_faults",
	"minor_faults",	      "free",	     "total",
	"available",	      "caches",	     "huge_pages_got",
	"huge_pages_not_got",
};

static bool is_size(size_t tag)
{
	return tag < 2 || (tag >= 4 && tag <= 7);
}

static void put_balloon(struct output *output, const struct mull_balloon *it)
{
	output_size(output, "memory", it->now);
	output_size(output, "wanted", it->target);
	output_size(output, "least", it->least);
	output_size(output, "most", it->size);
	output_size(output, "in_balloon", it->lent);
	output_size(output, "free_for_others", it->size - it->now);
	output_yes(output, "driver", it->flags & MULL_BALLOON_DRIVEN);
	output_yes(output, "waits_for_memory", it->flags & MULL_BALLOON_WAITS);
	if (!it->known)
		return;
	output_list_begin(output, "guest_says");
	for (size_t i = 0; i < ARRAY_COUNT(stat_names); i++) {
		if (!(it->known & 1u << i))
			continue;
		output_row_begin(output);
		output_text(output, "what", stat_names[i]);
		if (is_size(i))
			output_size(output, "value", it->stats[i]);
		else
			output_number(output, "value", it->stats[i]);
		output_row_end(output);
	}
	output_list_end(output);
}

static enum status show_balloon(struct mull *mull,
				const struct mull_vm_status *vm,
				struct output *output)
{
	struct mull_balloon balloon;
	int error = mull_balloon(mull, vm->number, MULL_BALLOON_LOOK, &balloon);

	/* What the guest tells is of the question before. */
	if (!error)
		error = mull_pump(mull, LOOK_MILLISECONDS, -1);
	if (!error)
		error = mull_balloon(mull, vm->number, MULL_BALLOON_LOOK,
				     &balloon);
	if (error)
		return remote_status(mull, error);
	put_balloon(output, &balloon);
	return STATUS_OK;
}

static void tell_progress(const struct mull_balloon *it)
{
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r%llu MiB of %llu MiB, %llu MiB lent ",
			(unsigned long long)(it->now >> 20),
			(unsigned long long)(it->target >> 20),
			(unsigned long long)(it->lent >> 20));
}

static bool is_stuck(const struct mull_balloon *it)
{
	return it->now != it->target && it->flags & MULL_BALLOON_WAITS;
}

static const char *why_not(const struct mull_balloon *it)
{
	if (!(it->flags & MULL_BALLOON_DRIVEN))
		return ": its guest has no driver for the balloon";
	if (is_stuck(it))
		return ": no memory is free, others have it all; it gets what "
		       "becomes free";
	return "";
}

/* Whole frames seldom come to the page: it is enough when the guest has put in
 * all that was asked for, and nothing moves any more.  Where no frame is free
 * for what is to come back, only others can change that: it is told. */
static enum status wait_for(struct mull *mull, uint32_t vm,
			    struct mull_balloon *it, double seconds)
{
	double limit = seconds_now() + seconds, moved = seconds_now();
	struct mull_balloon before = *it;
	bool is_quiet;

	while (it->now != it->target) {
		int error = mull_pump(mull, LOOK_MILLISECONDS, -1);

		if (!error)
			error = mull_balloon(mull, vm, MULL_BALLOON_LOOK, it);
		if (error)
			return remote_status(mull, error);
		tell_progress(it);
		if (it->now != before.now || it->lent != before.lent)
			moved = seconds_now();
		before = *it;
		is_quiet = seconds_now() > moved + QUIET_SECONDS;
		if (is_stuck(it) && is_quiet)
			return STATUS_CONFLICT;
		if (it->lent == it->size - it->target && is_quiet)
			break;
		if (seconds_now() > limit)
			return STATUS_TIMED_OUT;
	}
	return STATUS_OK;
}

static enum status set(struct mull *mull, const struct mull_vm_status *vm,
		       uint64_t size, double seconds, struct output *output)
{
	struct mull_balloon balloon;
	int error = mull_balloon(mull, vm->number, size, &balloon);
	enum status status = remote_status(mull, error);
	double began = seconds_now();

	if (status != STATUS_OK)
		return status;
	status = wait_for(mull, vm->number, &balloon, seconds);
	if (isatty(STDERR_FILENO))
		fputc('\n', stderr);
	if (status == STATUS_TIMED_OUT || is_stuck(&balloon))
		tell("%s has %llu MiB after %.0f s, not %llu MiB%s", vm->name,
		     (unsigned long long)(balloon.now >> 20),
		     seconds_now() - began, (unsigned long long)(size >> 20),
		     why_not(&balloon));
	if (status == STATUS_OK || status == STATUS_TIMED_OUT ||
	    is_stuck(&balloon))
		put_balloon(output, &balloon);
	return status;
}

int verb_balloon(const struct options *options)
{
	struct mull_vm_status vm;
	struct output output;
	enum status status;
	struct mull *mull;
	double seconds;
	uint64_t size;

	if (!options->second)
		return remote_show(options, show_balloon);
	if (!texts_to_size(options->second, &size)) {
		tell("a size is 512MiB or the like, not \"%s\"",
		     options->second);
		return STATUS_USAGE;
	}
	if (!remote_timeout(options, WAIT_SECONDS, &seconds) ||
	    !output_begin(&output, options))
		return STATUS_USAGE;
	mull = remote_open_vm(options, NULL, &vm, &status);
	if (!mull)
		return status;
	work_begin();
	status = set(mull, &vm, size, seconds, &output);
	output_end(&output);
	work_end();
	mull_close(mull);
	return status;
}
