/* SPDX-License-Identifier: MIT */
/*
 * CPUID, curated by one table, cpuid_table.def: what is passed from the
 * machine, what is Mullion's own and why the rest is not.  What is not in the
 * table reads as zeros.  SDM 325383, "Information Returned by CPUID
 * Instruction"; AMD 24594, "CPUID".
 */
#include <mullion/arch.h>
#include <mullion/bits.h>
#include <mullion/cpuid.h>
#include <mullion/fast_exit.h>
#include <mullion/guest.h>
#include <mullion/log.h>
#include <mullion/vm.h>
#include <string.h>

enum { EAX, EBX, ECX, EDX };

#define ANY ~0u
#define ALL ~0u

/* What guests are told beside it, or instead. */
#define ECX_X2APIC BIT(21)
#define ECX_TSC_DEADLINE BIT(24)
#define ECX_OSXSAVE BIT(27)
#define ECX_HYPERVISOR BIT(31)
#define EDX_APIC BIT(9)
#define EDX_HTT BIT(28)
#define LEAF_6_ARAT BIT(2)
#define LEAF_D_1_XSAVEC BIT(1)
#define ECX_CMP_LEGACY BIT(1)

#define HIGHEST_LEAF 0xd
#define HIGHEST_EXTENDED 0x80000008

/* What is the machine's; the words are for docs/processor.md. */
#define MACHINE(...) { __VA_ARGS__ },
#define OWN(...)
#define HIDDEN(...)
#define CPUID_BITS(leaf, subleaf, number, bits, decision, what, why) \
	decision(leaf, subleaf, number, (uint32_t)(bits))
#define CPUID_HIDDEN(first, last, what, why)
static const struct cpuid_rule {
	uint32_t leaf, subleaf, number, bits;
} rules[] = {
#include "cpuid_table.def"
};

/* The machine's answers with nothing but those bits, a line a leaf. */
#define LINES_MAX 32
static struct machine_line {
	uint32_t leaf, subleaf, registers[4];
} machine[LINES_MAX];
static uint32_t machine_lines;
static uint32_t physical_bits = 36;

uint32_t guest_physical_bits(void)
{
	return physical_bits;
}

static struct machine_line *line_for(const struct cpuid_rule *rule)
{
	struct machine_line *line = &machine[machine_lines];

	for (uint32_t i = 0; i < machine_lines; i++)
		if (machine[i].leaf == rule->leaf &&
		    machine[i].subleaf == rule->subleaf)
			return &machine[i];
	ASSERT(machine_lines < LINES_MAX);
	machine_lines++;
	*line = (struct machine_line){ .leaf = rule->leaf,
				       .subleaf = rule->subleaf };
	return line;
}

void cpuid_start(void)
{
	uint32_t highest[4], extended[4], r[4];

	machine_lines = 0;
	arch_cpuid(0, 0, highest);
	arch_cpuid(0x80000000, 0, extended);
	for (size_t i = 0; i < ARRAY_COUNT(rules); i++) {
		const struct cpuid_rule *rule = &rules[i];
		uint32_t limit = rule->leaf >= 0x80000000 ? extended[EAX] :
							    highest[EAX];

		if (rule->leaf > limit)
			continue;
		arch_cpuid(rule->leaf, rule->subleaf == ANY ? 0 : rule->subleaf,
			   r);
		line_for(rule)->registers[rule->number] |= r[rule->number] &
							   rule->bits;
		if (rule->leaf == 0x80000008)
			physical_bits = r[EAX] & 0xff;
	}
}

static void copy_machine(uint32_t leaf, uint32_t subleaf, uint32_t r[4])
{
	memset(r, 0, 4 * sizeof r[0]);
	for (uint32_t i = 0; i < machine_lines; i++)
		if (machine[i].leaf == leaf &&
		    (machine[i].subleaf == ANY ||
		     machine[i].subleaf == subleaf)) {
			memcpy(r, machine[i].registers, 4 * sizeof r[0]);
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
	r[ECX] |= ECX_X2APIC | ECX_HYPERVISOR;
	if (local_apic_has_deadline(vcpu->vm))
		r[ECX] |= ECX_TSC_DEADLINE;
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

static void hypervisor_leaf(const struct vm *vm, uint32_t leaf, uint32_t r[4])
{
	memset(r, 0, 4 * sizeof r[0]);
	switch (leaf) {
	case MULL_CPUID_KVM:
		signature(r, MULL_CPUID_KVM + 1, "KVMKVMKVM\0\0");
		break;
	case MULL_CPUID_KVM + 1:
		r[EAX] = vm->kvm_features;
		r[EDX] = vm->kvm_hints;
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
		hypervisor_leaf(vcpu->vm, leaf, r);
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
	case 6:
		r[EAX] |= LEAF_6_ARAT;
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
