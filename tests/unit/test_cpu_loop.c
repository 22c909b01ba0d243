/* SPDX-License-Identifier: MIT */
#include "cpu_loop_fixture.h"

/* ---- without guests ------------------------------------------------------- */

static void with_nothing_to_do_it_idles(void **state)
{
	(void)state;
	fake_kicks[home] = 3;
	loop_on(home);
	assert_int_equal(idles, 1);
	assert_true(fake_deadline == ARCH_NO_DEADLINE);
	assert_int_equal(fake_kicks[home], 0);
	assert_int_equal(polls, 0);
}

static uint32_t looked;

static void look(void)
{
	/* A kick from here on must not be forgotten any more. */
	assert_int_equal(fake_kicks[fake_cpu], 0);
	if (!looked++)
		arch_kick(fake_cpu);
}

static void kicks_are_forgotten_before_it_looks(void **state)
{
	(void)state;
	looked = 0;
	fake_interrupts = look;
	fake_kicks[home] = 1;
	loop_on(home);
	fake_interrupts = NULL;
	assert_int_equal(looked, 2);
}

static void the_service_cpu_polls(void **state)
{
	(void)state;
	cpu_loop_set_service(home);
	assert_int_equal(cpu_loop_service(), home);
	loop_on(home);
	assert_int_equal(polls, 1);
	assert_true(fake_deadline == ARCH_NO_DEADLINE);
	needs_polling = true;
	loop_on(home);
	assert_int_equal(fake_deadline, fake_time + MS);
	loop_on(home + 1);
	assert_true(fake_deadline == ARCH_NO_DEADLINE);
	assert_int_equal(polls, 2);
}

static void watch_on(uint32_t cpu, uint64_t time)
{
	fake_cpu = cpu;
	cpu_loop_watch(time);
}

static void it_kicks_those_without_a_timer(void **state)
{
	const uint32_t a = home + 1, b = home + 2;

	(void)state;
	cpu_loop_set_service(home);
	watch_on(a, fake_time + 50);
	assert_int_equal(fake_kicks[home], 1);
	watch_on(a, fake_time + 70); /* it comes around at 50 anyway */
	watch_on(b, fake_time + 90);
	assert_int_equal(fake_kicks[home], 2);
	loop_on(home);
	assert_int_equal(fake_deadline, fake_time + 70);
	assert_int_equal(fake_kicks[a], 0);
	fake_time += 70;
	loop_on(home);
	assert_int_equal(fake_kicks[a], 1);
	assert_int_equal(fake_kicks[b], 0);
	assert_int_equal(fake_deadline, fake_time + 20);
	loop_on(home); /* once */
	assert_int_equal(fake_kicks[a], 1);
	watch_on(b, ARCH_NO_DEADLINE);
	fake_time += 20;
	loop_on(home);
	assert_int_equal(fake_kicks[b], 0);
	assert_true(fake_deadline == ARCH_NO_DEADLINE);
}

static void poll_again(void)
{
	more_to_poll = false;
}

static void it_does_not_idle_while_there_is_work(void **state)
{
	(void)state;
	cpu_loop_set_service(home);
	fake_interrupts = NULL;
	more_to_poll = true;
	/* The third look finds the work done. */
	fake_interrupts = poll_again;
	loop_on(home);
	fake_interrupts = NULL;
	assert_int_equal(polls, 1);
	assert_int_equal(idles, 1);
}

static void only_the_home_cpu_works_on_a_vm(void **state)
{
	(void)state;
	make_vm(0, 2, false);
	vm_command(vm, MULL_COMMAND_START);
	loop_on(home + 1);
	assert_int_equal(vm->state, MULL_VM_STOPPED);
	fake_virt.run = (void (*)(struct vcpu *, struct vm_exit *))leave;
	loop_on(home);
	assert_int_equal(vm->state, MULL_VM_RUNNING);
	assert_int_equal(idles, 1);
}

/* ---- guests --------------------------------------------------------------- */

