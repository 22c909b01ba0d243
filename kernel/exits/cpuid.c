/* SPDX-License-Identifier: MIT */
/*
 * CPUID, curated by one table: what is passed from the machine, by masks, and
 * why the rest is not.  What is not in the table reads as zeros.  SDM 325383,
 * "Information Returned by CPUID Instruction"; AMD 24594, "CPUID".
 */
#include <mullion/arch.h>
#include <mullion/bits.h>
#include <mullion/cpuid.h>
#include <mullion/fast_exit.h>
#include <mullion/guest.h>
#include <mullion/vm.h>
#include <string.h>

enum { EAX, EBX, ECX, EDX };

#define ANY ~0u
#define ALL ~0u

/* Leaf 1 ECX: no MONITOR, VMX, SMX, TM2, PDCM, DCA, SDBG: power, debugging and
 * virtualization are the hypervisor's.  x2APIC, TSC-deadline and the
 * hypervisor bit are added below. */
#define LEAF_1_ECX \
	(BIT(0) | BIT(1) | BIT(9) | BIT(12) | BIT(13) | BIT(17) | BIT(19) | \
	 BIT(20) | BIT(22) | BIT(23) | BIT(25) | BIT(26) | BIT(28) | BIT(29) | \
	 BIT(30))
#define ECX_X2APIC BIT(21)
#define ECX_TSC_DEADLINE BIT(24)
#define ECX_OSXSAVE BIT(27)
#define ECX_HYPERVISOR BIT(31)
/* Leaf 1 EDX: no MCE and MCA (machine checks are the hypervisor's), VME, PSN,
 * DS, ACPI, TM, PBE. */
#define LEAF_1_EDX \
	(BIT(0) | BITS(6, 2) | BIT(8) | BIT(9) | BIT(11) | BIT(12) | BIT(13) | \
	 BITS(17, 15) | BIT(19) | BITS(27, 23))
#define EDX_APIC BIT(9)
#define EDX_HTT BIT(28)
/* Leaf 7: no TSC_ADJUST, SGX, HLE, RTM, MPX, PQM, PQE, PT, PKU, LA57, RDPID
 * (needs TSC_AUX), AMX; of speculation MD_CLEAR, since VERW needs nobody's
 * help, but nothing that needs SPEC_CTRL and its like. */
#define LEAF_7_EBX \
	(BIT(0) | BIT(3) | BIT(5) | BIT(7) | BIT(8) | BIT(9) | BIT(10) | \
	 BITS(21, 16) | BIT(23) | BIT(24) | BIT(28) | BIT(29) | BIT(30) | \
	 BIT(31))
#define LEAF_7_ECX (BIT(1) | BIT(2) | BIT(6) | BITS(12, 8) | BIT(14))
#define LEAF_7_EDX (BIT(2) | BIT(3) | BIT(4) | BIT(10))
/* XCR0: x87, SSE, AVX, AVX-512. */
#define LEAF_D_EAX (BITS(2, 0) | BITS(7, 5))
/* Leaf 0xd.1: XSAVEOPT, XSAVEC, XGETBV with ECX = 1; no XSAVES. */
#define LEAF_D_1_EAX BITS(2, 0)
#define LEAF_D_1_XSAVEC BIT(1)
/* 0x80000001: no SVM, EXTAPIC, OSVW, IBS, SKINIT, WDT, LWP, TOPOEXT, counters,
 * MWAITX; no FFXSR, RDTSCP (needs TSC_AUX). */
#define LEAF_E1_ECX (BIT(0) | BITS(8, 4) | BIT(11) | BIT(16) | BIT(21))
#define LEAF_E1_EDX \
	(BIT(0) | BITS(6, 2) | BIT(8) | BIT(9) | BIT(11) | BIT(12) | BIT(13) | \
	 BITS(17, 15) | BIT(20) | BITS(24, 22) | BIT(26) | BIT(29))
#define ECX_CMP_LEGACY BIT(1)

