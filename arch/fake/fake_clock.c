/* SPDX-License-Identifier: MIT */
/* Time stands still unless the test moves it. */
#include <arch/fake/fake.h>

uint64_t fake_time;
uint64_t fake_time_khz = 1000000;
uint64_t fake_deadline = ARCH_NO_DEADLINE;

FAKE uint64_t arch_time(void)
{
	return fake_time;
}

FAKE uint64_t arch_time_khz(void)
{
	return fake_time_khz;
}

FAKE void arch_set_deadline(uint64_t time)
{
	fake_deadline = time;
}
