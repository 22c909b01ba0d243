/* SPDX-License-Identifier: MIT */
/*
 * The short path of hot exits, for both vendors: what can be answered from
 * struct vcpu at once, without a look around.  Whatever is not answered here
 * takes the long way; nothing has been changed then.
 */
#ifndef MULLION_FAST_EXIT_H
#define MULLION_FAST_EXIT_H

#include <mullion/bits.h>
#include <mullion/guest.h>
#include <mullion/vcpu.h>
#include <mullion/vm.h>

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

	WORK_OUT_ONCE(line);
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

/* "Interrupt Command Register (ICR)"; registers by offset / 16 */
#define FAST_ICR_VECTOR 0xffu
#define FAST_ICR_ASSERT (1u << 14)
#define FAST_REGISTER_SVR 0xf
#define FAST_SVR_ENABLED (1u << 8)
#define FAST_REGISTER_ICR 0x30

/*
 * Whom a guest means that writes @low and @to into the command register, where
 * both have the local APICs of their CPUs: a fixed interrupt to another vCPU.
 * NULL: it is another command, or needs the long way.
 */
static inline struct local_apic *fast_apic_receiver(const struct vcpu *vcpu,
						    uint32_t low, uint32_t to)
{
	const struct vm *whole = vcpu->vm;
	struct local_apic *other;

	if (!atomic_load(&vcpu->apic.given) ||
	    low & ~(FAST_ICR_ASSERT | FAST_ICR_VECTOR) ||
	    (low & FAST_ICR_VECTOR) < APIC_VECTOR_SENT ||
	    to >= whole->vcpu_count || to == vcpu->index)
		return NULL;
	other = &whole->vcpus[to]->apic;
	return atomic_load(&other->given) &&
			       atomic_load(&other->registers[FAST_REGISTER_SVR]
						    .value) &
				       FAST_SVR_ENABLED ?
		       other :
		       NULL;
}

/* What the guest then reads in its command register. */
static inline void fast_apic_commanded(struct vcpu *vcpu, uint32_t low,
				       uint32_t to)
{
	struct apic_register *icr = &vcpu->apic.registers[FAST_REGISTER_ICR];

	atomic_store_explicit(&icr[0].value, low, memory_order_relaxed);
	atomic_store_explicit(&icr[1].value, to, memory_order_relaxed);
}

/* A hypercall that nobody offers; from CPL 0 only. */
static inline bool fast_is_no_call(uint64_t number)
{
	return (number & ~0xffffull) != MULL_CALL_VERSION &&
	       number - KVM_CALL_KICK_CPU >
		       KVM_CALL_SCHED_YIELD - KVM_CALL_KICK_CPU;
}

#endif
