/* SPDX-License-Identifier: MIT */
/*
 * FPU, SSE, AVX and PKRU belong to guests: the hypervisor does not use them,
 * but for the hash (arch_fpu_begin), and exchanges them only where several
 * vCPUs share a CPU.  Always saved with every component enabled, since a
 * guest may hold XMM values while its XCR0 says x87 only.  SDM 325384,
 * "XSAVE Area" and "Operation of XRSTOR".
 */
#include "cpu.h"
#include "fpu.h"
#include "registers.h"
#include <mullion/arch.h>
#include <mullion/log.h>
#include <mullion/page.h>
#include <mullion/vcpu.h>
#include <string.h>

/* x87, SSE, AVX, AVX-512 (three), PKRU: what guests may have. */
#define XCR0_ALLOWED (BITS(2, 0) | BITS(7, 5) | BIT(9))

#define FCW_OFFSET 0
#define FCW_RESET 0x037f
#define MXCSR_OFFSET 24
#define MXCSR_RESET 0x1f80
#define XSTATE_BV_OFFSET 512
#define XSTATE_X87 BIT(0)
#define X87_REGISTERS 4 /* in words of 64 bits */
#define X87_END 20
#define EXTENDED_OFFSET 576

static uint64_t xcr0_all;
static uint32_t area_pages;
static bool compaction;

/* Control, status and tag, the last instruction and operand; MXCSR; eight
 * registers: "x87 State". */
static bool x87_is_initial(const uint64_t *words)
{
	uint64_t other = (words[0] ^ FCW_RESET) | words[1] | words[2];

#pragma GCC unroll 16
	for (uint32_t i = X87_REGISTERS; i < X87_END; i++)
		other |= words[i];
	return other == 0;
}

/*
 * What is in its initial state a processor's XSAVE leaves out, but QEMU 7.2's
 * never does.  And when any CPU restores x87 state there, it writes to the flags
 * of the first one without a lock (cpu_clear_ignne()), which then loses nested
 * paging in its guest, or keeps it outside: so guests' x87 that nobody has used
 * is left out here.
 */
static void save(uint8_t *area)
{
	uint64_t *words = (uint64_t *)area;

	__asm__ volatile("xsave64 (%0)"
			 :
			 : "r"(area), "a"(~0u), "d"(~0u)
			 : "memory");
	if (x87_is_initial(words))
		words[XSTATE_BV_OFFSET / sizeof *words] &= ~XSTATE_X87;
}

static void restore(const uint8_t *area)
{
	__asm__ volatile("xrstor64 (%0)"
			 :
			 : "r"(area), "a"(~0u), "d"(~0u)
			 : "memory");
}

void fpu_reset(uint8_t *area)
{
	uint16_t fcw = FCW_RESET;
	uint32_t mxcsr = MXCSR_RESET;

	memset(area, 0, area_pages * PAGE_SIZE);
	memcpy(area + FCW_OFFSET, &fcw, sizeof fcw);
	memcpy(area + MXCSR_OFFSET, &mxcsr, sizeof mxcsr);
}

uint8_t *fpu_area_alloc(void)
{
	uint8_t *area = page_alloc(area_pages);

	if (area)
		fpu_reset(area);
	return area;
}

void fpu_area_free(uint8_t *area)
{
	page_free(area, area_pages);
}

static uint8_t *area_of_this_cpu(void)
{
	uint8_t *area = fpu_area_alloc();

	if (!area)
		panic("no memory for the FPU state of CPU %u",
		      cpu_self()->index);
	return area;
}

/* Components that may have any value: not x87, MXCSR and PKRU. */
static uint64_t filled(void)
{
	return xcr0_all & ~(BITS(1, 0) | BIT(9));
}

static void fill(uint8_t *area)
{
	uint64_t components = filled();

	memcpy(area + XSTATE_BV_OFFSET, &components, sizeof components);
	for (uint32_t i = 2; i < 32; i++)
		if (components & BIT(i))
			memset(area + cpuid(0xd, i).ebx, 0x5a,
			       cpuid(0xd, i).eax);
}

/* Whether @compact has what @standard has.  "Layout of the XSAVE Area": in the
 * compacted format the components follow one another. */
static bool same_components(const uint8_t *compact, const uint8_t *standard)
{
	uint32_t at = EXTENDED_OFFSET;

	for (uint32_t i = 2; i < 32; i++) {
		struct cpuid r = cpuid(0xd, i);

		if (!(filled() & BIT(i)))
			continue;
		if (r.ecx & BIT(1))
			at = round_up(at, 64);
		if (memcmp(compact + at, standard + r.ebx, r.eax) != 0)
			return false;
		at += r.eax;
	}
	return true;
}

/* Bochs 2.7's XSAVEC leaves out AVX and what follows, and a guest's processes
 * would lose theirs. */
