/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "support_load.h"

#include <cmocka.h>
#include <mullion/bits.h>
#include <mullion/guest.h>
#include <string.h>

static uint8_t image[KIB(256)];
static struct load_guest guest;
static const uint32_t rom_frames[] = { 30 };

/* 4 MiB of RAM, and a frame that ends at 4 GiB. */
static int fresh(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof image; i++)
		image[i] = (uint8_t)(i / KIB(1));
	load_guest_make(&guest, MIB(4), 0);
	guest.memory.regions[1] = (struct guest_region){
		.start = gpa(GIB(4) - FRAME_SIZE),
		.size = FRAME_SIZE,
		.frames = rom_frames
	};
	guest.memory.region_count = 2;
	guest.vm.flags = MULL_VM_PLATFORM_PC;
	return 0;
}

static enum error run(uint64_t size)
{
	return load_guest_run(&guest, MULL_IMAGE_FIRMWARE, image, size, NULL,
			      0);
}

static void it_ends_at_4_gib_and_at_1_mib(void **state)
{
	static uint8_t seen[sizeof image];
	uint8_t before;

	(void)state;
	assert_int_equal(run(sizeof image), ERR_NONE);
	assert_int_equal(guest.load.start.mode, GUEST_AT_RESET);
	load_guest_read(&guest, GIB(4) - sizeof image, seen, sizeof image);
	assert_memory_equal(seen, image, sizeof image);
	load_guest_read(&guest, MIB(1) - KIB(128), seen, KIB(128));
	assert_memory_equal(seen, image + KIB(128), KIB(128));
	load_guest_read(&guest, MIB(1) - KIB(128) - 1, &before, 1);
	assert_int_equal(before, 0xcc);
	load_guest_read(&guest, 0, &before, 1);
	assert_int_equal(before, 0xcc); /* no tables of a kernel's */
}

static void the_tables_end_its_memory(void **state)
{
	char seen[8];

	(void)state;
	assert_int_equal(run(KIB(64)), ERR_NONE);
	load_guest_read(&guest, MIB(4) - MULL_GUEST_ACPI_SIZE, seen, 8);
	assert_memory_equal(seen, "RSD PTR ", 8);
	load_guest_read(&guest, MIB(1) - KIB(64), seen, 8);
	assert_memory_equal(seen, image, 8);
}

static void absurd_sizes_are_refused(void **state)
{
	static const uint64_t sizes[] = { 1, 4095, 4097, KIB(64) + 16 };

	for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
		fresh(state);
		assert_int_equal(run(sizes[i]), ERR_BAD_IMAGE);
		assert_non_null(strstr(guest.load.words, "firmware of"));
	}
}

/* An image that was replaced by one for which no room was made. */
static void what_has_no_room_is_refused(void **state)
{
	(void)state;
	guest.memory.region_count = 1;
	assert_int_equal(run(sizeof image), ERR_BAD_ADDRESS);
	assert_non_null(strstr(guest.load.words, "cannot be loaded at"));
}

static void room_is_whole_frames(void **state)
{
	struct mull_image record = { .kind = MULL_IMAGE_FIRMWARE };
	struct load_image it = { .record = &record };

	(void)state;
	record.size = KIB(4);
	assert_int_equal(image_firmware_room(&it), FRAME_SIZE);
	record.size = MULL_FIRMWARE_MAX;
	assert_int_equal(image_firmware_room(&it), MULL_FIRMWARE_MAX);
	record.size = MULL_FIRMWARE_MAX + 1;
	assert_int_equal(image_firmware_room(&it), 0);
	record.size = ~0ull;
	assert_int_equal(image_firmware_room(&it), 0);
	record.size = KIB(4);
	record.kind = MULL_IMAGE_BZIMAGE;
	assert_int_equal(image_firmware_room(&it), 0);
	it.record = NULL;
	assert_int_equal(image_firmware_room(&it), 0);
}

#define TEST(name) cmocka_unit_test_setup(name, fresh)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(it_ends_at_4_gib_and_at_1_mib),
		TEST(the_tables_end_its_memory),
		TEST(absurd_sizes_are_refused),
		TEST(what_has_no_room_is_refused),
		TEST(room_is_whole_frames),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
