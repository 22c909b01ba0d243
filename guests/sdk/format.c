/* SPDX-License-Identifier: MIT */
/* The subset of printf that guests need. */
#include "sdk.h"

struct output {
	char *to;
	size_t size, used;
};

static void put(struct output *out, char c)
{
	if (out->used + 1 < out->size)
		out->to[out->used++] = c;
}

static void put_text(struct output *out, const char *text, unsigned int width)
{
	size_t length = strlen(text);

	for (; width > length; width--)
		put(out, ' ');
	while (*text)
		put(out, *text++);
}

static void put_number(struct output *out, uint64_t number, unsigned int base,
		       bool negative, unsigned int width, char pad)
{
	char digits[24];
	unsigned int count = 0;

	do {
		digits[count++] = "0123456789abcdef"[number % base];
		number /= base;
	} while (number);
	if (negative && pad == ' ')
		digits[count++] = '-';
	else if (negative)
		put(out, '-');
	for (; width > count; width--)
		put(out, pad);
	while (count)
		put(out, digits[--count]);
}

static void put_integer(struct output *out, char kind, bool is_long,
			unsigned int width, char pad, va_list *values)
{
	int64_t number;

	if (kind == 'd') {
		number = is_long ? va_arg(*values, long) : va_arg(*values, int);
		put_number(out,
			   number < 0 ? -(uint64_t)number : (uint64_t)number,
			   10, number < 0, width, pad);
		return;
	}
	number = is_long ? va_arg(*values, long) :
			   (long)va_arg(*values, unsigned int);
	put_number(out, (uint64_t)number, kind == 'x' ? 16 : 10, false, width,
		   pad);
}

/* One conversion, from behind its '%'; returns what is behind it. */
static const char *put_conversion(struct output *out, const char *format,
				  va_list *values)
{
	char pad = *format == '0' ? '0' : ' ';
	unsigned int width = 0;
	bool is_long = false;

	while (*format >= '0' && *format <= '9')
		width = width * 10 + (unsigned int)(*format++ - '0');
	while (*format == 'l') {
		is_long = true;
		format++;
	}
	switch (*format) {
	case 's':
		put_text(out, va_arg(*values, const char *), width);
		break;
	case 'c':
		put(out, (char)va_arg(*values, int));
		break;
	case 'd':
	case 'u':
	case 'x':
		put_integer(out, *format, is_long, width, pad, values);
		break;
	case 0:
		return format;
	default:
		put(out, *format);
	}
	return format + 1;
}

size_t format_text(char *to, size_t size, const char *format, va_list values)
{
	struct output out = { .to = to, .size = size };
	va_list copy;

	va_copy(copy, values);
	while (*format) {
		if (*format == '%')
			format = put_conversion(&out, format + 1, &copy);
		else
			put(&out, *format++);
	}
	va_end(copy);
	to[out.used] = 0;
	return out.used;
}
