/* SPDX-License-Identifier: MIT */
/*
 * Power-off, reset and the operator's button: the registers that the ACPI
 * tables name, and the two ways in which a PC is reset without them.
 */
#include <mullion/bits.h>
#include <mullion/pc.h>
#include <mullion/vm.h>

/* ACPI 6.3, "Sleep Control Register" */
#define SLEEP_TYPE BITS(4, 2)
#define SLEEP_ENABLE BIT(5)

#define RESET_CONTROL_PORT 0xcf9 /* of PC chipsets */
#define RESET_CONTROL_CPU BIT(2)
#define KEYBOARD_PORT 0x64 /* the keyboard controller's commands */
#define KEYBOARD_PULSE_RESET 0xfe

void platform_reset(struct vm *vm)
{
	vm->platform = (struct platform){ 0 };
	io_apic_set_line(vm, MULL_GUEST_EVENT_GSI, false);
}

static void write_sleep_control(struct vm *vm, uint8_t value)
{
	vm->platform.sleep_control = value & SLEEP_TYPE;
	if (value & SLEEP_ENABLE &&
	    field_get(SLEEP_TYPE, value) == MULL_GUEST_S5_TYPE)
		vm_end(vm, MULL_END_POWEROFF, 0, "powered off");
}

/* Reading takes the events, so none is reported twice. */
static uint8_t take_events(struct vm *vm)
{
	uint8_t events = vm->platform.events;

	vm->platform.events = 0;
	io_apic_set_line(vm, MULL_GUEST_EVENT_GSI, false);
	return events;
}

uint8_t platform_read(struct vm *vm, uint16_t port)
{
	if (vm->pc)
		return (uint8_t)vm->pc->operations->port_read(vm, port, 1);
	switch (port) {
	case MULL_GUEST_SLEEP_CONTROL:
		return vm->platform.sleep_control;
	case MULL_GUEST_EVENT_PORT:
		return take_events(vm);
	case MULL_GUEST_PCI_COMES:
		return guest_pci_take_coming(vm);
	case MULL_GUEST_PCI_GOES:
		return guest_pci_take_going(vm);
	case MULL_GUEST_SLEEP_STATUS: /* it has never slept */
	case MULL_GUEST_RESET_PORT:
	case RESET_CONTROL_PORT:
		return 0;
	default: /* there is no keyboard controller, only its reset */
		return 0xff;
	}
}

void platform_write(struct vm *vm, uint16_t port, uint8_t value)
{
	if (vm->pc) {
		vm->pc->operations->port_write(vm, port, 1, value);
		return;
	}
	switch (port) {
	case MULL_GUEST_SLEEP_CONTROL:
		write_sleep_control(vm, value);
		break;
	case MULL_GUEST_RESET_PORT:
		if (value == MULL_GUEST_RESET_VALUE)
			vm_end(vm, MULL_END_RESET, 0,
			       "the guest asked for a reset");
		break;
	case MULL_GUEST_PCI_EJECT:
		guest_pci_eject(vm, value);
		break;
	case RESET_CONTROL_PORT:
		if (value & RESET_CONTROL_CPU)
			vm_end(vm, MULL_END_RESET, 0,
			       "the guest asked for a reset by port 0xcf9");
		break;
	case KEYBOARD_PORT:
		if (value == KEYBOARD_PULSE_RESET)
			vm_end(vm, MULL_END_RESET, 0,
			       "the guest asked for a reset by the keyboard "
			       "controller");
		break;
	}
}

void platform_press_button(struct vm *vm)
{
	platform_tell(vm, MULL_GUEST_EVENT_BUTTON);
}

void platform_tell(struct vm *vm, uint8_t event)
{
	if (vm->pc) {
		if (event & MULL_GUEST_EVENT_BUTTON)
			vm->pc->operations->press_button(vm);
		return;
	}
	vm->platform.events |= event;
	/* An event may have found nobody who listened and left the line
	 * active; the next one must be an edge again. */
	io_apic_set_line(vm, MULL_GUEST_EVENT_GSI, false);
	io_apic_set_line(vm, MULL_GUEST_EVENT_GSI, true);
}
