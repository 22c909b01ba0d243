/* SPDX-License-Identifier: MIT */
#include "arithmetic.h"
#include "operand.h"

#include <mullion/bits.h>

#define RFLAGS_ZF BIT(6)
#define RFLAGS_TF BIT(8)
#define RFLAGS_DF BIT(10)
#define RFLAGS_RF BIT(16)
#define SEGMENT_BIG BIT(10) /* "Segment attributes" of struct guest_segment */

static enum error finish(const struct job *job)
{
	struct emulate_cpu *cpu = job->cpu;

	cpu->rip += job->instruction->length;
	if (job->mode != CODE_64)
		cpu->rip = cut(cpu->rip, 4);
	cpu->rflags &= ~RFLAGS_RF;
	return ERR_NONE;
}

/* ---- one operand in memory ---------------------------------------------- */

static bool writes_memory(const struct instruction *instruction)
{
	switch (instruction->operation) {
	case OPERATION_CMP:
	case OPERATION_TEST:
	case OPERATION_BT:
		return false;
	default:
		return instruction->to_memory;
	}
}

static bool is_move(enum operation operation)
{
	return operation >= OPERATION_MOVE && operation <= OPERATION_MOVE_SWAP;
}

static uint64_t moved(const struct instruction *instruction, uint64_t value)
{
	switch (instruction->operation) {
	case OPERATION_MOVE_SIGN:
		return sign_extend(value, instruction->size);
	case OPERATION_MOVE_SWAP:
		return __builtin_bswap64(value) >> (64 - 8 * instruction->size);
	default:
		return value;
	}
}

/* MOV and its kind: memory is either read or written. */
static enum error run_move(struct job *job, const struct guest_range *range)
{
	const struct instruction *instruction = job->instruction;
	uint64_t value;
	enum error error;

	if (instruction->to_memory) {
		value = moved(instruction, operand_other(job));
		return operand_write(job, range, value);
	}
	error = operand_read(job, range, &value);
	if (!error)
		operand_set_other(job, moved(instruction, value));
	return error;
}

/* XCHG, XADD: memory and register both change. */
static enum error run_exchange(struct job *job, const struct guest_range *range,
			       uint64_t old)
{
	uint64_t new = operand_other(job), rflags = job->cpu->rflags;
	enum error error;

	if (job->instruction->operation == OPERATION_XADD)
		new = arithmetic(OPERATION_ADD, job->instruction->size, old,
				 new, &rflags);
	error = operand_write(job, range, new);
	if (error)
		return error;
	operand_set_other(job, old);
	job->cpu->rflags = rflags;
	return ERR_NONE;
}

static enum error run_compare_exchange(struct job *job,
				       const struct guest_range *range,
				       uint64_t old)
{
	unsigned size = job->instruction->size;
	uint64_t *rax = &job->cpu->gpr[RAX], rflags = job->cpu->rflags;
	bool same;
	enum error error;

	arithmetic(OPERATION_CMP, size, cut(*rax, size), old, &rflags);
	same = rflags & RFLAGS_ZF;
	/* The processor writes in any case. */
	error = operand_write(job, range, same ? operand_other(job) : old);
	if (error)
		return error;
	if (!same)
		*rax = merge(*rax, old, size);
	job->cpu->rflags = rflags;
	return ERR_NONE;
}

static enum error run_arithmetic(struct job *job,
				 const struct guest_range *range, uint64_t old)
{
	const struct instruction *instruction = job->instruction;
	uint64_t rflags = job->cpu->rflags, result, other = 0;
	enum error error = ERR_NONE;

	if (instruction->other != OTHER_NONE)
		other = operand_other(job);
	if (instruction->to_memory)
		result = arithmetic(instruction->operation, instruction->size,
				    old, other, &rflags);
	else
		result = arithmetic(instruction->operation, instruction->size,
				    other, old, &rflags);
	if (writes_memory(instruction))
		error = operand_write(job, range, result);
	else if (!instruction->to_memory &&
		 instruction->operation != OPERATION_CMP)
		operand_set_other(job, result);
	if (!error)
		job->cpu->rflags = rflags;
	return error;
}

