/* SPDX-License-Identifier: MIT */
#include "gdb_packet.h"

#include <stdio.h>
#include <string.h>

#define ESCAPE '}'
#define ESCAPED 0x20 /* what the byte behind it is changed by */

int gdb_digit(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	if (digit >= 'a' && digit <= 'f')
		return digit - 'a' + 10;
	return digit >= 'A' && digit <= 'F' ? digit - 'A' + 10 : -1;
}

uint64_t gdb_number(const char **text)
{
	uint64_t number = 0;

	for (; gdb_digit(**text) >= 0; ++*text)
		number = number << 4 | (uint64_t)gdb_digit(**text);
	return number;
}

static enum gdb_input between(struct gdb_parser *parser, uint8_t byte)
{
	switch (byte) {
	case '$':
		*parser = (struct gdb_parser){ .place = GDB_INSIDE };
		return GDB_NOTHING;
	case '-':
		return GDB_AGAIN;
	case 3:
		return GDB_INTERRUPT;
	default: /* '+', and what was lost its beginning */
		return GDB_NOTHING;
	}
}

static void inside(struct gdb_parser *parser, uint8_t byte)
{
	if (byte == '#') {
		parser->place = GDB_SUM_HIGH;
		return;
	}
	if (byte == '$') { /* the end of the one before was lost */
		*parser = (struct gdb_parser){ .place = GDB_INSIDE };
		return;
	}
	parser->sum += byte;
	if (byte == ESCAPE) {
		parser->escape = ESCAPED;
		return;
	}
	if (parser->length < GDB_PACKET_MAX)
		parser->data[parser->length] = (char)(byte ^ parser->escape);
	if (parser->length <= GDB_PACKET_MAX)
		parser->length++;
	parser->escape = 0;
}

enum gdb_input gdb_parse(struct gdb_parser *parser, uint8_t byte)
{
	int digit = gdb_digit((char)byte);

	switch (parser->place) {
	case GDB_BETWEEN:
		return between(parser, byte);
	case GDB_INSIDE:
		inside(parser, byte);
		return GDB_NOTHING;
	case GDB_SUM_HIGH:
		if (digit < 0)
			break;
		parser->told = (uint8_t)(digit << 4);
		parser->place = GDB_SUM_LOW;
		return GDB_NOTHING;
	case GDB_SUM_LOW:
		break;
	}
	parser->place = GDB_BETWEEN;
	if (digit < 0 || (parser->told | digit) != parser->sum ||
	    parser->length > GDB_PACKET_MAX)
		return GDB_DAMAGED;
	parser->data[parser->length] = 0;
	return GDB_PACKET;
}

size_t gdb_encode(const char *data, size_t length, char wire[GDB_WIRE_MAX])
{
	char *to = wire;
	uint8_t sum = 0;

	*to++ = '$';
	for (size_t i = 0; i < length; i++) {
		if (strchr("#$}*", data[i]) && data[i]) {
			*to++ = ESCAPE;
			*to++ = (char)(data[i] ^ ESCAPED);
		} else {
			*to++ = data[i];
		}
	}
	for (const char *at = wire + 1; at < to; at++)
		sum += (uint8_t)*at;
	*to++ = '#';
	*to++ = "0123456789abcdef"[sum >> 4];
	*to++ = "0123456789abcdef"[sum & 15];
	return (size_t)(to - wire);
}
