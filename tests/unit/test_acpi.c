/* SPDX-License-Identifier: MIT */
#include "acpi_fixture.h"

static void everything_is_found(void **state)
{
	(void)state;
	ADD(0, 8, 0, 5, 1, 0, 0, 0);
	ADD(0, 8, 1, 7, 0, 0, 0, 0); /* off */
	ADD(0, 8, 2, 9, 1, 0, 0, 0);
	ADD(1, 12, 0, 0, 0, 0, 0xc0, 0xfe, 24, 0, 0, 0);
	ADD(2, 10, 0, 0, 2, 0, 0, 0, 0, 0);
	ADD(2, 10, 0, 9, 20, 0, 0, 0, 0xf, 0);
	ADD(9, 16, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0);
	ADD(9, 16, 0, 0, 6, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0);
	acpi_start(&boot);
	assert_true(acpi.has_madt && acpi.has_fadt);
	assert_int_equal(acpi.local_apic, 0xfee01000);
	assert_int_equal(acpi.processor_count, 3);
	assert_int_equal(acpi.apic_ids[0], 5);
	assert_int_equal(acpi.apic_ids[1], 9);
	assert_int_equal(acpi.apic_ids[2], 0x100);
	assert_int_equal(acpi.io_apic_count, 1);
	assert_int_equal(acpi.io_apics[0].address, 0xfec00000);
	assert_int_equal(acpi.io_apics[0].first_gsi, 24);
	assert_int_equal(acpi.isa[0].gsi, 2);
	assert_int_equal(acpi.isa[1].gsi, 1);
	assert_int_equal(acpi.isa[9].gsi, 20);
	assert_true(acpi.isa[9].level && acpi.isa[9].active_low);
	assert_false(acpi.isa[0].level || acpi.isa[0].active_low);
	assert_int_equal(acpi.pm_timer_port, 0x608);
	assert_true(acpi.pm_timer_is_32_bit);
	assert_int_equal(acpi.reset_port, 0xcf9);
	assert_int_equal(acpi.reset_value, 6);
	assert_int_equal(acpi.hpet, 0xfed00000);
	assert_int_equal(lines, 0);
}

static void the_local_apic_may_be_above_4_gib(void **state)
{
	(void)state;
	ADD(5, 12, 0, 0, 0, 0x10, 0, 0, 1, 0, 0, 0);
	acpi_start(&boot);
	assert_true(acpi.local_apic == 0x100001000);
}

static void without_tables_the_firmwares_list_counts(void **state)
{
	(void)state;
	boot.rsdp = 0;
	boot.processor_count = 3;
	boot.processors[0].enabled = 1;
	boot.processors[1].apic_id = 4;
	boot.processors[2].apic_id = 6;
	boot.processors[2].enabled = 1;
	acpi_start(&boot);
	assert_int_equal(acpi.processor_count, 2);
	assert_int_equal(acpi.apic_ids[1], 6);
	assert_int_equal(acpi.local_apic, 0xfee00000);
	assert_int_equal(acpi.io_apics[0].address, 0xfec00000);
	assert_int_equal(acpi.isa[15].gsi, 15);
}

static void the_rsdt_helps_out(void **state)
{
	(void)state;
	(*at(XSDT + 10))++; /* the sum is wrong */
	acpi_start(&boot);
	assert_true(acpi.has_madt);
	assert_false(acpi.has_fadt); /* it is not in this one */
	assert_int_equal(damaged, 1);
	fresh(state);
	put(RSDP + 15, 0, 1); /* of ACPI 1.0 */
	acpi_start(&boot);
	assert_true(acpi.has_madt && !acpi.has_fadt);
	assert_int_equal(damaged, 0);
}

static void a_damaged_table_is_left_out(void **state)
{
	static const uint32_t lengths[] = {
		0, 1, 35, MIB(1) + 1, 0x7fffffff, 0xffffffff
	};

	(void)state;
	*at(MADT + 36) ^= 1;
	acpi_start(&boot);
	assert_false(acpi.has_madt);
	assert_true(acpi.has_fadt);
	assert_int_equal(damaged, 1);
	for (size_t i = 0; i < ARRAY_COUNT(lengths); i++) {
		fresh(state);
		put(MADT + 4, lengths[i], 4);
		acpi_start(&boot);
		assert_false(acpi.has_madt);
		assert_int_equal(damaged, 1);
	}
}

/* Beyond what the processor can address an access is an exception; the fake
 * memory has an end, too. */
