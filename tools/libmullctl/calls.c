/* SPDX-License-Identifier: MIT */
/* Requests as function calls: records checked, texts made printable. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parts.h"

/* ---- one request -------------------------------------------------------- */

struct wait {
	bool done;
	int error;
	struct mull_answer *answer; /* or NULL */
};

static void on_done(void *context, int error, const struct mull_answer *answer)
{
	struct wait *wait = context;

	wait->done = true;
	wait->error = error;
	if (wait->answer && answer)
		*wait->answer = *answer;
}

int mull_request(struct mull *mull, enum mull_command command, uint32_t vm,
		 uint64_t argument, const void *data, size_t length,
		 struct mull_answer *answer)
{
	struct mull_request request = { .command = command,
					.vm = vm,
					.argument = argument };
	struct wait wait = { .answer = answer };
	uint8_t payload[MULL_FRAME_PAYLOAD_MAX];
	int error;

	if (length > sizeof payload - sizeof request)
		return mull_fail(mull, ERR_TOO_LARGE,
				 "a request takes %zu bytes of data at most",
				 sizeof payload - sizeof request);
	memcpy(payload, &request, sizeof request);
	if (length)
		memcpy(payload + sizeof request, data, length);
	while ((error = mull_post(mull, MULL_FRAME_REQUEST,
				  MULL_STREAM_HYPERVISOR, payload,
				  sizeof request + length, on_done, &wait)) ==
	       MULL_FULL)
		mull_pump(mull, 100, -1);
	if (error)
		return error;
	/* Ends: each post is finished by an answer, its attempts or the end. */
	while (!wait.done)
		mull_pump(mull, -1, -1);
	return wait.error;
}

int mull_ask(struct mull *mull, enum mull_command command, uint32_t vm,
	     uint64_t argument, struct mull_answer *answer)
{
	return mull_request(mull, command, vm, argument, NULL, 0, answer);
}

int mull_bad_answer(struct mull *mull)
{
	return mull_fail(mull, MULL_BAD_ANSWER,
			 "the answer is not as it should be: mullctl and the "
			 "hypervisor may be of different versions");
}

int mull_ask_record(struct mull *mull, enum mull_command command, uint32_t vm,
		    uint64_t argument, void *record, size_t size)
{
	struct mull_answer answer;
	int error = mull_ask(mull, command, vm, argument, &answer);

	memset(record, 0, size);
	if (error)
		return error;
	memcpy(record, answer.data,
	       answer.length < size ? answer.length : size);
	return answer.length ? MULL_OK : mull_bad_answer(mull);
}

int mull_ask_list_of(struct mull *mull, enum mull_command command, uint32_t vm,
		     void *list, size_t size, size_t room, size_t *count)
{
	struct mull_answer answer = { .value = 0 };
	uint64_t from;

	*count = 0;
	do {
		size_t got;
		int error;

		from = answer.value;
		error = mull_ask(mull, command, vm, from, &answer);
		if (error)
			return error;
		got = answer.length / size;
		if (answer.length % size || got > room - *count)
			return mull_bad_answer(mull);
		memcpy((uint8_t *)list + *count * size, answer.data,
		       got * size);
		*count += got;
	} while (answer.value > from); /* never the same twice */
	return MULL_OK;
}

int mull_ask_list(struct mull *mull, enum mull_command command, void *list,
		  size_t size, size_t room, size_t *count)
{
	return mull_ask_list_of(mull, command, 0, list, size, room, count);
}

/* ---- what there is ------------------------------------------------------ */

int mull_info(struct mull *mull, struct mull_info *info)
{
	int error = mull_ask_record(mull, MULL_COMMAND_INFO, 0, 0, info,
				    sizeof *info);

	mull_clean(info->version, sizeof info->version);
	mull_clean(info->virtualization, sizeof info->virtualization);
	mull_clean(info->processor, sizeof info->processor);
	mull_clean(info->firmware, sizeof info->firmware);
	mull_clean(info->features, sizeof info->features);
	return error;
}

int mull_list(struct mull *mull, struct mull_vm_status list[MULL_VM_MAX],
	      size_t *count)
{
	int error = mull_ask_list(mull, MULL_COMMAND_LIST, list, sizeof *list,
				  MULL_VM_MAX, count);

	for (size_t i = 0; i < *count; i++) {
		mull_clean(list[i].name, sizeof list[i].name);
		mull_clean(list[i].words, sizeof list[i].words);
	}
	return error;
}

