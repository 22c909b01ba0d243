/* SPDX-License-Identifier: MIT */
/* Three vCPUs whose local APICs are switched on, and what is done to them. */
#ifndef LOCAL_APIC_FIXTURE_H
#define LOCAL_APIC_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arch/fake/fake.h>
#include <cmocka.h>
#include <mullion/vm.h>
#include <string.h>

#define VCPUS 3
#define ENABLED 0xfee00800ull
#define X2APIC 0xfee00c00ull
#define MASKED 0x10000u
#define MSR_BASE 0x1b
#define NONE (-1)

static struct vm vm;
static struct vcpu vcpus[VCPUS];
static struct local_apic *apic = &vcpus[0].apic;
static uint32_t kicks[VCPUS], requested[VCPUS];
static bool kicked_locked; /* the last kick came with the lock held */

void vcpu_kick(struct vcpu *vcpu)
{
	kicked_locked = atomic_flag_test_and_set(&vm.device_lock.held);
	if (!kicked_locked)
		lock_give(&vm.device_lock);
	kicks[vcpu->index]++;
}

void vcpu_request(struct vcpu *vcpu, enum vcpu_request request)
{
	requested[vcpu->index] |= request;
}

static inline void write_at(uint32_t offset, uint32_t value)
{
	local_apic_mmio_write(&vcpus[0], offset, 4, value);
}

static inline uint32_t read_at(uint32_t offset)
{
	return (uint32_t)local_apic_mmio_read(&vcpus[0], offset, 4);
}

static inline enum error write_msr(uint32_t msr, uint64_t value)
{
	return local_apic_msr_write(&vcpus[0], msr, value);
}

static inline uint64_t read_msr(uint32_t msr)
{
	uint64_t value = 0;

	assert_int_equal(local_apic_msr_read(&vcpus[0], msr, &value), ERR_NONE);
	return value;
}

static inline void go_x2apic(uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		assert_int_equal(
			local_apic_msr_write(&vcpus[i], MSR_BASE, X2APIC),
			ERR_NONE);
}

/* All switched on by software, as a guest does first. */
static inline int fresh(void **state)
{
	(void)state;
	memset(&vm, 0, sizeof vm);
	memset(vcpus, 0, sizeof vcpus);
	memset(kicks, 0, sizeof kicks);
	memset(requested, 0, sizeof requested);
	fake_time = 1000000000;
	fake_time_khz = 1000000;
	vm.vcpu_count = VCPUS;
	for (uint32_t i = 0; i < VCPUS; i++) {
		vcpus[i].vm = &vm;
		vcpus[i].index = i;
		vm.vcpus[i] = &vcpus[i];
		local_apic_reset(&vcpus[i]);
		local_apic_mmio_write(&vcpus[i], 0xf0, 4, 0x1ff);
	}
	io_apic_reset(&vm);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup(name, fresh)

#endif
