/* SPDX-License-Identifier: MIT */
/*
 * The two 8259A interrupt controllers of a PC, the second at input 2 of the
 * first, with the chipset's edge/level registers.  Intel 231468, "8259A
 * Programmable Interrupt Controller".  Callers hold vm->device_lock.
 */
#ifndef MULLION_PIC_H
#define MULLION_PIC_H

#include <stdbool.h>
#include <stdint.h>

#define PIC_LINES 16
#define PIC_NONE (-1)

struct pic_chip {
	uint8_t lines; /* as the devices drive them */
	uint8_t edges; /* that rose and were not acknowledged */
	uint8_t in_service, mask, levels;
	uint8_t vector;	 /* of input 0 */
	uint8_t lowest;	 /* the input of the lowest priority */
	uint8_t expects; /* the initialization word that comes next; 0: none */
	bool has_word_4;
	bool reads_in_service, polled;
	bool ends_itself, rotates, nests, special_mask;
};

struct pic {
	struct pic_chip chips[2];
};

void pic_reset(struct pic *pic);
/* The level of input @line, 0..15 but 2; an edge input keeps its rise. */
void pic_set_line(struct pic *pic, uint32_t line, bool high);
/* INTR, to the processor. */
bool pic_output(const struct pic *pic);
/* The processor's acknowledgement; PIC_NONE when there is nothing. */
int pic_acknowledge(struct pic *pic);
/* Ports 0x20, 0x21, 0xa0, 0xa1, 0x4d0 and 0x4d1. */
uint8_t pic_read(struct pic *pic, uint16_t port);
void pic_write(struct pic *pic, uint16_t port, uint8_t value);

#endif
