/* SPDX-License-Identifier: MIT */
/* A guest's page tables, hostile ones too, and what a core says of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <mullion/bits.h>
#include <mullion/guest.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core_file.h"
#include "guest_tables.h"

#define SIZE MIB(16)

static uint8_t *memory;
static uint32_t reads;

static bool read_memory(void *context, uint64_t address, void *bytes,
			size_t length)
{
	(void)context;
	reads++;
	if (address >= SIZE || length > SIZE - address)
		return false;
	memcpy(bytes, memory + address, length);
	return true;
}

static const struct guest_tables tables = { .read = read_memory };

static void put(uint64_t table, unsigned index, uint64_t entry)
{
	memcpy(memory + table + 8ul * index, &entry, 8);
}

static void put_short(uint64_t table, unsigned index, uint32_t entry)
{
	memcpy(memory + table + 4ul * index, &entry, 4);
}

static int clear(void **state)
{
	(void)state;
	memset(memory, 0, SIZE);
	return 0;
}

static const struct mull_registers long_mode = {
	.cr0 = 0x80000001, .cr3 = 0x1018, .cr4 = 0x20, .efer = 0x500
};

static void assert_at(const struct mull_registers *registers, uint64_t linear,
		      uint64_t expected, uint64_t expected_left)
{
	uint64_t physical, left;

	assert_true(guest_tables_find(&tables, registers, linear, &physical,
				      &left));
	assert_int_equal(physical, expected);
	assert_int_equal(left, expected_left);
}

static void assert_nothing_at(const struct mull_registers *registers,
			      uint64_t linear)
{
	uint64_t physical, left;

	assert_false(guest_tables_find(&tables, registers, linear, &physical,
				       &left));
}

/* ---- one address -------------------------------------------------------- */

static void without_paging_an_address_is_itself(void **state)
{
	struct mull_registers registers = { .cr0 = 1 };

	(void)state;
	assert_at(&registers, 0x12345, 0x12345, 0xcbb);
	assert_false(guest_tables_in_use(&registers));
}

static void long_mode_has_three_sizes_of_pages(void **state)
{
	struct mull_registers registers = long_mode;

	(void)state;
	put(0x1000, 511, 0x2003);
	put(0x2000, 510, 0x3003);
	put(0x2000, 511, GIB(5) | 0x1083); /* PAT, large, present */
	put(0x3000, 0, 0x4003);
	put(0x3000, 1, MIB(6) | 0x1083);
	put(0x4000, 3, BIT(63) | 0x7003);
	assert_at(&registers, 0xffffffff80003123, 0x7123, 0xedd);
	assert_at(&registers, 0xffffffff80200001, MIB(6) + 1, MIB(2) - 1);
	assert_at(&registers, 0xffffffffc0000010, GIB(5) + 0x10, GIB(1) - 16);
	assert_nothing_at(&registers, 0xffffffff80004000);
	assert_nothing_at(&registers, 0xffffff8000000000);
	assert_nothing_at(&registers, 0x0000ffff80003123); /* not canonical */
	/* The same below a fifth level. */
	registers.cr3 = 0x9000;
	registers.cr4 |= BIT(12);
	put(0x9000, 0x1ff, 0x1003);
	assert_at(&registers, 0xffffffff80003123, 0x7123, 0xedd);
	assert_nothing_at(&registers, 0x80003123);
}

static void old_modes_are_known(void **state)
{
	struct mull_registers registers = { .cr0 = 0x80000001,
					    .cr3 = 0x1000,
					    .cr4 = 0x10 };

	(void)state;
	put_short(0x1000, 1, 0x2003);
	put_short(0x1000, 2, 0x00c02083); /* 4 MiB, and bit 32 of its address */
	put_short(0x2000, 5, 0x6003);
	assert_at(&registers, 0x405678, 0x6678, 0x988);
	assert_at(&registers, 0x800004, GIB(4) + 0xc00004, MIB(4) - 4);
	assert_nothing_at(&registers, 0x406000);
	assert_nothing_at(&registers, GIB(4) + 0x405678);

	registers.cr3 = 0x3020;
	registers.cr4 = 0x20;
	put(0x3020, 3, 0x4001);
	put(0x4000, 0, 0x5003);
	put(0x4000, 1, MIB(2) | 0x83);
	put(0x5000, 1, 0x8003);
	assert_at(&registers, 0xc0001002, 0x8002, 0xffe);
	assert_at(&registers, 0xc0200000, MIB(2), MIB(2));
	assert_nothing_at(&registers, 0x00001002);
}

