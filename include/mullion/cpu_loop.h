/* SPDX-License-Identifier: MIT */
/* Each physical CPU's own loop over the vCPUs that are pinned to it. */
#ifndef MULLION_CPU_LOOP_H
#define MULLION_CPU_LOOP_H

#include <mullion/control.h>
#include <stdbool.h>
#include <stdint.h>

struct vcpu;

/* Brings @vcpu to its CPU's loop, or takes it out, for good: that CPU does it
 * soon, and counts vm->left then.  Any CPU. */
void cpu_loop_move(struct vcpu *vcpu);

/* The CPU that serves the management channel. */
void cpu_loop_set_service(uint32_t cpu);
uint32_t cpu_loop_service(void);

/* The vCPU whose guest this CPU ran last, for messages; NULL: none. */
struct vcpu *cpu_loop_current(void);

/* All but the number of vCPUs; @time_ns: since the start. */
void cpu_loop_stats(uint32_t cpu, uint64_t time_ns,
		    struct mull_cpu_stats *stats);

/* Whether it follows the machine's schedule, and how it has kept to it. */
bool cpu_loop_has_slots(uint32_t cpu);
void cpu_loop_slot_stats(uint32_t cpu, struct mull_slot_stats *stats);

/* The service CPU kicks this one, which has no timer, when arch_time() reaches
 * @time: the next one replaces it, and ARCH_NO_DEADLINE ends it. */
void cpu_loop_watch(uint64_t time);

_Noreturn void cpu_loop(void);

#endif
