/* SPDX-License-Identifier: MIT */
/*
 * Many vCPUs, on as few CPUs as there are: all start, each interrupts each
 * other one, and changes of page tables are made known to all, as kernels do
 * it (a TLB shootdown), by interrupts and, where it is offered, by KVM's word
 * of who runs.  Who waits halts, so that others get the CPU.
 */
#include "sdk.h"

#define VECTOR_HELLO 0x50
#define VECTOR_FORGET 0x51
#define WAIT (60 * NS_PER_SECOND)
#define SHOOTDOWNS 8
#define FRAME_A (8 * FRAME_SIZE) /* two frames of RAM that nobody uses */
#define FRAME_B (9 * FRAME_SIZE)

static volatile uint32_t hellos[SDK_VCPU_MAX];
static volatile uint32_t forgotten, wrong, asked;
static volatile uint64_t *shown;      /* in the window that changes */
static volatile uint64_t shown_value; /* what all must find there now */
static struct steal_time *times[SDK_VCPU_MAX];
static bool by_flags; /* where a vCPU does not run, in place of interrupts */

static void on_hello(struct interrupt_frame *frame)
{
	(void)frame;
	__atomic_fetch_add(&hellos[cpu_index()], 1, __ATOMIC_RELAXED);
}

/* The receiver's half of a shootdown. */
static void on_forget(struct interrupt_frame *frame)
{
	(void)frame;
	asm volatile("invlpg (%0)" ::"r"(shown) : "memory");
	if (*shown != shown_value)
		__atomic_fetch_add(&wrong, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&forgotten, 1, __ATOMIC_RELEASE);
}

/* Whether all but @but get there, after a while. */
static bool all_have(volatile uint32_t *counts, uint32_t each, uint32_t but)
{
	uint64_t start = time_ns();
	uint32_t i = 0;

	while (i < guest_info.vcpu_count && time_ns() - start < WAIT) {
		if (i == but || counts[i] >= each)
			i++;
		else
			sleep_ns(NS_PER_MS);
	}
	return i == guest_info.vcpu_count;
}

/* ---- interrupts, all to all ----------------------------------------------- */

static void say_hello(void *unused)
{
	(void)unused;
	for (uint32_t i = 0; i < guest_info.vcpu_count; i++)
		if (i != cpu_index())
			apic_send(i, IPI_ASSERT | VECTOR_HELLO);
}

static void use_x2apic(void *unused)
{
	(void)unused;
	apic_use_x2apic(true);
	times[cpu_index()] = steal_time_start();
}

static void test_all_to_all(const char *mode)
{
	uint32_t count = guest_info.vcpu_count;
	bool all = true;

	/* One speaks at a time: one vector counts once while it waits. */
	for (uint32_t from = 0; from < count && all; from++) {
		for (uint32_t i = 0; i < count; i++)
			hellos[i] = 0;
		if (from == 0)
			say_hello(NULL);
		else
			all = smp_run(from, say_hello, NULL);
		all = all && all_have(hellos, 1, from);
		all = all && (from == 0 || smp_wait(from, WAIT));
	}
	report(all, "each of %u vCPUs interrupts each other (%s)", count, mode);
}

/* ---- shootdowns ------------------------------------------------------------ */

/* Whether @cpu does not run, and will flush before it does. */
static bool flushes_by_itself(uint32_t cpu)
{
	struct steal_time *time = times[cpu];
	uint8_t state;

	if (!by_flags || !time || !(kvm_features() & KVM_PV_TLB_FLUSH))
		return false;
	state = time->preempted;
	return state & STEAL_AWAY &&
	       __atomic_compare_exchange_n(
		       &time->preempted, &state, (uint8_t)(state | STEAL_FLUSH),
		       false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

static bool shoot_down(uint64_t frame, uint64_t value)
{
	uint64_t start = time_ns();
	uint32_t wait = 0;

	shown_value = value;
	shown = memory_window(frame);
	forgotten = 0;
	for (uint32_t i = 1; i < guest_info.vcpu_count; i++) {
		if (flushes_by_itself(i))
			continue;
		apic_send(i, IPI_ASSERT | VECTOR_FORGET);
		wait++;
	}
	asked += wait;
	while (__atomic_load_n(&forgotten, __ATOMIC_ACQUIRE) < wait)
		if (time_ns() - start > WAIT)
			return false;
		else
			sleep_ns(NS_PER_MS);
	return true;
}

static void look(void *argument)
{
	bool *right = argument;

	*right = *shown == shown_value;
}

static void test_shootdown(const char *how)
{
	static bool right[SDK_VCPU_MAX];
	uint32_t count = guest_info.vcpu_count;
	bool all = true;

	asked = 0;
	*(volatile uint64_t *)memory_window(FRAME_A) = 1;
	*(volatile uint64_t *)memory_window(FRAME_B) = 2;
	for (int i = 0; i < SHOOTDOWNS && all; i++)
		all = shoot_down(i % 2 ? FRAME_B : FRAME_A, 1 + i % 2);
	for (uint32_t i = 1; i < count && all; i++)
		all = smp_run(i, look, &right[i]) && smp_wait(i, WAIT) &&
		      right[i];
	report(all && wrong == 0,
	       "%u vCPUs forget what was mapped, %u times (%s, %u interrupts)",
	       count, SHOOTDOWNS, how, asked);
}

int guest_main(void)
{
	uint32_t count = guest_info.vcpu_count;
	uint32_t running = smp_start();
	bool all = true;

	report(running == count, "%u of %u vCPUs run", running, count);
	interrupt_handle(VECTOR_HELLO, on_hello);
	interrupt_handle(VECTOR_FORGET, on_forget);
	test_all_to_all("xAPIC");
	use_x2apic(NULL);
	for (uint32_t i = 1; i < count; i++)
		all = smp_run(i, use_x2apic, NULL) && smp_wait(i, WAIT) && all;
	report(all, "all use x2APIC");
	test_all_to_all("x2APIC");
	test_shootdown("all interrupted");
	by_flags = kvm_features() & KVM_PV_TLB_FLUSH;
	if (by_flags)
		test_shootdown("those that run");
	return report_done();
}