/* Leaves for @kinds in turn, then for good. */
static const enum exit_kind *kinds;
static uint64_t ticks_a_run;

static void run_script(struct vcpu *vcpu, struct vm_exit *exit)
{
	note_run(vcpu);
	if (*kinds == EXIT_KIND_COUNT)
		leave();
	*exit = (struct vm_exit){ .kind = *kinds++, .length = 1 };
	fake_time += ticks_a_run;
}

/* @ticks: the time of each stay in the guest. */
static void run_with(uint32_t cpu, const enum exit_kind *script, uint64_t ticks)
{
	kinds = script;
	ticks_a_run = ticks;
	fake_virt.run = run_script;
	loop_on(cpu);
}

static void run_from(uint32_t cpu, const enum exit_kind *script)
{
	run_with(cpu, script, 10);
}

static void exits_are_counted_and_the_guest_goes_on(void **state)
{
	static const enum exit_kind script[] = { EXIT_CPUID, EXIT_CACHE,
						 EXIT_CACHE, EXIT_WINDOW,
						 EXIT_KIND_COUNT };

	(void)state;
	make_vm(0, 1, false);
	start();
	run_from(home, script);
	assert_int_equal(runs, 5);
	assert_int_equal(vm->vcpus[0]->exits[EXIT_CPUID], 1);
	assert_int_equal(vm->vcpus[0]->exits[EXIT_CACHE], 2);
	assert_int_equal(vm->vcpus[0]->exits[EXIT_WINDOW], 1);
	/* Alone on its CPU it is not disturbed. */
	assert_true(deadlines[0] == ARCH_NO_DEADLINE);
	assert_true(deadlines[4] == ARCH_NO_DEADLINE);
}

static void count_looks(void)
{
	looked++;
}

static void after_an_interrupt_it_looks_around(void **state)
{
	static const enum exit_kind script[] = { EXIT_NONE, EXIT_NMI,
						 EXIT_CPUID, EXIT_KIND_COUNT };

	(void)state;
	make_vm(0, 1, false);
	vm_command(vm, MULL_COMMAND_START);
	loop_on(home + 1);
	fake_cpu = home;
	work();
	looked = 0;
	fake_interrupts = count_looks;
	run_from(home, script);
	fake_interrupts = NULL;
	assert_int_equal(looked, 3); /* at first, and after two of three */
}

static void who_exits_all_the_time_does_not_keep_it_from_looking(void **state)
{
	static const enum exit_kind script[] = { EXIT_CPUID, EXIT_CPUID,
						 EXIT_CPUID, EXIT_CPUID,
						 EXIT_CPUID, EXIT_KIND_COUNT };

	(void)state;
	make_vm(0, 1, false);
	start();
	looked = 0;
	fake_interrupts = count_looks;
	run_with(home, script, SLOT / 2);
	fake_interrupts = NULL;
	assert_int_equal(looked, 3); /* at first, and after each two */
	assert_true(deadlines[0] == ARCH_NO_DEADLINE);
}

/* Exits do not move when that is, and do not cost the question. */
static void what_is_polled_is_asked_once_a_round(void **state)
{
	static const enum exit_kind script[] = { EXIT_CPUID, EXIT_CPUID,
						 EXIT_CPUID, EXIT_NMI,
						 EXIT_KIND_COUNT };
	uint64_t began = fake_time;

	(void)state;
	make_vm(0, 1, false);
	start();
	cpu_loop_set_service(home);
	needs_polling = true;
	run_from(home, script);
	assert_int_equal(runs, 5);
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(deadlines[i], began + MS);
	assert_int_equal(deadlines[4], began + 40 + MS);
	assert_int_equal(asked, 2);
}

static void set_deadline(struct vcpu *vcpu, struct vm_exit *exit)
{
	note_run(vcpu);
	if (runs > 2)
		leave();
	atomic_store(&vcpu->vm->deadline, fake_time + 77);
	*exit = (struct vm_exit){ .kind = EXIT_CPUID, .length = 1 };
}

