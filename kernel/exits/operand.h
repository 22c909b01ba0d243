/* SPDX-License-Identifier: MIT */
/* Operands of an instruction that is emulated: where and what they are. */
#ifndef KERNEL_EXITS_OPERAND_H
#define KERNEL_EXITS_OPERAND_H

#include <mullion/emulate.h>
#include <mullion/guest_walk.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One instruction under way. */
struct job {
	struct emulate_cpu *cpu;
	const struct guest_memory *memory;
	const struct emulate_mmio *mmio;
	const struct instruction *instruction;
	struct guest_event *fault;
	struct guest_paging paging;
	enum code_mode mode;
	uint64_t faulting_page;
	bool confirmed; /* an operand lies in faulting_page */
};

/* The operand beside the one in memory, cut to its size. */
uint64_t operand_other(const struct job *job);
void operand_set_other(const struct job *job, uint64_t value);

/*
 * operand_offset - the offset in its segment of the operand in memory
 * @stack_pointer: RSP as the address takes it; POP has moved it before
 */
uint64_t operand_offset(const struct job *job, uint64_t stack_pointer);

/* Finds the operand at @offset in @segment, for one @access; notes whether it
 * is where the processor met the device.  Errors as guest_walk. */
enum error operand_place(struct job *job, unsigned segment, uint64_t offset,
			 enum guest_access access, struct guest_range *range);

/* With all operands placed: ERR_BUSY, so that the guest tries again, when none
 * is where the processor met the device. */
enum error operand_confirm(const struct job *job);

/* Reads and writes a placed operand, be it RAM, a device, or both. */
enum error operand_read(const struct job *job, const struct guest_range *range,
			uint64_t *value);
enum error operand_write(const struct job *job, const struct guest_range *range,
			 uint64_t value);

#endif
