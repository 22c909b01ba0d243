/* SPDX-License-Identifier: MIT */
/* The console draws into plain memory, of exactly the size it asked for. */
#include <mullion/bits.h>
#include <mullion/framebuffer.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "font.h"

#define UNTOUCHED 0x5a5a5a5a

static struct mull_framebuffer screen;
static uint32_t *video; /* from malloc: ASan sees a pixel too far */

static void start(uint32_t width, uint32_t height, uint32_t pitch)
{
	screen = (struct mull_framebuffer){
		.address = 0x80000000,
		.width = width,
		.height = height,
		.pitch = pitch,
		.format = MULL_PIXEL_BGRX,
	};
	uint64_t bytes = framebuffer_bytes(&screen);

	assert_int_equal(bytes, 4ull * pitch * height);
	free(video);
	video = malloc(bytes);
	assert_non_null(video);
	memset(video, UNTOUCHED & 0xff, bytes);
	framebuffer_start(&screen, video);
}

static void show(const char *text)
{
	framebuffer_write(text, strlen(text));
}

static bool pixel(uint32_t x, uint32_t y)
{
	return video[y * screen.pitch + x] != 0;
}

/* The character at a place, found by its glyph; 0 when it is none. */
static char character_at(uint32_t row, uint32_t column, uint32_t scale)
{
	for (uint32_t code = 0; code < 96; code++) {
		bool same = true;

		for (uint32_t y = 0; same && y < 16 * scale; y++)
			for (uint32_t x = 0; x < 8 * scale; x++)
				if (pixel(column * 8 * scale + x,
					  row * 16 * scale + y) !=
				    !!(font_8x16[code][y / scale] &
				       0x80 >> x / scale))
					same = false;
		if (same)
			return ' ' + code;
	}
	return 0;
}

static void assert_row(uint32_t row, const char *text)
{
	for (uint32_t column = 0; column < screen.width / 8; column++) {
		char want = column < strlen(text) ? text[column] : ' ';

		assert_int_equal(character_at(row, column, 1), want);
	}
}

static void text_appears_where_it_should(void **state)
{
	(void)state;
	start(160, 64, 160);
	show("Hello\n\tworld\rw");
	assert_row(0, "Hello");
	assert_row(1, "w       world");
	assert_row(2, "");
}

static void long_lines_wrap(void **state)
{
	(void)state;
	start(80, 64, 96);
	show("0123456789");
	assert_row(0, "0123456789");
	show("abc\n");
	assert_row(1, "abc");
	show("d");
	assert_row(2, "d");
}

static void a_full_line_with_its_end_is_one_line(void **state)
{
	(void)state;
	start(80, 64, 80);
	show("0123456789\nabc");
	assert_row(1, "abc");
}

static void scrolling_keeps_the_newest_lines(void **state)
{
	(void)state;
	start(80, 8 * 16, 80);
	show("0\n1\n2\n3\n4\n5\n6\n7");
	assert_row(0, "0");
	assert_row(7, "7");
	show("\n8");
	assert_row(0, "2");
	assert_row(5, "7");
	assert_row(6, "8");
	assert_row(7, "");
	/* One write of far more than a screen. */
	for (int i = 0; i < 200; i++)
		show("\n\n\n\n\n\n\n\n\n\nend");
	show("\nlast");
	bool found = false;

	for (uint32_t row = 0; row < 8; row++)
		if (character_at(row, 0, 1) == 'l')
			found = true;
	assert_true(found);
}

/* Of the character before nothing may be left, whatever they have in common. */
static void one_character_replaces_another(void **state)
{
	static const char text[] = "M.W_i#|A";

	(void)state;
	start(160, 64, 160);
	for (const char *next = text; *next; next++) {
		char line[] = { '\r', *next, *next, 0 };

		show(line);
		assert_row(0, line + 1);
	}
	start(3840, 2160, 3840);
	show("M\r.");
	assert_int_equal(character_at(0, 0, 2), '.');
}

/* A line that was not drawn, since its text came with others, is not lost. */
static void rows_far_apart_are_drawn_at_once(void **state)
{
	(void)state;
	start(80, 8 * 16, 80);
	show("a\n\n\n\n\nb");
	assert_row(0, "a");
	assert_row(5, "b");
	show("\rc");
	assert_row(0, "a");
	assert_row(5, "c");
}

static void unknown_characters_are_boxes(void **state)
{
	(void)state;
	start(160, 64, 160);
	show("a\x1b[\xc3\xa9\x7f");
	framebuffer_write("\0b", 2);
	assert_row(0, "a\x7f[\x7f\x7f\x7f\x7f"
		      "b");
}

