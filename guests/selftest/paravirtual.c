/* SPDX-License-Identifier: MIT */
/* KVM's paravirtual features: those that are offered work, others are gone. */
#include "selftest.h"

#define VECTOR_MINE 0x60
#define ROUNDS 20
#define WAIT (5 * NS_PER_SECOND)

static volatile uint32_t taken[SDK_VCPU_MAX];
static volatile bool halted, woken;

static void on_mine(struct interrupt_frame *frame)
{
	(void)frame;
	taken[cpu_index()]++;
}

static void test_eoi(void)
{
	uint32_t before = taken[0];
	bool empty = true;

	if (!(kvm_features() & KVM_PV_EOI)) {
		report(!msr_try_write(MSR_KVM_PV_EOI, 1),
		       "ends of interrupts by memory are not offered");
		return;
	}
	report(eoi_use_memory(true), "ends of interrupts go by memory");
	interrupts_on();
	for (int i = 0; i < ROUNDS; i++) {
		apic_send(0, IPI_SELF | IPI_ASSERT | VECTOR_MINE);
		apic_send(0, IPI_SELF | IPI_ASSERT | (VECTOR_MINE + 1));
		for (uint64_t start = time_ns();
		     taken[0] - before < 2u * (i + 1) &&
		     time_ns() - start < WAIT;)
			cpu_relax();
	}
	interrupts_off();
	for (uint32_t i = 0; i < 8; i++)
		empty &= apic_read(APIC_IN_SERVICE + 16 * i) == 0;
	report(taken[0] - before == 2 * ROUNDS && empty,
	       "all of them come, and all are ended (%u)", taken[0] - before);
	report(!msr_try_write(MSR_KVM_PV_EOI, MULL_GUEST_MMIO_START | 1),
	       "but not in what is no memory");
	eoi_use_memory(false);
}

static void test_send(void)
{
	uint32_t count = guest_info.vcpu_count, missing = 0;
	int64_t sent = hypercall_of_four(KVM_CALL_SEND_IPI, ~1ull, 0, 0,
					 VECTOR_MINE);

	if (!(kvm_features() & KVM_PV_SEND_IPI)) {
		report(sent < 0, "interrupts by a call are not offered");
		return;
	}
	report(sent == count - 1, "a call interrupts %u vCPUs (%ld)", count - 1,
	       sent);
	for (uint32_t i = 1; i < count; i++) {
		uint64_t start = time_ns();

		while (!taken[i] && time_ns() - start < WAIT)
			cpu_relax();
		missing += !taken[i];
	}
	report(missing == 0, "and all of them take it");
}

/* Only a kick ends this: interrupts are off. */
static void halt_until_kicked(void *unused)
{
	(void)unused;
	halted = true;
	asm volatile("cli; hlt");
	woken = true;
}

static void test_kick(void)
{
	int64_t result;

	if (!(kvm_features() & KVM_PV_UNHALT)) {
		report(hypercall_of_four(KVM_CALL_KICK_CPU, 0, 1, 0, 0) < 0,
		       "kicks are not offered");
		return;
	}
	smp_run(1, halt_until_kicked, NULL);
	while (!halted)
		cpu_relax();
	result = hypercall_of_four(KVM_CALL_KICK_CPU, 0, 1, 0, 0);
	report(result == 0 && smp_wait(1, WAIT) && woken,
	       "a kick ends a HLT with interrupts off");
}

static void spin(void *unused)
{
	(void)unused;
	spin_ns(50 * NS_PER_MS);
}

static void test_steal(void)
{
	struct steal_time *time = steal_time_start();

	if (!(kvm_features() & KVM_STEAL_TIME)) {
		report(!msr_try_write(MSR_KVM_STEAL_TIME, 1),
		       "stolen time is not offered");
		return;
	}
	report(time && time->version && !(time->version & 1),
	       "stolen time is shown");
	report(!msr_try_write(MSR_KVM_STEAL_TIME, MULL_GUEST_MMIO_START | 1),
	       "but not in what is no memory");
	time = steal_time_start();
	for (uint32_t i = 1; i < guest_info.vcpu_count; i++)
		smp_run(i, spin, NULL);
	spin(NULL);
	for (uint32_t i = 1; i < guest_info.vcpu_count; i++)
		smp_wait(i, WAIT);
	report(time->ns > 0 && !time->preempted && !(time->version & 1),
	       "others have stolen time (%lu us)", time->ns / NS_PER_US);
	report(hypercall_of_four(KVM_CALL_SCHED_YIELD, 1, 0, 0, 0) == 0,
	       "a slot can be given away");
	msr_write(MSR_KVM_STEAL_TIME, 0);
}

void test_paravirtual(void)
{
	interrupt_handle(VECTOR_MINE, on_mine);
	interrupt_handle(VECTOR_MINE + 1, on_mine);
	smp_start();
	test_eoi();
	if (guest_info.vcpu_count > 1) {
		test_send();
		test_kick();
		test_steal();
	}
}
