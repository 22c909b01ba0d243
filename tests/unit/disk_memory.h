/* SPDX-License-Identifier: MIT */
/* What drivers of disks need of the fake machine: pages, a clock that goes on,
 * and requests. */
#ifndef DISK_MEMORY_H
#define DISK_MEMORY_H

#include "fake_pci.h"
#include <mullion/block.h>
#include <mullion/frame_pool.h>
#include <stdlib.h>

#define BAR_AT 0x1800000000 /* beyond all that fake memory has */
#define MODEL_SECTORS 2048

static frame_owner owners[64];
static uint8_t model_disk[MODEL_SECTORS][512];
static _Alignas(4096) uint8_t data[128][4096];

/* A millisecond at each look, so that waiting ends. */
uint64_t arch_time(void)
{
	return fake_time += 1000000;
}

static void disk_memory_start(void)
{
	const struct mull_memory_range ram = { MIB(32), MIB(32),
					       MULL_MEMORY_USABLE, 0 };

	if (!frames_free())
		frame_pool_start(&ram, 1, owners, frame_pool_span(&ram, 1));
	fake_time = 0;
	for (uint32_t i = 0; i < sizeof model_disk; i++)
		model_disk[i / 512][i % 512] = (uint8_t)(i * 7 + i / 512);
	memset(data, 0, sizeof data);
}

/* What ended last, and how much. */
static uint32_t ended;

static void on_end(struct block_request *request)
{
	(void)request;
	ended++;
}

static struct block_segment piece(uint32_t page, uint32_t offset,
				  uint32_t length)
{
	return (struct block_segment){ arch_physical(&data[page][offset]),
				       length };
}

static struct block_request request_of(enum block_operation operation,
				       uint64_t sector,
				       const struct block_segment *segments,
				       uint32_t count)
{
	struct block_device *device = block_device_at(0);

	return (struct block_request){
		.partition = &device->whole,
		.operation = operation,
		.offset = sector * device->sector_size,
		.segments = segments,
		.segment_count = count,
		.done = on_end,
	};
}

/* Sends it and waits for its end. */
static enum error do_request(struct block_request *request)
{
	uint32_t before = ended;

	block_send(request);
	for (uint32_t i = 0; i < 100000 && ended == before; i++)
		block_poll();
	if (ended == before)
		abort();
	return request->error;
}

#endif
