/* SPDX-License-Identifier: MIT */
#include "arithmetic.h"

#include <mullion/bits.h>

#define FLAG_CARRY BIT(0)
#define FLAG_PARITY BIT(2)
#define FLAG_ADJUST BIT(4)
#define FLAG_ZERO BIT(6)
#define FLAG_SIGN BIT(7)
#define FLAG_OVERFLOW BIT(11)
#define FLAGS_OF_RESULT (FLAG_PARITY | FLAG_ZERO | FLAG_SIGN)
#define FLAGS_ALL (FLAGS_OF_RESULT | FLAG_CARRY | FLAG_ADJUST | FLAG_OVERFLOW)

static void set_flags(uint64_t *rflags, uint64_t which, uint64_t flags)
{
	*rflags = (*rflags & ~which) | (flags & which);
}

static uint64_t flags_of_result(unsigned size, uint64_t result)
{
	uint64_t flags = 0;

	if (!__builtin_parity((uint8_t)result))
		flags |= FLAG_PARITY;
	if (!result)
		flags |= FLAG_ZERO;
	if (result >> (8 * size - 1))
		flags |= FLAG_SIGN;
	return flags;
}

/* @carries: the carry or borrow out of each bit; @overflow: its top bit
 * tells whether the signed result is wrong. */
static uint64_t flags_of_sum(unsigned size, uint64_t result, uint64_t carries,
			     uint64_t overflow)
{
	uint64_t flags = flags_of_result(size, result);

	if (carries & BIT(8 * size - 1))
		flags |= FLAG_CARRY;
	if (carries & BIT(3))
		flags |= FLAG_ADJUST;
	if (overflow & BIT(8 * size - 1))
		flags |= FLAG_OVERFLOW;
	return flags;
}

/* @which: the flags that change. */
static uint64_t add(unsigned size, uint64_t first, uint64_t second,
		    uint64_t carry, uint64_t which, uint64_t *rflags)
{
	uint64_t result = cut(first + second + carry, size);
	uint64_t carries = (first & second) | ((first | second) & ~result);
	uint64_t overflow = (first ^ result) & (second ^ result);

	set_flags(rflags, which, flags_of_sum(size, result, carries, overflow));
	return result;
}

static uint64_t subtract(unsigned size, uint64_t first, uint64_t second,
			 uint64_t borrow, uint64_t which, uint64_t *rflags)
{
	uint64_t result = cut(first - second - borrow, size);
	uint64_t borrows = (~first & second) | ((~first | second) & result);
	uint64_t overflow = (first ^ second) & (first ^ result);

	set_flags(rflags, which, flags_of_sum(size, result, borrows, overflow));
	return result;
}

/* AND, OR, XOR, TEST: carry, overflow and adjust become 0. */
static uint64_t logic(unsigned size, uint64_t result, uint64_t *rflags)
{
	set_flags(rflags, FLAGS_ALL, flags_of_result(size, result));
	return result;
}

static uint64_t change_bit(enum operation operation, unsigned size,
			   uint64_t first, uint64_t second, uint64_t *rflags)
{
	uint64_t bit = BIT(second % (8 * size));

	set_flags(rflags, FLAG_CARRY, first & bit ? FLAG_CARRY : 0);
	switch (operation) {
	case OPERATION_BTS:
		return first | bit;
	case OPERATION_BTR:
		return first & ~bit;
	case OPERATION_BTC:
		return first ^ bit;
	default:
		return first;
	}
}

uint64_t arithmetic(enum operation operation, unsigned size, uint64_t first,
		    uint64_t second, uint64_t *rflags)
{
	uint64_t carry = *rflags & FLAG_CARRY;
	uint64_t but_carry = FLAGS_ALL & ~FLAG_CARRY;

	switch (operation) {
	case OPERATION_ADD:
		return add(size, first, second, 0, FLAGS_ALL, rflags);
	case OPERATION_ADC:
		return add(size, first, second, carry, FLAGS_ALL, rflags);
	case OPERATION_INC:
		return add(size, first, 1, 0, but_carry, rflags);
	case OPERATION_SUB:
		return subtract(size, first, second, 0, FLAGS_ALL, rflags);
	case OPERATION_SBB:
		return subtract(size, first, second, carry, FLAGS_ALL, rflags);
	case OPERATION_DEC:
		return subtract(size, first, 1, 0, but_carry, rflags);
	case OPERATION_NEG:
		return subtract(size, 0, first, 0, FLAGS_ALL, rflags);
	case OPERATION_CMP:
		subtract(size, first, second, 0, FLAGS_ALL, rflags);
		return first;
	case OPERATION_AND:
		return logic(size, first & second, rflags);
	case OPERATION_OR:
		return logic(size, first | second, rflags);
	case OPERATION_XOR:
		return logic(size, first ^ second, rflags);
	case OPERATION_TEST:
		logic(size, first & second, rflags);
		return first;
	case OPERATION_NOT:
		return cut(~first, size);
	default:
		return change_bit(operation, size, first, second, rflags);
	}
}
