/* SPDX-License-Identifier: MIT */
#include "texts.h"

#include <ctype.h>
#include <errno.h>
#include <mullion/bits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "status.h"

void memory_is_out(void)
{
	fputs("mullctl: out of memory\n", stderr);
	exit(STATUS_HOST);
}

void *memory_get(void *old, size_t size)
{
	void *memory = realloc(old, size ? size : 1);

	if (!memory)
		memory_is_out();
	return memory;
}

char *texts_format(const char *format, ...)
{
	va_list arguments;
	char *text;
	int length;

	va_start(arguments, format);
	length = vasprintf(&text, format, arguments);
	va_end(arguments);
	if (length < 0)
		memory_is_out();
	return text;
}

void tell(const char *format, ...)
{
	va_list arguments;

	fputs("mullctl: ", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
}

/* The number at the start of @text; NULL when there is none or it is too
 * large, else what follows. */
static const char *number_at(const char *text, uint64_t *number)
{
	bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
	const char *start = text + (hex ? 2 : 0);
	char *end;

	/* strtoull would take spaces and a sign */
	if (!strchr(hex ? "0123456789abcdefABCDEF" : "0123456789", *start) ||
	    !*start)
		return NULL;
	errno = 0;
	*number = strtoull(start, &end, hex ? 16 : 10);
	return errno ? NULL : end;
}

bool texts_to_number(const char *text, uint64_t *number)
{
	const char *end = number_at(text, number);

	return end && !*end;
}

bool texts_to_size(const char *text, uint64_t *size)
{
	static const char *const units[] = { "B", "K", "M", "G", "T" };
	const char *unit = number_at(text, size);

	if (!unit)
		return false;
	unit += strspn(unit, " ");
	if (!*unit)
		return true;
	for (size_t i = 0; i < ARRAY_COUNT(units); i++) {
		const char *rest = unit + 1;

		if (strncasecmp(unit, units[i], 1) != 0)
			continue;
		if (*rest && (i == 0 || strcasecmp(rest, "iB") != 0))
			return false;
		if (*size > UINT64_MAX >> 10 * i)
			return false;
		*size <<= 10 * i;
		return true;
	}
	return false;
}

bool texts_to_mac(const char *text, uint8_t mac[6])
{
	static const uint8_t none[6];

	for (int i = 0; i < 6; i++) {
		char *end;

		if (!isxdigit((unsigned char)text[0]) ||
		    !isxdigit((unsigned char)text[1]))
			return false;
		mac[i] = (uint8_t)strtoul(text, &end, 16);
		if (end != text + 2 || *end != (i < 5 ? ':' : 0))
			return false;
		text += 3;
	}
	return memcmp(mac, none, sizeof none) != 0;
}

bool texts_to_rate(const char *text, uint32_t *kbits)
{
	static const struct {
		const char *name;
		uint64_t kbits;
	} units[] = { { "kbit", 1 }, { "Mbit", 1000 }, { "Gbit", 1000000 } };
	char *end;
	uint64_t number = strtoull(text, &end, 10);

	if (!isdigit((unsigned char)*text) || number > UINT32_MAX)
		return false;
	for (size_t i = 0; i < ARRAY_COUNT(units); i++) {
		if (strcasecmp(end, units[i].name) != 0)
			continue;
		number *= units[i].kbits;
		*kbits = (uint32_t)number;
		return number && number <= UINT32_MAX;
	}
	return false;
}

char *texts_of_size(uint64_t size)
{
	static const char *const units[] = { "KiB", "MiB", "GiB", "TiB" };
	size_t unit = 0;
	uint64_t tenths;

	if (size < 1024)
		return texts_format("%lu bytes", size);
	while (unit + 1 < ARRAY_COUNT(units) && size >> 10 * (unit + 2))
		unit++;
	tenths = ((size >> 10 * unit) * 10 + 1023) / 1024;
	if (tenths % 10 == 0)
		return texts_format("%lu %s", tenths / 10, units[unit]);
	return texts_format("%lu.%lu %s", tenths / 10, tenths % 10,
			    units[unit]);
}

char texts_printable(char byte)
{
	return byte >= ' ' && byte <= '~' ? byte : '?';
}

size_t texts_distance(const char *a, const char *b)
{
	size_t row[33]; /* distances of a prefix of @a to each one of @b */
	size_t width = strlen(b);

	if (width >= ARRAY_COUNT(row))
		return SIZE_MAX;
	for (size_t j = 0; j <= width; j++)
		row[j] = j;
	for (size_t i = 1; a[i - 1]; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= width; j++) {
			size_t best = diagonal + (a[i - 1] != b[j - 1]);

			diagonal = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[width];
}
