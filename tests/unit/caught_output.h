/* SPDX-License-Identifier: MIT */
/* What mullctl prints, for a test to look at. */
#ifndef TESTS_UNIT_CAUGHT_OUTPUT_H
#define TESTS_UNIT_CAUGHT_OUTPUT_H

#include <cmocka.h>
#include <output.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char shown[4096];

/* Everything that @put puts, in the form of @form, as it comes out. */
static inline void catch_output(const char *form,
				void (*put)(struct output *output))
{
	struct options options = { .text = { [OPTION_FORM] = form } };
	int before = dup(STDOUT_FILENO);
	FILE *file = tmpfile();
	struct output output;
	size_t length;

	fflush(stdout);
	dup2(fileno(file), STDOUT_FILENO);
	assert_true(output_begin(&output, &options));
	put(&output);
	output_end(&output);
	fflush(stdout);
	dup2(before, STDOUT_FILENO);
	close(before);
	rewind(file);
	length = fread(shown, 1, sizeof shown - 1, file);
	shown[length] = 0;
	fclose(file);
}

#endif
