/* SPDX-License-Identifier: MIT */
/* KVM's paravirtual features, as far as test guests use them. */
#include "sdk.h"

/* Of each vCPU, on lines of their own. */
static struct {
	volatile uint32_t word;
	bool on;
} __attribute__((aligned(64))) ends[SDK_VCPU_MAX];
static struct steal_time steal_times[SDK_VCPU_MAX];

uint32_t kvm_features(void)
{
	return cpuid(MULL_CPUID_KVM + 1, 0).eax;
}

bool eoi_use_memory(bool wanted)
{
	uint32_t cpu = cpu_index();
	uintptr_t at = (uintptr_t)&ends[cpu].word;

	if (wanted && !(kvm_features() & KVM_PV_EOI))
		return false;
	ends[cpu].word = 0;
	ends[cpu].on = wanted && msr_try_write(MSR_KVM_PV_EOI, at | 1);
	if (!wanted)
		msr_try_write(MSR_KVM_PV_EOI, 0);
	return ends[cpu].on == wanted;
}

void eoi_signal(void)
{
	uint32_t cpu = cpu_index();
	bool done = false;

	/* One instruction: the hypervisor may take the offer back before or
	 * after, but not between. */
	if (ends[cpu].on)
		asm volatile("btrl $0, %1"
			     : "=@ccc"(done), "+m"(ends[cpu].word)::"memory");
	if (!done)
		apic_write(APIC_END, 0);
}

struct steal_time *steal_time_start(void)
{
	struct steal_time *time = &steal_times[cpu_index()];

	if (!(kvm_features() & KVM_STEAL_TIME) ||
	    !msr_try_write(MSR_KVM_STEAL_TIME, (uintptr_t)time | 1))
		return NULL;
	return time;
}
