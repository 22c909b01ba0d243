/* SPDX-License-Identifier: MIT */
#include "instruction_parts.h"

/* ---- opcodes ------------------------------------------------------------ */

enum opcode_flag {
	SIZE_1 = BIT(0), /* bytes of the memory operand; without */
	SIZE_2 = BIT(1), /* any: the operand size */
	SIZE_4 = BIT(2),
	TO_MEMORY = BIT(3),
	WITH_IMMEDIATE = BIT(4), /* as long as the operand, at most 4 bytes */
	WITH_IMMEDIATE_1 = BIT(5),
	ALONE = BIT(6),	     /* no second operand */
	OFFSET = BIT(7),     /* rAX and an address instead of ModRM */
	STRING = BIT(8),     /* rAX and an address in rSI or rDI */
	NO_66 = BIT(9),	     /* these prefixes make it another instruction, */
	NO_REPEAT = BIT(10), /* or an undefined one */
	ONLY_64 = BIT(11),
	GROUP = BIT(12), /* the ModRM byte chooses the operation: see groups */
};

enum opcode_group {
	GROUP_ARITHMETIC,
	GROUP_MOVE,
	GROUP_POP,
	GROUP_UNARY,
	GROUP_STEP,
	GROUP_STEP_PUSH,
	GROUP_BITS,
	GROUP_COUNT
};

static const uint8_t groups[GROUP_COUNT][8] = {
	[GROUP_ARITHMETIC] = { OPERATION_ADD, OPERATION_OR, OPERATION_ADC,
			       OPERATION_SBB, OPERATION_AND, OPERATION_SUB,
			       OPERATION_XOR, OPERATION_CMP },
	[GROUP_MOVE] = { OPERATION_MOVE },
	[GROUP_POP] = { OPERATION_POP },
	[GROUP_UNARY] = { OPERATION_TEST, [2] = OPERATION_NOT, OPERATION_NEG },
	[GROUP_STEP] = { OPERATION_INC, OPERATION_DEC },
	[GROUP_STEP_PUSH] = { OPERATION_INC,
			      OPERATION_DEC, [6] = OPERATION_PUSH },
	[GROUP_BITS] = { [4] = OPERATION_BT,
			 OPERATION_BTS,
			 OPERATION_BTR,
			 OPERATION_BTC },
};

struct opcode {
	uint8_t operation; /* enum operation, or enum opcode_group */
	uint16_t flags;
};

#define BOTH_SIZES(opcode, operation, flags) \
	[opcode] = { operation, (flags) | SIZE_1 }, \
	[(opcode) + 1] = { operation, flags }
#define BOTH_WAYS(opcode, operation) \
	BOTH_SIZES(opcode, operation, TO_MEMORY), \
		BOTH_SIZES((opcode) + 2, operation, 0)

static const struct opcode one_byte[256] = {
	BOTH_WAYS(0x00, OPERATION_ADD),
	BOTH_WAYS(0x08, OPERATION_OR),
	BOTH_WAYS(0x10, OPERATION_ADC),
	BOTH_WAYS(0x18, OPERATION_SBB),
	BOTH_WAYS(0x20, OPERATION_AND),
	BOTH_WAYS(0x28, OPERATION_SUB),
	BOTH_WAYS(0x30, OPERATION_XOR),
	BOTH_WAYS(0x38, OPERATION_CMP),
	[0x63] = { OPERATION_MOVE_SIGN, SIZE_4 | NO_66 | ONLY_64 },
	BOTH_SIZES(0x80, GROUP_ARITHMETIC, GROUP | TO_MEMORY | WITH_IMMEDIATE),
	[0x83] = { GROUP_ARITHMETIC, GROUP | TO_MEMORY | WITH_IMMEDIATE_1 },
	BOTH_SIZES(0x84, OPERATION_TEST, TO_MEMORY),
	BOTH_SIZES(0x86, OPERATION_XCHG, TO_MEMORY),
	BOTH_WAYS(0x88, OPERATION_MOVE),
	[0x8f] = { GROUP_POP, GROUP | TO_MEMORY | ALONE },
	BOTH_SIZES(0xa0, OPERATION_MOVE, OFFSET),
	BOTH_SIZES(0xa2, OPERATION_MOVE, OFFSET | TO_MEMORY),
	BOTH_SIZES(0xa4, OPERATION_MOVS, STRING | ALONE),
	BOTH_SIZES(0xaa, OPERATION_STOS, STRING | TO_MEMORY),
	BOTH_SIZES(0xac, OPERATION_LODS, STRING),
	BOTH_SIZES(0xc6, GROUP_MOVE, GROUP | TO_MEMORY | WITH_IMMEDIATE),
	BOTH_SIZES(0xf6, GROUP_UNARY, GROUP | TO_MEMORY | ALONE),
	[0xfe] = { GROUP_STEP, GROUP | TO_MEMORY | ALONE | SIZE_1 },
	[0xff] = { GROUP_STEP_PUSH, GROUP | TO_MEMORY | ALONE },
};

