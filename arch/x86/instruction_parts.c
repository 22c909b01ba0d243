/* SPDX-License-Identifier: MIT */
#include "instruction_parts.h"

/* ---- bytes and prefixes ------------------------------------------------- */

struct reader part_reader(const uint8_t *bytes, size_t length)
{
	if (length > INSTRUCTION_MAX)
		length = INSTRUCTION_MAX;
	return (struct reader){ .bytes = bytes, .length = length };
}

uint8_t part_byte(struct reader *reader)
{
	if (reader->at < reader->length)
		return reader->bytes[reader->at++];
	reader->overrun = true;
	return 0;
}

int64_t part_number(struct reader *reader, unsigned size)
{
	unsigned unused = 64 - 8 * size;
	uint64_t value = 0;

	for (unsigned i = 0; i < size; i++)
		value |= (uint64_t)part_byte(reader) << (8 * i);
	return (int64_t)(value << unused) >> unused;
}

/* Whether @byte is a legacy prefix; if so, it is noted. */
static bool note_prefix(struct prefixes *prefixes, uint8_t byte,
			enum code_mode mode)
{
	switch (byte) {
	case 0x66:
		prefixes->operand_size = true;
		return true;
	case 0x67:
		prefixes->address_size = true;
		return true;
	case 0xf0:
		prefixes->lock = true;
		return true;
	case PREFIX_REPNE:
	case PREFIX_REP:
		prefixes->repeat = byte;
		return true;
	case 0x26: /* ES, CS, SS, DS: no effect in 64-bit code */
	case 0x2e:
	case 0x36:
	case 0x3e:
		if (mode != CODE_64)
			prefixes->segment = (byte >> 3) & 3;
		return true;
	case 0x64:
	case 0x65:
		prefixes->segment = SEGMENT_FS + (byte & 1);
		return true;
	}
	return false;
}

uint8_t part_prefixes(struct reader *reader, enum code_mode mode,
		      struct prefixes *prefixes)
{
	*prefixes = (struct prefixes){ .segment = NO_SEGMENT };
	for (;;) {
		uint8_t byte = part_byte(reader);

		if (note_prefix(prefixes, byte, mode))
			prefixes->rex = 0;
		else if (mode == CODE_64 && (byte & 0xf0) == 0x40)
			prefixes->rex = byte;
		else
			return byte;
	}
}

/* ---- the memory operand ------------------------------------------------- */

#define SIB_SCALE BITS(7, 6)
#define SIB_INDEX BITS(5, 3)
#define SIB_BASE BITS(2, 0)
#define RM_SIB RSP     /* a SIB byte follows */
#define RM_NO_BASE RBP /* with mod 0: a displacement only */

static uint8_t address_size(enum code_mode mode,
			    const struct prefixes *prefixes)
{
	switch (mode) {
	case CODE_16:
		return prefixes->address_size ? 4 : 2;
	case CODE_32:
		return prefixes->address_size ? 2 : 4;
	case CODE_64:
		break;
	}
	return prefixes->address_size ? 4 : 8;
}

/* "16-Bit Addressing Forms with the ModR/M Byte" */
static void take_form_16(struct reader *reader, uint8_t mod, uint8_t rm,
			 struct memory_operand *memory)
{
	static const uint8_t bases[8] = {
		RBX, RBX, RBP, RBP, RSI, RDI, RBP, RBX
	};
	static const uint8_t indexes[8] = { RSI,    RDI,    RSI,    RDI,
					    NO_GPR, NO_GPR, NO_GPR, NO_GPR };

	memory->base = bases[rm];
	memory->index = indexes[rm];
	if (mod == 0 && rm == 6) {
		memory->base = NO_GPR;
		mod = 2;
	}
	if (mod != 0)
		memory->displacement = part_number(reader, mod == 1 ? 1 : 2);
}

/* "32-Bit Addressing Forms with the ModR/M Byte", and with the SIB byte. */
static void take_form_32(struct reader *reader, uint8_t mod, uint8_t rm,
			 const struct prefixes *prefixes, enum code_mode mode,
			 struct memory_operand *memory)
{
	uint8_t rex_b = prefixes->rex & REX_B ? 8 : 0;
	uint8_t base = rm;

	if (rm == RM_SIB) {
		uint8_t sib = part_byte(reader);
		uint8_t index = (uint8_t)field_get(SIB_INDEX, sib);

		index |= prefixes->rex & REX_X ? 8 : 0;
		if (index != RSP)
			memory->index = index;
		memory->scale = (uint8_t)(1 << field_get(SIB_SCALE, sib));
		base = (uint8_t)field_get(SIB_BASE, sib);
	}
	if (mod == 0 && base == RM_NO_BASE) {
		memory->rip_relative = mode == CODE_64 && rm != RM_SIB;
		mod = 2;
	} else {
		memory->base = base | rex_b;
	}
	if (mod != 0)
		memory->displacement = part_number(reader, mod == 1 ? 1 : 4);
}

struct memory_operand part_operand(const struct prefixes *prefixes,
				   enum code_mode mode, uint8_t segment)
{
	return (struct memory_operand){
		.base = NO_GPR,
		.index = NO_GPR,
		.scale = 1,
		.segment = prefixes->segment == NO_SEGMENT ? segment :
							     prefixes->segment,
		.address_size = address_size(mode, prefixes),
	};
}

bool part_memory(struct reader *reader, uint8_t modrm,
		 const struct prefixes *prefixes, enum code_mode mode,
		 struct memory_operand *memory)
{
	uint8_t mod = (uint8_t)field_get(MODRM_MOD, modrm);
	uint8_t rm = (uint8_t)field_get(MODRM_RM, modrm);

	if (mod == MOD_REGISTER)
		return false;
	*memory = part_operand(prefixes, mode, SEGMENT_DS);
	if (memory->address_size == 2)
		take_form_16(reader, mod, rm, memory);
	else
		take_form_32(reader, mod, rm, prefixes, mode, memory);
	if (prefixes->segment == NO_SEGMENT &&
	    (memory->base == RBP || memory->base == RSP))
		memory->segment = SEGMENT_SS;
	return true;
}
