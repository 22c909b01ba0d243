/* SPDX-License-Identifier: MIT */
/* Configuration space, and which function an address belongs to. */
#include <mullion/arch.h>
#include <mullion/bits.h>
#include <mullion/guest.h>
#include <mullion/guest_pci.h>
#include <mullion/log.h>
#include <mullion/vm.h>
#include <string.h>

/* "Type 00h Configuration Space Header" */
#define CONFIG_VENDOR 0x00
#define CONFIG_DEVICE 0x02
#define CONFIG_COMMAND 0x04
#define COMMAND_MEMORY BIT(1)
#define COMMAND_WRITABLE (COMMAND_MEMORY | BIT(2) | BIT(10))
#define CONFIG_STATUS 0x06
#define STATUS_CAPABILITIES BIT(4)
#define CONFIG_CLASS 0x08 /* with the revision below it */
#define CONFIG_BAR 0x10
#define CONFIG_BAR_MSIX 0x14
#define CONFIG_BAR_MEMORY 0x18 /* with the upper half behind it */
#define BAR_64_BITS 0x4
#define BAR_PREFETCHABLE 0x8
#define BAR_FLAGS BITS(3, 0)
#define CONFIG_SUBSYSTEM_VENDOR 0x2c
#define CONFIG_SUBSYSTEM 0x2e
#define CONFIG_CAPABILITIES 0x34
#define CONFIG_LINE 0x3c
#define CONFIG_HEADER_SIZE 0x40
#define REVISION_MODERN 1 /* virtio's; others do not care */

/* Known as the bridge of a bus that is nothing but ECAM; without any, old
 * kernels do not believe in the ports. */
#define BRIDGE_VENDOR 0x1b36
#define BRIDGE_DEVICE 0x0008
#define BRIDGE_CLASS 0x060000

/* Between BARs 0 and 1 of a function: half of the room that it has. */
#define BAR_DISTANCE (MULL_GUEST_PCI_MEMORY_SIZE / PCI_SLOTS / 2)

#define CAPABILITY_MSIX 0x11
#define MSIX_CONTROL_WRITABLE BITS(15, 14)

/* ---- a function's configuration space ------------------------------------ */

uint64_t pci_config_get(const struct pci_function *function, uint32_t offset,
			uint32_t size)
{
	uint64_t value = 0;

	memcpy(&value, function->config + offset, size);
	return value;
}

void pci_config_put(struct pci_function *function, uint32_t offset,
		    uint32_t size, uint64_t value)
{
	memcpy(function->config + offset, &value, size);
}

void pci_let_write(struct pci_function *function, uint32_t offset,
		   uint32_t size, uint64_t mask)
{
	memcpy(function->writable + offset, &mask, size);
}

static uint64_t bar_mask(uint64_t size)
{
	return size ? ~(size - 1) & ~BAR_FLAGS : 0;
}

void pci_function_init(struct pci_function *function, uint16_t vendor,
		       uint16_t device, uint32_t class)
{
	pci_config_put(function, CONFIG_VENDOR, 2, vendor);
	pci_config_put(function, CONFIG_DEVICE, 2, device);
	pci_config_put(function, CONFIG_CLASS, 4, class << 8 | REVISION_MODERN);
	pci_config_put(function, CONFIG_SUBSYSTEM_VENDOR, 2, vendor);
	pci_config_put(function, CONFIG_SUBSYSTEM, 2, device);
	pci_let_write(function, CONFIG_COMMAND, 2, COMMAND_WRITABLE);
	pci_let_write(function, CONFIG_BAR, 4, bar_mask(function->bar_size));
	pci_let_write(function, CONFIG_BAR_MSIX, 4,
		      bar_mask(function->msix_bar_size));
	pci_let_write(function, CONFIG_BAR_MEMORY, 8,
		      bar_mask(function->memory_size));
	if (function->memory_size)
		pci_config_put(function, CONFIG_BAR_MEMORY, 8,
			       function->memory_at | BAR_64_BITS |
				       BAR_PREFETCHABLE);
	pci_let_write(function, CONFIG_LINE, 1, 0xff); /* for the guest's use */
	function->next_capability = CONFIG_HEADER_SIZE;
}

uint32_t pci_add_capability(struct pci_function *function, uint8_t id,
			    const void *bytes, uint32_t length)
{
	uint32_t at = function->next_capability;
	uint8_t *to = function->config + at;

	ASSERT(at + length <= PCI_CONFIG_SIZE);
	memcpy(to, bytes, length);
	to[0] = id;
	to[1] = function->config[CONFIG_CAPABILITIES];
	function->config[CONFIG_CAPABILITIES] = (uint8_t)at;
	pci_config_put(function, CONFIG_STATUS, 2, STATUS_CAPABILITIES);
	function->next_capability = (at + length + 3) & ~3u;
	return at;
}

