/* SPDX-License-Identifier: MIT */
/*
 * The processor's classes of service: SDM 325384, "Cache Allocation Technology"
 * and "Memory Bandwidth Allocation"; AMD 56375, "Platform Quality of Service
 * Extensions", which has Intel's registers for caches and its own for bandwidth.
 */
#ifndef X86_CACHE_ALLOCATION_H
#define X86_CACHE_ALLOCATION_H

#include <mullion/cache.h>
#include <stddef.h>
#include <stdint.h>

#define MSR_PQR_ASSOC 0xc8f
#define PQR_ASSOC_CLASS BITS(63, 32)
#define MSR_L3_QOS_CFG 0xc81
#define MSR_L2_QOS_CFG 0xc82
#define QOS_CFG_SPLIT BIT(0) /* CDP */
#define MSR_L3_MASK 0xc90    /* + number */
#define MSR_L2_MASK 0xd10
#define MSR_BANDWIDTH_DELAY 0xd50     /* Intel's, + class */
#define MSR_BANDWIDTH_RATE 0xc0000200 /* AMD's, + class */

struct msr_value {
	uint32_t msr;
	uint64_t value;
};

/* A mask for data and one for code, and a limit, for each class. */
#define CACHE_ALLOCATION_VALUES (3 * CACHE_CLASSES)

typedef void read_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t registers[4]);

void cache_allocation_find(struct cache_means *means, read_cpuid *read);

/* What is written for @plan, once code and data are split as it says; how many
 * there are.  Classes that nobody has keep what they had. */
size_t cache_allocation_values(const struct cache_plan *plan,
			       struct msr_value to[CACHE_ALLOCATION_VALUES]);
/* The register that says whether they are split; 0: there is none. */
uint32_t cache_allocation_split_msr(const struct cache_means *means);
uint32_t cache_allocation_mask_msr(const struct cache_means *means);

#endif