int mull_find(struct mull *mull, const char *name, struct mull_vm_status *vm)
{
	struct mull_vm_status list[MULL_VM_MAX];
	size_t count;
	int error = mull_list(mull, list, &count);
	char number[16];

	if (error)
		return error;
	for (size_t i = 0; i < count; i++) {
		if (strcmp(list[i].name, name) != 0)
			continue;
		*vm = list[i];
		return MULL_OK;
	}
	for (size_t i = 0; i < count; i++) {
		snprintf(number, sizeof number, "%u", list[i].number);
		if (strcmp(number, name) != 0)
			continue;
		*vm = list[i];
		return MULL_OK;
	}
	return mull_fail(mull, ERR_NOT_FOUND, "there is no VM \"%.64s\"", name);
}

int mull_show(struct mull *mull, uint32_t vm, struct mull_vm *description)
{
	uint8_t *bytes = (uint8_t *)description;
	size_t have = 0;

	while (have < sizeof *description) {
		struct mull_answer answer;
		size_t rest = sizeof *description - have;
		int error = mull_ask(mull, MULL_COMMAND_SHOW, vm, have,
				     &answer);

		if (error)
			return error;
		if (!answer.length)
			return mull_bad_answer(mull);
		if (rest > answer.length)
			rest = answer.length;
		memcpy(bytes + have, answer.data, rest);
		have += rest;
	}
	mull_clean(description->name, sizeof description->name);
	mull_clean(description->command_line, sizeof description->command_line);
	if (description->vcpu_count > MULL_VCPU_MAX)
		return mull_bad_answer(mull);
	return MULL_OK;
}

int mull_ledger(struct mull *mull, struct mull_phase *phases, size_t room,
		size_t *count)
{
	int error = mull_ask_list(mull, MULL_COMMAND_LEDGER, phases,
				  sizeof *phases, room, count);

	for (size_t i = 0; i < *count; i++)
		mull_clean(phases[i].words, sizeof phases[i].words);
	return error;
}

int mull_vm_stats(struct mull *mull, uint32_t vm, uint64_t vcpu,
		  struct mull_vm_stats *stats)
{
	return mull_ask_record(mull, MULL_COMMAND_VM_STATS, vm, vcpu, stats,
			       sizeof *stats);
}

int mull_cpu_stats(struct mull *mull, struct mull_cpu_stats stats[MULL_CPU_MAX],
		   size_t *count)
{
	return mull_ask_list(mull, MULL_COMMAND_CPU_STATS, stats, sizeof *stats,
			     MULL_CPU_MAX, count);
}

int mull_device_stats(struct mull *mull, uint32_t vm,
		      struct mull_device_stats stats[MULL_DEVICE_MAX],
		      size_t *count)
{
	int error = mull_ask_list_of(mull, MULL_COMMAND_DEVICE_STATS, vm, stats,
				     sizeof *stats, MULL_DEVICE_MAX, count);

	for (size_t i = 0; i < *count; i++)
		mull_clean(stats[i].network, sizeof stats[i].network);
	return error;
}

int mull_nics(struct mull *mull,
	      struct mull_nic_status nics[MULL_MACHINE_NIC_MAX], size_t *count)
{
	int error = mull_ask_list(mull, MULL_COMMAND_NICS, nics, sizeof *nics,
				  MULL_MACHINE_NIC_MAX, count);

	for (size_t i = 0; i < *count; i++) {
		mull_clean(nics[i].kind, sizeof nics[i].kind);
		mull_clean(nics[i].pci, sizeof nics[i].pci);
		mull_clean(nics[i].network, sizeof nics[i].network);
	}
	return error;
}

int mull_machine_disks(struct mull *mull,
		       struct mull_machine_disk disks[MULL_MACHINE_DISK_MAX],
		       size_t *count)
{
	int error = mull_ask_list(mull, MULL_COMMAND_MACHINE_DISKS, disks,
				  sizeof *disks, MULL_MACHINE_DISK_MAX, count);

	for (size_t i = 0; i < *count; i++) {
		mull_clean(disks[i].name, sizeof disks[i].name);
		mull_clean(disks[i].driver, sizeof disks[i].driver);
		mull_clean(disks[i].pci, sizeof disks[i].pci);
		mull_clean(disks[i].model, sizeof disks[i].model);
	}
	return error;
}

int mull_partitions(
	struct mull *mull,
	struct mull_partition_status partitions[MULL_MACHINE_PARTITION_MAX],
	size_t *count)
{
	int error = mull_ask_list(mull, MULL_COMMAND_PARTITIONS, partitions,
				  sizeof *partitions,
				  MULL_MACHINE_PARTITION_MAX, count);

	for (size_t i = 0; i < *count; i++) {
		mull_clean(partitions[i].name, sizeof partitions[i].name);
		mull_clean(partitions[i].holder, sizeof partitions[i].holder);
		mull_clean(partitions[i].words, sizeof partitions[i].words);
	}
	return error;
}

