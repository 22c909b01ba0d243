/* SPDX-License-Identifier: MIT */
/* VMs that share a CPU by the machine's schedule. */
#include "cpu_loop_fixture.h"

#include "kernel/devices/local_apic_parts.h"
#include <mullion/schedule.h>

#define FRAME (10 * MS)

static const struct mull_machine machine = {
	.schedules = {
		{ .name = "normal", .slot_count = 2,
		  .slots_us = { 4000, 6000 } },
		{ .name = "other", .slot_count = 1, .slots_us = { 10000 } },
	},
};

static struct vm *first, *second, *third;
static uint64_t begin;
static uint64_t when[ARRAY_COUNT(ran)];
static uint32_t runs_wanted;

static struct vm *make(uint32_t index, uint32_t slots, bool begins)
{
	make_vm(index, 1, true);
	vm->description.slots[slots ? 0 : 1] = slots ? slots : 1;
	if (begins)
		start();
	return vm;
}

static void begin_at(uint64_t time)
{
	begin = time;
	schedule_start(&machine, begin);
}

/* Two with a slot each, and one that has what they leave. */
static void make_all(void)
{
	begin_at(fake_time);
	first = make(0, 1, true);
	second = make(1, 2, true);
	third = make(2, MULL_SLOT_BACKGROUND, true);
}

static uint32_t slot_at(uint64_t time)
{
	return (time - begin) % FRAME >= 4 * MS;
}

static void note(struct vcpu *vcpu)
{
	when[runs] = fake_time;
	note_run(vcpu);
	if (runs == runs_wanted)
		leave();
}

/* Until the deadline, in which there is no step that misses it. */
static void spin(struct vcpu *vcpu, struct vm_exit *exit)
{
	note(vcpu);
	*exit = (struct vm_exit){ .kind = EXIT_CACHE, .length = 2 };
	fake_time += MS / 5;
	if (fake_time >= fake_deadline)
		exit->kind = EXIT_INTERRUPT;
}

static uint32_t runs_of(const struct vm *it)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < runs; i++)
		count += ran[i]->vm == it;
	return count;
}

static void each_has_its_slots(void **state)
{
	struct mull_slot_stats stats;

	(void)state;
	make_all();
	runs_wanted = 500; /* ten frames */
	fake_virt.run = spin;
	loop_on(home);
	for (uint32_t i = 0; i < runs; i++) {
		assert_ptr_equal(ran[i]->vm, slot_at(when[i]) ? second : first);
		assert_true(deadlines[i] > when[i]);
		assert_int_equal(slot_at(deadlines[i] - 1), slot_at(when[i]));
	}
	assert_int_equal(runs_of(first), 200);
	assert_int_equal(runs_of(second), 300);
	assert_int_equal(fake_leaves, 19);
	assert_true(cpu_loop_has_slots(home));
	assert_false(cpu_loop_has_slots(home + 1));
	cpu_loop_slot_stats(home, &stats);
	assert_int_equal(stats.cpu, home);
	assert_int_equal(stats.slots, 20);
	assert_int_equal(stats.entries, 20);
	assert_int_equal(stats.switches, 19);
	assert_int_equal(stats.missed, 0);
	assert_int_equal(stats.overruns, 0);
}

static void halt(struct vcpu *vcpu, struct vm_exit *exit)
{
	if (vcpu->vm != first) {
		spin(vcpu, exit);
		return;
	}
	note(vcpu);
	*exit = (struct vm_exit){ .kind = EXIT_HALT, .length = 1 };
	vcpu->rflags = RFLAGS_IF;
}

/* What the first leaves, and nothing of the second. */
static void the_background_has_what_is_left(void **state)
{
	(void)state;
	make_all();
	runs_wanted = 300;
	fake_virt.run = halt;
	loop_on(home);
	assert_int_equal(runs_of(first), 1);
	assert_in_range(runs_of(third), 110, 125);
	for (uint32_t i = 0; i < runs; i++)
		if (ran[i]->vm == third)
			assert_int_equal(slot_at(when[i]), 0);
}

/* Nor does it wait behind the background. */
static void wake_first(struct vcpu *vcpu, struct vm_exit *exit)
{
	static bool woken;

	if (vcpu->vm == first && woken) {
		assert_int_equal((fake_time - begin) % FRAME / MS, 1);
		leave();
	}
	halt(vcpu, exit);
	if (vcpu->vm != third || woken || runs < 100 ||
	    (fake_time - begin) % FRAME / MS != 1)
		return;
	first->vcpus[0]->unhalted = woken = true;
	exit->kind = EXIT_NMI; /* the kick that comes with it */
}

static void the_owner_goes_before_the_background(void **state)
{
	(void)state;
	make_all();
	runs_wanted = 900;
	fake_virt.run = wake_first;
	loop_on(home);
	assert_true(runs < 200);
}

static void anothers_timer_does_not_interrupt(void **state)
{
	(void)state;
	make_all();
	runs_wanted = 50; /* they have all begun, and a frame is over */
	fake_virt.run = spin;
	loop_on(home);
	fake_time = begin + 2 * FRAME +
		    4 * MS; /* it is the second one's turn */
	first->vcpus[0]->apic.timer_deadline = fake_time + MS;
	third->vcpus[0]->apic.timer_deadline = fake_time + MS;
	runs_wanted = 51;
	loop_on(home);
	assert_ptr_equal(ran[50]->vm, second);
	assert_int_equal(deadlines[50], begin + 3 * FRAME);
	second->vcpus[0]->apic.timer_deadline = fake_time + MS;
	runs_wanted = 52;
	loop_on(home);
	assert_int_equal(deadlines[51], fake_time + MS);
}

