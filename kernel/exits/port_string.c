/* SPDX-License-Identifier: MIT */
/*
 * INS and OUTS.  The exit says port, size and whether REP stands before it;
 * segment and address size are in the instruction's prefixes.  A repeated one
 * is done in batches: between them the guest is entered at the same place,
 * with the registers of what is left, and can take interrupts.
 */
#include "port.h"

#include <mullion/bits.h>
#include <mullion/cpuid.h>
#include <mullion/guest_walk.h>
#include <mullion/log.h>
#include <mullion/vm.h>

#define BATCH 16 /* elements; each costs one or two walks */

#define RFLAGS_DIRECTION BIT(10)

/* "Segment attributes", see struct guest_segment */
#define SEGMENT_TYPE_CODE BIT(3)
#define SEGMENT_TYPE_EXPAND_DOWN BIT(2) /* of data */
#define SEGMENT_TYPE_ALLOWS BIT(1)	/* data: write; code: read */
#define SEGMENT_PRESENT BIT(7)
#define SEGMENT_BIG BIT(10)

#define VECTOR_SS 12
#define VECTOR_GP 13
#define VECTOR_PF 14

/* One instruction under way. */
struct string {
	struct vcpu *vcpu;
	struct exit_port port;
	struct guest_system system;
	struct guest_paging paging;
	enum code_mode mode;
	enum guest_segment_number segment;
	uint8_t address_size; /* bytes */
	struct guest_event fault;
};

/* ---- prefixes ----------------------------------------------------------- */

/* Whether @byte is a prefix; what it says goes into @string. */
static bool take_prefix(struct string *string, uint8_t byte)
{
	switch (byte) {
	case 0x26:
		string->segment = SEGMENT_ES;
		return true;
	case 0x2e:
		string->segment = SEGMENT_CS;
		return true;
	case 0x36:
		string->segment = SEGMENT_SS;
		return true;
	case 0x3e:
		string->segment = SEGMENT_DS;
		return true;
	case 0x64:
		string->segment = SEGMENT_FS;
		return true;
	case 0x65:
		string->segment = SEGMENT_GS;
		return true;
	case 0x67:
		string->address_size = string->mode == CODE_32 ? 2 : 4;
		return true;
	case 0x66: /* operand size: the exit has it */
	case 0xf2:
	case 0xf3:
		return true;
	case 0x40 ... 0x4f: /* REX changes nothing here */
		return string->mode == CODE_64;
	default:
		return false;
	}
}

/* Reads the prefixes; an error when the instruction is another one now, or
 * cannot be read: then the guest tries again. */
static enum error decode(struct string *string)
{
	static const uint8_t address_sizes[] = {
		[CODE_16] = 2, [CODE_32] = 4, [CODE_64] = 8
	};
	/* 6C and 6D are INS, 6E and 6F are OUTS. */
	uint8_t opcode = string->port.in ? 0x6c : 0x6e;
	struct vcpu *vcpu = string->vcpu;
	uint64_t rip = vcpu->rip;
	uint8_t bytes[INSTRUCTION_MAX];
	size_t length, at = 0;
	enum error error;

	if (string->mode != CODE_64) {
		rip += string->system.segments[SEGMENT_CS].base;
		rip = (uint32_t)rip;
	}
	error = guest_fetch(&vcpu->vm->memory, &string->paging, gva(rip), bytes,
			    &length, &string->fault);
	if (error)
		return error;
	string->segment = SEGMENT_DS;
	string->address_size = address_sizes[string->mode];
	while (at < length && take_prefix(string, bytes[at]))
		at++;
	if (at == length || (bytes[at] & 0xfe) != opcode)
		return ERR_BUSY;
	if (string->port.in)
		string->segment = SEGMENT_ES; /* prefixes do not change it */
	return ERR_NONE;
}

/* ---- registers and addresses -------------------------------------------- */

static uint64_t part_read(const struct string *string, enum gpr number)
{
	return string->vcpu->gpr[number] &
	       BITS(8 * string->address_size - 1, 0);
}

/* As the processor writes a register of the address size. */
static void part_write(struct string *string, enum gpr number, uint64_t value)
{
	uint64_t part = BITS(8 * string->address_size - 1, 0);
	uint64_t *gpr = &string->vcpu->gpr[number];

	*gpr = (string->address_size == 2 ? *gpr & ~part : 0) | (value & part);
}

/* "Segment Limit Checks in Compatibility Mode", "Data Segment Types" */
static bool segment_allows(const struct string *string, uint64_t offset)
{
	const struct guest_segment *segment =
		&string->system.segments[string->segment];
	uint64_t last = offset + string->port.size - 1;
	uint16_t is = segment->attributes;

	if (!(is & SEGMENT_PRESENT))
		return false;
	if (string->port.in &&
	    (is & SEGMENT_TYPE_CODE || !(is & SEGMENT_TYPE_ALLOWS)))
		return false;
	if (is & SEGMENT_TYPE_CODE && !(is & SEGMENT_TYPE_ALLOWS))
		return false;
	if (!(is & SEGMENT_TYPE_CODE) && is & SEGMENT_TYPE_EXPAND_DOWN)
		return offset > segment->limit &&
		       last <= (is & SEGMENT_BIG ? 0xffffffff : 0xffff);
	return last <= segment->limit;
}

