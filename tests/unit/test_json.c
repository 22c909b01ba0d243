/* SPDX-License-Identifier: MIT */
/* JSON that a guest has made: what is none is refused, and what is shown of it
 * is harmless. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <json.h>
#include <mullion/bits.h>
#include <stdlib.h>
#include <string.h>

static struct json value_of(const char *text)
{
	struct json value;

	assert_true(json_check(text, &value));
	return value;
}

static void assert_printed(const char *text, const char *expected)
{
	char *printed = json_line(value_of(text));

	assert_string_equal(printed, expected);
	free(printed);
}

static void assert_words(struct json value, const char *expected)
{
	char *words = json_words(value);

	assert_string_equal(words, expected);
	free(words);
}

static void what_is_json_is_taken(void **state)
{
	static const char *const texts[] = {
		"{}",
		"[]",
		" {\"a\" : [1, -2.5e+3, 0, 1E5], \"b\":{}}\r\n",
		"\"\\u00e4\\\"\\\\\\/\\n\"",
		"true",
		"false",
		"null",
		"-0.5",
		"[[[[]]]]",
	};
	struct json value;

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(texts); i++)
		assert_true(json_check(texts[i], &value));
}

static void what_is_none_is_refused(void **state)
{
	static const char *const texts[] = {
		"",	   "{",		  "}",	     "{]",	 "[1,]",
		"[1 2]",   "{1:2}",	  "{\"a\"}", "{\"a\":}", "{\"a\":1,}",
		"01",	   "1.",	  ".5",	     "-",	 "+1",
		"1e",	   "tru",	  "nulls",   "\"",	 "\"\\",
		"\"\\x\"", "\"\\u12g4\"", "\"\n\"",  "{}{}",	 "[1]x",
		"'a'",	   "[,1]",	  "\"\\u12",
	};
	struct json value;

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(texts); i++)
		if (json_check(texts[i], &value))
			fail_msg("taken: %s", texts[i]);
}

static void depth_is_bounded(void **state)
{
	char text[200] = "";
	struct json value;

	(void)state;
	memset(text, '[', JSON_DEPTH);
	memset(text + JSON_DEPTH, ']', JSON_DEPTH);
	assert_true(json_check(text, &value));
	memset(text, '[', JSON_DEPTH + 1);
	memset(text + JSON_DEPTH + 1, ']', JSON_DEPTH + 1);
	assert_false(json_check(text, &value));
}

static void members_are_found(void **state)
{
	struct json value = value_of(
		" { \"return\" : [ 1 , {\"x\":\"y z\"} ] , \"error\":null }");
	struct json list, name, member;

	(void)state;
	assert_true(json_member(value, "return", &list));
	assert_int_equal(json_kind(list), JSON_LIST);
	assert_true(json_member(value, "error", &member));
	assert_words(member, "null");
	assert_false(json_member(value, "retur", &member));
	assert_false(json_member(list, "x", &member));
	assert_true(json_next(&list, &name, &member));
	assert_words(member, "1");
	assert_true(json_next(&list, &name, &member));
	assert_true(json_member(member, "x", &name));
	assert_words(name, "y z");
	assert_false(json_next(&list, &name, &member));
	assert_false(json_next(&list, &name, &member));
	assert_true(json_is_empty(value_of("[ ]")));
	assert_true(json_is_empty(value_of("{}")));
	assert_false(json_is_empty(value_of("[0]")));
	assert_false(json_is_empty(value_of("\"\"")));
}

static void only_ascii_is_printed_and_no_control_character(void **state)
{
	(void)state;
	assert_printed(" {\"a b\" : [ 1 ,2 ] } ", "{\"a b\":[1,2]}");
	assert_printed("\"a \\\" \\\\ b\"", "\"a \\\" \\\\ b\"");
	assert_printed("\"\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80\"",
		       "\"\\u00e4 \\u20ac \\ud83d\\ude00\"");
	/* A terminal's own: CSI of eight bits, and DEL. */
	assert_printed("\"\xc2\x9b[2J\x7f\"", "\"\\u009b[2J\\u007f\"");
	/* No UTF-8: too long, too short, a surrogate, beyond the last. */
	assert_printed("\"\xc0\x80\"", "\"\\ufffd\"");
	assert_printed("\"\xe2\x82\"", "\"\\ufffd\"");
	assert_printed("\"\xed\xa0\x80\"", "\"\\ufffd\"");
	assert_printed("\"\xf4\x90\x80\x80\"", "\"\\ufffd\"");
	assert_printed("\"\xff\x80\"", "\"\\ufffd\\ufffd\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_json_is_taken),
		cmocka_unit_test(what_is_none_is_refused),
		cmocka_unit_test(depth_is_bounded),
		cmocka_unit_test(members_are_found),
		cmocka_unit_test(
			only_ascii_is_printed_and_no_control_character),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
