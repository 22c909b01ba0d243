/* SPDX-License-Identifier: MIT */
/* What the files of the NVMe driver know of each other. */
#ifndef NVME_PARTS_H
#define NVME_PARTS_H

#include "nvme_format.h"
#include <mullion/arch.h>
#include <mullion/bits.h>
#include <mullion/block.h>
#include <mullion/pci.h>

#define NVME_QUEUE_SIZE 32 /* a full queue has one entry free */
#define NVME_LIST_SIZE 64  /* PRPs, of 4 KiB each */
#define NVME_COMMAND_MAX (NVME_LIST_SIZE * PAGE_SIZE)
#define NVME_LOOK_MS 100
#define NVME_GONE 0xffffffff /* what a register without a device gives */

enum nvme_state {
	NVME_DISABLING, /* until it says that it is not ready */
	NVME_ENABLING,	/* until it says that it is */
	NVME_ASKING,	/* one admin command after the other */
	NVME_WORKING,
	NVME_DEAD,
};

struct nvme_queue {
	struct nvme_command *commands;
	volatile struct nvme_completion *completions;
	uint32_t number, size;
	uint32_t tail, head; /* of the commands, and of the completions */
	uint16_t phase;
};

/* Memory that the controller reads and writes. */
struct nvme_shared {
	struct nvme_command admin_commands[PAGE_SIZE / 64];
	struct nvme_completion admin_completions[PAGE_SIZE / 16];
	struct nvme_command commands[PAGE_SIZE / 64];
	struct nvme_completion completions[PAGE_SIZE / 16];
	uint8_t identity[PAGE_SIZE];
	uint64_t lists[NVME_QUEUE_SIZE][NVME_LIST_SIZE];
};
_Static_assert(sizeof(struct nvme_shared) % PAGE_SIZE == 0, "whole pages");

struct nvme {
	struct block_device block;
	struct pci_device *pci;
	hpa_t registers;
	uint64_t capabilities;
	enum nvme_state state;
	uint32_t step;	    /* of NVME_ASKING */
	uint64_t deadline;  /* of the state, arch_time() */
	uint64_t next_look; /* at the status, while NVME_WORKING */
	uint32_t namespace_id;
	bool known; /* it has been through all the steps before */
	struct nvme_queue admin, io;
	struct nvme_shared *shared;
};

static inline struct nvme *nvme_of(struct block_device *device)
{
	return (struct nvme *)device; /* its first member */
}

static inline uint32_t nvme_get(const struct nvme *nvme, uint32_t offset)
{
	return (uint32_t)arch_mmio_read(hpa(nvme->registers.value + offset), 4);
}

static inline void nvme_put(const struct nvme *nvme, uint32_t offset,
			    uint32_t size, uint64_t value)
{
	arch_mmio_write(hpa(nvme->registers.value + offset), size, value);
}

/* ---- nvme_reset.c ---------------------------------------------------------- */

/* Of no use any more: stopped, and said so in the log. */
void nvme_give_up(struct nvme *nvme, const char *why);
/* The first of the steps that start and reset are. */
void nvme_begin_reset(struct nvme *nvme);
/* The next one, unless the controller is still at the last. */
void nvme_go_on(struct nvme *nvme);

/* ---- nvme_commands.c ------------------------------------------------------- */

extern const struct block_driver nvme_driver;

void nvme_queue_reset(struct nvme_queue *queue);
/* Tells of commands, or with @completions of those that were taken. */
void nvme_ring(const struct nvme *nvme, const struct nvme_queue *queue,
	       bool completions, uint32_t value);
void nvme_queue_add(const struct nvme *nvme, struct nvme_queue *queue,
		    const struct nvme_command *command);
/* The next completion; false: there is none. */
bool nvme_queue_take(struct nvme_queue *queue,
		     struct nvme_completion *completion);

#endif
