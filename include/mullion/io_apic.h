/* SPDX-License-Identifier: MIT */
/* The emulated I/O APIC of a VM.  Callers hold vm->device_lock.  Intel
 * 290566, "82093AA I/O APIC", "I/O APIC Registers"; version 0x20 with the
 * EOI register. */
#ifndef MULLION_IO_APIC_H
#define MULLION_IO_APIC_H

#include <mullion/guest.h>
#include <stdbool.h>
#include <stdint.h>

struct vm;
struct vcpu;

struct io_apic {
	uint64_t entries[MULL_GUEST_IO_APIC_PINS];
	uint32_t select;
	uint32_t id;
	uint32_t lines; /* level of each input pin */
};

void io_apic_reset(struct vm *vm);
uint64_t io_apic_read(struct vm *vm, uint32_t offset, uint32_t size);
void io_apic_write(struct vm *vm, uint32_t offset, uint32_t size,
		   uint64_t value);
/* A device sets its line; an edge entry fires on a rise. */
void io_apic_set_line(struct vm *vm, uint32_t pin, bool high);
/* Whether input 0, where a PC's 8259A are, is passed on to @vcpu as theirs. */
bool io_apic_passes_pic(struct vm *vm, const struct vcpu *vcpu);
/* A vCPU ended the level interrupt @vector. */
void io_apic_end_of_interrupt(struct vm *vm, uint8_t vector);

#endif