/* To begin takes work, which the first must not feel. */
static void work_waits_for_its_slot(void **state)
{
	(void)state;
	begin_at(fake_time);
	first = make(0, 1, true);
	second = make(1, 2, false);
	runs_wanted = 1; /* it is known now that the first wants to run */
	fake_virt.run = spin;
	loop_on(home);
	vm_command(second, MULL_COMMAND_START);
	runs_wanted = 20; /* till 4 ms */
	loop_on(home);
	assert_int_equal(second->state, MULL_VM_STOPPED);
	runs_wanted = 40;
	loop_on(home);
	assert_int_equal(runs_of(second) > 0, 1);
	for (uint32_t i = 0; i < runs; i++)
		assert_ptr_equal(ran[i]->vm, slot_at(when[i]) ? second : first);
}

/* But it need not, where that one has nothing to do. */
static void work_is_done_in_an_idle_slot(void **state)
{
	(void)state;
	begin_at(fake_time);
	first = make(0, 1, true);
	second = make(1, 2, false);
	fake_virt.run = halt;
	runs_wanted = 10;
	loop_on(home);
	assert_int_equal(runs, 1);
	vm_command(second, MULL_COMMAND_START);
	loop_on(home);
	assert_int_equal(second->state, MULL_VM_RUNNING);
	assert_int_equal(runs, 1);
	assert_true(fake_time < begin + 4 * MS);
}

/* Its guest exits again and again, and no timer ends an entry. */
static void exit_often(struct vcpu *vcpu, struct vm_exit *exit)
{
	note(vcpu);
	*exit = (struct vm_exit){ .kind = EXIT_CACHE, .length = 2 };
	fake_time += MS * 3 / 10; /* three do not fill the last millisecond */
}

static void exits_do_not_make_a_slot_longer(void **state)
{
	(void)state;
	make_all();
	runs_wanted = 300;
	fake_virt.run = exit_often;
	loop_on(home);
	for (uint32_t i = 0; i < runs; i++)
		assert_ptr_equal(ran[i]->vm, slot_at(when[i]) ? second : first);
}

/* What others send it waits, too; what the operator wants does not. */
static void who_runs_is_not_kicked_for_another(void **state)
{
	struct apic_message message = { .delivery = APIC_FIXED,
					.vector = 0x40 };

	(void)state;
	make_all();
	runs_wanted = 10;
	fake_virt.run = spin;
	loop_on(home);
	assert_int_equal(slot_at(fake_time), 0);
	fake_kicks[home] = 0;
	for (uint32_t i = 0; i < 3; i++)
		local_apic_set(&vms[i]->vcpus[0]->apic, REGISTER_SVR, 0x1ff);
	assert_true(vm_interrupt_vcpu(second->vcpus[0], &message));
	assert_int_equal(fake_kicks[home], 0);
	assert_true(vm_interrupt_vcpu(third->vcpus[0], &message));
	assert_int_equal(fake_kicks[home], 1);
	assert_true(vm_interrupt_vcpu(first->vcpus[0], &message));
	assert_int_equal(fake_kicks[home], 2);
	guest_pci_notify(second, second->pci.functions[0]);
	assert_int_equal(fake_kicks[home], 2);
	guest_pci_notify(first, first->pci.functions[0]);
	assert_int_equal(fake_kicks[home], 3);
	vcpu_request(second->vcpus[0], VCPU_PAUSE);
	assert_int_equal(fake_kicks[home], 4);
}

/* It has no slot at all in the schedule in force, but can be ended. */
static void who_has_no_part_can_be_ended(void **state)
{
	(void)state;
	begin_at(fake_time);
	first = make(0, 1, true);
	second = make(1, 2, true);
	third = make(2, 0, true);
	vm_end(third, MULL_END_POWEROFF, 0, "off");
	fake_virt.run = spin;
	runs_wanted = 900;
	for (uint32_t i = 0; i < 50 && !vm_state_rests(third->state); i++) {
		runs = 0;
		loop_on(home);
		assert_int_equal(runs_of(third), 0);
		assert_true(runs_of(first) > 300 && runs_of(second) > 500);
	}
	assert_true(vm_state_rests(third->state));
}

/* An idle CPU looks again at the end of the slot, and for the background. */
static void sleeps_till_the_slots_end(void)
{
	assert_int_equal(fake_deadline, begin + 4 * MS);
	leave();
}

static void an_idle_slot_ends_in_time(void **state)
{
	(void)state;
	begin_at(fake_time);
	first = make(0, 1, true);
	second = make(1, 2, true);
	second->vcpus[0]->apic.timer_deadline = begin + MS;
	fake_virt.run = halt;
	on_idle = sleeps_till_the_slots_end;
	runs_wanted = 10;
	loop_on(home);
	assert_int_equal(runs, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_has_its_slots),
		TEST(the_background_has_what_is_left),
		TEST(the_owner_goes_before_the_background),
		TEST(anothers_timer_does_not_interrupt),
		TEST(work_waits_for_its_slot),
		TEST(work_is_done_in_an_idle_slot),
		TEST(exits_do_not_make_a_slot_longer),
		TEST(who_runs_is_not_kicked_for_another),
		TEST(who_has_no_part_can_be_ended),
		TEST(an_idle_slot_ends_in_time),
	};

	return cmocka_run_group_tests(tests, start_memory, NULL);
}
