/* SPDX-License-Identifier: MIT */
/* What the processor's integer instructions compute, with their flags. */
#ifndef KERNEL_EXITS_ARITHMETIC_H
#define KERNEL_EXITS_ARITHMETIC_H

#include <mullion/bits.h>
#include <mullion/instruction.h>
#include <stdint.h>

/* @value cut to @size bytes: 1, 2, 4 or 8. */
static inline uint64_t cut(uint64_t value, unsigned size)
{
	return value & BITS(8 * size - 1, 0);
}

/* The lowest @size bytes of @value, sign-extended. */
static inline uint64_t sign_extend(uint64_t value, unsigned size)
{
	unsigned unused = 64 - 8 * size;

	return (uint64_t)((int64_t)(value << unused) >> unused);
}

/* @old with @value in its lowest @size bytes; as in the processor's registers,
 * 4 bytes clear those above. */
static inline uint64_t merge(uint64_t old, uint64_t value, unsigned size)
{
	if (size >= 4)
		return cut(value, size);
	return (old & ~BITS(8 * size - 1, 0)) | cut(value, size);
}

/*
 * arithmetic - ADD to NEG of enum operation, and BT, BTS, BTR, BTC
 * @first, @second: operands, cut to @size; unary operations take @first only
 * @rflags: the carry that ADC and SBB add; changed as the manual says, with
 *          undefined flags cleared
 *
 * Returns the new first operand; CMP, TEST and BT return the old one.
 */
uint64_t arithmetic(enum operation operation, unsigned size, uint64_t first,
		    uint64_t second, uint64_t *rflags);

#endif
