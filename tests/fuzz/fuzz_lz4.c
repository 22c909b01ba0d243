/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a block of LZ4: lz4_step() expands what liblz4 compressed, in
 * any number of steps, and makes of no other block something else than liblz4
 * does (which takes a distance of 0 that the format excludes); and it never
 * reads or writes behind the end.
 */
#include "kernel/manage/lz4.h"
#include <lz4.h>
#include <mullion/bits.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

/* Whether @size bytes at @from come to exactly @made bytes at @to. */
static bool expand(const uint8_t *from, size_t size, uint8_t *to, size_t made,
		   uint32_t sequences)
{
	struct lz4 lz4 = { 0 };
	bool done = false;

	/* Each sequence takes at least a byte. */
	for (size_t i = 0; i <= size; i++) {
		if (lz4_step(&lz4, from, size, to, made, sequences, &done))
			return false;
		if (done)
			return true;
	}
	abort();
}

static void round_trip(const uint8_t *data, size_t size)
{
	int bound = LZ4_compressBound((int)size);
	char *wire = malloc((size_t)bound);
	uint8_t *to = malloc(size);
	int length = LZ4_compress_default((const char *)data, wire, (int)size,
					  bound);

	require(expand((uint8_t *)wire, (size_t)length, to, size, 3));
	require(!memcmp(to, data, size));
	free(wire);
	free(to);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char expected[KIB(16)];
	uint8_t *from, *to;
	int made;

	if (size < 2 || size > KIB(16))
		return 0;
	from = malloc(size);
	memcpy(from, data, size);
	made = LZ4_decompress_safe((const char *)from, expected, (int)size,
				   sizeof expected);
	if (made > 0) {
		to = malloc((size_t)made);
		if (expand(from, size, to, (size_t)made, 1 + data[0] % 8))
			require(!memcmp(to, expected, (size_t)made));
	} else {
		size_t room = (size_t)(data[0] | data[1] << 8) % KIB(16) + 1;

		to = malloc(room);
		expand(from, size, to, room, 1 + data[0] % 8);
	}
	free(from);
	free(to);
	round_trip(data, size);
	return 0;
}
