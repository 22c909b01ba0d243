/* SPDX-License-Identifier: MIT */
/* Any text as JSON: what is taken is printed as JSON again, in ASCII, and what
 * is in it is found. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tools/mullctl/json.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

_Noreturn void memory_is_out(void)
{
	abort();
}

static void walk(struct json value)
{
	struct json name, member;

	if (json_kind(value) != JSON_OBJECT && json_kind(value) != JSON_LIST) {
		free(json_words(value));
		return;
	}
	while (json_next(&value, &name, &member)) {
		if (member.end > value.at || member.at >= member.end ||
		    value.at >= value.end)
			abort();
		walk(member);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), *printed;
	struct json value, again;

	memcpy(text, data, size);
	text[size] = 0;
	if (json_check(text, &value)) {
		printed = json_line(value);
		if (!json_check(printed, &again))
			abort();
		for (const char *at = printed; *at; at++)
			if (*at < ' ' || *at > '~')
				abort();
		free(printed);
		walk(value);
	}
	free(text);
	return 0;
}
