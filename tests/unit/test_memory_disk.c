/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arch/fake/fake.h>
#include <cmocka.h>
#include <mullion/bits.h>
#include <mullion/memory_disk.h>
#include <stdlib.h>
#include <string.h>

#define ROOM_FRAME 100 /* the first of the rooms' */
#define BLOCKS_IN_FRAME (FRAME_SIZE / DISK_BLOCK)

static struct memory_disk disk;
static struct mull_image record;
static uint8_t *bytes; /* of the image */
static uint32_t room[2][8];

static uint8_t pattern(uint64_t at)
{
	return (uint8_t)(at / DISK_BLOCK * 7 + at % 251);
}

static int fresh(void **state)
{
	(void)state;
	fake_memory_clear();
	/* Every second frame, and falling: none adjoins the next. */
	for (uint32_t i = 0; i < ARRAY_COUNT(room[0]); i++) {
		room[0][i] = ROOM_FRAME + 40 - 4 * i;
		room[1][i] = ROOM_FRAME + 42 - 4 * i;
	}
	return 0;
}

static int forget(void **state)
{
	(void)state;
	free(bytes);
	bytes = NULL;
	return 0;
}

/* An image of @size bytes; on the heap, so that a read behind it is found. */
static struct load_image make_image(uint64_t size)
{
	record.size = size;
	free(bytes);
	bytes = malloc(size ? size : 1);
	for (uint64_t i = 0; i < size; i++)
		bytes[i] = pattern(i);
	return (struct load_image){ .record = &record, .bytes = bytes };
}

static enum error open_disk(uint64_t size, uint32_t frames)
{
	struct load_image image = make_image(size);
	const char *words = "";
	enum error error = memory_disk_open(&disk, &image, room[0], frames,
					    &words);

	assert_int_equal(error != ERR_NONE, *words != 0);
	return error;
}

/* What the disk has at @at, however it can be seen. */
static void read_disk(const struct memory_disk *from, uint64_t at, void *to,
		      uint64_t length)
{
	uint8_t *next = to;

	while (length) {
		uint64_t piece = length;
		const uint8_t *seen = memory_disk_at(from, at, &piece);

		assert_in_range(piece, 1, length);
		memcpy(next, seen, piece);
		next += piece;
		at += piece;
		length -= piece;
	}
}

/* The whole disk is as the image, but for @length bytes of @value at @at. */
static void expect_disk(const struct memory_disk *which, uint64_t at,
			uint64_t length, uint8_t value)
{
	uint8_t block[DISK_BLOCK];

	for (uint64_t next = 0; next < which->size; next += sizeof block) {
		uint64_t left = which->size - next;

		if (left > sizeof block)
			left = sizeof block;
		read_disk(which, next, block, left);
		for (uint64_t i = 0; i < left; i++)
			if (block[i] != (next + i - at < length ?
						 value :
						 pattern(next + i)))
				fail_msg("byte 0x%lx is wrong",
					 (unsigned long)(next + i));
	}
}

static void expect_base(void)
{
	for (uint64_t i = 0; i < record.size; i++)
		if (bytes[i] != pattern(i))
			fail_msg("the image has changed");
}

static enum error put(struct memory_disk *to, uint64_t at, uint32_t length,
		      uint8_t value)
{
	uint8_t block[DISK_BLOCK];

	memset(block, value, sizeof block);
	return memory_disk_write(to, at, block, length);
}

/* ---- one disk ------------------------------------------------------------ */

static void it_begins_as_its_image(void **state)
{
	uint64_t length = KIB(36);

	(void)state;
	assert_int_equal(open_disk(KIB(40), 2), ERR_NONE);
	assert_int_equal(disk.size, KIB(40));
	assert_int_equal(disk.places, BLOCKS_IN_FRAME);
	/* All of it at once, while nothing is written. */
	assert_ptr_equal(memory_disk_at(&disk, KIB(4), &length),
			 bytes + KIB(4));
	assert_int_equal(length, KIB(36));
	expect_disk(&disk, 0, 0, 0);
}

static void a_part_of_a_block_is_written(void **state)
{
	(void)state;
	assert_int_equal(open_disk(KIB(40), 2), ERR_NONE);
	assert_int_equal(put(&disk, KIB(8) + 512, 1024, 0xaa), ERR_NONE);
	assert_int_equal(disk.used, 1);
	expect_disk(&disk, KIB(8) + 512, 1024, 0xaa);
	/* The same again, and the rest of the block: in the same place. */
	assert_int_equal(put(&disk, KIB(8) + 512, 1024, 0xbb), ERR_NONE);
	expect_disk(&disk, KIB(8) + 512, 1024, 0xbb);
	assert_int_equal(put(&disk, KIB(8), DISK_BLOCK, 0xcc), ERR_NONE);
	expect_disk(&disk, KIB(8), DISK_BLOCK, 0xcc);
	assert_int_equal(disk.used, 1);
	/* Its ends. */
	assert_int_equal(put(&disk, KIB(8), 1, pattern(KIB(8))), ERR_NONE);
	expect_disk(&disk, KIB(8) + 1, DISK_BLOCK - 1, 0xcc);
	assert_int_equal(put(&disk, KIB(12) - 1, 1, pattern(KIB(12) - 1)),
			 ERR_NONE);
	expect_disk(&disk, KIB(8) + 1, DISK_BLOCK - 2, 0xcc);
	expect_base();
}

