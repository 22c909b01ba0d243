/* SPDX-License-Identifier: MIT */
#include "acpi.h"
#include "cpu.h"
#include <mullion/arch.h>
#include <mullion/bits.h>
#include <mullion/log.h>
#include <string.h>

struct acpi acpi = {
	.local_apic = 0xfee00000,
};

/* Bytes: longer tables are not believed.  A root of all that is believed
 * leads to 512 tables. */
#define TABLE_MAX MIB(1)
#define ROOT_MAX KIB(4)
#define HEADER_SIZE 36

static uint64_t memory_end; /* an access from here on is an exception */
static uint32_t left_out;   /* processors for which there was no room */

/*
 * Firmware's tables are read through the window, piece by piece, so that
 * nothing of them stays mapped.
 */
static bool read_physical(uint64_t from, void *to, uint64_t length)
{
	uint8_t *bytes = to;

	if (from == 0 || from + length < from || from + length > memory_end)
		return false;
	while (length > 0) {
		uint64_t offset = from & (FRAME_SIZE - 1);
		uint64_t piece = FRAME_SIZE - offset;

		if (piece > length)
			piece = length;
		memcpy(bytes,
		       (uint8_t *)arch_window(hpa(from - offset)) + offset,
		       piece);
		bytes += piece;
		from += piece;
		length -= piece;
	}
	return true;
}

static uint64_t read_number(uint64_t from, uint32_t size)
{
	uint64_t value = 0;

	return read_physical(from, &value, size) ? value : 0;
}

static bool sum_is_zero(uint64_t at, uint64_t length)
{
	uint8_t sum = 0, piece[64];

	for (uint64_t done = 0; done < length; done += sizeof piece) {
		uint64_t count = length - done;

		if (count > sizeof piece)
			count = sizeof piece;
		if (!read_physical(at + done, piece, count))
			return false;
		for (uint64_t i = 0; i < count; i++)
			sum += piece[i];
	}
	return sum == 0;
}

/* The length of the table at @at when it is of @signature and whole, at most
 * @longest bytes, or 0. */
static uint64_t table_length(uint64_t at, const char *signature,
			     uint64_t longest)
{
	char found[4];
	uint64_t length = read_number(at + 4, 4);

	if (!read_physical(at, found, 4) || memcmp(found, signature, 4) != 0)
		return 0;
	if (length < HEADER_SIZE || length > longest ||
	    !sum_is_zero(at, length)) {
		log_write("ACPI: table %c%c%c%c is damaged and left out",
			  found[0], found[1], found[2], found[3]);
		return 0;
	}
	return length;
}

/* A second start of a processor would be waited for in vain. */
static bool is_known(uint32_t apic_id)
{
	for (uint32_t i = 0; i < acpi.processor_count; i++)
		if (acpi.apic_ids[i] == apic_id)
			return true;
	return false;
}

/* ACPI 6.4, "Processor Local APIC Structure" and "Local APIC Flags" */
static void add_processor(uint32_t apic_id, uint32_t flags)
{
	if (!(flags & 1) || is_known(apic_id))
		return;
	if (acpi.processor_count == ACPI_PROCESSORS_MAX) {
		left_out++;
		return;
	}
	acpi.apic_ids[acpi.processor_count++] = apic_id;
}

static void add_io_apic(uint64_t address, uint32_t first_gsi)
{
	if (acpi.io_apic_count == ACPI_IO_APICS_MAX)
		return;
	acpi.io_apics[acpi.io_apic_count].address = address;
	acpi.io_apics[acpi.io_apic_count++].first_gsi = first_gsi;
}

/* ACPI 6.4, "Interrupt Source Override Structure", "MPS INTI Flags" */
static void override(uint32_t line, uint32_t gsi, uint32_t flags)
{
	if (line >= ACPI_ISA_LINES)
		return;
	acpi.isa[line].gsi = gsi;
	acpi.isa[line].active_low = (flags & 3) == 3;
	acpi.isa[line].level = (flags >> 2 & 3) == 3;
}

