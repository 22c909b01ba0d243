/* SPDX-License-Identifier: MIT */
/*
 * What firmware looks for before it believes that it is on a PC: the host
 * bridge of a Q35, with the register that says where configuration space is,
 * and an ICH9's bridge to the slow devices, with the place of ACPI's
 * registers.  Intel 316966, "DRAM Controller Registers"; Intel 316972, "LPC
 * Interface PCI Register Address Map".  What they would do beside that
 * (shadow memory, interrupt routing) is kept and changes nothing.
 */
#include "pc_parts.h"

#define VENDOR_INTEL 0x8086
#define VENDOR 0x00
#define DEVICE 0x02
#define COMMAND 0x04
#define COMMAND_BRIDGE BITS(2, 0) /* ports, memory, bus master */

#define BRIDGE_DEVICE 0x29c0
#define BRIDGE_ECAM 0x60 /* PCIEXBAR */
#define ECAM_ENABLE BIT(0)
#define ECAM_ADDRESS BITS(31, 28)
#define BRIDGE_SHADOW 0x90 /* PAM0 to PAM6 */
#define SHADOW_SIZE 7

#define ISA_SLOT 31
#define ISA_DEVICE 0x2918
#define ISA_CLASS 0x060100
#define ISA_POWER 0x40 /* PMBASE */
#define POWER_IS_PORTS BIT(0)
#define ISA_POWER_CONTROL 0x44 /* ACPI_CNTL */
#define POWER_ENABLE BIT(7)
#define ISA_ROUTES 0x60 /* PIRQA to D; E to H are 8 further */

static void bridge_written(struct vm *vm, struct pci_function *bridge,
			   uint32_t offset, uint32_t size)
{
	uint64_t ecam = pci_config_get(bridge, BRIDGE_ECAM, 8);

	(void)offset;
	(void)size;
	vm->pci.ecam = ecam & ECAM_ENABLE ? ecam & ECAM_ADDRESS : 0;
}

static void bridge_reset(struct vm *vm, struct pci_function *bridge)
{
	(void)bridge;
	vm->pci.ecam = 0;
}

static const struct pci_operations bridge_operations = {
	.config_write = bridge_written,
	.reset = bridge_reset,
};

static const struct pci_operations isa_operations;

void pc_chipset_add(struct vm *vm)
{
	struct pci_function *bridge = &vm->pci.bridge;
	struct pci_function *isa = &vm->pc->isa_bridge;

	bridge->operations = &bridge_operations;
	pci_config_put(bridge, VENDOR, 2, VENDOR_INTEL);
	pci_config_put(bridge, DEVICE, 2, BRIDGE_DEVICE);
	pci_let_write(bridge, BRIDGE_ECAM, 8, ECAM_ENABLE | ECAM_ADDRESS);
	pci_let_write(bridge, BRIDGE_SHADOW, SHADOW_SIZE, ~0ull);
	vm->pci.bars_anywhere = true;

	isa->operations = &isa_operations;
	isa->slot = ISA_SLOT;
	pci_function_init(isa, VENDOR_INTEL, ISA_DEVICE, ISA_CLASS);
	pci_let_write(isa, COMMAND, 2, COMMAND_BRIDGE);
	pci_config_put(isa, ISA_POWER, 4, MULL_GUEST_PC_POWER | POWER_IS_PORTS);
	pci_config_put(isa, ISA_POWER_CONTROL, 1, POWER_ENABLE);
	pci_let_write(isa, ISA_ROUTES, 4, ~0ull);
	pci_let_write(isa, ISA_ROUTES + 8, 4, ~0ull);
	guest_pci_add(vm, isa);
}
