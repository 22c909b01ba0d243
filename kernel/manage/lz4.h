/* SPDX-License-Identifier: MIT */
/* LZ4's blocks, expanded in steps.  "LZ4 Block Format Description". */
#ifndef MANAGE_LZ4_H
#define MANAGE_LZ4_H

#include <mullion/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lz4 {
	size_t taken, made; /* bytes so far, 0 at first */
};

/*
 * lz4_step - expand the next @sequences of the block of @from_size bytes
 * @done: set when it has come to exactly @to_size bytes
 *
 * Reads and writes nothing else.  ERR_BAD_IMAGE: these bytes are no such
 * block.
 */
enum error lz4_step(struct lz4 *lz4, const uint8_t *from, size_t from_size,
		    uint8_t *to, size_t to_size, uint32_t sequences,
		    bool *done);

#endif
