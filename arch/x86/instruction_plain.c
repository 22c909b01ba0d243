/* SPDX-License-Identifier: MIT */
/*
 * Lengths of instructions that an exit names.  On the path of every CPUID,
 * MSR and hypercall exit where the processor does not say how long the
 * instruction was: one row, compared byte by byte.
 */
#include "instruction_parts.h"

static const struct plain {
	uint8_t count; /* bytes of opcode; 0: the processor says it */
	uint8_t bytes[3];
	uint8_t other; /* last byte that is as good; 0: none is */
} plains[EXIT_KIND_COUNT] = {
	[EXIT_CPUID] = { 2, { 0x0f, 0xa2 }, 0 },
	[EXIT_HALT] = { 1, { 0xf4 }, 0 },
	[EXIT_MSR_READ] = { 2, { 0x0f, 0x32 }, 0 },
	[EXIT_MSR_WRITE] = { 2, { 0x0f, 0x30 }, 0 },
	[EXIT_HYPERCALL] = { 3, { 0x0f, 0x01, 0xd9 }, 0 }, /* VMMCALL */
	[EXIT_XSETBV] = { 3, { 0x0f, 0x01, 0xd1 }, 0 },
	[EXIT_CACHE] = { 2, { 0x0f, 0x09 }, 0x08 }, /* WBINVD, INVD */
};

/* Whether the bytes are @plain; looks no further than the first difference. */
static bool take_plain(struct reader *reader, const struct plain *plain,
		       enum code_mode mode)
{
	struct prefixes prefixes;
	uint8_t byte = part_prefixes(reader, mode, &prefixes);
	uint8_t last = plain->count - 1;

	if (prefixes.lock) /* undefined with all of them */
		return false;
	for (uint8_t i = 0; i < last; i++) {
		if (byte != plain->bytes[i])
			return false;
		byte = part_byte(reader);
	}
	return byte == plain->bytes[last] || (byte && byte == plain->other);
}

enum error instruction_length_plain(const uint8_t *bytes, size_t length,
				    enum code_mode mode, enum exit_kind kind,
				    uint8_t *skip)
{
	struct reader reader = part_reader(bytes, length);
	const struct plain *plain = &plains[kind];
	bool same = plain->count && take_plain(&reader, plain, mode);

	if (reader.overrun)
		return ERR_TRUNCATED;
	if (!same)
		return ERR_BAD_INSTRUCTION;
	*skip = (uint8_t)reader.at;
	return ERR_NONE;
}
