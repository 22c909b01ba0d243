/* SPDX-License-Identifier: MIT */
/*
 * The short path of hot exits, for both vendors: what can be answered from
 * struct vcpu at once, without a look around.  Whatever is not answered here
 * takes the long way; nothing has been changed then.
 */
#ifndef MULLION_FAST_EXIT_H
#define MULLION_FAST_EXIT_H

#include <mullion/guest.h>
#include <mullion/vcpu.h>

/* What a short path tells the entry code: see the vendors' enter.S. */
enum fast_exit {
	FAST_LONG_WAY = 0, /* not done */
	FAST_RESUME = 1,   /* done, enter the guest again */
	FAST_LOOK = 2,	   /* done, but the loop must look around */
};

#define FAST_MSR_APIC_BASE 0x1b
#define FAST_MSR_X2APIC_EOI 0x80b
#define FAST_MSR_X2APIC_ICR 0x830
#define FAST_KVM_ENOSYS 1000

static inline uint64_t cpuid_key(uint32_t leaf, uint32_t subleaf)
{
	return leaf | (uint64_t)subleaf << 32;
}

static inline uint32_t cpuid_line_number(uint32_t leaf)
{
	return (leaf ^ leaf >> 28) % CPUID_LINES;
}

/* The remembered answer, or NULL. */
static inline const struct cpuid_line *
fast_cpuid(const struct vcpu *vcpu, uint32_t leaf, uint32_t subleaf)
{
	const struct cpuid_line *line =
		&vcpu->cpuid_lines[cpuid_line_number(leaf)];

	/* One address is worked out, not one for each of its uses. */
	__asm__("" : "+r"(line));
	return line->key == cpuid_key(leaf, subleaf) ? line : NULL;
}

static inline bool fast_msr_read(const struct vcpu *vcpu, uint32_t msr,
				 uint64_t *value)
{
	if (msr == FAST_MSR_APIC_BASE)
		*value = vcpu->apic.base;
	else
		return false;
	return true;
}

static inline bool fast_has_x2apic(const struct vcpu *vcpu)
{
	return (vcpu->apic.base & 0xc00) == 0xc00; /* EN and EXTD */
}

/* A hypercall that nobody offers; from CPL 0 only. */
static inline bool fast_is_no_call(uint64_t number)
{
	return (number & ~0xffffull) != MULL_CALL_VERSION &&
	       number - KVM_CALL_KICK_CPU >
		       KVM_CALL_SCHED_YIELD - KVM_CALL_KICK_CPU;
}

#endif
