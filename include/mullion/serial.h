/* SPDX-License-Identifier: MIT */
/*
 * The emulated 16550A of a VM, and the console behind it.  What the guest
 * prints goes into console.output, which the service CPU empties; what the
 * operator types comes by serial_receive.  Callers hold vm->device_lock.
 * TI SLLS177, "PC16550D Universal Asynchronous Receiver/Transmitter with
 * FIFOs", "Summary of Registers".
 */
#ifndef MULLION_SERIAL_H
#define MULLION_SERIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdatomic.h>

struct vm;

/* One writer (under vm->device_lock), one reader (the service CPU). */
struct console_ring {
	uint8_t *bytes;
	uint32_t size;	       /* a power of two */
	bool detached;	       /* nobody reads: it goes round; device_lock */
	_Atomic uint64_t head; /* bytes ever written */
	_Atomic uint64_t tail; /* bytes ever read */
};

/*
 * How many of @length bytes fitted.  The reader takes until it gets 0 bytes;
 * only then may it wait for manage_notify().  So the writer need notify only
 * when the ring was empty, and no byte is left behind.
 */
size_t console_put(struct console_ring *ring, const void *bytes, size_t length);
/* Takes up to @room bytes out. */
size_t console_take(struct console_ring *ring, void *bytes, size_t room);
size_t console_free(const struct console_ring *ring);
/* Which VMs have printed since it was asked last: a bit for each by its number.
 * Only the reader may ask. */
uint64_t serial_take_printed(void);

#define SERIAL_INPUT_MAX 64 /* receive FIFO, deeper than a real 16550's */

struct serial {
	struct console_ring output;
	uint8_t ier, fcr, lcr, mcr, scr, dll, dlm;
	uint8_t msr_changes;   /* MSR bits 3:0, until it is read */
	bool overrun;	       /* LSR bit 1, until it is read */
	bool transmit_pending; /* the THR-empty interrupt is due */
	bool transmit_blocked; /* the ring was full when last written to */
	uint8_t input[SERIAL_INPUT_MAX];
	uint32_t input_head, input_count;
};

void serial_reset(struct vm *vm); /* keeps what is in the output ring */
uint8_t serial_read(struct vm *vm, uint32_t reg);
void serial_write(struct vm *vm, uint32_t reg, uint8_t value);
/* Prints on the console beside the UART; how many of @length bytes fitted. */
size_t serial_print(struct vm *vm, const void *bytes, size_t length);
/* Whether its driver asks to be told of received bytes. */
bool serial_listens(const struct vm *vm);
/* How many of @length bytes the receiver took; the rest is offered again. */
size_t serial_receive(struct vm *vm, const uint8_t *bytes, size_t length);
/* The reader has made room in the ring: transmit interrupts go on. */
void serial_drained(struct vm *vm);

#endif
