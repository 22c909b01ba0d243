/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arch/fake/fake.h>
#include <cmocka.h>
#include <mullion/vm.h>
#include <string.h>

#define VCPUS 4
#define NONE (-1)

static struct vm vm;
static struct vcpu vcpus[VCPUS];
static uint32_t kicks[VCPUS], requested[VCPUS];
static bool busy; /* kicked vCPUs do not look yet */

void vcpu_kick(struct vcpu *vcpu)
{
	/* What it is kicked for must be there already. */
	if (!busy)
		assert_int_not_equal(local_apic_pending(&vcpu->apic), NONE);
	kicks[vcpu->index]++;
}

void vcpu_request(struct vcpu *vcpu, enum vcpu_request request)
{
	if (request == VCPU_STARTUP)
		assert_int_equal(vcpu->startup_vector, 0x9a);
	requested[vcpu->index] |= request;
}

static int fresh(void **state)
{
	(void)state;
	memset(&vm, 0, sizeof vm);
	memset(vcpus, 0, sizeof vcpus);
	memset(kicks, 0, sizeof kicks);
	memset(requested, 0, sizeof requested);
	busy = false;
	vm.vcpu_count = VCPUS;
	for (uint32_t i = 0; i < VCPUS; i++) {
		vcpus[i].vm = &vm;
		vcpus[i].index = i;
		vm.vcpus[i] = &vcpus[i];
		local_apic_reset(&vcpus[i]);
		local_apic_mmio_write(&vcpus[i], 0xf0, 4, 0x1ff);
		local_apic_mmio_write(&vcpus[i], 0xd0, 4, 1u << (24 + i));
	}
	return 0;
}

static bool send(uint8_t delivery, uint32_t destination, bool logical,
		 uint8_t vector)
{
	struct apic_message message = { .destination = destination,
					.vector = vector,
					.delivery = delivery,
					.logical = logical };

	return vm_interrupt(&vm, &message);
}

/* The vCPUs that were kicked, a bit each, each once; and forgets it. */
static uint32_t kicked(void)
{
	uint32_t set = 0;

	for (uint32_t i = 0; i < VCPUS; i++) {
		assert_true(kicks[i] <= 1);
		set |= kicks[i] << i;
		kicks[i] = 0;
	}
	return set;
}

static void a_message_reaches_its_vcpu(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < VCPUS; i++) {
		assert_true(send(APIC_FIXED, i, false, 0x41));
		assert_int_equal(kicked(), 1u << i);
		assert_int_equal(local_apic_pending(&vcpus[i].apic), 0x41);
	}
	assert_false(send(APIC_FIXED, VCPUS, false, 0x42));
	assert_false(send(APIC_FIXED, 0xfe, false, 0x42));
	assert_int_equal(kicked(), 0);
}

static void one_kick_is_enough_until_it_is_looked_after(void **state)
{
	(void)state;
	busy = true;
	assert_true(send(APIC_FIXED, 1, false, 0x41));
	assert_int_equal(kicked(), 2);
	assert_true(send(APIC_FIXED, 1, false, 0x41));
	assert_true(send(APIC_FIXED, 1, false, 0x92));
	assert_int_equal(kicked(), 0);
	assert_int_equal(local_apic_pending(&vcpus[1].apic), 0x92);
	local_apic_accept(&vcpus[1].apic, 0x92);
	/* 0x41 is requested already, but not posted. */
	assert_true(send(APIC_FIXED, 1, false, 0x41));
	assert_int_equal(kicked(), 2);
	local_apic_mmio_write(&vcpus[1], 0xf0, 4, 0xff); /* switched off */
	local_apic_take_posted(&vcpus[1].apic);
	assert_true(send(APIC_FIXED, 1, false, 0x41));
	assert_int_equal(kicked(), 0);
}

static void a_broadcast_reaches_all(void **state)
{
	(void)state;
	assert_true(send(APIC_FIXED, 0xff, false, 0x41));
	assert_int_equal(kicked(), 0xf);
}

static void a_logical_message_reaches_its_set(void **state)
{
	(void)state;
	assert_true(send(APIC_FIXED, 0xa, true, 0x41));
	assert_int_equal(kicked(), 0xa);
	assert_false(send(APIC_FIXED, 0x50, true, 0x41));
	assert_int_equal(kicked(), 0);
	/* A small logical number is a set, not a vCPU. */
	assert_true(send(APIC_FIXED, 1, true, 0x41));
	assert_int_equal(kicked(), 1);
}

static void the_lowest_priority_vcpu_is_chosen(void **state)
{
	(void)state;
	local_apic_set_cr8(&vcpus[0].apic, 3);
	local_apic_set_cr8(&vcpus[1].apic, 2);
	local_apic_set_cr8(&vcpus[2].apic, 2);
	assert_true(send(APIC_LOWEST, 0x7, true, 0x41));
	assert_int_equal(kicked(), 2); /* the first of two equal ones */
	local_apic_accept(&vcpus[1].apic, 0x41); /* now it is busy */
	assert_true(send(APIC_LOWEST, 0x7, true, 0x41));
	assert_int_equal(kicked(), 4);
	assert_true(send(APIC_LOWEST, 0xff, false, 0x41));
	assert_int_equal(kicked(), 8);
	assert_false(send(APIC_LOWEST, 0x70, true, 0x41));
	assert_int_equal(kicked(), 0);
}

static void requests_go_to_the_vcpu(void **state)
{
	(void)state;
	assert_true(send(APIC_NMI, 1, false, 2));
	assert_true(send(APIC_INIT, 2, false, 0));
	assert_true(send(APIC_STARTUP, 3, false, 0x9a));
	assert_int_equal(requested[0], 0);
	assert_int_equal(requested[1], VCPU_NMI);
	assert_int_equal(requested[2], VCPU_INIT);
	assert_int_equal(requested[3], VCPU_STARTUP);
	assert_int_equal(kicked(), 0);
}

static void what_is_illegal_is_dropped(void **state)
{
	(void)state;
	for (uint8_t vector = 0; vector < 16; vector++) {
		assert_false(send(APIC_FIXED, 0, false, vector));
		assert_false(send(APIC_LOWEST, 0, false, vector));
	}
	assert_false(send(APIC_SMI, 0, false, 0x41));
	assert_false(send(3, 0, false, 0x41));
	assert_false(send(APIC_EXTINT, 0, false, 0x41));
	for (int delivery = 8; delivery < 256; delivery++)
		assert_false(send((uint8_t)delivery, 0, false, 0x41));
	assert_int_equal(kicked(), 0);
	assert_int_equal(requested[0], 0);
	assert_int_equal(local_apic_pending(&vcpus[0].apic), NONE);
	assert_true(send(APIC_FIXED, 0, false, 16));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup(name, fresh)
		TEST(a_message_reaches_its_vcpu),
		TEST(one_kick_is_enough_until_it_is_looked_after),
		TEST(a_broadcast_reaches_all),
		TEST(a_logical_message_reaches_its_set),
		TEST(the_lowest_priority_vcpu_is_chosen),
		TEST(requests_go_to_the_vcpu),
		TEST(what_is_illegal_is_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
