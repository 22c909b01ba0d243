/* SPDX-License-Identifier: MIT */
/*
 * What the operator may ask for: one table.  Whatever comes over the line is
 * hostile: a request is copied, and measured against its command's row, before
 * its handler sees it.
 */
#include "request.h"
#include "service.h"
#include <mullion/bits.h>
#include <mullion/crc32.h>
#include <mullion/trace.h>
#include <stdarg.h>
#include <string.h>

enum command_flag {
	ABOUT_VM = 1 << 0, /* number is that of a VM */
	CHANGES = 1 << 1,  /* asked twice, it must be done once */
};

static const struct command {
	request_handler *handle;
	uint32_t flags; /* enum command_flag */
	uint32_t data_min, data_max;
	uint64_t argument_max;
} commands[] = {
	[MULL_COMMAND_POWER_BUTTON] = { request_button, ABOUT_VM | CHANGES, 0,
					0, 0 },
	[MULL_COMMAND_RESET] = { request_life, ABOUT_VM | CHANGES, 0, 0, 0 },
	[MULL_COMMAND_STOP] = { request_life, ABOUT_VM | CHANGES, 0, 0, 0 },
	[MULL_COMMAND_START] = { request_life, ABOUT_VM | CHANGES, 0, 0, 0 },
	[MULL_COMMAND_PAUSE] = { request_life, ABOUT_VM | CHANGES, 0, 0, 0 },
	[MULL_COMMAND_RESUME] = { request_life, ABOUT_VM | CHANGES, 0, 0, 0 },
	[MULL_COMMAND_INJECT] = { request_inject, ABOUT_VM | CHANGES, 0, 0,
				  MULL_VCPU_MAX - 1 },
	[MULL_COMMAND_REGISTERS] = { request_registers, ABOUT_VM, 0, 0,
				     MULL_VCPU_MAX - 1 },
	[MULL_COMMAND_SET_REGISTERS] = { request_registers, ABOUT_VM | CHANGES,
					 sizeof(struct mull_registers),
					 sizeof(struct mull_registers),
					 MULL_VCPU_MAX - 1 },
	[MULL_COMMAND_MEMORY] = { request_memory, ABOUT_VM, 4, 4, UINT64_MAX },
	[MULL_COMMAND_SET_MEMORY] = { request_set_memory, ABOUT_VM | CHANGES, 1,
				      MULL_REQUEST_DATA_MAX, UINT64_MAX },
	[MULL_COMMAND_DESCRIBE] = { request_describe, CHANGES, 1,
				    MULL_REQUEST_DATA_MAX,
				    sizeof(struct mull_vm) },
	[MULL_COMMAND_CREATE] = { request_create, CHANGES, 0, 0, 0 },
	[MULL_COMMAND_DESTROY] = { request_destroy, ABOUT_VM | CHANGES, 0, 0,
				   0 },
	[MULL_COMMAND_PLUG] = { request_plug, ABOUT_VM | CHANGES,
				sizeof(struct mull_disk),
				sizeof(struct mull_disk), 0 },
	[MULL_COMMAND_PLUG_NIC] = { request_plug_nic, ABOUT_VM | CHANGES,
				    sizeof(struct mull_nic),
				    sizeof(struct mull_nic), 0 },
	[MULL_COMMAND_VM_NICS] = { request_vm_nics, ABOUT_VM, 0, 0,
				   MULL_NIC_MAX },
	[MULL_COMMAND_UNPLUG] = { request_unplug, ABOUT_VM | CHANGES, 0, 0,
				  MULL_UNPLUG_ALL | 0xff },
	[MULL_COMMAND_DISKS] = { request_disks, ABOUT_VM, 0, 0, MULL_DISK_MAX },
	/* Asked twice, it is as when it is asked once. */
	[MULL_COMMAND_BALLOON] = { request_balloon, ABOUT_VM, 0, 0,
				   MULL_BALLOON_LOOK },
	[MULL_COMMAND_INFO] = { request_info, 0, 0, 0, 0 },
	[MULL_COMMAND_LIST] = { request_list, 0, 0, 0, MULL_VM_MAX },
	[MULL_COMMAND_IMAGES] = { request_images, 0, 0, 0, MULL_IMAGE_MAX },
	[MULL_COMMAND_UPLOAD] = { request_upload, 0, sizeof(struct mull_upload),
				  sizeof(struct mull_upload), 0 },
	[MULL_COMMAND_UPLOAD_END] = { request_upload_end, 0, 0, 0,
				      MULL_IMAGE_MAX },
	[MULL_COMMAND_IMAGE_READ] = { request_image_read, 0, 0, 0, UINT64_MAX },
	[MULL_COMMAND_IMAGE_DELETE] = { request_image_delete, CHANGES, 0, 0,
					MULL_IMAGE_MAX },
	[MULL_COMMAND_SHOW] = { request_show, ABOUT_VM, 0, 0,
				sizeof(struct mull_vm) },
	[MULL_COMMAND_AUDIT] = { request_audit, 0, 0, 0, 1 },
	[MULL_COMMAND_LEDGER] = { request_ledger, 0, 0, 0, UINT64_MAX },
	[MULL_COMMAND_VM_STATS] = { request_vm_stats, ABOUT_VM, 0, 0,
				    MULL_ALL_VCPUS },
	[MULL_COMMAND_CPU_STATS] = { request_cpu_stats, 0, 0, 0, MULL_CPU_MAX },
	[MULL_COMMAND_DEVICE_STATS] = { request_device_stats, ABOUT_VM, 0, 0,
					PCI_SLOTS },
	[MULL_COMMAND_NICS] = { request_nics, 0, 0, 0, MULL_MACHINE_NIC_MAX },
	[MULL_COMMAND_MACHINE_DISKS] = { request_machine_disks, 0, 0, 0,
					 MULL_MACHINE_DISK_MAX },
	[MULL_COMMAND_PARTITIONS] = { request_partitions, 0, 0, 0,
				      MULL_MACHINE_PARTITION_MAX },
	[MULL_COMMAND_EVENTS] = { request_events, 0, 0, 0, UINT64_MAX },
	[MULL_COMMAND_LOG] = { request_log, 0, 0, 0, UINT64_MAX },
	[MULL_COMMAND_LOG_PREVIOUS] = { request_log_previous, 0, 0, 0,
					UINT64_MAX },
	[MULL_COMMAND_TRACE] = { request_trace, 0, 0, 0, MULL_TRACE_LOOK },
	[MULL_COMMAND_ATTACH] = { request_attach, 0, 0, 0, 1 },
	[MULL_COMMAND_HISTORY] = { request_history, ABOUT_VM, 0, 0,
				   UINT64_MAX },
	[MULL_COMMAND_STREAM_SEND] = { request_stream_send, ABOUT_VM | CHANGES,
				       1, MULL_REQUEST_DATA_MAX, UINT32_MAX },
	[MULL_COMMAND_STREAM_READ] = { request_stream_read, ABOUT_VM,
				       sizeof(uint32_t), sizeof(uint32_t),
				       UINT64_MAX },
	[MULL_COMMAND_VSOCK_OPEN] = { request_vsock_open, ABOUT_VM | CHANGES,
				      sizeof(uint32_t), sizeof(uint32_t),
				      UINT32_MAX },
	[MULL_COMMAND_VSOCK_STATE] = { request_vsock_state, ABOUT_VM, 0, 0,
				       UINT32_MAX },
	[MULL_COMMAND_VSOCK_CLOSE] = { request_vsock_close, ABOUT_VM | CHANGES,
				       sizeof(uint32_t), sizeof(uint32_t),
				       UINT32_MAX },
	[MULL_COMMAND_DEBUG] = { request_debug, ABOUT_VM | CHANGES, 0, 0, 1 },
	[MULL_COMMAND_STEP] = { request_step, ABOUT_VM | CHANGES, 0, 0,
				MULL_VCPU_MAX - 1 },
	[MULL_COMMAND_SCHEDULE] = { request_schedule, 0, 0, 0, 0 },
	[MULL_COMMAND_SCHEDULE_SWITCH] = { request_schedule_switch, CHANGES, 0,
					   0, MULL_SCHEDULE_MAX - 1 },
	[MULL_COMMAND_SLOT_STATS] = { request_slot_stats, 0, 0, 0,
				      MULL_CPU_MAX },
	[MULL_COMMAND_MACHINE] = { request_machine, CHANGES, 0, 0,
				   MULL_MACHINE_WARM_RESET },
};

