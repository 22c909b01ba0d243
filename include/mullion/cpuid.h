/* SPDX-License-Identifier: MIT */
/* What guests learn of their processor: kernel/exits/cpuid.c. */
#ifndef MULLION_CPUID_H
#define MULLION_CPUID_H

#include <stdint.h>

struct vcpu;

/* Reads the machine's CPUID once; boot CPU. */
void cpuid_start(void);

/* The registers, in the order EAX, EBX, ECX, EDX, that @vcpu sees. */
void guest_cpuid(const struct vcpu *vcpu, uint32_t leaf, uint32_t subleaf,
		 uint32_t registers[4]);

/* The short path's answers: none, and one more. */
void cpuid_forget(struct vcpu *vcpu);
void cpuid_remember(struct vcpu *vcpu, uint32_t leaf, uint32_t subleaf,
		    const uint32_t registers[4]);

/* MAXPHYADDR, as guests are told. */
uint32_t guest_physical_bits(void);

#endif
