/* SPDX-License-Identifier: MIT */
/*
 * One namespace of an NVMe controller, by one pair of I/O queues.  NVM Express
 * Base Specification 1.4, "Controller Initialization", "Physical Region Page
 * Entry and List".  Start and reset are the same steps; poll() takes them one
 * by one.  The controller is hostile: what it writes to memory is copied once
 * and bounded, and what it must not do resets it.
 */
#include "nvme_format.h"
#include <mullion/arch.h>
#include <mullion/bits.h>
#include <mullion/block.h>
#include <mullion/log.h>
#include <mullion/nvme.h>
#include <mullion/page.h>
#include <mullion/pci.h>
#include <string.h>

#define NVME_MAX 4 /* controllers */
#define QUEUE_SIZE 32
#define COMMANDS (QUEUE_SIZE - 1) /* a full queue has one entry free */
#define LIST_SIZE 64		  /* PRPs, of 4 KiB each */
#define COMMAND_MAX (LIST_SIZE * PAGE_SIZE)
#define ADMIN_TIMEOUT_MS 5000
#define LOOK_MS 100
#define GONE 0xffffffff /* what a register without a device gives */

enum state {
	DISABLING, /* until it says that it is not ready */
	ENABLING,  /* until it says that it is */
	ASKING,	   /* one admin command after the other */
	WORKING,
	DEAD,
};

struct queue {
	struct nvme_command *commands;
	volatile struct nvme_completion *completions;
	uint32_t number, size;
	uint32_t tail, head; /* of the commands, and of the completions */
	uint16_t phase;
};

/* Memory that the controller reads and writes. */
struct shared {
	struct nvme_command admin_commands[PAGE_SIZE / 64];
	struct nvme_completion admin_completions[PAGE_SIZE / 16];
	struct nvme_command commands[PAGE_SIZE / 64];
	struct nvme_completion completions[PAGE_SIZE / 16];
	uint8_t identity[PAGE_SIZE];
	uint64_t lists[QUEUE_SIZE][LIST_SIZE];
};
_Static_assert(sizeof(struct shared) % PAGE_SIZE == 0, "whole pages");

struct nvme {
	struct block_device block;
	struct pci_device *pci;
	hpa_t registers;
	uint64_t capabilities;
	enum state state;
	uint32_t step;	    /* of ASKING */
	uint64_t deadline;  /* of the state, arch_time() */
	uint64_t next_look; /* at the status, while WORKING */
	uint32_t namespace_id;
	bool known; /* it has been through all the steps before */
	struct queue admin, io;
	struct shared *shared;
};

static struct nvme controllers[NVME_MAX];
static uint32_t controller_count;

static struct nvme *of(struct block_device *device)
{
	return (struct nvme *)device; /* its first member */
}

static uint32_t get_32(const struct nvme *nvme, uint32_t offset)
{
	return (uint32_t)arch_mmio_read(hpa(nvme->registers.value + offset), 4);
}

static void put(const struct nvme *nvme, uint32_t offset, uint32_t size,
		uint64_t value)
{
	arch_mmio_write(hpa(nvme->registers.value + offset), size, value);
}

/* ---- queues ---------------------------------------------------------------- */

static void queue_reset(struct queue *queue)
{
	queue->tail = queue->head = 0;
	queue->phase = 1;
	memset(queue->commands, 0, PAGE_SIZE);
	memset((void *)queue->completions, 0, PAGE_SIZE);
}

/* "Doorbell Stride"; the completions' doorbell follows the commands'. */
static void ring(const struct nvme *nvme, const struct queue *queue,
		 bool completions, uint32_t value)
{
	uint32_t stride = 4u << field_get(CAP_DSTRD, nvme->capabilities);

	put(nvme, NVME_DOORBELLS + (2 * queue->number + completions) * stride,
	    4, value);
}

static void queue_add(const struct nvme *nvme, struct queue *queue,
		      const struct nvme_command *command)
{
	queue->commands[queue->tail] = *command;
	queue->tail = (queue->tail + 1) % queue->size;
	ring(nvme, queue, false, queue->tail);
}

/* The next completion; false: there is none. */
static bool queue_take(struct queue *queue, struct nvme_completion *completion)
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

