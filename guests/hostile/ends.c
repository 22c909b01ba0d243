/* SPDX-License-Identifier: MIT */
/* What no guest can come back from.  The hypervisor must end this one, say
 * why, and let the others be. */
#include "hostile.h"

struct table_pointer {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

static void load_idt(uint64_t base, uint16_t limit)
{
	struct table_pointer pointer = { limit, base };

	asm volatile("lidt %0" ::"m"(pointer));
}

static void jump(uint64_t to)
{
	asm volatile("jmp *%0" ::"r"(to));
}

void stack_in_mmio(void)
{
	uint64_t old;

	asm volatile("mov %%rsp, %0; mov %1, %%rsp; push %%rax; pop %%rax;"
		     "mov %0, %%rsp"
		     : "=&r"(old)
		     : "r"((uint64_t)NOWHERE + PAGE_SIZE)
		     : "memory");
}

void gdt_in_mmio(void)
{
	struct table_pointer pointer = { 0xff, NOWHERE };
	struct table_pointer old;

	asm volatile("sgdt %0; lgdt %1; mov %2, %%fs; lgdt %0"
		     : "=m"(old)
		     : "m"(pointer), "r"(SDK_DATA));
}

void code_in_mmio(void)
{
	jump(NOWHERE);
}

void code_in_apic(void)
{
	jump(MULL_GUEST_LOCAL_APIC);
}

void code_in_hole(void)
{
	jump(guest_info.memory_low);
}

void tables_in_mmio(void)
{
	cr3_write(MULL_GUEST_IO_APIC);
}

void tables_in_hole(void)
{
	cr3_write(guest_info.memory_low);
}

/* A translation that goes through a table in the I/O APIC. */
void walk_in_mmio(void)
{
	uint64_t *pointers = (uint64_t *)(*(uint64_t *)paging_root() &
					  ~(PAGE_SIZE - 1));

	pointers[511] = MULL_GUEST_IO_APIC | 7;
	(void)*(volatile uint64_t *)GIB(511);
}

void idt_in_mmio(void)
{
	load_idt(NOWHERE, 0xfff);
	asm volatile("ud2");
}

void triple_fault(void)
{
	load_idt(0, 0);
	asm volatile("ud2");
}

void halt_forever(void)
{
	asm volatile("cli; hlt");
}

void power_off(void)
{
	port_write(MULL_GUEST_SLEEP_CONTROL, MULL_GUEST_S5_TYPE << 2 | 0x20);
	spin_ns(10 * NS_PER_MS);
}

void reset(void)
{
	port_write(MULL_GUEST_RESET_PORT, MULL_GUEST_RESET_VALUE);
	spin_ns(10 * NS_PER_MS);
}

void spin(void)
{
	interrupts_off();
	for (;;)
		asm volatile("" ::: "memory");
}