/* Where the element at @offset is; ERR_NOT_MAPPED with the exception. */
static enum error element_address(struct string *string, uint64_t offset,
				  uint64_t *linear)
{
	uint64_t base = string->system.segments[string->segment].base;

	if (string->mode == CODE_64) {
		bool has_base = string->segment == SEGMENT_FS ||
				string->segment == SEGMENT_GS;

		*linear = has_base ? base + offset : offset;
		return ERR_NONE;
	}
	*linear = (uint32_t)(base + offset);
	if (segment_allows(string, offset))
		return ERR_NONE;
	string->fault = (struct guest_event){
		.kind = EVENT_EXCEPTION,
		.vector = string->segment == SEGMENT_SS ? VECTOR_SS : VECTOR_GP,
		.has_error_code = true,
	};
	return ERR_NOT_MAPPED;
}

/* ---- one element -------------------------------------------------------- */

static enum error element_out(struct string *string, uint64_t linear)
{
	struct vm *vm = string->vcpu->vm;
	uint32_t value = 0;
	enum error error = guest_read_linear(&vm->memory, &string->paging,
					     gva(linear), &value,
					     string->port.size, &string->fault);

	if (!error)
		port_write(vm, string->port.port, string->port.size, value);
	return error;
}

/* A byte that a device gave is gone, so that its place is found first. */
static enum error element_in(struct string *string, uint64_t linear)
{
	struct vm *vm = string->vcpu->vm;
	struct guest_range range;
	uint32_t value;
	const uint8_t *from = (const uint8_t *)&value;
	enum error error = guest_walk_range(
		&vm->memory, &string->paging, gva(linear), string->port.size,
		ACCESS_WRITE, &range, &string->fault);

	if (error)
		return error;
	for (unsigned i = 0; i < range.count; i++)
		if (!guest_is_ram(&vm->memory, range.start[i], range.length[i]))
			return ERR_BAD_ADDRESS;
	value = port_read(vm, string->port.port, string->port.size);
	for (unsigned i = 0; i < range.count; i++) {
		error = guest_write(&vm->memory, range.start[i], from,
				    range.length[i]);
		if (error)
			return error;
		from += range.length[i];
	}
	return ERR_NONE;
}

/* ---- the instruction ---------------------------------------------------- */

static enum error element(struct string *string)
{
	enum gpr pointer = string->port.in ? RDI : RSI;
	uint64_t offset = part_read(string, pointer);
	uint64_t step = string->port.size;
	uint64_t linear;
	enum error error = element_address(string, offset, &linear);

	if (!error)
		error = string->port.in ? element_in(string, linear) :
					  element_out(string, linear);
	if (error)
		return error;
	if (string->vcpu->rflags & RFLAGS_DIRECTION)
		step = -step;
	part_write(string, pointer, offset + step);
	return ERR_NONE;
}

/* Sets @finished when nothing is left of the instruction. */
static enum error batch(struct string *string, bool *finished)
{
	uint64_t left = part_read(string, RCX);
	enum error error = ERR_NONE;

	if (!string->port.repeat) {
		error = element(string);
		*finished = true;
		return error;
	}
	for (int i = 0; i < BATCH && left && !error; i++) {
		error = element(string);
		if (!error)
			part_write(string, RCX, --left);
	}
	*finished = !left;
	return error;
}

static void deliver_fault(struct string *string)
{
	const struct guest_event *fault = &string->fault;

	if (fault->vector == VECTOR_PF)
		vcpu_page_fault(string->vcpu, fault->error_code, fault->cr2);
	else
		vcpu_exception_code(string->vcpu, fault->vector,
				    fault->error_code);
}

void port_string(struct vcpu *vcpu, const struct vm_exit *exit)
{
	struct string string = { .vcpu = vcpu, .port = exit->port };
	bool finished = false;
	enum error error;

	virt->read_system(vcpu, &string.system);
	string.mode = guest_code_mode(&string.system);
	string.paging = guest_paging_of(&string.system, vcpu->rflags,
					(uint8_t)guest_physical_bits());
	error = decode(&string);
	if (!error)
		error = batch(&string, &finished);

	switch (error) {
	case ERR_NONE:
		if (finished)
			vcpu_skip(vcpu, exit);
		break;
	case ERR_BUSY: /* another vCPU was in the way: the guest tries again */
		break;
	case ERR_NOT_MAPPED:
		deliver_fault(&string);
		break;
	default:
		log_guest(vcpu,
			  "string I/O at port 0x%x with memory that is "
			  "not RAM",
			  exit->port.port);
		vcpu_exception_code(vcpu, VECTOR_GP, 0);
		break;
	}
}
