/* SPDX-License-Identifier: MIT */
#include <mullion/bits.h>
#include <stdlib.h>
#include <string.h>

#include "output.h"
#include "texts.h"

/* A line for each value in @value, which is at @way. */
static void put_lines(struct output *output, const char *way, struct json value)
{
	enum json_kind kind = json_kind(value);
	struct json name, member;
	size_t index = 0;

	/* Nothing, said with two brackets, is an answer too. */
	if ((kind != JSON_OBJECT && kind != JSON_LIST) ||
	    (!*way && json_is_empty(value))) {
		char *words = json_words(value);

		output_text(output, *way ? way : "answer", words);
		free(words);
		return;
	}
	while (json_next(&value, &name, &member)) {
		char *word = kind == JSON_OBJECT ? json_words(name) :
						   texts_format("%zu", index++);
		char *at = texts_format("%s%s%s", way, *way ? "." : "", word);

		put_lines(output, at, member);
		free(at);
		free(word);
	}
}

void output_json(struct output *output, const char *key, struct json value)
{
	char *text;

	if (output->form == OUTPUT_TABLE) {
		put_lines(output, "", value);
		return;
	}
	text = json_line(value);
	output_bare(output, key, text);
	free(text);
}
