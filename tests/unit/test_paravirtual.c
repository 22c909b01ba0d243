/* SPDX-License-Identifier: MIT */
/* What a guest sets up for KVM's features, and what the hypervisor writes. */
#include "guest_fixture.h"

#include <mullion/paravirtual.h>

#define PAGE 0x30000
#define ALL_FEATURES \
	(KVM_FEATURE_STEAL_TIME | KVM_FEATURE_PV_EOI | KVM_FEATURE_PV_UNHALT | \
	 KVM_FEATURE_PV_SEND_IPI | KVM_FEATURE_PV_SCHED_YIELD)
#define ICR_NMI 0x400
#define FLUSH_TLB 2

static int offered(void **state)
{
	fresh(state);
	vm.kvm_features = ALL_FEATURES;
	fake_virt.can_interrupt = true;
	vcpu.rflags = RFLAGS_IF;
	local_apic_mmio_write(&vcpu, 0xf0, 4, 0x1ff);
	local_apic_mmio_write(&other, 0xf0, 4, 0x1ff);
	memset(fake_kicks, 0, sizeof fake_kicks);
	return 0;
}

static bool write_msr(uint32_t msr, uint64_t value)
{
	const struct vm_exit exit = { .kind = EXIT_MSR_WRITE, .length = 2 };

	vcpu.has_event = false;
	vcpu.gpr[RCX] = msr;
	vcpu.gpr[RAX] = (uint32_t)value;
	vcpu.gpr[RDX] = value >> 32;
	exit_handle(&vcpu, &exit);
	return !vcpu.has_event;
}

static uint8_t byte_at(uint64_t at)
{
	uint8_t byte;

	assert_int_equal(guest_read(&vm.memory, gpa(at), &byte, 1), ERR_NONE);
	return byte;
}

static void set_byte(uint64_t at, uint8_t byte)
{
	put(at, &byte, 1);
}

/* What wild addresses come to: #GP(0), and nothing is written anywhere. */
static void refuses_wild(uint32_t msr, uint64_t last)
{
	static const uint64_t wild[] = {
		RAM_BYTES,  GIB(3),	     0xfee00000, (uint64_t)-64,
		1ull << 63, (uint64_t)-4096, GIB(4),	 0xfffff000,
	};

	for (size_t i = 0; i < ARRAY_COUNT(wild); i++) {
		assert_false(write_msr(msr, wild[i] | 1));
		assert_int_equal(vcpu.eoi.msr | vcpu.steal.msr, 0);
	}
	assert_true(write_msr(msr, last | 1));
	assert_true(write_msr(msr, 0));
	assert_true(write_msr(msr, ~0ull << 12)); /* off: any address */
	assert_false(write_msr(msr, PAGE | 3));	  /* a reserved bit */
}

/* ---- end of interrupt ----------------------------------------------------- */

static uint8_t in_service(void)
{
	return local_apic_in_service(&vcpu.apic);
}

static void deliver(uint8_t vector)
{
	local_apic_raise(&vcpu.apic, vector, false);
	vcpu_prepare(&vcpu);
}

static void an_interrupt_is_ended_in_memory(void **state)
{
	(void)state;
	assert_true(write_msr(MSR_KVM_PV_EOI, PAGE | 1));
	deliver(0x50);
	assert_int_equal(in_service(), 0x50);
	assert_int_equal(byte_at(PAGE), 1);
	set_byte(PAGE, 0);
	deliver(0x40); /* lower: it needs the end of the other */
	assert_int_equal(in_service(), 0x40);
	assert_int_equal(fake_virt.event.vector, 0x40);
	assert_int_equal(byte_at(PAGE), 1);
}

static void one_that_waits_needs_an_exit(void **state)
{
	(void)state;
	assert_true(write_msr(MSR_KVM_PV_EOI, PAGE | 1));
	deliver(0x50);
	deliver(0x40); /* not ended yet */
	assert_int_equal(in_service(), 0x50);
	assert_int_equal(byte_at(PAGE), 0);
	assert_false(vcpu.eoi.offered);
	local_apic_mmio_write(&vcpu, 0xb0, 4, 0);
	assert_int_equal(in_service(), 0);
	vcpu_prepare(&vcpu);
	assert_int_equal(in_service(), 0x40);
	assert_int_equal(byte_at(PAGE), 1);
}

static void a_nested_one_is_not_offered(void **state)
{
	(void)state;
	assert_true(write_msr(MSR_KVM_PV_EOI, PAGE | 1));
	deliver(0x50);
	deliver(0x80);
	assert_int_equal(in_service(), 0x80);
	assert_int_equal(byte_at(PAGE), 0);
	local_apic_mmio_write(&vcpu, 0xb0, 4, 0);
	assert_int_equal(in_service(), 0x50);
}

