/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arch/fake/fake.h>
#include <cmocka.h>
#include <mullion/guest_memory.h>
#include <string.h>

/* Frames in no order, so that a wrong one shows. */
static const uint32_t low_frames[] = { 7, 3, 5 };
static const uint32_t high_frames[] = { 2, 9 };

static const struct guest_memory memory = {
	.region_count = 2,
	.regions = {
		{ .size = 3 * FRAME_SIZE, .frames = low_frames },
		{ .start = { GIB(4) }, .size = 2 * FRAME_SIZE,
		  .frames = high_frames },
	},
};

static int clear(void **state)
{
	(void)state;
	fake_memory_clear();
	return 0;
}

static uint8_t *host(uint32_t frame, uint64_t offset)
{
	return fake_memory(hpa(frame * FRAME_SIZE + offset));
}

static void write_lands_in_the_frames_of_the_page(void **state)
{
	(void)state;
	assert_int_equal(guest_write(&memory, gpa(FRAME_SIZE - 3), "abcdef", 6),
			 ERR_NONE);
	assert_memory_equal(host(7, FRAME_SIZE - 3), "abc", 3);
	assert_memory_equal(host(3, 0), "def\0", 4);
	assert_int_equal(*host(7, FRAME_SIZE - 4), 0);
}

static void read_crosses_every_page(void **state)
{
	static uint8_t out[3 * FRAME_SIZE], in[3 * FRAME_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof out; i++)
		out[i] = (uint8_t)(i * 7 + i / 4096);
	assert_int_equal(guest_write(&memory, gpa(0), out, sizeof out),
			 ERR_NONE);
	assert_int_equal(guest_read(&memory, gpa(0), in, sizeof in), ERR_NONE);
	assert_memory_equal(in, out, sizeof in);
	assert_int_equal(*host(5, 17), out[2 * FRAME_SIZE + 17]);
}

static void high_memory_is_reached(void **state)
{
	char in[4] = "";

	(void)state;
	memcpy(host(9, FRAME_SIZE - 4), "last", 4);
	assert_int_equal(
		guest_read(&memory, gpa(GIB(4) + 2 * FRAME_SIZE - 4), in, 4),
		ERR_NONE);
	assert_memory_equal(in, "last", 4);
}

static void bad_ranges_copy_nothing(void **state)
{
	static const struct {
		uint64_t at;
		size_t length;
	} bad[] = {
		{ 3 * FRAME_SIZE - 2, 3 }, /* a byte in the hole */
		{ 3 * FRAME_SIZE, 1 },
		{ GIB(4) - 1, 2 }, /* from the hole into RAM */
		{ GIB(4) + 2 * FRAME_SIZE - 1, 2 },
		{ ~0ull, 1 },
		{ ~0ull, 2 }, /* wraps to 0, which is RAM */
		{ 0, SIZE_MAX },
		{ 16, SIZE_MAX - 8 },
		{ FRAME_SIZE, 0ull - FRAME_SIZE },
	};
	char in[4] = "abc";

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
		assert_false(
			guest_is_ram(&memory, gpa(bad[i].at), bad[i].length));
		assert_int_equal(
			guest_read(&memory, gpa(bad[i].at), in, bad[i].length),
			ERR_BAD_ADDRESS);
		assert_int_equal(guest_write(&memory, gpa(bad[i].at), "xyz",
					     bad[i].length),
				 ERR_BAD_ADDRESS);
		assert_int_equal(
			guest_zero(&memory, gpa(bad[i].at), bad[i].length),
			ERR_BAD_ADDRESS);
	}
	assert_string_equal(in, "abc");
	assert_int_equal(*host(5, FRAME_SIZE - 2), 0);
	assert_int_equal(*host(9, FRAME_SIZE - 1), 0);
	assert_int_equal(*host(7, 0), 0);
}

