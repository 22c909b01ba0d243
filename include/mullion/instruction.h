/* SPDX-License-Identifier: MIT */
/*
 * Decoding of guest instructions: pure functions over at most 15 bytes.
 * Covers what a guest uses on device memory; everything else is refused, so
 * that nothing is ever emulated on a guess.
 * Source: AMD APM 24594, 'One-Byte Opcodes' and 'Secondary Opcode Map';
 * Intel SDM 325383, 'One-byte Opcode Map' and 'Two-byte Opcode Map'.
 */
#ifndef MULLION_INSTRUCTION_H
#define MULLION_INSTRUCTION_H

#include <mullion/error.h>
#include <mullion/vcpu.h>
#include <mullion/vm_exit.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INSTRUCTION_MAX 15 /* bytes; the processor refuses longer ones */
#define NO_GPR 0xff	   /* no base or no index register */

/* The size of code: CS.L gives CODE_64, else CS.D gives CODE_32. */
enum code_mode { CODE_16, CODE_32, CODE_64 };

enum operation {
	OPERATION_NONE,	     /* never in a decoded instruction */
	OPERATION_MOVE,	     /* also MOVNTI */
	OPERATION_MOVE_ZERO, /* zero-extend a small memory operand */
	OPERATION_MOVE_SIGN, /* sign-extend it */
	OPERATION_MOVE_SWAP, /* MOVBE: bytes in the other order */
	OPERATION_ADD,
	OPERATION_OR,
	OPERATION_ADC,
	OPERATION_SBB,
	OPERATION_AND,
	OPERATION_SUB,
	OPERATION_XOR,
	OPERATION_CMP,
	OPERATION_TEST,
	OPERATION_INC,
	OPERATION_DEC,
	OPERATION_NOT,
	OPERATION_NEG,
	OPERATION_XCHG,
	OPERATION_XADD,
	OPERATION_CMPXCHG,
	OPERATION_BT,
	OPERATION_BTS,
	OPERATION_BTR,
	OPERATION_BTC,
	OPERATION_PUSH, /* the memory operand goes to the stack */
	OPERATION_POP,
	OPERATION_MOVS, /* memory operand: the source; target: ES:rDI */
	OPERATION_STOS,
	OPERATION_LODS,
	OPERATION_COUNT
};

/* What stands beside the memory operand. */
enum other_operand { OTHER_NONE, OTHER_GPR, OTHER_IMMEDIATE };

/*
 * Address = base + index * scale + displacement (+ the address of the next
 * instruction, when @rip_relative), cut to @address_size, in @segment.
 */
struct memory_operand {
	uint8_t base;	      /* enum gpr or NO_GPR */
	uint8_t index;	      /* enum gpr or NO_GPR */
	uint8_t scale;	      /* 1, 2, 4, 8 */
	uint8_t segment;      /* enum guest_segment_number */
	uint8_t address_size; /* bytes: 2, 4, 8 */
	bool rip_relative;
	int64_t displacement;
};

struct instruction {
	enum operation operation;
	enum other_operand other;
	uint8_t length;	    /* bytes of the instruction, 1..INSTRUCTION_MAX */
	uint8_t size;	    /* bytes of the memory operand: 1, 2, 4, 8 */
	uint8_t gpr;	    /* the register of OTHER_GPR, 0..15 */
	uint8_t gpr_size;   /* bytes of it; above @size when it is extended */
	bool high_byte;	    /* bits 15:8 of @gpr are meant: AH, CH, DH, BH */
	bool to_memory;	    /* memory is the first operand, else the second */
	bool locked;	    /* LOCK prefix */
	bool repeated;	    /* REP prefix of a string operation */
	uint64_t immediate; /* sign-extended */
	struct memory_operand memory;
};

/*
 * instruction_decode - what an instruction with a memory operand does
 * @bytes, @length: what is there of it, 0 bytes or more
 *
 * Returns ERR_NONE; ERR_TRUNCATED when the instruction goes on after
 * @length or INSTRUCTION_MAX bytes; ERR_BAD_INSTRUCTION for one that is not
 * covered, has no memory operand or is undefined.  @out is valid only after
 * ERR_NONE.
 */
enum error instruction_decode(const uint8_t *bytes, size_t length,
			      enum code_mode mode, struct instruction *out);

/*
 * instruction_length_plain - how far to skip an instruction that exited,
 * where the processor does not give the next RIP
 * @kind: what the exit says it was
 * @skip: its bytes, prefixes included; valid only after ERR_NONE
 *
 * Returns ERR_NONE; ERR_TRUNCATED as above; ERR_BAD_INSTRUCTION when the
 * bytes are another instruction: another vCPU has changed the code since the
 * exit, and the guest should be resumed where it is.
 */
enum error instruction_length_plain(const uint8_t *bytes, size_t length,
				    enum code_mode mode, enum exit_kind kind,
				    uint8_t *skip);

#endif
