/* SPDX-License-Identifier: MIT */
/* Of the library a part under test wants only that errors come back. */
#ifndef MULLION_TEST_WITHOUT_WORDS_H
#define MULLION_TEST_WITHOUT_WORDS_H

#include <parts.h>

int mull_fail(struct mull *mull, int error, const char *format, ...)
{
	(void)mull;
	(void)format;
	return error;
}

void mull_clean(char *text, size_t room)
{
	(void)text;
	(void)room;
}

#endif
