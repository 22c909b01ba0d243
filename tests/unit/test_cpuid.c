/* SPDX-License-Identifier: MIT */
#include "guest_fixture.h"

#include <mullion/guest.h>

enum { EAX, EBX, ECX, EDX };

static uint32_t highest, highest_extended;

/* A machine that has everything: ones wherever something can be. */
static void all_ones(uint32_t leaf, uint32_t subleaf, uint32_t r[4])
{
	(void)subleaf;
	for (int i = 0; i < 4; i++)
		r[i] = ~0u;
	if (leaf == 0)
		r[EAX] = highest;
	if (leaf == 0x80000000)
		r[EAX] = highest_extended;
	if (leaf == 0x80000008)
		r[EAX] = 0xff003028;
}

/* One that has nothing at all, but says so of each leaf. */
static void all_zeros(uint32_t leaf, uint32_t subleaf, uint32_t r[4])
{
	(void)subleaf;
	if (leaf == 0 || leaf == 0x80000000)
		r[EAX] = leaf + 0x20;
}

static int on_a_rich_machine(void **state)
{
	fresh(state);
	fake_cpuid = all_ones;
	highest = 0x20;
	highest_extended = 0x80000021;
	cpuid_start();
	fake_virt.system_reads = 0;
	return 0;
}

static const uint32_t *ask(uint32_t leaf, uint32_t subleaf)
{
	static uint32_t r[4];

	memset(r, 0xcc, sizeof r);
	guest_cpuid(&vcpu, leaf, subleaf, r);
	return r;
}

static void assert_zeros(uint32_t leaf, uint32_t subleaf)
{
	const uint32_t *r = ask(leaf, subleaf);

	if (r[EAX] | r[EBX] | r[ECX] | r[EDX])
		fail_msg("leaf 0x%x.%u is not zero", leaf, subleaf);
}

static void what_is_not_in_the_table_is_zero(void **state)
{
	(void)state;
	for (uint32_t leaf = 0; leaf < 0x100; leaf++)
		if (leaf != 0 && leaf != 1 && leaf != 2 && leaf != 4 &&
		    leaf != 6 && leaf != 7 && leaf != 0xb && leaf != 0xd)
			assert_zeros(leaf, 0);
	for (uint32_t leaf = 0x80000009; leaf < 0x80000100; leaf++)
		assert_zeros(leaf, 0);
	for (uint32_t i = 1; i < 32; i++)
		assert_zeros(0x3fffffff, i);
	assert_zeros(0x40010000, 0);
	assert_zeros(0xffffffff, 0xffffffff);
	for (uint32_t i = 4; i < 100; i++)
		assert_zeros(4, i);
	for (uint32_t i = 1; i < 100; i++)
		assert_zeros(7, i);
	/* XSAVE states beyond AVX-512: protection keys, CET, AMX ... */
	assert_zeros(0xd, 3);
	assert_zeros(0xd, 4);
	for (uint32_t i = 8; i < 64; i++)
		assert_zeros(0xd, i);
}

static void the_highest_leaves_are_named(void **state)
{
	(void)state;
	assert_int_equal(ask(0, 0)[EAX], 0xd);
	assert_int_equal(ask(0x80000000, 0)[EAX], 0x80000008);
	highest_extended = 0x80000004;
	cpuid_start();
	assert_int_equal(ask(0x80000000, 0)[EAX], 0x80000004);
}

/* Powerful features that guests must not use, or not yet. */
static void what_is_the_hypervisors_is_hidden(void **state)
{
	(void)state;
	/* MONITOR, VMX, SMX, PDCM */
	assert_int_equal(ask(1, 0)[ECX] & (BIT(3) | BIT(5) | BIT(6) | BIT(15)),
			 0);
	/* MCE, MCA, VME */
	assert_int_equal(ask(1, 0)[EDX] & (BIT(7) | BIT(14) | BIT(1)), 0);
	/* SGX, TSX, MPX, PT, TSC_ADJUST */
	assert_int_equal(ask(7, 0)[EBX] & (BIT(2) | BIT(4) | BIT(11) | BIT(14) |
					   BIT(25) | BIT(1)),
			 0);
	/* PKU, LA57, RDPID, CET */
	assert_int_equal(ask(7, 0)[ECX] & (BIT(3) | BIT(16) | BIT(22) | BIT(7)),
			 0);
	assert_int_equal(ask(7, 0)[EDX] & BITS(26, 24), 0); /* AMX */
	/* MD_CLEAR, but no IBRS, L1D_FLUSH, ARCH_CAPABILITIES */
	assert_int_equal(ask(7, 0)[EDX] & (BIT(10) | BITS(31, 26)), BIT(10));
	/* SVM; RDTSCP */
	assert_int_equal(ask(0x80000001, 0)[ECX] & BIT(2), 0);
	assert_int_equal(ask(0x80000001, 0)[EDX] & BIT(27), 0);
	assert_int_equal(ask(0xd, 0)[EAX], 0xe7);	/* no PKRU, no AMX */
	assert_int_equal(ask(0xd, 1)[EAX] & BIT(3), 0); /* no XSAVES */
	assert_int_equal(ask(0x80000007, 0)[EDX], BIT(8));
}

