/* SPDX-License-Identifier: MIT */
/* Whether the firmware's console is a serial line, from a hostile variable. */
#include <boot/device_path.h>
#include <mullion/bits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PCI 1, 1, 6, 0, 0, 31
#define ACPI 2, 1, 12, 0, 0xd0, 0x41, 0x01, 0x05, 0, 0, 0, 0
#define UART 3, 14, 19, 0, 0, 0, 0, 0, 0, 0xc2, 1, 0, 0, 0, 0, 0, 8, 1, 1
#define NEXT 0x7f, 1, 4, 0
#define END 0x7f, 0xff, 4, 0

/* In memory of just that size, so that ASan sees a byte too far. */
static bool has_uart(const uint8_t *paths, size_t size)
{
	uint8_t *copy = calloc(1, size);
	bool found;

	memcpy(copy, paths, size);
	found = device_path_has_uart(copy, size);
	free(copy);
	return found;
}

static void a_uart_in_any_path_is_found(void **state)
{
	static const uint8_t first[] = { ACPI, UART, NEXT, PCI, END };
	static const uint8_t second[] = { PCI, NEXT, ACPI, UART, END };

	(void)state;
	assert_true(has_uart(first, sizeof first));
	assert_true(has_uart(second, sizeof second));
}

static void without_a_uart_none_is_found(void **state)
{
	static const uint8_t screen[] = { ACPI, PCI, END };
	/* Behind the end, and inside a node: neither is a node. */
	static const uint8_t behind[] = { PCI, END, UART };
	static const uint8_t inside[] = { 1, 1, 23, 0, UART, END };

	(void)state;
	assert_false(has_uart(screen, 0));
	assert_false(has_uart(screen, sizeof screen));
	assert_false(has_uart(behind, sizeof behind));
	assert_false(has_uart(inside, sizeof inside));
}

static void malformed_nodes_end_the_search(void **state)
{
	static const uint8_t no_length[] = { 1, 1, 0, 0, UART };
	static const uint8_t short_length[] = { 1, 1, 3, 0, UART };
	static const uint8_t too_long[] = { PCI, 2, 1, 0xff, 0xff, UART };
	static const uint8_t good[] = { PCI, ACPI, NEXT, PCI, END };

	(void)state;
	assert_false(has_uart(no_length, sizeof no_length));
	assert_false(has_uart(short_length, sizeof short_length));
	assert_false(has_uart(too_long, sizeof too_long));
	for (size_t size = 0; size <= sizeof good; size++)
		assert_false(has_uart(good, size));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_uart_in_any_path_is_found),
		cmocka_unit_test(without_a_uart_none_is_found),
		cmocka_unit_test(malformed_nodes_end_the_search),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
