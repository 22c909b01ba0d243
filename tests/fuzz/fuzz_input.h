/* SPDX-License-Identifier: MIT */
/* The fuzzer's bytes as values: a test takes them until there are no more. */
#ifndef MULLION_FUZZ_INPUT_H
#define MULLION_FUZZ_INPUT_H

#include <stddef.h>
#include <stdint.h>

static struct {
	const uint8_t *data;
	size_t size;
} input;

/* Of @bytes; 0 where there is nothing left. */
static uint64_t any(unsigned bytes)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < bytes && input.size; i++, input.size--)
		value = value << 8 | *input.data++;
	return value;
}

#endif
