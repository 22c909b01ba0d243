/* SPDX-License-Identifier: MIT */
#include "operand.h"

#include "arithmetic.h"
#include <mullion/bits.h>

#define CR0_PE BIT(0)
#define RFLAGS_VM BIT(17)
#define VECTOR_SS 12
#define VECTOR_GP 13

/* "Segment attributes" of struct guest_segment. */
#define ATTRIBUTE_WRITABLE BIT(1) /* of data; of code: readable */
#define ATTRIBUTE_DOWN BIT(2)	  /* of data: expand-down */
#define ATTRIBUTE_CODE BIT(3)
#define ATTRIBUTE_PRESENT BIT(7)
#define ATTRIBUTE_BIG BIT(10)

/* ---- where it is -------------------------------------------------------- */

static enum error segment_fault(const struct job *job, unsigned segment)
{
	*job->fault = (struct guest_event){
		.kind = EVENT_EXCEPTION,
		.vector = segment == SEGMENT_SS ? VECTOR_SS : VECTOR_GP,
		.has_error_code = job->paging.cr0 & CR0_PE,
	};
	return ERR_NOT_MAPPED;
}

/* "Segment type checking"; real and virtual-8086 mode have no types. */
static bool type_allows(const struct job *job, uint16_t attributes,
			enum guest_access access)
{
	if (!(job->paging.cr0 & CR0_PE) || job->cpu->rflags & RFLAGS_VM)
		return true;
	if (!(attributes & ATTRIBUTE_PRESENT))
		return false;
	if (access == ACCESS_WRITE)
		return !(attributes & ATTRIBUTE_CODE) &&
		       attributes & ATTRIBUTE_WRITABLE;
	return !(attributes & ATTRIBUTE_CODE) ||
	       attributes & ATTRIBUTE_WRITABLE;
}

/* "Segment limit checking" of @size bytes at @offset. */
static bool limit_allows(const struct guest_segment *segment, uint64_t offset,
			 unsigned size)
{
	bool data = !(segment->attributes & ATTRIBUTE_CODE);
	uint64_t limit = segment->limit;

	if (data && segment->attributes & ATTRIBUTE_DOWN) {
		if (offset <= limit)
			return false;
		limit = segment->attributes & ATTRIBUTE_BIG ? BITS(31, 0) :
							      BITS(15, 0);
	}
	return offset <= limit && size - 1 <= limit - offset;
}

static enum error to_linear(const struct job *job, unsigned number,
			    uint64_t offset, enum guest_access access,
			    uint64_t *linear)
{
	const struct guest_segment *segment =
		&job->cpu->system->segments[number];
	unsigned size = job->instruction->size;

	if (job->mode == CODE_64) {
		if (number >= SEGMENT_FS) /* the others start at 0 */
			offset += segment->base;
		if (!guest_is_canonical(&job->paging, offset) ||
		    !guest_is_canonical(&job->paging, offset + size - 1))
			return segment_fault(job, number);
		*linear = offset;
		return ERR_NONE;
	}
	if (!type_allows(job, segment->attributes, access) ||
	    !limit_allows(segment, offset, size))
		return segment_fault(job, number);
	*linear = cut(segment->base + offset, 4);
	return ERR_NONE;
}

enum error operand_place(struct job *job, unsigned segment, uint64_t offset,
			 enum guest_access access, struct guest_range *range)
{
	uint64_t linear = 0;
	enum error error = to_linear(job, segment, offset, access, &linear);

	if (!error)
		error = guest_walk_range(job->memory, &job->paging, gva(linear),
					 job->instruction->size, access, range,
					 job->fault);
	if (error)
		return error;
	for (unsigned i = 0; i < range->count; i++)
		if (round_down(range->start[i].value, PAGE_SIZE) ==
		    job->faulting_page)
			job->confirmed = true;
	return ERR_NONE;
}

enum error operand_confirm(const struct job *job)
{
	return job->confirmed ? ERR_NONE : ERR_BUSY;
}

