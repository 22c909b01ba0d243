/* SPDX-License-Identifier: MIT */
#include <arch/fake/fake.h>
#include <stdio.h>
#include <stdlib.h>

uint32_t fake_cpu;
uint32_t fake_cpu_count = 1;
uint32_t fake_kicks[MULL_CPU_MAX];
uint32_t fake_idles;
uint32_t fake_leaves;
void (*fake_interrupts)(void);
void (*fake_interrupt_handler[16])(void);
bool fake_fpu_open;
void (*fake_cpuid)(uint32_t leaf, uint32_t subleaf, uint32_t registers[4]);
uint64_t fake_guest_xcr0;
enum error fake_guest_xcr0_error;

FAKE uint32_t arch_cpu_index(void)
{
	return fake_cpu;
}

FAKE uint32_t arch_cpu_count(void)
{
	return fake_cpu_count;
}

FAKE void arch_kick(uint32_t cpu)
{
	if (cpu >= fake_cpu_count) {
		fprintf(stderr, "fake processors: no CPU %u\n", cpu);
		abort();
	}
	fake_kicks[cpu]++;
}

FAKE void arch_kick_forget(void)
{
	fake_kicks[fake_cpu] = 0;
}

FAKE void arch_idle(void)
{
	fake_idles++;
}

FAKE void arch_take_interrupts(void)
{
	if (fake_interrupts)
		fake_interrupts();
}

FAKE bool arch_is_wanted(void)
{
	arch_take_interrupts();
	return fake_kicks[fake_cpu];
}

bool fake_apic_given, fake_apic_without_deadline;
uint8_t fake_apic_sent[256];

FAKE void arch_apic_give(void)
{
	fake_apic_given = true;
}

FAKE void arch_apic_take(void)
{
	fake_apic_given = false;
}

FAKE bool arch_apic_has_deadline(void)
{
	return !fake_apic_without_deadline;
}

FAKE void arch_apic_send(uint32_t cpu, uint8_t vector)
{
	(void)cpu;
	fake_apic_sent[vector]++;
}

FAKE uint32_t arch_apic_id(uint32_t cpu)
{
	return 0x100 + cpu;
}

uint8_t fake_apic_spurious;

FAKE void arch_apic_set_spurious(uint8_t vector)
{
	fake_apic_spurious = vector;
}

FAKE void arch_apic_mask_timer(void)
{
}

uint8_t fake_apic_priority;

FAKE uint8_t arch_apic_hold(void)
{
	uint8_t before = fake_apic_priority;

	fake_apic_priority = 0xff;
	return before;
}

FAKE void arch_apic_release(uint8_t before)
{
	if (fake_apic_priority == 0xff)
		fake_apic_priority = before;
}

FAKE enum error arch_connect_interrupt(uint32_t isa_line, void (*handler)(void))
{
	if (isa_line >= ARRAY_COUNT(fake_interrupt_handler))
		return ERR_NOT_FOUND;
	fake_interrupt_handler[isa_line] = handler;
	return ERR_NONE;
}

/* A pair inside a pair would save the wrong state. */
FAKE void arch_fpu_begin(void)
{
	if (fake_fpu_open)
		abort();
	fake_fpu_open = true;
}

FAKE void arch_fpu_end(void)
{
	if (!fake_fpu_open)
		abort();
	fake_fpu_open = false;
}

FAKE void arch_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t registers[4])
{
	for (int i = 0; i < 4; i++)
		registers[i] = 0;
	if (fake_cpuid)
		fake_cpuid(leaf, subleaf, registers);
}

FAKE enum error arch_set_guest_xcr0(struct vcpu *vcpu, uint64_t value)
{
	(void)vcpu;
	if (!fake_guest_xcr0_error)
		fake_guest_xcr0 = value;
	return fake_guest_xcr0_error;
}

FAKE void arch_mitigate(enum mull_mitigations mode)
{
	(void)mode;
}

FAKE void arch_mitigate_cpu(void)
{
}

FAKE void arch_leave_vm(void)
{
	fake_leaves++;
}

struct cache_means fake_cache;
struct cache_plan fake_cache_plan;
uint32_t fake_cache_sets, fake_cache_uses;
uint32_t fake_cache_class[MULL_CPU_MAX];

FAKE void arch_cache_find(struct cache_means *means)
{
	*means = fake_cache;
}

FAKE void arch_cache_set(const struct cache_plan *plan)
{
	fake_cache_plan = *plan;
	fake_cache_sets++;
}

FAKE void arch_cache_use(uint32_t class)
{
	fake_cache_class[fake_cpu] = class;
	fake_cache_uses++;
}

FAKE void arch_stop_others(void)
{
}

FAKE _Noreturn void arch_halt(void)
{
	fprintf(stderr, "fake processors: arch_halt()\n");
	abort();
}

FAKE size_t arch_backtrace(uint64_t *addresses, size_t count)
{
	(void)addresses;
	(void)count;
	return 0;
}

FAKE void arch_end_machine(enum mull_machine_end end)
{
	fprintf(stderr, "fake processors: arch_end_machine(%d)\n", end);
	abort();
}

uint64_t fake_random = 0x0123456789abcdef; /* 0: there is none now */

FAKE bool arch_random(uint64_t *value)
{
	*value = fake_random;
	return fake_random;
}