/* ---- start and reset ------------------------------------------------------- */

static void give_up(struct nvme *nvme, const char *why)
{
	pci_stop(nvme->pci);
	nvme->state = DEAD;
	block_give_up(&nvme->block, why);
}

static void begin_disable(struct nvme *nvme)
{
	put(nvme, NVME_CC, 4, 0);
	nvme->state = DISABLING;
	nvme->deadline = arch_time() +
			 arch_time_ms(500) *
				 (1 + field_get(CAP_TO, nvme->capabilities));
}

static void begin_enable(struct nvme *nvme)
{
	queue_reset(&nvme->admin);
	queue_reset(&nvme->io);
	put(nvme, NVME_AQA, 4, (nvme->admin.size - 1) * 0x10001);
	put(nvme, NVME_ASQ, 8, arch_physical(nvme->admin.commands).value);
	put(nvme, NVME_ACQ, 8,
	    arch_physical((void *)nvme->admin.completions).value);
	/* NVM commands, pages of 4 KiB, round robin; entries of 64 and 16. */
	put(nvme, NVME_CC, 4, CC_ENABLE | CC_IOSQES(6) | CC_IOCQES(4));
	nvme->state = ENABLING;
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
	block->command_max = COMMAND_MAX;
	if (limit && limit < __builtin_ctz(COMMAND_MAX / PAGE_SIZE))
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
	queue_add(nvme, &nvme->admin, &command);
	nvme->state = ASKING;
	nvme->deadline = arch_time() + arch_time_ms(ADMIN_TIMEOUT_MS);
}

static void end_step(struct nvme *nvme)
{
	struct nvme_completion completion;
	const char *words = NULL;

	if (!queue_take(&nvme->admin, &completion))
		return;
	ring(nvme, &nvme->admin, true, nvme->admin.head);
	if (completion.id != nvme->step || completion.status & 0x7ff)
		words = "it refuses an admin command";
	else if (steps[nvme->step].take)
		words = steps[nvme->step].take(nvme);
	if (words) {
		give_up(nvme, words);
		return;
	}
	if (++nvme->step < ARRAY_COUNT(steps)) {
		begin_step(nvme);
		return;
	}
	nvme->state = WORKING;
	nvme->next_look = arch_time() + arch_time_ms(LOOK_MS);
	nvme->known = true;
	nvme->block.ready = true;
}

/* Nothing of it touches memory any more once it is disabled. */
static void on_disabled(struct nvme *nvme)
{
	block_lost(&nvme->block, ERR_TIMEOUT);
	if (nvme->block.failures > BLOCK_FAILURES_MAX) {
		give_up(nvme, "it fails again and again");
		return;
	}
	begin_enable(nvme);
}

