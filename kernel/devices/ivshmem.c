/* SPDX-License-Identifier: MIT */
/*
 * Shared memory as a PCI device that stock guests know.  QEMU, "Device
 * Specification for Inter-VM shared memory device", revision 1 with doorbells.
 */
#include <mullion/bits.h>
#include <mullion/shared_port.h>
#include <mullion/vm.h>

#define VENDOR 0x1af4
#define DEVICE 0x1110
#define CLASS_MEMORY_RAM 0x050000

/* "BAR 0", 256 bytes. */
#define REGISTERS_SIZE 256
enum registers {
	INTERRUPT_MASK = 0, /* of INTx, which there is not */
	INTERRUPT_STATUS = 4,
	POSITION = 8,
	DOORBELL = 12,
};

/* "BAR 1" */
#define MSIX_SIZE 4096
#define MSIX_TABLE 0
#define MSIX_PENDING 0x800

static struct shared_port *of(struct pci_function *function)
{
	return (struct shared_port *)((uint8_t *)function -
				      offsetof(struct shared_port, function));
}

static uint32_t read_register(struct vm *vm, struct pci_function *function,
			      uint32_t offset, uint32_t size)
{
	(void)vm;
	if (size != 4)
		return ~0u;
	switch (offset) {
	case INTERRUPT_MASK:
		return of(function)->mask;
	case POSITION:
		return of(function)->peer;
	default:
		return 0;
	}
}

static void write_register(struct vm *vm, struct pci_function *function,
			   uint32_t offset, uint32_t size, uint32_t value)
{
	(void)vm;
	if (size != 4)
		return;
	if (offset == INTERRUPT_MASK)
		of(function)->mask = value;
	else if (offset == DOORBELL)
		shared_memory_ring(of(function)->memory, value);
}

static void on_reset(struct vm *vm, struct pci_function *function)
{
	(void)vm;
	of(function)->mask = 0;
}

void ivshmem_add(struct vm *vm, struct shared_port *port, uint32_t slot)
{
	static const struct pci_operations operations = {
		.read = read_register,
		.write = write_register,
		.reset = on_reset,
	};
	struct pci_function *function = &port->function;

	function->operations = &operations;
	function->slot = slot;
	function->bar_size = REGISTERS_SIZE;
	function->msix_bar_size = MSIX_SIZE;
	function->memory_at = port->at.value;
	function->memory_size = port->memory->size;
	pci_function_init(function, VENDOR, DEVICE, CLASS_MEMORY_RAM);
	pci_add_msix(function, MSIX_TABLE, MSIX_PENDING);
	guest_pci_add(vm, function);
}
