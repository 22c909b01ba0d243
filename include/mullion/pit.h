/* SPDX-License-Identifier: MIT */
/*
 * The 8254 interval timer of a PC: three channels, of which the first one
 * interrupts and the third one has its gate at port 0x61.  Counts are worked
 * out from the time that passed, nothing ticks.  Intel 231164, "8254
 * Programmable Interval Timer".  Callers hold vm->device_lock.
 */
#ifndef MULLION_PIT_H
#define MULLION_PIT_H

#include <stdbool.h>
#include <stdint.h>

#define PIT_CHANNELS 3
#define PIT_SPEAKER 2 /* the channel of port 0x61 */
#define PIT_HZ 1193182

struct pit_channel {
	uint64_t start; /* arch_time() from which it counts, while it does */
	uint64_t held;	/* ticks that it had counted before */
	uint32_t count; /* that was loaded, 1..65536 */
	uint16_t latched_count;
	uint8_t latched_bytes; /* of it that are still to be read */
	uint8_t latched_status;
	bool has_status;
	uint8_t access, mode; /* of the control word */
	bool bcd;
	bool read_high, write_high; /* the second byte comes next */
	uint8_t low;		    /* the first one that was written */
	bool gate, loaded, counts;
};

struct pit {
	struct pit_channel channels[PIT_CHANNELS];
	uint64_t next; /* arch_time() at which channel 0 interrupts, or
			  ARCH_NO_DEADLINE */
};

void pit_reset(struct pit *pit);
/* Ports 0x40 to 0x43, at the time @now. */
uint8_t pit_read(struct pit *pit, uint16_t port, uint64_t now);
void pit_write(struct pit *pit, uint16_t port, uint8_t value, uint64_t now);
/* The level of channel @number's output. */
bool pit_output(const struct pit *pit, uint32_t number, uint64_t now);
void pit_set_gate(struct pit *pit, uint32_t number, bool high, uint64_t now);
/* Whether channel 0's output has risen by @now; sets the next time. */
bool pit_fires(struct pit *pit, uint64_t now);

#endif
