/* SPDX-License-Identifier: MIT */
/* vCPUs that take turns on one CPU. */
#include "cpu_loop_fixture.h"

static void spin(struct vcpu *vcpu, struct vm_exit *exit)
{
	note_run(vcpu);
	if (runs == 400)
		leave();
	*exit = (struct vm_exit){ .kind = EXIT_CACHE, .length = 2 };
	fake_time += SLOT / 10;
	if (fake_time >= fake_deadline)
		exit->kind = EXIT_INTERRUPT;
}

static void neighbours_take_turns(void **state)
{
	uint32_t first = 0, turns = 0;
	struct vm *other;

	(void)state;
	make_vm(0, 1, true);
	start();
	other = vm;
	make_vm(1, 1, true);
	start();
	fake_virt.run = spin;
	loop_on(home);
	for (uint32_t i = 0; i < runs; i++) {
		first += ran[i] == vm->vcpus[0];
		turns += i > 0 && ran[i] != ran[i - 1];
	}
	assert_in_range(first, 190, 210);
	assert_in_range(turns, 36, 44);
	assert_int_equal(fake_leaves, turns);
	vm_end(other, MULL_END_POWEROFF, 0, "off");
	for (uint32_t i = 0; i < 50 && !vm_state_rests(other->state); i++) {
		runs = 300;
		loop_on(home); /* its memory is cleared, piece by piece */
	}
	assert_true(vm_state_rests(other->state));
	runs = 300;
	loop_on(home);
	for (uint32_t i = 300; i < 400; i++)
		assert_ptr_equal(ran[i], vm->vcpus[0]);
	assert_true(deadlines[399] == ARCH_NO_DEADLINE);
}

/* What one has trained, the other may use: they are one VM's. */
static void siblings_take_turns_without_a_guard(void **state)
{
	(void)state;
	make_vm(0, 2, true);
	start();
	vm->vcpus[1]->state = VCPU_RUNNABLE;
	fake_virt.run = spin;
	loop_on(home);
	assert_ptr_equal(ran[0]->vm, vm);
	assert_int_equal(runs, 400);
	assert_int_equal(fake_leaves, 0);
}

/* Exits of one's own do not make a slot longer. */
static void spin_without_a_timer(struct vcpu *vcpu, struct vm_exit *exit)
{
	note_run(vcpu);
	if (runs == 400)
		leave();
	*exit = (struct vm_exit){ .kind = EXIT_CACHE, .length = 2 };
	fake_time += SLOT / 10;
}

static void a_slot_ends_at_its_end(void **state)
{
	uint32_t first = 0;

	(void)state;
	make_vm(0, 1, true);
	start();
	make_vm(1, 1, true);
	start();
	fake_virt.run = spin_without_a_timer;
	loop_on(home);
	for (uint32_t i = 0; i < runs; i++)
		first += ran[i] == vm->vcpus[0];
	assert_in_range(first, 190, 210);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(neighbours_take_turns),
		TEST(siblings_take_turns_without_a_guard),
		TEST(a_slot_ends_at_its_end),
	};

	return cmocka_run_group_tests(tests, start_memory, NULL);
}
