/* SPDX-License-Identifier: MIT */
#include "local_apic_fixture.h"

/* ---- the command register ----------------------------------------------- */

static void an_ipi_reaches_whom_it_names(void **state)
{
	(void)state;
	write_at(0x310, 2 << 24);
	write_at(0x300, 0xf1);
	assert_int_equal(local_apic_pending(&vcpus[2].apic), 0xf1);
	assert_int_equal(kicks[2], 1);
	assert_int_equal(kicks[0] + kicks[1], 0);
	assert_int_equal(local_apic_pending(&vcpus[1].apic), NONE);
	assert_int_equal(read_at(0x300), 0xf1);
	assert_false(kicked_locked);
	write_at(0x310, 77 << 24);   /* nobody */
	write_at(0x300, 0xfff310f2); /* delivery status and what is reserved */
	assert_int_equal(read_at(0x300), 0xf2);
	write_at(0x300, 0xf2);
	assert_int_equal(kicks[0] + kicks[1] + kicks[2], 1);
}

static void shorthands_need_no_destination(void **state)
{
	static const struct {
		uint32_t shorthand;
		int pending[VCPUS];
	} cases[] = {
		{ 0x40000, { 0x51, NONE, NONE } },
		{ 0x80000, { 0x51, 0x51, 0x51 } },
		{ 0xc0000, { NONE, 0x51, 0x51 } },
	};

	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		fresh(state);
		write_at(0x310, 1 << 24);
		write_at(0x300, cases[i].shorthand | 0x51);
		for (int v = 0; v < VCPUS; v++)
			assert_int_equal(local_apic_pending(&vcpus[v].apic),
					 cases[i].pending[v]);
	}
}

static void init_and_startup_become_requests(void **state)
{
	(void)state;
	write_at(0x310, 1 << 24);
	write_at(0x300, 0x8500); /* INIT, level, de-assert */
	assert_int_equal(requested[1], 0);
	write_at(0x300, 0xc500);
	assert_int_equal(requested[1], VCPU_INIT);
	write_at(0x300, 0x69a);
	assert_int_equal(requested[1], VCPU_INIT | VCPU_STARTUP);
	assert_int_equal(vcpus[1].startup_vector, 0x9a);
	write_at(0x300, 0xc0400); /* NMI to the others; its vector is nothing */
	assert_int_equal(requested[0], 0);
	assert_int_equal(requested[2], VCPU_NMI);
	requested[1] = 0;
	write_at(0x300, 0x500); /* an edge: there is no de-assert */
	assert_int_equal(requested[1], VCPU_INIT);
	write_at(0x280, 0);
	assert_int_equal(read_at(0x280), 0);
}

static void smi_and_extint_are_dropped(void **state)
{
	(void)state;
	write_at(0x310, 1 << 24);
	write_at(0x300, 0x241);
	write_at(0x300, 0x341);
	write_at(0x300, 0x741);
	assert_int_equal(requested[1] + kicks[1], 0);
}

static void other_trigger_modes_than_inits_are_ignored(void **state)
{
	(void)state;
	write_at(0x310, 1 << 24);
	write_at(0x300, 0xc041); /* level */
	assert_int_equal(local_apic_pending(&vcpus[1].apic), 0x41);
	assert_int_equal(local_apic_mmio_read(&vcpus[1], 0x1a0, 4), 0);
}

/* ---- destinations ------------------------------------------------------- */

static bool is_for(uint32_t vcpu, uint32_t destination, bool logical,
		   bool x2apic)
{
	struct apic_message message = { .destination = destination,
					.logical = logical,
					.x2apic = x2apic };

	return local_apic_is_destination(&vcpus[vcpu].apic, &message);
}

static void physical_destinations_are_ids(void **state)
{
	(void)state;
	assert_true(is_for(2, 2, false, false));
	assert_false(is_for(2, 1, false, false));
	assert_true(is_for(2, 0xff, false, false));
	assert_false(is_for(2, 0xff, false, true));
	assert_true(is_for(2, 0xffffffff, false, true));
	assert_false(is_for(2, 0x102, false, true));
}

static void flat_destinations_are_bit_masks(void **state)
{
	(void)state;
	write_at(0xd0, 0x05 << 24);
	assert_true(is_for(0, 0x04, true, false));
	assert_false(is_for(0, 0x0a, true, false));
	assert_true(is_for(0, 0xff, true, false));
	assert_false(is_for(0, 0x104, true, true));
	assert_false(is_for(1, 0x01, true, false)); /* LDR is 0 */
}

static void cluster_destinations_are_cluster_and_mask(void **state)
{
	(void)state;
	write_at(0xe0, 0x0fffffff);
	write_at(0xd0, 0x25 << 24);
	assert_true(is_for(0, 0x24, true, false));
	assert_false(is_for(0, 0x34, true, false));
	assert_false(is_for(0, 0x22, true, false));
	assert_true(is_for(0, 0xff, true, false));
}

static void x2apic_logical_ids_follow_from_the_id(void **state)
{
	(void)state;
	apic->id = 0x23;
	go_x2apic(2);
	assert_int_equal(read_msr(0x802), 0x23);
	assert_int_equal(read_msr(0x80d), 0x20008);
	assert_true(is_for(0, 0x2000c, true, true));
	assert_false(is_for(0, 0x10008, true, true));
	assert_false(is_for(0, 0x20004, true, true));
	assert_true(is_for(1, 2, true, false)); /* from the I/O APIC */
}

static void a_switched_off_apic_is_nobodys_destination(void **state)
{
	(void)state;
	assert_int_equal(write_msr(MSR_BASE, 0xfee00000), ERR_NONE);
	assert_false(is_for(0, 0, false, false));
	assert_false(is_for(0, 0xff, false, false));
	assert_true(local_apic_mmio_read(&vcpus[0], 0x30, 4) == ~0ull);
	local_apic_raise(apic, 0x41, false);
	assert_int_equal(local_apic_pending(apic), NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_ipi_reaches_whom_it_names),
		TEST(shorthands_need_no_destination),
		TEST(init_and_startup_become_requests),
		TEST(smi_and_extint_are_dropped),
		TEST(other_trigger_modes_than_inits_are_ignored),
		TEST(physical_destinations_are_ids),
		TEST(flat_destinations_are_bit_masks),
		TEST(cluster_destinations_are_cluster_and_mask),
		TEST(x2apic_logical_ids_follow_from_the_id),
		TEST(a_switched_off_apic_is_nobodys_destination),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