static void every_guest_sees_a_hypervisor_with_x2apic(void **state)
{
	(void)state;
	fake_cpuid = all_zeros;
	cpuid_start();
	assert_int_equal(ask(1, 0)[ECX], BIT(31) | BIT(24) | BIT(21));
	vm.gives_apics = fake_apic_without_deadline = true;
	assert_int_equal(ask(1, 0)[ECX], BIT(31) | BIT(21));
	vm.gives_apics = fake_apic_without_deadline = false;
}

/* Else Linux ticks for ever. */
static void the_timer_never_stops(void **state)
{
	const uint32_t *r = ask(6, 0);

	(void)state;
	assert_int_equal(r[EAX], BIT(2));
	assert_int_equal(r[EBX] | r[ECX] | r[EDX], 0);
}

static void the_vcpu_knows_itself(void **state)
{
	uint32_t first[4];

	(void)state;
	memcpy(first, ask(1, 0), sizeof first);
	assert_int_equal(first[EBX], 2 << 16 | 0xff00);
	assert_true(first[EDX] & BIT(28)); /* HTT */
	vcpu.index = 1;
	assert_int_equal(ask(1, 0)[EBX], 1 << 24 | 2 << 16 | 0xff00);
	assert_int_equal(ask(0xb, 0)[EDX], 1);
	assert_int_equal(ask(0xb, 1)[EDX], 1);
	vm.vcpu_count = 1;
	assert_false(ask(1, 0)[EDX] & BIT(28));
	assert_int_equal(ask(0x80000001, 0)[ECX] & BIT(1), 0);
}

