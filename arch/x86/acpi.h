/* SPDX-License-Identifier: MIT */
/* What the hypervisor reads in the machine's ACPI tables: processors, I/O
 * APICs, the PM timer, the reset register.  No AML. */
#ifndef X86_ACPI_H
#define X86_ACPI_H

#include <mullion/boot_info.h>
#include <stdbool.h>
#include <stdint.h>

#define ACPI_PROCESSORS_MAX 256
#define ACPI_IO_APICS_MAX 8
#define ACPI_ISA_LINES 16

struct acpi {
	bool has_madt, has_fadt;
	uint64_t local_apic;
	uint32_t processor_count;
	uint32_t apic_ids[ACPI_PROCESSORS_MAX];
	uint32_t io_apic_count;
	struct {
		uint64_t address;
		uint32_t first_gsi;
	} io_apics[ACPI_IO_APICS_MAX];
	struct {
		uint32_t gsi;
		bool level, active_low;
	} isa[ACPI_ISA_LINES];
	uint32_t pm_timer_port; /* 0: none */
	bool pm_timer_is_32_bit;
	uint16_t reset_port; /* 0: none */
	uint8_t reset_value;
	uint64_t hpet; /* physical, 0: none */
};

extern struct acpi acpi;

/* Reads the tables; where there are none, the values that a PC without ACPI
 * has.  The firmware's tables are hostile: every length is checked. */
void acpi_start(const struct mull_boot_info *boot);

#endif
