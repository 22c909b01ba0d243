/* SPDX-License-Identifier: MIT */
#include "text.h"

#include <stdbool.h>
#include <stdint.h>

#define DIGITS_MAX 20 /* of 64 bits in decimal */

struct output {
	char *to;
	size_t room; /* bytes left, without the final zero */
};

static void put(struct output *output, char character)
{
	if (!output->room)
		return;
	*output->to++ = character;
	output->room--;
}

static void put_string(struct output *output, const char *string)
{
	while (*string)
		put(output, *string++);
}

static void put_number(struct output *output, uint64_t value, uint32_t base,
		       uint32_t width)
{
	char digits[DIGITS_MAX];
	uint32_t count = 0;

	do {
		digits[count++] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	while (width-- > count)
		put(output, '0');
	while (count)
		put(output, digits[--count]);
}

void text_format_list(char *to, size_t room, const char *format, va_list values)
{
	struct output output = { .to = to, .room = room - 1 };

	for (; *format; format++) {
		uint32_t width = 0;
		bool is_long;

		if (*format != '%') {
			put(&output, *format);
			continue;
		}
		for (format++; *format >= '0' && *format <= '9'; format++)
			width = width * 10 + (*format - '0');
		is_long = *format == 'l';
		if (is_long)
			format++;
		if (*format == 's') {
			put_string(&output, va_arg(values, const char *));
		} else if (*format == 'u' || *format == 'x') {
			uint64_t value = is_long ? va_arg(values, uint64_t) :
						   va_arg(values, uint32_t);

			put_number(&output, value, *format == 'u' ? 10 : 16,
				   width);
		} else {
			put(&output, *format);
		}
	}
	*output.to = '\0';
}

void text_format(char *to, size_t room, const char *format, ...)
{
	va_list values;

	va_start(values, format);
	text_format_list(to, room, format, values);
	va_end(values);
}