void pci_add_msix(struct pci_function *function, uint32_t table,
		  uint32_t pending_bits)
{
	/* The number of the BAR is in their lowest bits. */
	uint32_t bar = function->msix_bar_size ? 1 : 0;
	const uint32_t words[3] = { (MSIX_VECTORS - 1) << 16, table | bar,
				    pending_bits | bar };

	function->msix_table = table;
	function->msix_pending_bits = pending_bits;
	function->msix_cap = pci_add_capability(function, CAPABILITY_MSIX,
						words, sizeof words);
	pci_let_write(function, function->msix_cap + 2, 2,
		      MSIX_CONTROL_WRITABLE);
}

static uint32_t read_config(struct vm *vm, struct pci_function *function,
			    uint32_t offset, uint32_t size)
{
	if (offset >= PCI_CONFIG_SIZE) /* no extended capabilities */
		return 0;
	if (function->operations->config_read)
		function->operations->config_read(vm, function, offset, size);
	return (uint32_t)pci_config_get(function, offset, size);
}

/* What asks for its size stays to be read; any other address becomes the one
 * that it has. */
static void settle_memory(struct pci_function *function)
{
	for (uint32_t half = 0; half < 8 && function->memory_size; half += 4) {
		uint32_t at = CONFIG_BAR_MEMORY + half;
		uint64_t mask = 0, value = pci_config_get(function, at, 4);

		memcpy(&mask, function->writable + at, 4);
		if ((value & mask) != mask)
			pci_config_put(function, at, 4,
				       (value & ~mask) | (function->memory_at >>
								  8 * half &
							  mask));
	}
}

static void write_config(struct vm *vm, struct pci_function *function,
			 uint32_t offset, uint32_t size, uint32_t value)
{
	if (offset >= PCI_CONFIG_SIZE)
		return;
	for (uint32_t i = 0; i < size; i++) {
		uint8_t *byte = &function->config[offset + i];
		uint8_t mask = function->writable[offset + i];

		*byte = (uint8_t)((*byte & ~mask) | (value >> i * 8 & mask));
	}
	settle_memory(function);
	msix_control(vm, function);
	if (function->operations->config_write)
		function->operations->config_write(vm, function, offset, size);
}

/* ---- the bus ------------------------------------------------------------- */

void guest_pci_add(struct vm *vm, struct pci_function *function)
{
	vm->pci.functions[function->slot] = function;
}

void guest_pci_add_bridge(struct vm *vm)
{
	static const struct pci_operations nothing;
	struct pci_function *bridge = &vm->pci.bridge;

	bridge->operations = &nothing;
	pci_function_init(bridge, BRIDGE_VENDOR, BRIDGE_DEVICE, BRIDGE_CLASS);
	guest_pci_add(vm, bridge);
}

void guest_pci_reset_function(struct vm *vm, struct pci_function *function)
{
	/* Room for the largest BARs between two, so that they are aligned. */
	uint32_t bar = MULL_GUEST_PCI_MEMORY +
		       function->slot *
			       (MULL_GUEST_PCI_MEMORY_SIZE / PCI_SLOTS);

	for (uint32_t i = 0; i < PCI_CONFIG_SIZE; i++)
		function->config[i] &= (uint8_t)~function->writable[i];
	if (function->bar_size)
		pci_config_put(function, CONFIG_BAR, 4, bar);
	if (function->msix_bar_size)
		pci_config_put(function, CONFIG_BAR_MSIX, 4,
			       bar + BAR_DISTANCE);
	settle_memory(function);
	msix_reset(function);
	if (function->operations->reset)
		function->operations->reset(vm, function);
}

void guest_pci_reset(struct vm *vm)
{
	atomic_store(&vm->pci.work, 0);
	vm->pci.due = ARCH_NO_DEADLINE;
	vm->pci.due_slots = 0;
	vm->pci.address = 0;
	vm->pci.coming = vm->pci.going = 0;
	memset(vm->pci.pulled, 0, sizeof vm->pci.pulled);
	for (uint32_t i = 0; i < PCI_SLOTS; i++) {
		/* The next guest finds no device that was to go. */
		if (vm->pci.may_go & 1u << i)
			vm->pci.functions[i] = NULL;
		if (vm->pci.functions[i])
			guest_pci_reset_function(vm, vm->pci.functions[i]);
	}
	vm->pci.may_go = 0;
}

