/* SPDX-License-Identifier: MIT */
/* The emulated 16550A.  Its lines are always free and its peer always there:
 * baud rate and word length are kept, and change nothing. */
#include <mullion/bits.h>
#include <mullion/manage.h>
#include <mullion/vm.h>
#include <string.h>

/* "Summary of Registers"; some have two uses */
enum serial_register {
	REGISTER_DATA = 0, /* or DLL */
	REGISTER_IER = 1,  /* or DLM */
	REGISTER_IIR = 2,  /* read */
	REGISTER_FCR = 2,  /* written */
	REGISTER_LCR = 3,
	REGISTER_MCR = 4,
	REGISTER_LSR = 5,
	REGISTER_MSR = 6,
	REGISTER_SCR = 7,
};

#define IER_RECEIVED BIT(0)
#define IER_TRANSMIT BIT(1)
#define IER_LINE_STATUS BIT(2)
#define IER_MODEM_STATUS BIT(3)
#define IER_WRITABLE BITS(3, 0)

/* "Interrupt Control Functions", highest priority first */
#define IIR_LINE_STATUS 0x06
#define IIR_RECEIVED 0x04
#define IIR_RECEIVED_FEW 0x0c /* fewer than asked for, and a pause */
#define IIR_TRANSMIT 0x02
#define IIR_MODEM_STATUS 0x00
#define IIR_NONE 0x01
#define IIR_FIFO BITS(7, 6)

#define FCR_ENABLE BIT(0)
#define FCR_CLEAR_INPUT BIT(1)
#define FCR_TRIGGER BITS(7, 6)
#define FCR_KEPT (FCR_TRIGGER | BIT(3) | FCR_ENABLE)

#define LCR_DIVISOR BIT(7) /* registers 0 and 1 are the divisor latch */

#define MCR_DTR BIT(0)
#define MCR_RTS BIT(1)
#define MCR_OUT1 BIT(2)
#define MCR_OUT2 BIT(3)
#define MCR_LOOP BIT(4)
#define MCR_WRITABLE BITS(4, 0)

#define LSR_RECEIVED BIT(0)
#define LSR_OVERRUN BIT(1)
#define LSR_TRANSMIT (BIT(5) | BIT(6)) /* THR and shift register are empty */

#define MSR_CTS BIT(4)
#define MSR_DSR BIT(5)
#define MSR_RI BIT(6)
#define MSR_DCD BIT(7)

/* The depth of a real 16550's FIFOs: drivers send as much at a time, and
 * find out by loopback that they face a 16550. */
#define FIFO_DEPTH 16

/* ---- the console's ring ------------------------------------------------- */

size_t console_free(const struct console_ring *ring)
{
	return ring->detached ? ring->size :
				ring->size - (ring->head - ring->tail);
}

size_t console_put(struct console_ring *ring, const void *bytes, size_t length)
{
	const uint8_t *from = bytes;
	uint64_t head = ring->head;
	size_t room = console_free(ring);

	if (length > room)
		length = room;
	for (size_t i = 0; i < length; i++)
		ring->bytes[(head + i) & (ring->size - 1)] = from[i];
	ring->head = head + length;
	return length;
}

size_t console_take(struct console_ring *ring, void *bytes, size_t room)
{
	uint8_t *to = bytes;
	uint64_t tail = ring->tail;
	size_t length = ring->head - tail;

	if (length > room)
		length = room;
	for (size_t i = 0; i < length; i++)
		to[i] = ring->bytes[(tail + i) & (ring->size - 1)];
	ring->tail = tail + length;
	return length;
}

/* Bits of VMs, so that the reader need not look at all their rings each time. */
static _Atomic uint64_t printed;

static_assert(MULL_VM_MAX <= 64, "a bit for each VM");

/* The ring's head has moved before.  A bit that is seen here is taken later, and
 * who takes it sees that head. */
static void note_printed(const struct vm *vm)
{
	uint64_t bit = BIT(vm->index);

	if (!(atomic_load(&printed) & bit))
		atomic_fetch_or(&printed, bit);
}

uint64_t serial_take_printed(void)
{
	return atomic_load(&printed) ? atomic_exchange(&printed, 0) : 0;
}

/*
 * Wakes the reader only for the first byte of a run, since a wake-up may
 * interrupt another CPU.  No byte is left behind: head and tail change in one
 * total order, so either the tail seen here has already passed all older
 * bytes, or the reader, looking for more after its last one, finds these.
 */
