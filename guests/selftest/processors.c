/* SPDX-License-Identifier: MIT */
/* The other vCPUs: started, reached by interrupts, agreeing on time. */
#include "selftest.h"

#define VECTOR_PING 0x70
#define WAIT (2 * NS_PER_SECOND)
#define TSC_ROUNDS 2000

static volatile uint32_t pings[SDK_VCPU_MAX], nmis[SDK_VCPU_MAX];
static volatile uint64_t turn_tsc;
static volatile uint32_t turn;
static volatile bool tsc_went_back;

static void on_ping(struct interrupt_frame *frame)
{
	(void)frame;
	pings[cpu_index()]++;
}

static void on_nmi(struct interrupt_frame *frame)
{
	(void)frame;
	nmis[cpu_index()]++;
}

/* Whether every vCPU but @except has @counts of @value, after a while. */
static bool all_have(volatile uint32_t *counts, uint32_t value, uint32_t except)
{
	uint64_t start = time_ns();
	uint32_t i = 0;

	interrupts_on();
	while (i < guest_info.vcpu_count && time_ns() - start < WAIT) {
		if (i == except || counts[i] == value)
			i++;
		else
			cpu_relax();
	}
	interrupts_off();
	return i == guest_info.vcpu_count;
}

static void check_identity(void *argument)
{
	bool *right = argument;

	*right = apic_id() == cpu_index() &&
		 cpuid(1, 0).ebx >> 24 == cpu_index() &&
		 !(msr_read(MSR_APIC_BASE) & APIC_BASE_BOOT_CPU);
}

static void test_identities(void)
{
	static bool right[SDK_VCPU_MAX];
	bool all = true;

	for (uint32_t i = 1; i < guest_info.vcpu_count; i++) {
		all = smp_run(i, check_identity, &right[i]) &&
		      smp_wait(i, WAIT) && right[i] && all;
	}
	report(all, "every vCPU has its own APIC ID");
}

static void test_interrupts(void)
{
	interrupt_handle(VECTOR_PING, on_ping);
	interrupt_handle(VECTOR_NMI, on_nmi);
	for (uint32_t i = 1; i < guest_info.vcpu_count; i++)
		apic_send(i, IPI_FIXED | IPI_ASSERT | VECTOR_PING);
	report(all_have(pings, 1, 0), "an IPI reaches each other vCPU");
	apic_send(0, IPI_OTHERS | IPI_ASSERT | VECTOR_PING);
	report(all_have(pings, 2, 0) && pings[0] == 0,
	       "an IPI to all others reaches them, not the sender");
	pings[0] = 2;
	apic_send(0, IPI_ALL | IPI_ASSERT | VECTOR_PING);
	report(all_have(pings, 3, SDK_VCPU_MAX), "an IPI to all reaches all");
	apic_send(0, IPI_OTHERS | IPI_NMI | IPI_ASSERT);
	report(all_have(nmis, 1, 0), "an NMI reaches each other vCPU");
	interrupt_handle(VECTOR_NMI, NULL);
}

/* Two vCPUs take turns; the TSC must never be behind the other's. */
static void take_turns(uint32_t parity)
{
	uint64_t start = time_ns();

	while (turn < 2 * TSC_ROUNDS && time_ns() - start < 10 * WAIT) {
		uint64_t now;

		if (turn % 2 != parity) {
			cpu_relax();
			continue;
		}
		now = tsc_read();
		if (now < turn_tsc)
			tsc_went_back = true;
		turn_tsc = now;
		turn++;
	}
}

static void take_odd_turns(void *argument)
{
	(void)argument;
	take_turns(1);
}

static void test_tsc(void)
{
	turn = 0;
	turn_tsc = 0;
	if (!smp_run(1, take_odd_turns, NULL)) {
		report(false, "the TSCs of two vCPUs agree");
		return;
	}
	take_turns(0);
	report(smp_wait(1, 10 * WAIT) && turn >= 2 * TSC_ROUNDS &&
		       !tsc_went_back,
	       "the TSCs of two vCPUs agree");
}

static void sleep_a_while(void *argument)
{
	uint64_t *passed = argument;
	uint64_t start = time_ns();

	sleep_ns(3 * NS_PER_MS);
	*passed = time_ns() - start;
}

static void test_timers(void)
{
	static uint64_t passed[SDK_VCPU_MAX];
	bool all = true;

	for (uint32_t i = 1; i < guest_info.vcpu_count; i++)
		all = smp_run(i, sleep_a_while, &passed[i]) && all;
	for (uint32_t i = 1; i < guest_info.vcpu_count; i++)
		all = smp_wait(i, WAIT) && passed[i] >= 3 * NS_PER_MS && all;
	report(all, "every vCPU's timer wakes it up");
}

void test_processors(void)
{
	uint32_t running = smp_start();

	report(running == guest_info.vcpu_count, "%u of %u vCPUs run", running,
	       guest_info.vcpu_count);
	if (guest_info.vcpu_count < 2 || running != guest_info.vcpu_count)
		return;
	test_identities();
	test_interrupts();
	test_timers();
	test_tsc();
}
