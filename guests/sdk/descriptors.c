/* SPDX-License-Identifier: MIT */
/* GDT, TSS and IDT: one GDT and IDT for all vCPUs, a TSS for each. */
#include "sdk.h"

#define GDT_FIXED 5			/* descriptors before the first TSS */
#define TSS_AVAILABLE 0x890000000000ull /* present, 64-bit TSS */
#define GATE_INTERRUPT 0x8e00		/* present, ring 0 only */
#define GATE_FROM_RING3 0x6000
#define EXCEPTION_STACK 1 /* index in the TSS's interrupt stack table */
#define EXCEPTION_COUNT 32

/* SDM 325462, "64-Bit TSS Format". */
struct tss {
	uint32_t reserved0;
	uint64_t stack[3];
	uint64_t reserved1;
	uint64_t interrupt_stack[7];
	uint64_t reserved2;
	uint16_t reserved3;
	uint16_t io_map;
} __attribute__((packed));

/* SDM 325462, "64-Bit IDT Gate Descriptors". */
struct gate {
	uint16_t offset_low;
	uint16_t selector;
	uint16_t type; /* and interrupt stack */
	uint16_t offset_middle;
	uint32_t offset_high;
	uint32_t reserved;
};

struct table_pointer {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

extern char interrupt_entries[]; /* 16 bytes each */

static struct tss tss[SDK_VCPU_MAX];
static struct gate idt[256];
static uint64_t gdt[GDT_FIXED + 2 * SDK_VCPU_MAX] = {
	[SDK_CODE / 8] = 0x00209b0000000000,
	[SDK_DATA / 8] = 0x0000930000000000,
	[SDK_USER_DATA / 8] = 0x0000f30000000000,
	[SDK_USER_CODE / 8] = 0x0020fb0000000000,
};

static void idt_fill(void)
{
	for (unsigned int i = 0; i < ARRAY_COUNT(idt); i++) {
		uintptr_t entry = (uintptr_t)interrupt_entries + 16 * i;

		idt[i] = (struct gate){
			.offset_low = (uint16_t)entry,
			.selector = SDK_CODE,
			.type = GATE_INTERRUPT,
			.offset_middle = (uint16_t)(entry >> 16),
			.offset_high = (uint32_t)(entry >> 32),
		};
		/* Interrupts nest below what they interrupt; an exception may
		 * come from a stack that is no stack. */
		if (i < EXCEPTION_COUNT)
			idt[i].type |= EXCEPTION_STACK;
		if (i == VECTOR_BREAKPOINT)
			idt[i].type |= GATE_FROM_RING3;
	}
}

/* Writes the TSS of vCPU @index and its descriptor into the GDT. */
static void tss_fill(uint32_t index)
{
	uint64_t base = (uintptr_t)&tss[index];
	uint64_t *descriptor = &gdt[GDT_FIXED + 2 * index];

	tss[index].interrupt_stack[EXCEPTION_STACK - 1] =
		(uintptr_t)sdk_stacks[index] + SDK_STACK_SIZE / 2;
	tss[index].io_map = sizeof tss[index];
	descriptor[0] = TSS_AVAILABLE | (sizeof tss[index] - 1) |
			(base & 0xffffff) << 16 | (base >> 24 & 0xff) << 56;
	descriptor[1] = base >> 32;
}

void descriptors_start(uint32_t index)
{
	struct table_pointer gdt_pointer = { sizeof gdt - 1, (uintptr_t)gdt };
	struct table_pointer idt_pointer = { sizeof idt - 1, (uintptr_t)idt };

	if (index == 0)
		idt_fill();
	tss_fill(index);
	asm volatile("lgdt %0; lidt %1\n\t"
		     "push %2; lea 1f(%%rip), %%rax; push %%rax; lretq; 1:\n\t"
		     "mov %3, %%ds; mov %3, %%es; mov %3, %%ss\n\t"
		     "mov %4, %%fs; mov %4, %%gs; ltr %w5" ::"m"(gdt_pointer),
		     "m"(idt_pointer), "i"(SDK_CODE), "r"(SDK_DATA), "r"(0),
		     "r"(SDK_TSS + 16 * index)
		     : "rax", "memory");
}
