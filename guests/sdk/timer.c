/* SPDX-License-Identifier: MIT */
/* Time from the TSC, wake-ups from the local APIC's timer. */
#include "sdk.h"

#define DIVIDE_BY_1 0xb
#define CALIBRATION_NS NS_PER_MS
#define CALIBRATION_MAX_NS (50 * NS_PER_MS)
/* What an access of the timer takes may be so small a part of it. */
#define CALIBRATION_ACCESSES 200
#define CALIBRATIONS 5
#define COUNT_MAX 0xffffffffull

static uint64_t timer_khz; /* of the local APIC timer, undivided */

/* @a * @b / @c without losing the high half of the product. */
static uint64_t scale(uint64_t a, uint64_t b, uint64_t c)
{
	uint64_t high, low, quotient, rest;

	asm("mul %3" : "=d"(high), "=a"(low) : "a"(a), "r"(b) : "cc");
	if (high >= c)
		return ~0ull;
	asm("div %4"
	    : "=a"(quotient), "=d"(rest)
	    : "a"(low), "d"(high), "r"(c)
	    : "cc");
	return quotient;
}

uint64_t time_ns(void)
{
	return scale(tsc_read(), NS_PER_MS, guest_info.tsc_khz);
}

void spin_ns(uint64_t ns)
{
	uint64_t start = time_ns();

	while (time_ns() - start < ns)
		cpu_relax();
}

static void timer_arm(uint32_t mode, uint64_t ns)
{
	uint64_t count = scale(ns, timer_khz, NS_PER_MS);

	if (count > COUNT_MAX)
		count = COUNT_MAX;
	apic_write(APIC_TIMER_DIVIDE, DIVIDE_BY_1);
	apic_write(APIC_LVT_TIMER, mode | VECTOR_TIMER);
	apic_write(APIC_TIMER_INITIAL, count ? (uint32_t)count : 1);
}

void timer_once(uint64_t ns)
{
	timer_arm(0, ns);
}

void timer_periodic(uint64_t ns)
{
	timer_arm(APIC_LVT_PERIODIC, ns);
}

void timer_stop(void)
{
	apic_write(APIC_LVT_TIMER, APIC_LVT_MASKED);
	apic_write(APIC_TIMER_INITIAL, 0);
}

/*
 * The rate over one short time, in kHz.  When within its access a register of the
 * timer is written or read nobody knows: the middle is the best guess.  @unsure is
 * what the accesses took, in millionths of that time: the rate errs by half of it
 * at most.
 */
static uint64_t measure(uint64_t *unsure)
{
	uint64_t times[4], access, length;
	uint32_t left;

	times[0] = time_ns();
	apic_write(APIC_TIMER_INITIAL, (uint32_t)COUNT_MAX);
	times[1] = time_ns();
	length = (times[1] - times[0]) * CALIBRATION_ACCESSES;
	if (length > CALIBRATION_MAX_NS)
		length = CALIBRATION_MAX_NS;
	spin_ns(length > CALIBRATION_NS ? length : CALIBRATION_NS);
	times[2] = time_ns();
	left = apic_read(APIC_TIMER_CURRENT);
	times[3] = time_ns();
	access = times[1] - times[0] + times[3] - times[2];
	length = (times[2] + times[3] - times[0] - times[1]) / 2;
	*unsure = scale(access, NS_PER_MS, length);
	return scale(COUNT_MAX - left, NS_PER_MS, length);
}

/* A vCPU may be held up in an access: the surest of some measurements is taken. */
void timer_calibrate(void)
{
	uint64_t least = ~0ull;

	apic_write(APIC_TIMER_DIVIDE, DIVIDE_BY_1);
	apic_write(APIC_LVT_TIMER, APIC_LVT_MASKED);
	for (int i = 0; i < CALIBRATIONS; i++) {
		uint64_t unsure, khz = measure(&unsure);

		if (unsure >= least)
			continue;
		least = unsure;
		timer_khz = khz;
	}
	timer_stop();
}

void sleep_ns(uint64_t ns)
{
	uint64_t start = time_ns();
	uint64_t passed;

	interrupts_off();
	while ((passed = time_ns() - start) < ns) {
		timer_once(ns - passed);
		halt_until_interrupt();
	}
	timer_stop();
}
