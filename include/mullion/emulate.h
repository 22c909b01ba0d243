/* SPDX-License-Identifier: MIT */
/*
 * Instructions that touched device memory, done in the guest's place.
 * What is not done: #AC for unaligned accesses, data breakpoints, and the
 * atomicity of LOCK towards other vCPUs (a device's registers are guarded by
 * the device).
 */
#ifndef MULLION_EMULATE_H
#define MULLION_EMULATE_H

#include <mullion/address.h>
#include <mullion/error.h>
#include <mullion/guest_memory.h>
#include <mullion/instruction.h>
#include <mullion/virt.h>
#include <stddef.h>
#include <stdint.h>

/* Iterations of a REP instruction that are done at one exit. */
#define EMULATE_REPEAT_MAX 64

/* The vCPU whose instruction it is. */
struct emulate_cpu {
	uint64_t *gpr; /* GPR_COUNT registers by enum gpr; changed in place */
	uint64_t rip, rflags;
	const struct guest_system *system;
	uint8_t physical_bits; /* MAXPHYADDR of the guest's CPUID */
};

/*
 * Guest-physical addresses that are not RAM.  @size is 1, 2, 4 or 8 and
 * @at of any alignment, within a page.  Nobody there: reads give all ones.
 */
struct emulate_mmio {
	void *context;
	uint64_t (*read)(void *context, gpa_t at, size_t size);
	void (*write)(void *context, gpa_t at, size_t size, uint64_t value);
};

/*
 * emulate_run - do one decoded instruction
 * @faulting: where the processor says the access went
 *
 * Returns
 * - ERR_NONE: enter the guest again.  @cpu->rip has moved on, unless a REP
 *   instruction is not finished, or @faulting is not where the instruction
 *   leads any longer (another vCPU changed the code or the page tables).
 *   If it moved on, the interrupt shadow ends, and a guest with RFLAGS.TF set
 *   has earned a single-step #DB.
 * - ERR_NOT_MAPPED: the guest has earned the exception in @fault; @cpu is as
 *   before the instruction, or before the iteration of REP that failed.
 * - others: it cannot be done; @cpu is as after ERR_NOT_MAPPED.
 * No memory is written and no device touched before every operand is
 * translated; no byte is read twice.
 */
enum error emulate_run(struct emulate_cpu *cpu,
		       const struct guest_memory *memory,
		       const struct emulate_mmio *mmio, gpa_t faulting,
		       const struct instruction *instruction,
		       struct guest_event *fault);

/*
 * emulate_next - the same for the instruction at @cpu->rip
 *
 * Also returns ERR_BAD_INSTRUCTION for one that is not covered, and
 * ERR_BAD_ADDRESS when it does not lie in RAM.
 */
enum error emulate_next(struct emulate_cpu *cpu,
			const struct guest_memory *memory,
			const struct emulate_mmio *mmio, gpa_t faulting,
			struct guest_event *fault);

#endif