uint64_t operand_other(const struct job *job)
{
	const struct instruction *instruction = job->instruction;
	uint64_t value;

	if (instruction->other == OTHER_IMMEDIATE)
		return cut(instruction->immediate, instruction->size);
	value = job->cpu->gpr[instruction->gpr];
	if (instruction->high_byte)
		value >>= 8;
	return cut(value, instruction->gpr_size);
}

void operand_set_other(const struct job *job, uint64_t value)
{
	const struct instruction *instruction = job->instruction;
	uint64_t *gpr = &job->cpu->gpr[instruction->gpr];

	if (instruction->high_byte)
		*gpr = (*gpr & ~BITS(15, 8)) | field_make(BITS(15, 8), value);
	else
		*gpr = merge(*gpr, value, instruction->gpr_size);
}

/* Bit instructions with a register reach beyond their operand. */
static uint64_t bit_displacement(const struct job *job)
{
	const struct instruction *instruction = job->instruction;
	unsigned size = instruction->size;
	int64_t bit;

	if (instruction->operation < OPERATION_BT ||
	    instruction->operation > OPERATION_BTC ||
	    instruction->other != OTHER_GPR)
		return 0;
	bit = (int64_t)sign_extend(operand_other(job), size);
	return (uint64_t)(bit >> 3) & ~(uint64_t)(size - 1);
}

uint64_t operand_offset(const struct job *job, uint64_t stack_pointer)
{
	const struct memory_operand *memory = &job->instruction->memory;
	const uint64_t *gpr = job->cpu->gpr;
	uint64_t offset = (uint64_t)memory->displacement;

	if (memory->base == RSP)
		offset += stack_pointer;
	else if (memory->base != NO_GPR)
		offset += gpr[memory->base];
	if (memory->index != NO_GPR)
		offset += gpr[memory->index] * memory->scale;
	if (memory->rip_relative)
		offset += job->cpu->rip + job->instruction->length;
	offset += bit_displacement(job);
	return cut(offset, memory->address_size);
}

/* ---- reading and writing it --------------------------------------------- */

/* The largest access of 1, 2, 4 or 8 bytes within @length. */
static size_t chunk_of(size_t length)
{
	return length >= 8 ? 8 : length >= 4 ? 4 : length >= 2 ? 2 : 1;
}

static enum error read_run(const struct job *job, gpa_t at, size_t length,
			   uint64_t *value)
{
	size_t done = 0;

	*value = 0;
	if (guest_is_ram(job->memory, at, length))
		return guest_read(job->memory, at, value, length);
	while (done < length) {
		size_t chunk = chunk_of(length - done);
		uint64_t part = job->mmio->read(job->mmio->context,
						gpa(at.value + done), chunk);

		*value |= cut(part, (unsigned)chunk) << (8 * done);
		done += chunk;
	}
	return ERR_NONE;
}

static enum error write_run(const struct job *job, gpa_t at, size_t length,
			    uint64_t value)
{
	size_t done = 0;

	if (guest_is_ram(job->memory, at, length))
		return guest_write(job->memory, at, &value, length);
	while (done < length) {
		size_t chunk = chunk_of(length - done);

		job->mmio->write(job->mmio->context, gpa(at.value + done),
				 chunk,
				 cut(value >> (8 * done), (unsigned)chunk));
		done += chunk;
	}
	return ERR_NONE;
}

enum error operand_read(const struct job *job, const struct guest_range *range,
			uint64_t *value)
{
	size_t done = 0;

	*value = 0;
	for (unsigned i = 0; i < range->count; i++) {
		uint64_t part;
		enum error error = read_run(job, range->start[i],
					    range->length[i], &part);

		if (error)
			return error;
		*value |= part << (8 * done);
		done += range->length[i];
	}
	return ERR_NONE;
}

enum error operand_write(const struct job *job, const struct guest_range *range,
			 uint64_t value)
{
	size_t done = 0;

	for (unsigned i = 0; i < range->count; i++) {
		enum error error = write_run(job, range->start[i],
					     range->length[i],
					     value >> (8 * done));

		if (error)
			return error;
		done += range->length[i];
	}
	return ERR_NONE;
}
