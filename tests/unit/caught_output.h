/* SPDX-License-Identifier: MIT */
/* What mullctl prints, for a test to look at. */
#ifndef TESTS_UNIT_CAUGHT_OUTPUT_H
#define TESTS_UNIT_CAUGHT_OUTPUT_H

#include <cmocka.h>
#include <output.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char shown[4096], said[4096]; /* on standard output, and error */

struct caught {
	FILE *files[2];
	int before[2];
};

static inline struct caught catch_begin(void)
{
	struct caught caught;

	fflush(stdout);
	for (int i = 0; i < 2; i++) {
		caught.files[i] = tmpfile();
		caught.before[i] = dup(STDOUT_FILENO + i);
		dup2(fileno(caught.files[i]), STDOUT_FILENO + i);
	}
	return caught;
}

static inline void catch_end(const struct caught *caught)
{
	char *texts[] = { shown, said };

	fflush(stdout);
	for (int i = 0; i < 2; i++) {
		size_t length;

		dup2(caught->before[i], STDOUT_FILENO + i);
		close(caught->before[i]);
		rewind(caught->files[i]);
		length = fread(texts[i], 1, sizeof shown - 1, caught->files[i]);
		texts[i][length] = 0;
		fclose(caught->files[i]);
	}
}

/* Everything that @put puts, in the form of @form, as it comes out. */
static inline void catch_output(const char *form,
				void (*put)(struct output *output))
{
	struct options options = { .text = { [OPTION_FORM] = form } };
	struct caught caught = catch_begin();
	struct output output;
	bool good = output_begin(&output, &options);

	if (good) {
		put(&output);
		output_end(&output);
	}
	catch_end(&caught);
	assert_true(good);
}

#endif
