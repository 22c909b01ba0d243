/* SPDX-License-Identifier: MIT */
/*
 * Devices that come and go while the guest runs: the registers that the DSDT's
 * methods read and write.  ACPI 6.3, "Device Object Notifications", "_EJx".
 */
#include <mullion/arch.h>
#include <mullion/guest.h>
#include <mullion/vm.h>

#define NO_SLOT 0xff
#define CONFIG_BAR 0x10 /* "Type 00h Configuration Space Header" */

void guest_pci_plug(struct vm *vm, struct pci_function *function)
{
	guest_pci_reset_function(vm, function);
	guest_pci_add(vm, function);
	vm->pci.coming |= 1u << function->slot;
	platform_tell(vm, MULL_GUEST_EVENT_PCI);
}

void guest_pci_unplug(struct vm *vm, uint32_t slot)
{
	vm->pci.going |= 1u << slot;
	vm->pci.may_go |= 1u << slot;
	platform_tell(vm, MULL_GUEST_EVENT_PCI);
}

void guest_pci_pull(struct vm *vm, uint32_t slot)
{
	struct guest_pci *pci = &vm->pci;

	pci->pulled[slot] = (uint32_t)pci_config_get(pci->functions[slot],
						     CONFIG_BAR, 4);
	pci->functions[slot] = NULL;
	pci->coming &= ~(1u << slot);
	pci->may_go &= ~(1u << slot);
	/* What it knows of it goes, too, when it looks. */
	pci->going |= 1u << slot;
	platform_tell(vm, MULL_GUEST_EVENT_PCI);
}

static uint8_t take_lowest(uint32_t *slots)
{
	for (uint8_t slot = 0; slot < PCI_SLOTS; slot++) {
		if (!(*slots & 1u << slot))
			continue;
		*slots &= ~(1u << slot);
		return slot;
	}
	return NO_SLOT;
}

uint8_t guest_pci_take_coming(struct vm *vm)
{
	return take_lowest(&vm->pci.coming);
}

uint8_t guest_pci_take_going(struct vm *vm)
{
	return take_lowest(&vm->pci.going);
}

/* One that nobody asked for stays. */
void guest_pci_eject(struct vm *vm, uint8_t slot)
{
	if (slot >= PCI_SLOTS)
		return;
	vm->pci.pulled[slot] = 0;
	if (!(vm->pci.may_go & 1u << slot))
		return;
	vm->pci.may_go &= ~(1u << slot);
	vm->pci.functions[slot] = NULL;
	arch_kick(vm_home(vm));
}
