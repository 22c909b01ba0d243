/* SPDX-License-Identifier: MIT */
/* Requests about a VM's life; its home CPU does what they ask for. */
#include "request.h"
#include "service.h"

enum error request_button(const struct asked *asked, struct answer *answer)
{
	struct vm *vm = asked->vm;

	if (vm->state != MULL_VM_RUNNING)
		return answer_wrong_state(answer, asked->vm);
	lock_take(&vm->device_lock);
	platform_press_button(vm);
	lock_give(&vm->device_lock);
	return ERR_NONE;
}

/* For what the VM's home CPU does: the states in which it makes sense. */
#define IN(state) (1u << MULL_VM_##state)

static const uint32_t makes_sense[] = {
	[MULL_COMMAND_RESET] = IN(STARTING) | IN(RUNNING) | IN(PAUSED),
	[MULL_COMMAND_STOP] = IN(STARTING) | IN(RUNNING) | IN(PAUSED),
	[MULL_COMMAND_START] = IN(STOPPED) | IN(CRASHED),
	[MULL_COMMAND_PAUSE] = IN(RUNNING),
	[MULL_COMMAND_RESUME] = IN(PAUSED),
};

enum error request_life(const struct asked *asked, struct answer *answer)
{
	if (!(1u << asked->vm->state & makes_sense[asked->command]))
		return answer_wrong_state(answer, asked->vm);
	vm_command(asked->vm, asked->command);
	return ERR_NONE;
}
