/* SPDX-License-Identifier: MIT */
/* The ACPI tables: found, whole, and in agreement with the VM. */
#include "selftest.h"

#define TABLE_HEADER 36 /* bytes */
#define TABLE_LENGTH 4	/* offsets in the header */
#define TABLE_MAX 0x10000
#define RSDP_LENGTH 36
#define RSDP_XSDT 24
#define FADT_FLAGS 112
#define FADT_DSDT 140
#define FADT_HARDWARE_REDUCED BIT(20)
#define MADT_ENTRIES 44
#define MADT_LOCAL_APIC 0
#define MADT_IO_APIC 1
#define MADT_LOCAL_X2APIC 9

static uint32_t read32(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof value);
	return value;
}

static uint64_t read64(const uint8_t *at)
{
	uint64_t value;

	memcpy(&value, at, sizeof value);
	return value;
}

static bool sums_to_zero(const uint8_t *bytes, size_t length)
{
	uint8_t sum = 0;

	for (size_t i = 0; i < length; i++)
		sum = (uint8_t)(sum + bytes[i]);
	return sum == 0;
}

static bool is_whole(const uint8_t *table)
{
	uint32_t length = read32(table + TABLE_LENGTH);

	return length >= TABLE_HEADER && length <= TABLE_MAX &&
	       sums_to_zero(table, length);
}

/* The table with @signature that the XSDT names, or NULL. */
static const uint8_t *find(const uint8_t *xsdt, const char *signature)
{
	uint32_t length = read32(xsdt + TABLE_LENGTH);

	for (uint32_t at = TABLE_HEADER; at + 8 <= length; at += 8) {
		const uint8_t *table = (const uint8_t *)read64(xsdt + at);

		if (!memcmp(table, signature, 4))
			return table;
	}
	return NULL;
}

static void test_madt(const uint8_t *madt)
{
	uint32_t length = read32(madt + TABLE_LENGTH);
	uint32_t processors = 0, io_apics = 0;

	for (uint32_t at = MADT_ENTRIES; at + 2 <= length && madt[at + 1];
	     at += madt[at + 1]) {
		switch (madt[at]) {
		case MADT_LOCAL_APIC:
		case MADT_LOCAL_X2APIC:
			processors++;
			break;
		case MADT_IO_APIC:
			io_apics += read32(madt + at + 4) == MULL_GUEST_IO_APIC;
			break;
		}
	}
	report(processors == guest_info.vcpu_count,
	       "the MADT names every vCPU (%u)", processors);
	report(io_apics == 1, "the MADT names the I/O APIC");
}

static void test_fadt(const uint8_t *fadt)
{
	const uint8_t *dsdt = (const uint8_t *)read64(fadt + FADT_DSDT);

	report(read32(fadt + FADT_FLAGS) & FADT_HARDWARE_REDUCED,
	       "the FADT says reduced hardware");
	report(dsdt && !memcmp(dsdt, "DSDT", 4) && is_whole(dsdt),
	       "the FADT leads to a whole DSDT");
}

void test_tables(void)
{
	const uint8_t *rsdp = (const uint8_t *)guest_info.rsdp;
	const uint8_t *xsdt, *fadt, *madt;

	if (!rsdp || memcmp(rsdp, "RSD PTR ", 8) ||
	    !sums_to_zero(rsdp, RSDP_LENGTH)) {
		report(false, "there is an RSDP");
		return;
	}
	xsdt = (const uint8_t *)read64(rsdp + RSDP_XSDT);
	report(is_whole(xsdt), "the XSDT is whole");
	fadt = find(xsdt, "FACP");
	madt = find(xsdt, "APIC");
	report(fadt && is_whole(fadt), "the FADT is whole");
	report(madt && is_whole(madt), "the MADT is whole");
	if (fadt)
		test_fadt(fadt);
	if (madt)
		test_madt(madt);
}
