/* SPDX-License-Identifier: MIT */
/*
 * A driver of a disk whose changes are kept on a partition, and losses of
 * power: whatever a disk's cache has of them, each sector is as it was at the
 * last flush that the driver heard the end of, or as it was written since.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "kept_fixture.h"

#define ROUNDS 300 /* of the model, with a few requests each */
#define SUBSETS 12 /* of what was not flushed, at each moment */

/* ---- losses of power ----------------------------------------------------- */

static bool keep_all_of_it(void)
{
	return true;
}

static bool keep_none(void)
{
	return false;
}

static uint32_t prefix; /* that many pieces */

static bool keep_prefix(void)
{
	return prefix && prefix--;
}

static uint32_t odds; /* of 8 */

static bool keep_some(void)
{
	return (uint32_t)rand() % 8 < odds;
}

static uint32_t power_losses;

static void check_crashed(void)
{
	power_losses++;
	for (uint32_t i = 0; i < HOT_SECTORS; i++) {
		const uint8_t *sector = resolve(crashed, hot_sector(i));
		bool legal = false;

		for (uint32_t j = hot[i].count; j-- && !legal;)
			legal = has_tag(sector, hot[i].legal[j]);
		if (!legal)
			fail_msg("sector %lu has neither old nor new content",
				 (unsigned long)hot_sector(i));
	}
}

/* At this moment, with all that the disk may have kept. */
static void lose_power_often(void)
{
	uint32_t pieces = 0;

	lose_power(PLACES_AT, keep_none);
	check_crashed();
	lose_power(PLACES_AT, keep_all_of_it);
	check_crashed();
	for (uint32_t i = 0; i < write_count; i++)
		pieces += writes[i].length /
			  (writes[i].offset < PLACES_AT ? WORD : SECTOR);
	for (uint32_t i = 0; i < SUBSETS; i++) {
		prefix = pieces ? (uint32_t)rand() % pieces : 0;
		lose_power(PLACES_AT, keep_prefix);
		check_crashed();
		odds = 1 + (uint32_t)rand() % 7;
		lose_power(PLACES_AT, keep_some);
		check_crashed();
	}
}

/* What it has come to is what counts from now on. */
static void live_again(void)
{
	odds = (uint32_t)rand() % 9;
	lose_power(PLACES_AT, keep_some);
	check_crashed();
	power_on();
	begin_life();
	assert_null(open_it());
	start_guest();
	for (uint32_t i = 0; i < HOT_SECTORS; i++) {
		const uint8_t *sector = resolve(crashed, hot_sector(i));
		uint32_t j = hot[i].count;

		do
			assert_true(j--);
		while (!has_tag(sector, hot[i].legal[j]));
		hot[i].legal[0] = hot[i].legal[j];
		hot[i].count = 1;
	}
	expect_all();
}

/* ---- tests --------------------------------------------------------------- */

static void an_empty_partition_becomes_one(void **state)
{
	const struct overlay_header *header = (const void *)stable;

	(void)state;
	assert_int_equal(header->magic, OVERLAY_MAGIC);
	assert_int_equal(header->version, 1);
	assert_int_equal(header->base_size, BASE_SIZE);
	assert_int_equal(header->map_blocks, MAP_BLOCKS);
	assert_memory_equal(header->base_guid, "GUID of the base", 16);
	assert_true(overlay_is_empty(stable + sizeof *header,
				     sizeof stable - sizeof *header));
	assert_int_equal(block.overlay.places, PLACES);
	assert_int_equal(lines, 1);
	expect_all();
	assert_int_equal(base_reads, sent_count);
}

static void what_was_flushed_is_there(void **state)
{
	(void)state;
	write_sectors(8, 24); /* whole blocks need no base */
	assert_int_equal(base_reads, 0);
	assert_int_equal(sent_count, 1);
	write_sectors(1, 9); /* parts of two, of which one is there */
	assert_int_equal(base_reads, 1);
	write_sectors(SECTORS - 2, 2); /* the last one is short */
	assert_int_equal(base_reads, 1);
	write_sectors(SECTORS - 3, 1);
	flush_it();
	lose_power(PLACES_AT, keep_none);
	power_on();
	begin_life();
	assert_null(open_it());
	assert_int_equal(block.overlay.used, 6);
	start_guest();
	expect_all();
}

static void a_flush_has_its_order(void **state)
{
	(void)state;
	write_sectors(0, 8);
	write_sectors(SECTORS - 2, 2);
	offer(FLUSH, 0, 0);
	assert_int_equal(sent->operation, BLOCK_FLUSH); /* data */
	assert_true(sent->partition == &changes_partition);
	come_back(ERR_NONE);
	work();
	assert_int_equal(sent->operation, BLOCK_WRITE); /* map */
	assert_int_equal(sent->offset, OVERLAY_BLOCK);
	assert_int_equal(sent->segments[0].length, 2 * OVERLAY_BLOCK);
	come_back(ERR_NONE);
	work();
	assert_int_equal(sent->operation, BLOCK_FLUSH);
	assert_int_equal(ram[STATUS_AT], NONE);
	come_back(ERR_NONE);
	work();
	assert_null(sent);
	assert_int_equal(ram[STATUS_AT], OK);
	/* The map is as it was: one is enough, but must be. */
	write_sectors(0, 8);
	flush_count = sent_count = 0;
	flush_it();
	assert_int_equal(flush_count, 1);
	assert_int_equal(sent_count, 1);
}

