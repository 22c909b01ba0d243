/* SPDX-License-Identifier: MIT */
/*
 * gdb's remote serial protocol, as GDB's manual has it ("Remote Protocol",
 * "Packets"): bytes to packets and back.
 */
#ifndef MULLCTL_GDB_PACKET_H
#define MULLCTL_GDB_PACKET_H

#include <stddef.h>
#include <stdint.h>

#define GDB_PACKET_MAX 4096 /* bytes of a packet's data; gdb is told */
#define GDB_WIRE_MAX (2 * GDB_PACKET_MAX + 4)

enum gdb_input {
	GDB_NOTHING,
	GDB_PACKET,    /* a whole one */
	GDB_DAMAGED,   /* one is to be sent again */
	GDB_AGAIN,     /* gdb wants the last answer again */
	GDB_INTERRUPT, /* Ctrl-C */
};

struct gdb_parser {
	enum { GDB_BETWEEN, GDB_INSIDE, GDB_SUM_HIGH, GDB_SUM_LOW } place;
	uint8_t sum, told;	       /* of the bytes; by gdb */
	uint8_t escape;		       /* for the next byte: 0x20 or 0 */
	size_t length;		       /* above the room: too long */
	char data[GDB_PACKET_MAX + 1]; /* with a zero behind it */
};

enum gdb_input gdb_parse(struct gdb_parser *parser, uint8_t byte);

/* @data as a packet in @wire; its length.  At most GDB_PACKET_MAX bytes. */
size_t gdb_encode(const char *data, size_t length, char wire[GDB_WIRE_MAX]);

/* The number, in hexadecimal, at *@text, which then points behind it; 0 when
 * there is none.  Digits above 64 bits are lost. */
uint64_t gdb_number(const char **text);
/* The value of a digit, or -1. */
int gdb_digit(char digit);

#endif
