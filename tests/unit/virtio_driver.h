/* SPDX-License-Identifier: MIT */
/* The driver's side of a split virtqueue in the double of guest memory. */
#ifndef TESTS_UNIT_VIRTIO_DRIVER_H
#define TESTS_UNIT_VIRTIO_DRIVER_H

#include "guest_ram.h"

#include <mullion/bits.h>

#define QUEUE_SIZE 8
#define DESCRIPTORS 0x1000
#define DRIVER 0x2000
#define DEVICE 0x3000
#define INDIRECT 0x4000

#define NEXT 1
#define WRITE 2
#define IN_TABLE 4

static inline void put_16(uint64_t at, uint16_t value)
{
	memcpy(ram + at, &value, 2);
}

static inline void put_32(uint64_t at, uint32_t value)
{
	memcpy(ram + at, &value, 4);
}

static inline void put_64(uint64_t at, uint64_t value)
{
	memcpy(ram + at, &value, 8);
}

static inline uint16_t get_16(uint64_t at)
{
	uint16_t value;

	memcpy(&value, ram + at, 2);
	return value;
}

static inline uint32_t get_32(uint64_t at)
{
	uint32_t value;

	memcpy(&value, ram + at, 4);
	return value;
}

/* Descriptor @index of the table at @table. */
static inline void describe_at(uint64_t table, uint32_t index, uint64_t address,
			       uint32_t length, uint16_t flags, uint16_t next)
{
	put_64(table + index * 16, address);
	put_32(table + index * 16 + 8, length);
	put_16(table + index * 16 + 12, flags);
	put_16(table + index * 16 + 14, next);
}

static inline void describe(uint32_t index, uint64_t address, uint32_t length,
			    uint16_t flags, uint16_t next)
{
	describe_at(DESCRIPTORS, index, address, length, flags, next);
}

static inline void make_available(uint16_t head)
{
	uint16_t index = get_16(DRIVER + 2);

	put_16(DRIVER + 4 + index % QUEUE_SIZE * 2, head);
	put_16(DRIVER + 2, index + 1);
}

static inline uint16_t used_count(void)
{
	return get_16(DEVICE + 2);
}

static inline uint32_t used_id(uint16_t index)
{
	return get_32(DEVICE + 4 + index % QUEUE_SIZE * 8);
}

static inline uint32_t used_length(uint16_t index)
{
	return get_32(DEVICE + 8 + index % QUEUE_SIZE * 8);
}

#endif
