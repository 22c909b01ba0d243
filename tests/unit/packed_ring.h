/* SPDX-License-Identifier: MIT */
/* What a driver needs to offer the places of a packed virtqueue. */
#ifndef TESTS_UNIT_PACKED_RING_H
#define TESTS_UNIT_PACKED_RING_H

#include <stdint.h>

#define PACKED (1ull << 34) /* a feature */
#define PACKED_AVAILABLE 0x80
#define PACKED_USED 0x8000
#define PACKED_BITS (PACKED_AVAILABLE | PACKED_USED)

/* The bits that offer a place, of a ring of @size; places are counted on. */
static inline uint16_t packed_offer_bits(uint16_t place, uint16_t size)
{
	return place / size % 2 ? PACKED_USED : PACKED_AVAILABLE;
}

#endif
