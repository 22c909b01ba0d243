/* SPDX-License-Identifier: MIT */
/*
 * Time: the TSC, its rate measured once against a clock whose rate is known:
 * the ACPI PM timer (ACPI 6.4, "Power Management Timer"), or the PIT (Intel
 * 231164, "82C54 Programmable Interval Timer") on machines without ACPI.
 */
#include "acpi.h"
#include "cpu.h"
#include "registers.h"
#include <mullion/arch.h>
#include <mullion/log.h>
#include <string.h>

#define PM_TIMER_HZ 3579545ull
#define PIT_HZ 1193182ull
#define MEASURE_MS 20
#define READINGS 64

static uint64_t tsc_khz;

uint64_t arch_time(void)
{
	return read_tsc();
}

uint64_t arch_time_khz(void)
{
	return tsc_khz;
}

void clock_wait_us(uint64_t microseconds)
{
	uint64_t end = read_tsc() + tsc_khz * microseconds / 1000;

	while (read_tsc() < end)
		arch_pause();
}

static uint32_t pm_timer(void)
{
	return arch_port_in32(acpi.pm_timer_port) & 0xffffff;
}

/* What only waits is never inlined: tests/bench/start_cost.py knows it by name
 * and counts it apart. */
#define WAIT __attribute__((noinline))

/* TSC ticks in @elapsed PM timer ticks; whatever time really passes, the
 * ratio is right. */
static WAIT uint64_t measure_by_pm_timer(void)
{
	uint32_t first = pm_timer(), elapsed;
	uint64_t start = read_tsc(), limit = 1ull << 36;
	uint64_t end;

	do {
		elapsed = (pm_timer() - first) & 0xffffff;
		end = read_tsc();
	} while (elapsed < PM_TIMER_HZ * MEASURE_MS / 1000 &&
		 end - start < limit);
	return elapsed ? (end - start) * PM_TIMER_HZ / elapsed / 1000 : 0;
}

/* Channel 2 counts down once; its output is bit 5 of port 0x61. */
static WAIT uint64_t measure_by_pit(void)
{
	uint32_t count = PIT_HZ * MEASURE_MS / 1000;
	uint64_t start, limit = 1ull << 36;
	uint8_t gate = arch_port_in8(0x61);

	arch_port_out8(0x61, (gate & ~2) | 1);
	arch_port_out8(0x43, 0xb0); /* channel 2, mode 0, 16 bits */
	arch_port_out8(0x42, count & 0xff);
	arch_port_out8(0x42, count >> 8);
	start = read_tsc();
	while (!(arch_port_in8(0x61) & 0x20))
		if (read_tsc() - start > limit)
			return 0;
	return (read_tsc() - start) / MEASURE_MS;
}

bool clock_counts_instructions;

static bool is_qemu(void)
{
	struct cpuid r = cpuid(0x40000000, 0);
	uint32_t words[] = { r.ebx, r.ecx, r.edx };

	return cpuid(1, 0).ecx & BIT(31) && !memcmp(words, "TCGTCGTCGTCG", 12);
}

/* Whether all readings of the TSC, but for a few that something came between,
 * are equally far apart. */
static bool ticks_are_even(void)
{
	uint64_t least = ~0ull, apart[READINGS];
	uint32_t even = 0;

	for (uint32_t i = 0; i < READINGS; i++) {
		uint64_t before = read_tsc();

		apart[i] = read_tsc() - before;
		if (apart[i] < least)
			least = apart[i];
	}
	for (uint32_t i = 0; i < READINGS; i++)
		even += apart[i] == least;
	return even > READINGS * 3 / 4;
}

void clock_start(void)
{
	const char *by = "PM timer";

	if (acpi.pm_timer_port != 0)
		tsc_khz = measure_by_pm_timer();
	if (tsc_khz == 0) {
		by = "PIT";
		tsc_khz = measure_by_pit();
	}
	if (tsc_khz == 0)
		panic("no clock to measure the TSC against");
	clock_counts_instructions = is_qemu() && ticks_are_even();
	log_write("TSC: %lu.%03lu MHz by the %s%s", tsc_khz / 1000,
		  tsc_khz % 1000, by,
		  clock_counts_instructions ? ", counting instructions" : "");
}
