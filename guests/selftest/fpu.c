/* SPDX-License-Identifier: MIT */
/* The FPU's registers: that exits and other guests leave them alone. */
#include "selftest.h"

#define XMM_OFFSET 160 /* SDM 325462, "FXSAVE 64-bit Mode Map" */
#define XMM_BYTES 256
#define X87_OFFSET 32
#define X87_USED 10    /* bytes of the 16 of a register */
#define YMM_OFFSET 576 /* standard format of XSAVE */
#define AREA_SIZE 1024
#define X87_SSE_AVX 7
#define ROUNDS 200

static uint8_t before[AREA_SIZE] __attribute__((aligned(64)));
static uint8_t after[AREA_SIZE] __attribute__((aligned(64)));

static uint8_t pattern(size_t i)
{
	return (uint8_t)(i * 37 + 11);
}

/* Exits of several kinds, and time for others to run here. */
static void leave_the_guest(void)
{
	cpuid(0, 0);
	port_read(MULL_GUEST_UART_PORT + 7);
	apic_read(APIC_VERSION);
	if (mullion_present())
		hypercall(MULL_CALL_VERSION, 0, 0);
	sleep_ns(50 * NS_PER_US);
}

static void fill_legacy(void)
{
	asm volatile("fninit; fxsave64 %0" : "=m"(before));
	for (size_t i = 0; i < XMM_BYTES; i++)
		before[XMM_OFFSET + i] = pattern(i);
	for (size_t r = 0; r < 8; r++) {
		/* Any mantissa with its integer bit, and an exponent of 1. */
		for (size_t i = 0; i < 7; i++)
			before[X87_OFFSET + 16 * r + i] = pattern(r + i);
		before[X87_OFFSET + 16 * r + 7] = 0x80;
		before[X87_OFFSET + 16 * r + 8] = 0xff;
		before[X87_OFFSET + 16 * r + 9] = 0x3f;
	}
	before[4] = 0xff; /* all registers in use */
}

static void test_legacy(void)
{
	bool kept = true;

	fill_legacy();
	asm volatile("fxrstor64 %0" ::"m"(before));
	for (int i = 0; i < ROUNDS; i++)
		leave_the_guest();
	asm volatile("fxsave64 %0" : "=m"(after));
	report(!memcmp(before + XMM_OFFSET, after + XMM_OFFSET, XMM_BYTES),
	       "the XMM registers are kept");
	for (size_t r = 0; r < 8; r++)
		kept = kept && !memcmp(before + X87_OFFSET + 16 * r,
				       after + X87_OFFSET + 16 * r, X87_USED);
	report(kept, "the x87 registers are kept");
}

static void xsetbv(uint64_t value)
{
	asm volatile("xsetbv" ::"c"(0), "a"((uint32_t)value),
		     "d"((uint32_t)(value >> 32)));
}

static void xsetbv_wrong(void *value)
{
	xsetbv(*(uint64_t *)value);
}

static void test_avx(void)
{
	static const uint64_t wrong_masks[] = { 0, 2, 4, 5, ~0ull };
	bool refused = true;

	for (size_t i = 0; i < ARRAY_COUNT(wrong_masks); i++)
		refused = refused &&
			  guarded_call(xsetbv_wrong, (void *)&wrong_masks[i]) ==
				  VECTOR_PROTECTION;
	report(refused, "XSETBV refuses impossible masks");

	xsetbv(X87_SSE_AVX);
	asm volatile("xsave64 %0" : "=m"(before) : "a"(X87_SSE_AVX), "d"(0));
	for (size_t i = 0; i < XMM_BYTES; i++)
		before[YMM_OFFSET + i] = (uint8_t)~pattern(i);
	before[512] = X87_SSE_AVX; /* XSTATE_BV: none is initial */
	asm volatile("xrstor64 %0" ::"m"(before), "a"(X87_SSE_AVX), "d"(0));
	for (int i = 0; i < ROUNDS; i++)
		leave_the_guest();
	memset(after, 0, sizeof after);
	asm volatile("xsave64 %0" : "+m"(after) : "a"(X87_SSE_AVX), "d"(0));
	report(!memcmp(before + YMM_OFFSET, after + YMM_OFFSET, XMM_BYTES),
	       "the YMM registers are kept");
}

void test_fpu(void)
{
	struct cpuid_result one = cpuid(1, 0);

	cr0_write((cr0_read() & ~(CR0_EM | CR0_TS)) | CR0_MP);
	cr4_write(cr4_read() | CR4_OSFXSR | CR4_OSXMMEXCPT);
	test_legacy();
	if (!(one.ecx & CPUID1_ECX_XSAVE) || !(one.ecx & CPUID1_ECX_AVX))
		return;
	cr4_write(cr4_read() | CR4_OSXSAVE);
	report(cpuid(1, 0).ecx & BIT(27), "CPUID shows that XSAVE is on");
	test_avx();
}
