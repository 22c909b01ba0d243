/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "gpt_disk.h"
#include <cmocka.h>

static struct gpt gpt;
static const char *words;
static uint64_t fails_at; /* a sector that cannot be read; 0: none */
static uint64_t buffer[GPT_BUFFER / 8];

static enum error read_sectors(void *context, uint64_t sector, void *to,
			       uint32_t count)
{
	(void)context;
	assert_true(count > 0 && count * 512 <= GPT_BUFFER);
	assert_true(sector < GPT_DISK_SECTORS &&
		    count <= GPT_DISK_SECTORS - sector);
	if (fails_at >= sector && fails_at < sector + count && fails_at)
		return ERR_DEVICE;
	memcpy(to, gpt_disk[sector], count * 512);
	return ERR_NONE;
}

static enum error parse(void)
{
	const struct gpt_source source = {
		.sector_size = 512,
		.sector_count = GPT_DISK_SECTORS,
		.read = read_sectors,
		.buffer = buffer,
	};

	return gpt_read(&source, &gpt, &words);
}

static int fresh(void **state)
{
	(void)state;
	gpt_make();
	fails_at = 0;
	return 0;
}

static void assert_both(bool from_backup)
{
	assert_int_equal(parse(), ERR_NONE);
	assert_int_equal(gpt.from_backup, from_backup);
	assert_int_equal(gpt.count, 2);
	assert_string_equal(gpt.partitions[0].name, "root");
	assert_int_equal(gpt.partitions[0].first, 40);
	assert_int_equal(gpt.partitions[0].last, 79);
	assert_null(gpt.partitions[0].refusal);
	assert_string_equal(gpt.partitions[1].name, "data");
	assert_memory_equal(gpt.partitions[0].guid, gpt_entry(0) + 16, 16);
	assert_memory_equal(gpt.partitions[1].guid, gpt_entry(3) + 16, 16);
	assert_memory_not_equal(gpt.partitions[0].guid, gpt.partitions[1].guid,
				16);
	assert_null(gpt.partitions[1].refusal);
}

static void partitions_are_found(void **state)
{
	(void)state;
	assert_both(false);
	assert_false(gpt.backup_fails);
	assert_int_equal(gpt.left_out, 0);
}

static void without_a_table_there_are_words(void **state)
{
	(void)state;
	memset(gpt_disk, 0, sizeof gpt_disk);
	assert_int_equal(parse(), ERR_NOT_FOUND);
	assert_string_equal(words, "it has no protective MBR");
	gpt_disk[0][446 + 16 + 4] = 0xee;
	gpt_disk[0][510] = 0x55;
	gpt_disk[0][511] = 0xaa;
	assert_int_equal(parse(), ERR_NOT_FOUND);
	assert_string_equal(words, "there is no GPT header");
	assert_int_equal(gpt.count, 0);
}

/* What is left of a table before somebody else took the disk. */
static void an_old_table_does_not_count(void **state)
{
	(void)state;
	gpt_disk[0][446 + 4] = 0x83;
	assert_int_equal(parse(), ERR_NOT_FOUND);
}

static void damage_of_the_first_table_leaves_the_other(void **state)
{
	(void)state;
	gpt_disk[1][60] ^= 1; /* of the GUID */
	assert_both(true);
	assert_string_equal(words, "the GPT header's CRC-32 is wrong");
	gpt_make();
	gpt_entry(0)[ENTRY_FIRST] ^= 1;
	assert_both(true);
	assert_string_equal(words, "the CRC-32 of the GPT's entries is wrong");
	gpt_make();
	memset(gpt_disk[1], 0, 512);
	assert_both(true);
	gpt_make();
	fails_at = 1;
	assert_both(true);
	fails_at = 20; /* among the entries */
	assert_both(true);
}

static void damage_of_the_second_table_is_told(void **state)
{
	(void)state;
	gpt_disk[GPT_LAST][60] ^= 1;
	assert_both(false);
	assert_true(gpt.backup_fails);
	gpt_make();
	gpt_backup_entry(0)[ENTRY_NAME]++;
	assert_both(false);
	assert_true(gpt.backup_fails);
}

static void with_both_damaged_there_is_nothing(void **state)
{
	(void)state;
	gpt_disk[1][60] ^= 1;
	gpt_disk[GPT_LAST][60] ^= 1;
	assert_int_equal(parse(), ERR_BAD_CHECKSUM);
	assert_int_equal(gpt.count, 0);
	gpt_make();
	gpt_entry(0)[ENTRY_FIRST] ^= 1;
	gpt_backup_entry(0)[ENTRY_FIRST] ^= 1;
	assert_int_equal(parse(), ERR_BAD_CHECKSUM);
	assert_int_equal(gpt.count, 0);
}

