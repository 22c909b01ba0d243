/* SPDX-License-Identifier: MIT */
#include "words.h"

#include <mullion/bits.h>
#include <string.h>

void words_text(struct words *words, const char *text)
{
	size_t length = strlen(text);
	size_t room = sizeof words->text - 1 - words->length;

	if (length > room)
		length = room;
	memcpy(words->text + words->length, text, length);
	words->length += length;
	words->text[words->length] = 0;
}

void words_number(struct words *words, uint64_t number)
{
	char digits[21] = "";
	size_t at = sizeof digits - 1;

	do {
		digits[--at] = (char)('0' + number % 10);
		number /= 10;
	} while (number);
	words_text(words, digits + at);
}

void words_size(struct words *words, uint64_t bytes)
{
	static const char *const units[] = { " bytes", " KiB", " MiB", " GiB" };
	size_t unit = 0;

	while (bytes && bytes % 1024 == 0 && unit + 1 < ARRAY_COUNT(units)) {
		bytes /= 1024;
		unit++;
	}
	words_number(words, bytes);
	words_text(words, units[unit]);
}
