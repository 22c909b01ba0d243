/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "support_load.h"

#include <cmocka.h>
#include <kernel/loaders/multiboot.h>
#include <mullion/bits.h>
#include <string.h>

#define MAGIC 0xe85250d6
#define CODE MIB(1)

/* A header that each test makes of tags, and code behind it. */
static uint32_t image[1024];
static uint32_t used; /* words of it */
static struct load_guest guest;

#define HEADER 4 /* word of it in the image */

static void add_tag(uint32_t type, uint32_t flags, const uint32_t *body,
		    uint32_t size)
{
	image[used++] = type | flags << 16;
	image[used++] = 8 + size;
	if (size)
		memcpy(&image[used], body, size);
	used += (size + 7) / 8 * 2;
}

#define TAG(type, flags, ...) \
	add_tag(type, flags, (const uint32_t[]){ __VA_ARGS__ }, \
		sizeof(const uint32_t[]){ __VA_ARGS__ })

/* Places all of the file at 1 MiB, and enters behind the header. */
static void add_places(void)
{
	TAG(2, 0, CODE + 4 * HEADER, ~0u, 0, 0);
	TAG(3, 0, CODE + 2048);
}

static void end_header(void)
{
	uint32_t length;

	add_tag(0, 0, NULL, 0);
	length = 4 * (used - HEADER);
	image[HEADER] = MAGIC;
	image[HEADER + 1] = 0;
	image[HEADER + 2] = length;
	image[HEADER + 3] = -(MAGIC + length);
}

static void begin_header(void)
{
	memset(image, 0, sizeof image);
	used = HEADER + 4;
}

static int fresh(void **state)
{
	(void)state;
	begin_header();
	load_guest_make(&guest, MIB(4), MIB(2));
	strcpy(guest.vm.command_line, "debug");
	return 0;
}

static enum error run(void)
{
	return load_guest_run(&guest, MULL_IMAGE_MULTIBOOT2, image,
			      sizeof image, NULL, 0);
}

static void assert_words(const char *words)
{
	if (!strstr(guest.load.words, words))
		fail_msg("\"%s\" is not in: %s", words, guest.load.words);
}

/* Finds the @nth tag of @type in what the guest is told; its size, or 0. */
static uint32_t find_tag(uint32_t type, int nth, uint8_t body[4096])
{
	uint64_t info = guest.load.start.rbx;
	uint32_t head[2], total[2];

	load_guest_read(&guest, info, total, sizeof total);
	assert_int_equal(total[1], 0);
	for (uint32_t at = 8; at < total[0]; at += (head[1] + 7) & ~7u) {
		load_guest_read(&guest, info + at, head, sizeof head);
		assert_in_range(head[1], 8, total[0] - at);
		if (head[0] == type && nth-- == 0) {
			load_guest_read(&guest, info + at + 8, body,
					head[1] - 8);
			return head[1];
		}
		if (head[0] == 0)
			assert_int_equal(at + 8, total[0]);
	}
	return 0;
}

static void start_is_what_the_protocol_says(void **state)
{
	uint8_t there[sizeof image], body[4096];
	uint32_t words[4];
	struct memory_range map[4];

	(void)state;
	add_places();
	TAG(1, 0, 1, 3, 4, 6, 15, 21);
	TAG(4, 0, 3);	    /* a console */
	TAG(5, 1, 0, 0, 0); /* a framebuffer */
	TAG(6, 0);
	TAG(77, 1, 5); /* not known, but optional */
	end_header();
	assert_int_equal(run(), ERR_NONE);
	load_guest_check_protected_mode(&guest);
	load_guest_check_acpi(&guest);
	assert_int_equal(guest.load.start.rax, 0x36d76289);
	assert_int_equal(guest.load.start.rip, CODE + 2048);
	assert_int_equal(guest.load.start.rbx % 8, 0);
	load_guest_read(&guest, CODE, there, sizeof there);
	assert_memory_equal(there, image, sizeof image);
	assert_int_equal(find_tag(1, 0, body), 8 + 6);
	assert_string_equal((char *)body, "debug");
	assert_int_equal(find_tag(2, 0, body), 8 + 8);
	assert_string_equal((char *)body, "Mullion");
	assert_int_equal(find_tag(4, 0, body), 16);
	memcpy(words, body, 8);
	assert_int_equal(words[0], 639);
	assert_int_equal(words[1], 3 * 1024);
	assert_int_equal(find_tag(6, 0, body), 16 + 4 * 24);
	memcpy(words, body, 8);
	assert_int_equal(words[0], 24);
	assert_int_equal(words[1], 0);
	memcpy(map, body + 8, sizeof map);
	assert_int_equal(map[2].start, MIB(1));
	assert_int_equal(map[2].size, MIB(3));
	assert_int_equal(map[3].size, MIB(2));
	assert_int_equal(find_tag(14, 0, body), 8 + 20);
	assert_memory_equal(body, "RSD PTR ", 8);
	assert_int_equal(find_tag(15, 0, body), 8 + 36);
	assert_memory_equal(body, "RSD PTR ", 8);
	assert_int_equal(find_tag(21, 0, body), 0);
	assert_int_equal(find_tag(3, 0, body), 0);
	assert_int_equal(find_tag(0, 0, body), 8);
}