/* What is seen at once ends with the block then. */
static void blocks_are_seen_one_by_one_once_written(void **state)
{
	uint64_t length = KIB(36);

	(void)state;
	assert_int_equal(open_disk(KIB(40), 2), ERR_NONE);
	assert_int_equal(put(&disk, KIB(8), 512, 0xaa), ERR_NONE);
	memory_disk_at(&disk, KIB(4) + 512, &length);
	assert_int_equal(length, DISK_BLOCK - 512);
	length = 512;
	memory_disk_at(&disk, KIB(4) + 512, &length);
	assert_int_equal(length, 512);
}

/* A block that the image has only the beginning of. */
static void the_last_block_is_short(void **state)
{
	(void)state;
	assert_int_equal(open_disk(KIB(8) + 1024, 2), ERR_NONE);
	assert_int_equal(put(&disk, KIB(8) + 512, 512, 0xaa), ERR_NONE);
	expect_disk(&disk, KIB(8) + 512, 512, 0xaa);
	expect_base();
	assert_int_equal(open_disk(512, 2), ERR_NONE);
	fake_memory_clear();
	assert_int_equal(put(&disk, 0, 512, 0xaa), ERR_NONE);
	expect_disk(&disk, 0, 512, 0xaa);
}

static void blocks_lie_in_several_frames(void **state)
{
	uint8_t byte;

	(void)state;
	assert_int_equal(open_disk(3 * FRAME_SIZE, 4), ERR_NONE);
	assert_int_equal(disk.map_frames, 1);
	assert_int_equal(disk.places, 3 * BLOCKS_IN_FRAME);
	/* From the last to the first, so that no place is its block's. */
	for (uint64_t i = 3 * BLOCKS_IN_FRAME; i-- > 0;)
		assert_int_equal(put(&disk, i * DISK_BLOCK, DISK_BLOCK,
				     (uint8_t)(i % 199)),
				 ERR_NONE);
	for (uint64_t i = 0; i < 3 * BLOCKS_IN_FRAME; i++) {
		read_disk(&disk, (i + 1) * DISK_BLOCK - 1, &byte, 1);
		assert_int_equal(byte, i % 199);
	}
	assert_int_equal(disk.used, disk.places);
	expect_base();
}

/* 2 GiB have 524,288 blocks, whose places fill a frame; one more block, one
 * more frame.  Nothing of such an image is looked at here but its end. */
static void the_map_lies_in_several_frames(void **state)
{
	static uint32_t frames[1026];
	struct load_image image = { .record = &record, .frames = frames };
	const char *words;
	uint8_t byte;

	(void)state;
	record.size = GIB(2) + 1024;
	for (uint32_t i = 0; i < ARRAY_COUNT(frames); i++)
		frames[i] = 50;
	assert_int_equal(memory_disk_open(&disk, &image, room[0], 2, &words),
			 ERR_NO_MEMORY);
	assert_int_equal(memory_disk_open(&disk, &image, room[0], 3, &words),
			 ERR_NONE);
	assert_int_equal(disk.map_frames, 2);
	assert_int_equal(disk.places, BLOCKS_IN_FRAME);
	assert_int_equal(put(&disk, GIB(2) - 512, 512, 0xaa), ERR_NONE);
	assert_int_equal(put(&disk, GIB(2) + 512, 512, 0xbb), ERR_NONE);
	assert_int_equal(put(&disk, 0, 512, 0xcc), ERR_NONE);
	assert_int_equal(disk.used, 3);
	read_disk(&disk, GIB(2) - 1, &byte, 1);
	assert_int_equal(byte, 0xaa);
	read_disk(&disk, GIB(2), &byte, 1);
	assert_int_equal(byte, 0);
	read_disk(&disk, GIB(2) + 1023, &byte, 1);
	assert_int_equal(byte, 0xbb);
	read_disk(&disk, 511, &byte, 1);
	assert_int_equal(byte, 0xcc);
	/* The frames of the map are those, and of nothing else. */
	assert_int_equal(*(uint32_t *)fake_memory(hpa(room[0][1] * FRAME_SIZE)),
			 2);
	assert_int_equal(*(uint32_t *)fake_memory(hpa(room[0][0] * FRAME_SIZE)),
			 3);
}