size_t serial_print(struct vm *vm, const void *bytes, size_t length)
{
	struct console_ring *ring = &vm->serial.output;
	uint64_t head = ring->head;
	size_t taken = console_put(ring, bytes, length);

	if (!taken)
		return 0;
	note_printed(vm);
	if (ring->tail == head)
		manage_notify();
	return taken;
}

/* ---- state -------------------------------------------------------------- */

static bool loops(const struct serial *serial)
{
	return serial->mcr & MCR_LOOP;
}

/* Drivers fill the FIFO when they see this, so there must be room for all. */
static bool transmit_empty(const struct serial *serial)
{
	return loops(serial) || console_free(&serial->output) >= FIFO_DEPTH;
}

static uint8_t line_status(const struct serial *serial)
{
	return (serial->input_count ? LSR_RECEIVED : 0) |
	       (serial->overrun ? LSR_OVERRUN : 0) |
	       (transmit_empty(serial) ? LSR_TRANSMIT : 0);
}

/* MSR[7:4]; in loopback the modem control outputs come in there. */
static uint8_t modem_lines(const struct serial *serial)
{
	uint8_t mcr = serial->mcr;

	if (!loops(serial))
		return MSR_DCD | MSR_DSR | MSR_CTS;
	return (mcr & MCR_RTS ? MSR_CTS : 0) | (mcr & MCR_DTR ? MSR_DSR : 0) |
	       (mcr & MCR_OUT1 ? MSR_RI : 0) | (mcr & MCR_OUT2 ? MSR_DCD : 0);
}

static uint32_t trigger_level(const struct serial *serial)
{
	static const uint8_t levels[] = { 1, 4, 8, 14 };

	if (!(serial->fcr & FCR_ENABLE))
		return 1;
	return levels[field_get(FCR_TRIGGER, serial->fcr)];
}

static uint8_t interrupt_cause(const struct serial *serial)
{
	if (serial->ier & IER_LINE_STATUS && serial->overrun)
		return IIR_LINE_STATUS;
	/* The pause after which a few bytes are reported, too, is none. */
	if (serial->ier & IER_RECEIVED && serial->input_count)
		return serial->input_count >= trigger_level(serial) ?
			       IIR_RECEIVED :
			       IIR_RECEIVED_FEW;
	if (serial->ier & IER_TRANSMIT && serial->transmit_pending)
		return IIR_TRANSMIT;
	if (serial->ier & IER_MODEM_STATUS && serial->msr_changes)
		return IIR_MODEM_STATUS;
	return IIR_NONE;
}

static void update_line(struct vm *vm)
{
	io_apic_set_line(vm, MULL_GUEST_UART_GSI,
			 interrupt_cause(&vm->serial) != IIR_NONE);
}

void serial_reset(struct vm *vm)
{
	uint8_t *registers = (uint8_t *)&vm->serial + sizeof vm->serial.output;

	/* The ring is left alone: its reader may be taking from it. */
	memset(registers, 0, sizeof vm->serial - sizeof vm->serial.output);
	update_line(vm);
}

/* ---- receiving ---------------------------------------------------------- */

static size_t put_input(struct serial *serial, const uint8_t *bytes,
			size_t length, uint32_t depth)
{
	size_t taken = 0;

	if (!(serial->fcr & FCR_ENABLE))
		depth = 1;
	while (taken < length && serial->input_count < depth) {
		uint32_t at = serial->input_head + serial->input_count++;

		serial->input[at % SERIAL_INPUT_MAX] = bytes[taken++];
	}
	return taken;
}

bool serial_listens(const struct vm *vm)
{
	return vm->serial.ier & IER_RECEIVED;
}

size_t serial_receive(struct vm *vm, const uint8_t *bytes, size_t length)
{
	size_t taken;

	if (loops(&vm->serial)) /* the line is cut off; it will not be long */
		return 0;
	taken = put_input(&vm->serial, bytes, length, SERIAL_INPUT_MAX);
	update_line(vm);
	return taken;
}

static uint8_t take_input(struct serial *serial)
{
	uint8_t byte;

	if (!serial->input_count)
		return 0;
	byte = serial->input[serial->input_head];
	serial->input_head = (serial->input_head + 1) % SERIAL_INPUT_MAX;
	serial->input_count--;
	return byte;
}

/* ---- transmitting ------------------------------------------------------- */

/* A byte is gone as soon as it is written, so that the transmitter is empty
 * again; unless the ring is full: then serial_drained() says so. */
