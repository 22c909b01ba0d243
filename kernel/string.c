/* SPDX-License-Identifier: MIT */
/*
 * The string functions of the C library that the hypervisor uses; memcpy,
 * memmove and memset are the processor's matter (arch/x86/string.S).
 */
#include <stddef.h>
#include <string.h>

/* Or the compiler makes a call of strlen() from the loop inside strlen(). */
#define PLAIN_LOOP __attribute__((optimize("no-tree-loop-distribute-patterns")))

PLAIN_LOOP int memcmp(const void *left, const void *right, size_t length)
{
	const unsigned char *a = left, *b = right;

	for (size_t i = 0; i < length; i++)
		if (a[i] != b[i])
			return a[i] - b[i];
	return 0;
}

PLAIN_LOOP void *memchr(const void *bytes, int value, size_t length)
{
	const unsigned char *at = bytes;

	for (size_t i = 0; i < length; i++)
		if (at[i] == (unsigned char)value)
			return (void *)(at + i);
	return NULL;
}

PLAIN_LOOP size_t strlen(const char *text)
{
	size_t length = 0;

	while (text[length])
		length++;
	return length;
}
