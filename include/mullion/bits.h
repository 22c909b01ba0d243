/* SPDX-License-Identifier: MIT */
/* Bit fields in the notation of the processor manuals. */
#ifndef MULLION_BITS_H
#define MULLION_BITS_H

#include <stdint.h>

/* Mask of bits @high down to @low, both included, as the manuals write them. */
#define BITS(high, low) ((~0ul >> (63 - (high))) & (~0ul << (low)))
#define BIT(n) BITS(n, n)

/* The value of @field (a mask of adjoining bits) in @value, shifted down. */
static inline uint64_t field_get(uint64_t field, uint64_t value)
{
	return (value & field) >> __builtin_ctzll(field);
}

/* @value shifted up to where @field lies; excess bits are cut off. */
static inline uint64_t field_make(uint64_t field, uint64_t value)
{
	return (value << __builtin_ctzll(field)) & field;
}

/* The compiler works out what a pointer is here, not again for each of its uses. */
#define WORK_OUT_ONCE(pointer) __asm__("" : "+r"(pointer))

#define ARRAY_COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define KIB(n) ((uint64_t)(n) << 10)
#define MIB(n) ((uint64_t)(n) << 20)
#define GIB(n) ((uint64_t)(n) << 30)

#define PAGE_SIZE 4096ul
#define FRAME_SIZE MIB(2) /* the unit of ownership of memory */

/* @value rounded to a multiple of @unit, a power of two. */
static inline uint64_t round_up(uint64_t value, uint64_t unit)
{
	return (value + unit - 1) & ~(unit - 1);
}

static inline uint64_t round_down(uint64_t value, uint64_t unit)
{
	return value & ~(unit - 1);
}

#endif
