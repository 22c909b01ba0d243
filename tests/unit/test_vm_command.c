/* SPDX-License-Identifier: MIT */
#include "vm_life.h"
#include <pthread.h>

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

/* The end of the machine waits until no command stands. */
static void a_stop_that_has_nothing_to_do_is_told_of(void **state)
{
	(void)state;
	vm_command(vm, MULL_COMMAND_STOP);
	notices = 0;
	work();
	assert_int_equal(vm->commands, 0);
	assert_int_equal(notices, 1);
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
	static const enum vm_phase phases[] = { PHASE_CLEAR, PHASE_LOAD };
	uint32_t free = (uint32_t)frames_free();

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(phases); i++) {
		vm_command(vm, MULL_COMMAND_START);
		do
			assert_true(vm_work(vm));
		while (vm->phase != phases[i]);
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

/* kvm-clock's page */
#define CLOCK 0x1000
#define CLOCK_ON 1
#define CLOCK_FLAGS 29
#define CLOCK_STABLE 1
#define CLOCK_STOPPED 2

static void pause_all(void)
{
	vm_command(vm, MULL_COMMAND_PAUSE);
	finish();
}

static void a_pause_keeps_the_guest_as_it_is(void **state)
{
	struct vcpu *first = vm->vcpus[0], *second = vm->vcpus[1];
	uint8_t flags = 0;

	(void)state;
	start();
	first->rip = 0x1234;
	first->clock.msr = CLOCK | CLOCK_ON;
	state_count = 0;
	vm_command(vm, MULL_COMMAND_PAUSE);
	work();
	vcpu_obey(first);
	work();
	/* Paused is what has left with all its vCPUs. */
	assert_int_equal(vm->state, MULL_VM_RUNNING);
	fake_kicks[0] = 0;
	vcpu_obey(second);
	assert_true(fake_kicks[0] > 0);
	work();
	EXPECT_STATES(MULL_VM_PAUSED);
	assert_int_equal(first->state, VCPU_PAUSED);
	assert_int_equal(vm->ending, MULL_END_NONE);
	pause_all(); /* once is enough */
	EXPECT_STATES();

	vm_command(vm, MULL_COMMAND_RESUME);
	work();
	EXPECT_STATES(MULL_VM_RUNNING);
	obey_all();
	work();
	EXPECT_STATES();
	assert_int_equal(first->state, VCPU_RUNNABLE);
	assert_int_equal(first->rip, 0x1234);
	assert_int_equal(
		guest_read(&vm->memory, gpa(CLOCK + CLOCK_FLAGS), &flags, 1),
		ERR_NONE);
	assert_int_equal(flags, CLOCK_STABLE | CLOCK_STOPPED);
	assert_int_equal(second->state, VCPU_WAITING);
	pause_all();
	EXPECT_STATES(MULL_VM_PAUSED);
}

/* What the last vCPU that ran still sent to one that had paused. */
static void signals_wait_for_the_end_of_a_pause(void **state)
{
	struct vcpu *second = vm->vcpus[1];

	(void)state;
	start();
	pause_all();
	vcpu_request(second, VCPU_INIT);
	atomic_store(&second->startup_vector, 0x12);
	vcpu_request(second, VCPU_STARTUP);
	vcpu_request(second, VCPU_NMI);
	obey_all();
	assert_int_equal(second->state, VCPU_PAUSED);
	/* What the operator asks for meanwhile does not take them away. */
	vcpu_request(second, VCPU_DEBUG);
	obey_all();
	assert_int_equal(second->requests, VCPU_INIT | VCPU_STARTUP | VCPU_NMI);
	vm_command(vm, MULL_COMMAND_RESUME);
	work();
	obey_all();
	assert_int_equal(second->state, VCPU_RUNNABLE);
	assert_int_equal(second->requests, 0);
}

#define ROUNDS 30000

static _Atomic int turn, resumed;
static uint32_t lost;

/* The CPU of a vCPU that is paused. */
static void *obey_in_a_pause(void *context)
{
	struct vcpu *vcpu = context;

	for (int round = 1; round <= ROUNDS; round++) {
		bool last;

		while (turn != round)
			;
		do {
			last = resumed == round;
			vcpu_obey(vcpu);
		} while (vcpu->state == VCPU_PAUSED && !last);
		lost += vcpu->state == VCPU_PAUSED;
		turn = -round;
	}
	return NULL;
}

static void a_resume_behind_another_request_is_not_lost(void **state)
{
	struct vcpu *second = vm->vcpus[1];
	pthread_t other;

	(void)state;
	start();
	pause_all();
	lost = 0;
	assert_int_equal(pthread_create(&other, NULL, obey_in_a_pause, second),
			 0);
	for (int round = 1; round <= ROUNDS; round++) {
		second->paused_in = VCPU_RUNNABLE;
		second->state = VCPU_PAUSED;
		atomic_store(&second->requests, 0);
		turn = round;
		atomic_fetch_or(&second->requests, VCPU_DEBUG);
		/* Meet the other at each place of its way. */
		for (volatile int i = 0; i < round % 16; i++)
			;
		atomic_fetch_or(&second->requests, VCPU_RESUME);
		resumed = round;
		while (turn != -round)
			;
	}
	pthread_join(other, NULL);
	assert_int_equal(lost, 0);
}

static void a_pause_at_an_odd_time_does_nothing(void **state)
{
	(void)state;
	vm_command(vm, MULL_COMMAND_PAUSE);
	vm_command(vm, MULL_COMMAND_RESUME);
	work();
	start();
	finish();
	assert_int_equal(vm->state, MULL_VM_RUNNING);
	/* It ends while it is asked. */
	vm_command(vm, MULL_COMMAND_PAUSE);
	work();
	vm_end(vm, MULL_END_POWEROFF, 0, "off");
	finish();
	assert_int_equal(vm->state, MULL_VM_STOPPED);
	start();
	finish();
	assert_int_equal(vm->state, MULL_VM_RUNNING);
}

static void a_paused_vm_can_be_stopped_and_reset(void **state)
{
	uint32_t free = (uint32_t)frames_free();

	(void)state;
	start();
	pause_all();
	vm_command(vm, MULL_COMMAND_RESET);
	finish();
	obey_all();
	assert_int_equal(vm->state, MULL_VM_RUNNING);
	assert_int_equal(vm->vcpus[0]->state, VCPU_RUNNABLE);
	pause_all();
	assert_int_equal(vm->state, MULL_VM_PAUSED);
	vm_command(vm, MULL_COMMAND_STOP);
	finish();
	assert_int_equal(vm->state, MULL_VM_STOPPED);
	assert_at_rest(free);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(stop_and_reset_by_command),
		TEST(a_stop_that_has_nothing_to_do_is_told_of),
		TEST(stop_beats_a_reset_at_the_same_time),
		TEST(a_vm_that_starts_can_be_stopped),
		TEST(stop_is_not_lost_in_a_restart),
		TEST(commands_at_odd_times_do_nothing),
		TEST(a_new_start_has_no_old_reason),
		TEST(a_pause_keeps_the_guest_as_it_is),
		TEST(signals_wait_for_the_end_of_a_pause),
		TEST(a_resume_behind_another_request_is_not_lost),
		TEST(a_pause_at_an_odd_time_does_nothing),
		TEST(a_paused_vm_can_be_stopped_and_reset),
	};

	return cmocka_run_group_tests(tests, start_memory, NULL);
}
