/* SPDX-License-Identifier: MIT */
#include <mullion/bits.h>
#include <mullion/framebuffer.h>
#include <stdbool.h>
#include <string.h>

#include "font.h"

#define GLYPH_WIDTH 8
#define GLYPH_HEIGHT 16
#define GLYPH_FIRST 0x20 /* font_8x16[0] */
#define GLYPH_UNKNOWN 0x7f
#define TAB_WIDTH 8

#define COLUMNS_MAX 240
#define ROWS_MAX 67
/* No screen is larger; keeps every product below in 64 bits and sane. */
#define PIXELS_MAX 32768
/* A screen of more columns or rows than fit gets larger glyphs. */
#define WIDTH_AT_SCALE_1 (COLUMNS_MAX * GLYPH_WIDTH)
#define HEIGHT_AT_SCALE_1 ((ROWS_MAX + 1) * GLYPH_HEIGHT)

/* Scrolling redraws the screen, so each time it makes room for some lines. */
#define SCROLL_SHARE 4

#define RED 0xd8
#define GREEN 0xd8
#define BLUE 0xc8

static struct {
	uint32_t *pixels; /* NULL: no usable framebuffer */
	uint32_t pitch;	  /* pixels */
	uint32_t scale;	  /* screen pixels to one of the font */
	uint32_t columns, rows;
	uint32_t column, row; /* where the next character goes */
	uint32_t ink;
	uint32_t pairs[4][2]; /* two pixels, by the two bits of a glyph */
	uint32_t from, end;   /* rows that may be wanted otherwise */
	/*
	 * Video memory is slow to read, so the text is kept here: as it
	 * should be, and as it was drawn.
	 */
	uint8_t wanted[ROWS_MAX][COLUMNS_MAX];
	uint8_t drawn[ROWS_MAX][COLUMNS_MAX];
} console;

static_assert(sizeof console < 32 * 1024, "part of the memory budget");