static void a_level_is_not_offered(void **state)
{
	(void)state;
	assert_true(write_msr(MSR_KVM_PV_EOI, PAGE | 1));
	local_apic_raise(&vcpu.apic, 0x50, true);
	vcpu_prepare(&vcpu);
	assert_int_equal(in_service(), 0x50);
	assert_int_equal(byte_at(PAGE), 0);
}

static void a_guest_may_ignore_the_offer(void **state)
{
	(void)state;
	assert_true(write_msr(MSR_KVM_PV_EOI, PAGE | 1));
	deliver(0x50);
	local_apic_mmio_write(&vcpu, 0xb0, 4, 0);
	assert_int_equal(in_service(), 0);
	assert_int_equal(byte_at(PAGE), 0);
	/* Both ways at once end one each. */
	deliver(0x50);
	set_byte(PAGE, 0);
	local_apic_mmio_write(&vcpu, 0xb0, 4, 0);
	assert_int_equal(in_service(), 0);
}

static void a_halted_vcpu_has_ended_its_interrupt(void **state)
{
	(void)state;
	assert_true(write_msr(MSR_KVM_PV_EOI, PAGE | 1));
	deliver(0x50);
	set_byte(PAGE, 0);
	vcpu.state = VCPU_HALTED;
	local_apic_raise(&vcpu.apic, 0x40, false);
	assert_true(vcpu_wakes(&vcpu));
}

static void the_registers_show_what_was_done(void **state)
{
	(void)state;
	assert_true(write_msr(MSR_KVM_PV_EOI, PAGE | 1));
	deliver(0x50);
	assert_int_equal(local_apic_mmio_read(&vcpu, 0xa0, 4), 0x50); /* PPR */
	set_byte(PAGE, 0);
	assert_int_equal(local_apic_mmio_read(&vcpu, 0xa0, 4), 0);
	/* And an APIC that changes its mode has no offer any more. */
	deliver(0x50);
	local_apic_msr_write(&vcpu, 0x1b, 0xfee00c00);
	assert_int_equal(byte_at(PAGE), 0);
	assert_int_equal(in_service(), 0x50);
}

static void where_the_processor_delivers_nothing_is_offered(void **state)
{
	(void)state;
	assert_true(write_msr(MSR_KVM_PV_EOI, PAGE | 1));
	fake_virt.delivers = true;
	deliver(0x50);
	assert_int_equal(byte_at(PAGE), 0);
}

static void ends_have_no_wild_address(void **state)
{
	(void)state;
	refuses_wild(MSR_KVM_PV_EOI, RAM_BYTES - 4);
	vm.kvm_features = 0;
	assert_false(write_msr(MSR_KVM_PV_EOI, PAGE | 1));
}

static void memory_that_goes_switches_it_off(void **state)
{
	(void)state;
	assert_true(write_msr(MSR_KVM_PV_EOI, PAGE | 1));
	deliver(0x50);
	vm.memory.region_count = 0;
	deliver(0x40);
	assert_int_equal(vcpu.eoi.msr, 0);
	assert_int_equal(in_service(), 0x50);
}

/* ---- stolen time ---------------------------------------------------------- */

static struct steal {
	uint64_t ns;
	uint32_t version, flags;
	uint8_t preempted;
} steal(void)
{
	struct steal page;

	guest_read(&vm.memory, gpa(PAGE), &page, sizeof page);
	return page;
}

static void others_time_is_stolen(void **state)
{
	(void)state;
	assert_true(write_msr(MSR_KVM_STEAL_TIME, PAGE | 1));
	assert_int_equal(steal().version, 2);
	guest_steal_leave(&vcpu, 1000);
	assert_int_equal(steal().preempted, 1);
	guest_steal_return(&vcpu, 6000);
	assert_int_equal(steal().preempted, 0);
	assert_int_equal(steal().ns, 5000);
	assert_int_equal(steal().version, 4);
	assert_int_equal(fake_virt.flushes, 0);
}

static void to_be_halted_is_no_theft(void **state)
{
	(void)state;
	assert_true(write_msr(MSR_KVM_STEAL_TIME, PAGE | 1));
	vcpu.state = VCPU_HALTED;
	guest_steal_leave(&vcpu, 1000);
	assert_int_equal(steal().preempted, 1);
	guest_steal_wait(&vcpu, 4000); /* it wakes up, and another runs */
	guest_steal_return(&vcpu, 6000);
	assert_int_equal(steal().ns, 2000);
}

