/* SPDX-License-Identifier: MIT */
/*
 * Bounded text formatting, the part of printf that the hypervisor uses:
 * %d %i %u %x %X %c %s %p %%, flags '-' '0' '#', a width, a precision for
 * strings, and the length words hh h l ll z.  What is not known is copied as
 * it stands, so that the mistake shows and nothing is read that is not there.
 */
#include <mullion/log.h>
#include <stdbool.h>
#include <string.h>

struct output {
	char *to;
	size_t room; /* without the final zero */
	size_t length;
};

/* One "%..." taken apart. */
struct directive {
	bool left, zeros, prefix;
	size_t width;
	size_t precision;  /* of a string; NO_PRECISION: all of it */
	unsigned int size; /* bytes of the number */
	char conversion;
};

#define NO_PRECISION ((size_t)-1)
#define WIDTH_MAX 255 /* bounds the work, whatever an argument says */

static void put(struct output *out, char byte, size_t count)
{
	for (; count && out->length < out->room; count--)
		out->to[out->length++] = byte;
}

static void put_text(struct output *out, const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		put(out, text[i], 1);
}

/* @text in its field; zeros go between @sign and it. */
static void put_field(struct output *out, const struct directive *how,
		      const char *sign, const char *text, size_t length)
{
	size_t used = strlen(sign) + length;
	size_t fill = how->width > used ? how->width - used : 0;
	bool zeros = how->zeros && !how->left;

	if (!how->left && !zeros)
		put(out, ' ', fill);
	put_text(out, sign, strlen(sign));
	if (zeros)
		put(out, '0', fill);
	put_text(out, text, length);
	if (how->left)
		put(out, ' ', fill);
}

static void put_number(struct output *out, const struct directive *how,
		       const char *sign, uint64_t number, unsigned int base)
{
	const char *digits = how->conversion == 'X' ? "0123456789ABCDEF" :
						      "0123456789abcdef";
	char text[20]; /* digits of 2^64 */
	size_t at = sizeof text;

	do
		text[--at] = digits[number % base];
	while (number /= base);
	put_field(out, how, sign, text + at, sizeof text - at);
}

static uint64_t take_unsigned(va_list *arguments, unsigned int size)
{
	if (size == 8)
		return va_arg(*arguments, uint64_t);
	return va_arg(*arguments, uint32_t) & (~0ull >> (64 - 8 * size));
}

static int64_t take_signed(va_list *arguments, unsigned int size)
{
	switch (size) {
	case 8:
		return va_arg(*arguments, int64_t);
	case 2:
		return (int16_t)va_arg(*arguments, int);
	case 1:
		return (int8_t)va_arg(*arguments, int);
	default:
		return va_arg(*arguments, int);
	}
}

static void put_signed(struct output *out, const struct directive *how,
		       int64_t number)
{
	if (number < 0)
		put_number(out, how, "-", 0 - (uint64_t)number, 10);
	else
		put_number(out, how, "", (uint64_t)number, 10);
}

static void put_string(struct output *out, struct directive *how,
		       const char *text)
{
	size_t length = 0;

	if (!text)
		text = "(null)";
	while (length < how->precision && text[length])
		length++;
	how->zeros = false;
	put_field(out, how, "", text, length);
}

/* A width or precision: digits, or an argument. */
static const char *take_count(const char *at, size_t *count, va_list *arguments)
{
	*count = 0;
	if (*at == '*') {
		int number = va_arg(*arguments, int);

		*count = number > 0 ? (size_t)number : 0;
		return at + 1;
	}
	for (; *at >= '0' && *at <= '9'; at++)
		if (*count <= WIDTH_MAX)
			*count = *count * 10 + (size_t)(*at - '0');
	return at;
}

static const char *take_size(const char *at, unsigned int *size)
{
	*size = 4;
	if (*at == 'l' || *at == 'z') {
		*size = 8;
		return at + 1 + (at[0] == 'l' && at[1] == 'l');
	}
	if (*at == 'h') {
		*size = at[1] == 'h' ? 1 : 2;
		return at + 1 + (at[1] == 'h');
	}
	return at;
}

/* From behind the '%' to behind the conversion. */
static const char *take_directive(const char *at, struct directive *how,
				  va_list *arguments)
{
	*how = (struct directive){ .precision = NO_PRECISION };
	for (;; at++) {
		if (*at == '-')
			how->left = true;
		else if (*at == '0')
			how->zeros = true;
		else if (*at == '#')
			how->prefix = true;
		else
			break;
	}
	at = take_count(at, &how->width, arguments);
	if (how->width > WIDTH_MAX)
		how->width = WIDTH_MAX;
	if (*at == '.')
		at = take_count(at + 1, &how->precision, arguments);
	at = take_size(at, &how->size);
	how->conversion = *at;
	return at + (*at != '\0');
}

/* Whether the conversion is known. */
static bool convert(struct output *out, struct directive *how,
		    va_list *arguments)
{
	uint64_t number;
	char byte;

	switch (how->conversion) {
	case 'd':
	case 'i':
		put_signed(out, how, take_signed(arguments, how->size));
		return true;
	case 'u':
		put_number(out, how, "", take_unsigned(arguments, how->size),
			   10);
		return true;
	case 'x':
	case 'X':
		number = take_unsigned(arguments, how->size);
		put_number(out, how,
			   !how->prefix || !number ? "" :
			   how->conversion == 'X'  ? "0X" :
						     "0x",
			   number, 16);
		return true;
	case 'p':
		put_number(out, how, "0x", take_unsigned(arguments, 8), 16);
		return true;
	case 's':
		put_string(out, how, va_arg(*arguments, const char *));
		return true;
	case 'c':
		byte = (char)va_arg(*arguments, int);
		how->zeros = false;
		put_field(out, how, "", &byte, 1);
		return true;
	case '%':
		put(out, '%', 1);
		return true;
	}
	return false;
}

size_t format_text_list(char *to, size_t room, const char *format,
			va_list arguments)
{
	struct output out = { .to = to, .room = room ? room - 1 : 0 };
	va_list list;

	va_copy(list, arguments);
	while (*format) {
		struct directive how;
		const char *start = format++;

		if (*start != '%') {
			put(&out, *start, 1);
			continue;
		}
		format = take_directive(format, &how, &list);
		if (!convert(&out, &how, &list))
			put_text(&out, start, (size_t)(format - start));
	}
	va_end(list);
	if (room)
		to[out.length] = '\0';
	return out.length;
}

size_t format_text(char *to, size_t room, const char *format, ...)
{
	va_list arguments;
	size_t length;

	va_start(arguments, format);
	length = format_text_list(to, room, format, arguments);
	va_end(arguments);
	return length;
}