static uint32_t smaller(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

uint64_t framebuffer_bytes(const struct mull_framebuffer *screen)
{
	if (screen->format != MULL_PIXEL_RGBX &&
	    screen->format != MULL_PIXEL_BGRX)
		return 0;
	if (!screen->address || screen->address % sizeof(uint32_t))
		return 0;
	if (screen->width < GLYPH_WIDTH || screen->height < GLYPH_HEIGHT)
		return 0;
	if (screen->pitch > PIXELS_MAX || screen->width > screen->pitch ||
	    screen->height > PIXELS_MAX)
		return 0;

	uint64_t bytes = (uint64_t)screen->pitch * screen->height *
			 sizeof(uint32_t);

	return bytes > UINT64_MAX - screen->address ? 0 : bytes;
}

static uint32_t scale_for(const struct mull_framebuffer *screen)
{
	uint32_t wide = (screen->width - 1) / WIDTH_AT_SCALE_1;
	uint32_t high = (screen->height - 1) / HEIGHT_AT_SCALE_1;
	uint32_t scale = 1 + (wide > high ? wide : high);
	uint32_t room = smaller(screen->width / GLYPH_WIDTH,
				screen->height / GLYPH_HEIGHT);

	return smaller(scale, room); /* at least one character fits */
}

void framebuffer_start(const struct mull_framebuffer *screen, void *mapped)
{
	console.pixels = NULL;
	if (!mapped || !framebuffer_bytes(screen))
		return;

	console.pitch = screen->pitch;
	console.scale = scale_for(screen);
	console.columns = smaller(screen->width / GLYPH_WIDTH / console.scale,
				  COLUMNS_MAX);
	console.rows = smaller(screen->height / GLYPH_HEIGHT / console.scale,
			       ROWS_MAX);
	console.column = 0;
	console.row = 0;
	console.from = console.end = 0;
	console.ink = screen->format == MULL_PIXEL_RGBX ?
			      RED | GREEN << 8 | BLUE << 16 :
			      BLUE | GREEN << 8 | RED << 16;
	for (uint32_t bits = 0; bits < ARRAY_COUNT(console.pairs); bits++) {
		console.pairs[bits][0] = bits & 2 ? console.ink : 0;
		console.pairs[bits][1] = bits & 1 ? console.ink : 0;
	}
	memset(console.wanted, ' ', sizeof console.wanted);
	memset(console.drawn, ' ', sizeof console.drawn);
	console.pixels = mapped;
	for (uint32_t y = 0; y < screen->height; y++)
		memset(console.pixels + (uint64_t)y * console.pitch, 0,
		       screen->width * sizeof(uint32_t));
}

/* Glyphs of the font's own size are most of all that is drawn. */
static void draw_pixels(uint32_t *to, uint8_t bits)
{
	const uint32_t *end = to + GLYPH_WIDTH;

	if (console.scale == 1) {
		for (; to < end; to += 2, bits <<= 2) {
			to[0] = console.pairs[bits >> 6][0];
			to[1] = console.pairs[bits >> 6][1];
		}
		return;
	}
	for (uint32_t x = 0; x < GLYPH_WIDTH; x++)
		for (uint32_t i = 0; i < console.scale; i++)
			*to++ = bits & 0x80 >> x ? console.ink : 0;
}

/* One line of a glyph: console.scale lines of the screen from @to on. */
static void draw_glyph_line(uint32_t *to, uint8_t bits)
{
	for (uint32_t below = 0; below < console.scale; below++) {
		draw_pixels(to, bits);
		to += console.pitch;
	}
}

/* Lines that look the same in the character before are left alone: writes to
 * video memory cost most. */
static void draw_cell(uint32_t row, uint32_t column)
{
	const uint8_t *glyph =
		font_8x16[console.wanted[row][column] - GLYPH_FIRST];
	const uint8_t *before =
		font_8x16[console.drawn[row][column] - GLYPH_FIRST];
	uint32_t *to = console.pixels +
		       (uint64_t)row * GLYPH_HEIGHT * console.scale *
			       console.pitch +
		       column * GLYPH_WIDTH * console.scale;

	for (uint32_t line = 0; line < GLYPH_HEIGHT; line++) {
		if (glyph[line] != before[line])
			draw_glyph_line(to, glyph[line]);
		to += (uint64_t)console.scale * console.pitch;
	}
	console.drawn[row][column] = console.wanted[row][column];
}

static void draw_changes(void)
{
	for (uint32_t row = console.from; row < console.end; row++)
		for (uint32_t column = 0; column < console.columns; column++)
			if (console.drawn[row][column] !=
			    console.wanted[row][column])
				draw_cell(row, column);
	console.from = console.end = 0;
}

/* Rows @from up to before @end are looked at when it is drawn. */
static void note_change(uint32_t from, uint32_t end)
{
	if (console.from == console.end || from < console.from)
		console.from = from;
	if (end > console.end)
		console.end = end;
}

static void scroll(void)
{
	uint32_t lines = (console.rows + SCROLL_SHARE - 1) / SCROLL_SHARE;
	uint32_t kept = console.rows - lines;

	memmove(console.wanted[0], console.wanted[lines],
		kept * sizeof console.wanted[0]);
	memset(console.wanted[kept], ' ', lines * sizeof console.wanted[0]);
	console.row = kept;
	note_change(0, console.rows);
}

static void new_line(void)
{
	console.column = 0;
	console.row++;
}

static void put(uint8_t character)
{
	/* Late, so that a full last line stays until more text comes. */
	if (console.column == console.columns)
		new_line();
	if (console.row == console.rows)
		scroll();
	note_change(console.row, console.row + 1);
	console.wanted[console.row][console.column++] = character;
}

static void put_tab(void)
{
	do
		put(' ');
	while (console.column % TAB_WIDTH && console.column < console.columns);
}

void framebuffer_write(const char *text, size_t length)
{
	if (!console.pixels)
		return;

	for (size_t i = 0; i < length; i++) {
		uint8_t character = text[i];

		if (character == '\n') {
			if (console.row == console.rows)
				scroll();
			new_line();
		} else if (character == '\r') {
			console.column = 0;
		} else if (character == '\t') {
			put_tab();
		} else if (character < GLYPH_FIRST ||
			   character > GLYPH_UNKNOWN) {
			put(GLYPH_UNKNOWN);
		} else {
			put(character);
		}
	}
	draw_changes();
}