static void a_flush_is_done_before_it_runs(void **state)
{
	(void)state;
	assert_true(write_msr(MSR_KVM_STEAL_TIME, PAGE | 1));
	guest_steal_leave(&vcpu, 1000);
	set_byte(PAGE + 16, 1 | FLUSH_TLB);
	guest_steal_return(&vcpu, 2000);
	assert_int_equal(fake_virt.flushes, 1);
	assert_int_equal(steal().preempted, 0);
	/* What it wrote while it ran is no request. */
	set_byte(PAGE + 16, FLUSH_TLB);
	guest_steal_return(&vcpu, 3000);
	assert_int_equal(fake_virt.flushes, 1);
}

static void a_parked_vcpus_memory_is_left_alone(void **state)
{
	(void)state;
	assert_true(write_msr(MSR_KVM_STEAL_TIME, PAGE | 1));
	vcpu.state = VCPU_PARKED;
	guest_steal_leave(&vcpu, 1000);
	assert_int_equal(steal().preempted, 0);
}

static void stolen_time_has_no_wild_address(void **state)
{
	(void)state;
	refuses_wild(MSR_KVM_STEAL_TIME, RAM_BYTES - 64);
	assert_false(write_msr(MSR_KVM_STEAL_TIME, PAGE | 0x21));
	assert_true(write_msr(MSR_KVM_STEAL_TIME, PAGE | 1));
	vm.memory.region_count = 0;
	guest_steal_leave(&vcpu, 1000);
	assert_int_equal(vcpu.steal.msr, 0);
	guest_steal_return(&vcpu, 2000);
	vm.kvm_features = 0;
	assert_false(write_msr(MSR_KVM_STEAL_TIME, PAGE | 1));
}

/* ---- hypercalls ----------------------------------------------------------- */

static int64_t call(uint64_t number, uint64_t a0, uint64_t a1, uint64_t a2,
		    uint64_t a3)
{
	const struct vm_exit exit = { .kind = EXIT_HYPERCALL, .length = 3 };

	vcpu.gpr[RAX] = number;
	vcpu.gpr[RBX] = a0;
	vcpu.gpr[RCX] = a1;
	vcpu.gpr[RDX] = a2;
	vcpu.gpr[RSI] = a3;
	exit_handle(&vcpu, &exit);
	return (int64_t)vcpu.gpr[RAX];
}

static int64_t send(uint64_t low, uint64_t high, uint64_t first, uint64_t icr)
{
	return call(KVM_CALL_SEND_IPI, low, high, first, icr);
}

static void an_ipi_goes_to_a_set(void **state)
{
	(void)state;
	set_code_64();
	assert_int_equal(send(3, 0, 0, 0x60), 2);
	assert_int_equal(local_apic_pending(&vcpu.apic), 0x60);
	assert_int_equal(local_apic_pending(&other.apic), 0x60);
	assert_int_equal(fake_kicks[1], 1);
	assert_int_equal(send(1, 0, 1, 0x70), 1);
	assert_int_equal(local_apic_pending(&other.apic), 0x70);
	assert_int_equal(local_apic_pending(&vcpu.apic), 0x60);
	assert_int_equal(send(2, 0, 0, ICR_NMI), 1);
	assert_int_equal(other.requests, VCPU_NMI);
}

static void wild_sets_reach_nobody(void **state)
{
	(void)state;
	set_code_64();
	assert_int_equal(send(~0ull, ~0ull, 0, 0x60), 2);
	assert_int_equal(send(~0ull, ~0ull, 1, 0x60), 1);
	assert_int_equal(send(~0ull, ~0ull, 2, 0x60), -22);
	assert_int_equal(send(~0ull, ~0ull, ~0ull, 0x60), -22);
	assert_int_equal(send(~0ull, ~0ull, ~0ull - 63, 0x60), -22);
	assert_int_equal(send(0, ~0ull, 0, 0x60), 0);
	assert_int_equal(send(1ull << 63, 0, 0, 0x60), 0);
	/* INIT, SIPI, logical, a shorthand, an illegal vector, rubbish */
	assert_int_equal(send(3, 0, 0, 0x500), -22);
	assert_int_equal(send(3, 0, 0, 0x608), -22);
	assert_int_equal(send(3, 0, 0, 0x860), -22);
	assert_int_equal(send(3, 0, 0, 0x80060), -22);
	assert_int_equal(send(3, 0, 0, 15), -22);
	assert_int_equal(send(3, 0, 0, 1ull << 40 | 0x60), -22);
}

/* Two words of 32 bits, whatever the registers hold above. */
static void of_32_bit_code_half_the_registers_count(void **state)
{
	const uint64_t rubbish = 0xffffffff00000000;

	(void)state;
	assert_int_equal(send(rubbish | 2, rubbish, rubbish, rubbish | 0x60),
			 1);
	assert_int_equal(local_apic_pending(&other.apic), 0x60);
	assert_int_equal(local_apic_pending(&vcpu.apic), -1);
}

static void an_apic_that_is_off_takes_none(void **state)
{
	(void)state;
	set_code_64();
	other.apic.base &= ~BIT(11);
	assert_int_equal(send(3, 0, 0, 0x60), 1);
}

