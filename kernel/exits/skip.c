/* SPDX-License-Identifier: MIT */
/* Going on behind an instruction that was emulated. */
#include <mullion/bits.h>
#include <mullion/cpuid.h>
#include <mullion/guest_walk.h>
#include <mullion/instruction.h>
#include <mullion/log.h>
#include <mullion/vm.h>

#define RFLAGS_TF BIT(8)
#define DR6_SINGLE_STEP BIT(14)
#define VECTOR_DB 1

static enum error length_of(struct vcpu *vcpu,
			    const struct guest_system *system,
			    const struct vm_exit *exit, uint8_t *length)
{
	struct guest_paging paging = guest_paging_of(system, vcpu->rflags,
						     guest_physical_bits());
	enum code_mode mode = guest_code_mode(system);
	uint8_t bytes[INSTRUCTION_MAX];
	struct guest_event fault;
	uint64_t linear = vcpu->rip;
	enum error error;
	size_t count;

	if (mode != CODE_64)
		linear = (uint32_t)(linear + system->segments[SEGMENT_CS].base);
	error = guest_fetch(&vcpu->vm->memory, &paging, gva(linear), bytes,
			    &count, &fault);
	if (error != ERR_NONE)
		return error;
	return instruction_length_plain(bytes, count, mode, exit->kind, length);
}

/* "Debug Exception Conditions": a trap, after the instruction. */
void vcpu_moved_on(struct vcpu *vcpu)
{
	struct guest_system system;

	if (vcpu->stepping)
		vcpu_stop(vcpu);
	if (vcpu->stepping || !(vcpu->rflags & RFLAGS_TF))
		return;
	virt->read_system(vcpu, &system);
	system.dr6 |= DR6_SINGLE_STEP;
	virt->write_system(vcpu, &system);
	vcpu_exception(vcpu, VECTOR_DB);
}

static void skip_slowly(struct vcpu *vcpu, const struct vm_exit *exit)
{
	struct guest_system system;
	uint8_t length = exit->length;

	virt->read_system(vcpu, &system);
	if (length == 0 && length_of(vcpu, &system, exit, &length) != ERR_NONE)
		return;
	vcpu->rip += length;
	if (guest_code_mode(&system) != CODE_64)
		vcpu->rip = (uint32_t)vcpu->rip;
	vcpu_moved_on(vcpu);
}

/*
 * When the bytes cannot be read, or are another instruction, another vCPU has
 * changed them since the exit: the guest simply goes on where it is.
 */
void vcpu_skip(struct vcpu *vcpu, const struct vm_exit *exit)
{
	/* Only at 4 GiB does the size of code make a difference. */
	bool may_wrap = vcpu->rip <= UINT32_MAX &&
			vcpu->rip > UINT32_MAX - INSTRUCTION_MAX;

	if (exit->length == 0 || may_wrap || vcpu->rflags & RFLAGS_TF)
		skip_slowly(vcpu, exit);
	else
		vcpu->rip += exit->length;
}
