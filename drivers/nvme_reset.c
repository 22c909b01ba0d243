/* SPDX-License-Identifier: MIT */
/*
 * NVM Express Base Specification 1.4, "Controller Initialization".  Start and
 * reset are the same steps; poll() takes them one by one.
 */
#include "nvme_parts.h"
#include <mullion/log.h>
#include <string.h>

#define ADMIN_TIMEOUT_MS 5000

void nvme_give_up(struct nvme *nvme, const char *why)
{
	pci_stop(nvme->pci);
	nvme->state = NVME_DEAD;
	block_give_up(&nvme->block, why);
}

void nvme_begin_reset(struct nvme *nvme)
{
	nvme_put(nvme, NVME_CC, 4, 0);
	nvme->state = NVME_DISABLING;
	nvme->deadline = arch_time() +
			 arch_time_ms(500) *
				 (1 + field_get(CAP_TO, nvme->capabilities));
}

static void begin_enable(struct nvme *nvme)
{
	nvme_queue_reset(&nvme->admin);
	nvme_queue_reset(&nvme->io);
	nvme_put(nvme, NVME_AQA, 4, (nvme->admin.size - 1) * 0x10001);
	nvme_put(nvme, NVME_ASQ, 8, arch_physical(nvme->admin.commands).value);
	nvme_put(nvme, NVME_ACQ, 8,
		 arch_physical((void *)nvme->admin.completions).value);
	/* NVM commands, pages of 4 KiB, round robin; entries of 64 and 16. */
	nvme_put(nvme, NVME_CC, 4, CC_ENABLE | CC_IOSQES(6) | CC_IOCQES(4));
	nvme->state = NVME_ENABLING;
	nvme->deadline = arch_time() +
			 arch_time_ms(500) *
				 (1 + field_get(CAP_TO, nvme->capabilities));
}

static void make_identify(struct nvme *nvme, struct nvme_command *command,
			  enum nvme_identify what)
{
	command->opcode = NVME_IDENTIFY;
	command->prp1 = arch_physical(nvme->shared->identity).value;
	command->words[0] = what;
}

static void ask_controller(struct nvme *nvme, struct nvme_command *command)
{
	make_identify(nvme, command, NVME_IDENTIFY_CONTROLLER);
}

static const char *take_controller(struct nvme *nvme)
{
	const uint8_t *identity = nvme->shared->identity;
	struct block_device *block = &nvme->block;
	uint8_t limit = identity[IDENTIFY_MDTS]; /* 2^limit pages */
	uint32_t length = IDENTIFY_MODEL_SIZE;

	block->write_cache = identity[IDENTIFY_VWC] & IDENTIFY_VWC_PRESENT;
	block->command_max = NVME_COMMAND_MAX;
	if (limit && limit < __builtin_ctz(NVME_COMMAND_MAX / PAGE_SIZE))
		block->command_max = (uint32_t)PAGE_SIZE << limit;
	memcpy(block->model, identity + IDENTIFY_MODEL, IDENTIFY_MODEL_SIZE);
	while (length && block->model[length - 1] == ' ')
		length--;
	block->model[length] = 0;
	return NULL;
}

static void ask_list(struct nvme *nvme, struct nvme_command *command)
{
	make_identify(nvme, command, NVME_IDENTIFY_LIST);
}

static const char *take_list(struct nvme *nvme)
{
	uint32_t first;

	memcpy(&first, nvme->shared->identity, sizeof first);
	if (first == 0 || first >= 0xfffffffe)
		return "it has no namespace";
	nvme->namespace_id = first;
	return NULL;
}

static void ask_namespace(struct nvme *nvme, struct nvme_command *command)
{
	make_identify(nvme, command, NVME_IDENTIFY_NAMESPACE);
	command->namespace_id = nvme->namespace_id;
}

static const char *take_namespace(struct nvme *nvme)
{
	const uint8_t *identity = nvme->shared->identity;
	uint32_t number = identity[IDENTIFY_FLBAS] & IDENTIFY_FLBAS_FORMAT;
	uint32_t format, size;
	uint64_t count;

	memcpy(&format, identity + IDENTIFY_LBAF + 4 * number, sizeof format);
	memcpy(&count, identity + IDENTIFY_NSZE, sizeof count);
	if (field_get(IDENTIFY_LBAF_MS, format))
		return "its sectors have metadata";
	size = (uint32_t)field_get(IDENTIFY_LBAF_LBADS, format);
	if (size != 9 && size != 12)
		return "its sectors are of neither 512 nor 4096 bytes";
	size = 1u << size;
	if (nvme->known && (nvme->block.sector_size != size ||
			    nvme->block.sector_count != count))
		return "it came back with another size";
	nvme->block.sector_size = size;
	nvme->block.sector_count = count;
	nvme->block.read_only = identity[IDENTIFY_NSATTR] &
				IDENTIFY_NSATTR_PROTECTED;
	return NULL;
}

