/* SPDX-License-Identifier: MIT */
/*
 * A hostile NVMe controller: it answers with any bytes, writes any to its
 * queues, and is told of no memory but that of the requests.
 */
#include "drivers/nvme.c"

#include "fuzz_disk.h"

static uint32_t ready;

static void identify(const struct nvme_command *command)
{
	uint8_t *to = arch_direct(hpa(command->prp1));
	uint64_t sectors = perhaps(64, 8);
	uint32_t format = (uint32_t)perhaps(9 << 16, 4);

	switch (command->words[0]) {
	case NVME_IDENTIFY_CONTROLLER:
		to[IDENTIFY_MDTS] = (uint8_t)any(1);
		to[IDENTIFY_VWC] = 1;
		for (uint32_t i = 0; i < 8; i++)
			to[IDENTIFY_MODEL + i] = (uint8_t)any(1);
		return;
	case NVME_IDENTIFY_LIST:
		to[0] = (uint8_t)perhaps(1, 1);
		return;
	default:
		to[IDENTIFY_FLBAS] = (uint8_t)perhaps(0, 1);
		memcpy(to + IDENTIFY_NSZE, &sectors, 8);
		memcpy(to + IDENTIFY_LBAF, &format, 4);
	}
}

static void complete(struct nvme_queue *queue, uint32_t slot, uint16_t id)
{
	struct nvme_completion *to =
		(struct nvme_completion *)queue->completions + slot;

	to->id = (uint16_t)perhaps(id, 2);
	to->status = (uint16_t)perhaps(queue->phase, 2);
}

/* Only what belongs to the request may be named. */
static void check_memory(uint64_t at, uint64_t length)
{
	uint64_t offset = at - (uintptr_t)memory;

	require(offset < sizeof memory && length <= sizeof memory - offset);
}

static void on_doorbell(uint32_t number, uint32_t tail)
{
	struct nvme *nvme = &controllers[0];
	struct nvme_queue *queue = number < 2 ? &nvme->admin : &nvme->io;
	const struct nvme_command *command;

	if (number & 1)
		return;
	command = &queue->commands[(tail + queue->size - 1) % queue->size];
	if (number) {
		if (command->opcode != NVME_FLUSH)
			check_memory(command->prp1, 1);
		if (any(1) & 1)
			complete(queue, queue->head, command->id);
		return;
	}
	if (command->opcode == NVME_IDENTIFY)
		identify(command);
	complete(queue, queue->head, command->id);
}

static uint64_t device_read(uint32_t offset)
{
	switch (offset) {
	case NVME_CAP:
		return perhaps(31 | 1 << 24 | CAP_CSS_NVM, 8);
	case NVME_CSTS:
		return perhaps(ready, 4);
	}
	return any(4);
}

static void device_write(uint32_t offset, uint64_t value)
{
	if (offset == NVME_CC)
		ready = value & 1;
	else if (offset >= NVME_DOORBELLS)
		on_doorbell((offset - NVME_DOORBELLS) / 4 % 4, (uint32_t)value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	begin(data, size, 0x00101b36, PCI_CLASS_NVME);
	controller_count = ready = 0;
	damage_config();
	pci_quiesce();
	nvme_start();
	send_some();
	if (controllers[0].shared) /* which the driver keeps for good */
		page_free(controllers[0].shared,
			  sizeof(struct nvme_shared) / PAGE_SIZE);
	memset(controllers, 0, sizeof controllers);
	return 0;
}