static const struct cpuid_rule {
	uint32_t leaf, subleaf;
	uint32_t mask[4];
} rules[] = {
	{ 0x0, ANY, { ALL, ALL, ALL, ALL } },
	{ 0x1, ANY, { ALL, 0xff00, LEAF_1_ECX, LEAF_1_EDX } },
	{ 0x2, ANY, { ALL, ALL, ALL, ALL } },
	/* Caches, without the numbers of sharing cores. */
	{ 0x4, 0, { 0x3fff, ALL, ALL, ALL } },
	{ 0x4, 1, { 0x3fff, ALL, ALL, ALL } },
	{ 0x4, 2, { 0x3fff, ALL, ALL, ALL } },
	{ 0x4, 3, { 0x3fff, ALL, ALL, ALL } },
	{ 0x7, 0, { 0, LEAF_7_EBX, LEAF_7_ECX, LEAF_7_EDX } },
	/* EBX depends on XCR0: the guest's, which is in force here. */
	{ 0xd, 0, { LEAF_D_EAX, ALL, ALL, 0 } },
	{ 0xd, 1, { LEAF_D_1_EAX, ALL, 0, 0 } },
	{ 0xd, 2, { ALL, ALL, ALL, 0 } },
	{ 0xd, 5, { ALL, ALL, ALL, 0 } },
	{ 0xd, 6, { ALL, ALL, ALL, 0 } },
	{ 0xd, 7, { ALL, ALL, ALL, 0 } },
	{ 0x80000000, ANY, { ALL, ALL, ALL, ALL } },
	{ 0x80000001, ANY, { ALL, ALL, LEAF_E1_ECX, LEAF_E1_EDX } },
	{ 0x80000002, ANY, { ALL, ALL, ALL, ALL } },
	{ 0x80000003, ANY, { ALL, ALL, ALL, ALL } },
	{ 0x80000004, ANY, { ALL, ALL, ALL, ALL } },
	{ 0x80000005, ANY, { ALL, ALL, ALL, ALL } },
	{ 0x80000006, ANY, { ALL, ALL, ALL, ALL } },
	{ 0x80000007, ANY, { 0, 0, 0, BIT(8) } }, /* invariant TSC */
	{ 0x80000008, ANY, { 0xffff, 0, 0, 0 } },
};

#define HIGHEST_LEAF 0xd
#define HIGHEST_EXTENDED 0x80000008

/* KVM's features: its clock, the new MSRs, a stable TSC. */
#define KVM_FEATURES (BIT(0) | BIT(1) | BIT(3) | BIT(24))

static uint32_t machine[ARRAY_COUNT(rules)][4];
static uint32_t physical_bits = 36;

uint32_t guest_physical_bits(void)
{
	return physical_bits;
}

void cpuid_start(void)
{
	uint32_t highest[4], extended[4], r[4];

	arch_cpuid(0, 0, highest);
	arch_cpuid(0x80000000, 0, extended);
	for (size_t i = 0; i < ARRAY_COUNT(rules); i++) {
		uint32_t limit = rules[i].leaf >= 0x80000000 ? extended[EAX] :
							       highest[EAX];

		if (rules[i].leaf > limit)
			continue;
		arch_cpuid(rules[i].leaf,
			   rules[i].subleaf == ANY ? 0 : rules[i].subleaf, r);
		for (int reg = EAX; reg <= EDX; reg++)
			machine[i][reg] = r[reg] & rules[i].mask[reg];
		if (rules[i].leaf == 0x80000008)
			physical_bits = r[EAX] & 0xff;
	}
}

static void copy_machine(uint32_t leaf, uint32_t subleaf, uint32_t r[4])
{
	memset(r, 0, 4 * sizeof r[0]);
	for (size_t i = 0; i < ARRAY_COUNT(rules); i++)
		if (rules[i].leaf == leaf &&
		    (rules[i].subleaf == ANY || rules[i].subleaf == subleaf)) {
			memcpy(r, machine[i], 4 * sizeof r[0]);
			return;
		}
}

static uint32_t bits_for(uint32_t count)
{
	return count > 1 ? 32 - __builtin_clz(count - 1) : 0;
}

static void leaf_1(const struct vcpu *vcpu, uint32_t r[4])
{
	uint32_t count = vcpu->vm->vcpu_count;
	struct guest_system system;

	virt->read_system((struct vcpu *)vcpu, &system);
	r[EBX] |= vcpu->index << 24 | count << 16;
	r[ECX] |= ECX_X2APIC | ECX_TSC_DEADLINE | ECX_HYPERVISOR;
	if (r[ECX] & BIT(26) && system.cr4 & BIT(18))
		r[ECX] |= ECX_OSXSAVE;
	if (count > 1)
		r[EDX] |= EDX_HTT;
	if (!(vcpu->apic.base & BIT(11)))
		r[EDX] &= ~EDX_APIC;
}