int mull_events(struct mull *mull, uint64_t first, struct mull_event *events,
		size_t room, size_t *count, uint64_t *first_number)
{
	struct mull_answer answer;
	int error = mull_ask(mull, MULL_COMMAND_EVENTS, 0, first, &answer);

	*count = 0;
	if (error)
		return error;
	*first_number = answer.value;
	*count = answer.length / sizeof *events;
	if (*count > room)
		*count = room;
	memcpy(events, answer.data, *count * sizeof *events);
	for (size_t i = 0; i < *count; i++) {
		mull_clean(events[i].name, sizeof events[i].name);
		mull_clean(events[i].words, sizeof events[i].words);
	}
	return MULL_OK;
}

int mull_audit(struct mull *mull, bool begin, struct mull_audit *audit)
{
	int error = mull_ask_record(mull, MULL_COMMAND_AUDIT, 0, begin, audit,
				    sizeof *audit);

	mull_clean(audit->words, sizeof audit->words);
	return error;
}

int mull_balloon(struct mull *mull, uint32_t vm, uint64_t bytes,
		 struct mull_balloon *balloon)
{
	return mull_ask_record(mull, MULL_COMMAND_BALLOON, vm, bytes, balloon,
			       sizeof *balloon);
}

int mull_schedule(struct mull *mull, struct mull_schedule_status *status)
{
	int error = mull_ask_record(mull, MULL_COMMAND_SCHEDULE, 0, 0, status,
				    sizeof *status);

	for (size_t i = 0; i < MULL_SCHEDULE_MAX; i++)
		mull_clean(status->schedules[i].name,
			   sizeof status->schedules[i].name);
	if (status->count > MULL_SCHEDULE_MAX)
		status->count = MULL_SCHEDULE_MAX;
	return error;
}

int mull_switch_schedule(struct mull *mull, uint32_t number)
{
	return mull_ask(mull, MULL_COMMAND_SCHEDULE_SWITCH, 0, number, NULL);
}

int mull_slot_stats(struct mull *mull,
		    struct mull_slot_stats stats[MULL_CPU_MAX], size_t *count)
{
	return mull_ask_list(mull, MULL_COMMAND_SLOT_STATS, stats,
			     sizeof *stats, MULL_CPU_MAX, count);
}

/* ---- a VM's life -------------------------------------------------------- */

int mull_power_button(struct mull *mull, uint32_t vm)
{
	return mull_ask(mull, MULL_COMMAND_POWER_BUTTON, vm, 0, NULL);
}

int mull_reset(struct mull *mull, uint32_t vm)
{
	return mull_ask(mull, MULL_COMMAND_RESET, vm, 0, NULL);
}

int mull_stop(struct mull *mull, uint32_t vm)
{
	return mull_ask(mull, MULL_COMMAND_STOP, vm, 0, NULL);
}

int mull_start(struct mull *mull, uint32_t vm)
{
	return mull_ask(mull, MULL_COMMAND_START, vm, 0, NULL);
}

int mull_pause(struct mull *mull, uint32_t vm)
{
	return mull_ask(mull, MULL_COMMAND_PAUSE, vm, 0, NULL);
}

int mull_resume(struct mull *mull, uint32_t vm)
{
	return mull_ask(mull, MULL_COMMAND_RESUME, vm, 0, NULL);
}

int mull_inject(struct mull *mull, uint32_t vm, uint32_t vcpu)
{
	return mull_ask(mull, MULL_COMMAND_INJECT, vm, vcpu, NULL);
}

int mull_create(struct mull *mull, const struct mull_vm *description,
		uint32_t *number)
{
	const uint8_t *bytes = (const uint8_t *)description;
	struct mull_answer answer;
	int error = MULL_OK;

	for (size_t at = 0; !error && at < sizeof *description;) {
		size_t piece = sizeof *description - at;

		if (piece > MULL_REQUEST_DATA_MAX)
			piece = MULL_REQUEST_DATA_MAX;
		error = mull_request(mull, MULL_COMMAND_DESCRIBE, 0, at,
				     bytes + at, piece, NULL);
		at += piece;
	}
	if (!error)
		error = mull_ask(mull, MULL_COMMAND_CREATE, 0, 0, &answer);
	if (!error && number)
		*number = (uint32_t)answer.value;
	return error;
}

int mull_destroy(struct mull *mull, uint32_t vm)
{
	return mull_ask(mull, MULL_COMMAND_DESTROY, vm, 0, NULL);
}

/* ---- consoles ----------------------------------------------------------- */

int mull_attach(struct mull *mull, uint32_t vm, bool attached)
{
	return mull_ask(mull, MULL_COMMAND_ATTACH, vm, attached, NULL);
}
