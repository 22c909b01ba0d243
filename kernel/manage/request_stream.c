/* SPDX-License-Identifier: MIT */
/* Bytes to and from what listens in a guest. */
#include "request.h"
#include <mullion/virtio_console.h>
#include <mullion/virtio_vsock.h>
#include <string.h>

static struct stream *look(struct vm *vm, uint64_t number)
{
	struct vsock_host *host;

	if (number == MULL_STREAM_AGENT)
		return virtio_console_agent(vm);
	host = virtio_vsock_host(vm, (uint32_t)number);
	return host ? &host->stream : NULL;
}

static void tell_device(struct vm *vm, uint64_t number)
{
	if (number == MULL_STREAM_AGENT)
		virtio_console_agent_changed(vm);
	else
		virtio_vsock_changed(vm);
}

/* The VM's stream @number, or why there is none. */
static enum error find(const struct asked *asked, uint64_t number,
		       struct answer *answer, struct stream **stream)
{
	struct vm *vm = asked->vm;

	/* What a guest sent before it ended can still be read. */
	if (vm->state != MULL_VM_RUNNING && number == MULL_STREAM_AGENT)
		return answer_wrong_state(answer, vm);
	*stream = look(vm, number);
	if (!*stream)
		return answer_words(answer, ERR_NOT_FOUND,
				    "%.31s has no stream %lu",
				    vm->description.name, number);
	if (number == MULL_STREAM_AGENT && !(*stream)->open)
		return answer_words(answer, ERR_WRONG_STATE,
				    "no agent listens in %.31s: is "
				    "qemu-guest-agent there and running?",
				    vm->description.name);
	return ERR_NONE;
}

enum error request_stream_send(const struct asked *asked, struct answer *answer)
{
	struct vm *vm = asked->vm;
	struct stream *stream;
	enum error error;

	lock_take(&vm->device_lock);
	error = find(asked, asked->argument, answer, &stream);
	if (error == ERR_NONE) {
		answer->reply.value = console_put(&stream->to_guest,
						  asked->data, asked->length);
		tell_device(vm, asked->argument);
	}
	lock_give(&vm->device_lock);
	return error;
}

enum error request_stream_read(const struct asked *asked, struct answer *answer)
{
	struct vm *vm = asked->vm;
	struct stream *stream;
	uint32_t number;
	enum error error;

	memcpy(&number, asked->data, sizeof number);
	lock_take(&vm->device_lock);
	error = find(asked, number, answer, &stream);
	if (error == ERR_NONE) {
		answer->reply.value = asked->argument;
		answer->length = stream_read(stream, &answer->reply.value,
					     answer->data, sizeof answer->data);
		tell_device(vm, number);
	}
	lock_give(&vm->device_lock);
	return error;
}
