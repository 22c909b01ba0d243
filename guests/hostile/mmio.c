/* SPDX-License-Identifier: MIT */
/* Plain and string accesses to where devices are, might be, or are not. */
#include "hostile.h"

#define BEHIND_ALL (GIB(4) - 16)
#define ROUNDS 3000

struct access {
	uint64_t address;
	uint32_t size; /* 1, 2, 4, 8 */
	bool write;
	uint64_t value;
};

/* In the SDK's window when it is above 4 GiB. */
static volatile void *reach(uint64_t address)
{
	return address < GIB(4) ? (volatile void *)address :
				  memory_window(address);
}

static void do_access(void *argument)
{
	struct access *a = argument;
	volatile void *at = reach(a->address);

	switch (a->size << 1 | a->write) {
	case 1 << 1:
		a->value = *(volatile uint8_t *)at;
		break;
	case 2 << 1:
		a->value = *(volatile uint16_t *)at;
		break;
	case 4 << 1:
		a->value = *(volatile uint32_t *)at;
		break;
	case 8 << 1:
		a->value = *(volatile uint64_t *)at;
		break;
	case 1 << 1 | 1:
		*(volatile uint8_t *)at = (uint8_t)a->value;
		break;
	case 2 << 1 | 1:
		*(volatile uint16_t *)at = (uint16_t)a->value;
		break;
	case 4 << 1 | 1:
		*(volatile uint32_t *)at = (uint32_t)a->value;
		break;
	case 8 << 1 | 1:
		*(volatile uint64_t *)at = a->value;
		break;
	}
}

/* Whether reads of @size at @address, before and after a write, are ones. */
static bool is_nothing(uint64_t address, uint32_t size)
{
	struct access read = { .address = address, .size = size };
	struct access write = { .address = address,
				.size = size,
				.write = true,
				.value = 0x5a5a5a5a5a5a5a5a };
	uint64_t ones = BITS(8 * size - 1, 0);

	if (guarded_call(do_access, &read) >= 0 || read.value != ones)
		return false;
	if (guarded_call(do_access, &write) >= 0)
		return false;
	return guarded_call(do_access, &read) < 0 && read.value == ones;
}

void mmio_wild(void)
{
	uint64_t above = GIB(4) + guest_info.memory_high;
	const uint64_t places[] = {
		MULL_GUEST_MMIO_START,
		NOWHERE,
		MULL_GUEST_IO_APIC - PAGE_SIZE,
		MULL_GUEST_IO_APIC + PAGE_SIZE,
		MULL_GUEST_LOCAL_APIC - PAGE_SIZE,
		MULL_GUEST_LOCAL_APIC + PAGE_SIZE,
		BEHIND_ALL,
		guest_info.memory_low,
		above,
		above + GIB(1),
		GIB(256),
	};

	for (uint32_t size = 1; size <= 8; size *= 2) {
		uint64_t wrong = 0;

		for (size_t i = 0; i < ARRAY_COUNT(places); i++) {
			if (places[i] < MULL_GUEST_MMIO_START &&
			    places[i] != guest_info.memory_low)
				continue;
			if (!is_nothing(places[i], size))
				wrong = places[i];
		}
		report(!wrong, "nothing is nothing, by %u bytes (%lx)", size,
		       wrong);
	}
}

void mmio_crossing(void)
{
	const uint64_t edges[] = {
		MULL_GUEST_IO_APIC,    MULL_GUEST_IO_APIC + PAGE_SIZE,
		MULL_GUEST_LOCAL_APIC, MULL_GUEST_LOCAL_APIC + PAGE_SIZE,
		guest_info.memory_low, NOWHERE,
	};

	for (size_t i = 0; i < ARRAY_COUNT(edges); i++) {
		for (uint32_t size = 2; size <= 8; size *= 2) {
			for (uint32_t before = 1; before < size; before++) {
				struct access a = {
					.address = edges[i] - before,
					.size = size,
				};

				guarded_call(do_access, &a);
				a.write = true;
				guarded_call(do_access, &a);
			}
		}
	}
	apic_start();
	report(true, "accesses across edges are survived");
}

void mmio_random(void)
{
	uint64_t rounds = option_number("rounds", ROUNDS);

	for (uint64_t i = 0; i < rounds; i++) {
		struct access a = {
			.address = MULL_GUEST_MMIO_START +
				   hostile_random() % (GIB(1) - 8),
			.size = 1u << hostile_random() % 4,
			.write = hostile_random() & 1,
			.value = hostile_random(),
		};

		if (hostile_random() % 2) /* near a device */
			a.address = MULL_GUEST_IO_APIC - 8 +
				    hostile_random() % 0x40;
		guarded_call(do_access, &a);
	}
	for (uint32_t pin = 0; pin < MULL_GUEST_IO_APIC_PINS; pin++)
		io_apic_mask(pin);
	report(true, "%lu random accesses are survived", rounds);
}

struct string {
	uint64_t to, from, count;
	bool backward;
};

static void store_bytes(void *argument)
{
	struct string *s = argument;

	asm volatile("rep stosb"
		     : "+D"(s->to), "+c"(s->count)
		     : "a"(0)
		     : "memory");
}

static void store_words(void *argument)
{
	struct string *s = argument;

	asm volatile("rep stosq"
		     : "+D"(s->to), "+c"(s->count)
		     : "a"(0)
		     : "memory");
}

static void move_bytes(void *argument)
{
	struct string *s = argument;

	if (s->backward)
		asm volatile("std");
	asm volatile("rep movsb; cld"
		     : "+D"(s->to), "+S"(s->from), "+c"(s->count)::"memory");
}

static void move_words(void *argument)
{
	struct string *s = argument;

	asm volatile("rep movsl"
		     : "+D"(s->to), "+S"(s->from), "+c"(s->count)::"memory");
}

void mmio_string(void)
{
	static uint8_t buffer[256];
	uint64_t ram = (uintptr_t)buffer;
	struct string s;
	int vector;

	s = (struct string){ .to = NOWHERE, .count = 256 };
	guarded_call(store_bytes, &s);
	report(s.count == 0 && s.to == NOWHERE + 256,
	       "rep stosb to nowhere runs to its end");
	memset(buffer, 0, sizeof buffer);
	s = (struct string){ .to = ram, .from = NOWHERE, .count = 256 };
	guarded_call(move_bytes, &s);
	report(s.count == 0 && buffer[0] == 0xff && buffer[255] == 0xff,
	       "rep movsb from nowhere brings ones");
	s = (struct string){ .to = NOWHERE + 255,
			     .from = ram + 255,
			     .count = 256,
			     .backward = true };
	guarded_call(move_bytes, &s);
	report(s.count == 0 && s.from == ram - 1,
	       "rep movsb runs backward, too");
	s = (struct string){ .to = NOWHERE,
			     .from = NOWHERE + MIB(1),
			     .count = 64 };
	guarded_call(move_words, &s);
	s = (struct string){ .to = ram,
			     .from = MULL_GUEST_LOCAL_APIC,
			     .count = 64 };
	guarded_call(move_words, &s);
	s = (struct string){ .to = MULL_GUEST_IO_APIC - 64, .count = 256 };
	guarded_call(store_bytes, &s);
	report(true, "string operations between devices are survived");

	/* Into the end of what is mapped: a page fault, and no later. */
	s = (struct string){ .to = GIB(4) - 512, .count = ~0ull >> 4 };
	vector = guarded_call(store_words, &s);
	report(vector == VECTOR_PAGE_FAULT, "an endless rep stosq ends (%d)",
	       vector);
}