/* ---- requests that came already ------------------------------------------ */

/* A client that misses a reply asks again with the same sequence number; what
 * changes something is then answered as before, and not done again. */
#define REMEMBERED 16

static struct memory {
	bool used;
	uint32_t crc; /* of the request */
	struct mull_reply reply;
} remembered[REMEMBERED];

static const struct memory *recall(uint32_t sequence, uint32_t crc)
{
	for (size_t i = 0; i < REMEMBERED; i++)
		if (remembered[i].used && remembered[i].crc == crc &&
		    remembered[i].reply.sequence == sequence)
			return &remembered[i];
	return NULL;
}

static void remember(const struct mull_reply *reply, uint32_t crc)
{
	static uint32_t next;

	remembered[next++ % REMEMBERED] = (struct memory){ true, crc, *reply };
}

/* ---- answers ------------------------------------------------------------- */

enum error answer_words(struct answer *answer, enum error error,
			const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	answer->length = format_text_list(
		(char *)answer->data, sizeof answer->data, format, arguments);
	va_end(arguments);
	answer->has_words = true;
	return error;
}

enum error answer_wrong_state(struct answer *answer, const struct vm *vm)
{
	return answer_words(answer, ERR_WRONG_STATE, "%.31s is %s",
			    vm->description.name, vm_state_word(vm->state));
}