static void transmit(struct vm *vm, uint8_t byte)
{
	struct serial *serial = &vm->serial;

	/* The write answers the interrupt; the next one must be an edge, also
	 * for drivers that never read the IIR. */
	serial->transmit_pending = false;
	update_line(vm);
	if (!loops(serial))
		serial_print(vm, &byte, 1);
	else if (!put_input(serial, &byte, 1, FIFO_DEPTH))
		serial->overrun = true;
	serial->transmit_pending = transmit_empty(serial);
	serial->transmit_blocked = !serial->transmit_pending;
}

void serial_drained(struct vm *vm)
{
	struct serial *serial = &vm->serial;

	if (!serial->transmit_blocked || !transmit_empty(serial))
		return;
	serial->transmit_blocked = false;
	serial->transmit_pending = true;
	update_line(vm);
}

/* ---- registers ---------------------------------------------------------- */

static uint8_t read_iir(struct serial *serial)
{
	uint8_t cause = interrupt_cause(serial);

	if (cause == IIR_TRANSMIT)
		serial->transmit_pending = false; /* reading it answers it */
	return cause | (serial->fcr & FCR_ENABLE ? IIR_FIFO : 0);
}

static uint8_t read_register(struct serial *serial, uint32_t reg)
{
	bool divisor = serial->lcr & LCR_DIVISOR;
	uint8_t value;

	switch ((enum serial_register)reg) {
	case REGISTER_DATA:
		return divisor ? serial->dll : take_input(serial);
	case REGISTER_IER:
		return divisor ? serial->dlm : serial->ier;
	case REGISTER_IIR:
		return read_iir(serial);
	case REGISTER_LCR:
		return serial->lcr;
	case REGISTER_MCR:
		return serial->mcr;
	case REGISTER_LSR:
		value = line_status(serial);
		serial->overrun = false;
		return value;
	case REGISTER_MSR:
		value = modem_lines(serial) | serial->msr_changes;
		serial->msr_changes = 0;
		return value;
	case REGISTER_SCR:
		return serial->scr;
	}
	return 0xff;
}

uint8_t serial_read(struct vm *vm, uint32_t reg)
{
	uint8_t value = read_register(&vm->serial, reg);

	update_line(vm);
	return value;
}

static void write_ier(struct serial *serial, uint8_t value)
{
	bool was_on = serial->ier & IER_TRANSMIT;

	serial->ier = value & IER_WRITABLE;
	/* Switched on while the transmitter is empty, it interrupts at once,
	 * even if that has been answered before. */
	if (value & IER_TRANSMIT && !was_on) {
		serial->transmit_pending = transmit_empty(serial);
		serial->transmit_blocked = !serial->transmit_pending;
	}
}

static void write_fcr(struct serial *serial, uint8_t value)
{
	bool toggles = (serial->fcr ^ value) & FCR_ENABLE;

	/* The other bits count only together with this one. */
	serial->fcr = value & FCR_ENABLE ? value & FCR_KEPT : 0;
	if (toggles || (value & FCR_ENABLE && value & FCR_CLEAR_INPUT))
		serial->input_count = 0;
}

static void write_mcr(struct serial *serial, uint8_t value)
{
	uint8_t before = modem_lines(serial), after;
	uint8_t changed;

	serial->mcr = value & MCR_WRITABLE;
	after = modem_lines(serial);
	changed = before ^ after;
	if (after & MSR_RI) /* its beginning does not count, only its end */
		changed &= (uint8_t)~MSR_RI;
	serial->msr_changes |= changed >> 4;
}

void serial_write(struct vm *vm, uint32_t reg, uint8_t value)
{
	struct serial *serial = &vm->serial;
	bool divisor = serial->lcr & LCR_DIVISOR;

	switch (reg) {
	case REGISTER_DATA:
		if (divisor)
			serial->dll = value;
		else
			transmit(vm, value);
		break;
	case REGISTER_IER:
		if (divisor)
			serial->dlm = value;
		else
			write_ier(serial, value);
		break;
	case REGISTER_FCR:
		write_fcr(serial, value);
		break;
	case REGISTER_LCR:
		serial->lcr = value;
		break;
	case REGISTER_MCR:
		write_mcr(serial, value);
		break;
	case REGISTER_SCR:
		serial->scr = value;
		break;
	default: /* LSR and MSR are for reading */
		break;
	}
	update_line(vm);
}
