/* SPDX-License-Identifier: MIT */
/* What an overlay's partition may have in it, and what not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "kept_fixture.h"

/* ---- what a partition may have ------------------------------------------- */

static void expect_refusal(const char *expected)
{
	uint8_t before[CHANGES_SIZE];
	const char *words;

	memcpy(before, cache, sizeof before);
	begin_life();
	words = open_it();
	assert_non_null(words);
	if (!strstr(words, expected))
		fail_msg("'%s' is not about '%s'", words, expected);
	assert_memory_equal(before, cache, sizeof before); /* untouched */
	assert_null(sent);
}

static void put_entry(uint32_t entry, uint32_t place)
{
	memcpy(cache + OVERLAY_BLOCK + entry * sizeof place, &place,
	       sizeof place);
}

static void maps_are_checked(void **state)
{
	(void)state;
	put_entry(1, PLACES);
	begin_life();
	assert_null(open_it());
	put_entry(1, PLACES + 1);
	expect_refusal("map names what is not there");
	put_entry(1, ~0u);
	expect_refusal("map names what is not there");
	put_entry(1, 3);
	put_entry(1026, 3); /* of another block of the map */
	expect_refusal("names a place twice");
	put_entry(1026, 4);
	put_entry(1028, 5); /* behind the last block */
	expect_refusal("map names what is not there");
	put_entry(1028, 0);
	begin_life();
	assert_null(open_it());
	assert_int_equal(block.overlay.used, 2);
}

/* Those that a loss of power has left unused are used. */
static void places_between_are_found(void **state)
{
	(void)state;
	put_entry(0, 1);
	put_entry(1, 3);
	put_entry(2, 6);
	begin_life();
	assert_null(open_it());
	start_guest();
	assert_true(overlay_seek(&block.overlay));
	assert_int_equal(block.overlay.next, 2);
	assert_int_equal(overlay_free(&block.overlay, 8), 1);
	overlay_map(&block.overlay, 3, 2);
	assert_true(overlay_seek(&block.overlay));
	assert_int_equal(block.overlay.next, 4);
	assert_int_equal(overlay_free(&block.overlay, 8), 2);
}

static void put_header(struct overlay_header *header)
{
	header->crc = crc32_ieee(0, header, sizeof *header - 4);
	memcpy(cache, header, sizeof *header);
}

static void headers_are_checked(void **state)
{
	struct overlay_header good, bad;

	(void)state;
	memcpy(&good, cache, sizeof good);
	cache[20] ^= 1;
	expect_refusal("header is damaged");
	bad = good;
	bad.version = 2;
	put_header(&bad);
	expect_refusal("version");
	bad = good;
	bad.block_size = 8192;
	put_header(&bad);
	expect_refusal("version");
	bad = good;
	bad.reserved[3] = 1;
	put_header(&bad);
	expect_refusal("version");
	bad = good;
	bad.base_guid[15] ^= 1;
	put_header(&bad);
	expect_refusal("GUID");
	bad = good;
	bad.base_size -= SECTOR;
	put_header(&bad);
	expect_refusal("another size");
	bad = good;
	bad.map_blocks = 1;
	put_header(&bad);
	expect_refusal("another size");
	bad = good;
	bad.magic = 1;
	put_header(&bad);
	expect_refusal("neither empty nor an overlay");
}

/* A file system may leave its first blocks to others. */
static void what_is_not_empty_stays(void **state)
{
	static const uint32_t places[] = { 1024,	  OVERLAY_BLOCK - 1,
					   OVERLAY_BLOCK, PLACES_AT - 1,
					   PLACES_AT,	  CHANGES_SIZE - 1 };

	(void)state;
	for (uint32_t i = 0; i < ARRAY_COUNT(places); i++) {
		clear_disk();
		cache[places[i]] = 1;
		expect_refusal("neither empty nor an overlay");
	}
}

static void errors_end_the_opening(void **state)
{
	bool done;

	(void)state;
	for (int which = 0; which < 4; which++) {
		const char *words = NULL;

		clear_disk();
		begin_life();
		assert_null(overlay_lay_out(&block.overlay, BASE_SIZE,
					    CHANGES_SIZE, map_numbers));
		virtio_block_start(&block);
		for (int i = 0; i < 1000 && !words; i++) {
			words = virtio_block_open(&block, &done);
			assert_false(done);
			if (!sent)
				continue;
			come_back(sent->operation == BLOCK_FLUSH ? ERR_DEVICE :
				  sent->operation == BLOCK_WRITE && which < 3 ?
								   ERR_TIMEOUT :
				  (int)sent_count == which ? ERR_DEVICE :
							     ERR_NONE);
		}
		assert_string_equal(words, "its overlay's partition cannot be "
					   "read or written");
	}
}

static void sizes_must_fit(void **state)
{
	struct overlay overlay;

	(void)state;
	assert_non_null(
		overlay_lay_out(&overlay, BASE_SIZE, PLACES_AT, map_numbers));
	assert_non_null(overlay_lay_out(&overlay, BASE_SIZE,
					PLACES_AT + OVERLAY_BLOCK - 512,
					map_numbers));
	assert_null(overlay_lay_out(&overlay, BASE_SIZE,
				    PLACES_AT + OVERLAY_BLOCK, map_numbers));
	assert_int_equal(overlay.places, 1);
	assert_null(overlay_lay_out(&overlay, BASE_SIZE, GIB(4), map_numbers));
	assert_int_equal(overlay.places, 1028); /* as many as the base has */
	assert_non_null(overlay_lay_out(&overlay, GIB(1024) + 512, GIB(4096),
					map_numbers));
	/* 1 MiB and 33 KiB for each GiB. */
	assert_int_equal(overlay_frames(GIB(1), GIB(2)), 1);
	assert_int_equal(overlay_frames(GIB(2), GIB(4)), 2);
	assert_int_equal(overlay_frames(GIB(1024), GIB(1024)), 528);
}

#define TEST(name) cmocka_unit_test_setup(name, fresh)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(maps_are_checked),	      TEST(places_between_are_found),
		TEST(headers_are_checked),    TEST(what_is_not_empty_stays),
		TEST(errors_end_the_opening), TEST(sizes_must_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
