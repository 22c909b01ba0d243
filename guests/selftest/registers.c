/* SPDX-License-Identifier: MIT */
/* MSRs and control registers that guests rely on. */
#include "selftest.h"

#define MSR_UNKNOWN 0x5a5a5a5a
#define MSR_STAR 0xc0000081
#define MSR_LSTAR 0xc0000082
#define MSR_KVM_SYSTEM_TIME 0x4b564d01
#define MSR_KVM_WALL_CLOCK 0x4b564d00
#define CLOCK_READS 1000
#define SECONDS_2024 1704067200u

/* KVM's "pvclock" structures. */
struct clock_time {
	uint32_t version, pad;
	uint64_t tsc_timestamp, system_time;
	uint32_t tsc_to_system_mul;
	int8_t tsc_shift;
	uint8_t flags, reserved[2];
};

struct wall_clock {
	uint32_t version, seconds, nanoseconds;
};

static volatile struct clock_time clock_time __attribute__((aligned(64)));
static volatile struct wall_clock wall_clock __attribute__((aligned(64)));

static void test_kept(uint32_t msr, uint64_t value, const char *name)
{
	uint64_t old = msr_read(msr);
	uint64_t back;

	msr_write(msr, value);
	cpuid(0, 0); /* an exit between */
	back = msr_read(msr);
	msr_write(msr, old);
	report(back == value, "%s keeps its value", name);
}

/* Nanoseconds, as a KVM guest computes them. */
static uint64_t clock_read(void)
{
	uint64_t delta = tsc_read() - clock_time.tsc_timestamp;
	uint64_t high, low;

	if (clock_time.tsc_shift >= 0)
		delta <<= clock_time.tsc_shift;
	else
		delta >>= -clock_time.tsc_shift;
	asm("mul %3"
	    : "=d"(high), "=a"(low)
	    : "a"(delta), "r"((uint64_t)clock_time.tsc_to_system_mul)
	    : "cc");
	return clock_time.system_time + (high << 32 | low >> 32);
}

static void test_clock(void)
{
	uint64_t last, now, start, by_tsc, by_clock;
	bool forward = true, set;

	if (!msr_try_write(MSR_KVM_SYSTEM_TIME, (uintptr_t)&clock_time | 1)) {
		report(false, "kvm-clock can be switched on");
		return;
	}
	report(clock_time.version && !(clock_time.version & 1) &&
		       clock_time.tsc_to_system_mul,
	       "kvm-clock is filled in");
	last = clock_read();
	for (int i = 0; i < CLOCK_READS; i++) {
		now = clock_read();
		forward = forward && now >= last;
		last = now;
	}
	report(forward, "kvm-clock goes forward");
	start = time_ns();
	last = clock_read();
	spin_ns(20 * NS_PER_MS);
	by_clock = clock_read() - last;
	by_tsc = time_ns() - start;
	report(by_clock + by_clock / 50 >= by_tsc - by_tsc / 50 &&
		       by_clock <= by_tsc + by_tsc / 50,
	       "kvm-clock has the TSC's pace");
	msr_write(MSR_KVM_SYSTEM_TIME, 0);

	set = msr_try_write(MSR_KVM_WALL_CLOCK, (uintptr_t)&wall_clock);
	report(set && !(wall_clock.version & 1) &&
		       wall_clock.seconds > SECONDS_2024,
	       "the wall clock is set: %u", wall_clock.seconds);
}

void test_registers(void)
{
	uint64_t value;

	test_kept(MSR_FS_BASE, 0x123456789000, "FS_BASE");
	test_kept(MSR_KERNEL_GS_BASE, 0xffff888000001000, "KERNEL_GS_BASE");
	test_kept(MSR_STAR, 0x001b000800000000, "STAR");
	test_kept(MSR_LSTAR, 0xffffffff81000000, "LSTAR");
	report(!msr_try_read(MSR_UNKNOWN, &value) &&
		       last_fault.vector == VECTOR_PROTECTION,
	       "an MSR that is not there raises #GP when read");
	report(!msr_try_write(MSR_UNKNOWN, 1) &&
		       last_fault.vector == VECTOR_PROTECTION,
	       "an MSR that is not there raises #GP when written");
	report(msr_read(MSR_APIC_BASE) & APIC_BASE_BOOT_CPU,
	       "vCPU 0 is the bootstrap processor");
	test_clock();
}
