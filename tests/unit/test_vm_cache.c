/* SPDX-License-Identifier: MIT */
/* VMs' parts of the cache, as they come, run and go. */
#include "cpu_loop_fixture.h"

#include <mullion/cache.h>

static int with_cache(void **state)
{
	if (new_cpus(state))
		return -1;
	fake_cache = (struct cache_means){ .level = 3,
					   .ways = 12,
					   .least = 1,
					   .classes = 8,
					   .splits = true,
					   .bandwidth = BANDWIDTH_PERCENT,
					   .bandwidth_classes = 8,
					   .bandwidth_step = 10 };
	cache_start();
	memset(fake_kicks, 0, sizeof fake_kicks);
	fake_cache_sets = fake_cache_uses = 0;
	return 0;
}

/* A VM of one vCPU on @cpu. */
static struct vm *make(uint32_t index, uint32_t cpu, uint32_t ways,
		       uint32_t code)
{
	struct mull_vm *description = describe(index, 1);
	struct vm *made;

	description->cpus[0] = (uint16_t)cpu;
	description->cache_ways = (uint16_t)ways;
	description->cache_code_ways = (uint16_t)code;
	fake_cpu = MULL_CPU_MAX - 1; /* the service CPU */
	made = vm_create(description, index, NULL);
	assert_non_null(made);
	return made;
}

static void run_once(struct vcpu *vcpu, struct vm_exit *exit)
{
	(void)exit;
	note_run(vcpu);
	leave();
}

static void run_two(struct vcpu *vcpu, struct vm_exit *exit)
{
	note_run(vcpu);
	fake_time += SLOT;
	exit->kind = EXIT_INTERRUPT;
	if (runs % 2 == 0)
		leave();
}

static void runs_on(struct vm *of)
{
	of->vcpus[0]->state = VCPU_RUNNABLE;
}

static void a_cpu_takes_its_vms_class(void **state)
{
	struct vm *mine = make(0, home, 4, 0);

	(void)state;
	assert_int_equal(mine->cache_class, 1);
	assert_true(fake_kicks[home] > 0);
	assert_true(fake_kicks[home + 1] > 0); /* masks may be its, too */
	assert_int_equal(fake_kicks[fake_cpu], 0);
	fake_virt.run = run_once;
	runs_on(mine);
	loop_on(home);
	assert_int_equal(fake_cache_class[home], 1);
	assert_int_equal(fake_cache_sets, 1);
	assert_int_equal(fake_cache_plan.classes[1].data, 0xf);
	/* And keeps it, at each exit and while its guest waits. */
	for (int i = 0; i < 10; i++)
		loop_on(home);
	mine->vcpus[0]->state = VCPU_HALTED;
	loop_on(home);
	assert_int_equal(fake_cache_class[home], 1);
	assert_int_equal(fake_cache_uses, 1);
	assert_int_equal(fake_cache_sets, 1);
	/* One that runs nobody is everybody else's. */
	loop_on(home + 1);
	assert_int_equal(fake_cache_sets, 2);
	assert_int_equal(fake_cache_class[home + 1], 0);
	cache_give(mine);
}

static void vms_on_one_cpu_change_its_class(void **state)
{
	struct vm *one = make(0, home, 2, 0), *two = make(1, home, 3, 0);
	struct vm *plain = make(2, home, 0, 0);

	(void)state;
	assert_int_equal(two->cache_class, 2);
	assert_int_equal(plain->cache_class, 0);
	runs_on(one);
	runs_on(two);
	fake_virt.run = run_two;
	loop_on(home);
	assert_int_equal(runs, 2);
	assert_ptr_not_equal(ran[0], ran[1]);
	assert_int_equal(fake_cache_uses, 2);
	assert_int_equal(fake_cache_class[home], ran[1]->vm->cache_class);
	one->vcpus[0]->state = VCPU_PARKED;
	two->vcpus[0]->state = VCPU_PARKED;
	runs_on(plain);
	fake_virt.run = run_once;
	loop_on(home);
	assert_int_equal(fake_cache_class[home], 0);
	assert_int_equal(fake_cache_sets, 1);
	cache_give(one);
	cache_give(two);
}