/* It stays where it asks to be, and is told so. */
static void one_that_can_be_moved_is_told_where_it_lies(void **state)
{
	uint8_t body[4096];
	uint32_t base;

	(void)state;
	add_places();
	TAG(10, 0, 0x100000, ~0u, 4096, 1);
	end_header();
	assert_int_equal(run(), ERR_NONE);
	assert_int_equal(find_tag(21, 0, body), 12);
	memcpy(&base, body, 4);
	assert_int_equal(base, CODE);
}

static void the_longest_strings_fit(void **state)
{
	uint8_t body[4096];
	uint32_t place[2];

	(void)state;
	add_places();
	TAG(10, 0, 0, ~0u, 4096, 1);
	end_header();
	memset(guest.vm.command_line, 'c', MULL_COMMAND_LINE_MAX - 1);
	guest.vm.module_count = 4;
	for (uint32_t i = 0; i < 4; i++) {
		memset(guest.vm.modules[i].words, 'm', 124);
		guest.modules[i].bytes = "module";
		guest.modules[i].size = 6;
	}
	assert_int_equal(load_guest_run(&guest, MULL_IMAGE_MULTIBOOT2, image,
					sizeof image, "initrd", 6),
			 ERR_NONE);
	assert_int_equal(find_tag(1, 0, body), 8 + MULL_COMMAND_LINE_MAX);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(find_tag(3, i, body), 17 + (i ? 123 : 0));
		memcpy(place, body, 8);
		assert_int_equal(place[0], CODE + 4096 * (i + 1));
		assert_int_equal(place[1], place[0] + 6);
		assert_int_equal(strlen((char *)body + 8), i ? 123 : 0);
	}
	assert_int_equal(find_tag(3, 5, body), 0);
	assert_int_equal(find_tag(21, 0, body), 12);
}

/* ---- hostile ones ------------------------------------------------------- */

#define REFUSED(change, number, words) \
	do { \
		begin_header(); \
		change; \
		assert_int_equal(run(), number); \
		assert_words(words); \
	} while (0)

static void fix_sum(void)
{
	image[HEADER + 3] = -(MAGIC + image[HEADER + 1] + image[HEADER + 2]);
}

