/* SPDX-License-Identifier: MIT */
/* The TSC, the local APIC timer, and waking up from HLT. */
#include "selftest.h"

#define TSC_READS 100000
#define WAKE_UPS 2000
#define WAKE_UP_STEP_NS 37 /* so that the timer fires at every place */
#define TICKS 10
#define PERIOD (2 * NS_PER_MS)
/* The machine below may be busy or emulated: late is no failure, early is. */
#define LATE_MAX (2 * NS_PER_SECOND)

static volatile unsigned int ticks;

static void on_tick(struct interrupt_frame *frame)
{
	(void)frame;
	ticks++;
}

/* Waits until @count ticks came or LATE_MAX passed; returns the time since
 * @start, which was read before the timer was set: a vCPU may stand still at
 * any instruction. */
static uint64_t wait_for_ticks(unsigned int count, uint64_t start)
{
	interrupts_on();
	while (ticks < count && time_ns() - start < LATE_MAX)
		cpu_relax();
	interrupts_off();
	return time_ns() - start;
}

static void test_tsc(void)
{
	uint64_t last = tsc_read();
	bool forward = true;

	for (int i = 0; i < TSC_READS; i++) {
		uint64_t now = tsc_read();

		forward = forward && now >= last;
		last = now;
	}
	report(forward, "the TSC goes forward");
}

static void test_once(void)
{
	uint64_t passed, start = time_ns();

	ticks = 0;
	timer_once(5 * NS_PER_MS);
	passed = wait_for_ticks(1, start);
	report(ticks == 1 && passed >= 4 * NS_PER_MS,
	       "the timer fires once after its time (%lu us)",
	       passed / NS_PER_US);
	interrupts_on();
	spin_ns(20 * NS_PER_MS);
	interrupts_off();
	report(ticks == 1, "the timer fires no second time");
	report(apic_read(APIC_TIMER_CURRENT) == 0, "its count has run out");
	timer_stop();
}

static void test_periodic(void)
{
	uint64_t passed, start = time_ns();

	ticks = 0;
	timer_periodic(PERIOD);
	passed = wait_for_ticks(TICKS, start);
	timer_stop();
	report(ticks >= TICKS && passed >= (TICKS - 1) * PERIOD - PERIOD / 2,
	       "the timer fires again and again (%u in %lu us)", ticks,
	       passed / NS_PER_US);
	ticks = 0;
	interrupts_on();
	spin_ns(20 * NS_PER_MS);
	interrupts_off();
	report(ticks <= 1, "the timer can be stopped");
}

static void test_deadline(void)
{
	uint64_t passed, start = time_ns();

	if (!(cpuid(1, 0).ecx & CPUID1_ECX_TSC_DEADLINE))
		return;
	ticks = 0;
	apic_write(APIC_LVT_TIMER, APIC_LVT_DEADLINE | VECTOR_TIMER);
	asm volatile("mfence" ::: "memory");
	msr_write(MSR_TSC_DEADLINE, tsc_read() + 5 * guest_info.tsc_khz);
	passed = wait_for_ticks(1, start);
	report(ticks == 1 && passed >= 4 * NS_PER_MS,
	       "the TSC deadline fires (%lu us)", passed / NS_PER_US);
	report(msr_read(MSR_TSC_DEADLINE) == 0, "it is disarmed then");
	ticks = 0;
	msr_write(MSR_TSC_DEADLINE, 1);
	wait_for_ticks(1, time_ns());
	report(ticks == 1, "a deadline in the past fires at once");
	timer_stop();
}

/* A wake-up that is lost between STI and HLT ends this test for ever. */
static void test_halt(void)
{
	uint64_t start = time_ns();
	uint64_t asked = 0, passed;

	for (uint64_t i = 0; i < WAKE_UPS; i++) {
		sleep_ns(i * WAKE_UP_STEP_NS);
		asked += i * WAKE_UP_STEP_NS;
	}
	passed = time_ns() - start;
	report(passed >= asked, "HLT wakes up %d times (%lu us)", WAKE_UPS,
	       passed / NS_PER_US);
}

void test_time(void)
{
	interrupt_handle(VECTOR_TIMER, on_tick);
	test_tsc();
	test_once();
	test_periodic();
	test_deadline();
	test_halt();
	interrupt_handle(VECTOR_TIMER, NULL);
}
