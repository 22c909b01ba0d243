/* SPDX-License-Identifier: MIT */
/* Connections of a guest's sockets with the host. */
#include "request.h"
#include <mullion/virtio_vsock.h>
#include <string.h>

static enum error check_vm(const struct asked *asked, struct answer *answer)
{
	struct vm *vm = asked->vm;

	if (!vm->vsock)
		return answer_words(answer, ERR_NOT_FOUND,
				    "%.31s has no sockets: its manifest gives "
				    "it no vsock",
				    vm->description.name);
	return vm->state == MULL_VM_RUNNING ? ERR_NONE :
					      answer_wrong_state(answer, vm);
}

static enum error check_open(const struct asked *asked, struct answer *answer,
			     enum error error)
{
	const char *name = asked->vm->description.name;

	switch (error) {
	case ERR_BUSY:
		return answer_words(answer, error,
				    "all %u connections of %.31s with the host "
				    "are in use",
				    VSOCK_HOST_STREAMS, name);
	case ERR_EXISTS:
		return answer_words(answer, error,
				    "port %lu is listened at already, for "
				    "%.31s",
				    asked->argument, name);
	case ERR_WRONG_STATE:
		return answer_words(answer, error,
				    "%.31s has no driver for its sockets: is "
				    "vmw_vsock_virtio_transport there?",
				    name);
	default:
		return error;
	}
}

enum error request_vsock_open(const struct asked *asked, struct answer *answer)
{
	enum error error = check_vm(asked, answer);
	uint32_t side, number = 0;

	memcpy(&side, asked->data, sizeof side);
	if (error)
		return error;
	if (side > MULL_VSOCK_LISTEN)
		return ERR_BAD_REQUEST;
	lock_take(&asked->vm->device_lock);
	error = virtio_vsock_connect(asked->vm, (uint32_t)asked->argument,
				     side == MULL_VSOCK_LISTEN, &number);
	lock_give(&asked->vm->device_lock);
	answer->reply.value = number;
	return check_open(asked, answer, error);
}

static void describe(const struct vsock_host *host,
		     struct mull_vsock_state *state)
{
	static const uint32_t phases[] = {
		[VSOCK_HOST_LISTENS] = MULL_VSOCK_WAITS,
		[VSOCK_HOST_ASKS] = MULL_VSOCK_WAITS,
		[VSOCK_HOST_OPEN] = MULL_VSOCK_OPEN,
		[VSOCK_HOST_ENDED] = MULL_VSOCK_ENDED,
		[VSOCK_HOST_REFUSED] = MULL_VSOCK_REFUSED,
		[VSOCK_HOST_LEAVES] = MULL_VSOCK_ENDED,
	};

	state->phase = phases[host->state];
	state->guest_port = host->guest_port;
	state->host_port = host->own_port;
	state->silent = host->state != VSOCK_HOST_OPEN ||
			host->guest_shutdown & VSOCK_NO_MORE_SENT;
	state->received = host->stream.from_guest.head;
	state->taken = host->stream.to_guest.tail;
}

static enum error no_connection(const struct asked *asked,
				struct answer *answer)
{
	return answer_words(answer, ERR_NOT_FOUND,
			    "%.31s has no connection %lu with the host",
			    asked->vm->description.name, asked->argument);
}

enum error request_vsock_state(const struct asked *asked, struct answer *answer)
{
	struct mull_vsock_state *state = answer_add(answer, sizeof *state);
	const struct vsock_host *host;

	lock_take(&asked->vm->device_lock);
	host = virtio_vsock_host(asked->vm, (uint32_t)asked->argument);
	if (host)
		describe(host, state);
	lock_give(&asked->vm->device_lock);
	return host ? ERR_NONE : no_connection(asked, answer);
}

enum error request_vsock_close(const struct asked *asked, struct answer *answer)
{
	struct vm *vm = asked->vm;
	uint32_t end;
	bool known;

	memcpy(&end, asked->data, sizeof end);
	if (end > MULL_VSOCK_OVER)
		return ERR_BAD_REQUEST;
	lock_take(&vm->device_lock);
	known = virtio_vsock_host(vm, (uint32_t)asked->argument);
	if (known)
		virtio_vsock_end(vm, (uint32_t)asked->argument,
				 end == MULL_VSOCK_OVER);
	lock_give(&vm->device_lock);
	return known ? ERR_NONE : no_connection(asked, answer);
}
