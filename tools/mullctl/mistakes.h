/* SPDX-License-Identifier: MIT */
/* Mistakes in a manifest: collected first, then shown sorted by line. */
#ifndef MULLCTL_MISTAKES_H
#define MULLCTL_MISTAKES_H

#include <stddef.h>
#include <stdio.h>

struct mistakes {
	struct mistake {
		int line; /* 0: nowhere in particular */
		char *words;
	} * list;
	size_t count;
};

/* Takes over @words, which free() releases. */
void mistakes_add(struct mistakes *mistakes, int line, char *words);
/* "FILE:LINE: words"; without a line "mullctl: words". */
void mistakes_print(struct mistakes *mistakes, const char *file, FILE *to);
void mistakes_free(struct mistakes *mistakes);

#endif