static void hostile_headers_are_refused(void **state)
{
	(void)state;
	REFUSED(add_places(), ERR_BAD_IMAGE,
		"no header of Multiboot 2 in its first 32 KiB");
	REFUSED(add_places(); end_header();
		image[HEADER + 3]++, ERR_BAD_IMAGE, "no header of Multiboot 2");
	REFUSED(add_places(); end_header(); image[HEADER + 1] = 4;
		fix_sum(), ERR_UNSUPPORTED, "is for another processor");
	REFUSED(add_places(); end_header(); image[HEADER + 2] = 15;
		fix_sum(), ERR_BAD_IMAGE, "end within the first 32 KiB");
	REFUSED(add_places(); end_header(); image[HEADER + 2] = ~0u;
		fix_sum(), ERR_BAD_IMAGE, "end within the first 32 KiB");
	REFUSED(add_places(); end_header();
		image[HEADER + 2] = sizeof image - 4 * HEADER + 1;
		fix_sum(), ERR_BAD_IMAGE, "end within the first 32 KiB");
	REFUSED(add_places(); end_header(); image[HEADER + 2] -= 8;
		fix_sum(), ERR_BAD_IMAGE, "does not end with the tag for it");
	REFUSED(end_header(); image[HEADER + 2] = 16;
		fix_sum(), ERR_BAD_IMAGE, "does not end with the tag for it");
	for (uint32_t size = 0; size < 8; size++)
		REFUSED(TAG(6, 0); image[used - 1] = size;
			end_header(), ERR_BAD_IMAGE, "tag of a wrong size");
	REFUSED(TAG(6, 0); image[used - 1] = ~0u;
		end_header(), ERR_BAD_IMAGE, "tag of a wrong size");
	REFUSED(TAG(6, 0); image[used - 1] = 17;
		end_header(), ERR_BAD_IMAGE, "tag of a wrong size");
	REFUSED(for (int i = 0; i < 33; i++) TAG(6, 0);
		end_header(), ERR_UNSUPPORTED, "more than 32 tags");
}

static void hostile_tags_are_refused(void **state)
{
	static const uint32_t many[65];

	(void)state;
	REFUSED(TAG(77, 0, 1); end_header(), ERR_UNSUPPORTED,
			       "tag of type 77, which is not known");
	REFUSED(add_places(); TAG(1, 0, 4, 22);
		end_header(), ERR_UNSUPPORTED,
		"information of type 22, which is not known");
	REFUSED(add_tag(1, 0, many, sizeof many);
		end_header(), ERR_UNSUPPORTED,
		"more than 64 pieces of information");
	REFUSED(add_tag(2, 0, many, 12);
		end_header(), ERR_BAD_IMAGE, "a tag that is too short");
	REFUSED(add_tag(3, 0, many, 3);
		end_header(), ERR_BAD_IMAGE, "a tag that is too short");
	REFUSED(TAG(2, 0, CODE + 4 * HEADER, ~0u, 0, 0);
		end_header(), ERR_BAD_IMAGE, "not where it is entered");
	REFUSED(TAG(3, 0, CODE); end_header(), ERR_BAD_IMAGE, "no ELF header");
	REFUSED(TAG(2, 0, 4 * HEADER - 1, ~0u, 0, 0); TAG(3, 0, 0);
		end_header(), ERR_BAD_IMAGE, "begins below address 0");
	REFUSED(TAG(2, 0, CODE, ~0u, CODE - 4 * HEADER, 0); TAG(3, 0, CODE);
		end_header(), ERR_BAD_IMAGE, "ends before it begins");
	/* Optional, so passed over. */
	begin_header();
	add_places();
	TAG(1, 1, 22);
	end_header();
	assert_int_equal(run(), ERR_NONE);
}

static void the_header_may_be_late(void **state)
{
	static uint32_t late[MULTIBOOT2_SEARCH / 4 + 500];
	uint32_t at, length;

	(void)state;
	add_places();
	end_header();
	length = used - HEADER;
	at = MULTIBOOT2_SEARCH / 4 - length;
	memcpy(&late[at], &image[HEADER], 4 * length);
	late[at + 6] = CODE + 4 * at; /* of the address tag: header */
	assert_int_equal(load_guest_run(&guest, MULL_IMAGE_MULTIBOOT2, late,
					sizeof late, NULL, 0),
			 ERR_NONE);
	memmove(&late[at + 2], &late[at], 4 * length);
	memset(&late[at], 0, 8);
	assert_int_equal(load_guest_run(&guest, MULL_IMAGE_MULTIBOOT2, late,
					sizeof late, NULL, 0),
			 ERR_BAD_IMAGE);
	assert_words("does not end within the first 32 KiB");
}

#define TEST(test) cmocka_unit_test_setup(test, fresh)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(start_is_what_the_protocol_says),
		TEST(one_that_can_be_moved_is_told_where_it_lies),
		TEST(the_longest_strings_fit),
		TEST(hostile_headers_are_refused),
		TEST(hostile_tags_are_refused),
		TEST(the_header_may_be_late),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
