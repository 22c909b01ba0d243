/* SPDX-License-Identifier: MIT */
/*
 * A double of guest memory for tests: RAM from 0 on, which counts how often
 * each byte was read, and can change under the reader's hands.
 */
#ifndef TESTS_UNIT_GUEST_RAM_H
#define TESTS_UNIT_GUEST_RAM_H

#include <mullion/guest_memory.h>
#include <string.h>

#define RAM_SIZE 0x40000

static uint8_t ram[RAM_SIZE];
static uint8_t ram_reads[RAM_SIZE];
static bool ram_is_uncounted;	      /* for speed */
static void (*ram_before_swap)(void); /* another vCPU's turn */
static const struct guest_memory ram_memory;

static inline void ram_clear(void)
{
	memset(ram, 0, sizeof ram);
	memset(ram_reads, 0, sizeof ram_reads);
	ram_before_swap = NULL;
}

/* How often that byte was read which was read most often. */
static inline unsigned ram_most_reads(size_t from, size_t length)
{
	unsigned most = 0;

	for (size_t i = from; i < from + length; i++)
		if (ram_reads[i] > most)
			most = ram_reads[i];
	return most;
}

bool guest_is_ram(const struct guest_memory *memory, gpa_t at, size_t length)
{
	(void)memory;
	return at.value <= RAM_SIZE && length <= RAM_SIZE - at.value;
}

enum error guest_read(const struct guest_memory *memory, gpa_t from, void *to,
		      size_t length)
{
	if (!guest_is_ram(memory, from, length))
		return ERR_BAD_ADDRESS;
	memcpy(to, ram + from.value, length);
	for (size_t i = 0; i < length && !ram_is_uncounted; i++)
		ram_reads[from.value + i]++;
	return ERR_NONE;
}

enum error guest_write(const struct guest_memory *memory, gpa_t to,
		       const void *from, size_t length)
{
	if (!guest_is_ram(memory, to, length))
		return ERR_BAD_ADDRESS;
	memcpy(ram + to.value, from, length);
	return ERR_NONE;
}

/* It is where the guest thinks that it is. */
enum error guest_locate(const struct guest_memory *memory, gpa_t at,
			hpa_t *address)
{
	*address = hpa(at.value);
	return guest_is_ram(memory, at, 1) ? ERR_NONE : ERR_BAD_ADDRESS;
}

enum error guest_compare_swap(const struct guest_memory *memory, gpa_t at,
			      size_t size, uint64_t expected, uint64_t desired,
			      bool *swapped)
{
	uint64_t found = 0;

	if (!guest_is_ram(memory, at, size))
		return ERR_BAD_ADDRESS;
	if (ram_before_swap)
		ram_before_swap();
	memcpy(&found, ram + at.value, size);
	*swapped = found == expected;
	if (*swapped)
		memcpy(ram + at.value, &desired, size);
	return ERR_NONE;
}

enum error guest_load_16(const struct guest_memory *memory, gpa_t at,
			 uint16_t *value)
{
	return at.value % 2 ? ERR_BAD_ADDRESS :
			      guest_read(memory, at, value, sizeof *value);
}

enum error guest_store_16(const struct guest_memory *memory, gpa_t at,
			  uint16_t value)
{
	return at.value % 2 ? ERR_BAD_ADDRESS :
			      guest_write(memory, at, &value, sizeof value);
}

#endif
