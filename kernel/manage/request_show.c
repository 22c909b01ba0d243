/* SPDX-License-Identifier: MIT */
/* Requests that only look: the machine and its VMs. */
#include "request.h"
#include "service.h"
#include <mullion/arch.h>
#include <mullion/balloon.h>
#include <mullion/bits.h>
#include <mullion/cpu_loop.h>
#include <mullion/frame_pool.h>
#include <mullion/guest_clock.h>
#include <mullion/manage.h>
#include <mullion/page.h>
#include <string.h>

static const struct mull_boot_info *boot;
static const uint8_t *package_sha256;

void manage_describe(const struct mull_boot_info *of_boot,
		     const uint8_t *sha256)
{
	boot = of_boot;
	package_sha256 = sha256;
}

enum error request_info(const struct asked *asked, struct answer *answer)
{
	struct mull_info *info = answer_add(answer, sizeof *info);

	(void)asked;
	info->interface = MULL_INTERFACE;
	info->cpu_count = arch_cpu_count();
	info->vm_count = console_count();
	info->service_cpu = cpu_loop_service();
	info->memory_free = frames_free() * FRAME_SIZE;
	info->pages_used = pages_in_use() * PAGE_SIZE;
	info->wall_clock_ns = boot->wall_clock ? guest_clock_wall(arch_time()) :
						 0;
	info->event_count = event_count();
	info->time_ns = log_time();
	info->tsc_khz = arch_time_khz();
	info->log_position = log_head();
	format_text(info->version, sizeof info->version, "%s", MULL_VERSION);
	format_text(info->virtualization, sizeof info->virtualization, "%s",
		    virt->name);
	virt->describe(info->features, sizeof info->features);
	for (uint32_t i = 0; i < sizeof info->processor / 16 - 1; i++)
		arch_cpuid(0x80000002 + i, 0,
			   (uint32_t *)info->processor + 4 * i);
	memcpy(info->firmware, boot->firmware_vendor,
	       sizeof info->firmware - 1);
	for (uint32_t i = 0; i < boot->memory_count; i++)
		if (boot->memory[i].kind <= MULL_MEMORY_LOADER)
			info->memory_total += boot->memory[i].size;
	memcpy(info->package_sha256, package_sha256,
	       sizeof info->package_sha256);
	return ERR_NONE;
}

static uint32_t flags_of(const struct console *console, enum manage_line line)
{
	const struct vm *vm = console->vm;

	uint32_t disks = 0, nics = 0;

	/* A refused one's description may be anything. */
	for (uint32_t i = 0; i < MULL_DISK_MAX && vm->vcpu_count; i++)
		disks += vm->description.disks[i].kind != MULL_DISK_NONE;
	for (uint32_t i = 0; i < MULL_NIC_MAX && vm->vcpu_count; i++)
		nics += vm->description.nics[i].network[0] != 0;
	return disks << MULL_STATUS_DISKS_SHIFT |
	       nics << MULL_STATUS_NICS_SHIFT |
	       (vm->created ? MULL_STATUS_CREATED : 0) |
	       (vm->debugged ? MULL_STATUS_DEBUGGED : 0) |
	       (console->readers[line].attached ? MULL_STATUS_ATTACHED : 0);
}

static void fill_status(const struct vm *vm, struct mull_vm_status *status)
{
	struct mull_event now;

	event_describe(vm, &now);
	memcpy(status->name, now.name, sizeof status->name);
	memcpy(status->words, now.words, sizeof status->words);
	status->number = vm->index;
	status->state = now.state;
	status->reason = now.reason;
	status->code = now.code;
	status->restarts = now.restarts;
	status->vcpu_count = vm->vcpu_count;
	status->first_cpu = vm_home(vm);
	status->memory_size = vm_memory_now(vm);
	status->console_position = vm->serial.output.head;
	status->complaints = vm->complaints;
	status->started_ns = vm->started_at ? log_time_of(vm->started_at) : 0;
	for (uint32_t i = 0; i < vm->vcpu_count; i++) {
		status->guest_ns += stopwatch_ns(&vm->vcpus[i]->guest);
		for (int kind = 0; kind < EXIT_KIND_COUNT; kind++)
			status->exits += vm->vcpus[i]->exits[kind];
	}
}

enum error request_list(const struct asked *asked, struct answer *answer)
{
	for (uint32_t i = (uint32_t)asked->argument; i < MULL_VM_MAX; i++) {
		const struct console *console = console_of(i);
		struct mull_vm_status *status;

		if (!console)
			continue;
		status = answer_add(answer, sizeof *status);
		if (!status) {
			answer->reply.value = i;
			break;
		}
		fill_status(console->vm, status);
		status->flags = flags_of(console, asked->line);
	}
	return ERR_NONE;
}

enum error request_show(const struct asked *asked, struct answer *answer)
{
	size_t rest = sizeof asked->vm->description - asked->argument;

	if (rest > sizeof answer->data)
		rest = sizeof answer->data;
	answer->reply.value = sizeof asked->vm->description;
	memcpy(answer_add(answer, rest),
	       (const uint8_t *)&asked->vm->description + asked->argument,
	       rest);
	return ERR_NONE;
}
