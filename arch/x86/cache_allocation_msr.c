/* SPDX-License-Identifier: MIT */
/* The registers of cache_allocation.c, on the processor. */
#include "cache_allocation.h"
#include "registers.h"
#include <mullion/arch.h>

void arch_cache_find(struct cache_means *means)
{
	cache_allocation_find(means, arch_cpuid);
}

/* SDM 325384, "Disabling CDP": masks change their meanings, so all are full at
 * that time.  Nobody has a class of his own then. */
static void set_split(const struct cache_plan *plan)
{
	const struct cache_means *means = &plan->means;
	uint32_t msr = cache_allocation_split_msr(means);
	uint64_t wanted = plan->split ? QOS_CFG_SPLIT : 0, now;

	if (!msr)
		return;
	now = read_msr(msr);
	if ((now & QOS_CFG_SPLIT) == wanted)
		return;
	for (uint32_t i = 0; i < means->classes; i++)
		write_msr(cache_allocation_mask_msr(means) + i,
			  BITS(means->ways - 1, 0));
	write_msr(msr, (now & ~QOS_CFG_SPLIT) | wanted);
}

void arch_cache_set(const struct cache_plan *plan)
{
	struct msr_value values[CACHE_ALLOCATION_VALUES];
	size_t count = cache_allocation_values(plan, values);

	set_split(plan);
	for (size_t i = 0; i < count; i++)
		write_msr(values[i].msr, values[i].value);
}

/* Nothing is monitored, so the other half is 0. */
void arch_cache_use(uint32_t class)
{
	write_msr(MSR_PQR_ASSOC, field_make(PQR_ASSOC_CLASS, class));
}