static void go_on(struct nvme *nvme)
{
	uint32_t status = get_32(nvme, NVME_CSTS);

	if (status == GONE) {
		give_up(nvme, "it is gone");
	} else if (nvme->state == DISABLING && !(status & CSTS_READY)) {
		on_disabled(nvme);
	} else if (nvme->state == ENABLING && status & CSTS_READY) {
		nvme->step = 0;
		begin_step(nvme);
	} else if (nvme->state == ASKING) {
		end_step(nvme);
	}
	if (nvme->state < WORKING &&
	    (int64_t)(arch_time() - nvme->deadline) > 0)
		give_up(nvme, nvme->state == ASKING ?
				      "no answer to an admin command" :
			      nvme->state == ENABLING ? "it does not start" :
							"it does not stop");
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
				ASSERT(count < LIST_SIZE);
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
	struct nvme *nvme = of(device);
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
	queue_add(nvme, &nvme->io, &to);
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

	while (count < nvme->io.size && queue_take(&nvme->io, &completion)) {
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
		ring(nvme, &nvme->io, true, nvme->io.head);
}

static void look_at_status(struct nvme *nvme)
{
	uint32_t status;

	if ((int64_t)(arch_time() - nvme->next_look) < 0)
		return;
	nvme->next_look = arch_time() + arch_time_ms(LOOK_MS);
	status = get_32(nvme, NVME_CSTS);
	if (status == GONE)
		give_up(nvme, "it is gone");
	else if (status & CSTS_FATAL || !(status & CSTS_READY))
		block_reset(&nvme->block, "it reports a fatal error");
}

static void poll(struct block_device *device)
{
	struct nvme *nvme = of(device);

	if (nvme->state != WORKING) {
		if (nvme->state != DEAD)
			go_on(nvme);
		return;
	}
	take_completions(nvme);
	if (nvme->state == WORKING)
		look_at_status(nvme);
}

static void reset(struct block_device *device)
{
	begin_disable(of(device));
}

static const struct block_driver nvme_driver = { start, poll, reset, "nvme" };

/* ---- finding them ---------------------------------------------------------- */

static void on_interrupt(void *context)
{
	struct nvme *nvme = context;

	nvme->block.interrupts = true; /* and the CPU is awake */
}

static const char *map_registers(struct nvme *nvme)
{
	struct pci_bar bar;
	enum error error = pci_map_bar(nvme->pci, 0, &bar);
	uint64_t doorbells;

	if (error)
		return error_text(error);
	nvme->registers = bar.at;
	if (bar.size < NVME_DOORBELLS)
		return "its registers are too few";
	nvme->capabilities = arch_mmio_read(hpa(bar.at.value + NVME_CAP), 8);
	/* Up to those of queue 1. */
	doorbells = 4ull * 4 << field_get(CAP_DSTRD, nvme->capabilities);
	if (bar.size < NVME_DOORBELLS + doorbells)
		return "its registers are too few";
	if (!(nvme->capabilities & CAP_CSS_NVM) ||
	    field_get(CAP_MPSMIN, nvme->capabilities))
		return "it has no NVM commands, or no pages of 4 KiB";
	if (field_get(CAP_MQES, nvme->capabilities) == 0)
		return "its queues are too short";
	return NULL;
}

static const char *prepare(struct nvme *nvme)
{
	uint64_t size = field_get(CAP_MQES, nvme->capabilities) + 1;
	struct shared *shared = page_alloc(sizeof(struct shared) / PAGE_SIZE);

	if (!shared)
		return "no memory for its queues";
	nvme->shared = shared;
	if (size > QUEUE_SIZE)
		size = QUEUE_SIZE;
	nvme->admin = (struct queue){ .commands = shared->admin_commands,
				      .completions = shared->admin_completions,
				      .number = 0,
				      .size = (uint32_t)size };
	nvme->io = (struct queue){ .commands = shared->commands,
				   .completions = shared->completions,
				   .number = 1,
				   .size = (uint32_t)size };
	nvme->block.driver = &nvme_driver;
	nvme->block.slots = (uint32_t)size - 1;
	nvme->block.segments_max = LIST_SIZE;
	nvme->block.alignment = 4;
	nvme->block.whole_pages = true;
	return NULL;
}

/* By waiting, through all the steps. */
static void bring_up(struct nvme *nvme)
{
	enum error error;

	error = pci_interrupt(nvme->pci, 0, on_interrupt, nvme);
	if (error)
		log_write("disk %s: no interrupt, it is polled: %s",
			  nvme->block.name, error_text(error));
	begin_disable(nvme);
	while (nvme->state < WORKING) {
		go_on(nvme);
		arch_pause();
	}
	if (nvme->state == DEAD)
		return;
	error = block_add(&nvme->block);
	if (error)
		give_up(nvme, error_text(error));
}

void nvme_start(void)
{
	struct pci_device *pci = NULL;

	while ((pci = pci_next(pci)) && controller_count < NVME_MAX) {
		struct nvme *nvme = &controllers[controller_count];
		const char *words;

		if (pci->class != PCI_CLASS_NVME ||
		    pci_own(pci, "nvme") != ERR_NONE)
			continue;
		memset(nvme, 0, sizeof *nvme);
		nvme->pci = pci;
		nvme->block.pci = pci->name;
		format_text(nvme->block.name, sizeof nvme->block.name, "nvme%u",
			    controller_count++);
		words = map_registers(nvme);
		if (!words)
			words = prepare(nvme);
		if (words) {
			give_up(nvme, words);
			continue;
		}
		log_write("disk %s: NVMe %04x:%04x at PCI %s", nvme->block.name,
			  pci->vendor, pci->id, pci->name);
		bring_up(nvme);
	}
}
