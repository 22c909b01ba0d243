/* SPDX-License-Identifier: MIT */
/* A VM that ends soon after each start waits before it starts again. */
#include "vm_life.h"

#define SECOND (arch_time_khz() * 1000)

static void crash_after(uint64_t seconds)
{
	fake_time += seconds * SECOND;
	vm_end(vm, MULL_END_TRIPLE_FAULT, 0, "triple fault");
	work();
	obey_all();
	work();
	obey_all();
}

/* Returns the pause in seconds, and lets it pass. */
static uint64_t pause_after(uint64_t seconds)
{
	uint64_t pause;

	crash_after(seconds);
	if (vm->state == MULL_VM_RUNNING)
		return 0;
	assert_int_equal(vm->state, MULL_VM_STARTING);
	assert_int_equal(vm->phase, PHASE_WAIT);
	pause = (vm->start_at - fake_time) / SECOND;
	fake_time = vm->start_at - 1;
	assert_false(vm_work(vm));
	assert_int_equal(vm->phase, PHASE_WAIT);
	fake_time++;
	work();
	obey_all();
	assert_int_equal(vm->state, MULL_VM_RUNNING);
	return pause;
}

static int crashing(void **state)
{
	if (fresh(state))
		return -1;
	vm->description.on_crash = MULL_END_RESTART;
	start();
	return 0;
}

static void pauses_double(void **state)
{
	static const uint64_t pauses[] = { 0, 0, 0, 1, 2, 4, 8, 16, 30, 30 };

	(void)state;
	for (uint32_t i = 0; i < ARRAY_COUNT(pauses); i++) {
		assert_int_equal(pause_after(0), pauses[i]);
		assert_int_equal(vm->restarts, i + 1);
	}
	/* It has run for a while: its next end is the first of others. */
	assert_int_equal(pause_after(29), 30);
	assert_int_equal(pause_after(30), 0);
	for (uint32_t i = 0; i < 5; i++)
		assert_int_equal(pause_after(0), pauses[i]);
}

static void a_pause_is_told(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++)
		pause_after(0);
	crash_after(0);
	assert_string_equal(vm->end_words, "5 quick ends, starts again in 2 s: "
					   "triple fault");
	/* It is stopped meanwhile, and holds nothing. */
	vm_command(vm, MULL_COMMAND_STOP);
	work();
	assert_int_equal(vm->state, MULL_VM_STOPPED);
	assert_int_equal(vm->phase, PHASE_IDLE);
	/* A person's start is no restart. */
	start();
	assert_int_equal(pause_after(0), 0);
}

static void resets_by_command_cost_no_pause(void **state)
{
	(void)state;
	for (int i = 0; i < 10; i++) {
		vm_command(vm, MULL_COMMAND_RESET);
		work();
		obey_all();
		work();
		obey_all();
		assert_int_equal(vm->state, MULL_VM_RUNNING);
	}
	assert_int_equal(vm->restarts, 10);
}

static void a_reset_ends_the_pause(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++)
		pause_after(0);
	crash_after(0);
	assert_int_equal(vm->phase, PHASE_WAIT);
	vm_command(vm, MULL_COMMAND_RESET);
	work();
	obey_all();
	assert_int_equal(vm->state, MULL_VM_RUNNING);
	assert_int_equal(vm->restarts, 6); /* it is the one that waited */
	/* Whoever did that has mended it: pauses begin anew. */
	assert_int_equal(pause_after(0), 0);
}

#define WITH(name) cmocka_unit_test_setup_teardown(name, crashing, stop_all)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(pauses_double),
		WITH(a_pause_is_told),
		WITH(a_reset_ends_the_pause),
		WITH(resets_by_command_cost_no_pause),
	};

	return cmocka_run_group_tests(tests, start_memory, NULL);
}