static enum error run_operand(struct job *job)
{
	const struct instruction *instruction = job->instruction;
	uint64_t offset = operand_offset(job, job->cpu->gpr[RSP]), old = 0;
	struct guest_range range;
	enum error error;

	error = operand_place(job, instruction->memory.segment, offset,
			      writes_memory(instruction) ? ACCESS_WRITE :
							   ACCESS_READ,
			      &range);
	if (!error)
		error = operand_confirm(job);
	if (!error && !is_move(instruction->operation))
		error = operand_read(job, &range, &old);
	if (error)
		return error;
	switch (instruction->operation) {
	case OPERATION_MOVE:
	case OPERATION_MOVE_ZERO:
	case OPERATION_MOVE_SIGN:
	case OPERATION_MOVE_SWAP:
		error = run_move(job, &range);
		break;
	case OPERATION_XCHG:
	case OPERATION_XADD:
		error = run_exchange(job, &range, old);
		break;
	case OPERATION_CMPXCHG:
		error = run_compare_exchange(job, &range, old);
		break;
	default:
		error = run_arithmetic(job, &range, old);
		break;
	}
	return error ? error : finish(job);
}

/* ---- from one place in memory to another -------------------------------- */

static enum error copy(const struct job *job, const struct guest_range *from,
		       const struct guest_range *to)
{
	uint64_t value;
	enum error error = operand_confirm(job);

	if (!error)
		error = operand_read(job, from, &value);
	return error ? error : operand_write(job, to, value);
}

static unsigned stack_size(const struct job *job)
{
	const struct guest_segment *stack =
		&job->cpu->system->segments[SEGMENT_SS];

	if (job->mode == CODE_64)
		return 8;
	return stack->attributes & SEGMENT_BIG ? 4 : 2;
}

static enum error run_push(struct job *job)
{
	const struct instruction *instruction = job->instruction;
	uint64_t *rsp = &job->cpu->gpr[RSP];
	unsigned size = stack_size(job);
	uint64_t top = cut(*rsp - instruction->size, size);
	struct guest_range from, to;
	enum error error;

	error = operand_place(job, instruction->memory.segment,
			      operand_offset(job, *rsp), ACCESS_READ, &from);
	if (!error)
		error = operand_place(job, SEGMENT_SS, top, ACCESS_WRITE, &to);
	if (!error)
		error = copy(job, &from, &to);
	if (error)
		return error;
	*rsp = merge(*rsp, top, size);
	return finish(job);
}

static enum error run_pop(struct job *job)
{
	const struct instruction *instruction = job->instruction;
	uint64_t *rsp = &job->cpu->gpr[RSP];
	unsigned size = stack_size(job);
	uint64_t after = merge(*rsp, *rsp + instruction->size, size);
	struct guest_range from, to;
	enum error error;

	error = operand_place(job, SEGMENT_SS, cut(*rsp, size), ACCESS_READ,
			      &from);
	if (!error)
		error = operand_place(job, instruction->memory.segment,
				      operand_offset(job, after), ACCESS_WRITE,
				      &to);
	if (!error)
		error = copy(job, &from, &to);
	if (error)
		return error;
	*rsp = after;
	return finish(job);
}

/* ---- strings ------------------------------------------------------------ */

/* Moves rSI or rDI on by one element. */
static void step(const struct job *job, unsigned number)
{
	uint64_t *gpr = &job->cpu->gpr[number];
	uint64_t size = job->instruction->size;

	if (job->cpu->rflags & RFLAGS_DF)
		size = -size;
	*gpr = merge(*gpr, *gpr + size, job->instruction->memory.address_size);
}

static enum error move_element(struct job *job)
{
	unsigned address = job->instruction->memory.address_size;
	struct guest_range from, to;
	enum error error;