static void wild_addresses_are_not_read(void **state)
{
	static const uint64_t addresses[] = {
		0,	     1,	      4,       GIB(8),	    GIB(8) - 1,
		GIB(8) - 35, GIB(16), BIT(40), BIT(46) - 4, BIT(46),
		BIT(52),     BIT(63), ~0ull,   ~0ull - 3,   ~0ull - 35,
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(addresses); i++) {
		fresh(state);
		put(XSDT + HEADER + 8, addresses[i], 8);
		seal(XSDT, HEADER + 24);
		acpi_start(&boot);
		assert_true(acpi.has_madt);
		assert_false(acpi.has_fadt);
		fresh(state);
		put(RSDP + 24, addresses[i], 8);
		acpi_start(&boot);
		assert_true(acpi.has_madt); /* by the RSDT */
		fresh(state);
		boot.rsdp = addresses[i];
		acpi_start(&boot);
	}
}

/* A table whose header lies at the end of what can be addressed. */
static void a_table_over_the_end_is_left_out(void **state)
{
	uint64_t address = GIB(8) - HEADER;

	(void)state;
	put(XSDT + HEADER + 8, address, 8);
	seal(XSDT, HEADER + 24);
	memcpy(at(address), "FACP", 4);
	put(address + 4, 276, 4);
	acpi_start(&boot);
	assert_true(acpi.has_madt);
	assert_false(acpi.has_fadt);
	assert_int_equal(damaged, 1);
}

static void a_table_of_tables_has_an_end(void **state)
{
	const uint64_t root = MIB(16), big = MIB(32);
	const uint32_t entries = (MIB(1) - HEADER) / 8;

	(void)state;
	for (uint32_t i = 0; i < entries; i++)
		put(root + HEADER + 8 * i, big, 8);
	put_table(root, "XSDT", HEADER + 8 * entries);
	put_table(big, "HPET", MIB(1));
	put(RSDP + 24, root, 8);
	acpi_start(&boot);	    /* or it takes hours */
	assert_true(acpi.has_madt); /* by the RSDT */
}

static void entries_of_wrong_lengths_end_the_list(void **state)
{
	static const uint8_t lengths[] = { 0, 1, 9, 255 };

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(lengths); i++) {
		fresh(state);
		ADD(0, 8, 0, 5, 1, 0, 0, 0);
		ADD(0, 8, 0, 6, 1, 0, 0, 0);
		*at(MADT + 44 + 8 + 1) = lengths[i];
		seal(MADT, madt_length);
		acpi_start(&boot);
		assert_true(acpi.has_madt);
		assert_int_equal(acpi.processor_count, 1);
	}
}

static void entries_that_are_too_short_say_nothing(void **state)
{
	(void)state;
	ADD(0, 7, 0, 5, 1, 0, 0);
	ADD(0, 5, 0, 5, 1);
	ADD(1, 8, 0, 0, 0, 0, 0xc0, 0xfe);
	ADD(1, 4, 0, 0);
	ADD(2, 8, 0, 9, 20, 0, 0, 0);
	ADD(2, 3, 0);
	ADD(5, 8, 0, 0, 0, 0x10, 0, 0);
	ADD(9, 12, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0);
	ADD(2, 2);
	ADD(0xff, 2);
	ADD(0, 8, 0, 3, 1, 0, 0, 0);
	acpi_start(&boot);
	assert_int_equal(acpi.processor_count, 1);
	assert_int_equal(acpi.apic_ids[0], 3);
	assert_int_equal(acpi.io_apic_count, 0);
	assert_int_equal(acpi.isa[9].gsi, 9);
	assert_int_equal(acpi.isa[0].gsi, 0);
	assert_int_equal(acpi.local_apic, 0xfee01000);
}

static void longer_entries_are_of_newer_versions(void **state)
{
	(void)state;
	ADD(0, 20, 0, 5, 1, 0, 0, 0, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9);
	ADD(0, 8, 0, 6, 1, 0, 0, 0);
	acpi_start(&boot);
	assert_int_equal(acpi.processor_count, 2);
}

static void each_processor_is_started_once(void **state)
{
	(void)state;
	ADD(0, 8, 0, 5, 1, 0, 0, 0);
	ADD(0, 8, 1, 5, 1, 0, 0, 0);
	ADD(0, 8, 1, 6, 1, 0, 0, 0);
	ADD(9, 16, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0);
	ADD(9, 16, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0);
	acpi_start(&boot);
	assert_int_equal(acpi.processor_count, 3);
}

