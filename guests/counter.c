/* SPDX-License-Identifier: MIT */
/*
 * Prints a line a second; "count=N" ends it after N lines, "period=MS" sets
 * another pace.  The smallest guest that shows a VM is alive.
 */
#include "sdk.h"

int guest_main(void)
{
	uint64_t count = option_number("count", 0);
	uint64_t period = option_number("period", 1000) * NS_PER_MS;
	uint64_t start = time_ns();

	print("counter: %s has %u vCPU(s), %lu MiB, TSC %lu kHz\n",
	      guest_info.name, guest_info.vcpu_count,
	      (guest_info.memory_low + guest_info.memory_high) >> 20,
	      guest_info.tsc_khz);
	for (uint64_t i = 1; !count || i <= count; i++) {
		uint64_t now = time_ns() - start;

		/* Against the start, so that the pace does not drift. */
		if (now < i * period)
			sleep_ns(i * period - now);
		print("counter: %lu\n", i);
	}
	return 0;
}