/* Each change makes the first header wrong, with a good CRC. */
static void a_header_that_makes_no_sense_is_refused(void **state)
{
	static const struct {
		uint32_t offset, size;
		uint64_t value;
	} changes[] = {
		{ HEADER_REVISION, 4, 0x20000 },
		{ HEADER_SIZE, 4, 91 },
		{ HEADER_SIZE, 4, 513 },
		{ HEADER_HERE, 8, 2 },
		{ HEADER_OTHER, 8, GPT_FIRST_USABLE },
		{ HEADER_OTHER, 8, GPT_LAST_USABLE },
		{ HEADER_OTHER, 8, GPT_LAST_USABLE + GPT_ARRAY_SECTORS },
		{ HEADER_FIRST, 8, 0 },
		{ HEADER_FIRST, 8, GPT_FIRST_USABLE - 1 }, /* in the array */
		{ HEADER_FIRST, 8, GPT_LAST_USABLE + 1 },
		{ HEADER_LAST, 8, GPT_LAST_USABLE + 1 }, /* in the other's */
		{ HEADER_LAST, 8, GPT_LAST },
		{ HEADER_LAST, 8, UINT64_MAX },
		{ HEADER_ENTRIES, 8, 0 },
		{ HEADER_ENTRIES, 8, 1 },
		{ HEADER_ENTRIES, 8, 100 }, /* where partitions may be */
		{ HEADER_ENTRIES, 8, GPT_DISK_SECTORS - 1 },
		{ HEADER_ENTRIES, 8, GPT_DISK_SECTORS },
		{ HEADER_ENTRIES, 8, UINT64_MAX },
		{ HEADER_COUNT, 4, 0 },
		{ HEADER_COUNT, 4, 129 },
		{ HEADER_COUNT, 4, UINT32_MAX },
		{ HEADER_ENTRY_SIZE, 4, 0 },
		{ HEADER_ENTRY_SIZE, 4, 64 },
		{ HEADER_ENTRY_SIZE, 4, 192 },
		{ HEADER_ENTRY_SIZE, 4, 1024 },
		{ HEADER_ENTRY_SIZE, 4, 0x80000000 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
		gpt_make();
		gpt_put(gpt_disk[1], changes[i].offset, changes[i].value,
			changes[i].size);
		gpt_seal_header(1);
		assert_both(true);
	}
}

static void a_partition_that_makes_no_sense_is_refused(void **state)
{
	static const struct {
		uint64_t first, last;
	} ranges[] = {
		{ 41, 40 },
		{ 0, 50 },
		{ GPT_FIRST_USABLE - 1, 50 },
		{ 70, GPT_LAST_USABLE + 1 },
		{ 1, UINT64_MAX },
		{ UINT64_MAX, UINT64_MAX },
	};

	(void)state;
	for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
		gpt_make();
		gpt_set(0, "root", ranges[i].first, ranges[i].last);
		gpt_seal();
		assert_int_equal(parse(), ERR_NONE);
		assert_int_equal(gpt.count, 2);
		assert_non_null(gpt.partitions[0].refusal);
	}
}

static void overlaps_are_refused_on_both_sides(void **state)
{
	(void)state;
	gpt_set(0, "root", 40, 80);
	gpt_set(5, "apart", 100, 101);
	gpt_seal();
	assert_int_equal(parse(), ERR_NONE);
	assert_int_equal(gpt.count, 3);
	assert_string_equal(gpt.partitions[0].refusal,
			    "it overlaps another one");
	assert_string_equal(gpt.partitions[1].refusal,
			    "it overlaps another one");
	assert_null(gpt.partitions[2].refusal);
}

static void names_must_be_ascii(void **state)
{
	(void)state;
	gpt_set(0, "", 40, 79);
	gpt_set(3, "da!a", 80, 99);
	gpt_entry(3)[ENTRY_NAME + 4] = 0xe9;
	gpt_set(4, "tab", 100, 100);
	gpt_entry(4)[ENTRY_NAME + 1] = 1; /* U+0174 */
	gpt_set(5, "abcdefghijklmnopqrstuvwxyz0123456789", 101, 101);
	gpt_seal();
	assert_int_equal(parse(), ERR_NONE);
	assert_int_equal(gpt.count, 4);
	assert_string_equal(gpt.partitions[0].refusal, "it has no name");
	assert_string_equal(gpt.partitions[1].refusal, "its name is not ASCII");
	assert_string_equal(gpt.partitions[1].name, "da?a");
	assert_string_equal(gpt.partitions[2].name, "?ab");
	assert_null(gpt.partitions[3].refusal);
	assert_string_equal(gpt.partitions[3].name,
			    "abcdefghijklmnopqrstuvwxyz0123456789");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup(name, fresh)
		TEST(partitions_are_found),
		TEST(without_a_table_there_are_words),
		TEST(an_old_table_does_not_count),
		TEST(damage_of_the_first_table_leaves_the_other),
		TEST(damage_of_the_second_table_is_told),
		TEST(with_both_damaged_there_is_nothing),
		TEST(a_header_that_makes_no_sense_is_refused),
		TEST(a_partition_that_makes_no_sense_is_refused),
		TEST(overlaps_are_refused_on_both_sides),
		TEST(names_must_be_ascii),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