static void a_kick_ends_a_halt(void **state)
{
	(void)state;
	other.state = VCPU_HALTED;
	other.rflags = 0;
	assert_int_equal(call(KVM_CALL_KICK_CPU, 0, 1, 0, 0), 0);
	assert_int_equal(fake_kicks[1], 1);
	vcpu_obey(&other);
	assert_true(vcpu_wakes(&other));
	assert_int_equal(call(KVM_CALL_KICK_CPU, 0, 2, 0, 0), 0);
	assert_int_equal(call(KVM_CALL_KICK_CPU, 0, ~0ull, 0, 0), 0);
}

/* Who halts with interrupts off, and was kicked before, is not lost. */
static void a_kick_before_the_halt_counts(void **state)
{
	const struct vm_exit halt = { .kind = EXIT_HALT, .length = 1 };

	(void)state;
	vcpu.rflags = 0;
	other.stuck = true;
	vcpu_request(&vcpu, VCPU_UNHALT);
	vcpu_obey(&vcpu);
	exit_handle(&vcpu, &halt);
	assert_int_equal(ends, 0);
	assert_true(vcpu_wakes(&vcpu));
	vcpu.unhalted = false;
	exit_handle(&vcpu, &halt);
	assert_int_equal(ends, 1);
}

static void a_slot_goes_to_who_is_on_this_cpu(void **state)
{
	(void)state;
	call(KVM_CALL_SCHED_YIELD, 1, 0, 0, 0);
	assert_false(vcpu.yields); /* it has another CPU */
	call(KVM_CALL_SCHED_YIELD, 0, 0, 0, 0);
	assert_false(vcpu.yields);
	call(KVM_CALL_SCHED_YIELD, ~0ull, 0, 0, 0);
	assert_false(vcpu.yields);
	other.cpu = vcpu.cpu;
	call(KVM_CALL_SCHED_YIELD, 1, 0, 0, 0);
	assert_true(vcpu.yields);
}

static void what_is_not_offered_is_not_there(void **state)
{
	(void)state;
	set_code_64();
	other.cpu = vcpu.cpu;
	for (uint64_t number = 0; number < 0x20; number++) {
		vm.kvm_features = ~(uint32_t)ALL_FEATURES;
		assert_int_equal(call(number, 3, 3, 0, 0x60), -1000);
	}
	fake_virt.system.cpl = 3;
	vm.kvm_features = ALL_FEATURES;
	assert_int_equal(send(3, 0, 0, 0x60), -1);
	assert_int_equal(local_apic_pending(&other.apic), -1);
	assert_int_equal(other.requests, 0);
	assert_false(vcpu.yields);
}

static void a_start_forgets_it_all(void **state)
{
	(void)state;
	assert_true(write_msr(MSR_KVM_STEAL_TIME, PAGE | 1));
	assert_true(write_msr(MSR_KVM_PV_EOI, (PAGE + 64) | 1));
	vcpu.clock.msr = PAGE | 1;
	vcpu.unhalted = true;
	vcpu_request(&vcpu, VCPU_INIT);
	vcpu_obey(&vcpu);
	assert_int_equal(vcpu.state, VCPU_WAITING);
	assert_int_equal(vcpu.steal.msr | vcpu.eoi.msr | vcpu.clock.msr, 0);
	assert_false(vcpu.unhalted);
}

#undef TEST
#define TEST(name) cmocka_unit_test_setup(name, offered)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_interrupt_is_ended_in_memory),
		TEST(one_that_waits_needs_an_exit),
		TEST(a_nested_one_is_not_offered),
		TEST(a_level_is_not_offered),
		TEST(a_guest_may_ignore_the_offer),
		TEST(a_halted_vcpu_has_ended_its_interrupt),
		TEST(the_registers_show_what_was_done),
		TEST(where_the_processor_delivers_nothing_is_offered),
		TEST(ends_have_no_wild_address),
		TEST(memory_that_goes_switches_it_off),
		TEST(others_time_is_stolen),
		TEST(to_be_halted_is_no_theft),
		TEST(a_flush_is_done_before_it_runs),
		TEST(a_parked_vcpus_memory_is_left_alone),
		TEST(stolen_time_has_no_wild_address),
		TEST(an_ipi_goes_to_a_set),
		TEST(wild_sets_reach_nobody),
		TEST(of_32_bit_code_half_the_registers_count),
		TEST(an_apic_that_is_off_takes_none),
		TEST(a_kick_ends_a_halt),
		TEST(a_kick_before_the_halt_counts),
		TEST(a_slot_goes_to_who_is_on_this_cpu),
		TEST(what_is_not_offered_is_not_there),
		TEST(a_start_forgets_it_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