/* RAM at both ends of the address space: 2^64 is not 0. */
static void last_address_does_not_lead_to_the_first(void **state)
{
	const struct guest_memory ends = {
		.region_count = 2,
		.regions = {
			{ .size = FRAME_SIZE, .frames = low_frames },
			{ .start = { 0ull - FRAME_SIZE }, .size = FRAME_SIZE,
			  .frames = high_frames },
		},
	};

	(void)state;
	assert_true(guest_is_ram(&ends, gpa(~0ull), 1));
	assert_true(guest_is_ram(&ends, gpa(0ull - FRAME_SIZE), FRAME_SIZE));
	assert_false(guest_is_ram(&ends, gpa(~0ull), 2));
}

static void adjoining_regions_are_one_range(void **state)
{
	const struct guest_memory halves = {
		.region_count = 2,
		.regions = {
			{ .start = { FRAME_SIZE }, .size = FRAME_SIZE,
			  .frames = high_frames },
			{ .size = FRAME_SIZE, .frames = low_frames },
		},
	};

	(void)state;
	assert_int_equal(guest_write(&halves, gpa(FRAME_SIZE - 1), "pq", 2),
			 ERR_NONE);
	assert_int_equal(*host(7, FRAME_SIZE - 1), 'p');
	assert_int_equal(*host(2, 0), 'q');
}

static void a_region_may_end_within_a_frame(void **state)
{
	const struct guest_memory small = {
		.region_count = 1,
		.regions = { { .size = 4096, .frames = low_frames } },
	};
	char in[8];

	(void)state;
	assert_int_equal(guest_read(&small, gpa(4088), in, 8), ERR_NONE);
	assert_int_equal(guest_read(&small, gpa(4089), in, 8), ERR_BAD_ADDRESS);
	assert_int_equal(guest_write(&small, gpa(4095), in, 2),
			 ERR_BAD_ADDRESS);
	assert_int_equal(guest_store_8(&small, gpa(4096), 1), ERR_BAD_ADDRESS);
}

static void what_a_balloon_took_is_no_memory(void **state)
{
	static const uint32_t frames[] = { 7, GUEST_HOLE | 3, 5 };
	const struct guest_memory elastic = {
		.elastic = true,
		.region_count = 1,
		.regions = { { .size = 3 * FRAME_SIZE, .frames = frames } },
	};
	const gpa_t hole = gpa(FRAME_SIZE + 8), edge = gpa(FRAME_SIZE - 1);
	uint16_t word;
	uint8_t byte;
	bool swapped;

	(void)state;
	assert_int_equal(guest_read(&elastic, hole, &word, 2), ERR_BAD_ADDRESS);
	assert_int_equal(guest_write(&elastic, hole, "ab", 2), ERR_BAD_ADDRESS);
	assert_int_equal(guest_write(&elastic, edge, "ab", 2), ERR_BAD_ADDRESS);
	assert_int_equal(guest_load_16(&elastic, hole, &word), ERR_BAD_ADDRESS);
	assert_int_equal(guest_store_16(&elastic, hole, 1), ERR_BAD_ADDRESS);
	assert_int_equal(guest_load_8(&elastic, hole, &byte), ERR_BAD_ADDRESS);
	assert_int_equal(guest_compare_swap(&elastic, hole, 4, 0, 1, &swapped),
			 ERR_BAD_ADDRESS);
	assert_int_equal(*host(3, 8), 0);
	assert_int_equal(guest_write(&elastic, edge, "a", 1), ERR_NONE);
	assert_int_equal(guest_write(&elastic, gpa(2 * FRAME_SIZE), "z", 1),
			 ERR_NONE);
	assert_int_equal(*host(5, 0), 'z');
}

static void nothing_is_copied_where_no_length_is(void **state)
{
	(void)state;
	assert_int_equal(guest_write(&memory, gpa(~0ull), "", 0), ERR_NONE);
	assert_true(guest_is_ram(&memory, gpa(GIB(3)), 0));
}