/* "Extended Topology Enumeration": one thread a core, one package. */
static void leaf_b(const struct vcpu *vcpu, uint32_t subleaf, uint32_t r[4])
{
	uint32_t count = vcpu->vm->vcpu_count;

	memset(r, 0, 4 * sizeof r[0]);
	r[ECX] = subleaf & 0xff;
	r[EDX] = vcpu->index;
	if (subleaf == 0) {
		r[EBX] = 1;
		r[ECX] |= 1 << 8;
	} else if (subleaf == 1) {
		r[EAX] = bits_for(count);
		r[EBX] = count;
		r[ECX] |= 2 << 8;
	}
}

/*
 * Bytes of the compacted format for what the guest's XCR0 has on, which shows
 * in the standard format's size; Bochs 2.7 gives that one for both.  "Layout
 * of the XSAVE Area": legacy region and header, then each component.
 */
static uint32_t compacted_size(uint32_t standard_size)
{
	uint32_t size = 576, r[4];

	for (uint32_t component = 2; component < 32; component++) {
		copy_machine(0xd, component, r);
		if (r[EAX] == 0 || r[EBX] + r[EAX] > standard_size)
			continue;
		if (r[ECX] & BIT(1))
			size = round_up(size, 64);
		size += r[EAX];
	}
	return size;
}

static void signature(uint32_t r[4], uint32_t highest, const char *text)
{
	r[EAX] = highest;
	memcpy(&r[EBX], text, 12);
}

static void hypervisor_leaf(uint32_t leaf, uint32_t r[4])
{
	memset(r, 0, 4 * sizeof r[0]);
	switch (leaf) {
	case MULL_CPUID_KVM:
		signature(r, MULL_CPUID_KVM + 1, "KVMKVMKVM\0\0");
		break;
	case MULL_CPUID_KVM + 1:
		r[EAX] = KVM_FEATURES;
		break;
	case MULL_CPUID_MULLION:
		signature(r, MULL_CPUID_VERSION, "MullionMull");
		break;
	case MULL_CPUID_VERSION:
		r[EAX] = MULL_GUEST_ABI;
		break;
	}
}

/* Leaves whose answer hangs on more than leaf, subleaf and the vCPU: OSXSAVE
 * and the APIC's switch, and the size of what XCR0 enables. */
static bool can_be_remembered(uint32_t leaf)
{
	return leaf != 1 && leaf != 0xd;
}

void cpuid_forget(struct vcpu *vcpu)
{
	for (size_t i = 0; i < CPUID_LINES; i++)
		vcpu->cpuid_lines[i].key = CPUID_NO_KEY;
}

void cpuid_remember(struct vcpu *vcpu, uint32_t leaf, uint32_t subleaf,
		    const uint32_t r[4])
{
	struct cpuid_line *line = &vcpu->cpuid_lines[cpuid_line_number(leaf)];

	if (!can_be_remembered(leaf))
		return;
	line->key = cpuid_key(leaf, subleaf);
	memcpy(line->registers, r, sizeof line->registers);
}

void guest_cpuid(const struct vcpu *vcpu, uint32_t leaf, uint32_t subleaf,
		 uint32_t r[4])
{
	uint32_t count = vcpu->vm->vcpu_count;
	uint32_t live[4];

	if (leaf >= 0x40000000 && leaf < 0x40010000) {
		hypervisor_leaf(leaf, r);
		return;
	}
	copy_machine(leaf, subleaf, r);
	switch (leaf) {
	case 0:
		r[EAX] = HIGHEST_LEAF;
		break;
	case 1:
		leaf_1(vcpu, r);
		break;
	case 4:
		if (r[EAX] & 0x1f)
			r[EAX] |= (count - 1) << 26;
		break;
	case 0xb:
		leaf_b(vcpu, subleaf, r);
		break;
	case 0xd:
		if (subleaf <= 1 && r[EAX]) {
			arch_cpuid(leaf, 0, live);
			r[EBX] = subleaf == 0 ? live[EBX] :
				 r[EAX] & LEAF_D_1_XSAVEC ?
						compacted_size(live[EBX]) :
						0;
		}
		break;
	case 0x80000000:
		r[EAX] = r[EAX] < HIGHEST_EXTENDED ? r[EAX] : HIGHEST_EXTENDED;
		break;
	case 0x80000001:
		if (count > 1)
			r[ECX] |= ECX_CMP_LEGACY;
		break;
	case 0x80000008:
		r[ECX] = count - 1;
		break;
	}
}
