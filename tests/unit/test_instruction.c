/* SPDX-License-Identifier: MIT */
#include <mullion/bits.h>
#include <mullion/instruction.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

/* ---- the assembler's encodings ------------------------------------------ */

struct row {
	int bits;
	const char *hex;
	enum operation operation;
	enum other_operand other;
	uint8_t size, gpr, gpr_size;
	bool high_byte, to_memory, locked, repeated;
	int64_t immediate;
	uint8_t base, index, scale, segment, address_size;
	bool rip_relative;
	int64_t displacement;
};

#define ROW(bits, hex, operation, other, ...) \
	{ bits, hex, OPERATION_##operation, OTHER_##other, __VA_ARGS__ },
static const struct row rows[] = {
#include "instruction_table.h"
};

static enum code_mode mode_of(int bits)
{
	return bits == 16 ? CODE_16 : bits == 32 ? CODE_32 : CODE_64;
}

/* Turns hexadecimal digits into bytes; returns how many. */
static size_t bytes_of(const char *hex, uint8_t *bytes)
{
	size_t count = strlen(hex) / 2;

	for (size_t i = 0; i < count; i++) {
		char digits[3] = { hex[2 * i], hex[2 * i + 1] };

		bytes[i] = (uint8_t)strtoul(digits, NULL, 16);
	}
	return count;
}

/* A copy that is exactly as long as it says, so that ASan sees more. */
static enum error decode_exact(const uint8_t *bytes, size_t length,
			       enum code_mode mode, struct instruction *out)
{
	uint8_t *copy = malloc(length ? length : 1);
	enum error error;

	memcpy(copy, bytes, length);
	error = instruction_decode(length ? copy : copy + 1, length, mode, out);
	free(copy);
	return error;
}

static bool same_memory(const struct row *row,
			const struct memory_operand *memory)
{
	return row->base == memory->base && row->index == memory->index &&
	       row->scale == memory->scale && row->segment == memory->segment &&
	       row->address_size == memory->address_size &&
	       row->rip_relative == memory->rip_relative &&
	       row->displacement == memory->displacement;
}

static bool same(const struct row *row, const struct instruction *found)
{
	return row->operation == found->operation &&
	       row->other == found->other && row->size == found->size &&
	       row->gpr == found->gpr && row->gpr_size == found->gpr_size &&
	       row->high_byte == found->high_byte &&
	       row->to_memory == found->to_memory &&
	       row->locked == found->locked &&
	       row->repeated == found->repeated &&
	       (uint64_t)row->immediate == found->immediate &&
	       same_memory(row, &found->memory);
}

static void decodes_what_the_assembler_encodes(void **state)
{
	unsigned wrong = 0;

	(void)state;
	assert_true(ARRAY_COUNT(rows) > 1500);
	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		struct instruction found;
		uint8_t bytes[32];
		size_t length = bytes_of(rows[i].hex, bytes);
		enum error error = decode_exact(bytes, length,
						mode_of(rows[i].bits), &found);

		if (error || found.length != length ||
		    !same(&rows[i], &found)) {
			print_error("row %zu: %d-bit %s: error %d\n", i,
				    rows[i].bits, rows[i].hex, error);
			wrong++;
		}
	}
	assert_int_equal(wrong, 0);
}

static void every_shorter_start_is_truncated(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		struct instruction found;
		uint8_t bytes[32];
		size_t length = bytes_of(rows[i].hex, bytes);

		for (size_t part = 0; part < length; part++)
			assert_int_equal(decode_exact(bytes, part,
						      mode_of(rows[i].bits),
						      &found),
					 ERR_TRUNCATED);
	}
}

/* ---- what is refused ---------------------------------------------------- */

static enum error decode_hex(int bits, const char *hex)
{
	struct instruction found;
	uint8_t bytes[32];
	size_t length = bytes_of(hex, bytes);

	return decode_exact(bytes, length, mode_of(bits), &found);
}

