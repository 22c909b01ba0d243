/* SPDX-License-Identifier: MIT */
/* Local APICs of the CPUs' own, in the hands of their guests. */
#include "local_apic_fixture.h"
#include <mullion/fast_exit.h>

#define SVR 0x80f
#define ICR 0x830
#define MSR_DEADLINE 0x6e0

static int given(void **state)
{
	fresh(state);
	memset(fake_apic_sent, 0, sizeof fake_apic_sent);
	vm.gives_apics = true;
	for (uint32_t i = 0; i < VCPUS; i++) {
		vcpus[i].cpu = i + 5;
		local_apic_reset(&vcpus[i]);
		assert_int_equal(local_apic_msr_write(&vcpus[i], SVR, 0x1ff),
				 ERR_NONE);
	}
	return 0;
}

static bool nothing_is_posted(void)
{
	return !atomic_load(&apic->posted.words);
}

static void it_begins_in_x2apic_mode(void **state)
{
	(void)state;
	assert_true(fake_apic_given);
	assert_int_equal(read_msr(MSR_BASE), X2APIC | 0x100);
	assert_int_equal(read_msr(0x802), 0);
	assert_int_equal(read_msr(0x80d), 1);
}

static void an_interrupt_is_sent_as_the_guest_sees_it(void **state)
{
	(void)state;
	assert_false(local_apic_raise(apic, 0x51, false)); /* no kick */
	assert_int_equal(fake_apic_sent[0x51], 1);
	assert_true(nothing_is_posted());
	/* To another vCPU, by the command register. */
	write_msr(ICR, 1ull << 32 | 0x4052);
	assert_int_equal(fake_apic_sent[0x52], 1);
	assert_int_equal(kicks[1], 0);
}

static void there_is_a_deadline_where_the_cpu_has_one(void **state)
{
	uint64_t value;

	(void)state;
	assert_true(local_apic_has_deadline(&vm));
	assert_int_equal(read_msr(MSR_DEADLINE), 0);
	fake_apic_without_deadline = true;
	assert_false(local_apic_has_deadline(&vm));
	assert_int_equal(local_apic_msr_read(vcpus, MSR_DEADLINE, &value),
			 ERR_BAD_REQUEST);
	assert_int_equal(local_apic_msr_write(vcpus, MSR_DEADLINE, 1),
			 ERR_BAD_REQUEST);
	vm.gives_apics = false; /* the emulated one has it */
	assert_true(local_apic_has_deadline(&vm));
	assert_int_equal(read_msr(MSR_DEADLINE), 0);
	fake_apic_without_deadline = false;
}

static void spurious_interrupts_have_the_guests_vector(void **state)
{
	(void)state;
	write_msr(SVR, 0x1ef);
	assert_int_equal(fake_apic_spurious, 0xef);
	write_msr(SVR, 0x0e1); /* switched off by software */
	assert_int_equal(fake_apic_spurious, 0xe1);
}

/* An APIC that has just been taken back would take them as exceptions. */
static void vectors_of_exceptions_go_by_its_own_cpu(void **state)
{
	(void)state;
	assert_true(local_apic_raise(apic, 0x12, false));
	assert_int_equal(fake_apic_sent[0x12], 0);
	local_apic_pass_posted(apic);
	assert_int_equal(fake_apic_sent[0x12], 1);
	assert_true(nothing_is_posted());
	local_apic_pass_posted(apic);
	assert_int_equal(fake_apic_sent[0x12], 1);
}

static void illegal_vectors_and_a_sleeping_apic_take_nothing(void **state)
{
	(void)state;
	assert_false(local_apic_raise(apic, 0xf, false));
	assert_int_equal(fake_apic_sent[0xf], 0);
	write_msr(SVR, 0xff);
	assert_false(local_apic_raise(apic, 0x51, false));
	assert_int_equal(fake_apic_sent[0x51], 0);
	assert_true(nothing_is_posted());
}

static void nmi_init_and_sipi_are_requests_as_ever(void **state)
{
	(void)state;
	write_msr(ICR, 1ull << 32 | 0x4400);
	assert_int_equal(requested[1], VCPU_NMI);
	write_msr(ICR, 1ull << 32 | 0x4500);
	write_msr(ICR, 1ull << 32 | 0x4608);
	assert_int_equal(requested[1], VCPU_NMI | VCPU_INIT | VCPU_STARTUP);
	for (int i = 0; i < 256; i++)
		assert_int_equal(fake_apic_sent[i], 0);
}

static void an_init_empties_it(void **state)
{
	(void)state;
	fake_apic_given = false;
	local_apic_init(&vcpus[0]);
	assert_true(fake_apic_given);
	assert_true(local_apic_in_x2apic(apic));
}

