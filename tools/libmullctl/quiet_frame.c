/* SPDX-License-Identifier: MIT */
/* Frames that a machine which is still in its firmware does not obey. */
#include <stdbool.h>
#include <string.h>

#include "quiet_frame.h"

#define ESC 0x1b
#define DEL 0x7f
#define TRIES 64

/* With a serial console, these keys open the firmware's set-up or boot menu,
 * and the machine waits there for ever. */
static bool has_menu_key(const uint8_t *wire, size_t length)
{
	return memchr(wire, ESC, length) || memchr(wire, DEL, length);
}

/* The next number none of whose bytes is such a key. */
static uint32_t next_sequence(uint32_t sequence)
{
	sequence++;
	for (int bit = 0; bit < 32; bit += 8) {
		uint8_t byte = (uint8_t)(sequence >> bit);

		if (byte == ESC || byte == DEL)
			sequence += 1u << bit;
	}
	return sequence;
}

size_t quiet_frame_encode(struct mull_frame_header *header, const void *payload,
			  size_t length, uint8_t *wire)
{
	/* What the payload says cannot be said otherwise. */
	int tries = has_menu_key(payload, length) ? 1 : TRIES;
	size_t size;

	do {
		header->sequence = next_sequence(header->sequence);
		size = frame_encode(header, payload, length, wire);
	} while (has_menu_key(wire, size) && --tries);
	return size;
}