static void tables_may_be_anywhere(void **state)
{
	struct mull_registers registers = long_mode;

	(void)state;
	put(0x1000, 0, BITS(51, 12) | 3); /* no memory there */
	assert_nothing_at(&registers, 0x1000);
	registers.cr3 = UINT64_MAX;
	assert_nothing_at(&registers, 0x1000);
}

/* ---- all of them -------------------------------------------------------- */

static uint64_t pages;

static void count_page(void *context, uint64_t linear, uint64_t physical,
		       uint64_t size)
{
	(void)context;
	(void)linear;
	(void)physical;
	pages += size / PAGE_SIZE;
}

static void tables_that_name_each_other_end(void **state)
{
	struct guest_walk walk = { .tables = &tables,
				   .mapping = count_page,
				   .page_count = SIZE / PAGE_SIZE };
	struct mull_registers registers = long_mode;

	(void)state;
	for (unsigned i = 0; i < 512; i++)
		put(0x1000, i, 0x1003); /* 512 to the power of 4 ways */
	walk.visits = calloc(GUEST_TABLE_LEVELS, walk.page_count);
	reads = 0;
	pages = 0;
	guest_tables_walk(&walk, &long_mode);
	assert_in_range(reads, 4, 4 * GUEST_TABLE_VISITS);
	assert_int_equal(pages, 512 * GUEST_TABLE_VISITS);
	registers.cr3 = BITS(51, 12); /* no memory there */
	guest_tables_walk(&walk, &registers);
	/* A second vCPU adds nothing of what was seen. */
	guest_tables_walk(&walk, &long_mode);
	assert_in_range(pages, 1, 2 * 512 * GUEST_TABLE_VISITS);
	free(walk.visits);
}

/* ---- the core ----------------------------------------------------------- */

static Elf64_Phdr headers[CORE_HEADERS_MAX];

/* Writes a core of a guest of 4 GiB with the memory as its beginning, and
 * reads its headers; how many are for memory. */
static size_t make_core(const struct mull_registers *registers,
			uint64_t firmware, size_t *left_out)
{
	char name[] = "/tmp/mullctl-test-XXXXXX";
	struct new_file file = { .new_name = name, .fd = mkstemp(name) };
	struct core_file core;
	Elf64_Ehdr header;

	assert_true(core_begin(&core, &file, GIB(4), firmware));
	assert_true(core_put(&core, 0, memory, SIZE));
	assert_true(core_finish(&core, registers, 1));
	assert_int_equal(pread(file.fd, &header, sizeof header, 0),
			 sizeof header);
	assert_int_equal(pread(file.fd, headers,
			       header.e_phnum * sizeof *headers,
			       (off_t)header.e_phoff),
			 header.e_phnum * sizeof *headers);
	assert_int_equal(headers[0].p_type, PT_NOTE);
	assert_true(headers[0].p_offset + headers[0].p_filesz <=
		    CORE_HEADER_AREA);
	*left_out = core.left_out;
	core_free(&core);
	close(file.fd);
	unlink(name);
	return header.e_phnum - 1u;
}

static void assert_load(size_t number, uint64_t linear, uint64_t physical,
			uint64_t size, uint64_t offset)
{
	const Elf64_Phdr *header = &headers[number + 1];

	assert_int_equal(header->p_type, PT_LOAD);
	assert_int_equal(header->p_vaddr, linear);
	assert_int_equal(header->p_paddr, physical);
	assert_int_equal(header->p_memsz, size);
	assert_int_equal(header->p_filesz, size);
	assert_int_equal(header->p_offset, offset);
	/* By this crash knows it from netdump's, in which it fails. */
	assert_int_equal(header->p_align, 0);
}

