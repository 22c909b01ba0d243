/* SPDX-License-Identifier: MIT */
/*
 * The emulated I/O APIC.  Devices say when their lines are active, so the
 * polarity bit is kept but changes nothing.
 */
#include <mullion/bits.h>
#include <mullion/log.h>
#include <mullion/pc.h>
#include <mullion/vm.h>

/* "I/O APIC Registers", "Memory Mapped Registers for Accessing IOAPIC
 * Registers" */
#define OFFSET_SELECT 0x00
#define OFFSET_WINDOW 0x10
#define OFFSET_EOI 0x40 /* from version 0x20 on */

/* "IOAPIC Registers" */
#define REGISTER_ID 0x00
#define REGISTER_VERSION 0x01
#define REGISTER_ARBITRATION 0x02
#define REGISTER_ENTRIES 0x10 /* two of 32 bits each */

#define VERSION (0x20u | (MULL_GUEST_IO_APIC_PINS - 1) << 16)
#define ID_WRITABLE BITS(27, 24)

/* "I/O Redirection Table Registers" */
#define ENTRY_VECTOR BITS(7, 0)
#define ENTRY_DELIVERY BITS(10, 8)
#define ENTRY_LOGICAL BIT(11)
#define ENTRY_POLARITY BIT(13)
#define ENTRY_REMOTE_IRR BIT(14)
#define ENTRY_LEVEL BIT(15)
#define ENTRY_MASKED BIT(16)
#define ENTRY_DESTINATION BITS(63, 56)
#define ENTRY_WRITABLE \
	(ENTRY_DESTINATION | ENTRY_MASKED | ENTRY_LEVEL | ENTRY_POLARITY | \
	 ENTRY_LOGICAL | ENTRY_DELIVERY | ENTRY_VECTOR)

/* Whether @entry waits for an end of interrupt: NMIs and the like have none,
 * and are edges whatever the trigger bit says. */
static bool is_level(uint64_t entry)
{
	uint64_t delivery = field_get(ENTRY_DELIVERY, entry);

	return entry & ENTRY_LEVEL &&
	       (delivery == APIC_FIXED || delivery == APIC_LOWEST);
}

/* A guest that has its CPUs' own local APICs has no levels: their ends of
 * interrupt do not exit.  Such an entry stays masked. */
static void refuse_level(struct vm *vm, uint32_t pin)
{
	uint64_t *entry = &vm->io_apic.entries[pin];

	if (!vm->gives_apics || !is_level(*entry) || *entry & ENTRY_MASKED)
		return;
	*entry |= ENTRY_MASKED;
	log_guest(vm->vcpus[0],
		  "I/O APIC pin %u: a level-triggered interrupt is refused, "
		  "since the guest has its CPUs' own local APICs; "
		  "\"local-apic: emulated\" in the manifest has them",
		  pin);
}

static void fire(struct vm *vm, uint32_t pin)
{
	uint64_t *entry = &vm->io_apic.entries[pin];
	struct apic_message message = {
		.destination = (uint32_t)field_get(ENTRY_DESTINATION, *entry),
		.vector = *entry & ENTRY_VECTOR,
		.delivery = (uint8_t)field_get(ENTRY_DELIVERY, *entry),
		.logical = *entry & ENTRY_LOGICAL,
		.level = is_level(*entry),
	};

	/* What nobody took will not be ended, so it must not be waited for. */
	if (vm_interrupt(vm, &message) && message.level)
		*entry |= ENTRY_REMOTE_IRR;
}

/*
 * A level interrupt goes out while its line is active and the last one has
 * been ended.  This sends at most one: a line that stays active fires again
 * only when the guest ends the interrupt or writes the entry.
 */
static void fire_level(struct vm *vm, uint32_t pin)
{
	uint64_t entry = vm->io_apic.entries[pin];

	if (is_level(entry) && vm->io_apic.lines & BIT(pin) &&
	    !(entry & (ENTRY_MASKED | ENTRY_REMOTE_IRR)))
		fire(vm, pin);
}

