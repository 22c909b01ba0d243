/* SPDX-License-Identifier: MIT */
/*
 * The memory type range registers of a legacy PC: its firmware sets them, so
 * they are kept, but memory stays write-back whatever they say.  One set for
 * all processors, which must have the same.  Other guests have none: all
 * memory is write-back.  SDM 325384, "Memory Type Range Registers (MTRRs)".
 */
#include "pc_parts.h"

#include <mullion/mtrr.h>

#define MSR_CAPABILITIES 0xfe
#define MSR_VARIABLE 0x200
#define MSR_DEFAULT 0x2ff

#define CAPABILITY_FIXED BIT(8)
#define DEFAULT_ENABLED BIT(11)
#define DEFAULT_FIXED_ENABLED BIT(10)
#define DEFAULT_TYPE BITS(7, 0)
#define WRITE_BACK 6

/* "Address Mapping for Fixed-Range MTRRs" */
static const uint16_t fixed[] = { 0x250, 0x258, 0x259, 0x268, 0x269, 0x26a,
				  0x26b, 0x26c, 0x26d, 0x26e, 0x26f };
_Static_assert(ARRAY_COUNT(fixed) == MTRR_FIXED, "one value each");

/* "Memory Types That Can Be Encoded in MTRRs" */
static bool is_type(uint64_t value)
{
	return value <= WRITE_BACK && value != 2 && value != 3;
}

static uint64_t *find(struct pc_mtrrs *mtrrs, uint32_t msr)
{
	if (msr - MSR_VARIABLE < 2 * MTRR_VARIABLE)
		return &mtrrs->variable[msr - MSR_VARIABLE];
	if (msr == MSR_DEFAULT)
		return &mtrrs->type;
	for (size_t i = 0; i < ARRAY_COUNT(fixed); i++)
		if (fixed[i] == msr)
			return &mtrrs->fixed[i];
	return NULL;
}

void pc_mtrr_reset(struct vm *vm)
{
	vm->pc->mtrrs = (struct pc_mtrrs){ .type = DEFAULT_ENABLED |
						   WRITE_BACK };
}

enum error mtrr_read(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	struct pc *pc = vcpu->vm->pc;
	const uint64_t *slot = pc ? find(&pc->mtrrs, msr) : NULL;

	if (msr == MSR_CAPABILITIES)
		*value = pc ? CAPABILITY_FIXED | MTRR_VARIABLE : 0;
	else if (slot)
		*value = __atomic_load_n(slot, __ATOMIC_RELAXED);
	else if (msr == MSR_DEFAULT)
		*value = DEFAULT_ENABLED | WRITE_BACK;
	else
		return ERR_NOT_FOUND;
	return ERR_NONE;
}

enum error mtrr_write(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	struct pc *pc = vcpu->vm->pc;
	uint64_t *slot = pc ? find(&pc->mtrrs, msr) : NULL;

	if (!pc)
		return msr == MSR_DEFAULT ? ERR_NONE : ERR_NOT_FOUND;
	if (!slot)
		return ERR_BAD_REQUEST;
	if (msr == MSR_DEFAULT &&
	    (value & ~(DEFAULT_ENABLED | DEFAULT_FIXED_ENABLED |
		       DEFAULT_TYPE) ||
	     !is_type(value & DEFAULT_TYPE)))
		return ERR_BAD_REQUEST;
	__atomic_store_n(slot, value, __ATOMIC_RELAXED);
	return ERR_NONE;
}
