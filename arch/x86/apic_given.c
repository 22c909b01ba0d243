/* SPDX-License-Identifier: MIT */
/*
 * The local APIC of a CPU in the hands of its guest: x2APIC, whose registers
 * are MSRs that can be passed one by one.  The hypervisor then keeps NMI alone:
 * its deadlines there are the vendor's timer, or the service CPU's kicks, and its
 * waits end by a kick.
 * Interrupts stay where they are while it runs, with its own off.
 */
#include "cpu.h"
#include "registers.h"
#include <mullion/arch.h>
#include <mullion/log.h>

/* SDM 325384, "Local APIC Register Address Map Supported by x2APIC" */
#define X2APIC_TPR 0x808
#define X2APIC_PPR 0x80a
#define X2APIC_EOI 0x80b
#define X2APIC_SVR 0x80f
#define X2APIC_ISR 0x810 /* 8 registers each */
#define X2APIC_IRR 0x820
#define X2APIC_ICR 0x830
#define X2APIC_LVT_TIMER 0x832
#define X2APIC_TIMER_COUNT 0x838
#define X2APIC_TIMER_CURRENT 0x839
#define X2APIC_TIMER_DIVIDE 0x83e
#define X2APIC_SELF_IPI 0x83f

#define SVR_ENABLED BIT(8)
#define LVT_MASKED BIT(16)
#define TPR_ALL 0xff /* holds every interrupt */
#define VECTORS 256

static bool has_some(uint32_t set)
{
	for (uint32_t i = 0; i < 8; i++)
		if (read_msr(set + i))
			return true;
	return false;
}

/*
 * What has no effect outside of the guest's CPU, and tells nothing of it: not
 * who it is, where interrupts go, what the machine's own sources are to do
 * (errors, heat, counters), and whether it is switched on.
 */
void apic_given_pass(uint8_t *map,
		     void (*pass)(uint8_t *map, const struct msr_range *range))
{
	static const struct msr_range deadline = { MSR_TSC_DEADLINE,
						   MSR_TSC_DEADLINE,
						   MSR_READ | MSR_WRITE };
	static const struct msr_range ranges[] = {
		{ X2APIC_TPR, X2APIC_TPR, MSR_READ | MSR_WRITE },
		{ X2APIC_PPR, X2APIC_PPR, MSR_READ },
		{ X2APIC_EOI, X2APIC_EOI, MSR_WRITE },
		{ X2APIC_ISR, X2APIC_IRR + 7, MSR_READ }, /* TMR between */
		{ X2APIC_LVT_TIMER, X2APIC_LVT_TIMER, MSR_READ | MSR_WRITE },
		{ X2APIC_TIMER_COUNT, X2APIC_TIMER_COUNT,
		  MSR_READ | MSR_WRITE },
		{ X2APIC_TIMER_CURRENT, X2APIC_TIMER_CURRENT, MSR_READ },
		{ X2APIC_TIMER_DIVIDE, X2APIC_TIMER_DIVIDE,
		  MSR_READ | MSR_WRITE },
		{ X2APIC_SELF_IPI, X2APIC_SELF_IPI, MSR_WRITE },
	};

	for (size_t i = 0; i < ARRAY_COUNT(ranges); i++)
		pass(map, &ranges[i]);
	if (arch_apic_has_deadline())
		pass(map, &deadline);
}

/* As after a reset: nothing armed, requested or in service.  What is requested
 * can be got rid of only by taking it. */
static void empty(void)
{
	arch_apic_mask_timer();
	write_msr(X2APIC_TIMER_COUNT, 0);
	write_msr(X2APIC_TIMER_DIVIDE, 0);
	if (arch_apic_has_deadline())
		write_msr(MSR_TSC_DEADLINE, 0);
	write_msr(X2APIC_TPR, 0);
	/* One that nobody can request: Bochs never ends an interrupt that has
	 * the vector of spurious ones. */
	arch_apic_set_spurious(VECTOR_DISCARDED);
	for (int i = 0; i < VECTORS && has_some(X2APIC_ISR); i++)
		write_msr(X2APIC_EOI, 0);
	for (int i = 0; i < VECTORS && has_some(X2APIC_IRR); i++)
		interrupts_discard();
	if (has_some(X2APIC_IRR) || has_some(X2APIC_ISR))
		panic("CPU %u: its local APIC cannot be emptied",
		      cpu_self()->index);
	arch_apic_set_spurious(VECTOR_SPURIOUS);
}

void arch_apic_give(void)
{
	struct cpu *cpu = cpu_self();

	cpu->apic_given = true;
	cpu->timer_set = ARCH_NO_DEADLINE;
	empty();
}

void arch_apic_take(void)
{
	struct cpu *cpu = cpu_self();

	if (!cpu->apic_given)
		return;
	arch_set_deadline(ARCH_NO_DEADLINE);
	empty();
	cpu->apic_given = false;
	apic_enable();
}

void arch_apic_mask_timer(void)
{
	write_msr(X2APIC_LVT_TIMER, read_msr(X2APIC_LVT_TIMER) | LVT_MASKED);
}

void arch_apic_set_spurious(uint8_t vector)
{
	write_msr(X2APIC_SVR, SVR_ENABLED | vector);
}

uint8_t arch_apic_hold(void)
{
	uint8_t before = (uint8_t)read_msr(X2APIC_TPR);

	write_msr(X2APIC_TPR, TPR_ALL);
	return before;
}

void arch_apic_release(uint8_t before)
{
	if (read_msr(X2APIC_TPR) == TPR_ALL)
		write_msr(X2APIC_TPR, before);
}

void arch_apic_send(uint32_t index, uint8_t vector)
{
	struct cpu *cpu = cpu_at(index);

	x2apic_fence();
	if (cpu == cpu_self())
		write_msr(X2APIC_SELF_IPI, vector);
	else
		write_msr(X2APIC_ICR, (uint64_t)cpu->apic_id << 32 | vector);
}

uint32_t arch_apic_id(uint32_t index)
{
	return cpu_at(index)->apic_id;
}
