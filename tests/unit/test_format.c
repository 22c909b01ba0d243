/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <mullion/log.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The C library is the judge; its length counts what was cut off, ours not. */
#define SAME(...) \
	do { \
		char ours[80], theirs[80]; \
		size_t length = format_text(ours, sizeof ours, __VA_ARGS__); \
		snprintf(theirs, sizeof theirs, __VA_ARGS__); \
		assert_string_equal(ours, theirs); \
		assert_int_equal(length, strlen(theirs)); \
	} while (0)

static void each_conversion_is_as_in_the_c_library(void **state)
{
	(void)state;
	SAME("plain, %%, %c%c", 'a', 'b');
	SAME("%s|%8s|%-8s|%.3s|%6.2s|%.0s", "web", "web", "web", "long", "long",
	     "gone");
	SAME("%.*s|%*s|", 2, "abc", 5, "x");
	SAME("%d %d %d", 0, INT32_MIN, INT32_MAX);
	SAME("%i|%5d|%-5d|%05d|%05d", -7, -7, -7, -7, 7);
	SAME("%u|%x|%X|%#x|%#x", UINT32_MAX, 0xbeefu, 0xBEEFu, 0x10u, 0u);
	SAME("%08x|%#010x|%-8x|", 0x1fu, 0x1fu, 0x1fu);
	SAME("%lu|%lx|%ld", UINT64_MAX, UINT64_MAX, INT64_MIN);
	SAME("%llu|%llx|%zu", 1ull << 63, ~0ull, (size_t)77);
	SAME("%hhu|%hhx|%hhd", (uint8_t)200, (uint8_t)200, (int8_t)-56);
	SAME("%hu|%hx|%hd", (uint16_t)65535, (uint16_t)65535, (int16_t)-1);
	SAME("%p", (void *)0xdeadbeef);
	SAME("[%5lu.%06lu] ", 12ul, 345ul);
}

static void random_numbers_in_random_fields(void **state)
{
	static const char *const forms[] = {
		"%d",	 "%u",	   "%x",      "%ld",   "%lu",
		"%lx",	 "%5d",	   "%05d",    "%-9u|", "%016lx",
		"%20ld", "%020ld", "%-20lx|", "%#lx",  "%#018lx",
	};

	(void)state;
	for (int i = 0; i < 20000; i++) {
		const char *form =
			forms[(size_t)rand() % (sizeof forms / sizeof *forms)];
		uint64_t number = (uint64_t)rand() << 33 ^ (uint64_t)rand();
		char ours[64], theirs[64];

		number >>= rand() % 64;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		format_text(ours, sizeof ours, form, number);
		snprintf(theirs, sizeof theirs, form, number);
#pragma GCC diagnostic pop
		assert_string_equal(ours, theirs);
	}
}

static void what_does_not_fit_is_cut_off(void **state)
{
	char text[8];

	(void)state;
	memset(text, '#', sizeof text);
	assert_int_equal(format_text(text, 5, "%s", "abcdefgh"), 4);
	assert_memory_equal(text, "abcd\0###", 8);
	assert_int_equal(format_text(text, 1, "abc"), 0);
	assert_memory_equal(text, "\0bcd\0###", 8);
	assert_int_equal(format_text(text, 0, "abc"), 0);
	assert_memory_equal(text, "\0bcd\0###", 8);
	assert_int_equal(format_text(text, 6, "%200d", 7), 5);
	assert_memory_equal(text, "     \0##", 8);
}

/* The compiler refuses such formats, so they come through a pointer. */
static void strange_formats_show_and_do_no_harm(void **state)
{
	static const char *const strange[] = { "%",  "100% sure%", "%q", "%08k",
					       "%l", "%.",	   "%-" };
	const char *volatile huge = "%99999999999999999999999d";
	char text[32];

	(void)state;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-security"
	for (size_t i = 0; i < sizeof strange / sizeof *strange; i++) {
		format_text(text, sizeof text, strange[i], 1, 2, 3);
		assert_string_equal(text, strange[i]);
	}
	/* A huge width is no huge amount of work. */
	assert_int_equal(format_text(text, sizeof text, huge, 1),
			 sizeof text - 1);
#pragma GCC diagnostic pop
}

static void no_string_is_said_so(void **state)
{
	const char *volatile nothing = NULL;
	char text[16];

	(void)state;
	format_text(text, sizeof text, "%s", nothing);
	assert_string_equal(text, "(null)");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_conversion_is_as_in_the_c_library),
		cmocka_unit_test(random_numbers_in_random_fields),
		cmocka_unit_test(what_does_not_fit_is_cut_off),
		cmocka_unit_test(strange_formats_show_and_do_no_harm),
		cmocka_unit_test(no_string_is_said_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
