/* SPDX-License-Identifier: MIT */
#include "json.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "texts.h"

/* ---- the grammar --------------------------------------------------------- */

/* Each step() passes over one thing, and returns NULL where it is not there.
 * Texts end with a zero, which is in none of these things. */

static const char *pass_blanks(const char *at)
{
	while (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r')
		at++;
	return at;
}

static const char *pass_escape(const char *at)
{
	if (*at != 'u')
		return *at && strchr("\"\\/bfnrt", *at) ? at + 1 : NULL;
	for (int i = 1; i <= 4; i++)
		if (!isxdigit((unsigned char)at[i]))
			return NULL;
	return at + 5;
}

static const char *pass_string(const char *at)
{
	if (*at++ != '"')
		return NULL;
	while (at && *at != '"') {
		if ((unsigned char)*at < ' ')
			return NULL;
		at = *at == '\\' ? pass_escape(at + 1) : at + 1;
	}
	return at ? at + 1 : NULL;
}

static const char *pass_digits(const char *at)
{
	if (!isdigit((unsigned char)*at))
		return NULL;
	while (isdigit((unsigned char)*at))
		at++;
	return at;
}

static const char *pass_number(const char *at)
{
	at += *at == '-';
	at = *at == '0' ? at + 1 : pass_digits(at);
	if (at && *at == '.')
		at = pass_digits(at + 1);
	if (at && (*at == 'e' || *at == 'E')) {
		at++;
		at = pass_digits(at + (*at == '+' || *at == '-'));
	}
	return at;
}

static const char *pass_word(const char *at)
{
	static const char *const words[] = { "true", "false", "null" };

	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (!strncmp(at, words[i], strlen(words[i])))
			return at + strlen(words[i]);
	return NULL;
}

static const char *pass_value(const char *at, int depth);

/* From behind the opening bracket to behind the closing one. */
static const char *pass_members(const char *at, char closing, int depth)
{
	at = pass_blanks(at);
	if (*at == closing)
		return at + 1;
	while (at) {
		at = pass_blanks(at);
		if (closing == '}') {
			at = pass_string(at);
			at = at ? pass_blanks(at) : NULL;
			if (!at || *at++ != ':')
				return NULL;
			at = pass_blanks(at);
		}
		at = pass_value(at, depth);
		at = at ? pass_blanks(at) : NULL;
		if (at && *at == closing)
			return at + 1;
		if (!at || *at++ != ',')
			return NULL;
	}
	return NULL;
}

static const char *pass_value(const char *at, int depth)
{
	switch (*at) {
	case '{':
		return depth ? pass_members(at + 1, '}', depth - 1) : NULL;
	case '[':
		return depth ? pass_members(at + 1, ']', depth - 1) : NULL;
	case '"':
		return pass_string(at);
	case 't':
	case 'f':
	case 'n':
		return pass_word(at);
	default:
		return pass_number(at);
	}
}

bool json_check(const char *text, struct json *value)
{
	const char *at = pass_blanks(text), *end = pass_value(at, JSON_DEPTH);

	if (!end || *pass_blanks(end))
		return false;
	*value = (struct json){ at, end };
	return true;
}

/* ---- values -------------------------------------------------------------- */

enum json_kind json_kind(struct json value)
{
	switch (*value.at) {
	case '{':
		return JSON_OBJECT;
	case '[':
		return JSON_LIST;
	case '"':
		return JSON_STRING;
	default:
		return JSON_OTHER;
	}
}

bool json_is_empty(struct json value)
{
	return (json_kind(value) == JSON_OBJECT ||
		json_kind(value) == JSON_LIST) &&
	       pass_blanks(value.at + 1) + 1 == value.end;
}

/* What is left begins with a bracket or a comma, and ends with a bracket. */
bool json_next(struct json *rest, struct json *name, struct json *value)
{
	bool object = rest->end[-1] == '}';
	const char *at = pass_blanks(rest->at + 1);

	if (rest->at + 1 == rest->end || at + 1 == rest->end)
		return false;
	name->at = name->end = at;
	if (object) {
		name->end = pass_string(at);
		at = pass_blanks(pass_blanks(name->end) + 1);
	}
	value->at = at;
	value->end = pass_value(at, JSON_DEPTH);
	rest->at = pass_blanks(value->end);
	return true;
}

bool json_member(struct json object, const char *name, struct json *value)
{
	size_t length = strlen(name);
	struct json found;

	if (json_kind(object) != JSON_OBJECT)
		return false;
	while (json_next(&object, &found, value))
		if ((size_t)(found.end - found.at) == length + 2 &&
		    !memcmp(found.at + 1, name, length))
			return true;
	return false;
}

/* ---- printing ------------------------------------------------------------ */

#define NO_CHARACTER 0xfffd

/* The character of UTF-8 at *@at, which is moved behind it. */
static uint32_t take_character(const char **at, const char *end)
{
	static const uint32_t least[] = { 0, 0x80, 0x800, 0x10000 };
	unsigned char first = (unsigned char)*(*at)++;
	int more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
	uint32_t character = first & (0x3fu >> more);

	if (first < 0xc0 || first > 0xf7)
		return NO_CHARACTER;
	for (int i = 0; i < more; i++) {
		if (*at == end || ((unsigned char)**at & 0xc0) != 0x80)
			return NO_CHARACTER;
		character = character << 6 | ((unsigned char)*(*at)++ & 0x3f);
	}
	if (character < least[more] || character > 0x10ffff ||
	    (character >= 0xd800 && character < 0xe000))
		return NO_CHARACTER;
	return character;
}

/* Only strings have such. */
static void print_character(uint32_t character, FILE *to)
{
	if (character < 0x10000) {
		fprintf(to, "\\u%04x", character);
		return;
	}
	character -= 0x10000;
	fprintf(to, "\\u%04x\\u%04x", 0xd800 + (character >> 10),
		0xdc00 + (character & 0x3ff));
}

/* @quoted: it begins within a string. */
static void print(struct json value, bool quoted, FILE *to)
{
	while (value.at < value.end) {
		unsigned char byte = (unsigned char)*value.at;

		if (byte > '~') {
			print_character(
				byte == 0x7f ?
					(value.at++, 0x7fu) :
					take_character(&value.at, value.end),
				to);
			continue;
		}
		if (quoted && byte == '\\') {
			putc(byte, to);
			putc(value.at[1], to);
			value.at += 2;
			continue;
		}
		if (byte == '"')
			quoted = !quoted;
		if (quoted || byte > ' ')
			putc(byte, to);
		value.at++;
	}
}

static char *text_of(struct json value, bool quoted)
{
	char *text = NULL;
	size_t size;
	FILE *to = open_memstream(&text, &size);

	if (to)
		print(value, quoted, to);
	if (!to || fclose(to))
		memory_is_out();
	return text;
}

char *json_line(struct json value)
{
	return text_of(value, false);
}

char *json_words(struct json value)
{
	bool quoted = json_kind(value) == JSON_STRING;

	if (quoted) {
		value.at++;
		value.end--;
	}
	return text_of(value, quoted);
}
