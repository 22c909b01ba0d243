/* SPDX-License-Identifier: MIT */
/*
 * Lengths of instructions that an exit names.  On the path of every CPUID,
 * MSR, port and hypercall exit where the processor does not say how long the
 * instruction was: one row, compared byte by byte.
 */
#include "instruction_parts.h"

/* What follows the opcode. */
enum tail { TAIL_NONE, TAIL_BYTE, TAIL_PORT, TAIL_MEMORY };

struct plain {
	uint8_t count; /* bytes of opcode */
	uint8_t bytes[3];
	uint8_t mask; /* of the last byte: the bits that count */
	enum tail tail;
	bool needs_rep; /* F3 makes it this instruction */
	bool may_lock;	/* LOCK is not undefined with it */
};

#define ONE(byte) \
	{ \
		.count = 1, .bytes = { byte }, .mask = 0xff \
	}
#define TWO(byte) \
	{ \
		.count = 2, .bytes = { 0x0f, byte }, .mask = 0xff \
	}
#define THREE(byte) \
	{ \
		.count = 3, .bytes = { 0x0f, 0x01, byte }, .mask = 0xff \
	}

static const struct plain plains[PLAIN_COUNT] = {
	[PLAIN_CPUID] = TWO(0xa2),
	[PLAIN_RDMSR] = TWO(0x32),
	[PLAIN_WRMSR] = TWO(0x30),
	[PLAIN_VMCALL] = THREE(0xc1),
	[PLAIN_VMMCALL] = THREE(0xd9),
	[PLAIN_HLT] = ONE(0xf4),
	[PLAIN_PAUSE] = { .count = 1,
			  .bytes = { 0x90 },
			  .mask = 0xff,
			  .needs_rep = true },
	[PLAIN_RDTSC] = TWO(0x31),
	[PLAIN_RDTSCP] = THREE(0xf9),
	[PLAIN_RDPMC] = TWO(0x33),
	[PLAIN_INVD] = TWO(0x08),
	[PLAIN_WBINVD] = TWO(0x09),
	[PLAIN_XSETBV] = THREE(0xd1),
	[PLAIN_MONITOR] = THREE(0xc8),
	[PLAIN_MWAIT] = THREE(0xc9),
	[PLAIN_INVLPG] = { .count = 2,
			   .bytes = { 0x0f, 0x01 },
			   .mask = 0xff,
			   .tail = TAIL_MEMORY },
	[PLAIN_INVLPGA] = THREE(0xdf),
	[PLAIN_VMRUN] = THREE(0xd8),
	[PLAIN_VMLOAD] = THREE(0xda),
	[PLAIN_VMSAVE] = THREE(0xdb),
	[PLAIN_STGI] = THREE(0xdc),
	[PLAIN_CLGI] = THREE(0xdd),
	[PLAIN_SKINIT] = THREE(0xde),
	/* E4..E7 and EC..EF; 6C..6F. */
	[PLAIN_PORT] = { .count = 1,
			 .bytes = { 0xe4 },
			 .mask = 0xf4,
			 .tail = TAIL_PORT },
	[PLAIN_PORT_STRING] = { .count = 1, .bytes = { 0x6c }, .mask = 0xfc },
	[PLAIN_INT3] = ONE(0xcc),
	[PLAIN_INT] = { .count = 1,
			.bytes = { 0xcd },
			.mask = 0xff,
			.tail = TAIL_BYTE },
	/* 0F 20, 0F 22 and 0F 21, 0F 23: the ModRM byte always names
	 * registers.  LOCK reaches CR8 from 32-bit code on AMD's. */
	[PLAIN_MOVE_CR] = { .count = 2,
			    .bytes = { 0x0f, 0x20 },
			    .mask = 0xfd,
			    .tail = TAIL_BYTE,
			    .may_lock = true },
	[PLAIN_MOVE_DR] = { .count = 2,
			    .bytes = { 0x0f, 0x21 },
			    .mask = 0xfd,
			    .tail = TAIL_BYTE },
};

#define INVLPG_REG 7

static bool take_tail(struct reader *reader, enum tail tail, uint8_t opcode,
		      const struct prefixes *prefixes, enum code_mode mode)
{
	struct memory_operand memory;
	uint8_t modrm;

	switch (tail) {
	case TAIL_NONE:
		break;
	case TAIL_PORT:
		if (opcode & BIT(3)) /* the port is in DX */
			break;
		part_byte(reader);
		break;
	case TAIL_BYTE:
		part_byte(reader);
		break;
	case TAIL_MEMORY:
		modrm = part_byte(reader);
		return field_get(MODRM_REG, modrm) == INVLPG_REG &&
		       part_memory(reader, modrm, prefixes, mode, &memory);
	}
	return true;
}

/* Whether the bytes are @plain; looks no further than the first difference. */
static bool take_plain(struct reader *reader, const struct plain *plain,
		       enum code_mode mode)
{
	struct prefixes prefixes;
	uint8_t byte = part_prefixes(reader, mode, &prefixes);
	uint8_t last = plain->count - 1;

	if (prefixes.lock && !plain->may_lock)
		return false;
	/* REX.B makes XCHG of the opcode that REP makes PAUSE. */
	if (plain->needs_rep &&
	    (prefixes.repeat != PREFIX_REP || prefixes.rex & REX_B))
		return false;
	for (uint8_t i = 0; i < last; i++) {
		if (byte != plain->bytes[i])
			return false;
		byte = part_byte(reader);
	}
	if ((byte & plain->mask) != plain->bytes[last])
		return false;
	return take_tail(reader, plain->tail, byte, &prefixes, mode);
}

enum error instruction_length_plain(const uint8_t *bytes, size_t length,
				    enum code_mode mode,
				    enum plain_instruction plain, uint8_t *skip)
{
	struct reader reader = part_reader(bytes, length);
	bool same = take_plain(&reader, &plains[plain], mode);

	if (reader.overrun)
		return ERR_TRUNCATED;
	if (!same)
		return ERR_BAD_INSTRUCTION;
	*skip = (uint8_t)reader.at;
	return ERR_NONE;
}
