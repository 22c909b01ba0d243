/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "caught_output.h"

#include <cmocka.h>
#include <mullion/channel.h>
#include <stdlib.h>

static bool says_nothing;

static void put_rows(struct output *output)
{
	output_text(output, "name", "a\"b\\\n");
	output_size(output, "memory_size", 3 << 20);
	output_time(output, "up", 1234567890);
	output_yes(output, "pinned", true);
	output_list_begin(output, "vms");
	for (unsigned i = 0; i < 2; i++) {
		output_row_begin(output);
		output_number(output, "number", i + 9);
		output_text(output, "reason", i ? "" : "none");
		output_state(output, "state", i ? MULL_VM_RUNNING : 0xffffffff);
		output_text(output, "last", "");
		output_row_end(output);
	}
	output_list_end(output);
	output_list_begin(output, "images");
	output_list_end(output);
}

static void put(struct output *output)
{
	if (!says_nothing)
		put_rows(output);
}

static void show(const char *form)
{
	catch_output(form, put);
}

static void a_table_is_for_people(void **state)
{
	(void)state;
	show(NULL);
	assert_string_equal(shown, "Name:              a\"b\\\n\n"
				   "Memory size:       3 MiB\n"
				   "Up:                1.234 s\n"
				   "Pinned:            yes\n"
				   "NUMBER  REASON  STATE    LAST\n"
				   "9       none    unknown\n"
				   "10              running\n");
}

static void json_is_for_programs(void **state)
{
	(void)state;
	show("json");
	assert_string_equal(shown, "{\n"
				   "  \"schema\": 1,\n"
				   "  \"name\": \"a\\\"b\\\\\\u000a\",\n"
				   "  \"memory_size\": 3145728,\n"
				   "  \"up\": 1234567890,\n"
				   "  \"pinned\": true,\n"
				   "  \"vms\": [\n"
				   "    {\n"
				   "      \"number\": 9,\n"
				   "      \"reason\": \"none\",\n"
				   "      \"state\": \"unknown\",\n"
				   "      \"last\": \"\"\n"
				   "    },\n"
				   "    {\n"
				   "      \"number\": 10,\n"
				   "      \"reason\": \"\",\n"
				   "      \"state\": \"running\",\n"
				   "      \"last\": \"\"\n"
				   "    }\n"
				   "  ],\n"
				   "  \"images\": []\n"
				   "}\n");
}

static void yaml_is_as_well(void **state)
{
	(void)state;
	show("yaml");
	assert_string_equal(shown, "schema: 1\n"
				   "name: \"a\\\"b\\\\\\u000a\"\n"
				   "memory_size: 3145728\n"
				   "up: 1234567890\n"
				   "pinned: true\n"
				   "vms:\n"
				   "  - number: 9\n"
				   "    reason: \"none\"\n"
				   "    state: \"unknown\"\n"
				   "    last: \"\"\n"
				   "  - number: 10\n"
				   "    reason: \"\"\n"
				   "    state: \"running\"\n"
				   "    last: \"\"\n"
				   "images: []\n");
}

static void a_verb_that_failed_prints_no_document(void **state)
{
	(void)state;
	says_nothing = true;
	show("json");
	assert_string_equal(shown, "");
	show("yaml");
	assert_string_equal(shown, "");
	says_nothing = false;
}

static void another_form_is_refused(void **state)
{
	struct options options = { .text = { [OPTION_FORM] = "xml" } };
	struct output output;

	(void)state;
	assert_false(output_begin(&output, &options));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_table_is_for_people),
		cmocka_unit_test(json_is_for_programs),
		cmocka_unit_test(yaml_is_as_well),
		cmocka_unit_test(a_verb_that_failed_prints_no_document),
		cmocka_unit_test(another_form_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
