/* SPDX-License-Identifier: MIT */
/* Ports: all of them, in all sizes, one by one and in strings. */
#include "hostile.h"

#define PORT_COUNT 0x10000
#define WIDE_STEP 7 /* wide accesses at every seventh port: 15 us each */
#define PORT_NOWHERE 0x1234
#define FLOOD_LINES 1000
#define UART_INTERRUPTS (MULL_GUEST_UART_PORT + 1)
#define UART_FIFO (MULL_GUEST_UART_PORT + 2)
#define UART_LINE (MULL_GUEST_UART_PORT + 3)
#define UART_MODEM (MULL_GUEST_UART_PORT + 4)

static uint16_t in16(uint16_t port)
{
	uint16_t value;

	asm volatile("inw %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static uint32_t in32(uint16_t port)
{
	uint32_t value;

	asm volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static void out16(uint16_t port, uint16_t value)
{
	asm volatile("outw %0, %1" ::"a"(value), "Nd"(port));
}

static void out32(uint16_t port, uint32_t value)
{
	asm volatile("outl %0, %1" ::"a"(value), "Nd"(port));
}

/* The UART as it was, whatever a sweep wrote into it. */
static void uart_restore(void)
{
	port_write(UART_LINE, 3);
	port_write(UART_INTERRUPTS, 0);
	port_write(UART_FIFO, 7);
	port_write(UART_MODEM, 3);
}

/* Whether a write there could end the guest or garble the console. */
static bool is_own(uint32_t port)
{
	return (port >= MULL_GUEST_SLEEP_CONTROL - 3 &&
		port <= MULL_GUEST_EVENT_PORT) ||
	       (port >= MULL_GUEST_UART_PORT - 3 &&
		port < MULL_GUEST_UART_PORT + 8);
}

void port_sweep(void)
{
	for (uint32_t port = 0; port < PORT_COUNT; port++)
		port_read((uint16_t)port);
	report(true, "every port is read");
	for (uint32_t port = 0; port < PORT_COUNT; port += WIDE_STEP) {
		in16((uint16_t)port);
		in32((uint16_t)port);
		if (is_own(port))
			continue;
		port_write((uint16_t)port, 0xff);
		out16((uint16_t)port, 0xffff);
		out32((uint16_t)port, ~0u);
	}
	for (uint16_t reg = 0; reg < 8; reg++) {
		in16(MULL_GUEST_UART_PORT + reg);
		in32(MULL_GUEST_UART_PORT + reg);
		out16(MULL_GUEST_UART_PORT + reg, 0);
		out32(MULL_GUEST_UART_PORT + reg, 0);
	}
	/* The reset and sleep registers, but for what they act upon. */
	out32(MULL_GUEST_SLEEP_CONTROL, 0);
	out16(MULL_GUEST_SLEEP_STATUS, 0);
	port_write(MULL_GUEST_RESET_PORT, (uint8_t)~MULL_GUEST_RESET_VALUE);
	uart_restore();
	report(true, "ports are written");

	report(port_read(PORT_NOWHERE) == 0xff &&
		       in16(PORT_NOWHERE) == 0xffff &&
		       in32(PORT_NOWHERE) == ~0u,
	       "ports of nothing read as ones");
	report(in32(0xffff) == ~0u, "the last port, by 4 bytes");
}

struct string {
	uint16_t port;
	uint64_t memory, count;
	bool backward;
};

static void in_string(void *argument)
{
	struct string *s = argument;

	if (s->backward)
		asm volatile("std");
	asm volatile("rep insb; cld"
		     : "+D"(s->memory), "+c"(s->count)
		     : "d"(s->port)
		     : "memory");
}

static void in_string_wide(void *argument)
{
	struct string *s = argument;

	asm volatile("rep insl"
		     : "+D"(s->memory), "+c"(s->count)
		     : "d"(s->port)
		     : "memory");
}

static void out_string(void *argument)
{
	struct string *s = argument;

	asm volatile("rep outsb"
		     : "+S"(s->memory), "+c"(s->count)
		     : "d"(s->port)
		     : "memory");
}

static void test_in(void)
{
	static uint8_t buffer[64];
	struct string s = { PORT_NOWHERE, (uintptr_t)buffer, 60, false };

	guarded_call(in_string, &s);
	report(s.count == 0 && s.memory == (uintptr_t)buffer + 60 &&
		       buffer[59] == 0xff && buffer[60] == 0,
	       "rep insb brings as many as it should");
	memset(buffer, 0, sizeof buffer);
	s = (struct string){ PORT_NOWHERE, (uintptr_t)buffer + 63, 8, true };
	guarded_call(in_string, &s);
	report(s.count == 0 && buffer[56] == 0xff && buffer[55] == 0,
	       "rep insb runs backward");
	memset(buffer, 0, sizeof buffer);
	s = (struct string){ PORT_NOWHERE, (uintptr_t)buffer, 4, false };
	guarded_call(in_string_wide, &s);
	report(s.count == 0 && buffer[15] == 0xff && buffer[16] == 0,
	       "rep insl brings as many as it should");
	s = (struct string){ PORT_NOWHERE, (uintptr_t)buffer, 0, false };
	guarded_call(in_string, &s);
	report(s.memory == (uintptr_t)buffer, "rep insb of no bytes");
}

static void test_out(void)
{
	static char text[] = "text by rep outsb\n";
	struct string s = { MULL_GUEST_UART_PORT, (uintptr_t)text,
			    sizeof text - 1, false };

	guarded_call(out_string, &s);
	report(s.count == 0 && s.memory == (uintptr_t)text + sizeof text - 1,
	       "rep outsb takes as many as it should");
}

/* The guest's own page tables end the operation, with the right registers. */
static void test_fault(void)
{
	uint64_t edge = guest_info.memory_low;
	struct string s = { PORT_NOWHERE, edge - 16, ~0ull >> 1, false };
	int vector;

	memory_present(edge, false);
	vector = guarded_call(in_string, &s);
	report(vector == VECTOR_PAGE_FAULT && last_fault.cr2 == edge,
	       "an endless rep insb ends (%d at %lx)", vector, last_fault.cr2);
	s = (struct string){ PORT_NOWHERE, edge - 16, ~0ull >> 1, false };
	vector = guarded_call(out_string, &s);
	report(vector == VECTOR_PAGE_FAULT && last_fault.cr2 == edge,
	       "an endless rep outsb ends (%d at %lx)", vector, last_fault.cr2);
	memory_present(edge, true);
	s = (struct string){ PORT_NOWHERE, 0x800000000000, 4, false };
	vector = guarded_call(in_string, &s);
	report(vector == VECTOR_PROTECTION,
	       "insb to an address that is not canonical (%d)", vector);
}

void port_string(void)
{
	struct string s;

	test_in();
	test_out();
	test_fault();
	s = (struct string){ PORT_NOWHERE, NOWHERE, 64, false };
	guarded_call(in_string, &s);
	s = (struct string){ PORT_NOWHERE, NOWHERE, 64, false };
	guarded_call(out_string, &s);
	s = (struct string){ PORT_NOWHERE, MULL_GUEST_IO_APIC, 64, false };
	guarded_call(in_string, &s);
	s = (struct string){ PORT_NOWHERE, guest_info.memory_low - 3, 8,
			     false };
	guarded_call(in_string_wide, &s);
	report(true, "strings between ports and devices are survived");
}

/* Without a look at whether the UART is ready. */
void port_flood(void)
{
	static const char line[] = "flood flood flood flood flood flood\n";

	for (int i = 0; i < FLOOD_LINES; i++) {
		for (const char *c = line; *c; c++)
			port_write(MULL_GUEST_UART_PORT, (uint8_t)*c);
	}
	/* Behind what still waits. */
	spin_ns(100 * NS_PER_MS);
	report(true, "the console is flooded");
}
