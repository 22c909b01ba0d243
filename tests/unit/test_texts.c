/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <mullion/bits.h>
#include <stdlib.h>

#include "texts.h"

static void sizes_and_numbers(void **state)
{
	static const struct {
		const char *text;
		uint64_t size;
	} good[] = {
		{ "0", 0 },	      { "4096", 4096 },
		{ "64KiB", KIB(64) }, { "64 KiB", KIB(64) },
		{ "512M", MIB(512) }, { "1gib", GIB(1) },
		{ "12B", 12 },	      { "2TiB", GIB(2048) },
		{ "0x1000", 4096 },   { "16777215TiB", 16777215ull << 40 },
	};
	static const char *const bad[] = {
		"",	 "-1",	"+1", " 1",	"1Kib ",       "1KB",
		"1kibi", "MiB", "0x", "1.5GiB", "16777216TiB", "1BB",
	};
	uint64_t size;

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(good); i++) {
		assert_true(texts_to_size(good[i].text, &size));
		assert_int_equal(size, good[i].size);
	}
	for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
		assert_false(texts_to_size(bad[i], &size));
	assert_false(texts_to_number("12x", &size));
	assert_true(texts_to_number("18446744073709551615", &size));
	assert_false(texts_to_number("18446744073709551616", &size));
}

static void sizes_for_people(void **state)
{
	static const struct {
		uint64_t size;
		const char *text;
	} rows[] = {
		{ 0, "0 bytes" },	 { 1023, "1023 bytes" },
		{ 1024, "1 KiB" },	 { 1025, "1.1 KiB" },
		{ MIB(512), "512 MiB" }, { MIB(1536), "1.5 GiB" },
		{ GIB(2048), "2 TiB" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		char *text = texts_of_size(rows[i].size);

		assert_string_equal(text, rows[i].text);
		free(text);
	}
}

static void distances(void **state)
{
	(void)state;
	assert_int_equal(texts_distance("", ""), 0);
	assert_int_equal(texts_distance("kernel", "kernel"), 0);
	assert_int_equal(texts_distance("kernle", "kernel"), 2);
	assert_int_equal(texts_distance("", "abc"), 3);
	assert_int_equal(texts_distance("abc", ""), 3);
	assert_int_equal(texts_distance("cmdlin", "cmdline"), 1);
	assert_int_equal(texts_distance("x", "12345678901234567890123456789012"
					     "3"),
			 SIZE_MAX);
}

static void addresses_and_rates_are_read(void **state)
{
	static const char *const bad[] = { "",
					   "02:00:00:00:00",
					   "02:00:00:00:00:01:",
					   "2:00:00:00:00:01",
					   "00:00:00:00:00:00",
					   "02-00-00-00-00-01",
					   "0x:00:00:00:00:01" };
	uint8_t mac[6];
	uint32_t rate;

	(void)state;
	assert_true(texts_to_mac("02:00:fF:00:00:10", mac));
	assert_memory_equal(mac, ((uint8_t[]){ 2, 0, 255, 0, 0, 16 }), 6);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(texts_to_mac(bad[i], mac));
	assert_true(texts_to_rate("10Mbit", &rate));
	assert_int_equal(rate, 10000);
	assert_true(texts_to_rate("64kbit", &rate));
	assert_int_equal(rate, 64);
	assert_false(texts_to_rate("0Mbit", &rate));
	assert_false(texts_to_rate("10", &rate));
	assert_false(texts_to_rate("-1kbit", &rate));
	assert_false(texts_to_rate("5000Gbit", &rate));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_and_numbers),
		cmocka_unit_test(addresses_and_rates_are_read),
		cmocka_unit_test(sizes_for_people),
		cmocka_unit_test(distances),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