static void a_full_room_takes_no_more(void **state)
{
	(void)state;
	assert_int_equal(open_disk(2 * FRAME_SIZE, 2), ERR_NONE);
	for (uint64_t i = 0; i < BLOCKS_IN_FRAME; i++)
		assert_int_equal(put(&disk, i * DISK_BLOCK, DISK_BLOCK, 0xaa),
				 ERR_NONE);
	assert_int_equal(put(&disk, FRAME_SIZE, 512, 0xbb), ERR_NO_MEMORY);
	assert_int_equal(put(&disk, 2 * FRAME_SIZE - 512, 512, 0xbb),
			 ERR_NO_MEMORY);
	expect_disk(&disk, 0, FRAME_SIZE, 0xaa);
	/* What has a place can be changed still. */
	assert_int_equal(put(&disk, FRAME_SIZE - 512, 512, pattern(0)),
			 ERR_NONE);
	assert_int_equal(disk.used, BLOCKS_IN_FRAME);
	/* Nothing was written behind the room. */
	assert_int_equal(*(uint8_t *)fake_memory(hpa(room[0][2] * FRAME_SIZE)),
			 0);
}

/* ---- two disks ----------------------------------------------------------- */

static void two_disks_of_one_image_are_apart(void **state)
{
	struct memory_disk other;
	const char *words;

	(void)state;
	assert_int_equal(open_disk(KIB(40), 2), ERR_NONE);
	assert_int_equal(
		memory_disk_open(&other, &disk.base, room[1], 2, &words),
		ERR_NONE);
	assert_int_equal(put(&disk, 512, 512, 0xaa), ERR_NONE);
	expect_disk(&other, 0, 0, 0);
	assert_int_equal(put(&other, KIB(4), 1024, 0xbb), ERR_NONE);
	expect_disk(&disk, 512, 512, 0xaa);
	expect_disk(&other, KIB(4), 1024, 0xbb);
	expect_base();
}

/* Uploaded, and so in frames of the store, which are seen one by one. */
static void the_image_can_lie_in_frames(void **state)
{
	static uint32_t frames[2] = { 60, 58 };
	struct load_image image = make_image(FRAME_SIZE + KIB(8) + 512);
	uint64_t length = KIB(64);
	const char *words;

	(void)state;
	memcpy(fake_memory(hpa(60 * FRAME_SIZE)), bytes, FRAME_SIZE);
	memcpy(fake_memory(hpa(58 * FRAME_SIZE)), bytes + FRAME_SIZE,
	       KIB(8) + 512);
	image.bytes = NULL;
	image.frames = frames;
	assert_int_equal(memory_disk_open(&disk, &image, room[0], 2, &words),
			 ERR_NONE);
	memory_disk_at(&disk, FRAME_SIZE - 512, &length);
	assert_int_equal(length, 512);
	expect_disk(&disk, 0, 0, 0);
	assert_int_equal(put(&disk, FRAME_SIZE - 512, 512, 0xaa), ERR_NONE);
	expect_disk(&disk, FRAME_SIZE - 512, 512, 0xaa);
	assert_int_equal(put(&disk, FRAME_SIZE + KIB(8), 512, 0xbb), ERR_NONE);
	read_disk(&disk, FRAME_SIZE + KIB(8) + 511, &length, 1);
	assert_int_equal((uint8_t)length, 0xbb);
	assert_memory_equal(fake_memory(hpa(58 * FRAME_SIZE)),
			    bytes + FRAME_SIZE, KIB(8) + 512);
}

/* ---- what cannot be a disk ----------------------------------------------- */

static void it_is_of_whole_sectors(void **state)
{
	(void)state;
	assert_int_equal(open_disk(513, 2), ERR_BAD_IMAGE);
	assert_int_equal(open_disk(511, 0), ERR_BAD_IMAGE);
	assert_int_equal(open_disk(1024, 0), ERR_NONE);
	assert_null(disk.frames);
}

static void a_room_has_a_map_and_a_block(void **state)
{
	(void)state;
	assert_int_equal(open_disk(512, 1), ERR_NO_MEMORY);
	assert_int_equal(open_disk(512, 2), ERR_NONE);
}

static void an_image_must_be_there(void **state)
{
	static const struct load_image nothing;
	const struct load_image damaged = { .record = &record };
	const char *words = NULL;

	(void)state;
	assert_int_equal(memory_disk_open(&disk, &nothing, room[0], 2, &words),
			 ERR_NOT_FOUND);
	assert_string_equal(words, "the image of a disk is not there");
	record.size = 512;
	assert_int_equal(memory_disk_open(&disk, &damaged, room[0], 2, &words),
			 ERR_NOT_FOUND);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh, forget)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(it_begins_as_its_image),
		TEST(a_part_of_a_block_is_written),
		TEST(blocks_are_seen_one_by_one_once_written),
		TEST(the_last_block_is_short),
		TEST(blocks_lie_in_several_frames),
		TEST(the_map_lies_in_several_frames),
		TEST(a_full_room_takes_no_more),
		TEST(two_disks_of_one_image_are_apart),
		TEST(the_image_can_lie_in_frames),
		TEST(it_is_of_whole_sectors),
		TEST(a_room_has_a_map_and_a_block),
		TEST(an_image_must_be_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
