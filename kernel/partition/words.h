/* SPDX-License-Identifier: MIT */
/* Puts one complaint of the checker together; what does not fit is cut off. */
#ifndef PARTITION_WORDS_H
#define PARTITION_WORDS_H

#include <mullion/description.h>
#include <stddef.h>
#include <stdint.h>

/* Starts as all zeros; @text always has its end. */
struct words {
	char text[MULL_COMPLAINT_MAX];
	size_t length;
};

void words_text(struct words *words, const char *text);
void words_number(struct words *words, uint64_t number);
/* In the largest unit that leaves no rest: "512 MiB". */
void words_size(struct words *words, uint64_t bytes);

#endif
