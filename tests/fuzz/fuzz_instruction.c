/* SPDX-License-Identifier: MIT */
/*
 * Any bytes: the decoder never looks past what it was given, says the same
 * each time, and an accepted length is neither too short nor too long.
 * Build: clang -std=gnu17 -g -O1 -fsanitize=fuzzer,address,undefined
 *        -Iinclude tests/fuzz/fuzz_instruction.c arch/x86/instruction*.c
 */
#include <mullion/bits.h>
#include <mullion/instruction.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

/* Decodes a copy of just @length bytes, so that ASan sees one more read. */
static enum error decode(const uint8_t *bytes, size_t length,
			 enum code_mode mode, struct instruction *out)
{
	uint8_t *copy = malloc(length ? length : 1);
	enum error error;

	memcpy(copy, bytes, length);
	memset(out, 0x5a, sizeof *out);
	error = instruction_decode(length ? copy : copy + 1, length, mode, out);
	free(copy);
	return error;
}

static bool is_gpr_or_none(uint8_t number)
{
	return number < GPR_COUNT || number == NO_GPR;
}

static bool is_size(uint8_t size)
{
	return size == 1 || size == 2 || size == 4 || size == 8;
}

static void check_fields(const struct instruction *found)
{
	const struct memory_operand *memory = &found->memory;

	require(found->operation > OPERATION_NONE &&
		found->operation < OPERATION_COUNT);
	require(found->length >= 1 && found->length <= INSTRUCTION_MAX);
	require(is_size(found->size));
	require(found->gpr < GPR_COUNT);
	if (found->other == OTHER_GPR)
		require(is_size(found->gpr_size) &&
			found->gpr_size >= found->size);
	if (found->high_byte)
		require(found->gpr < 4 && found->gpr_size == 1);
	require(is_gpr_or_none(memory->base) && is_gpr_or_none(memory->index));
	require(memory->index != RSP && is_size(memory->scale));
	require(memory->segment <= SEGMENT_GS);
	require(is_size(memory->address_size) && memory->address_size > 1);
}

static void check_decode(const uint8_t *bytes, size_t length,
			 enum code_mode mode)
{
	struct instruction found, again;

	if (decode(bytes, length, mode, &found) != ERR_NONE)
		return;
	check_fields(&found);
	require(found.length <= length);
	require(decode(bytes, found.length, mode, &again) == ERR_NONE);
	require(memcmp(&found, &again, sizeof found) == 0);
	for (size_t part = 0; part < found.length; part++)
		require(decode(bytes, part, mode, &again) == ERR_TRUNCATED);
}

static void check_plain(const uint8_t *bytes, size_t length,
			enum code_mode mode, enum exit_kind plain)
{
	uint8_t *copy = malloc(length ? length : 1);
	uint8_t skip = 0, again = 0;

	memcpy(copy, bytes, length);
	if (instruction_length_plain(length ? copy : copy + 1, length, mode,
				     plain, &skip) == ERR_NONE) {
		require(skip >= 1 && skip <= INSTRUCTION_MAX && skip <= length);
		require(instruction_length_plain(copy, skip, mode, plain,
						 &again) == ERR_NONE);
		require(again == skip);
		require(instruction_length_plain(copy, skip - 1u, mode, plain,
						 &again) == ERR_TRUNCATED);
	}
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum code_mode mode;

	if (size < 2)
		return 0;
	mode = data[0] % 3u;
	check_decode(data + 2, size - 2, mode);
	check_plain(data + 2, size - 2, mode, data[1] % EXIT_KIND_COUNT);
	return 0;
}
