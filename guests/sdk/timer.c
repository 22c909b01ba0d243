/* SPDX-License-Identifier: MIT */
/* Time from the TSC, wake-ups from the local APIC's timer. */
#include "sdk.h"

#define DIVIDE_BY_1 0xb
#define CALIBRATION_NS NS_PER_MS
/* What an access of the timer takes may be so small a part of it. */
#define CALIBRATION_ACCESSES 200
#define CALIBRATIONS 3
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

/* The rate over one short time, in kHz.  When within its access a register
 * of the timer is written or read nobody knows: the middle is the best guess,
 * and errs by less than half of what an access takes. */
static uint64_t measure(void)
{
	uint64_t before, start, end, access;
	uint32_t left;

	before = time_ns();
	apic_write(APIC_TIMER_INITIAL, (uint32_t)COUNT_MAX);
	start = time_ns();
	access = (start - before) * CALIBRATION_ACCESSES;
	spin_ns(access > CALIBRATION_NS ? access : CALIBRATION_NS);
	end = time_ns();
	left = apic_read(APIC_TIMER_CURRENT);
	end = (end + time_ns()) / 2;
	return scale(COUNT_MAX - left, NS_PER_MS, end - (before + start) / 2);
}

/* A vCPU that is held up in an access makes the timer look too fast or too
 * slow: the middle of some measurements is the best. */
void timer_calibrate(void)
{
	uint64_t khz[CALIBRATIONS] = { 0 };

	apic_write(APIC_TIMER_DIVIDE, DIVIDE_BY_1);
	apic_write(APIC_LVT_TIMER, APIC_LVT_MASKED);
	for (int i = 0; i < CALIBRATIONS; i++) {
		uint64_t measured = measure();
		int at;

		for (at = i; at > 0 && khz[at - 1] > measured; at--)
			khz[at] = khz[at - 1];
		khz[at] = measured;
	}
	timer_khz = khz[CALIBRATIONS / 2];
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
