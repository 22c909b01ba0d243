/* SPDX-License-Identifier: MIT */
/* The cases of the hostile guest, by subject. */
#ifndef HOSTILE_H
#define HOSTILE_H

#include "sdk.h"

/* Where there is neither memory nor a device. */
#define NOWHERE 0xd0000000

uint64_t hostile_random(void);

/* mmio.c, mmio_code.c */
void mmio_wild(void);
void mmio_crossing(void);
void mmio_string(void);
void mmio_random(void);
void mmio_operations(void);
void mmio_changing_code(void);
void mmio_odd(void);

/* ports.c */
void port_sweep(void);
void port_string(void);
void port_flood(void);

/* registers.c */
void msr_read_sweep(void);
void msr_write_sweep(void);
void msr_canonical(void);
void cpuid_sweep(void);
void control_registers(void);
void leave_pae(void);
void cr0_high(void);
void cr0_cache(void);
void cr0_protection(void);

/* instructions.c */
void privileged_instructions(void);
void cache_instructions(void);
void single_step(void);
void last_canonical(void);

/* calls.c */
void hypercall_flood(void);
void clock_wild(void);

/* interrupts.c, storms.c */
void apic_sweep(void);
void apic_commands(void);
void io_apic_sweep(void);
void io_apic_level(void);
void timer_extremes(void);
void ipi_storm(void);
void init_storm(void);
void init_itself(void);

/* ends.c */
void stack_in_mmio(void);
void gdt_in_mmio(void);
void code_in_mmio(void);
void code_in_apic(void);
void code_in_hole(void);
void tables_in_mmio(void);
void tables_in_hole(void);
void walk_in_mmio(void);
void idt_in_mmio(void);
void triple_fault(void);
void halt_forever(void);
void power_off(void);
void reset(void);
void spin(void);

#endif
