/* SPDX-License-Identifier: MIT */
/*
 * Interrupts of PCI functions.  PCI Local Bus Specification 3.0, "MSI-X
 * Capability and Table Structure"; SDM volume 3, "Message Signalled
 * Interrupts".
 */
#include <mullion/bits.h>
#include <mullion/guest_pci.h>
#include <mullion/vm.h>

/* In the capability's second word. */
#define MSIX_CONTROL 2
#define MSIX_ENABLE BIT(15)
#define MSIX_FUNCTION_MASK BIT(14)

#define WORD_ADDRESS 0
#define WORD_ADDRESS_HIGH 1
#define WORD_DATA 2
#define WORD_CONTROL 3
#define ENTRY_MASKED BIT(0)

/* SDM, "Message Address Register Format", "Message Data Register Format" */
#define ADDRESS_BASE BITS(31, 20)
#define ADDRESS_BASE_VALUE 0xfee00000
#define ADDRESS_DESTINATION BITS(19, 12)
#define ADDRESS_LOGICAL BIT(2)
#define DATA_VECTOR BITS(7, 0)
#define DATA_DELIVERY BITS(10, 8)

static uint64_t control(const struct pci_function *function)
{
	return pci_config_get(function, function->msix_cap + MSIX_CONTROL, 2);
}

/* Other deliveries are for ICRs: a message that asks for one is lost. */
static void send(struct vm *vm, const struct msix_entry *entry)
{
	uint32_t address = entry->words[WORD_ADDRESS];
	uint32_t data = entry->words[WORD_DATA];
	struct apic_message message = {
		.destination = (uint32_t)field_get(ADDRESS_DESTINATION,
						   address),
		.vector = (uint8_t)(data & DATA_VECTOR),
		.delivery = (uint8_t)field_get(DATA_DELIVERY, data),
		.logical = address & ADDRESS_LOGICAL,
	};

	if ((address & ADDRESS_BASE) != ADDRESS_BASE_VALUE ||
	    entry->words[WORD_ADDRESS_HIGH])
		return;
	if (message.delivery == APIC_FIXED || message.delivery == APIC_LOWEST ||
	    message.delivery == APIC_NMI)
		vm_interrupt(vm, &message);
}

static void send_pending(struct vm *vm, struct pci_function *function)
{
	uint64_t bits = function->msix_cap ? control(function) : 0;

	if (!(bits & MSIX_ENABLE) || bits & MSIX_FUNCTION_MASK)
		return;
	for (uint32_t i = 0; i < MSIX_VECTORS; i++) {
		const struct msix_entry *entry = &function->msix[i];

		if (!(function->msix_pending & BIT(i)) ||
		    entry->words[WORD_CONTROL] & ENTRY_MASKED)
			continue;
		function->msix_pending &= ~BIT(i);
		send(vm, entry);
	}
}

void msix_raise(struct vm *vm, struct pci_function *function, uint32_t vector)
{
	if (vector >= MSIX_VECTORS || !(control(function) & MSIX_ENABLE))
		return;
	function->msix_pending |= BIT(vector);
	send_pending(vm, function);
}

uint32_t msix_read(const struct pci_function *function, uint32_t offset)
{
	uint32_t table = offset - function->msix_table;
	uint32_t pending = offset - function->msix_pending_bits;

	if (table < sizeof function->msix)
		return function->msix[table / 16].words[table / 4 % 4];
	if (pending < sizeof function->msix_pending)
		return (uint32_t)(function->msix_pending >> pending * 8);
	return 0;
}

void msix_write(struct vm *vm, struct pci_function *function, uint32_t offset,
		uint32_t value)
{
	uint32_t table = offset - function->msix_table;

	if (table >= sizeof function->msix)
		return;
	if (table / 4 % 4 == WORD_CONTROL)
		value &= ENTRY_MASKED;
	function->msix[table / 16].words[table / 4 % 4] = value;
	send_pending(vm, function);
}

void msix_control(struct vm *vm, struct pci_function *function)
{
	send_pending(vm, function);
}

void msix_reset(struct pci_function *function)
{
	function->msix_pending = 0;
	for (uint32_t i = 0; i < MSIX_VECTORS; i++)
		function->msix[i] = (struct msix_entry){
			.words[WORD_CONTROL] = ENTRY_MASKED
		};
}
