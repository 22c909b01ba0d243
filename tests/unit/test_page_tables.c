/* SPDX-License-Identifier: MIT */
/* The tables are walked as the processor walks them. */
#include <boot/page_tables.h>
#include <mullion/bits.h>
#include <mullion/boot_info.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* What @address translates to, as the processor walks; -1: not mapped. */
static uint64_t translate(uint64_t root, uint64_t address)
{
	const uint64_t *table = (const uint64_t *)root;
	uint64_t entry = 0;

	for (int shift = 39; shift >= 21; shift -= 9) {
		entry = table[address >> shift & 511];
		if ((entry & 3) != 3)
			return -1ull;
		table = (const uint64_t *)(entry & BITS(51, 12));
	}
	assert_true(entry & BIT(7));
	return (entry & BITS(51, 21)) + (address & BITS(20, 0));
}

static void page_tables_map_all_and_no_more(void **state)
{
	static const uint64_t tops[] = { GIB(4), GIB(6) - MIB(2),
					 GIB(513) + MIB(8) + 0x1000 };

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(tops); i++) {
		uint64_t top = tops[i], size = page_tables_size(top);
		void *memory = aligned_alloc(4096, size);
		uint64_t root;

		memset(memory, 0xff, size);
		root = page_tables_build(memory, top, MIB(6));
		assert_int_equal(root, (uintptr_t)memory);
		for (uint64_t at = 0; at < top; at += MIB(2) + 1)
			assert_int_equal(translate(root, at), at);
		assert_int_equal(translate(root, top - 1), top - 1);
		assert_int_equal(translate(root, round_up(top, MIB(2))), -1);
		assert_int_equal(translate(root, MULL_KERNEL_BASE), MIB(6));
		assert_int_equal(translate(root, MULL_KERNEL_BASE + MIB(2) - 1),
				 MIB(8) - 1);
		assert_int_equal(translate(root, MULL_KERNEL_BASE + MIB(2)),
				 -1);
		assert_int_equal(translate(root, MULL_KERNEL_BASE - 1), -1);
		free(memory);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(page_tables_map_all_and_no_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