/* What a guest does at an exit may concern its VM, whose home this is. */
static void what_the_guest_changes_counts_at_once(void **state)
{
	(void)state;
	make_vm(0, 1, false);
	start();
	fake_virt.run = set_deadline;
	loop_on(home);
	assert_true(deadlines[0] == ARCH_NO_DEADLINE);
	assert_int_equal(deadlines[1], fake_time + 77);
}

static void a_guest_that_ended_runs_no_more(void **state)
{
	static const enum exit_kind script[] = { EXIT_TRIPLE_FAULT, EXIT_NONE,
						 EXIT_KIND_COUNT };

	(void)state;
	make_vm(0, 1, false);
	vm_command(vm, MULL_COMMAND_START);
	run_from(home, script);
	assert_int_equal(idles, 1);
	assert_int_equal(vm->state, MULL_VM_CRASHED);
	assert_true(runs <= 2);
}

static void sleep_a_while(void)
{
	on_idle = NULL;
	fake_time += 500;
	arch_kick(fake_cpu);
}

static void poll_slowly(void)
{
	fake_time += 7;
}

static void a_cpu_knows_where_its_time_went(void **state)
{
	static const enum exit_kind script[] = { EXIT_CPUID, EXIT_NMI,
						 EXIT_HALT, EXIT_KIND_COUNT };
	struct mull_cpu_stats stats = { .cpu = 0 };
	uint64_t began = fake_time;

	(void)state;
	make_vm(0, 1, false);
	start();
	vm->vcpus[0]->rflags |= RFLAGS_IF;
	on_idle = sleep_a_while;
	on_poll = poll_slowly;
	cpu_loop_set_service(home);
	run_from(home, script);
	cpu_loop_stats(home, fake_time - began, &stats);
	assert_int_equal(stats.cpu, home);
	assert_int_equal(stats.guest_ns, 3 * 10);
	assert_int_equal(stats.idle_ns, 500);
	assert_int_equal(stats.worst_step_ns, 7);
	assert_int_equal(stats.hypervisor_ns, polls * 7);
	assert_int_equal(stats.kicks, 1);
}

/* ---- coming and going ------------------------------------------------------ */

/* Each CPU lets go of its own vCPU, and says so, while the VM is there. */
static void let_go(void)
{
	uint32_t count = vm->vcpu_count, made = fake_virt.vcpus;

	vm_command(vm, MULL_COMMAND_DESTROY);
	for (uint32_t cpu = 0; cpu < count; cpu++) {
		notices = 0;
		loop_on(home + cpu);
		assert_int_equal(vm->left, cpu + 1);
		assert_int_equal(fake_virt.vcpus, made - cpu - 1);
		assert_int_equal(notices, 1);
	}
	assert_int_equal(vm->state, MULL_VM_DESTROYED);
}

static void run_a_life(void)
{
	static const enum exit_kind script[] = { EXIT_KIND_COUNT };

	state_count = 0;
	make_vm(0, 2, false);
	vm_command(vm, MULL_COMMAND_START);
	runs = 0;
	run_from(home, script);
	assert_ptr_equal(ran[0], vm->vcpus[0]);
	loop_on(home + 1);
	vm_command(vm, MULL_COMMAND_STOP);
	loop_on(home);
	loop_on(home + 1);
	loop_on(home);
	assert_int_equal(vm->state, MULL_VM_STOPPED);
	let_go();
	/* Its CPU must not look at it any more. */
	vm->vcpus[0]->apic.timer_deadline = fake_time + 1;
	loop_on(home);
	assert_true(fake_deadline == ARCH_NO_DEADLINE);
	assert_null(cpu_loop_current());
	vm_destroy(vm);
}

static void two_hundred_lives_leave_the_memory_as_it_was(void **state)
{
	uint64_t frames = frames_free(), pages = pages_in_use();
	uint32_t vcpus = fake_virt.vcpus;

	(void)state;
	for (uint32_t i = 0; i < 200; i++) {
		run_a_life();
		assert_null(vms[0]);
		assert_int_equal(frames_free(), frames);
		assert_int_equal(pages_in_use(), pages);
		assert_int_equal(fake_virt.vcpus, vcpus);
	}
	assert_int_equal(fake_leaves, 200); /* nothing of it stays behind */
}