static void more_than_there_is_room_for_is_left_out(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 300; i++)
		ADD(9, 16, 0, 0, (uint8_t)i, (uint8_t)(1 + i / 256), 0, 0, 1, 0,
		    0, 0, 0, 0, 0, 0);
	for (uint8_t i = 0; i < 20; i++)
		ADD(1, 12, 0, 0, 0, 0x10, (uint8_t)(0xc0 + i), 0xfe, i, 0, 0,
		    0);
	ADD(2, 10, 0, 16, 20, 0, 0, 0, 0xf, 0);
	ADD(2, 10, 0, 255, 20, 0, 0, 0, 0xf, 0);
	acpi_start(&boot);
	assert_int_equal(acpi.processor_count, ACPI_PROCESSORS_MAX);
	assert_int_equal(acpi.io_apic_count, ACPI_IO_APICS_MAX);
	assert_int_equal(acpi.io_apics[0].first_gsi, 0);
	assert_int_equal(lines, 1); /* not one for each */
}

static void a_short_fadt_says_what_it_has(void **state)
{
	(void)state;
	seal(FADT, 116);
	acpi_start(&boot);
	assert_int_equal(acpi.pm_timer_port, 0x608);
	assert_int_equal(acpi.reset_port, 0);
	fresh(state);
	seal(FADT, 115);
	acpi_start(&boot);
	assert_true(acpi.has_fadt);
	assert_int_equal(acpi.pm_timer_port, 0);
	fresh(state);
	put(FADT + 116, 0, 1); /* the reset register is memory */
	seal(FADT, 276);
	acpi_start(&boot);
	assert_int_equal(acpi.reset_port, 0);
}

static void the_first_madt_counts(void **state)
{
	const uint64_t other = 0x310000;

	(void)state;
	ADD(0, 8, 0, 5, 1, 0, 0, 0);
	memcpy(at(other), at(MADT), madt_length);
	put(XSDT + HEADER + 8, other, 8);
	seal(XSDT, HEADER + 24);
	acpi_start(&boot);
	assert_int_equal(acpi.processor_count, 1);
	assert_false(acpi.has_fadt);
}

/* Tables that are each other. */
static void overlapping_tables_are_only_read(void **state)
{
	(void)state;
	put(XSDT + HEADER + 8, XSDT, 8);
	put(XSDT + HEADER + 16, XSDT + 4, 8);
	seal(XSDT, HEADER + 24);
	acpi_start(&boot);
	assert_true(acpi.has_madt);
	put(RSDP + 24, RSDP, 8);
	acpi_start(&boot);
}

/* Any damage: what comes out is within bounds, whatever it is. */
static void any_damage_is_survived(void **state)
{
	(void)state;
	srand(1);
	for (int round = 0; round < 3000; round++) {
		fresh(state);
		for (uint8_t i = 0; i < 10; i++)
			ADD((uint8_t)rand() % 10, (uint8_t)(rand() % 20), i, i,
			    1, 0, 0, 0, 1, 0, 0, 0);
		for (int i = 0; i < 4; i++) {
			uint64_t tables[] = { RSDP, XSDT, MADT, FADT, HPET };
			uint64_t table = tables[rand() % 5];

			*at(table + (uint64_t)rand() % 48) = (uint8_t)rand();
			if (table != RSDP && rand() % 2)
				seal(table, (uint32_t)rand() % 300);
		}
		acpi_start(&boot);
		assert_true(acpi.processor_count <= ACPI_PROCESSORS_MAX);
		assert_true(acpi.io_apic_count <= ACPI_IO_APICS_MAX);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(everything_is_found),
		TEST(the_local_apic_may_be_above_4_gib),
		TEST(without_tables_the_firmwares_list_counts),
		TEST(the_rsdt_helps_out),
		TEST(a_damaged_table_is_left_out),
		TEST(wild_addresses_are_not_read),
		TEST(a_table_over_the_end_is_left_out),
		TEST(a_table_of_tables_has_an_end),
		TEST(entries_of_wrong_lengths_end_the_list),
		TEST(entries_that_are_too_short_say_nothing),
		TEST(longer_entries_are_of_newer_versions),
		TEST(each_processor_is_started_once),
		TEST(more_than_there_is_room_for_is_left_out),
		TEST(a_short_fadt_says_what_it_has),
		TEST(the_first_madt_counts),
		TEST(overlapping_tables_are_only_read),
		TEST(any_damage_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
