/* SPDX-License-Identifier: MIT */
/* Which port belongs to which device, and IN and OUT. */
#include "port.h"

#include <mullion/bits.h>
#include <mullion/exits.h>
#include <mullion/pc.h>
#include <mullion/trace.h>
#include <mullion/vm.h>

static uint8_t read_uart(struct vm *vm, uint16_t port)
{
	return serial_read(vm, port - MULL_GUEST_UART_PORT);
}

static void write_uart(struct vm *vm, uint16_t port, uint8_t value)
{
	serial_write(vm, port - MULL_GUEST_UART_PORT, value);
}

/* Every device but the PCI bus has registers of one byte. */
static const struct port_device {
	uint16_t first, last;
	uint8_t (*read)(struct vm *vm, uint16_t port);
	void (*write)(struct vm *vm, uint16_t port, uint8_t value);
} devices[] = {
	{ MULL_GUEST_UART_PORT, MULL_GUEST_UART_PORT + 7, read_uart,
	  write_uart },
	{ MULL_GUEST_SLEEP_CONTROL, MULL_GUEST_PCI_EJECT, platform_read,
	  platform_write },
	{ MULL_GUEST_WATCHDOG_COMMAND, MULL_GUEST_WATCHDOG_STATUS,
	  watchdog_read, watchdog_write },
	{ 0x64, 0x64, platform_read, platform_write },	 /* keyboard's reset */
	{ 0xcf9, 0xcf9, platform_read, platform_write }, /* chipset's reset */
};

/* What is none of them may be a legacy PC's. */
static uint32_t read_other(struct vm *vm, uint16_t port, uint8_t size)
{
	uint32_t value;

	if (!vm->pc)
		return ~0u;
	lock_take(&vm->device_lock);
	value = vm->pc->operations->port_read(vm, port, size);
	lock_give(&vm->device_lock);
	return value;
}

static void write_other(struct vm *vm, uint16_t port, uint8_t size,
			uint32_t value)
{
	if (!vm->pc)
		return;
	lock_take(&vm->device_lock);
	vm->pc->operations->port_write(vm, port, size, value);
	lock_give(&vm->device_lock);
}

static const struct port_device *find(uint16_t port, uint8_t size)
{
	if (size != 1)
		return NULL;
	for (size_t i = 0; i < ARRAY_COUNT(devices); i++)
		if (port >= devices[i].first && port <= devices[i].last)
			return &devices[i];
	return NULL;
}

uint32_t port_read(struct vm *vm, uint16_t port, uint8_t size)
{
	const struct port_device *device = find(port, size);
	bool pci = guest_pci_is_port(port, size);
	uint32_t value;

	if (!device && !pci)
		return read_other(vm, port, size);
	lock_take(&vm->device_lock);
	value = pci ? guest_pci_port_read(vm, port, size) :
		      device->read(vm, port);
	lock_give(&vm->device_lock);
	return value;
}

void port_write(struct vm *vm, uint16_t port, uint8_t size, uint32_t value)
{
	const struct port_device *device = find(port, size);
	bool pci = guest_pci_is_port(port, size);

	if (!device && !pci) {
		write_other(vm, port, size, value);
		return;
	}
	lock_take(&vm->device_lock);
	if (pci)
		guest_pci_port_write(vm, port, size, value);
	else
		device->write(vm, port, (uint8_t)value);
	lock_give(&vm->device_lock);
}

void on_port_io(struct vcpu *vcpu, const struct vm_exit *exit)
{
	const struct exit_port *port = &exit->port;
	uint64_t *rax = &vcpu->gpr[RAX];

	TRACE(DEVICE, vcpu, "%s port 0x%x", port->in ? "in from" : "out to",
	      port->port);
	if (port->string) {
		port_string(vcpu, exit);
		return;
	}
	if (port->in) {
		uint64_t value = port_read(vcpu->vm, port->port, port->size);
		uint64_t part = BITS(8 * port->size - 1, 0);

		/* EAX is written with zeros above it, AL and AX are not. */
		*rax = (port->size == 4 ? 0 : *rax & ~part) | (value & part);
	} else {
		port_write(vcpu->vm, port->port, port->size, (uint32_t)*rax);
	}
	vcpu_skip(vcpu, exit);
}
