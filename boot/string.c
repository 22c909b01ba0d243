/* SPDX-License-Identifier: MIT */
/* What the compiler expects of every environment; ours has no library. */
#include <stdint.h>
#include <string.h>

void *memcpy(void *to, const void *from, size_t length)
{
	void *at = to;

	__asm__ volatile("rep movsb"
			 : "+D"(at), "+S"(from), "+c"(length)
			 :
			 : "memory");
	return to;
}

void *memmove(void *to, const void *from, size_t length)
{
	uint8_t *last_to = (uint8_t *)to + length - 1;
	const uint8_t *last_from = (const uint8_t *)from + length - 1;

	if ((uintptr_t)to - (uintptr_t)from >= length)
		return memcpy(to, from, length);
	__asm__ volatile("std; rep movsb; cld"
			 : "+D"(last_to), "+S"(last_from), "+c"(length)
			 :
			 : "memory");
	return to;
}

void *memset(void *to, int value, size_t length)
{
	void *at = to;

	__asm__ volatile("rep stosb"
			 : "+D"(at), "+c"(length)
			 : "a"(value)
			 : "memory");
	return to;
}

int memcmp(const void *left, const void *right, size_t length)
{
	const uint8_t *a = left, *b = right;

	for (size_t i = 0; i < length; i++)
		if (a[i] != b[i])
			return a[i] < b[i] ? -1 : 1;
	return 0;
}
