/* SPDX-License-Identifier: MIT */
/* Requests about a VM's life; its home CPU does what they ask for. */
#include "request.h"
#include "service.h"

static enum error wrong_state(const struct asked *asked, struct answer *answer)
{
	return answer_words(answer, ERR_WRONG_STATE, "%.31s is %s",
			    asked->vm->description.name,
			    vm_state_word(asked->vm->state));
}

enum error request_button(const struct asked *asked, struct answer *answer)
{
	struct vm *vm = asked->vm;

	if (vm->state != MULL_VM_RUNNING)
		return wrong_state(asked, answer);
	lock_take(&vm->device_lock);
	platform_press_button(vm);
	lock_give(&vm->device_lock);
	return ERR_NONE;
}

static bool lives(const struct vm *vm)
{
	return vm->state == MULL_VM_RUNNING || vm->state == MULL_VM_STARTING;
}

enum error request_reset(const struct asked *asked, struct answer *answer)
{
	if (!lives(asked->vm))
		return wrong_state(asked, answer);
	vm_command(asked->vm, MULL_COMMAND_RESET);
	return ERR_NONE;
}

enum error request_stop(const struct asked *asked, struct answer *answer)
{
	if (!lives(asked->vm))
		return wrong_state(asked, answer);
	vm_command(asked->vm, MULL_COMMAND_STOP);
	return ERR_NONE;
}

enum error request_start(const struct asked *asked, struct answer *answer)
{
	struct vm *vm = asked->vm;

	if (vm->state != MULL_VM_STOPPED && vm->state != MULL_VM_CRASHED)
		return wrong_state(asked, answer);
	vm_command(vm, MULL_COMMAND_START);
	return ERR_NONE;
}