static void who_leaves_x2apic_has_the_emulated_one(void **state)
{
	(void)state;
	assert_int_equal(write_msr(MSR_BASE, 0xfee00000), ERR_NONE);
	assert_false(fake_apic_given);
	assert_int_equal(write_msr(MSR_BASE, ENABLED), ERR_NONE);
	write_at(0xf0, 0x1ff);
	assert_true(local_apic_raise(apic, 0x51, false));
	assert_int_equal(fake_apic_sent[0x51], 0);
	assert_int_equal(local_apic_pending(apic), 0x51);
	/* For good, until its next life. */
	assert_int_equal(write_msr(MSR_BASE, X2APIC), ERR_NONE);
	assert_false(fake_apic_given);
	local_apic_reset(&vcpus[0]);
	assert_true(fake_apic_given);
}

static void what_ends_with_its_vm_is_taken_back(void **state)
{
	(void)state;
	local_apic_take(&vcpus[0]);
	assert_false(fake_apic_given);
	assert_true(local_apic_raise(apic, 0x51, false));
	assert_int_equal(fake_apic_sent[0x51], 0);
}

/* The short path's. */
static void who_is_meant(uint32_t low, uint32_t to, int index)
{
	assert_ptr_equal(fast_apic_receiver(&vcpus[0], low, to),
			 index == NONE ? NULL : &vcpus[index].apic);
}

static void a_plain_command_has_one_receiver(void **state)
{
	(void)state;
	who_is_meant(0x4051, 1, 1);
	who_is_meant(0x51, 2, 2);
	who_is_meant(0x51, 0, NONE); /* itself */
	who_is_meant(0x51, VCPUS, NONE);
	who_is_meant(0x51, ~0u, NONE);
	who_is_meant(0x1f, 1, NONE);	/* an exception's vector */
	who_is_meant(0x4400, 1, NONE);	/* NMI */
	who_is_meant(0x851, 1, NONE);	/* logical */
	who_is_meant(0xc4051, 1, NONE); /* all others */
	who_is_meant(0x100051, 1, NONE);
	local_apic_msr_write(&vcpus[1], SVR, 0xff);
	who_is_meant(0x51, 1, NONE);
	local_apic_take(&vcpus[2]);
	who_is_meant(0x51, 2, NONE);
	local_apic_msr_write(&vcpus[1], SVR, 0x1ff);
	who_is_meant(0x51, 1, 1);
	local_apic_take(&vcpus[0]);
	who_is_meant(0x51, 1, NONE);
}

static void such_a_command_can_be_read(void **state)
{
	(void)state;
	fast_apic_commanded(&vcpus[0], 0x4053, 2);
	assert_int_equal(read_msr(ICR), 2ull << 32 | 0x4053);
	assert_int_equal(vcpus[2].apic.cpu_id, arch_apic_id(vcpus[2].cpu));
}

/* Its end would not be seen. */
static void a_level_stays_masked(void **state)
{
	(void)state;
	io_apic_write(&vm, 0, 4, 0x10 + 2 * 5);
	io_apic_write(&vm, 0x10, 4, 0x8061);
	assert_int_equal(io_apic_read(&vm, 0x10, 4), 0x18061);
	io_apic_set_line(&vm, 5, true);
	assert_int_equal(fake_apic_sent[0x61], 0);
	io_apic_set_line(&vm, 5, false);
	io_apic_write(&vm, 0x10, 4, 0x61);
	io_apic_set_line(&vm, 5, true);
	assert_int_equal(fake_apic_sent[0x61], 1);
}

#define GIVEN(name) cmocka_unit_test_setup(name, given)

int main(void)
{
	const struct CMUnitTest tests[] = {
		GIVEN(it_begins_in_x2apic_mode),
		GIVEN(an_interrupt_is_sent_as_the_guest_sees_it),
		GIVEN(there_is_a_deadline_where_the_cpu_has_one),
		GIVEN(spurious_interrupts_have_the_guests_vector),
		GIVEN(vectors_of_exceptions_go_by_its_own_cpu),
		GIVEN(illegal_vectors_and_a_sleeping_apic_take_nothing),
		GIVEN(nmi_init_and_sipi_are_requests_as_ever),
		GIVEN(an_init_empties_it),
		GIVEN(who_leaves_x2apic_has_the_emulated_one),
		GIVEN(what_ends_with_its_vm_is_taken_back),
		GIVEN(a_plain_command_has_one_receiver),
		GIVEN(such_a_command_can_be_read),
		GIVEN(a_level_stays_masked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
