/* SPDX-License-Identifier: MIT */
/*
 * ACPI's fixed registers.  The operator's button is the fixed power button;
 * all events share the system control interrupt, a level.  The chipset's SMI
 * enable register says that firmware has nothing left to do about it.
 */
#include "pc_parts.h"
#include "rate.h"

#include <mullion/bits.h>

/* From MULL_GUEST_PC_POWER on. */
#define STATUS 0x00
#define ENABLE 0x02
#define CONTROL 0x04
#define TIMER 0x08
#define SMI_ENABLE 0x30

/* "PM1 Status Registers Fixed Hardware Feature Status Bits" */
#define EVENT_TIMER BIT(0)
#define EVENT_GLOBAL BIT(5)
#define EVENT_BUTTON BIT(8)
#define EVENT_CLOCK BIT(10) /* its alarm wakes nobody: there is no sleep */
#define EVENTS (EVENT_TIMER | EVENT_GLOBAL | EVENT_BUTTON | EVENT_CLOCK)

/* "PM1 Control Registers Fixed Hardware Feature Control Bits" */
#define CONTROL_ACPI BIT(0)
#define CONTROL_SLEEP_TYPE BITS(12, 10)
#define CONTROL_SLEEP BIT(13)

#define TIMER_HZ 3579545
#define TIMER_BITS BITS(23, 0)
#define TIMER_HALF BIT(23) /* the bit whose changes are an event */

#define SMI_BY_COMMAND BIT(5)

static uint64_t ticks_at(const struct vm *vm, uint64_t now)
{
	return now < vm->started_at ?
		       0 :
		       rate_ticks(now - vm->started_at, TIMER_HZ);
}

void pc_power_reset(struct vm *vm)
{
	vm->pc->power = (struct pc_power){ .control = CONTROL_ACPI };
}

void pc_power_press(struct vm *vm)
{
	vm->pc->power.status |= EVENT_BUTTON;
}

bool pc_power_line(struct vm *vm, uint64_t now)
{
	struct pc_power *power = &vm->pc->power;
	uint64_t ticks = ticks_at(vm, now);

	if (ticks > power->looked) {
		if (ticks / TIMER_HALF != power->looked / TIMER_HALF)
			power->status |= EVENT_TIMER;
		power->looked = ticks;
	}
	return power->status & power->enable & EVENTS;
}

uint64_t pc_power_next(struct vm *vm, uint64_t now)
{
	const struct pc_power *power = &vm->pc->power;
	uint64_t ticks = (ticks_at(vm, now) / TIMER_HALF + 1) * TIMER_HALF;

	if (!(power->enable & ~power->status & EVENT_TIMER))
		return ARCH_NO_DEADLINE;
	return vm->started_at + rate_time(ticks, TIMER_HZ);
}

static uint32_t word_at(const struct vm *vm, uint32_t offset)
{
	const struct pc_power *power = &vm->pc->power;

	switch (offset) {
	case STATUS:
		return power->status | (uint32_t)power->enable << 16;
	case CONTROL:
		return power->control;
	case TIMER:
		return ticks_at(vm, arch_time()) & TIMER_BITS;
	case SMI_ENABLE:
		return SMI_BY_COMMAND;
	default:
		return 0;
	}
}

uint8_t pc_power_read(struct vm *vm, uint16_t port)
{
	uint32_t offset = port - MULL_GUEST_PC_POWER;

	pc_power_line(vm, arch_time());
	return (uint8_t)(word_at(vm, offset & ~3u) >> offset % 4 * 8);
}

/* Sleep states that there are: off, by the number in the DSDT or by the one
 * that OVMF takes without looking. */
static void sleep(struct vm *vm)
{
	uint64_t type = field_get(CONTROL_SLEEP_TYPE, vm->pc->power.control);

	if (type == MULL_GUEST_S5_TYPE || type == 0)
		vm_end(vm, MULL_END_POWEROFF, 0, "powered off");
}

void pc_power_write(struct vm *vm, uint16_t port, uint8_t value)
{
	uint32_t offset = port - MULL_GUEST_PC_POWER, shift = offset % 2 * 8;
	struct pc_power *power = &vm->pc->power;
	uint16_t mask = (uint16_t)(0xff << shift);
	uint16_t bits = (uint16_t)(value << shift);

	pc_power_line(vm, arch_time());
	switch (offset & ~1u) {
	case STATUS: /* what is written as 1 is cleared */
		power->status &= (uint16_t)~bits;
		break;
	case ENABLE:
		power->enable = (power->enable & ~mask) | (bits & EVENTS);
		break;
	case CONTROL:
		power->control = (power->control & ~mask) |
				 (bits & CONTROL_SLEEP_TYPE);
		power->control |= CONTROL_ACPI;
		if (bits & CONTROL_SLEEP)
			sleep(vm);
		break;
	}
}
