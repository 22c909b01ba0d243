/* SPDX-License-Identifier: MIT */
/* Requests about a VM's life; its home CPU does what they ask for. */
#include "request.h"
#include "service.h"
#include <mullion/manage.h>

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

/* Whether @vm rests, with nothing of a guest in memory, and will go on so. */
static bool is_over(struct vm *vm)
{
	if (!vm || (vm_state_rests(vm->state) && !vm->commands))
		return true;
	if (!(vm->commands & 1u << MULL_COMMAND_STOP))
		vm_command(vm, MULL_COMMAND_STOP);
	return false;
}

enum error request_machine(const struct asked *asked, struct answer *answer)
{
	static const char *const words[] = {
		[MULL_MACHINE_POWER_OFF] = "power-off",
		[MULL_MACHINE_REBOOT] = "reboot",
		[MULL_MACHINE_WARM_RESET] = "warm reset",
	};

	if (!asked->argument)
		return ERR_BAD_REQUEST;
	for (uint32_t i = 0; i < MULL_VM_MAX; i++)
		answer->pending |= !is_over(vms[i]);
	if (answer->pending)
		return ERR_NONE;
	log_write("machine: %s by command", words[asked->argument]);
	manage_end_machine((enum mull_machine_end)asked->argument);
	return ERR_NONE;
}
