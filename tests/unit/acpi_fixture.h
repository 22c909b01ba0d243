/* SPDX-License-Identifier: MIT */
/* A machine's ACPI tables in fake memory. */
#ifndef ACPI_FIXTURE_H
#define ACPI_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arch/fake/fake.h>
#include <arch/x86/acpi.h>
#include <cmocka.h>
#include <mullion/log.h>
#include <stdlib.h>
#include <string.h>

#define RSDP 0xe0010 /* the tables lie across the border of two frames */
#define XSDT (MIB(2) - 40)
#define RSDT (MIB(2) + 0x1000)
#define MADT 0x300100
#define FADT 0x301000
#define HPET 0x302000
#define HEADER 36

static struct mull_boot_info boot;
static uint32_t lines, damaged;
static uint32_t madt_length;

void log_write(const char *format, ...)
{
	lines++;
	damaged += strstr(format, "damaged") != NULL;
}

/* 33 bits of physical address. */
static void a_processor(uint32_t leaf, uint32_t subleaf, uint32_t r[4])
{
	(void)subleaf;
	if (leaf == 0x80000000)
		r[0] = 0x80000008;
	if (leaf == 0x80000008)
		r[0] = 0x3021;
}

static uint8_t *at(uint64_t address)
{
	return fake_memory(hpa(address));
}

static inline void put(uint64_t address, uint64_t value, size_t size)
{
	memcpy(at(address), &value, size);
}

/* Makes the sum of @length bytes zero. */
static void seal(uint64_t table, uint32_t length)
{
	uint8_t sum = 0;

	put(table + 4, length, 4);
	*at(table + 9) = 0;
	for (uint32_t i = 0; i < length; i++)
		sum += *at(table + i);
	*at(table + 9) = (uint8_t)-sum;
}

static void put_table(uint64_t table, const char *signature, uint32_t length)
{
	memcpy(at(table), signature, 4);
	seal(table, length);
}

static inline void add_entry(const void *bytes, size_t length)
{
	memcpy(at(MADT + madt_length), bytes, length);
	madt_length += (uint32_t)length;
	put_table(MADT, "APIC", madt_length);
}

#define ADD(...) \
	add_entry((const uint8_t[]){ __VA_ARGS__ }, \
		  sizeof((const uint8_t[]){ __VA_ARGS__ }))

static void put_fadt(void)
{
	put(FADT + 76, 0x608, 4);
	put(FADT + 112, BIT(10) | BIT(8), 4);
	put(FADT + 116, 1, 1); /* the reset register is a port */
	put(FADT + 120, 0xcf9, 8);
	put(FADT + 128, 6, 1);
	put_table(FADT, "FACP", 276);
}

/* A machine with all tables, an empty MADT among them. */
static int fresh(void **state)
{
	(void)state;
	fake_memory_clear();
	fake_cpuid = a_processor;
	memset(&acpi, 0, sizeof acpi);
	acpi.local_apic = 0xfee00000;
	memset(&boot, 0, sizeof boot);
	boot.rsdp = RSDP;
	lines = damaged = 0;
	memcpy(at(RSDP), "RSD PTR ", 8);
	put(RSDP + 15, 2, 1);
	put(RSDP + 16, RSDT, 4);
	put(RSDP + 24, XSDT, 8);
	put(XSDT + HEADER, MADT, 8);
	put(XSDT + HEADER + 8, FADT, 8);
	put(XSDT + HEADER + 16, HPET, 8);
	put_table(XSDT, "XSDT", HEADER + 24);
	put(RSDT + HEADER, MADT, 4);
	put_table(RSDT, "RSDT", HEADER + 4);
	madt_length = 44;
	put(MADT + 36, 0xfee01000, 4);
	put_table(MADT, "APIC", madt_length);
	put_fadt();
	put(HPET + 44, 0xfed00000, 8);
	put_table(HPET, "HPET", 56);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup(name, fresh)

#endif