static void what_lies_between_lines_is_left_alone(void **state)
{
	(void)state;
	start(83, 37, 96);
	show("odd\nsizes\nscroll\nwell\n");
	for (uint32_t y = 0; y < screen.height; y++)
		for (uint32_t x = screen.width; x < screen.pitch; x++)
			assert_int_equal(video[y * screen.pitch + x],
					 UNTOUCHED);
	/* The rest below and right of the cells is cleared, not drawn. */
	for (uint32_t x = 80; x < screen.width; x++)
		assert_false(pixel(x, 0));
	for (uint32_t x = 0; x < screen.width; x++)
		assert_false(pixel(x, 36));
}

static void odd_modes_do_not_write_outside(void **state)
{
	static const struct {
		uint32_t width, height, pitch;
	} modes[] = {
		{ 8, 16, 8 },	      { 9, 17, 11 },
		{ 8, 4000, 8 },	      { 16000, 16, 16000 },
		{ 1920, 1080, 1920 }, { 1921, 1080, 2048 },
		{ 1366, 768, 1366 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(modes); i++) {
		start(modes[i].width, modes[i].height, modes[i].pitch);
		for (int line = 0; line < 300; line++)
			show("All work and no play\t\tmakes\n");
	}
}

static void large_screens_get_large_glyphs(void **state)
{
	(void)state;
	start(3840, 2160, 3840);
	show("4K\nok");
	assert_int_equal(character_at(0, 0, 2), '4');
	assert_int_equal(character_at(1, 1, 2), 'k');
}

static void formats_differ_in_red_and_blue(void **state)
{
	uint32_t bgr = 0, rgb = 0;

	(void)state;
	start(80, 16, 80);
	show("M");
	for (uint32_t i = 0; i < 80 * 16; i++)
		bgr |= video[i];
	screen.format = MULL_PIXEL_RGBX;
	framebuffer_start(&screen, video);
	show("M");
	for (uint32_t i = 0; i < 80 * 16; i++)
		rgb |= video[i];
	assert_int_equal(bgr, 0xd8d8c8);
	assert_int_equal(rgb, 0xc8d8d8);
}

static void assert_refused(struct mull_framebuffer bad)
{
	uint32_t nothing = UNTOUCHED;

	assert_int_equal(framebuffer_bytes(&bad), 0);
	framebuffer_start(&bad, &nothing);
	show("nobody sees this");
	assert_int_equal(nothing, UNTOUCHED);
}

static void senseless_screens_are_refused(void **state)
{
	const struct mull_framebuffer good = {
		.address = 0x80000000,
		.width = 800,
		.height = 600,
		.pitch = 800,
		.format = MULL_PIXEL_BGRX,
	};
	struct mull_framebuffer bad;

	(void)state;
#define REFUSED(field, wrong) \
	(bad = good, bad.field = (wrong), assert_refused(bad))
	REFUSED(format, MULL_PIXEL_NONE);
	REFUSED(format, 3);
	REFUSED(address, 0);
	REFUSED(address, 0x80000002);
	REFUSED(address, UINT64_MAX - 1023);
	REFUSED(width, 0);
	REFUSED(width, 7);
	REFUSED(width, 801);
	REFUSED(width, UINT32_MAX);
	REFUSED(height, 0);
	REFUSED(height, 15);
	REFUSED(height, 32769);
	REFUSED(pitch, 0);
	REFUSED(pitch, 799);
	REFUSED(pitch, 0x40000000);
#undef REFUSED
	bad = good;
	framebuffer_start(&bad, NULL);
	show("nobody sees this");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_appears_where_it_should),
		cmocka_unit_test(long_lines_wrap),
		cmocka_unit_test(a_full_line_with_its_end_is_one_line),
		cmocka_unit_test(scrolling_keeps_the_newest_lines),
		cmocka_unit_test(one_character_replaces_another),
		cmocka_unit_test(rows_far_apart_are_drawn_at_once),
		cmocka_unit_test(unknown_characters_are_boxes),
		cmocka_unit_test(what_lies_between_lines_is_left_alone),
		cmocka_unit_test(odd_modes_do_not_write_outside),
		cmocka_unit_test(large_screens_get_large_glyphs),
		cmocka_unit_test(formats_differ_in_red_and_blue),
		cmocka_unit_test(senseless_screens_are_refused),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	free(video);
	return failed;
}