static void refuses_what_it_does_not_cover(void **state)
{
	static const struct {
		int bits;
		const char *hex, *why;
	} refused[] = {
		{ 64, "8bc0", "mov eax, eax has no memory operand" },
		{ 64, "c7f800000000", "xbegin" },
		{ 64, "c70c2500000000", "C7 /1 is undefined" },
		{ 64, "f60800", "F6 /1 is not documented by all" },
		{ 64, "f620", "mul byte ptr [rax]" },
		{ 64, "ff10", "call [rax]" },
		{ 64, "ff38", "FF /7 is undefined" },
		{ 64, "8f08", "8F /1 is XOP's" },
		{ 64, "0f1000", "movups" },
		{ 64, "0fba00", "0F BA /0" },
		{ 64, "c5f81000", "vmovups" },
		{ 64, "62f17c481000", "EVEX" },
		{ 64, "820000", "82 in 64-bit code" },
		{ 64, "d800", "x87" },
		{ 64, "f08b00", "lock mov" },
		{ 64, "f03900", "lock cmp" },
		{ 64, "f00300", "lock add with memory as source" },
		{ 64, "f08500", "lock test" },
		{ 64, "f00fa300", "lock bt" },
		{ 64, "f0ab", "lock stos" },
		{ 64, "f2ab", "repne stos" },
		{ 64, "660fc300", "movnti with 66" },
		{ 64, "f30fc300", "movnti with rep" },
		{ 64, "f20f38f000", "crc32" },
		{ 64, "0f38c800", "sha1nexte" },
		{ 64, "666300", "movsxd with 66" },
		{ 32, "6300", "arpl" },
		{ 32, "c400", "les" },
		{ 32, "40", "inc eax" },
		{ 16, "0fc307", "movnti in 16-bit code" },
		{ 64, "0f38f1c0", "movbe of registers" },
		{ 64, "90", "nop" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(refused); i++)
		if (decode_hex(refused[i].bits, refused[i].hex) !=
		    ERR_BAD_INSTRUCTION)
			fail_msg("took %s", refused[i].why);
}

static void length_ends_at_fifteen_bytes(void **state)
{
	(void)state;
	/* Twelve prefixes, and mov [rax+1], al. */
	assert_int_equal(decode_hex(64, "363636363636363636363636884001"),
			 ERR_NONE);
	assert_int_equal(decode_hex(64, "36363636363636363636363636884001"),
			 ERR_TRUNCATED);
	assert_int_equal(decode_hex(64, "66666666666666666666666666666666"),
			 ERR_TRUNCATED);
}

static void prefixes_count_as_the_processor_counts_them(void **state)
{
	struct instruction found;
	uint8_t bytes[32];
	size_t length;

	(void)state;
	/* REX.W before a legacy prefix is void; 66 stays. */
	length = bytes_of("4866890b", bytes);
	assert_int_equal(decode_exact(bytes, length, CODE_64, &found), 0);
	assert_int_equal(found.size, 2);
	/* REX.W beats 66. */
	length = bytes_of("6648890b", bytes);
	assert_int_equal(decode_exact(bytes, length, CODE_64, &found), 0);
	assert_int_equal(found.size, 8);
	/* The last of two segments counts; DS does not in 64-bit code. */
	length = bytes_of("6465893b", bytes);
	assert_int_equal(decode_exact(bytes, length, CODE_64, &found), 0);
	assert_int_equal(found.memory.segment, SEGMENT_GS);
	length = bytes_of("643e893b", bytes);
	assert_int_equal(decode_exact(bytes, length, CODE_64, &found), 0);
	assert_int_equal(found.memory.segment, SEGMENT_FS);
	assert_int_equal(decode_exact(bytes, length, CODE_32, &found), 0);
	assert_int_equal(found.memory.segment, SEGMENT_DS);
	/* The last of F2 and F3 counts; it means nothing to a move. */
	length = bytes_of("f2f3a4", bytes);
	assert_int_equal(decode_exact(bytes, length, CODE_64, &found), 0);
	assert_true(found.repeated);
	length = bytes_of("f38807", bytes);
	assert_int_equal(decode_exact(bytes, length, CODE_64, &found), 0);
	assert_false(found.repeated);
	/* Any REX makes SPL of AH. */
	length = bytes_of("408820", bytes);
	assert_int_equal(decode_exact(bytes, length, CODE_64, &found), 0);
	assert_int_equal(found.gpr, RSP);
	assert_false(found.high_byte);
}

/* ---- plain instructions ------------------------------------------------- */

static const struct {
	enum exit_kind plain;
	int bits;
	const char *hex;
} plains[] = {
	{ EXIT_CPUID, 64, "0fa2" },
	{ EXIT_CPUID, 16, "660fa2" },
	{ EXIT_CPUID, 64, "f266673e64480fa2" },
	{ EXIT_CPUID, 64,
	  "36363636363636363636363636"
	  "0fa2" },
	{ EXIT_MSR_READ, 64, "0f32" },
	{ EXIT_MSR_WRITE, 64, "480f30" },
	{ EXIT_HYPERCALL, 32, "0f01d9" },
	{ EXIT_HALT, 64, "f4" },
	{ EXIT_CACHE, 64, "0f08" },
	{ EXIT_CACHE, 64, "0f09" },
	{ EXIT_CACHE, 64, "f30f09" },
	{ EXIT_XSETBV, 64, "0f01d1" },
};

static enum error plain_exact(const uint8_t *bytes, size_t length, int bits,
			      enum exit_kind plain, uint8_t *skip)
{
	uint8_t *copy = malloc(length ? length : 1);
	enum error error;

	memcpy(copy, bytes, length);
	error = instruction_length_plain(length ? copy : copy + 1, length,
					 mode_of(bits), plain, skip);
	free(copy);
	return error;
}

static void plain_lengths_are_right(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(plains); i++) {
		uint8_t bytes[32], skip = 0;
		size_t length = bytes_of(plains[i].hex, bytes);

		assert_int_equal(plain_exact(bytes, length, plains[i].bits,
					     plains[i].plain, &skip),
				 ERR_NONE);
		assert_int_equal(skip, length);
		for (size_t part = 0; part < length; part++)
			assert_int_equal(plain_exact(bytes, part,
						     plains[i].bits,
						     plains[i].plain, &skip),
					 ERR_TRUNCATED);
	}
}

