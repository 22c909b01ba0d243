/* SPDX-License-Identifier: MIT */
/* The processor's part of the start, in order; then the kernel's. */
#include "acpi.h"
#include "cpu.h"
#include "fpu.h"
#include "registers.h"
#include <mullion/arch.h>
#include <mullion/kernel.h>
#include <mullion/log.h>
#include <mullion/pci.h>
#include <string.h>

static struct mull_boot_info boot_info;

void x86_start(const struct mull_boot_info *from_loader);
_Noreturn void switch_stack(void (*next)(void), uint64_t stack);
typedef void reset_system(uint32_t type, uint64_t status, uint64_t size,
			  const void *data) __attribute__((ms_abi));

uint8_t arch_port_in8(uint16_t port)
{
	uint8_t value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

void arch_port_out8(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

uint32_t arch_port_in32(uint16_t port)
{
	uint32_t value;

	__asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

void arch_port_out32(uint16_t port, uint32_t value)
{
	__asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

/* x86 keeps the order of stores; uncached accesses keep theirs. */
uint64_t arch_mmio_read(hpa_t at, uint32_t size)
{
	const volatile void *from = arch_direct(at);

	switch (size) {
	case 1:
		return *(const volatile uint8_t *)from;
	case 2:
		return *(const volatile uint16_t *)from;
	case 4:
		return *(const volatile uint32_t *)from;
	default:
		return *(const volatile uint64_t *)from;
	}
}

void arch_mmio_write(hpa_t at, uint32_t size, uint64_t value)
{
	volatile void *to = arch_direct(at);

	__asm__ volatile("" : : : "memory");
	switch (size) {
	case 1:
		*(volatile uint8_t *)to = (uint8_t)value;
		break;
	case 2:
		*(volatile uint16_t *)to = (uint16_t)value;
		break;
	case 4:
		*(volatile uint32_t *)to = (uint32_t)value;
		break;
	default:
		*(volatile uint64_t *)to = value;
	}
}

void arch_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t registers[4])
{
	struct cpuid r = cpuid(leaf, subleaf);

	registers[0] = r.eax;
	registers[1] = r.ebx;
	registers[2] = r.ecx;
	registers[3] = r.edx;
	if (leaf == 0xd && subleaf == 1 && !fpu_compaction_works())
		registers[0] &= (uint32_t)~BIT(1);
}

#define PIC_1_DATA 0x21
#define PIC_2_DATA 0xa1
/* "HPET General Configuration Register": ENABLE_CNF, LEG_RT_CNF */
#define HPET_CONFIGURATION 0x10

/* The firmware's interrupt sources are silenced: none is expected any more. */
static void mask_firmware_devices(void)
{
	arch_port_out8(PIC_1_DATA, 0xff);
	arch_port_out8(PIC_2_DATA, 0xff);
	apic_mask_io();
	if (acpi.hpet != 0 &&
	    arch_map(hpa(acpi.hpet), PAGE_SIZE, ARCH_MAP_DEVICE) == ERR_NONE) {
		volatile uint64_t *configuration = arch_direct(
			hpa(acpi.hpet + HPET_CONFIGURATION));

		*configuration &= ~3ull;
	}
	log_write("PCI: bus mastering is off on %u functions", pci_quiesce());
}

/* On CPU 0's own stack. */
static void start_on_cpu(void)
{
	log_start();
	log_write("Mullion %s, loaded at 0x%lx, linked at 0x%lx", MULL_VERSION,
		  boot_info.image_address, (uint64_t)MULL_KERNEL_BASE);
	acpi_start(&boot_info);
	clock_start();
	apic_start(acpi.local_apic);
	processors_start_boot();
	mask_firmware_devices();
	apic_timer_measure();
	processors_start(&boot_info);
	page_table_drop_identity();
	page_table_check();
	log_write("%u processors run", cpu_count);
	kernel_main(&boot_info);
}

void x86_start(const struct mull_boot_info *from_loader)
{
	if (from_loader->magic != MULL_BOOT_MAGIC ||
	    from_loader->version != MULL_BOOT_VERSION ||
	    from_loader->size != sizeof boot_info)
		arch_halt(); /* a loader of another version: nothing is known */
	memcpy(&boot_info, from_loader, sizeof boot_info);
	if (boot_info.memory_count > MULL_BOOT_RANGES)
		boot_info.memory_count = MULL_BOOT_RANGES;
	if (boot_info.processor_count > MULL_BOOT_PROCESSORS)
		boot_info.processor_count = MULL_BOOT_PROCESSORS;
	interrupts_start();
	__asm__ volatile("lidt (%0)" : : "r"((char *)idt_pointer + 6));
	page_table_start(&boot_info);
	kernel_memory_start(&boot_info);
	page_table_reserve(&boot_info);
	page_table_cpu_area(0);
	switch_stack(start_on_cpu,
		     (uint64_t)cpu_at(0) +
			     (CPU_PAGE_STACK + CPU_STACK_PAGES) * PAGE_SIZE);
}

/*
 * UEFI 2.10, "ResetSystem()", as "x64 Platforms" wants it called; then the
 * FADT's register, and 0xcf9 that PCs have had since the PIIX3.  Without an IDT
 * a fault in the firmware, and at last INT3, restarts the machine as well.
 */
void arch_end_machine(enum mull_machine_end end)
{
	static const uint32_t types[] = {
		[MULL_MACHINE_POWER_OFF] = 2,  /* EfiResetShutdown */
		[MULL_MACHINE_REBOOT] = 0,     /* EfiResetCold */
		[MULL_MACHINE_WARM_RESET] = 1, /* EfiResetWarm */
	};
	static const uint64_t no_idt[2];
	reset_system *firmware = (reset_system *)boot_info.reset_system;

	page_table_firmware(&boot_info);
	arch_stop_others();
	if (end != MULL_MACHINE_POWER_OFF)
		__asm__ volatile("lidt %0" : : "m"(no_idt));
	if (firmware)
		firmware(types[end], 0, 0, NULL);
	if (end == MULL_MACHINE_POWER_OFF)
		return;
	if (acpi.reset_port != 0)
		arch_port_out8(acpi.reset_port, acpi.reset_value);
	arch_port_out8(0xcf9, 0x02);
	arch_port_out8(0xcf9, 0x06);
	__asm__ volatile("int3");
}
