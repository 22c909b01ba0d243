/* SPDX-License-Identifier: MIT */
/* The tables of a VM with firmware: it copies them, so what leads from one to
 * another is an offset until firmware has mended it. */
#ifndef MULLION_GUEST_ACPI_H
#define MULLION_GUEST_ACPI_H

#include <stdint.h>

struct mull_vm;

/* In a table that one leads to: the place of a pointer of @size bytes or, with
 * @size 0, of the sum of @length bytes from @start on. */
struct acpi_mend {
	uint32_t at, size;
	uint32_t start, length;
};
#define ACPI_MENDS_MAX 9

/* In the order in which they must be done; how many. */
uint32_t guest_acpi_mends(const struct mull_vm *vm,
			  struct acpi_mend mends[ACPI_MENDS_MAX]);
/* Bytes of the tables from the RSDP on, which is the first. */
uint32_t guest_acpi_size(const struct mull_vm *vm);
/* The pointer and the sum in the RSDP itself, in the same way. */
extern const struct acpi_mend guest_acpi_rsdp_mends[2];

#endif
