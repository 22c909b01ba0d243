/* SPDX-License-Identifier: MIT */
/* A VM's part of the cache and of memory bandwidth, against what the processor
 * can do and what other VMs have. */
#include "description_parts.h"

/* What some processor may have: for descriptions that no machine is known of. */
static const struct cache_means some_machine = {
	.level = 3,
	.ways = 32,
	.least = 1,
	.classes = 2 * CACHE_CLASSES,
	.splits = true,
	.bandwidth = BANDWIDTH_ANY,
	.bandwidth_classes = CACHE_CLASSES,
};

void check_cache_begin(struct check *check, size_t count)
{
	bool split = false;

	if (check->limits->cache)
		check->cache = *check->limits->cache;
	else
		check->cache.means = some_machine;
	for (size_t vm = 0; vm < count; vm++)
		split |= !check->bad[vm] && check->vms[vm].cache_code_ways;
	cache_plan_split(&check->cache, split);
}

/* Whether what it says makes sense anywhere. */
static bool says_sense(struct check *check, int vm)
{
	const struct mull_vm *it = &check->vms[vm];
	const char *words = NULL;

	if (it->cache_code_ways && it->cache_code_ways >= it->cache_ways)
		words = "code-ways of its cache must be fewer than its ways, "
			"so that some are left for data";
	else if (it->bandwidth_percent > 100)
		words = "a memory bandwidth of more than 100% cannot be";
	else if (it->bandwidth_percent && it->bandwidth_rate)
		words = "has two limits of its memory bandwidth";
	if (words)
		check_complain(check, vm, MULL_FIELD_CACHE, "%s", words);
	return !words;
}

static void complain_of_ways(struct check *check, int vm, enum cache_lack lack)
{
	const struct cache_plan *plan = &check->cache;
	const struct mull_vm *it = &check->vms[vm];

	if (lack == CACHE_TOO_NARROW)
		check_complain(check, vm, MULL_FIELD_CACHE,
			       "needs at least %u ways of the cache each for "
			       "what it divides them into",
			       plan->means.least);
	else
		check_complain(check, vm, MULL_FIELD_CACHE,
			       "needs %u ways of the cache side by side, but "
			       "of its %u only %u are left for it",
			       it->cache_ways, plan->means.ways,
			       cache_plan_left(plan));
}

/* What is lacking, and what to do; NULL: it takes numbers to say. */
static const char *words_for(enum cache_lack lack)
{
	switch (lack) {
	case CACHE_NO_WAYS:
		return "needs ways of the cache, but this processor has no "
		       "Cache Allocation Technology: leave \"ways\" out of its "
		       "cache";
	case CACHE_NO_SPLIT:
		return "needs ways for code alone, but this processor has no "
		       "Code and Data Prioritization: leave out \"code-ways\"";
	case CACHE_SPLIT_LATE:
		return "needs ways for code alone, but other VMs have parts of "
		       "the cache without: have a VM of the package say "
		       "\"code-ways\"";
	case CACHE_NO_LIMITS:
		return "needs a limit of its memory bandwidth, but this "
		       "processor has none to set: leave \"bandwidth\" out of "
		       "its cache";
	case CACHE_NO_PERCENT:
		return "needs a memory bandwidth in percent, but this "
		       "processor knows rates: say one, such as 8GB/s";
	case CACHE_NO_RATE:
		return "needs a memory bandwidth as a rate, but this processor "
		       "knows percents: say one, such as 50%";
	case CACHE_NO_EVEN:
		return "needs a limit of its memory bandwidth, but this "
		       "processor's delays stand for no percent: leave out "
		       "\"bandwidth\"";
	case CACHE_FITS:
	case CACHE_TOO_NARROW:
	case CACHE_FULL:
	case CACHE_NO_CLASS:
	case CACHE_BELOW_LIMIT:
		break;
	}
	return NULL;
}

static void complain(struct check *check, int vm, enum cache_lack lack)
{
	const struct cache_plan *plan = &check->cache;
	const char *words = words_for(lack);

	if (words)
		check_complain(check, vm, MULL_FIELD_CACHE, "%s", words);
	else if (lack == CACHE_NO_CLASS)
		check_complain(check, vm, MULL_FIELD_CACHE,
			       "needs a part of the cache, but this processor "
			       "has %u classes for such, and all are in use",
			       cache_plan_classes(plan) - 1);
	else if (lack == CACHE_BELOW_LIMIT)
		check_complain(check, vm, MULL_FIELD_CACHE,
			       "needs a memory bandwidth below %u %s, the "
			       "least that this processor limits it to",
			       plan->means.bandwidth_step,
			       plan->means.bandwidth == BANDWIDTH_RATE ?
				       "MB/s" :
				       "percent");
	else
		complain_of_ways(check, vm, lack);
}

void check_cache(struct check *check, int vm)
{
	enum cache_lack lack;

	check->cache_class = 0;
	if (!says_sense(check, vm))
		return;
	lack = cache_plan_take(&check->cache, &check->vms[vm],
			       &check->cache_class);
	if (lack != CACHE_FITS)
		complain(check, vm, lack);
}

/* One that is refused takes nothing from the others. */
void check_cache_end(struct check *check, int vm)
{
	if (!check_counts(check, vm))
		cache_plan_give(&check->cache, check->cache_class);
}