static void who_goes_leaves_the_others_where_they_are(void **state)
{
	static const enum exit_kind script[] = { EXIT_NMI, EXIT_NMI, EXIT_NMI,
						 EXIT_KIND_COUNT };
	struct vm *all[3];

	(void)state;
	for (uint32_t i = 0; i < 3; i++) {
		state_count = 0;
		make_vm(i, 1, true);
		start();
		all[i] = vm;
	}
	vm_end(all[1], MULL_END_POWEROFF, 0, "off");
	vm = all[1];
	work();
	obey_all();
	work();
	kinds = script;
	fake_virt.run = run_script;
	let_go();
	vm_destroy(vm);
	runs = 0;
	run_from(home, script);
	assert_int_equal(runs, 4);
	assert_ptr_equal(ran[0], ran[2]);
	assert_ptr_equal(ran[1], ran[3]);
	assert_ptr_not_equal(ran[0], ran[1]);
}

/* ---- timers --------------------------------------------------------------- */

static void a_restart_that_waits_is_a_deadline(void **state)
{
	(void)state;
	make_vm(0, 2, true);
	loop_on(home); /* it has nothing to do but to take the vCPUs */
	vm->phase = PHASE_WAIT;
	vm->deadline = vm->start_at = fake_time + 700;
	loop_on(home);
	assert_int_equal(fake_deadline, fake_time + 700);
	vm->phase = PHASE_IDLE;
	vm->deadline = ARCH_NO_DEADLINE;
	loop_on(home);
	assert_true(fake_deadline == ARCH_NO_DEADLINE);
}

static void so_is_the_work_of_a_device_by_time(void **state)
{
	(void)state;
	make_vm(0, 2, true);
	loop_on(home);
	vm->pci.due = fake_time + 600;
	loop_on(home);
	assert_true(fake_deadline == ARCH_NO_DEADLINE); /* it does not run */
	vm->state = MULL_VM_RUNNING;
	loop_on(home);
	assert_int_equal(fake_deadline, fake_time + 600);
	fake_time = vm->pci.due;
	loop_on(home);
	assert_true(fake_deadline == ARCH_NO_DEADLINE);
	vm->state = MULL_VM_STOPPED;
}

static void the_next_timer_is_the_deadline(void **state)
{
	static const enum exit_kind script[] = { EXIT_KIND_COUNT };

	(void)state;
	make_vm(0, 2, true);
	vm_command(vm, MULL_COMMAND_START);
	fake_cpu = home;
	work();
	vcpu_obey(vm->vcpus[0]);
	vcpu_obey(vm->vcpus[1]);
	vm->vcpus[0]->apic.timer_deadline = fake_time + 500;
	vm->vcpus[1]->apic.timer_deadline = fake_time + 300;
	run_from(home, script);
	assert_int_equal(deadlines[0], fake_time + 300);
	vm->vcpus[0]->apic.timer_deadline = fake_time + 200;
	run_from(home, script);
	assert_int_equal(deadlines[1], fake_time + 200);
}

/* A neighbour that ended must not leave its timer behind. */
static void the_timer_of_one_that_ended_is_none(void **state)
{
	static const enum exit_kind script[] = { EXIT_KIND_COUNT };
	struct vm *ended;

	(void)state;
	make_vm(0, 1, false);
	start();
	ended = vm;
	make_vm(1, 1, true);
	start();
	ended->vcpus[0]->apic.timer_deadline = fake_time + 1;
	vm_end(ended, MULL_END_POWEROFF, 0, "off");
	fake_time += 10;
	run_from(home, script);
	assert_ptr_equal(ran[0], vm->vcpus[0]);
	assert_true(deadlines[0] > fake_time);
	vm = ended;
}

static void let_time_pass(void)
{
	assert_true(fake_deadline != ARCH_NO_DEADLINE);
	fake_time = fake_deadline;
	on_idle = NULL;
}

