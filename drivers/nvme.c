/* SPDX-License-Identifier: MIT */
/*
 * One namespace of an NVMe controller, by one pair of I/O queues.  The
 * controller is hostile: what it writes to memory is copied once and bounded,
 * and what it must not do resets it.  Here they are found.
 */
#include "nvme_parts.h"
#include <mullion/log.h>
#include <mullion/nvme.h>
#include <mullion/page.h>
#include <string.h>

#define NVME_MAX 4 /* controllers */

static struct nvme controllers[NVME_MAX];
static uint32_t controller_count;

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
	struct nvme_shared *shared = page_alloc(sizeof(struct nvme_shared) /
						PAGE_SIZE);

	if (!shared)
		return "no memory for its queues";
	nvme->shared = shared;
	if (size > NVME_QUEUE_SIZE)
		size = NVME_QUEUE_SIZE;
	nvme->admin = (struct nvme_queue){
		.commands = shared->admin_commands,
		.completions = shared->admin_completions,
		.number = 0,
		.size = (uint32_t)size
	};
	nvme->io = (struct nvme_queue){ .commands = shared->commands,
					.completions = shared->completions,
					.number = 1,
					.size = (uint32_t)size };
	nvme->block.driver = &nvme_driver;
	nvme->block.slots = (uint32_t)size - 1;
	nvme->block.segments_max = NVME_LIST_SIZE;
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
	nvme_begin_reset(nvme);
	while (nvme->state < NVME_WORKING) {
		nvme_go_on(nvme);
		arch_pause();
	}
	if (nvme->state == NVME_DEAD)
		return;
	error = block_add(&nvme->block);
	if (error)
		nvme_give_up(nvme, error_text(error));
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
			nvme_give_up(nvme, words);
			continue;
		}
		log_write("disk %s: NVMe %04x:%04x at PCI %s", nvme->block.name,
			  pci->vendor, pci->id, pci->name);
		bring_up(nvme);
	}
}
