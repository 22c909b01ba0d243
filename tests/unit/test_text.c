/* SPDX-License-Identifier: MIT */
/* The loader's small snprintf says the same as the large one. */
#include <boot/text.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ASSERT_SAME(...) \
	do { \
		char ours[64], theirs[64]; \
		text_format(ours, sizeof ours, __VA_ARGS__); \
		snprintf(theirs, sizeof theirs, __VA_ARGS__); \
		assert_string_equal(ours, theirs); \
	} while (0)

static void formats_agree_with_the_library(void **state)
{
	(void)state;
	ASSERT_SAME("plain");
	ASSERT_SAME("%s and %s", "one", "");
	ASSERT_SAME("%u %u %u", 0u, 7u, UINT32_MAX);
	ASSERT_SAME("%x 0x%x", 0u, 0xdeadbeefu);
	ASSERT_SAME("%lu %lu", 0ul, UINT64_MAX);
	ASSERT_SAME("0x%lx", UINT64_MAX);
	ASSERT_SAME("%04u-%02u-%02u", 2026u, 1u, 31u);
	ASSERT_SAME("100 %%");
}

static void long_text_is_cut_off(void **state)
{
	char *buffer = malloc(8); /* ASan sees a byte too far */

	(void)state;
	text_format(buffer, 8, "%s%lu", "12345", 678901ul);
	assert_string_equal(buffer, "1234567");
	text_format(buffer, 1, "%s", "12345");
	assert_string_equal(buffer, "");
	free(buffer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(formats_agree_with_the_library),
		cmocka_unit_test(long_text_is_cut_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
