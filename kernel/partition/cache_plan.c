/* SPDX-License-Identifier: MIT */
/*
 * Who has which ways of the cache.  A VM keeps its ways where they are: moving
 * them would empty its part of the cache.  So what VMs leave when they go may
 * lie in pieces, and a later one may find too few side by side.
 */
#include <mullion/bits.h>
#include <mullion/cache.h>

static uint32_t smaller(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* @count set bits from bit 0 on. */
static uint32_t low_bits(uint32_t count)
{
	return count ? (uint32_t)BITS(count - 1, 0) : 0;
}

uint32_t cache_plan_classes(const struct cache_plan *plan)
{
	const struct cache_means *means = &plan->means;
	uint32_t count = CACHE_CLASSES;

	if (means->level)
		count = smaller(count, means->classes / (plan->split ? 2 : 1));
	if (means->bandwidth != BANDWIDTH_NONE)
		count = smaller(count, means->bandwidth_classes);
	return count;
}

static uint32_t free_ways(const struct cache_plan *plan)
{
	uint32_t ways = low_bits(plan->means.ways);

	for (uint32_t i = 1; i < CACHE_CLASSES; i++)
		ways &= ~(plan->classes[i].data | plan->classes[i].code);
	return ways;
}

/* Of those in @ways the most side by side. */
static uint32_t longest_run(uint32_t ways, uint32_t *length)
{
	uint32_t best = 0, run = 0, count = 0;

	*length = 0;
	for (uint32_t i = 0; i < 32; i++) {
		run = ways & BIT(i) ? run | (uint32_t)BIT(i) : 0;
		count = run ? count + 1 : 0;
		if (count > *length) {
			*length = count;
			best = run;
		}
	}
	return best;
}

uint32_t cache_plan_rest(const struct cache_plan *plan)
{
	uint32_t length;

	return longest_run(free_ways(plan), &length);
}

/* The lowest place for so many ways that leaves enough for class 0; 0: there is
 * none.  What devices use as well would be nobody's alone. */
static uint32_t find_ways(const struct cache_plan *plan, uint32_t count)
{
	uint32_t free = free_ways(plan), rest;

	for (uint32_t at = 0; at + count <= plan->means.ways; at++) {
		uint32_t ways = low_bits(count) << at;

		if (ways & ~free || ways & plan->means.others)
			continue;
		longest_run(free & ~ways, &rest);
		if (rest >= plan->means.least)
			return ways;
	}
	return 0;
}

uint32_t cache_plan_left(const struct cache_plan *plan)
{
	uint32_t count = plan->means.ways;

	while (count && !find_ways(plan, count))
		count--;
	return count;
}

static bool any_is_used(const struct cache_plan *plan)
{
	for (uint32_t i = 1; i < CACHE_CLASSES; i++)
		if (plan->classes[i].used)
			return true;
	return false;
}

void cache_plan_split(struct cache_plan *plan, bool wanted)
{
	if (!any_is_used(plan))
		plan->split = wanted && plan->means.splits;
}

/* Code has the upper ones. */
static enum cache_lack take_ways(const struct cache_plan *plan,
				 const struct mull_vm *vm,
				 struct cache_class *class)
{
	const struct cache_means *means = &plan->means;
	uint32_t data = vm->cache_ways - vm->cache_code_ways, ways;

	if (!vm->cache_ways)
		return CACHE_FITS;
	if (!means->level)
		return CACHE_NO_WAYS;
	if (vm->cache_code_ways && !means->splits)
		return CACHE_NO_SPLIT;
	if (vm->cache_code_ways && !plan->split)
		return CACHE_SPLIT_LATE;
	if (data < means->least ||
	    (vm->cache_code_ways && vm->cache_code_ways < means->least))
		return CACHE_TOO_NARROW;
	ways = find_ways(plan, vm->cache_ways);
	if (!ways)
		return CACHE_FULL;
	class->data = ways;
	class->code = ways;
	if (vm->cache_code_ways) {
		class->data &= ways >> vm->cache_code_ways;
		class->code &= ~class->data;
	}
	return CACHE_FITS;
}

static enum cache_lack take_bandwidth(const struct cache_means *means,
				      const struct mull_vm *vm,
				      struct cache_class *class)
{
	uint32_t wanted = vm->bandwidth_percent;

	if (!vm->bandwidth_percent && !vm->bandwidth_rate)
		return CACHE_FITS;
	switch (means->bandwidth) {
	case BANDWIDTH_NONE:
		return CACHE_NO_LIMITS;
	case BANDWIDTH_UNEVEN:
		return CACHE_NO_EVEN;
	case BANDWIDTH_PERCENT:
		if (!vm->bandwidth_percent)
			return CACHE_NO_RATE;
		break;
	case BANDWIDTH_RATE:
		if (!vm->bandwidth_rate)
			return CACHE_NO_PERCENT;
		wanted = smaller(vm->bandwidth_rate, means->bandwidth_most);
		break;
	case BANDWIDTH_ANY:
		return CACHE_FITS;
	}
	class->bandwidth = wanted - wanted % means->bandwidth_step;
	return class->bandwidth ? CACHE_FITS : CACHE_BELOW_LIMIT;
}

enum cache_lack cache_plan_take(struct cache_plan *plan,
				const struct mull_vm *vm, uint32_t *class)
{
	struct cache_class taken = { .used = true };
	enum cache_lack lack;
	uint32_t at = 1;

	*class = 0;
	if (!cache_is_wanted(vm))
		return CACHE_FITS;
	lack = take_ways(plan, vm, &taken);
	if (lack == CACHE_FITS)
		lack = take_bandwidth(&plan->means, vm, &taken);
	if (lack != CACHE_FITS)
		return lack;
	while (at < cache_plan_classes(plan) && plan->classes[at].used)
		at++;
	if (at >= cache_plan_classes(plan))
		return CACHE_NO_CLASS;
	plan->classes[at] = taken;
	*class = at;
	return CACHE_FITS;
}

void cache_plan_give(struct cache_plan *plan, uint32_t class)
{
	plan->classes[class] = (struct cache_class){ .used = false };
}