static void zero_stays_in_its_range(void **state)
{
	(void)state;
	memset(host(7, FRAME_SIZE - 8), 0xee, 8);
	memset(host(3, 0), 0xee, 8);
	assert_int_equal(guest_zero(&memory, gpa(FRAME_SIZE - 2), 4), ERR_NONE);
	assert_memory_equal(host(7, FRAME_SIZE - 3), "\xee\0\0", 3);
	assert_memory_equal(host(3, 0), "\0\0\xee", 3);
}

static void compare_swap_swaps_what_is_expected(void **state)
{
	uint64_t value = 0x1111111122222222;
	bool swapped;

	(void)state;
	memcpy(host(3, 8), &value, 8);
	assert_int_equal(guest_compare_swap(&memory, gpa(FRAME_SIZE + 8), 8,
					    value, value | 1, &swapped),
			 ERR_NONE);
	assert_true(swapped);
	assert_int_equal(guest_compare_swap(&memory, gpa(FRAME_SIZE + 8), 8,
					    value, 5, &swapped),
			 ERR_NONE);
	assert_false(swapped);
	/* Of 4 bytes the neighbours stay. */
	assert_int_equal(guest_compare_swap(&memory, gpa(FRAME_SIZE + 12), 4,
					    0x11111111, 0x33333333, &swapped),
			 ERR_NONE);
	assert_true(swapped);
	memcpy(&value, host(3, 8), 8);
	assert_int_equal(value, 0x3333333322222223);
}

static void compare_swap_refuses(void **state)
{
	bool swapped;

	(void)state;
	assert_int_equal(guest_compare_swap(&memory, gpa(4), 8, 0, 1, &swapped),
			 ERR_BAD_REQUEST);
	assert_int_equal(guest_compare_swap(&memory, gpa(2), 2, 0, 1, &swapped),
			 ERR_BAD_REQUEST);
	assert_int_equal(
		guest_compare_swap(&memory, gpa(GIB(3)), 8, 0, 1, &swapped),
		ERR_BAD_ADDRESS);
	assert_int_equal(*host(7, 4), 0);
}

static void indices_are_whole(void **state)
{
	uint16_t value = 0;

	(void)state;
	assert_int_equal(guest_store_16(&memory, gpa(FRAME_SIZE - 2), 0x1234),
			 ERR_NONE);
	assert_memory_equal(host(7, FRAME_SIZE - 2), "\x34\x12", 2);
	assert_int_equal(guest_load_16(&memory, gpa(FRAME_SIZE - 2), &value),
			 ERR_NONE);
	assert_int_equal(value, 0x1234);
	/* One that is odd could lie in two frames; one that is no RAM. */
	assert_int_equal(guest_load_16(&memory, gpa(FRAME_SIZE - 1), &value),
			 ERR_BAD_ADDRESS);
	assert_int_equal(guest_store_16(&memory, gpa(FRAME_SIZE - 1), 1),
			 ERR_BAD_ADDRESS);
	assert_int_equal(guest_load_16(&memory, gpa(3 * FRAME_SIZE), &value),
			 ERR_BAD_ADDRESS);
	assert_int_equal(guest_store_16(&memory, gpa(GIB(4) - 2), 1),
			 ERR_BAD_ADDRESS);
	assert_int_equal(guest_store_16(&memory, gpa(~1ull), 1),
			 ERR_BAD_ADDRESS);
	assert_int_equal(value, 0x1234);
	assert_memory_equal(host(7, FRAME_SIZE - 2), "\x34\x12", 2);
}

#define TEST(test) cmocka_unit_test_setup(test, clear)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(write_lands_in_the_frames_of_the_page),
		TEST(read_crosses_every_page),
		TEST(high_memory_is_reached),
		TEST(bad_ranges_copy_nothing),
		TEST(last_address_does_not_lead_to_the_first),
		TEST(adjoining_regions_are_one_range),
		TEST(a_region_may_end_within_a_frame),
		TEST(what_a_balloon_took_is_no_memory),
		TEST(nothing_is_copied_where_no_length_is),
		TEST(zero_stays_in_its_range),
		TEST(compare_swap_swaps_what_is_expected),
		TEST(compare_swap_refuses),
		TEST(indices_are_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