/* Each block of it, also when several went at once. */
static void the_map_is_written_whenever_it_changes(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 3; i++) {
		if (i != 1) /* the other one alone */
			write_sectors(i * 8, 8);
		write_sectors(SECTORS - 18 + i * 8, 1);
		flush_it();
		assert_int_equal(block.overlay.dirty, 0);
		lose_power(PLACES_AT, keep_none);
		check_crashed();
	}
}

/* Long ones go in pieces, each to places on end. */
static void runs_are_short(void **state)
{
	uint64_t length = MIB(1), offset;

	(void)state;
	assert_false(overlay_find(&block.overlay, 512, &length, &offset));
	assert_int_equal(length, OVERLAY_RUN * OVERLAY_BLOCK - 512);
	write_sectors(8, 8);
	write_sectors(0, 8);
	write_sectors(16, 8);
	sent_count = 0;
	expect_sectors(0, 32);
	/* Places 2, 1 and 3, and the base. */
	assert_int_equal(sent_count, 4);
}

static void random_request(void)
{
	uint32_t at = (uint32_t)rand() % HOT_SECTORS;
	uint32_t most = (at < HOT_SECTORS / 2 ? HOT_SECTORS / 2 : HOT_SECTORS) -
			at;
	uint32_t count = 1 + (uint32_t)rand() % (DATA_SIZE / SECTOR);

	if (count > most)
		count = most;
	switch (rand() % 5) {
	case 0:
		flush_it();
		break;
	case 1:
		expect_sectors(hot_sector(at), count);
		break;
	default:
		write_sectors(hot_sector(at), count);
		break;
	}
}

/* Any requests, and at each moment of them a loss of power. */
static void losses_of_power_leave_old_or_new(void **state)
{
	(void)state;
	srand(7);
	for (uint32_t round = 0; round < ROUNDS; round++) {
		uint32_t requests = (uint32_t)rand() % 8;

		if (round % 20 == 0)
			fresh(state);
		at_each_moment = lose_power_often;
		for (uint32_t i = 0; i < requests; i++)
			random_request();
		/* In the middle of one, and at any piece of it. */
		if (rand() % 2)
			put_write(hot_sector((uint32_t)rand() % 16), 24);
		else
			offer(FLUSH, 0, 0);
		for (int i = rand() % 4; i && sent; i--) {
			come_back(ERR_NONE);
			lose_power_often();
			work();
		}
		at_each_moment = NULL;
		live_again();
	}
	assert_true(power_losses > 0);
}

/* Few enough sectors and entries that each subset of them can be had. */
static void each_subset_of_a_flush_is_legal(void **state)
{
	static const uint64_t places[] = { 3, 9, SECTORS - 1 };

	(void)state;
	write_sectors(8, 8); /* one block is there already */
	flush_it();
	for (uint32_t moment = 0; moment < 4; moment++) {
		for (uint32_t i = 0; i < ARRAY_COUNT(places); i++)
			write_sectors(places[i], 1);
		offer(FLUSH, 0, 0);
		for (uint32_t i = 0; i < moment && sent; i++) {
			come_back(ERR_NONE);
			work();
		}
		for (uint32_t i = 0; i < 4096; i++) {
			odds = i % 9;
			lose_power(PLACES_AT, keep_some);
			check_crashed();
		}
		finish();
		keep_all();
	}
}

static void a_full_partition_fails_in_words(void **state)
{
	uint32_t blocks = 0;

	(void)state;
	block.overlay.places = 5;
	lines = 0;
	put_write(0, 32); /* four of five places */
	assert_int_equal(finish(), OK);
	put_write(32, 16); /* two more */
	assert_int_equal(finish(), IO_ERROR);
	put_write(SECTORS - 5, 1);
	assert_int_equal(finish(), IO_ERROR);
	hot[hot_index(SECTORS - 5)].count--;
	for (uint32_t i = 40; i < 48; i++)
		hot[hot_index(i)].count--;
	assert_int_equal(lines, 1); /* once */
	expect_all();
	write_sectors(35, 3); /* what has its place can be written */
	flush_it();
	lose_power(PLACES_AT, keep_none);
	check_crashed();
	for (uint32_t i = 0; i < HOT_SECTORS; i += 8)
		blocks += resolve(crashed, hot_sector(i)) < base ||
			  resolve(crashed, hot_sector(i)) >= base + BASE_SIZE;
	assert_int_equal(blocks, 5);
}