/* @e has 16 bytes, of which @size are there. */
static void read_madt_entry(uint32_t type, const uint8_t *e, uint64_t size)
{
	static const uint8_t sizes[] = {
		[0] = 8, [1] = 12, [2] = 10, [5] = 12, [9] = 16
	};
	uint32_t word[4];

	if (type >= ARRAY_COUNT(sizes) || size < sizes[type])
		return;
	memcpy(word, e, sizeof word);
	switch (type) {
	case 0:
		add_processor(e[3], word[1]);
		break;
	case 1:
		add_io_apic(word[1], word[2]);
		break;
	case 2:
		override(e[3], word[1], e[8] | e[9] << 8);
		break;
	case 5: /* "Local APIC Address Override Structure" */
		acpi.local_apic = word[1] | (uint64_t)word[2] << 32;
		break;
	case 9: /* "Processor Local x2APIC Structure" */
		if (word[1] >= 255)
			add_processor(word[1], word[2]);
		break;
	}
}

/* ACPI 6.4, "Multiple APIC Description Table (MADT) Format" */
static void read_madt(uint64_t at, uint64_t length)
{
	acpi.has_madt = true;
	acpi.local_apic = read_number(at + 36, 4);
	for (uint64_t offset = 44; offset + 2 <= length;) {
		uint8_t entry[16] = { 0 };
		uint64_t size = read_number(at + offset + 1, 1);

		if (size < 2 || size > length - offset)
			break;
		read_physical(at + offset, entry,
			      size < sizeof entry ? size : sizeof entry);
		read_madt_entry(entry[0], entry, size);
		offset += size;
	}
}

/* ACPI 6.4, "FADT Format", "Generic Address Structure (GAS)" */
static void read_fadt(uint64_t at, uint64_t length)
{
	uint32_t flags;

	acpi.has_fadt = true;
	if (length < 116)
		return;
	acpi.pm_timer_port = read_number(at + 76, 4);
	flags = read_number(at + 112, 4);
	acpi.pm_timer_is_32_bit = flags & BIT(8);
	if (length >= 129 && flags & BIT(10) && read_number(at + 116, 1) == 1) {
		acpi.reset_port = read_number(at + 120, 2);
		acpi.reset_value = read_number(at + 128, 1);
	}
}

static void read_table(uint64_t at)
{
	uint64_t length = table_length(at, "APIC", TABLE_MAX);

	if (length != 0 && !acpi.has_madt) {
		read_madt(at, length);
		return;
	}
	length = table_length(at, "FACP", TABLE_MAX);
	if (length != 0) {
		read_fadt(at, length);
		return;
	}
	if (table_length(at, "HPET", TABLE_MAX) >= 52)
		acpi.hpet = read_number(at + 44, 8);
}

static void read_root(uint64_t rsdp)
{
	uint64_t xsdt = read_number(rsdp + 24, 8);
	uint32_t entry_size = 8;
	uint64_t length = 0;

	if (read_number(rsdp + 15, 1) >= 2)
		length = table_length(xsdt, "XSDT", ROOT_MAX);
	if (length == 0) {
		xsdt = read_number(rsdp + 16, 4);
		entry_size = 4;
		length = table_length(xsdt, "RSDT", ROOT_MAX);
	}
	for (uint64_t at = HEADER_SIZE; at + entry_size <= length;
	     at += entry_size)
		read_table(read_number(xsdt + at, entry_size));
}

/* AMD 24594, "CPUID Fn8000_0008_EAX": the size of physical addresses. */
static uint64_t physical_end(void)
{
	uint32_t r[4], bits = 36;

	arch_cpuid(0x80000000, 0, r);
	if (r[0] >= 0x80000008) {
		arch_cpuid(0x80000008, 0, r);
		bits = r[0] & 0xff;
	}
	return bits < 46 ? BIT(bits) : BIT(46);
}

void acpi_start(const struct mull_boot_info *boot)
{
	memory_end = physical_end();
	for (uint32_t line = 0; line < ACPI_ISA_LINES; line++)
		acpi.isa[line].gsi = line;
	if (boot->rsdp != 0)
		read_root(boot->rsdp);
	if (left_out != 0)
		log_write("ACPI: %u processors more than %d are left out",
			  left_out, ACPI_PROCESSORS_MAX);
	if (!acpi.has_madt) {
		log_write("ACPI: no MADT; processors are the firmware's list");
		for (uint32_t i = 0;
		     i < boot->processor_count && i < MULL_BOOT_PROCESSORS; i++)
			add_processor(boot->processors[i].apic_id,
				      boot->processors[i].enabled);
		add_io_apic(0xfec00000, 0);
	}
}
