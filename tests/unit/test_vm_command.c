/* SPDX-License-Identifier: MIT */
#include "vm_life.h"

static void stop_and_reset_by_command(void **state)
{
	uint32_t free = (uint32_t)frames_free();

	(void)state;
	start();
	vm_command(vm, MULL_COMMAND_RESET);
	finish();
	assert_int_equal(vm->state, MULL_VM_RUNNING);
	assert_int_equal(vm->restarts, 1);
	obey_all();
	vm_command(vm, MULL_COMMAND_STOP);
	finish();
	assert_int_equal(vm->state, MULL_VM_STOPPED);
	assert_int_equal(vm->ending, MULL_END_COMMAND);
	assert_string_equal(vm->end_words, "stopped by command");
	assert_at_rest(free);
	start();
	assert_int_equal(vm->state, MULL_VM_RUNNING);
	assert_int_equal(vm->restarts, 1);
}

static void stop_beats_a_reset_at_the_same_time(void **state)
{
	(void)state;
	start();
	vm_command(vm, MULL_COMMAND_RESET);
	vm_command(vm, MULL_COMMAND_STOP);
	finish();
	assert_int_equal(vm->state, MULL_VM_STOPPED);
	assert_int_equal(vm->commands, 0);
}

static void a_vm_that_starts_can_be_stopped(void **state)
{
	uint32_t free = (uint32_t)frames_free();

	(void)state;
	/* While it is cleared, and while it is loaded. */
	for (uint32_t steps = 1; steps <= 128; steps += 127) {
		vm_command(vm, MULL_COMMAND_START);
		for (uint32_t i = 0; i < steps; i++)
			assert_true(vm_work(vm));
		assert_int_equal(vm->phase,
				 steps == 1 ? PHASE_CLEAR : PHASE_LOAD);
		soil();
		state_count = 0;
		vm_command(vm, MULL_COMMAND_STOP);
		work();
		EXPECT_STATES(MULL_VM_STOPPING, MULL_VM_STOPPED);
		assert_int_equal(vm->ending, MULL_END_COMMAND);
		assert_zero();
		assert_at_rest(free);
	}
}

/* The guest resets itself while the operator stops it. */
static void stop_is_not_lost_in_a_restart(void **state)
{
	(void)state;
	start();
	vm_end(vm, MULL_END_RESET, 0, "reset");
	vm_command(vm, MULL_COMMAND_STOP);
	finish();
	assert_int_equal(vm->state, MULL_VM_STOPPED);
	assert_int_equal(vm->commands, 0);
	assert_int_equal(loads, 1); /* it is not even begun again */
	start();
	vm_end(vm, MULL_END_RESET, 0, "reset");
	work();
	obey_all();
	assert_true(vm_work(vm));
	assert_int_equal(vm->phase, PHASE_ERASE);
	vm_command(vm, MULL_COMMAND_STOP);
	work();
	assert_int_equal(vm->state, MULL_VM_STOPPED);
	start();
	assert_int_equal(vm->state, MULL_VM_RUNNING);
}

static void commands_at_odd_times_do_nothing(void **state)
{
	(void)state;
	vm_command(vm, MULL_COMMAND_STOP);
	vm_command(vm, MULL_COMMAND_RESET);
	work();
	assert_int_equal(vm->state, MULL_VM_STOPPED);
	assert_int_equal(state_count, 0);
	start();
	state_count = 0;
	vm_command(vm, MULL_COMMAND_START);
	work();
	assert_int_equal(state_count, 0);
	assert_int_equal(vm->state, MULL_VM_RUNNING);
	assert_int_equal(vm->commands, 0);
}

static void a_new_start_has_no_old_reason(void **state)
{
	(void)state;
	start();
	vm_command(vm, MULL_COMMAND_STOP);
	finish();
	vm_command(vm, MULL_COMMAND_START);
	vm_work(vm);
	assert_int_equal(vm->state, MULL_VM_STARTING);
	assert_int_equal(vm->ending, MULL_END_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(stop_and_reset_by_command),
		TEST(stop_beats_a_reset_at_the_same_time),
		TEST(a_vm_that_starts_can_be_stopped),
		TEST(stop_is_not_lost_in_a_restart),
		TEST(commands_at_odd_times_do_nothing),
		TEST(a_new_start_has_no_old_reason),
	};

	return cmocka_run_group_tests(tests, start_memory, NULL);
}
