/* SPDX-License-Identifier: MIT */
/* Single instructions, and the registers' fields that guests use. */
#ifndef SDK_CPU_H
#define SDK_CPU_H

#include <mullion/bits.h>
#include <stdint.h>

#define MSR_APIC_BASE 0x1b
#define MSR_TSC_DEADLINE 0x6e0
#define MSR_EFER 0xc0000080
#define MSR_FS_BASE 0xc0000100
#define MSR_GS_BASE 0xc0000101
#define MSR_KERNEL_GS_BASE 0xc0000102

#define APIC_BASE_BOOT_CPU BIT(8)
#define APIC_BASE_X2APIC BIT(10)
#define APIC_BASE_ENABLE BIT(11)

#define CPUID1_ECX_X2APIC BIT(21)
#define CPUID1_ECX_TSC_DEADLINE BIT(24)
#define CPUID1_ECX_XSAVE BIT(26)
#define CPUID1_ECX_AVX BIT(28)
#define CPUID1_ECX_HYPERVISOR BIT(31)

#define CR0_TS BIT(3)
#define CR0_EM BIT(2)
#define CR0_MP BIT(1)
#define CR4_OSFXSR BIT(9)
#define CR4_OSXMMEXCPT BIT(10)
#define CR4_OSXSAVE BIT(18)

/* Exception vectors; SDM 325462, "Protected-Mode Exceptions and Interrupts". */
enum {
	VECTOR_DEBUG = 1,
	VECTOR_NMI = 2,
	VECTOR_BREAKPOINT = 3,
	VECTOR_UNDEFINED = 6,
	VECTOR_DOUBLE_FAULT = 8,
	VECTOR_PROTECTION = 13,
	VECTOR_PAGE_FAULT = 14,
};

struct cpuid_result {
	uint32_t eax, ebx, ecx, edx;
};

static inline struct cpuid_result cpuid(uint32_t leaf, uint32_t subleaf)
{
	struct cpuid_result r;

	asm volatile("cpuid"
		     : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
		     : "a"(leaf), "c"(subleaf));
	return r;
}

static inline uint64_t msr_read(uint32_t msr)
{
	uint32_t low, high;

	asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr) : "memory");
	return (uint64_t)high << 32 | low;
}

static inline void msr_write(uint32_t msr, uint64_t value)
{
	asm volatile("wrmsr" ::"c"(msr), "a"((uint32_t)value),
		     "d"((uint32_t)(value >> 32))
		     : "memory");
}

static inline uint64_t tsc_read(void)
{
	uint32_t low, high;

	asm volatile("lfence; rdtsc" : "=a"(low), "=d"(high)::"memory");
	return (uint64_t)high << 32 | low;
}

static inline uint8_t port_read(uint16_t port)
{
	uint8_t value;

	asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port) : "memory");
	return value;
}

static inline void port_write(uint16_t port, uint8_t value)
{
	asm volatile("outb %0, %1" ::"a"(value), "Nd"(port) : "memory");
}

static inline uint32_t mmio_read(uint64_t address)
{
	return *(volatile uint32_t *)address;
}

static inline void mmio_write(uint64_t address, uint32_t value)
{
	*(volatile uint32_t *)address = value;
}

#define CONTROL_REGISTER(n) \
	static inline uint64_t cr##n##_read(void) \
	{ \
		uint64_t value; \
\
		asm volatile("mov %%cr" #n ", %0" : "=r"(value)::"memory"); \
		return value; \
	} \
	static inline void cr##n##_write(uint64_t value) \
	{ \
		asm volatile("mov %0, %%cr" #n ::"r"(value) : "memory"); \
	}
CONTROL_REGISTER(0)
CONTROL_REGISTER(3)
CONTROL_REGISTER(4)

static inline uint64_t cr2_read(void)
{
	uint64_t value;

	asm volatile("mov %%cr2, %0" : "=r"(value));
	return value;
}

static inline void interrupts_off(void)
{
	asm volatile("cli" ::: "memory");
}

static inline void interrupts_on(void)
{
	asm volatile("sti" ::: "memory");
}

/* Turns interrupts on and halts; no interrupt is lost between the two. */
static inline void halt_until_interrupt(void)
{
	asm volatile("sti; hlt; cli" ::: "memory");
}

static inline void cpu_relax(void)
{
	asm volatile("pause" ::: "memory");
}

#endif
