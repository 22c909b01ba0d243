/* SPDX-License-Identifier: MIT */
/* The local APIC, in xAPIC or x2APIC mode; the mode is each vCPU's own. */
#include "sdk.h"

#define MSR_X2APIC 0x800
#define SPURIOUS_ENABLE BIT(8)
#define COMMAND_PENDING BIT(12)
#define COMMAND_PATIENCE 1000000
#define XAPIC_ID BITS(31, 24)

static bool x2apic[SDK_VCPU_MAX];

bool apic_is_x2apic(void)
{
	return x2apic[cpu_index()];
}

uint32_t apic_read(enum apic_register reg)
{
	if (apic_is_x2apic())
		return (uint32_t)msr_read(MSR_X2APIC + reg / 16);
	return mmio_read(MULL_GUEST_LOCAL_APIC + reg);
}

void apic_write(enum apic_register reg, uint32_t value)
{
	if (apic_is_x2apic())
		msr_write(MSR_X2APIC + reg / 16, value);
	else
		mmio_write(MULL_GUEST_LOCAL_APIC + reg, value);
}

uint32_t apic_id(void)
{
	uint32_t id = apic_read(APIC_ID);

	return apic_is_x2apic() ? id : (uint32_t)field_get(XAPIC_ID, id);
}

/* Enables it, with all local sources masked. */
static void enable(void)
{
	apic_write(APIC_LVT_TIMER, APIC_LVT_MASKED);
	apic_write(APIC_LVT_LINT0, APIC_LVT_MASKED);
	apic_write(APIC_LVT_LINT1, APIC_LVT_MASKED);
	apic_write(APIC_TASK_PRIORITY, 0);
	apic_write(APIC_SPURIOUS, SPURIOUS_ENABLE | VECTOR_SPURIOUS);
}

void apic_start(void)
{
	uint64_t base = msr_read(MSR_APIC_BASE);

	if (!(base & APIC_BASE_ENABLE)) {
		base |= APIC_BASE_ENABLE;
		msr_write(MSR_APIC_BASE, base);
	}
	x2apic[cpu_index()] = base & APIC_BASE_X2APIC;
	enable();
}

/* SDM 325462, "x2APIC State Transitions": back only through disabled. */
bool apic_use_x2apic(bool wanted)
{
	uint64_t base = msr_read(MSR_APIC_BASE);

	if (wanted && !(cpuid(1, 0).ecx & CPUID1_ECX_X2APIC))
		return false;
	if (!wanted && (base & APIC_BASE_X2APIC)) {
		base &= ~(APIC_BASE_X2APIC | APIC_BASE_ENABLE);
		msr_write(MSR_APIC_BASE, base);
	}
	base |= APIC_BASE_ENABLE | (wanted ? APIC_BASE_X2APIC : 0);
	msr_write(MSR_APIC_BASE, base);
	apic_start();
	return apic_is_x2apic() == wanted;
}

void apic_send(uint32_t to, uint32_t command)
{
	if (apic_is_x2apic()) {
		msr_write(MSR_X2APIC + APIC_COMMAND / 16,
			  (uint64_t)to << 32 | command);
		return;
	}
	mmio_write(MULL_GUEST_LOCAL_APIC + APIC_COMMAND_HIGH, to << 24);
	mmio_write(MULL_GUEST_LOCAL_APIC + APIC_COMMAND, command);
	for (int i = 0; i < COMMAND_PATIENCE; i++) {
		if (!(apic_read(APIC_COMMAND) & COMMAND_PENDING))
			return;
	}
}