static const struct opcode two_bytes[256] = {
	[0xa3] = { OPERATION_BT, TO_MEMORY },
	[0xab] = { OPERATION_BTS, TO_MEMORY },
	[0xb3] = { OPERATION_BTR, TO_MEMORY },
	[0xbb] = { OPERATION_BTC, TO_MEMORY },
	BOTH_SIZES(0xb0, OPERATION_CMPXCHG, TO_MEMORY),
	BOTH_SIZES(0xc0, OPERATION_XADD, TO_MEMORY),
	[0xb6] = { OPERATION_MOVE_ZERO, SIZE_1 },
	[0xb7] = { OPERATION_MOVE_ZERO, SIZE_2 },
	[0xbe] = { OPERATION_MOVE_SIGN, SIZE_1 },
	[0xbf] = { OPERATION_MOVE_SIGN, SIZE_2 },
	[0xba] = { GROUP_BITS, GROUP | TO_MEMORY | WITH_IMMEDIATE_1 },
	[0xc3] = { OPERATION_MOVE, TO_MEMORY | NO_66 | NO_REPEAT },
};

static const struct opcode movbe[2] = {
	{ OPERATION_MOVE_SWAP, NO_REPEAT },
	{ OPERATION_MOVE_SWAP, NO_REPEAT | TO_MEMORY },
};
static const struct opcode not_covered;

static const struct opcode *take_opcode(struct reader *reader, uint8_t first)
{
	uint8_t second, third;

	if (first != 0x0f)
		return &one_byte[first];
	second = part_byte(reader);
	if (second != 0x38)
		return &two_bytes[second];
	third = part_byte(reader);
	if ((third & 0xfe) != 0xf0)
		return &not_covered;
	return &movbe[third & 1];
}

/* ---- an instruction with a memory operand ------------------------------- */

/* Whether LOCK is allowed with it; elsewhere it is undefined. */
static bool may_lock(const struct instruction *instruction)
{
	switch (instruction->operation) {
	case OPERATION_ADD:
	case OPERATION_OR:
	case OPERATION_ADC:
	case OPERATION_SBB:
	case OPERATION_AND:
	case OPERATION_SUB:
	case OPERATION_XOR:
	case OPERATION_INC:
	case OPERATION_DEC:
	case OPERATION_NOT:
	case OPERATION_NEG:
	case OPERATION_XCHG:
	case OPERATION_XADD:
	case OPERATION_CMPXCHG:
	case OPERATION_BTS:
	case OPERATION_BTR:
	case OPERATION_BTC:
		return instruction->to_memory;
	default:
		return false;
	}
}

static bool prefixes_fit(uint16_t flags, const struct prefixes *prefixes,
			 enum code_mode mode,
			 const struct instruction *instruction)
{
	if (prefixes->lock && !may_lock(instruction))
		return false;
	/* Nor is their operand size that of 16-bit code. */
	if (flags & NO_66 && (prefixes->operand_size || mode == CODE_16))
		return false;
	if (flags & NO_REPEAT && prefixes->repeat)
		return false;
	/* Undefined with the string operations that do not compare. */
	if (flags & STRING && prefixes->repeat == PREFIX_REPNE)
		return false;
	return mode == CODE_64 || !(flags & ONLY_64);
}

static uint8_t operand_size(enum code_mode mode, enum operation operation,
			    const struct prefixes *prefixes)
{
	bool stack = operation == OPERATION_PUSH || operation == OPERATION_POP;
	bool other = prefixes->operand_size;

	if (prefixes->rex & REX_W)
		return 8;
	if (mode == CODE_16)
		return other ? 4 : 2;
	if (other)
		return 2;
	return mode == CODE_64 && stack ? 8 : 4;
}

