/* SPDX-License-Identifier: MIT */
/* Requests for what is counted and kept. */
#include "request.h"
#include "service.h"
#include <mullion/arch.h>
#include <mullion/balloon.h>
#include <mullion/bits.h>
#include <mullion/cpu_loop.h>
#include <mullion/shared_port.h>
#include <mullion/trace.h>
#include <mullion/uplink.h>
#include <string.h>

static void add_vcpu(const struct vcpu *vcpu, struct mull_vm_stats *stats)
{
	stats->guest_ns += stopwatch_ns(&vcpu->guest);
	stats->hypervisor_ns += stopwatch_ns(&vcpu->work);
	stats->interrupts += vcpu->interrupts;
	for (int kind = 0; kind < EXIT_KIND_COUNT; kind++)
		stats->exits[kind] += vcpu->exits[kind];
}

static void add_shared(const struct vm *vm, struct mull_vm_stats *stats)
{
	for (uint32_t i = 0; vm->shared && i < vm->shared->count; i++) {
		stats->doorbells += vm->shared->ports[i].rings;
		stats->refused_writes += vm->shared->ports[i].refused;
	}
}

enum error request_vm_stats(const struct asked *asked, struct answer *answer)
{
	struct mull_vm_stats *stats = answer_add(answer, sizeof *stats);
	const struct vm *vm = asked->vm;

	if (asked->argument >= vm->vcpu_count &&
	    asked->argument != MULL_ALL_VCPUS)
		return ERR_NOT_FOUND;
	stats->time_ns = log_time();
	stats->memory_size = vm->description.memory_size;
	stats->memory_gone = stats->memory_size - vm_memory_now(vm);
	stats->console_in = console_of(vm->index)->typed;
	stats->console_out = vm->serial.output.head;
	for (uint32_t i = 0; i < vm->vcpu_count; i++)
		if (asked->argument == i || asked->argument == MULL_ALL_VCPUS)
			add_vcpu(vm->vcpus[i], stats);
	add_shared(vm, stats);
	return ERR_NONE;
}

enum error request_cpu_stats(const struct asked *asked, struct answer *answer)
{
	struct mull_cpu_stats *stats;

	for (uint32_t cpu = asked->argument; cpu < arch_cpu_count(); cpu++) {
		stats = answer_add(answer, sizeof *stats);
		if (!stats) {
			answer->reply.value = cpu;
			break;
		}
		cpu_loop_stats(cpu, log_time(), stats);
		stats->vcpu_count = vm_vcpus_on(cpu);
	}
	return ERR_NONE;
}

enum error request_device_stats(const struct asked *asked,
				struct answer *answer)
{
	lock_take(&asked->vm->device_lock); /* devices may come and go */
	for (uint32_t i = (uint32_t)asked->argument; i < PCI_SLOTS; i++) {
		const struct pci_function *function =
			asked->vm->pci.functions[i];
		struct mull_device_stats *stats;

		if (!function || !function->operations->stats)
			continue;
		stats = answer_add(answer, sizeof *stats);
		if (!stats) {
			answer->reply.value = i;
			break;
		}
		stats->slot = i;
		function->operations->stats(function, stats);
	}
	lock_give(&asked->vm->device_lock);
	return ERR_NONE;
}

enum error request_nics(const struct asked *asked, struct answer *answer)
{
	uint32_t number = (uint32_t)asked->argument;
	struct mull_nic_status *status;
	struct nic *nic;

	for (number += !number; (nic = nic_at(number)); number++) {
		status = answer_add(answer, sizeof *status);
		if (!status) {
			answer->reply.value = number;
			break;
		}
		nic_describe(nic, status);
		uplink_stats(status);
	}
	return ERR_NONE;
}

enum error request_ledger(const struct asked *asked, struct answer *answer)
{
	struct mull_phase *phase;

	for (uint32_t i = asked->argument; i < ledger_count; i++) {
		phase = answer_add(answer, sizeof *phase);
		if (!phase) {
			answer->reply.value = i;
			break;
		}
		*phase = ledger[i];
	}
	return ERR_NONE;
}

enum error request_events(const struct asked *asked, struct answer *answer)
{
	struct mull_event *events = (struct mull_event *)answer->data;

	answer->reply.value = asked->argument;
	answer->length = sizeof *events *
			 events_read(&answer->reply.value, events,
				     sizeof answer->data / sizeof *events);
	return ERR_NONE;
}

enum error request_log(const struct asked *asked, struct answer *answer)
{
	answer->reply.value = asked->argument;
	answer->length = log_read(&answer->reply.value, (char *)answer->data,
				  sizeof answer->data);
	return ERR_NONE;
}

enum error request_log_previous(const struct asked *asked,
				struct answer *answer)
{
	answer->reply.value = asked->argument;
	answer->length = log_read_previous(&answer->reply.value,
					   (char *)answer->data,
					   sizeof answer->data);
	return ERR_NONE;
}

enum error request_history(const struct asked *asked, struct answer *answer)
{
	answer->reply.value = asked->argument;
	answer->length = console_history(asked->vm, &answer->reply.value,
					 answer->data, sizeof answer->data);
	return ERR_NONE;
}

enum error request_attach(const struct asked *asked, struct answer *answer)
{
	if (asked->number != MULL_ALL_VMS && !console_of(asked->number))
		return ERR_NOT_FOUND;
	answer->reply.value = console_attach(asked->line, asked->number,
					     asked->argument);
	return ERR_NONE;
}

enum error request_trace(const struct asked *asked, struct answer *answer)
{
	answer->reply.value = traced;
	if (asked->argument != MULL_TRACE_LOOK)
		traced = (uint32_t)asked->argument;
	return ERR_NONE;
}
