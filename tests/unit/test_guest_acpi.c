/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "support_load.h"

#include <cmocka.h>
#include <guest_acpi.h>
#include <kernel/loaders/loader.h>
#include <mullion/bits.h>
#include <mullion/guest.h>
#include <mullion/guest_acpi.h>
#include <string.h>

static struct load_guest guest;

static int make(void **state)
{
	(void)state;
	load_guest_make(&guest, MIB(2), 0);
	return 0;
}

static enum error write_tables(uint32_t vcpu_count)
{
	guest.vm.vcpu_count = vcpu_count;
	return guest_acpi_write(&guest.memory, MULL_GUEST_ACPI_AREA, &guest.vm);
}

static void every_vcpu_count_has_good_tables(void **state)
{
	(void)state;
	for (uint32_t count = 1; count <= MULL_VCPU_MAX; count++) {
		assert_int_equal(write_tables(count), ERR_NONE);
		assert_int_equal(load_guest_check_acpi(&guest), count);
	}
}

static void dsdt_is_the_compiled_one(void **state)
{
	uint8_t area[MIB(1) - MULL_GUEST_ACPI_AREA];

	(void)state;
	assert_int_equal(write_tables(1), ERR_NONE);
	load_guest_read(&guest, MULL_GUEST_ACPI_AREA, area, sizeof area);
	assert_non_null(
		memmem(area, sizeof area, guest_dsdt, sizeof guest_dsdt));
}

/* At an offset of the area; NULL: no table has that signature. */
static const uint8_t *find_table(const uint8_t *area, size_t size,
				 const char *signature)
{
	for (size_t at = 0; at + 4 <= size; at += 64)
		if (!memcmp(area + at, signature, 4))
			return area + at;
	return NULL;
}

static void a_watchdog_has_its_table(void **state)
{
	uint8_t area[MIB(1) - MULL_GUEST_ACPI_AREA];
	const uint8_t *table, *xsdt;
	uint32_t value;

	(void)state;
	assert_int_equal(write_tables(1), ERR_NONE);
	load_guest_read(&guest, MULL_GUEST_ACPI_AREA, area, sizeof area);
	assert_null(find_table(area, sizeof area, "WDAT"));
	assert_int_equal(find_table(area, sizeof area, "XSDT")[4], 36 + 3 * 8);
	guest.vm.watchdog = 30;
	assert_int_equal(write_tables(1), ERR_NONE);
	assert_int_equal(load_guest_check_acpi(&guest), 1);
	load_guest_read(&guest, MULL_GUEST_ACPI_AREA, area, sizeof area);
	table = find_table(area, sizeof area, "WDAT");
	assert_non_null(table);
	memcpy(&value, table + 4, 4);
	assert_int_equal(value, 68 + 9 * 24);
	memcpy(&value, table + 52, 4);
	assert_int_equal(value, 30); /* counts, of a second each */
	assert_int_equal(table[60], 1);
	xsdt = find_table(area, sizeof area, "XSDT");
	assert_int_equal(xsdt[4], 36 + 4 * 8);
	memcpy(&value, xsdt + 36 + 3 * 8, 4);
	assert_int_equal(value, MULL_GUEST_ACPI_AREA + (table - area));
}

static void nothing_is_written_elsewhere(void **state)
{
	uint8_t before, after;

	(void)state;
	assert_int_equal(write_tables(MULL_VCPU_MAX), ERR_NONE);
	load_guest_read(&guest, MULL_GUEST_ACPI_AREA - 1, &before, 1);
	load_guest_read(&guest, MIB(1), &after, 1);
	assert_int_equal(before, 0xcc);
	assert_int_equal(after, 0xcc);
}

/* In real mode: AL = 1, DX = 0x602, and out it goes. */
static void the_firmware_entry_resets(void **state)
{
	const struct mull_vm one = { .vcpu_count = 1 };
	uint8_t code[9];

	(void)state;
	assert_int_equal(
		guest_acpi_write(&guest.memory, MULL_GUEST_ACPI_AREA, &one),
		ERR_NONE);
	load_guest_read(&guest, 0xffff0, code, sizeof code);
	assert_memory_equal(code, "\xb0\x01\xba\x02\x06\xee\xf4\xeb\xfd", 9);
}

