/* SPDX-License-Identifier: MIT */
/* A hostile disk on a fake PCI bus, and what is asked of it: each request must
 * end once, and soon. */
#ifndef MULLION_FUZZ_DISK_H
#define MULLION_FUZZ_DISK_H

#include "fuzz_input.h"

#include "kernel/storage/block.c"

#include <arch/fake/fake.h>
#include <mullion/frame_pool.h>
#include <mullion/page.h>
#include <mullion/pci.h>
#include <stdlib.h>
#include <string.h>

#define BAR_AT 0x1800000000
#define BAR_SIZE 0x4000
#define REQUESTS 12

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static frame_owner owners[64];
static uint32_t config[64], config_address;
static uint32_t done_count[REQUESTS];
static _Alignas(4096) uint8_t memory[8][4096];

/* The device's; offsets in BAR 0. */
static uint64_t device_read(uint32_t offset);
static void device_write(uint32_t offset, uint64_t value);

static void require(bool holds)
{
	if (!holds)
		abort();
}

/* What is right, mostly. */
static uint64_t perhaps(uint64_t right, uint32_t bytes)
{
	return input.size && any(1) % 16 == 0 ? any(bytes) : right;
}

uint64_t arch_time(void)
{
	return fake_time += 50000000;
}

static uint32_t in_32(uint16_t port)
{
	(void)port;
	return config_address & 0xffff00 ? 0xffffffff :
					   config[config_address / 4 & 63];
}

static void out_32(uint16_t port, uint32_t value)
{
	uint32_t word = config_address / 4 & 63;

	if (port == 0xcf8)
		config_address = value;
	else if (word == 4)
		config[4] = (value & ~0x3fffu) | 4;
	else if (word == 1)
		config[1] = (config[1] & 0xffff0000) | (value & 0xffff);
	else if (word == 5)
		config[5] = value;
}

/* A word of it is anything, but for where its registers are. */
static void damage_config(void)
{
	if (any(1) & 1)
		config[any(1) % 64] = (uint32_t)any(4);
	config[4] = (uint32_t)BAR_AT | 4;
	config[5] = BAR_AT >> 32;
}

static uint64_t on_read(hpa_t at, uint32_t size)
{
	uint64_t offset = at.value - BAR_AT;

	require(offset < BAR_SIZE && size <= BAR_SIZE - offset);
	return device_read((uint32_t)offset) & BITS(8 * size - 1, 0);
}

static void on_write(hpa_t at, uint32_t size, uint64_t value)
{
	uint64_t offset = at.value - BAR_AT;

	require(offset < BAR_SIZE && size <= BAR_SIZE - offset);
	device_write((uint32_t)offset, value);
}

/* The bus has one function, @id, of @class. */
static void begin(const uint8_t *data, size_t size, uint32_t id, uint32_t class)
{
	const struct mull_memory_range ram = { MIB(32), MIB(32),
					       MULL_MEMORY_USABLE, 0 };

	if (!frames_free())
		frame_pool_start(&ram, 1, owners, frame_pool_span(&ram, 1));
	input.data = data;
	input.size = size;
	device_count = 0;
	fake_time = 0;
	fake_port_in32 = in_32;
	fake_port_out32 = out_32;
	fake_mmio_read = on_read;
	fake_mmio_write = on_write;
	memset(config, 0, sizeof config);
	config[0] = id;
	config[2] = class << 8;
	config[4] = (uint32_t)BAR_AT | 4;
	config[5] = BAR_AT >> 32;
}

static void on_done(struct block_request *request)
{
	++*(uint32_t *)request->context;
}

/* Of the disk, if there is one. */
static void send_some(void)
{
	static struct block_request requests[REQUESTS];
	static struct block_segment segments[REQUESTS][4];
	uint32_t rounds = 0, ended = 0;

	if (!device_count)
		return;
	for (uint32_t i = 0; i < REQUESTS; i++) {
		uint32_t count = any(1) % 4;

		for (uint32_t j = 0; j < count; j++)
			segments[i][j] = (struct block_segment){
				hpa((uintptr_t)memory[any(1) % 8]),
				(uint32_t)perhaps(512, 1)
			};
		done_count[i] = 0;
		requests[i] = (struct block_request){
			.partition = &devices[0]->whole,
			.operation = any(1) % 3,
			.offset = perhaps(512, 2),
			.segments = segments[i],
			.segment_count = count,
			.done = on_done,
			.context = &done_count[i],
		};
		block_send(&requests[i]);
	}
	while (ended < REQUESTS) {
		block_poll();
		ended = 0;
		for (uint32_t i = 0; i < REQUESTS; i++)
			ended += done_count[i];
		require(rounds++ < 20000);
	}
	for (uint32_t i = 0; i < REQUESTS; i++)
		require(done_count[i] == 1);
	require(!devices[0]->running);
}

#endif
