/* SPDX-License-Identifier: MIT */
/* The loop never ends, so each test leaves it from the guest or from idling. */
#ifndef TESTS_UNIT_CPU_LOOP_FIXTURE_H
#define TESTS_UNIT_CPU_LOOP_FIXTURE_H

#include "vm_fixture.h"

#define RFLAGS_IF BIT(9)
#define SLOT 2000000 /* ticks of a nanosecond */
#define MS 1000000

static jmp_buf outside;
static uint32_t home; /* CPU of the VM's first vCPU; each test has new CPUs */
static uint32_t polls, idles;
static bool more_to_poll, needs_polling;
static uint32_t asked; /* whether it needs polling */
static void (*on_idle)(void), (*on_poll)(void);
static struct vcpu *ran[1000];
static uint64_t deadlines[1000];
static uint32_t runs;
static struct vcpu *for_panic;

bool manage_poll(void)
{
	polls++;
	if (on_poll)
		on_poll();
	return more_to_poll;
}

void manage_end(void)
{
}

bool manage_needs_polling(void)
{
	asked++;
	return needs_polling;
}

void panic_running(uint32_t cpu, struct vcpu *vcpu)
{
	(void)cpu;
	for_panic = vcpu;
}

void arch_idle(void)
{
	assert_null(for_panic);
	if (fake_kicks[fake_cpu])
		return;
	idles++;
	if (!on_idle)
		longjmp(outside, 1);
	on_idle();
}

static inline void leave(void)
{
	longjmp(outside, 1);
}

static inline void note_run(struct vcpu *vcpu)
{
	assert_true(runs < ARRAY_COUNT(ran));
	assert_ptr_equal(for_panic, vcpu);
	assert_ptr_equal(cpu_loop_current(), vcpu);
	assert_int_equal(vcpu->cpu, fake_cpu);
	deadlines[runs] = fake_deadline;
	ran[runs++] = vcpu;
}

/* Runs CPU @cpu until somebody leaves. */
static inline void loop_on(uint32_t cpu)
{
	fake_cpu = cpu;
	if (!setjmp(outside))
		cpu_loop();
}

/* One VM of @vcpus vCPUs on its own CPUs, or all on one. */
static inline void make_vm(uint32_t index, uint32_t vcpus, bool one_cpu)
{
	struct mull_vm *description = describe(index, vcpus);

	for (uint32_t i = 0; i < vcpus; i++)
		description->cpus[i] = (uint16_t)(home + (one_cpu ? 0 : i));
	vm = vm_create(&boot_package.vms[index], index, NULL);
	assert_non_null(vm);
}

static inline int new_cpus(void **state)
{
	static uint32_t used = 1; /* fresh() puts a VM on 0 and 1 */

	if (fresh(state))
		return -1;
	vms[0] = NULL;
	home = used += 4;
	fake_cpu_count = MULL_CPU_MAX;
	cpu_loop_set_service(MULL_CPU_MAX - 1);
	polls = idles = runs = asked = fake_leaves = 0;
	more_to_poll = needs_polling = false;
	on_idle = on_poll = NULL;
	return 0;
}

#undef TEST
#define TEST(name) cmocka_unit_test_setup_teardown(name, new_cpus, stop_all)

#endif
