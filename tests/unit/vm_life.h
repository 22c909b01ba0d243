/* SPDX-License-Identifier: MIT */
/* What tests of a VM's life say of it. */
#ifndef VM_LIFE_H
#define VM_LIFE_H

#include "vm_fixture.h"

uint32_t cpu_loop_service(void)
{
	return 0;
}

void cpu_loop_move(struct vcpu *vcpu)
{
	vcpu->next = vcpu->next ? NULL : vcpu;
}

static inline void expect_states(const uint32_t *expected, uint32_t count)
{
	assert_int_equal(state_count, count);
	for (uint32_t i = 0; i < count; i++)
		assert_int_equal(states[i], expected[i]);
	state_count = 0;
}

#define EXPECT_STATES(...) \
	expect_states((const uint32_t[]){ __VA_ARGS__ }, \
		      ARRAY_COUNT(((const uint32_t[]){ __VA_ARGS__ })))

/* The VM has none of the pool, and its frames are all zero. */
static inline void assert_at_rest(uint32_t free)
{
	assert_int_equal(frames_free(), free);
	assert_int_equal(fake_virt.roots, 0);
	assert_int_equal(vm->phase, PHASE_IDLE);
	for (uint32_t i = 0; i < vm->frame_count; i++)
		assert_int_equal(frame_owner_of(vm->frames[i]), FRAME_FREE);
	assert_false(vm_work(vm));
}

static inline uint8_t *frame_bytes(uint32_t number)
{
	return fake_memory(hpa((uint64_t)number << FRAME_SHIFT));
}

static inline void soil(void)
{
	for (uint32_t i = 0; i < vm->frame_count; i++)
		memset(frame_bytes(vm->frames[i]), 0xaa, FRAME_SIZE);
}

static inline void assert_zero(void)
{
	static const uint8_t zeros[FRAME_SIZE];

	for (uint32_t i = 0; i < vm->frame_count; i++)
		assert_memory_equal(frame_bytes(vm->frames[i]), zeros,
				    FRAME_SIZE);
}

static inline void finish(void)
{
	work();
	obey_all();
	work();
}

#endif
