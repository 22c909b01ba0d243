/* SPDX-License-Identifier: MIT */
/* Pure: from CPUID to what there is, and from a plan to values of registers. */
#include "cache_allocation.h"
#include <mullion/bits.h>

enum { EAX, EBX, ECX, EDX };

#define LEAF_CACHES 0x4
#define LEAF_FEATURES 0x7
#define FEATURE_ALLOCATION BIT(15) /* PQE */
#define LEAF_ALLOCATION 0x10
#define RESOURCE_L3 1
#define RESOURCE_L2 2
#define RESOURCE_BANDWIDTH 3
#define LEAF_AMD_FEATURES 0x80000008
#define AMD_FEATURE_BANDWIDTH BIT(6)
#define LEAF_AMD_BANDWIDTH 0x80000020
#define AMD_L3_BANDWIDTH BIT(1) /* and the subleaf is 1 */
#define AMD_RATE_UNIT 125	/* MB/s: an eighth of 1 GB/s */

/* Before an L3 that nobody divides, L2's ways give nobody a part of his own. */
static bool has_level_3(read_cpuid *read)
{
	uint32_t r[4];

	for (uint32_t i = 0; i < 16; i++) {
		read(LEAF_CACHES, i, r);
		if (!(r[EAX] & BITS(4, 0)))
			return false;
		if (field_get(BITS(7, 5), r[EAX]) == 3)
			return true;
	}
	return false;
}

/* "Cache Allocation Technology": a mask of fewer than two ways is not for the
 * server processors of this signature. */
static uint32_t least_ways(read_cpuid *read)
{
	uint32_t r[4];

	read(1, 0, r);
	return (r[EAX] & 0x0fff0ff0) == 0x000306f0 ? 2 : 1;
}

static void find_ways(struct cache_means *means, read_cpuid *read,
		      uint32_t resource)
{
	uint32_t r[4];

	read(LEAF_ALLOCATION, resource, r);
	means->level = resource == RESOURCE_L3 ? 3 : 2;
	means->ways = (r[EAX] & BITS(4, 0)) + 1;
	means->least = least_ways(read);
	means->others = r[EBX] & (uint32_t)BITS(means->ways - 1, 0);
	means->splits = r[ECX] & BIT(2);
	means->classes = (r[EDX] & BITS(15, 0)) + 1;
}

/* The delay is what is taken off, in percent; one that goes up to 90 goes in
 * steps of 10. */
static void find_delays(struct cache_means *means, read_cpuid *read)
{
	uint32_t r[4], most;

	read(LEAF_ALLOCATION, RESOURCE_BANDWIDTH, r);
	most = (r[EAX] & BITS(11, 0)) + 1;
	means->bandwidth_classes = (r[EDX] & BITS(15, 0)) + 1;
	if (!(r[ECX] & BIT(2)) || most >= 100) {
		means->bandwidth = BANDWIDTH_UNEVEN;
		return;
	}
	means->bandwidth = BANDWIDTH_PERCENT;
	means->bandwidth_step = 100 - most;
}

static void find_rates(struct cache_means *means, read_cpuid *read)
{
	uint32_t r[4], bits;

	read(0x80000000, 0, r);
	if (r[EAX] < LEAF_AMD_BANDWIDTH || r[EAX] >> 16 != 0x8000)
		return;
	read(LEAF_AMD_FEATURES, 0, r);
	if (!(r[EBX] & AMD_FEATURE_BANDWIDTH))
		return;
	read(LEAF_AMD_BANDWIDTH, 0, r);
	if (!(r[EBX] & AMD_L3_BANDWIDTH))
		return;
	read(LEAF_AMD_BANDWIDTH, 1, r);
	bits = r[EAX];
	if (bits < 1 || bits > 24)
		return; /* more than a number of MB/s holds */
	means->bandwidth = BANDWIDTH_RATE;
	means->bandwidth_classes = (r[EDX] & BITS(15, 0)) + 1;
	means->bandwidth_step = AMD_RATE_UNIT;
	means->bandwidth_most = (uint32_t)(BIT(bits) - 1) * AMD_RATE_UNIT;
}

void cache_allocation_find(struct cache_means *means, read_cpuid *read)
{
	uint32_t r[4], resources;

	*means = (struct cache_means){ .level = 0 };
	find_rates(means, read);
	read(0, 0, r);
	if (r[EAX] < LEAF_ALLOCATION)
		return;
	read(LEAF_FEATURES, 0, r);
	if (!(r[EBX] & FEATURE_ALLOCATION))
		return;
	read(LEAF_ALLOCATION, 0, r);
	resources = r[EBX];
	if (resources & BIT(RESOURCE_L3))
		find_ways(means, read, RESOURCE_L3);
	else if (resources & BIT(RESOURCE_L2) && !has_level_3(read))
		find_ways(means, read, RESOURCE_L2);
	if (resources & BIT(RESOURCE_BANDWIDTH))
		find_delays(means, read);
}

uint32_t cache_allocation_split_msr(const struct cache_means *means)
{
	if (!means->level || !means->splits)
		return 0;
	return means->level == 3 ? MSR_L3_QOS_CFG : MSR_L2_QOS_CFG;
}

uint32_t cache_allocation_mask_msr(const struct cache_means *means)
{
	return means->level == 3 ? MSR_L3_MASK : MSR_L2_MASK;
}

/* Without a limit there is no delay, and AMD's bit above the rate is set. */
static struct msr_value bandwidth_value(const struct cache_means *means,
					uint32_t class, uint32_t bandwidth)
{
	uint32_t units = means->bandwidth_most / AMD_RATE_UNIT + 1;

	if (means->bandwidth == BANDWIDTH_RATE)
		return (struct msr_value){ MSR_BANDWIDTH_RATE + class,
					   bandwidth ?
						   bandwidth / AMD_RATE_UNIT :
						   units };
	return (struct msr_value){ MSR_BANDWIDTH_DELAY + class,
				   bandwidth ? 100 - bandwidth : 0 };
}

size_t cache_allocation_values(const struct cache_plan *plan,
			       struct msr_value to[CACHE_ALLOCATION_VALUES])
{
	const struct cache_means *means = &plan->means;
	uint32_t masks = plan->split ? 2 : 1;
	uint32_t rest = cache_plan_rest(plan);
	size_t count = 0;

	for (uint32_t i = 0; i < cache_plan_classes(plan); i++) {
		const struct cache_class *class = &plan->classes[i];
		uint32_t msr = cache_allocation_mask_msr(means) + i * masks;

		if (i && !class->used)
			continue;
		if (means->level)
			to[count++] = (struct msr_value){
				msr, class->data ? class->data : rest
			};
		if (means->level && plan->split)
			to[count++] = (struct msr_value){
				msr + 1, class->code ? class->code : rest
			};
		if (means->bandwidth == BANDWIDTH_PERCENT ||
		    means->bandwidth == BANDWIDTH_RATE)
			to[count++] = bandwidth_value(means, i,
						      class->bandwidth);
	}
	return count;
}
