/* SPDX-License-Identifier: MIT */
/* An NVMe controller's queues, and the commands of the disk.  NVM Express Base
 * Specification 1.4, "Physical Region Page Entry and List". */
#include "nvme_parts.h"
#include <mullion/log.h>
#include <string.h>

/* ---- queues ---------------------------------------------------------------- */

void nvme_queue_reset(struct nvme_queue *queue)
{
	queue->tail = queue->head = 0;
	queue->phase = 1;
	memset(queue->commands, 0, PAGE_SIZE);
	memset((void *)queue->completions, 0, PAGE_SIZE);
}

/* "Doorbell Stride"; the completions' doorbell follows the commands'. */
void nvme_ring(const struct nvme *nvme, const struct nvme_queue *queue,
	       bool completions, uint32_t value)
{
	uint32_t stride = 4u << field_get(CAP_DSTRD, nvme->capabilities);

	nvme_put(nvme,
		 NVME_DOORBELLS + (2 * queue->number + completions) * stride, 4,
		 value);
}

void nvme_queue_add(const struct nvme *nvme, struct nvme_queue *queue,
		    const struct nvme_command *command)
{
	queue->commands[queue->tail] = *command;
	queue->tail = (queue->tail + 1) % queue->size;
	nvme_ring(nvme, queue, false, queue->tail);
}

bool nvme_queue_take(struct nvme_queue *queue,
		     struct nvme_completion *completion)
{
	volatile struct nvme_completion *from =
		&queue->completions[queue->head];
	uint16_t status = __atomic_load_n(&from->status, __ATOMIC_ACQUIRE);

	if ((status & 1) != queue->phase)
		return false;
	completion->status = status >> 1;
	completion->id = from->id;
	queue->head = (queue->head + 1) % queue->size;
	if (queue->head == 0)
		queue->phase ^= 1;
	return true;
}

/* ---- commands -------------------------------------------------------------- */

/* "PRP Entry": the first may begin within a page; two are in the command, and
 * more in a list. */
static void set_pages(struct nvme *nvme, uint32_t slot, struct nvme_command *to,
		      const struct block_command *command)
{
	uint64_t *list = nvme->shared->lists[slot];
	uint32_t count = 0;
	bool first = true;

	for (uint32_t i = 0; i < command->segment_count; i++) {
		uint64_t at = command->segments[i].at.value;
		uint64_t end = at + command->segments[i].length;

		for (; at < end; at = round_down(at, PAGE_SIZE) + PAGE_SIZE) {
			if (first) {
				to->prp1 = at;
			} else {
				ASSERT(count < NVME_LIST_SIZE);
				list[count++] = at;
			}
			first = false;
		}
	}
	to->prp2 = count == 0 ? 0 :
		   count == 1 ? list[0] :
				arch_physical(list).value;
}

static enum error start(struct block_device *device, uint32_t slot,
			const struct block_command *command)
{
	static const uint8_t opcodes[] = {
		[BLOCK_READ] = NVME_READ,
		[BLOCK_WRITE] = NVME_WRITE,
		[BLOCK_FLUSH] = NVME_FLUSH,
	};
	struct nvme *nvme = nvme_of(device);
	struct nvme_command to = {
		.opcode = opcodes[command->operation],
		.id = (uint16_t)slot,
		.namespace_id = nvme->namespace_id,
	};

	if (command->operation != BLOCK_FLUSH) {
		set_pages(nvme, slot, &to, command);
		to.words[0] = (uint32_t)command->sector;
		to.words[1] = (uint32_t)(command->sector >> 32);
		to.words[2] = command->sectors - 1;
	}
	nvme_queue_add(nvme, &nvme->io, &to);
	return ERR_NONE;
}

/* "Status Field": code and type; the rest are hints. */
static enum error error_of(struct nvme *nvme, uint16_t status)
{
	if (!(status & 0x7ff))
		return ERR_NONE;
	log_write(LOG_WARNING "disk %s: a command failed with status type %u, "
			      "code 0x%x",
		  nvme->block.name, status >> 8 & 7, status & 0xff);
	return ERR_DEVICE;
}

static void take_completions(struct nvme *nvme)
{
	struct block_device *device = &nvme->block;
	struct nvme_completion completion;
	uint32_t count = 0;

	while (count < nvme->io.size &&
	       nvme_queue_take(&nvme->io, &completion)) {
		count++;
		if (completion.id >= device->slots ||
		    !device->slot[completion.id].request) {
			block_reset(device, "it ended a command that does not "
					    "run");
			return;
		}
		block_ended(device, completion.id,
			    error_of(nvme, completion.status));
	}
	if (count)
		nvme_ring(nvme, &nvme->io, true, nvme->io.head);
}

static void look_at_status(struct nvme *nvme)
{
	uint32_t status;

	if ((int64_t)(arch_time() - nvme->next_look) < 0)
		return;
	nvme->next_look = arch_time() + arch_time_ms(NVME_LOOK_MS);
	status = nvme_get(nvme, NVME_CSTS);
	if (status == NVME_GONE)
		nvme_give_up(nvme, "it is gone");
	else if (status & CSTS_FATAL || !(status & CSTS_READY))
		block_reset(&nvme->block, "it reports a fatal error");
}

static void poll(struct block_device *device)
{
	struct nvme *nvme = nvme_of(device);

	if (nvme->state != NVME_WORKING) {
		if (nvme->state != NVME_DEAD)
			nvme_go_on(nvme);
		return;
	}
	take_completions(nvme);
	if (nvme->state == NVME_WORKING)
		look_at_status(nvme);
}

static void reset(struct block_device *device)
{
	nvme_begin_reset(nvme_of(device));
}

const struct block_driver nvme_driver = { start, poll, reset, "nvme" };
