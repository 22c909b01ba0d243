/* SPDX-License-Identifier: MIT */
/* A CPU's GDT and TSS.  The IDT is one for all (interrupts.c). */
#include "cpu.h"
#include "registers.h"

/* "Segment Descriptor"; 64-bit code and flat data */
#define DESCRIPTOR_CODE 0x00af9b000000ffffull
#define DESCRIPTOR_DATA 0x00cf93000000ffffull

static uint64_t stack_top(struct cpu *cpu, uint32_t last_page)
{
	return (uint64_t)cpu + (last_page + 1) * PAGE_SIZE;
}

/* "Format of TSS and LDT Descriptors in 64-bit Mode" */
static void describe_tss(struct cpu *cpu)
{
	uint64_t base = (uint64_t)&cpu->tss;

	cpu->gdt[3] = (sizeof cpu->tss - 1) | (base & 0xffffff) << 16 |
		      0x89ull << 40 | (base >> 24 & 0xff) << 56;
	cpu->gdt[4] = base >> 32;
}

void descriptors_start(struct cpu *cpu)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed))
	gdtr = { sizeof cpu->gdt - 1, (uint64_t)cpu->gdt };

	cpu->gdt[1] = DESCRIPTOR_CODE;
	cpu->gdt[2] = DESCRIPTOR_DATA;
	cpu->tss.ist[0] = stack_top(cpu, CPU_PAGE_NMI);
	cpu->tss.ist[1] = stack_top(cpu, CPU_PAGE_DOUBLE_FAULT);
	cpu->tss.ist[2] = stack_top(cpu, CPU_PAGE_MACHINE_CHECK);
	cpu->tss.io_map_base = sizeof cpu->tss;
	describe_tss(cpu);
	__asm__ volatile("lgdt %0\n\t"
			 "pushq %1\n\t"
			 "leaq 1f(%%rip), %%rax\n\t"
			 "pushq %%rax\n\t"
			 "lretq\n"
			 "1:\tmovl %2, %%eax\n\t"
			 "movl %%eax, %%ds\n\t"
			 "movl %%eax, %%es\n\t"
			 "movl %%eax, %%ss\n\t"
			 "xorl %%eax, %%eax\n\t"
			 "movl %%eax, %%fs\n\t"
			 "movl %%eax, %%gs\n\t"
			 "ltr %w3"
			 :
			 : "m"(gdtr), "i"(SELECTOR_CODE), "i"(SELECTOR_DATA),
			   "r"(SELECTOR_TSS)
			 : "rax", "memory");
	write_msr(MSR_FS_BASE, (uint64_t)cpu);
	__asm__ volatile("lidt (%0)" : : "r"((char *)idt_pointer + 6));
}
