/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <mullion/crc32.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

static void check_value_of_the_standard(void **state)
{
	(void)state;
	assert_int_equal(crc32_ieee(0, "123456789", 9), 0xcbf43926);
	assert_int_equal(crc32_ieee(0, "", 0), 0);
}

static void agrees_with_zlib_in_pieces(void **state)
{
	uint8_t data[300];

	(void)state;
	srand(7);
	for (size_t i = 0; i < sizeof data; i++)
		data[i] = (uint8_t)rand();
	for (size_t cut = 0; cut <= sizeof data; cut += 13) {
		uint32_t crc = crc32_ieee(0, data, cut);

		assert_int_equal(crc, crc32(0, data, (uInt)cut));
		crc = crc32_ieee(crc, data + cut, sizeof data - cut);
		assert_int_equal(crc, crc32(0, data, sizeof data));
	}
}

static void residue_follows_any_data(void **state)
{
	uint8_t data[24] = "nineteen bytes of it";
	uint32_t crc = crc32_ieee(0, data, 20);

	(void)state;
	memcpy(data + 20, &crc, 4);
	assert_int_equal(crc32_ieee(0, data, 24), CRC32_RESIDUE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(check_value_of_the_standard),
		cmocka_unit_test(agrees_with_zlib_in_pieces),
		cmocka_unit_test(residue_follows_any_data),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
