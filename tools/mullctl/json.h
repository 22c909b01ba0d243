/* SPDX-License-Identifier: MIT */
/*
 * Reading JSON (RFC 8259) that others have made: a value is a piece of a text
 * that json_check() has let pass.  Nothing is allocated, and no depth exceeds
 * JSON_DEPTH.
 */
#ifndef MULLCTL_JSON_H
#define MULLCTL_JSON_H

#include <stdbool.h>
#include <stddef.h>

#define JSON_DEPTH 32

struct json {
	const char *at, *end; /* without blanks round it */
};

enum json_kind { JSON_OBJECT, JSON_LIST, JSON_STRING, JSON_OTHER };

/* Whether @text is one value and nothing else; then it is @value. */
bool json_check(const char *text, struct json *value);
enum json_kind json_kind(struct json value);
/* An object or a list, with nothing in it. */
bool json_is_empty(struct json value);

/*
 * json_next - the next member of an object, or element of a list
 * @rest: the object or list at first; then what json_next() left of it
 * @name: the member's name with its quotes; of a list's element: empty
 */
bool json_next(struct json *rest, struct json *name, struct json *value);
/* The first member of @object with that name, which needs no escapes. */
bool json_member(struct json object, const char *name, struct json *value);

/* In one line of ASCII: what is not goes as \u and four digits. */
char *json_line(struct json value);
/* The same, of a string without its quotes. */
char *json_words(struct json value);

#endif
