/* SPDX-License-Identifier: MIT */
#include "mistakes.h"

#include <stdlib.h>

#include "texts.h"

void mistakes_add(struct mistakes *mistakes, int line, char *words)
{
	size_t at = mistakes->count++;

	mistakes->list = memory_get(mistakes->list,
				    mistakes->count * sizeof *mistakes->list);
	/* Sorted in, behind those of the same line: the order they came. */
	for (; at && mistakes->list[at - 1].line > line; at--)
		mistakes->list[at] = mistakes->list[at - 1];
	mistakes->list[at] = (struct mistake){ line, words };
}

void mistakes_print(struct mistakes *mistakes, const char *file, FILE *to)
{
	for (size_t i = 0; i < mistakes->count; i++) {
		const struct mistake *mistake = &mistakes->list[i];

		if (mistake->line)
			fprintf(to, "%s:%d: %s\n", file, mistake->line,
				mistake->words);
		else
			fprintf(to, "mullctl: %s\n", mistake->words);
	}
}

void mistakes_free(struct mistakes *mistakes)
{
	for (size_t i = 0; i < mistakes->count; i++)
		free(mistakes->list[i].words);
	free(mistakes->list);
	*mistakes = (struct mistakes){ 0 };
}
