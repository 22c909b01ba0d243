/* SPDX-License-Identifier: MIT */
/* Small things about words and sizes. */
#ifndef MULLCTL_TEXTS_H
#define MULLCTL_TEXTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* As printf into memory of its own; ends mullctl when there is none. */
char *texts_format(const char *format, ...)
	__attribute__((format(printf, 1, 2)));

/* "512MiB", "64 KiB", "1G", "4096": false when @text is none of these. */
bool texts_to_size(const char *text, uint64_t *size);
/* Decimal, or hexadecimal after 0x; nothing before or behind it. */
bool texts_to_number(const char *text, uint64_t *number);
/* "02:00:00:00:00:01", and not all zeros. */
bool texts_to_mac(const char *text, uint8_t mac[6]);
/* "10Mbit", a second; in kbit. */
bool texts_to_rate(const char *text, uint32_t *kbits);
/* "512 MiB", for people; rounded up to a tenth of a unit. */
char *texts_of_size(uint64_t size);

/* What may go to a terminal: '?' for all that is not printable ASCII. */
char texts_printable(char byte);

/* How many letters must change to make @a of @b (at most a few are told
 * apart): for "did you mean". */
size_t texts_distance(const char *a, const char *b);

/* A line on standard error with "mullctl: " before it. */
void tell(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* malloc and realloc that end mullctl instead of failing. */
_Noreturn void memory_is_out(void);
void *memory_get(void *old, size_t size);

#endif