static void cores_are_counted(void **state)
{
	static const struct {
		uint32_t count, bits;
	} rows[] = { { 1, 0 }, { 2, 1 },  { 3, 2 }, { 4, 2 },
		     { 5, 3 }, { 63, 6 }, { 64, 6 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		const uint32_t *r;

		vm.vcpu_count = rows[i].count;
		r = ask(0xb, 0);
		assert_int_equal(r[EAX], 0);
		assert_int_equal(r[EBX], 1);
		assert_int_equal(r[ECX], 1 << 8);
		r = ask(0xb, 1);
		assert_int_equal(r[EAX], rows[i].bits);
		assert_int_equal(r[EBX], rows[i].count);
		assert_int_equal(r[ECX], 2 << 8 | 1);
		r = ask(0xb, 2);
		assert_int_equal(r[EAX] | r[EBX], 0);
		assert_int_equal(r[ECX], 2);
		assert_int_equal(ask(4, 0)[EAX] >> 26, rows[i].count - 1);
		assert_int_equal(ask(4, 0)[EAX] >> 14 & 0xfff, 0);
		assert_int_equal(ask(0x80000008, 0)[ECX], rows[i].count - 1);
	}
}

static void flags_follow_the_guests_own_state(void **state)
{
	(void)state;
	assert_false(ask(1, 0)[ECX] & BIT(27));
	fake_virt.system.cr4 = BIT(18);
	assert_true(ask(1, 0)[ECX] & BIT(27)); /* OSXSAVE */
	assert_true(ask(1, 0)[EDX] & BIT(9));
	vcpu.apic.base &= ~BIT(11);
	assert_false(ask(1, 0)[EDX] & BIT(9)); /* APIC */
}

static void the_area_for_xsave_is_as_large_as_xcr0_says(void **state)
{
	(void)state;
	assert_int_equal(ask(0xd, 0)[EBX], 0xffffffff);
	fake_cpuid = all_zeros; /* as it is now, not as it was at start */
	assert_int_equal(ask(0xd, 0)[EBX], 0);
	assert_int_equal(ask(0xd, 0)[EAX], 0xe7);
}

/* Leaf 0xd of a processor with AVX and AVX-512, whose XCR0 now has what makes
 * the standard format @standard_size bytes long. */
static uint32_t standard_size;

static void with_avx512(uint32_t leaf, uint32_t subleaf, uint32_t r[4])
{
	static const struct {
		uint32_t size, offset, flags;
	} components[] = {
		[2] = { 256, 576, 0 },
		[5] = { 64, 1088, 0 },
		[6] = { 500, 1152, 0 },
		[7] = { 1000, 1664, BIT(1) },
	};

	all_zeros(leaf, subleaf, r);
	if (leaf != 0xd)
		return;
	if (subleaf < 2) {
		r[EAX] = 0xe7;
		r[EBX] = standard_size;
	} else if (subleaf < ARRAY_COUNT(components)) {
		r[EAX] = components[subleaf].size;
		r[EBX] = components[subleaf].offset;
		r[ECX] = components[subleaf].flags;
	}
}

static void the_compacted_area_has_no_gaps(void **state)
{
	(void)state;
	fake_cpuid = with_avx512;
	cpuid_start();
	standard_size = 576; /* x87 and SSE */
	assert_int_equal(ask(0xd, 1)[EBX], 576);
	standard_size = 832; /* AVX */
	assert_int_equal(ask(0xd, 1)[EBX], 832);
	standard_size = 2664; /* AVX-512: the last one is aligned to 64 */
	assert_int_equal(ask(0xd, 0)[EBX], 2664);
	assert_int_equal(ask(0xd, 1)[EBX], 832 + 64 + 512 + 1000);
}

static void addresses_are_as_wide_as_the_machines(void **state)
{
	(void)state;
	assert_int_equal(guest_physical_bits(), 0x28);
	assert_int_equal(ask(0x80000008, 0)[EAX], 0x3028);
}

static void kvm_and_mullion_sign(void **state)
{
	const uint32_t *r = ask(MULL_CPUID_KVM, 0);

	(void)state;
	assert_int_equal(r[EAX], MULL_CPUID_KVM + 1);
	assert_memory_equal(&r[EBX], "KVMKVMKVM\0\0\0", 12);
	vm.kvm_features = 0x1000fab;
	vm.kvm_hints = 1;
	r = ask(MULL_CPUID_KVM + 1, 0);
	assert_int_equal(r[EAX], 0x1000fab);
	assert_int_equal(r[EBX] | r[ECX], 0);
	assert_int_equal(r[EDX], 1);
	r = ask(MULL_CPUID_MULLION, 0);
	assert_int_equal(r[EAX], MULL_CPUID_VERSION);
	assert_memory_equal(&r[EBX], "MullionMull\0", 12);
	assert_int_equal(ask(MULL_CPUID_VERSION, 0)[EAX], MULL_GUEST_ABI);
	for (uint32_t leaf = MULL_CPUID_KVM + 2; leaf < MULL_CPUID_MULLION;
	     leaf++)
		assert_zeros(leaf, 0);
	assert_zeros(MULL_CPUID_VERSION + 1, 0);
}

/* On VT-x that is dear: only leaf 1 shows a flag of CR4. */
static void most_leaves_need_no_system_state(void **state)
{
	(void)state;
	for (uint32_t leaf = 2; leaf < 0x20; leaf++)
		ask(leaf, 0);
	ask(MULL_CPUID_KVM, 0);
	assert_int_equal(fake_virt.system_reads, 0);
}

#undef TEST
#define TEST(name) cmocka_unit_test_setup(name, on_a_rich_machine)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_not_in_the_table_is_zero),
		TEST(the_highest_leaves_are_named),
		TEST(what_is_the_hypervisors_is_hidden),
		TEST(every_guest_sees_a_hypervisor_with_x2apic),
		TEST(the_timer_never_stops),
		TEST(the_vcpu_knows_itself),
		TEST(cores_are_counted),
		TEST(flags_follow_the_guests_own_state),
		TEST(the_area_for_xsave_is_as_large_as_xcr0_says),
		TEST(the_compacted_area_has_no_gaps),
		TEST(addresses_are_as_wide_as_the_machines),
		TEST(kvm_and_mullion_sign),
		TEST(most_leaves_need_no_system_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