static void a_vm_that_goes_leaves_its_ways(void **state)
{
	struct vm *one = make(0, home, 8, 0), *two;

	(void)state;
	runs_on(one);
	fake_virt.run = run_once;
	loop_on(home);
	one->vcpus[0]->state = VCPU_PARKED;
	cpu_loop_move(one->vcpus[0]); /* out of its CPU's loop */
	loop_on(home);
	assert_int_equal(one->left, 1);
	fake_cpu = MULL_CPU_MAX - 1;
	fake_kicks[home] = 0;
	vm_destroy(one);
	assert_int_equal(fake_kicks[home], 1);
	assert_int_equal(cache_plan_left(cache_now()), 11);
	loop_on(home);
	assert_int_equal(fake_cache_class[home], 0);
	assert_int_equal(cache_plan_rest(&fake_cache_plan), 0xfff);
	two = make(1, home, 6, 2);
	assert_int_equal(two->cache_class, 1);
	assert_true(cache_now()->split); /* it is the first again */
	assert_int_equal(cache_now()->classes[1].data, 0x00f);
	assert_int_equal(cache_now()->classes[1].code, 0x030);
	cache_give(two);
	assert_false(cache_now()->split);
}

static void one_for_whom_nothing_is_left_is_not_made(void **state)
{
	struct vm *one = make(0, home, 8, 0);
	struct mull_vm *description = describe(1, 1);
	uint32_t pages = (uint32_t)pages_in_use();

	(void)state;
	description->cpus[0] = (uint16_t)home;
	description->cache_ways = 4;
	assert_null(vm_create(description, 1, NULL));
	assert_int_equal(pages_in_use(), pages);
	assert_int_equal(cache_plan_left(cache_now()), 3);
	cache_give(one);
}

static void a_package_says_whether_code_is_apart(void **state)
{
	struct vm *one;

	(void)state;
	boot_package.vm_count = 2;
	describe(0, 1);
	describe(1, 1)->cache_code_ways = 1;
	boot_package.vms[1].cache_ways = 2;
	cache_expect(&boot_package);
	assert_true(cache_now()->split);
	/* One that is refused does not count. */
	strcpy(boot_package.vm_words[1], "is refused");
	cache_expect(&boot_package);
	assert_false(cache_now()->split);
	boot_package.vm_words[1][0] = 0;
	cache_expect(&boot_package);
	one = make(0, home, 2, 0);
	vm = make(1, home, 2, 1);
	assert_int_equal(cache_now()->classes[2].code, 0x008);
	cache_give(one);
	assert_true(cache_now()->split);
	cache_give(vm);
	boot_package.vm_count = 0;
}

static void without_parts_nothing_is_written(void **state)
{
	struct vm *plain = make(0, home, 0, 0);

	(void)state;
	fake_virt.run = run_once;
	runs_on(plain);
	/* What other tests changed is known at the first round. */
	loop_on(home);
	fake_cache_sets = fake_cache_uses = 0;
	loop_on(home);
	assert_int_equal(fake_cache_sets, 0);
	assert_int_equal(fake_cache_uses, 0);
	assert_int_equal(fake_kicks[home + 1], 0);
}

#undef TEST
#define TEST(name) cmocka_unit_test_setup_teardown(name, with_cache, stop_all)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_cpu_takes_its_vms_class),
		TEST(vms_on_one_cpu_change_its_class),
		TEST(a_vm_that_goes_leaves_its_ways),
		TEST(one_for_whom_nothing_is_left_is_not_made),
		TEST(a_package_says_whether_code_is_apart),
		TEST(without_parts_nothing_is_written),
	};

	return cmocka_run_group_tests(tests, start_memory, NULL);
}
