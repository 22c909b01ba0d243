/* SPDX-License-Identifier: MIT */
#ifndef BOOT_TEXT_H
#define BOOT_TEXT_H

#include <stdarg.h>
#include <stddef.h>

/*
 * text_format, text_format_list - a small snprintf
 * @room: bytes at @to, at least 1; longer text is cut off
 *
 * Knows %s, %u, %x, %lu, %lx and %%, and for numbers a width such as %02u,
 * filled with zeros.
 */
__attribute__((format(printf, 3, 4))) void text_format(char *to, size_t room,
						       const char *format, ...);
__attribute__((format(printf, 3, 0))) void
text_format_list(char *to, size_t room, const char *format, va_list values);

#endif
