/* SPDX-License-Identifier: MIT */
/* Three VMs: two name a memory, one of them to read it only; one does not. */
#ifndef SHARED_VMS_H
#define SHARED_VMS_H

#include "vm_life.h"

#include <mullion/guest.h>
#include <mullion/shared_port.h>

#define WRITER 0
#define READER 1
#define STRANGER 2
#define SIZE KIB(8)

static inline void share(struct mull_vm *description, uint32_t index,
			 const char *name, uint64_t size, uint32_t flags)
{
	struct mull_shared *shared = &description->shared[index];

	strcpy(shared->name, name);
	shared->size = size;
	shared->flags = flags;
}

static inline struct vm *make(uint32_t index, const char *name)
{
	strcpy(boot_package.vms[index].name, name);
	boot_package.vms[index].cpus[0] = (uint16_t)index;
	return vm_create(&boot_package.vms[index], index, NULL);
}

static inline void clean(void)
{
	for (int i = 0; shared_memory_clean(); i++)
		assert_in_range(i, 0, 10000);
}

static inline int three_vms(void **state)
{
	if (fresh(state))
		return -1;
	vm_destroy(vm);
	share(describe(WRITER, 2), 0, "ring", SIZE, MULL_SHARED_WRITE);
	share(describe(READER, 1), 0, "ring", SIZE, 0);
	describe(STRANGER, 1);
	if (!make(WRITER, "writer") || !make(READER, "reader") ||
	    !make(STRANGER, "stranger"))
		return -1;
	clean();
	return 0;
}

static inline int destroy_all(void **state)
{
	uint64_t free;

	stop_all(state);
	for (uint32_t i = 0; i < MULL_VM_MAX; i++)
		if (vms[i])
			vm_destroy(vms[i]);
	clean();
	free = frames_free();
	for (uint32_t i = 0; i <= POOL_FRAMES; i++)
		assert_true(frame_owner_of(i) < FRAME_VM);
	assert_true(free > 90);
	return 0;
}

static inline void start_vm(uint32_t index)
{
	vm = vms[index];
	start();
	assert_int_equal(vm->state, MULL_VM_RUNNING);
	for (uint32_t i = 0; i < vm->vcpu_count; i++)
		local_apic_mmio_write(vm->vcpus[i], 0xf0, 4, 0x1ff);
}

static inline void stop_vm(uint32_t index)
{
	vm = vms[index];
	vm_command(vm, MULL_COMMAND_STOP);
	finish();
	assert_int_equal(vm->state, MULL_VM_STOPPED);
}

static inline void start_both(void)
{
	start_vm(WRITER);
	start_vm(READER);
}

static inline struct shared_port *port(uint32_t index)
{
	return &vms[index]->shared->ports[0];
}

static inline uint8_t *bytes(void)
{
	return frame_bytes(port(WRITER)->memory->frames[0]);
}

static inline bool all_zero(void)
{
	for (uint64_t i = 0; i < SIZE; i++)
		if (bytes()[i])
			return false;
	return true;
}

/* Whether @vector is requested of @index's vCPU, which takes it. */
static inline bool interrupted(uint32_t index, uint32_t vcpu, uint8_t vector)
{
	struct local_apic *apic = &vms[index]->vcpus[vcpu]->apic;

	local_apic_take_posted(apic);
	if (local_apic_pending(apic) != vector)
		return false;
	local_apic_accept(apic, vector);
	local_apic_mmio_write(vms[index]->vcpus[vcpu], 0xb0, 4, 0);
	return true;
}

#define THREE(name) \
	cmocka_unit_test_setup_teardown(name, three_vms, destroy_all)

#endif
