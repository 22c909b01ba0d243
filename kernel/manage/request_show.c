/* SPDX-License-Identifier: MIT */
/* Requests that only look: the machine and its VMs. */
#include "request.h"
#include "service.h"
#include <mullion/arch.h>
#include <mullion/bits.h>
#include <mullion/cpu_loop.h>
#include <mullion/frame_pool.h>
#include <mullion/page.h>
#include <string.h>

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
	info->time_ns = log_time();
	info->tsc_khz = arch_time_khz();
	info->log_position = log_head();
	format_text(info->version, sizeof info->version, "%s", MULL_VERSION);
	format_text(info->virtualization, sizeof info->virtualization, "%s",
		    virt->name);
	return ERR_NONE;
}

static void fill_status(const struct vm *vm, struct mull_vm_status *status)
{
	memcpy(status->name, vm->description.name, sizeof status->name);
	status->number = vm->index;
	status->state = vm->state;
	status->reason = vm->ending;
	status->code = vm->end_code;
	status->restarts = vm->restarts;
	status->vcpu_count = vm->vcpu_count;
	status->first_cpu = vm_home(vm);
	status->memory_size = vm->description.memory_size;
	status->console_position = vm->serial.output.head;
	status->complaints = vm->complaints;
	for (uint32_t i = 0; i < vm->vcpu_count; i++)
		for (int kind = 0; kind < EXIT_KIND_COUNT; kind++)
			status->exits += vm->vcpus[i]->exits[kind];
	if (vm->ending)
		format_text(status->words, sizeof status->words, "%.159s",
			    vm->end_words);
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
