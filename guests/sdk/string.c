/* SPDX-License-Identifier: MIT */
/* The C library's memory and string functions that guests and gcc use. */
#include "sdk.h"

void *memcpy(void *to, const void *from, size_t length)
{
	void *start = to;

	asm volatile("rep movsb"
		     : "+D"(to), "+S"(from), "+c"(length)::"memory");
	return start;
}

void *memmove(void *to, const void *from, size_t length)
{
	char *target = to;
	const char *source = from;

	if (target <= source)
		return memcpy(to, from, length);
	while (length--)
		target[length] = source[length];
	return to;
}

void *memset(void *to, int value, size_t length)
{
	void *start = to;

	asm volatile("rep stosb"
		     : "+D"(to), "+c"(length)
		     : "a"(value)
		     : "memory");
	return start;
}

int memcmp(const void *a, const void *b, size_t length)
{
	const unsigned char *x = a;
	const unsigned char *y = b;

	for (size_t i = 0; i < length; i++) {
		if (x[i] != y[i])
			return x[i] - y[i];
	}
	return 0;
}

size_t strlen(const char *text)
{
	size_t length = 0;

	while (text[length])
		length++;
	return length;
}

int strcmp(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return (unsigned char)*a - (unsigned char)*b;
}
