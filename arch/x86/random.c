/* SPDX-License-Identifier: MIT */
/* Intel Digital Random Number Generator Software Implementation Guide,
 * "RDRAND Retry Recommendations". */
#include "cpu.h"
#include "registers.h"

#include <mullion/arch.h>
#include <mullion/bits.h>

#define RDRAND_TRIES 10

bool arch_random(uint64_t *value)
{
	if (!(cpuid(1, 0).ecx & BIT(30)))
		return false;
	for (int i = 0; i < RDRAND_TRIES; i++) {
		bool valid;

		__asm__ volatile("rdrand %0" : "=r"(*value), "=@ccc"(valid));
		if (valid)
			return true;
	}
	return false;
}