static void a_halted_vcpu_wakes_by_its_timer(void **state)
{
	static const enum exit_kind script[] = { EXIT_HALT, EXIT_KIND_COUNT };
	struct vcpu *vcpu;

	(void)state;
	make_vm(0, 1, false);
	start();
	vcpu = vm->vcpus[0];
	vcpu->rflags = RFLAGS_IF;
	fake_virt.can_interrupt = true;
	local_apic_mmio_write(vcpu, 0xf0, 4, 0x1ff);
	local_apic_mmio_write(vcpu, 0x320, 4, 0x40041); /* deadline */
	local_apic_msr_write(vcpu, 0x6e0, fake_time + 5000);
	on_idle = let_time_pass;
	run_from(home, script);
	assert_int_equal(runs, 2);
	assert_int_equal(idles, 1);
	assert_int_equal(fake_virt.event.vector, 0x41);
}

static void a_paused_guest_runs_on_no_clock(void **state)
{
	static const enum exit_kind script[] = { EXIT_NMI, EXIT_KIND_COUNT };
	struct vcpu *vcpu;

	(void)state;
	make_vm(0, 1, false);
	start();
	vcpu = vm->vcpus[0];
	vcpu->apic.timer_deadline = fake_time + 5000;
	vm_command(vm, MULL_COMMAND_PAUSE);
	run_from(home, script);
	assert_int_equal(runs, 0);
	assert_int_equal(vm->state, MULL_VM_PAUSED);
	assert_true(fake_deadline == ARCH_NO_DEADLINE);
	fake_time += 10000;
	loop_on(home);
	assert_int_equal(vcpu->apic.timer_deadline, fake_time - 5000);
	vm_command(vm, MULL_COMMAND_RESUME);
	run_from(home, script);
	assert_int_equal(runs, 2);
	assert_true(vcpu->apic.timer_deadline == ARCH_NO_DEADLINE); /* fired */
}

/* The exception goes in first; the NMI must not wait for the next exit. */
static void an_nmi_behind_an_exception_is_soon(void **state)
{
	static const enum exit_kind script[] = { EXIT_PRIVILEGED,
						 EXIT_INTERRUPT,
						 EXIT_KIND_COUNT };

	(void)state;
	make_vm(0, 1, false);
	start();
	atomic_fetch_or(&vm->vcpus[0]->requests, VCPU_NMI);
	fake_virt.event_pending = true; /* the first entry repeats something */
	run_from(home, script);
	assert_true(deadlines[0] <= fake_time);
	assert_int_equal(runs, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(with_nothing_to_do_it_idles),
		TEST(kicks_are_forgotten_before_it_looks),
		TEST(the_service_cpu_polls),
		TEST(it_kicks_those_without_a_timer),
		TEST(it_does_not_idle_while_there_is_work),
		TEST(only_the_home_cpu_works_on_a_vm),
		TEST(exits_are_counted_and_the_guest_goes_on),
		TEST(after_an_interrupt_it_looks_around),
		TEST(who_exits_all_the_time_does_not_keep_it_from_looking),
		TEST(what_is_polled_is_asked_once_a_round),
		TEST(what_the_guest_changes_counts_at_once),
		TEST(a_guest_that_ended_runs_no_more),
		TEST(a_restart_that_waits_is_a_deadline),
		TEST(so_is_the_work_of_a_device_by_time),
		TEST(the_next_timer_is_the_deadline),
		TEST(the_timer_of_one_that_ended_is_none),
		TEST(a_halted_vcpu_wakes_by_its_timer),
		TEST(a_cpu_knows_where_its_time_went),
		TEST(two_hundred_lives_leave_the_memory_as_it_was),
		TEST(who_goes_leaves_the_others_where_they_are),
		TEST(a_paused_guest_runs_on_no_clock),
		TEST(an_nmi_behind_an_exception_is_soon),
	};

	return cmocka_run_group_tests(tests, start_memory, NULL);
}