/* Each instruction is taken for its own kind only. */
static void plain_sees_another_instruction(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(plains); i++) {
		uint8_t bytes[32] = { 0 }, skip;

		bytes_of(plains[i].hex, bytes);
		for (int plain = 0; plain < EXIT_KIND_COUNT; plain++) {
			enum error expected = plain == (int)plains[i].plain ?
						      ERR_NONE :
						      ERR_BAD_INSTRUCTION;

			assert_int_equal(plain_exact(bytes, INSTRUCTION_MAX,
						     plains[i].bits, plain,
						     &skip),
					 expected);
		}
	}
}

static void plain_refuses_near_misses(void **state)
{
	static const struct {
		enum exit_kind plain;
		int bits;
		const char *hex;
	} refused[] = {
		{ EXIT_CPUID, 64, "f00fa2" },	  /* LOCK */
		{ EXIT_HYPERCALL, 64, "0f01c1" }, /* Intel's VMCALL */
		{ EXIT_PORT_IO, 64, "ec" },	  /* the processor says it */
		{ EXIT_CPUID, 32, "480fa2" },	  /* dec eax */
		{ EXIT_HALT, 64, "eb" },
	};
	uint8_t bytes[32], skip;

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(refused); i++) {
		size_t length = bytes_of(refused[i].hex, bytes);

		assert_int_equal(plain_exact(bytes, length, refused[i].bits,
					     refused[i].plain, &skip),
				 ERR_BAD_INSTRUCTION);
	}
	/* One byte too long for the processor. */
	bytes_of("36363636363636363636363636360fa2", bytes);
	assert_int_equal(plain_exact(bytes, 16, 64, EXIT_CPUID, &skip),
			 ERR_TRUNCATED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decodes_what_the_assembler_encodes),
		cmocka_unit_test(every_shorter_start_is_truncated),
		cmocka_unit_test(refuses_what_it_does_not_cover),
		cmocka_unit_test(length_ends_at_fifteen_bytes),
		cmocka_unit_test(prefixes_count_as_the_processor_counts_them),
		cmocka_unit_test(plain_lengths_are_right),
		cmocka_unit_test(plain_sees_another_instruction),
		cmocka_unit_test(plain_refuses_near_misses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
