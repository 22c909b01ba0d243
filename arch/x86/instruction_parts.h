/* SPDX-License-Identifier: MIT */
/* The parts that all instructions are made of: prefixes, bytes, ModRM. */
#ifndef ARCH_X86_INSTRUCTION_PARTS_H
#define ARCH_X86_INSTRUCTION_PARTS_H

#include <mullion/bits.h>
#include <mullion/instruction.h>

/* Reads on past the end as zeros and remembers that; callers look once. */
struct reader {
	const uint8_t *bytes;
	size_t length, at;
	bool overrun;
};

struct reader part_reader(const uint8_t *bytes, size_t length);
uint8_t part_byte(struct reader *reader);

/* A little-endian number of 1, 2, 4 or 8 bytes, sign-extended. */
int64_t part_number(struct reader *reader, unsigned size);

#define REX_B BIT(0)
#define REX_X BIT(1)
#define REX_R BIT(2)
#define REX_W BIT(3)
#define PREFIX_REPNE 0xf2
#define PREFIX_REP 0xf3
#define NO_SEGMENT 0xff

struct prefixes {
	bool operand_size, address_size, lock;
	uint8_t repeat;	 /* the last of PREFIX_REPNE, PREFIX_REP; 0: none */
	uint8_t segment; /* the last override that counts, or NO_SEGMENT */
	uint8_t rex;	 /* the whole byte, 0: none */
};

/* Notes all prefixes and returns the first byte of the opcode.  A REX prefix
 * that does not stand right before it has no effect. */
uint8_t part_prefixes(struct reader *reader, enum code_mode mode,
		      struct prefixes *prefixes);

#define MODRM_MOD BITS(7, 6)
#define MODRM_REG BITS(5, 3)
#define MODRM_RM BITS(2, 0)
#define MOD_REGISTER 3

/* The segment and address size of an operand that names no register. */
struct memory_operand part_operand(const struct prefixes *prefixes,
				   enum code_mode mode, uint8_t segment);

/* The operand that @modrm and the bytes after it give; false: a register. */
bool part_memory(struct reader *reader, uint8_t modrm,
		 const struct prefixes *prefixes, enum code_mode mode,
		 struct memory_operand *memory);

#endif
