/* SPDX-License-Identifier: MIT */
/*
 * The legacy PC (`platform: pc`): interrupt controllers, timer, clock,
 * keyboard controller, and ACPI with fixed registers.  A VM that did not ask
 * for it has vm->pc NULL, and none of this in its way.
 */
#ifndef MULLION_PC_H
#define MULLION_PC_H

#include <mullion/error.h>
#include <mullion/fw_cfg.h>
#include <mullion/guest_pci.h>
#include <mullion/mtrr.h>
#include <mullion/pic.h>
#include <mullion/pit.h>
#include <mullion/rtc.h>
#include <stdbool.h>
#include <stdint.h>

struct vm;
struct vcpu;

/* The 8042, with a keyboard that nobody touches. */
struct i8042 {
	uint8_t command;	  /* whose data byte comes next; 0: none */
	uint8_t mode;		  /* its "command byte" */
	uint8_t keyboard_command; /* of two bytes, the first has come; or 0 */
	uint8_t answer_count;
	uint8_t answers[8]; /* the oldest first */
};

/* ACPI 6.3, "PM1 Event Grouping", "PM1 Control Grouping" and "Power Management
 * Timer": fixed registers, always in ACPI mode. */
struct pc_power {
	uint16_t status, enable, control;
	uint64_t looked; /* ticks of the timer up to which status is known */
};

/* What the devices that every VM has ask of it.  Lock held. */
struct pc_operations {
	/* The I/O APIC's input @pin has changed: what comes there comes to the
	 * interrupt controllers, too. */
	void (*set_line)(struct vm *vm, uint32_t pin, bool high);
	/* Ports that the other devices do not answer, and those where theirs
	 * differ; where nothing is, ones. */
	uint32_t (*port_read)(struct vm *vm, uint16_t port, uint32_t size);
	void (*port_write)(struct vm *vm, uint16_t port, uint32_t size,
			   uint32_t value);
	/* The operator's. */
	void (*press_button)(struct vm *vm);
};

struct pc {
	const struct pc_operations *operations;
	struct pic pic;
	struct pit pit;
	struct rtc rtc;
	struct i8042 i8042;
	struct pc_power power;
	struct fw_cfg fw_cfg;
	struct pc_mtrrs mtrrs;
	uint8_t port_61, port_92;
	struct pci_function isa_bridge;
};

/* For a VM that is being made; its description asks for it. */
enum error pc_make(struct vm *vm);
void pc_free(struct vm *vm);
/* Power-on state.  Lock held. */
void pc_reset(struct vm *vm);

/* What is due by vm->deadline; home CPU, no lock. */
void pc_work(struct vm *vm);

/* The vector that the interrupt controllers have for @vcpu, or PIC_NONE.
 * Own CPU, no lock. */
int pc_take_interrupt(struct vcpu *vcpu);

#endif