void io_apic_set_line(struct vm *vm, uint32_t pin, bool high)
{
	struct io_apic *io_apic = &vm->io_apic;
	uint32_t line = (uint32_t)BIT(pin % MULL_GUEST_IO_APIC_PINS);
	bool rose;

	if (pin >= MULL_GUEST_IO_APIC_PINS)
		return;
	rose = high && !(io_apic->lines & line);
	io_apic->lines = high ? io_apic->lines | line : io_apic->lines & ~line;
	if (is_level(io_apic->entries[pin]))
		fire_level(vm, pin);
	else if (rose && !(io_apic->entries[pin] & ENTRY_MASKED))
		fire(vm, pin);
	if (vm->pc)
		vm->pc->operations->set_line(vm, pin, high);
}

bool io_apic_passes_pic(struct vm *vm, const struct vcpu *vcpu)
{
	uint64_t entry = vm->io_apic.entries[0];
	const struct apic_message message = {
		.destination = (uint32_t)field_get(ENTRY_DESTINATION, entry),
		.logical = entry & ENTRY_LOGICAL,
	};

	return !(entry & ENTRY_MASKED) &&
	       field_get(ENTRY_DELIVERY, entry) == APIC_EXTINT &&
	       local_apic_is_destination(&vcpu->apic, &message);
}

void io_apic_end_of_interrupt(struct vm *vm, uint8_t vector)
{
	for (uint32_t pin = 0; pin < MULL_GUEST_IO_APIC_PINS; pin++) {
		uint64_t *entry = &vm->io_apic.entries[pin];

		if ((*entry & ENTRY_VECTOR) != vector ||
		    !(*entry & ENTRY_REMOTE_IRR))
			continue;
		*entry &= ~ENTRY_REMOTE_IRR;
		fire_level(vm, pin);
	}
}

void io_apic_reset(struct vm *vm)
{
	uint32_t lines = vm->io_apic.lines; /* they are the devices' */

	vm->io_apic = (struct io_apic){ .lines = lines };
	for (uint32_t pin = 0; pin < MULL_GUEST_IO_APIC_PINS; pin++)
		vm->io_apic.entries[pin] = ENTRY_MASKED;
}

/* ---- registers ---------------------------------------------------------- */

static uint32_t read_register(const struct io_apic *io_apic)
{
	uint32_t number = io_apic->select;
	uint32_t half = number - REGISTER_ENTRIES;

	switch (number) {
	case REGISTER_ID:
	case REGISTER_ARBITRATION: /* loaded with the ID */
		return io_apic->id;
	case REGISTER_VERSION:
		return VERSION;
	default:
		if (half >= 2 * MULL_GUEST_IO_APIC_PINS)
			return 0;
		return (uint32_t)(io_apic->entries[half / 2] >> half % 2 * 32);
	}
}

static void write_entry(struct vm *vm, uint32_t half, uint32_t value)
{
	uint64_t *entry = &vm->io_apic.entries[half / 2];
	uint64_t changes = BITS(31, 0) << half % 2 * 32 & ENTRY_WRITABLE;
	uint64_t new_bits = (uint64_t)value << half % 2 * 32;

	*entry = (*entry & ~changes) | (new_bits & changes);
	refuse_level(vm, half / 2);
	/* Made an edge, it waits for nothing: how systems without the EOI
	 * register clear a remote IRR. */
	if (!is_level(*entry))
		*entry &= ~ENTRY_REMOTE_IRR;
	fire_level(vm, half / 2);
}

static void write_register(struct vm *vm, uint32_t value)
{
	uint32_t number = vm->io_apic.select;
	uint32_t half = number - REGISTER_ENTRIES;

	if (number == REGISTER_ID)
		vm->io_apic.id = value & ID_WRITABLE;
	else if (half < 2 * MULL_GUEST_IO_APIC_PINS)
		write_entry(vm, half, value);
}

/* Registers are read and written as 32 bits; anything else has no effect. */
uint64_t io_apic_read(struct vm *vm, uint32_t offset, uint32_t size)
{
	if (size != 4)
		return 0;
	switch (offset) {
	case OFFSET_SELECT:
		return vm->io_apic.select;
	case OFFSET_WINDOW:
		return read_register(&vm->io_apic);
	default:
		return 0;
	}
}

void io_apic_write(struct vm *vm, uint32_t offset, uint32_t size,
		   uint64_t value)
{
	if (size != 4)
		return;
	switch (offset) {
	case OFFSET_SELECT:
		vm->io_apic.select = value & 0xff;
		break;
	case OFFSET_WINDOW:
		write_register(vm, (uint32_t)value);
		break;
	case OFFSET_EOI:
		io_apic_end_of_interrupt(vm, (uint8_t)value);
		break;
	}
}
