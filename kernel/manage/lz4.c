/* SPDX-License-Identifier: MIT */
#include "lz4.h"
#include <string.h>

#define MATCH_MIN 4
#define MORE 15 /* in a token: bytes that are added follow */

/* The length that begins with @length; more than @most when it is too long. */
static size_t take_length(struct lz4 *lz4, const uint8_t *from,
			  size_t from_size, size_t length, size_t most)
{
	uint8_t more = length == MORE ? UINT8_MAX : 0;

	while (more == UINT8_MAX && length <= most) {
		if (lz4->taken == from_size)
			return most + 1;
		more = from[lz4->taken++];
		length += more;
	}
	return length;
}

/* What was made may overlap what it makes: it doubles each time. */
static void repeat(struct lz4 *lz4, uint8_t *to, size_t distance, size_t length)
{
	const uint8_t *from = to + lz4->made - distance;

	while (length) {
		size_t piece = length < distance ? length : distance;

		memcpy(to + lz4->made, from, piece);
		lz4->made += piece;
		distance += piece;
		length -= piece;
	}
}

enum error lz4_step(struct lz4 *lz4, const uint8_t *from, size_t from_size,
		    uint8_t *to, size_t to_size, uint32_t sequences, bool *done)
{
	while (sequences--) {
		size_t length, distance;
		uint8_t token;

		if (lz4->taken == from_size)
			return ERR_BAD_IMAGE;
		token = from[lz4->taken++];
		length = take_length(lz4, from, from_size, token >> 4,
				     to_size - lz4->made);
		if (length > from_size - lz4->taken ||
		    length > to_size - lz4->made)
			return ERR_BAD_IMAGE;
		memcpy(to + lz4->made, from + lz4->taken, length);
		lz4->taken += length;
		lz4->made += length;
		*done = lz4->taken == from_size && lz4->made == to_size;
		if (*done)
			return ERR_NONE;
		if (from_size - lz4->taken < 2)
			return ERR_BAD_IMAGE;
		distance = from[lz4->taken] | from[lz4->taken + 1] << 8;
		lz4->taken += 2;
		length = take_length(lz4, from, from_size, token & MORE,
				     to_size - lz4->made) +
			 MATCH_MIN;
		if (distance == 0 || distance > lz4->made ||
		    length > to_size - lz4->made)
			return ERR_BAD_IMAGE;
		repeat(lz4, to, distance, length);
	}
	return ERR_NONE;
}