static bool compaction_works(const uint8_t *reset)
{
	uint8_t *standard = area_of_this_cpu(), *compact = area_of_this_cpu();
	bool works;

	fill(standard);
	restore(standard);
	__asm__ volatile("xsavec64 (%0)"
			 :
			 : "r"(compact), "a"(~0u), "d"(~0u)
			 : "memory");
	restore(reset);
	works = same_components(compact, standard);
	fpu_area_free(standard);
	fpu_area_free(compact);
	if (!works)
		log_write(LOG_WARNING "XSAVEC loses what it should save: "
				      "guests do not get it");
	return works;
}

bool fpu_compaction_works(void)
{
	return compaction;
}

/* On every CPU. */
void fpu_start(void)
{
	struct cpu *cpu = cpu_self();

	if (!(cpuid(1, 0).ecx & BIT(26)))
		panic("the processor has no XSAVE");
	write_cr4(read_cr4() | CR4_OSXSAVE);
	xcr0_all = (cpuid(0xd, 0).eax | (uint64_t)cpuid(0xd, 0).edx << 32) &
		   XCR0_ALLOWED;
	write_xcr0(xcr0_all);
	/* SVM cannot keep XSAVES from guests. */
	if (cpuid(0xd, 1).eax & BIT(3))
		write_msr(MSR_XSS, 0);
	area_pages = round_up(cpuid(0xd, 0).ebx, PAGE_SIZE) / PAGE_SIZE;
	cpu->fpu = area_of_this_cpu();
	restore(cpu->fpu);
	if (cpu->index == 0)
		compaction = cpuid(0xd, 1).eax & BIT(1) &&
			     compaction_works(cpu->fpu);
}

void arch_fpu_begin(void)
{
	struct cpu *cpu = cpu_self();

	if (cpu->fpu_depth++ > 0)
		return;
	cpu->fpu_xcr0 = read_xcr0();
	write_xcr0(xcr0_all);
	save(cpu->fpu);
}

void arch_fpu_end(void)
{
	struct cpu *cpu = cpu_self();

	if (--cpu->fpu_depth > 0)
		return;
	restore(cpu->fpu);
	write_xcr0(cpu->fpu_xcr0);
}

static void read_debug_registers(uint64_t *dr)
{
	__asm__ volatile("mov %%dr0, %0" : "=r"(dr[0]));
	__asm__ volatile("mov %%dr1, %0" : "=r"(dr[1]));
	__asm__ volatile("mov %%dr2, %0" : "=r"(dr[2]));
	__asm__ volatile("mov %%dr3, %0" : "=r"(dr[3]));
}

static void write_debug_registers(const uint64_t *dr)
{
	__asm__ volatile("mov %0, %%dr0" : : "r"(dr[0]));
	__asm__ volatile("mov %0, %%dr1" : : "r"(dr[1]));
	__asm__ volatile("mov %0, %%dr2" : : "r"(dr[2]));
	__asm__ volatile("mov %0, %%dr3" : : "r"(dr[3]));
}

void fpu_use(struct vcpu *vcpu)
{
	struct cpu *cpu = cpu_self();
	struct vcpu *old = cpu->fpu_owner;

	if (old == vcpu)
		return;
	/* QEMU 7.2's SVM never exits for XSETBV, so it is read back. */
	if (old)
		old->xcr0 = read_xcr0();
	if (!old || old->xcr0 != xcr0_all)
		write_xcr0(xcr0_all);
	if (old) {
		save(old->fpu);
		read_debug_registers(old->debug_registers);
	}
	/* AMD's XRSTOR may leave where the last x87 instruction and operand
	 * were, which is the other guest's: "XRSTOR", "FXRSTOR". */
	__asm__ volatile("fninit");
	restore(vcpu->fpu);
	if (vcpu->xcr0 != xcr0_all)
		write_xcr0(vcpu->xcr0);
	write_debug_registers(vcpu->debug_registers);
	cpu->fpu_owner = vcpu;
}

/* "XSETBV": x87 always, AVX with SSE, AVX-512 whole and with AVX. */
enum error arch_set_guest_xcr0(struct vcpu *vcpu, uint64_t value)
{
	uint64_t avx512 = value & BITS(7, 5);

	if (value & ~(xcr0_all & ~BIT(9)) || !(value & BIT(0)) ||
	    (value & BITS(2, 1)) == BIT(2) ||
	    (avx512 && (avx512 != BITS(7, 5) || !(value & BIT(2)))))
		return ERR_BAD_REQUEST;
	vcpu->xcr0 = value;
	write_xcr0(value);
	return ERR_NONE;
}

void fpu_forget(struct vcpu *vcpu)
{
	if (cpu_self()->fpu_owner == vcpu)
		cpu_self()->fpu_owner = NULL;
}