/* It ends where a processor begins, and is of the guest's 4 GiB. */
static void firmware_lies_below_4_gib(void **state)
{
	const struct mull_registers registers = { .vcpu = 0 };
	size_t left_out;

	(void)state;
	/* What adjoins it is one piece with it. */
	assert_int_equal(make_core(&registers, MIB(4), &left_out), 2);
	assert_load(0, 0, 0, MULL_GUEST_PC_ECAM, MIB(1));
	assert_load(1, GIB(4) - MIB(4), GIB(4) - MIB(4),
		    GIB(4) - MULL_GUEST_PC_ECAM, MULL_GUEST_PC_ECAM + MIB(1));
}

static void a_core_has_what_is_mapped_and_memory(void **state)
{
	size_t left_out;

	(void)state;
	put(0x1000, 0, 0x2003);
	put(0x1000, 256, 0x3003);
	put(0x2000, 0, 0x4003);
	put(0x4000, 1, MIB(4) | 0x83); /* two that join */
	put(0x4000, 2, MIB(6) | 0x83);
	put(0x4000, 3, MIB(4) | 0x83);
	put(0x4000, 5, MIB(6) | 0x83); /* as above, but somewhere else */
	put(0x3000, 0, GIB(2) | 0x83); /* join, and reach into the hole */
	put(0x3000, 1, GIB(3) | 0x83);
	put(0x3000, 2, GIB(4) | 0x83);
	put(0x3000, 3, GIB(5) | 0x83); /* nothing there */
	assert_int_equal(make_core(&long_mode, 0, &left_out), 7);
	assert_load(0, CORE_PHYSICAL, 0, GIB(3), MIB(1));
	assert_load(1, CORE_PHYSICAL + GIB(4), GIB(4), GIB(1), GIB(3) + MIB(1));
	assert_load(2, MIB(2), MIB(4), MIB(4), MIB(5));
	assert_load(3, MIB(6), MIB(4), MIB(2), MIB(5));
	assert_load(4, MIB(10), MIB(6), MIB(2), MIB(7));
	assert_load(5, 0xffff800000000000, GIB(2), GIB(1), GIB(2) + MIB(1));
	assert_load(6, 0xffff800080000000, GIB(4), GIB(1), GIB(3) + MIB(1));
	assert_int_equal(left_out, 0);
}

static void a_core_without_paging_is_physical(void **state)
{
	struct mull_registers registers = { .cr0 = 1 };
	size_t left_out;

	(void)state;
	assert_int_equal(make_core(&registers, 0, &left_out), 2);
	assert_load(0, 0, 0, GIB(3), MIB(1));
	assert_load(1, GIB(4), GIB(4), GIB(1), GIB(3) + MIB(1));
}

/* Every second page, so that none join. */
static void a_core_has_so_many_mappings(void **state)
{
	size_t left_out;

	(void)state;
	put(0x1000, 0, 0x2003);
	put(0x2000, 0, 0x3003);
	for (unsigned table = 0; table < 64; table++) {
		put(0x3000, table, 0x100000 + table * 0x1000 + 3);
		for (unsigned i = 0; i < 512; i += 2)
			put(0x100000 + table * 0x1000, i, 0x5003);
	}
	assert_int_equal(make_core(&long_mode, 0, &left_out),
			 CORE_MAPPINGS_MAX + 2);
	assert_int_equal(left_out, 64 * 256 - CORE_MAPPINGS_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_paging_an_address_is_itself),
		cmocka_unit_test_setup(long_mode_has_three_sizes_of_pages,
				       clear),
		cmocka_unit_test_setup(old_modes_are_known, clear),
		cmocka_unit_test_setup(tables_may_be_anywhere, clear),
		cmocka_unit_test_setup(tables_that_name_each_other_end, clear),
		cmocka_unit_test_setup(a_core_has_what_is_mapped_and_memory,
				       clear),
		cmocka_unit_test_setup(a_core_without_paging_is_physical,
				       clear),
		cmocka_unit_test_setup(a_core_has_so_many_mappings, clear),
		cmocka_unit_test_setup(firmware_lies_below_4_gib, clear),
	};
	int failed;

	memory = malloc(SIZE);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	free(memory);
	return failed;
}