static bool is_ecam(const struct vm *vm, gpa_t at)
{
	return at.value - MULL_GUEST_ECAM < MULL_GUEST_ECAM_SIZE ||
	       (vm->pci.ecam &&
		at.value - vm->pci.ecam < MULL_GUEST_PC_ECAM_SIZE);
}

bool guest_pci_is_at(const struct vm *vm, gpa_t at)
{
	if (vm->pci.bars_anywhere &&
	    at.value - MULL_GUEST_MMIO_START <
		    MULL_GUEST_IO_APIC - MULL_GUEST_MMIO_START)
		return true;
	return is_ecam(vm, at) ||
	       at.value - MULL_GUEST_PCI_MEMORY < MULL_GUEST_PCI_MEMORY_SIZE;
}

/* The one that has @at in its configuration space; others of its device than
 * function 0 are not there. */
static struct pci_function *of_config(const struct vm *vm, gpa_t at)
{
	uint64_t number = at.value - MULL_GUEST_ECAM;

	if (number >= MULL_GUEST_ECAM_SIZE)
		number = at.value - vm->pci.ecam;
	number >>= 12;
	/* Other buses are empty, too. */
	return number % 8 || number / 8 >= PCI_SLOTS ?
		       NULL :
		       vm->pci.functions[number / 8];
}

enum place { PLACE_NOWHERE, PLACE_CONFIG, PLACE_REGISTERS, PLACE_MSIX };

/* Whether @at is in the BAR of @size bytes that is told at @config. */
static bool is_in_bar(const struct pci_function *function, uint32_t config,
		      uint32_t size, gpa_t at, uint32_t *offset)
{
	uint64_t within = at.value - pci_config_get(function, config, 4);

	*offset = (uint32_t)within;
	return within < size;
}

/* The first that decodes it: where the guest has put one BAR over another,
 * the other is out of reach, and nothing else comes of it. */
static enum place find_memory(const struct vm *vm, gpa_t at,
			      struct pci_function **found, uint32_t *offset)
{
	for (uint32_t i = 0; i < PCI_SLOTS; i++) {
		struct pci_function *function = vm->pci.functions[i];

		if (!function || !(pci_config_get(function, CONFIG_COMMAND, 2) &
				   COMMAND_MEMORY))
			continue;
		*found = function;
		if (is_in_bar(function, CONFIG_BAR, function->bar_size, at,
			      offset))
			return PLACE_REGISTERS;
		if (is_in_bar(function, CONFIG_BAR_MSIX,
			      function->msix_bar_size, at, offset))
			return PLACE_MSIX;
	}
	return PLACE_NOWHERE;
}

static enum place find(const struct vm *vm, gpa_t at,
		       struct pci_function **found, uint32_t *offset)
{
	if (!is_ecam(vm, at))
		return find_memory(vm, at, found, offset);
	*found = of_config(vm, at);
	*offset = at.value & 0xfff;
	return *found ? PLACE_CONFIG : PLACE_NOWHERE;
}

static bool was_pulled(const struct guest_pci *pci, gpa_t at)
{
	for (uint32_t slot = 0; slot < PCI_SLOTS; slot++)
		if (pci->pulled[slot] &&
		    at.value - pci->pulled[slot] < BAR_DISTANCE)
			return true;
	return false;
}

static uint32_t read_word(struct vm *vm, gpa_t at, uint32_t size)
{
	struct pci_function *function;
	uint32_t offset;

	switch (find(vm, at, &function, &offset)) {
	case PLACE_CONFIG:
		return read_config(vm, function, offset, size);
	case PLACE_REGISTERS:
		return function->operations->read(vm, function, offset, size);
	case PLACE_MSIX:
		return size == 4 ? msix_read(function, offset) : ~0u;
	case PLACE_NOWHERE:
		return was_pulled(&vm->pci, at) ? 0 : ~0u;
	}
	return ~0u;
}

static void write_word(struct vm *vm, gpa_t at, uint32_t size, uint32_t value)
{
	struct pci_function *function;
	uint32_t offset;

	switch (find(vm, at, &function, &offset)) {
	case PLACE_CONFIG:
		write_config(vm, function, offset, size, value);
		break;
	case PLACE_REGISTERS:
		function->operations->write(vm, function, offset, size, value);
		break;
	case PLACE_MSIX:
		if (size == 4)
			msix_write(vm, function, offset, value);
		break;
	case PLACE_NOWHERE:
		break;
	}
}

