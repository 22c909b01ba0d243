/* SPDX-License-Identifier: MIT */
/* What the operator may ask for.  Whatever comes over the line is hostile. */
#include "service.h"
#include <mullion/bits.h>
#include <string.h>

static enum error press_button(struct vm *vm)
{
	if (vm->state != MULL_VM_RUNNING)
		return ERR_BAD_REQUEST;
	lock_take(&vm->device_lock);
	platform_press_button(vm);
	lock_give(&vm->device_lock);
	return ERR_NONE;
}

static enum error reset_or_stop(struct vm *vm, enum mull_command command)
{
	if (vm->state != MULL_VM_RUNNING && vm->state != MULL_VM_STARTING)
		return ERR_BAD_REQUEST;
	vm_command(vm, command);
	return ERR_NONE;
}

static enum error start(struct vm *vm)
{
	if (vm->state == MULL_VM_REFUSED)
		return ERR_BAD_REQUEST;
	if (vm->state != MULL_VM_STOPPED && vm->state != MULL_VM_CRASHED)
		return ERR_BUSY;
	vm_command(vm, MULL_COMMAND_START);
	return ERR_NONE;
}

enum error request_obey(const void *payload, size_t length)
{
	struct mull_request request;
	const struct console *console;

	if (length != sizeof request)
		return ERR_BAD_REQUEST;
	memcpy(&request, payload, sizeof request);
	if (request.argument) /* no command has one yet */
		return ERR_BAD_REQUEST;
	console = console_of(request.vm);
	if (!console)
		return ERR_NOT_FOUND;

	switch (request.command) {
	case MULL_COMMAND_POWER_BUTTON:
		return press_button(console->vm);
	case MULL_COMMAND_RESET:
	case MULL_COMMAND_STOP:
		return reset_or_stop(console->vm, request.command);
	case MULL_COMMAND_START:
		return start(console->vm);
	}
	return ERR_BAD_REQUEST;
}
