/* SPDX-License-Identifier: MIT */
/* Debug and control registers, and the tables of descriptors. */
#include "secret.h"

/* ---- DR0 to DR3, DR6, DR7 ------------------------------------------------ */

#define DR6_RESET 0xffff0ff0
#define DR7_RESET 0x400

#define DEBUG_REGISTER(n) \
	static uint64_t dr##n##_read(void) \
	{ \
		uint64_t value; \
\
		asm volatile("mov %%dr" #n ", %0" : "=r"(value)); \
		return value; \
	} \
	static void dr##n##_write(uint64_t value) \
	{ \
		asm volatile("mov %0, %%dr" #n ::"r"(value)); \
	}
DEBUG_REGISTER(0)
DEBUG_REGISTER(1)
DEBUG_REGISTER(2)
DEBUG_REGISTER(3)
DEBUG_REGISTER(6)
DEBUG_REGISTER(7)

static void look_at_debug(void)
{
	report(!(dr0_read() | dr1_read() | dr2_read() | dr3_read()),
	       "DR0 to DR3 are zero");
	report(dr6_read() == DR6_RESET, "DR6 is as at power-on (%lx)",
	       dr6_read());
	report(dr7_read() == DR7_RESET, "DR7 is as at power-on (%lx)",
	       dr7_read());
}

/* Breakpoints on the execution of code that is not there. */
static uint64_t dr7_secret(void)
{
	return DR7_RESET | (secret_number == 1 ? 0x55 : 0x03);
}

static void fill_debug(void)
{
	dr0_write(secret_address(10));
	dr1_write(secret_address(11));
	dr2_write(secret_address(12));
	dr3_write(secret_address(13));
	dr6_write(DR6_RESET | secret_number);
	dr7_write(dr7_secret());
}

static bool debug_kept(void)
{
	return secret_same("DR0", dr0_read(), secret_address(10)) &
	       secret_same("DR1", dr1_read(), secret_address(11)) &
	       secret_same("DR2", dr2_read(), secret_address(12)) &
	       secret_same("DR3", dr3_read(), secret_address(13)) &
	       secret_same("DR6", dr6_read(), DR6_RESET | secret_number) &
	       secret_same("DR7", dr7_read(), dr7_secret());
}

const struct secret_class class_debug = { .name = "debug registers",
					  .look = look_at_debug,
					  .fill = fill_debug,
					  .kept = debug_kept };

/* ---- CR0, CR2, CR3, CR4 -------------------------------------------------- */

#define CR0_AT_START 0x80050033 /* PG, AM, WP, NE, ET, MP, PE */
#define CR4_AT_START 0x6a0	/* OSXMMEXCPT, OSFXSR, PGE, PAE */
#define CR0_AM BIT(18)
#define CR4_DE BIT(3)
#define CR4_PCE BIT(8)
#define CR4_SET_BEFORE (CR4_OSXSAVE | BIT(22)) /* by fpu.c */

static uint64_t cr0_filled, cr4_filled;

static void look_at_control(void)
{
	report(entered.cr2 == 0, "CR2 is zero (%lx)", entered.cr2);
	report(entered.cr3 && entered.cr3 < MIB(1), "CR3 is the loader's");
	report(cr0_read() == CR0_AT_START, "CR0 is as documented (%lx)",
	       cr0_read());
	report((cr4_read() & ~CR4_SET_BEFORE) == CR4_AT_START,
	       "CR4 is as documented (%lx)", cr4_read());
}

static void touch(void *address)
{
	(void)*(volatile uint8_t *)address;
}

static void fill_control(void)
{
	guarded_call(touch, (void *)secret_address(20)); /* CR2 */
	cr0_filled = cr0_read();
	cr4_filled = cr4_read() | (secret_number == 1 ? CR4_PCE : CR4_DE);
	if (secret_number == 1)
		cr0_filled &= ~CR0_AM;
	cr0_write(cr0_filled);
	cr4_write(cr4_filled);
}

static bool control_kept(void)
{
	return secret_same("CR0", cr0_read(), cr0_filled) &
	       secret_same("CR2", cr2_read(), secret_address(20)) &
	       secret_same("CR3", cr3_read(), paging_root()) &
	       secret_same("CR4", cr4_read(), cr4_filled);
}

const struct secret_class class_control = { .name = "control registers",
					    .look = look_at_control,
					    .fill = fill_control,
					    .kept = control_kept };

/* ---- GDT, IDT, LDT, TR --------------------------------------------------- */

/* The guests are one program, so their tables stand at the same addresses:
 * their limits differ, and each has a descriptor where the other has none. */
#define SPARE_TSS(number) (SDK_TSS + 16 * (10 + (number)))
#define LDT_PRESENT 0x820000000000ull
#define READABLE_DATA 0x930000000000ull
#define IN_LDT 4

static uint64_t ldt[4] __attribute__((aligned(4096)));
static struct table_pointer gdt_filled, idt_filled;

static void look_at_tables(void)
{
	report(entered.gdt.base && entered.gdt.base < MIB(1),
	       "the GDT is the loader's (%lx)", entered.gdt.base);
	report(!entered.idt.base && !entered.idt.limit,
	       "there is no IDT (%lx, %x)", entered.idt.base,
	       entered.idt.limit);
	report(!entered.tr && !entered.ldtr, "TR and LDTR are null");
}

static uint16_t ldt_selector(uint32_t number)
{
	return (uint16_t)(8 * number | IN_LDT);
}

static void fill_tables(void)
{
	uint32_t selector = SPARE_TSS(secret_number);
	uint64_t base = (uintptr_t)ldt, *descriptor;

	asm volatile("sgdt %0; sidt %1" : "=m"(gdt_filled), "=m"(idt_filled));
	gdt_filled.limit -= 16 * secret_number;
	idt_filled.limit -= 16 * secret_number;
	descriptor = (uint64_t *)(gdt_filled.base + selector);
	descriptor[0] = LDT_PRESENT | (sizeof ldt - 1) |
			(base & 0xffffff) << 16 | (base >> 24 & 0xff) << 56;
	descriptor[1] = base >> 32;
	ldt[secret_number] = READABLE_DATA;
	asm volatile("lgdt %0; lidt %1; lldt %w2" ::"m"(gdt_filled),
		     "m"(idt_filled), "r"(selector)
		     : "memory");
}

/* The processor looks into the LDT for it. */
static bool is_readable(uint16_t selector)
{
	bool readable;

	asm volatile("verr %1" : "=@ccz"(readable) : "r"(selector));
	return readable;
}

static bool tables_kept(void)
{
	struct table_pointer gdt, idt;
	uint64_t ldtr = 0, tr = 0;

	asm volatile("sgdt %0; sidt %1; sldt %w2; str %w3"
		     : "=m"(gdt), "=m"(idt), "+r"(ldtr), "+r"(tr));
	return secret_same("GDTR's base", gdt.base, gdt_filled.base) &
	       secret_same("GDTR's limit", gdt.limit, gdt_filled.limit) &
	       secret_same("IDTR's base", idt.base, idt_filled.base) &
	       secret_same("IDTR's limit", idt.limit, idt_filled.limit) &
	       secret_same("LDTR", ldtr, SPARE_TSS(secret_number)) &
	       secret_same("TR", tr, SDK_TSS) &
	       secret_same("what the LDT has",
			   is_readable(ldt_selector(secret_number)), true) &
	       secret_same("what the LDT has not",
			   is_readable(ldt_selector(3 - secret_number)), false);
}

const struct secret_class class_tables = { .name = "GDT, IDT, LDT and TR",
					   .look = look_at_tables,
					   .fill = fill_tables,
					   .kept = tables_kept };