void *answer_add(struct answer *answer, size_t size)
{
	void *record = answer->data + answer->length;

	if (sizeof answer->data - answer->length < size)
		return NULL;
	memset(record, 0, size);
	answer->length += size;
	return record;
}

/* ---- the request in work -------------------------------------------------- */

/* One at a time: a handler that waits for another CPU keeps the others. */
static struct {
	const struct command *command; /* NULL: none */
	struct asked asked;
	uint8_t data[MULL_REQUEST_DATA_MAX] __attribute__((aligned(8)));
	uint32_t crc;
} work;

static void finish(struct answer *answer, enum error error)
{
	/* No record that was begun goes out as a reason. */
	if (error != ERR_NONE && !answer->has_words)
		answer_words(answer, error, "%s", error_text(error));
	answer->reply.error = error;
	if (work.command && work.command->flags & CHANGES)
		remember(&answer->reply, work.crc);
	work.command = NULL;
}

static void proceed(struct answer *answer)
{
	enum error error;

	answer->pending = false;
	error = work.command->handle(&work.asked, answer);
	if (!answer->pending)
		finish(answer, error);
}

static const struct command *find(uint32_t number)
{
	if (number >= ARRAY_COUNT(commands) || !commands[number].handle)
		return NULL;
	return &commands[number];
}

/* Whether the request keeps to its command's row; the words say what not. */
static enum error check(const struct command *command, struct answer *answer)
{
	const struct console *console;

	if (work.asked.argument > command->argument_max)
		return answer_words(answer, ERR_BAD_REQUEST,
				    "the argument 0x%lx is not one of this "
				    "command's",
				    work.asked.argument);
	if (work.asked.length < command->data_min ||
	    work.asked.length > command->data_max)
		return answer_words(answer, ERR_BAD_REQUEST,
				    "%zu bytes of data; the command takes %u "
				    "to %u",
				    work.asked.length, command->data_min,
				    command->data_max);
	if (!(command->flags & ABOUT_VM))
		return ERR_NONE;
	console = console_of(work.asked.number);
	if (!console)
		return answer_words(answer, ERR_NOT_FOUND,
				    "there is no VM with number %u",
				    work.asked.number);
	work.asked.vm = console->vm;
	return ERR_NONE;
}

void request_obey(enum manage_line line, uint32_t sequence, const void *payload,
		  size_t length, struct answer *answer)
{
	const struct command *command;
	struct mull_request request;
	const struct memory *before;
	enum error error;

	answer->reply = (struct mull_reply){ .sequence = sequence };
	answer->length = 0;
	answer->pending = answer->has_words = false;
	if (length < sizeof request ||
	    length - sizeof request > sizeof work.data) {
		finish(answer,
		       answer_words(answer, ERR_BAD_REQUEST,
				    "%zu bytes are no request", length));
		return;
	}
	memcpy(&request, payload, sizeof request);
	work.asked = (struct asked){
		.command = (enum mull_command)request.command,
		.line = line,
		.number = request.vm,
		.argument = request.argument,
		.data = work.data,
		.length = length - sizeof request
	};
	memcpy(work.data, (const uint8_t *)payload + sizeof request,
	       work.asked.length);
	work.crc = crc32_ieee(0, payload, length);
	TRACE(MANAGE, NULL, "request %u, VM %u, argument 0x%lx, %zu bytes",
	      request.command, request.vm, request.argument, length);
	command = find(request.command);
	if (!command) {
		finish(answer,
		       answer_words(answer, ERR_UNSUPPORTED,
				    "there is no command %u", request.command));
		return;
	}
	before = command->flags & CHANGES ? recall(sequence, work.crc) : NULL;
	if (before) {
		answer->reply = before->reply;
		if (before->reply.error)
			answer_words(
				answer, ERR_NONE, "%s",
				error_text((enum error)before->reply.error));
		return;
	}
	error = check(command, answer);
	if (error != ERR_NONE) {
		finish(answer, error);
		return;
	}
	work.command = command;
	proceed(answer);
}

void request_take_data(uint32_t sequence, uint32_t image, const void *payload,
		       size_t length, struct answer *answer)
{
	const struct asked asked = { .number = image,
				     .data = payload,
				     .length = length };

	answer->reply = (struct mull_reply){ .sequence = sequence };
	answer->length = 0;
	answer->pending = false;
	finish(answer, request_upload_data(&asked, answer));
}

bool request_is_pending(void)
{
	return work.command;
}

void request_continue(struct answer *answer)
{
	ASSERT(work.command);
	proceed(answer);
}