static void absurd_vcpu_counts_are_refused(void **state)
{
	(void)state;
	assert_int_equal(write_tables(0), ERR_BAD_REQUEST);
	assert_int_equal(write_tables(MULL_VCPU_MAX + 1), ERR_BAD_REQUEST);
	assert_int_equal(write_tables(~0u), ERR_BAD_REQUEST);
}

static void missing_memory_is_an_error(void **state)
{
	const struct guest_memory none = { 0 };

	(void)state;
	assert_int_equal(
		guest_acpi_write(&none, MULL_GUEST_ACPI_AREA, &guest.vm),
		ERR_BAD_ADDRESS);
}

#define TEST(test) cmocka_unit_test_setup(test, make)

/* ---- as firmware copies them ---------------------------------------------- */

#define COPIED_FROM (MIB(2) - MULL_GUEST_ACPI_SIZE)
#define COPIED_TO (MULL_GUEST_ACPI_AREA + 0x2040)

/* SeaBIOS takes the sum off what is there, OVMF puts it there. */
static void do_mends(uint8_t *file, const struct acpi_mend *mends,
		     uint32_t count, bool takes_off)
{
	for (uint32_t i = 0; i < count; i++) {
		const struct acpi_mend *it = &mends[i];
		uint64_t pointer = 0;
		uint8_t sum = 0;

		if (it->size) {
			memcpy(&pointer, file + it->at, it->size);
			assert_in_range(pointer, 1, 0x2000);
			pointer += COPIED_TO;
			memcpy(file + it->at, &pointer, it->size);
			continue;
		}
		for (uint32_t j = 0; j < it->length; j++)
			sum += file[it->start + j];
		file[it->at] = (uint8_t)((takes_off ? file[it->at] : 0) - sum);
	}
}

static void copy_as_firmware(bool takes_off)
{
	uint8_t file[MULL_GUEST_ACPI_SIZE], rsdp[MULL_GUEST_RSDP_SIZE];
	uint32_t size = guest_acpi_size(&guest.vm);
	struct acpi_mend mends[ACPI_MENDS_MAX];

	load_guest_read(&guest, COPIED_FROM, file, sizeof file);
	memcpy(rsdp, file, sizeof rsdp);
	do_mends(file, mends, guest_acpi_mends(&guest.vm, mends), takes_off);
	do_mends(rsdp, guest_acpi_rsdp_mends, 2, takes_off);
	assert_in_range(size, 1, sizeof file);
	assert_int_equal(guest_zero(&guest.memory, gpa(COPIED_FROM),
				    MULL_GUEST_ACPI_SIZE),
			 ERR_NONE);
	assert_int_equal(guest_write(&guest.memory, gpa(COPIED_TO), file, size),
			 ERR_NONE);
	assert_int_equal(guest_write(&guest.memory, gpa(MULL_GUEST_ACPI_AREA),
				     rsdp, sizeof rsdp),
			 ERR_NONE);
}

static void firmware_can_have_them_elsewhere(void **state)
{
	(void)state;
	guest.vm.flags |= MULL_VM_PLATFORM_PC;
	for (uint32_t i = 0; i < 8; i++) {
		guest.vm.vcpu_count = i & 4 ? MULL_VCPU_MAX : 1;
		guest.vm.watchdog = i & 2 ? 9 : 0;
		assert_int_equal(
			guest_acpi_write(&guest.memory, COPIED_FROM, &guest.vm),
			ERR_NONE);
		copy_as_firmware(i & 1);
		assert_int_equal(load_guest_check_acpi(&guest),
				 guest.vm.vcpu_count);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_vcpu_count_has_good_tables),
		TEST(dsdt_is_the_compiled_one),
		TEST(a_watchdog_has_its_table),
		TEST(nothing_is_written_elsewhere),
		TEST(the_firmware_entry_resets),
		TEST(absurd_vcpu_counts_are_refused),
		TEST(missing_memory_is_an_error),
		TEST(firmware_can_have_them_elsewhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
