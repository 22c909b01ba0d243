/* SPDX-License-Identifier: MIT */
/*
 * Starts every processor of the machine.  SDM 325384, "MP Initialization
 * Protocol Algorithm for MP Systems".
 */
#include "acpi.h"
#include "cpu.h"
#include "fpu.h"
#include "registers.h"
#include <mullion/arch.h>
#include <mullion/kernel.h>
#include <mullion/log.h>
#include <string.h>

uint32_t cpu_count = 1;

extern const char trampoline[], trampoline_end[];
extern char trampoline_cr3[], trampoline_stack[], trampoline_page[],
	trampoline_far[];

#define INIT_US 10000
#define START_LIMIT_US 2000000
#define START_STEP_US 100
#define STARTUP_AGAIN_AFTER 20 /* steps */

uint32_t arch_cpu_index(void)
{
	uint64_t here = (uint64_t)__builtin_frame_address(0);

	/* The boot stack, before there is a CPU area. */
	return here >= MULL_KERNEL_BASE ? 0 : cpu_self()->index;
}

uint32_t arch_cpu_count(void)
{
	return cpu_count;
}

static void *in_page(uint8_t *page, const char *symbol)
{
	return page + (symbol - trampoline);
}

static void add_to(void *where, uint32_t value)
{
	uint32_t word;

	memcpy(&word, where, sizeof word);
	word += value;
	memcpy(where, &word, sizeof word);
}

/* The start code at its low page, ready for any processor but its stack. */
static uint8_t *place_trampoline(uint64_t physical)
{
	uint8_t *page = (uint8_t *)physical; /* mapped 1:1 for this time */
	uint64_t root = page_table_root();

	page_table_identity_page(physical);
	memcpy(page, trampoline, trampoline_end - trampoline);
	memcpy(in_page(page, trampoline_cr3), &root, sizeof root);
	add_to(in_page(page, trampoline_page), physical);
	add_to(in_page(page, trampoline_far), physical);
	return page;
}

static bool start_processor(struct cpu *cpu, uint8_t *page, uint64_t physical)
{
	uint64_t stack = (uint64_t)cpu +
			 (CPU_PAGE_STACK + CPU_STACK_PAGES) * PAGE_SIZE;

	memcpy(in_page(page, trampoline_stack), &stack, sizeof stack);
	apic_send_startup(cpu->apic_id, physical >> 12);
	for (int step = 0; step < START_LIMIT_US / START_STEP_US; step++) {
		if (cpu->started)
			return true;
		if (step == STARTUP_AGAIN_AFTER)
			apic_send_startup(cpu->apic_id, physical >> 12);
		clock_wait_us(START_STEP_US);
	}
	return false;
}

static void prepare_area(uint32_t index, uint32_t apic)
{
	struct cpu *cpu = cpu_at(index);

	page_table_cpu_area(index);
	cpu->index = index;
	cpu->apic_id = apic;
}

static bool is_startable(uint32_t apic)
{
	return apic != cpu_self()->apic_id &&
	       (apic < 255 || read_msr(MSR_APIC_BASE) & APIC_BASE_EXTD);
}

/* Returns whether there is any; those that have been reset by it need some
 * time. */
static bool send_inits(void)
{
	bool sent = false;

	for (uint32_t i = 0; i < acpi.processor_count; i++) {
		if (!is_startable(acpi.apic_ids[i]))
			continue;
		apic_send_init(acpi.apic_ids[i]);
		sent = true;
	}
	return sent;
}

void processors_start(const struct mull_boot_info *boot)
{
	uint8_t *page;

	if (boot->trampoline == 0 || boot->trampoline >= 0xa0000 ||
	    boot->trampoline & (PAGE_SIZE - 1)) {
		log_write("no page below 1 MiB to start processors from");
		return;
	}
	page = place_trampoline(boot->trampoline);
	if (send_inits())
		clock_wait_us(INIT_US);
	for (uint32_t i = 0; i < acpi.processor_count; i++) {
		if (!is_startable(acpi.apic_ids[i]) ||
		    cpu_count == MULL_CPU_MAX)
			continue;
		prepare_area(cpu_count, acpi.apic_ids[i]);
		if (start_processor(cpu_at(cpu_count), page, boot->trampoline))
			cpu_count++;
		else
			log_write("processor with APIC ID %u does not start",
				  acpi.apic_ids[i]);
	}
}

/* What every processor needs before it may run a guest. */
static void processor_enable(void)
{
	descriptors_start(cpu_self());
	fpu_start();
	apic_enable();
}

_Noreturn void processor_main(void)
{
	write_msr(MSR_PAT, PAT_VALUE);
	write_cr4(CR4_PAE | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_MCE);
	processor_enable();
	cpu_self()->started = true;
	kernel_cpu_main();
}

void processors_start_boot(void)
{
	processor_enable();
	cpu_self()->apic_id = apic_id();
	cpu_self()->started = true;
}
