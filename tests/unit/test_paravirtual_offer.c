/* SPDX-License-Identifier: MIT */
/* Which of KVM's features a VM is offered, by its CPUs and the processor. */
#include "vm_fixture.h"

#include <mullion/paravirtual.h>

#define CLOCKS 0x0100000bu
#define PV_TLB_FLUSH BIT(9)
#define SHARED_ONLY \
	(uint32_t)(KVM_FEATURE_STEAL_TIME | KVM_FEATURE_PV_UNHALT | \
		   PV_TLB_FLUSH | KVM_FEATURE_PV_SCHED_YIELD)

uint32_t cpu_loop_service(void)
{
	return 0;
}

void cpu_loop_move(struct vcpu *vcpu)
{
	vcpu->next = vcpu->next ? NULL : vcpu;
}

static void offer_to(struct vm *to, bool may_share)
{
	boot_package.machine.flags = may_share ? MULL_MACHINE_SHARE_CPUS : 0;
	paravirtual_choose(to);
	boot_package.machine.flags = 0;
}

static void cpus_of_its_own_need_little(void **state)
{
	(void)state;
	offer_to(vm, false);
	assert_int_equal(vm->kvm_features, CLOCKS | KVM_FEATURE_PV_EOI);
	assert_int_equal(vm->kvm_hints, KVM_HINT_REALTIME);
	/* Others could come. */
	offer_to(vm, true);
	assert_int_equal(vm->kvm_features, CLOCKS | KVM_FEATURE_PV_EOI);
	assert_int_equal(vm->kvm_hints, 0);
}

static void a_processor_that_ends_interrupts_needs_no_memory(void **state)
{
	(void)state;
	fake_virt.delivers = true;
	offer_to(vm, false);
	assert_int_equal(vm->kvm_features, CLOCKS);
}

static void calls_for_many_are_for_many(void **state)
{
	(void)state;
	describe(1, 3);
	fake_cpu_count = 8;
	boot_package.vms[1].cpus[0] = 5;
	boot_package.vms[1].cpus[1] = 6;
	boot_package.vms[1].cpus[2] = 7;
	vm = vm_create(&boot_package.vms[1], 1, NULL);
	offer_to(vm, false);
	assert_int_equal(vm->kvm_features,
			 CLOCKS | KVM_FEATURE_PV_EOI | KVM_FEATURE_PV_SEND_IPI);
}

static void a_shared_cpu_changes_it_for_both(void **state)
{
	struct vm *first = vm;
	struct vm *second;

	(void)state;
	describe(1, 1);
	boot_package.vms[1].cpus[0] = 1; /* as the first VM's second vCPU */
	second = vm_create(&boot_package.vms[1], 1, NULL);
	offer_to(first, true);
	offer_to(second, true);
	assert_int_equal(first->kvm_features & SHARED_ONLY, SHARED_ONLY);
	assert_int_equal(second->kvm_features & SHARED_ONLY, SHARED_ONLY);
	assert_int_equal(first->kvm_hints | second->kvm_hints, 0);
	vm_destroy(second);
	offer_to(first, true);
	assert_int_equal(first->kvm_features & SHARED_ONLY, 0);
	vm = first;
}

/* As it starts, so that CPUID says the same for as long as it runs. */
static void it_is_chosen_at_the_start(void **state)
{
	(void)state;
	vm->kvm_features = ~0u;
	start();
	assert_int_equal(vm->kvm_features, CLOCKS | KVM_FEATURE_PV_EOI);
}

/* So that no CPU has vCPUs of the test before. */
static int destroy_all(void **state)
{
	stop_all(state);
	for (uint32_t i = 0; i < MULL_VM_MAX; i++)
		if (vms[i])
			vm_destroy(vms[i]);
	return 0;
}

#undef TEST
#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh, destroy_all)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(cpus_of_its_own_need_little),
		TEST(a_processor_that_ends_interrupts_needs_no_memory),
		TEST(calls_for_many_are_for_many),
		TEST(a_shared_cpu_changes_it_for_both),
		TEST(it_is_chosen_at_the_start),
	};

	return cmocka_run_group_tests(tests, start_memory, NULL);
}