/* What was written in front of a flush that failed may be gone. */
static void a_failed_flush_is_for_good(void **state)
{
	(void)state;
	for (uint32_t which = 0; which < 3; which++) {
		fresh(state);
		write_sectors(8, 8);
		flush_it();
		write_sectors(16, 8);
		offer(FLUSH, 0, 0);
		for (uint32_t i = 0; i < which; i++) {
			come_back(ERR_NONE);
			work();
		}
		lines = 0;
		come_back(ERR_DEVICE);
		work();
		assert_null(sent);
		assert_int_equal(ram[STATUS_AT], IO_ERROR);
		assert_int_equal(lines, 1);
		assert_int_equal(ask(FLUSH, 0, 0), IO_ERROR);
		assert_int_equal(ask(OUT, 0, 512), IO_ERROR);
		expect_all(); /* it can be read */
		lose_power_often();
		live_again();
		write_sectors(16, 8);
		flush_it();
	}
}

/* The driver has reset the device meanwhile. */
static void a_failed_flush_is_noted_by_nobody_else(void **state)
{
	(void)state;
	write_sectors(8, 8);
	offer(FLUSH, 0, 0);
	set(STATUS, 1, 0);
	assert_true(get(STATUS, 1)); /* not before it is back */
	come_back(ERR_TIMEOUT);
	assert_int_equal(get(STATUS, 1), 0);
	set_up(VERSION_1 | 1 << 28);
	assert_int_equal(ask(OUT, 0, 512), IO_ERROR);
	assert_true(block.overlay.failed);
}

static void errors_of_a_disk_are_the_requests_own(void **state)
{
	(void)state;
	offer(IN, 0, 512);
	come_back(ERR_DEVICE);
	work();
	assert_int_equal(ram[STATUS_AT], IO_ERROR);
	for (uint32_t which = 0; which < 2; which++) {
		offer(OUT, 1, 512);
		if (which) { /* the base comes, and its place fails */
			come_back(ERR_NONE);
			work();
		}
		come_back(ERR_TIMEOUT);
		work();
		assert_int_equal(ram[STATUS_AT], IO_ERROR);
	}
	assert_int_equal(block.overlay.used, 0);
	assert_false(block.overlay.failed);
	expect_all();
	write_sectors(1, 1);
	expect_all();
}

static void a_reset_forgets_what_flies(void **state)
{
	(void)state;
	for (uint32_t pieces = 0; pieces < 4; pieces++) {
		offer(pieces < 2 ? OUT : FLUSH, 1, pieces < 2 ? 512 : 0);
		for (uint32_t i = 0; i < pieces % 2; i++) {
			come_back(ERR_NONE);
			work();
		}
		set(STATUS, 1, 0);
		come_back(ERR_NONE);
		assert_int_equal(get(STATUS, 1), 0);
		set_up(VERSION_1 | 1 << 28);
		work();
		assert_int_equal(ram[STATUS_AT], NONE);
		assert_int_equal(block.overlay.used, pieces ? 1 : 0);
		if (!pieces) {
			expect_all();
			write_sectors(8, 8);
		}
		expect_sectors(8, 40);
		assert_false(block.overlay.failed);
	}
	flush_it();
	lose_power_often();
}

/* Without a flush: as with any disk that goes on when its machine does not. */
static void the_end_of_a_vm_keeps_what_was_written(void **state)
{
	(void)state;
	write_sectors(8, 8);
	write_sectors(SECTORS - 5, 3);
	put_write(16, 8); /* and one that its guest has not heard of */
	assert_false(virtio_block_settle(&block));
	for (int i = 0; i < 20 && !virtio_block_settle(&block); i++)
		if (sent)
			come_back(ERR_NONE);
	assert_true(virtio_block_settle(&block));
	assert_null(sent);
	for (uint32_t i = 16; i < 24; i++)
		hot[hot_index(i)].count--;
	keep_all();
	lose_power(PLACES_AT, keep_none);
	check_crashed();
	/* A restart goes on with what it has. */
	start_guest();
	expect_all();
	write_sectors(16, 8);
	flush_it();
	lose_power_often();
}

static void an_end_ends_without_its_disk(void **state)
{
	(void)state;
	write_sectors(8, 8);
	assert_false(virtio_block_settle(&block));
	come_back(ERR_DEVICE);
	assert_true(virtio_block_settle(&block));
	assert_null(sent);
	lose_power_often();
}

#define TEST(name) cmocka_unit_test_setup(name, fresh)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_empty_partition_becomes_one),
		TEST(what_was_flushed_is_there),
		TEST(a_flush_has_its_order),
		TEST(the_map_is_written_whenever_it_changes),
		TEST(runs_are_short),
		TEST(losses_of_power_leave_old_or_new),
		TEST(each_subset_of_a_flush_is_legal),
		TEST(a_full_partition_fails_in_words),
		TEST(a_failed_flush_is_for_good),
		TEST(a_failed_flush_is_noted_by_nobody_else),
		TEST(errors_of_a_disk_are_the_requests_own),
		TEST(a_reset_forgets_what_flies),
		TEST(the_end_of_a_vm_keeps_what_was_written),
		TEST(an_end_ends_without_its_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