/* Registers have at most 4 bytes; of 8, each half is an access. */
uint64_t guest_pci_read(struct vm *vm, gpa_t at, uint32_t size)
{
	if (at.value % size)
		return BITS(8 * size - 1, 0);
	if (size <= 4)
		return read_word(vm, at, size) & BITS(8 * size - 1, 0);
	return read_word(vm, at, 4) |
	       (uint64_t)read_word(vm, gpa(at.value + 4), 4) << 32;
}

void guest_pci_write(struct vm *vm, gpa_t at, uint32_t size, uint64_t value)
{
	if (at.value % size)
		return;
	write_word(vm, at, size <= 4 ? size : 4, (uint32_t)value);
	if (size == 8)
		write_word(vm, gpa(at.value + 4), 4, (uint32_t)(value >> 32));
}

/* ---- by ports, "Configuration Mechanism #1" ------------------------------ */

#define ADDRESS_ENABLE BIT(31)
#define ADDRESS_REGISTER BITS(23, 2) /* with bus, device and function */
#define BUS_SHIFT 16

bool guest_pci_is_port(uint16_t port, uint32_t size)
{
	uint32_t offset = port - MULL_GUEST_PCI_DATA;

	return offset < 4 ? offset + size <= 4 :
			    port == MULL_GUEST_PCI_ADDRESS && size == 4;
}

/* Where the same register is by ECAM, or nothing is. */
static bool chosen(const struct vm *vm, uint16_t port, gpa_t *at)
{
	uint64_t number = vm->pci.address & ADDRESS_REGISTER;

	*at = gpa(MULL_GUEST_ECAM + ((number & 0xff00) << 4) + (number & 0xff) +
		  port % 4);
	return vm->pci.address & ADDRESS_ENABLE && number >> BUS_SHIFT == 0;
}

uint32_t guest_pci_port_read(struct vm *vm, uint16_t port, uint32_t size)
{
	gpa_t at;

	if (port == MULL_GUEST_PCI_ADDRESS)
		return vm->pci.address;
	return chosen(vm, port, &at) ? (uint32_t)guest_pci_read(vm, at, size) :
				       ~0u;
}

void guest_pci_port_write(struct vm *vm, uint16_t port, uint32_t size,
			  uint32_t value)
{
	gpa_t at;

	if (port == MULL_GUEST_PCI_ADDRESS)
		vm->pci.address = value & (ADDRESS_ENABLE | ADDRESS_REGISTER);
	else if (chosen(vm, port, &at))
		guest_pci_write(vm, at, size, value);
}

/* ---- work ---------------------------------------------------------------- */

void guest_pci_mark(struct vm *vm, struct pci_function *function)
{
	atomic_fetch_or(&vm->pci.work, 1u << function->slot);
}

void guest_pci_notify(struct vm *vm, struct pci_function *function)
{
	guest_pci_mark(vm, function);
	/* As vcpu_kick(). */
	if (atomic_load(&vm->vcpus[0]->turn) < SLOT_NONE)
		arch_kick(vm_home(vm));
}

void guest_pci_wake_at(struct vm *vm, struct pci_function *function,
		       uint64_t time)
{
	vm->pci.due_slots |= 1u << function->slot;
	if (time < vm->pci.due)
		vm->pci.due = time;
}

/* All that wait for a time look whether it has come, and say so if not. */
static void wake_due(struct guest_pci *pci)
{
	if (pci->due == ARCH_NO_DEADLINE || arch_time() < pci->due)
		return;
	atomic_fetch_or(&pci->work, pci->due_slots);
	pci->due_slots = 0;
	pci->due = ARCH_NO_DEADLINE;
}

/* The next in turn that has some, so that none starves another.  It is taken
 * off before it is looked at: what comes meanwhile sets it again. */
static struct pci_function *next_with_work(struct guest_pci *pci)
{
	uint32_t slots = atomic_load(&pci->work);

	for (uint32_t i = 1; i <= PCI_SLOTS && slots; i++) {
		uint32_t slot = (pci->last_worker + i) % PCI_SLOTS;

		if (slots & 1u << slot) {
			pci->last_worker = slot;
			atomic_fetch_and(&pci->work, ~(1u << slot));
			if (pci->functions[slot])
				return pci->functions[slot];
		}
	}
	return NULL;
}

bool guest_pci_work(struct vm *vm)
{
	struct pci_function *function;

	wake_due(&vm->pci);
	if (!atomic_load(&vm->pci.work))
		return false;
	/* Another vCPU may let it go meanwhile. */
	lock_take(&vm->device_lock);
	function = next_with_work(&vm->pci);
	if (function && function->operations->work(vm, function))
		atomic_fetch_or(&vm->pci.work, 1u << function->slot);
	lock_give(&vm->device_lock);
	return atomic_load(&vm->pci.work);
}