	error = operand_place(job, job->instruction->memory.segment,
			      cut(job->cpu->gpr[RSI], address), ACCESS_READ,
			      &from);
	if (!error)
		error = operand_place(job, SEGMENT_ES,
				      cut(job->cpu->gpr[RDI], address),
				      ACCESS_WRITE, &to);
	if (!error)
		error = copy(job, &from, &to);
	if (error)
		return error;
	step(job, RSI);
	step(job, RDI);
	return ERR_NONE;
}

/* LODS and STOS: a move of the accumulator. */
static enum error accumulate_element(struct job *job)
{
	const struct instruction *instruction = job->instruction;
	struct guest_range range;
	enum error error;

	error = operand_place(
		job, instruction->memory.segment,
		operand_offset(job, job->cpu->gpr[RSP]),
		instruction->to_memory ? ACCESS_WRITE : ACCESS_READ, &range);
	if (!error)
		error = operand_confirm(job);
	if (!error)
		error = run_move(job, &range);
	if (!error)
		step(job, instruction->memory.base);
	return error;
}

static enum error run_element(struct job *job)
{
	if (job->instruction->operation == OPERATION_MOVS)
		return move_element(job);
	return accumulate_element(job);
}

/* With REP, a bounded number of elements; the guest comes back for more. */
static enum error run_string(struct job *job)
{
	unsigned address = job->instruction->memory.address_size;
	uint64_t *count = &job->cpu->gpr[RCX];

	if (!job->instruction->repeated) {
		enum error error = run_element(job);

		return error ? error : finish(job);
	}
	for (unsigned i = 0; i < EMULATE_REPEAT_MAX; i++) {
		enum error error;

		if (!cut(*count, address))
			return finish(job);
		error = run_element(job);
		if (error)
			return error;
		*count = merge(*count, *count - 1, address);
		if (job->cpu->rflags & RFLAGS_TF)
			break;
	}
	return cut(*count, address) ? ERR_NONE : finish(job);
}

/* ---- instructions ------------------------------------------------------- */

enum error emulate_run(struct emulate_cpu *cpu,
		       const struct guest_memory *memory,
		       const struct emulate_mmio *mmio, gpa_t faulting,
		       const struct instruction *instruction,
		       struct guest_event *fault)
{
	struct job job = {
		.cpu = cpu,
		.memory = memory,
		.mmio = mmio,
		.instruction = instruction,
		.fault = fault,
		.paging = guest_paging_of(cpu->system, cpu->rflags,
					  cpu->physical_bits),
		.mode = guest_code_mode(cpu->system),
		.faulting_page = round_down(faulting.value, PAGE_SIZE),
	};
	enum error error;

	switch (instruction->operation) {
	case OPERATION_PUSH:
		error = run_push(&job);
		break;
	case OPERATION_POP:
		error = run_pop(&job);
		break;
	case OPERATION_MOVS:
	case OPERATION_STOS:
	case OPERATION_LODS:
		error = run_string(&job);
		break;
	default:
		error = run_operand(&job);
		break;
	}
	return error == ERR_BUSY ? ERR_NONE : error;
}

enum error emulate_next(struct emulate_cpu *cpu,
			const struct guest_memory *memory,
			const struct emulate_mmio *mmio, gpa_t faulting,
			struct guest_event *fault)
{
	struct guest_paging paging = guest_paging_of(cpu->system, cpu->rflags,
						     cpu->physical_bits);
	enum code_mode mode = guest_code_mode(cpu->system);
	struct instruction instruction;
	uint8_t bytes[INSTRUCTION_MAX];
	uint64_t linear = cpu->rip;
	size_t length;
	enum error error;

	if (mode != CODE_64)
		linear += cpu->system->segments[SEGMENT_CS].base;
	error = guest_fetch(memory, &paging, gva(linear), bytes, &length,
			    fault);
	if (!error)
		error = instruction_decode(bytes, length, mode, &instruction);
	/* The processor has just fetched and decoded it: what is not there
	 * now was taken away since, and it will say so itself. */
	if (error == ERR_NOT_MAPPED || error == ERR_TRUNCATED ||
	    error == ERR_BUSY)
		return ERR_NONE;
	if (error)
		return error;
	return emulate_run(cpu, memory, mmio, faulting, &instruction, fault);
}