static void ask_queues(struct nvme *nvme, struct nvme_command *command)
{
	(void)nvme;
	command->opcode = NVME_SET_FEATURES;
	command->words[0] = NVME_FEATURE_QUEUES;
	command->words[1] = 0; /* one of each kind */
}

static void ask_completions(struct nvme *nvme, struct nvme_command *command)
{
	command->opcode = NVME_CREATE_CQ;
	command->prp1 = arch_physical((void *)nvme->io.completions).value;
	command->words[0] = (nvme->io.size - 1) << 16 | nvme->io.number;
	command->words[1] = NVME_QUEUE_CONTIGUOUS |
			    (nvme->pci->msix ? NVME_QUEUE_INTERRUPTS : 0);
}

static void ask_commands(struct nvme *nvme, struct nvme_command *command)
{
	command->opcode = NVME_CREATE_SQ;
	command->prp1 = arch_physical(nvme->io.commands).value;
	command->words[0] = (nvme->io.size - 1) << 16 | nvme->io.number;
	command->words[1] = nvme->io.number << 16 | NVME_QUEUE_CONTIGUOUS;
}

static const struct step {
	void (*ask)(struct nvme *nvme, struct nvme_command *command);
	const char *(*take)(struct nvme *nvme); /* words, why not */
} steps[] = {
	{ ask_controller, take_controller }, { ask_list, take_list },
	{ ask_namespace, take_namespace },   { ask_queues, NULL },
	{ ask_completions, NULL },	     { ask_commands, NULL },
};

static void begin_step(struct nvme *nvme)
{
	struct nvme_command command = { .id = (uint16_t)nvme->step };

	memset(nvme->shared->identity, 0, sizeof nvme->shared->identity);
	steps[nvme->step].ask(nvme, &command);
	nvme_queue_add(nvme, &nvme->admin, &command);
	nvme->state = NVME_ASKING;
	nvme->deadline = arch_time() + arch_time_ms(ADMIN_TIMEOUT_MS);
}

static void end_step(struct nvme *nvme)
{
	struct nvme_completion completion;
	const char *words = NULL;

	if (!nvme_queue_take(&nvme->admin, &completion))
		return;
	nvme_ring(nvme, &nvme->admin, true, nvme->admin.head);
	if (completion.id != nvme->step || completion.status & 0x7ff)
		words = "it refuses an admin command";
	else if (steps[nvme->step].take)
		words = steps[nvme->step].take(nvme);
	if (words) {
		nvme_give_up(nvme, words);
		return;
	}
	if (++nvme->step < ARRAY_COUNT(steps)) {
		begin_step(nvme);
		return;
	}
	nvme->state = NVME_WORKING;
	nvme->next_look = arch_time() + arch_time_ms(NVME_LOOK_MS);
	nvme->known = true;
	nvme->block.ready = true;
}

/* Nothing of it touches memory any more once it is disabled. */
static void on_disabled(struct nvme *nvme)
{
	block_lost(&nvme->block, ERR_TIMEOUT);
	if (nvme->block.failures > BLOCK_FAILURES_MAX) {
		nvme_give_up(nvme, "it fails again and again");
		return;
	}
	begin_enable(nvme);
}

void nvme_go_on(struct nvme *nvme)
{
	uint32_t status = nvme_get(nvme, NVME_CSTS);

	if (status == NVME_GONE) {
		nvme_give_up(nvme, "it is gone");
	} else if (nvme->state == NVME_DISABLING && !(status & CSTS_READY)) {
		on_disabled(nvme);
	} else if (nvme->state == NVME_ENABLING && status & CSTS_READY) {
		nvme->step = 0;
		begin_step(nvme);
	} else if (nvme->state == NVME_ASKING) {
		end_step(nvme);
	}
	if (nvme->state < NVME_WORKING &&
	    (int64_t)(arch_time() - nvme->deadline) > 0)
		nvme_give_up(nvme, nvme->state == NVME_ASKING ?
					   "no answer to an admin command" :
				   nvme->state == NVME_ENABLING ?
					   "it does not start" :
					   "it does not stop");
}