/* Fills in the operand sizes and, unless it is ALONE, register @number. */
static void set_operands(struct instruction *instruction, uint16_t flags,
			 enum code_mode mode, const struct prefixes *prefixes,
			 uint8_t number)
{
	uint8_t size = operand_size(mode, instruction->operation, prefixes);
	bool extended = instruction->operation == OPERATION_MOVE_ZERO ||
			instruction->operation == OPERATION_MOVE_SIGN;

	instruction->size = flags & SIZE_1 ? 1 :
			    flags & SIZE_2 ? 2 :
			    flags & SIZE_4 ? 4 :
					     size;
	if (flags & (ALONE | GROUP))
		return;
	instruction->other = OTHER_GPR;
	instruction->gpr_size = extended ? size : instruction->size;
	instruction->gpr = number;
	/* Without REX, byte registers 4..7 are AH, CH, DH, BH. */
	if (instruction->gpr_size == 1 && !prefixes->rex && number >= 4) {
		instruction->gpr = number - 4;
		instruction->high_byte = true;
	}
}

static struct memory_operand string_operand(const struct prefixes *prefixes,
					    enum code_mode mode,
					    enum operation operation)
{
	struct memory_operand memory = part_operand(prefixes, mode, SEGMENT_DS);

	memory.base = RSI;
	if (operation == OPERATION_STOS) {
		memory.base = RDI;
		memory.segment = SEGMENT_ES; /* no prefix changes that */
	}
	return memory;
}

/* Everything between the opcode and the immediate, and what it says. */
static bool take_operands(struct reader *reader, const struct opcode *opcode,
			  const struct prefixes *prefixes, enum code_mode mode,
			  struct instruction *out)
{
	uint8_t number = RAX;

	out->operation = opcode->operation;
	if (opcode->flags & OFFSET) {
		out->memory = part_operand(prefixes, mode, SEGMENT_DS);
		out->memory.displacement = part_number(
			reader, out->memory.address_size);
	} else if (opcode->flags & STRING) {
		out->memory = string_operand(prefixes, mode, out->operation);
		out->repeated = prefixes->repeat == PREFIX_REP;
	} else {
		uint8_t modrm = part_byte(reader);

		number = (uint8_t)field_get(MODRM_REG, modrm);
		if (opcode->flags & GROUP)
			out->operation = groups[opcode->operation][number];
		number |= prefixes->rex & REX_R ? 8 : 0;
		if (!part_memory(reader, modrm, prefixes, mode, &out->memory))
			return false;
	}
	set_operands(out, opcode->flags, mode, prefixes, number);
	return out->operation != OPERATION_NONE;
}

static void take_immediate(struct reader *reader, uint16_t flags,
			   struct instruction *out)
{
	uint8_t size = out->size > 4 ? 4 : out->size;

	/* The one of its group that has an immediate. */
	if (flags & ALONE && out->operation == OPERATION_TEST)
		flags |= WITH_IMMEDIATE;
	if (flags & WITH_IMMEDIATE_1)
		size = 1;
	else if (!(flags & WITH_IMMEDIATE))
		return;
	out->other = OTHER_IMMEDIATE;
	out->immediate = (uint64_t)part_number(reader, size);
}

enum error instruction_decode(const uint8_t *bytes, size_t length,
			      enum code_mode mode, struct instruction *out)
{
	struct reader reader = part_reader(bytes, length);
	struct prefixes prefixes;
	uint8_t first = part_prefixes(&reader, mode, &prefixes);
	const struct opcode *opcode = take_opcode(&reader, first);
	bool covered = opcode->flags || opcode->operation;

	*out = (struct instruction){ 0 };
	if (covered)
		covered = take_operands(&reader, opcode, &prefixes, mode, out);
	if (covered) {
		take_immediate(&reader, opcode->flags, out);
		out->to_memory = opcode->flags & TO_MEMORY &&
				 out->operation != OPERATION_PUSH;
		out->locked = prefixes.lock;
	}
	/* What was read past the end must not be judged. */
	if (reader.overrun)
		return ERR_TRUNCATED;
	if (!covered || !prefixes_fit(opcode->flags, &prefixes, mode, out))
		return ERR_BAD_INSTRUCTION;
	out->length = (uint8_t)reader.at;
	return ERR_NONE;
}
