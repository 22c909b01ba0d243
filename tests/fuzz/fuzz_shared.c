/* SPDX-License-Identifier: MIT */
/*
 * VMs that name memories come and go, start and stop, while their guests drive
 * the devices and call in any way: nobody writes what it may only read, none
 * starts in what is not zero, nobody is rung who is no peer, and at the end all
 * memory is free.
 */
#include "fuzz_input.h"
#include "fuzz_machine.h"

#include <mullion/exits.h>
#include <mullion/guest.h>
#include <mullion/shared_port.h>

#define VMS 3
#define POOL_FRAMES 200
#define STEPS_MAX 200
#define WORK_MAX 100000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What each VM names: name, size in KiB, whether it may write. */
static const struct wish {
	const char *name;
	uint32_t size;
	bool writes;
} wishes[VMS][MULL_SHARED_MAX] = {
	{ { "ring", 8, true }, { "log", 4, false } },
	{ { "ring", 8, false }, { "large", 4096, true }, { "log", 4, true } },
	{ { "log", 4, false } },
};

static struct mull_vm descriptions[VMS];

static void describe_all(void)
{
	for (uint32_t i = 0; i < VMS; i++) {
		struct mull_vm *it = &descriptions[i];

		it->name[0] = (char)('a' + i);
		it->memory_size = FRAME_SIZE;
		it->vcpu_count = 1 + i % 2;
		it->cpus[0] = (uint16_t)i;
		it->cpus[1] = VMS;
		it->on_poweroff = it->on_crash = MULL_END_STOP;
		it->on_reset = MULL_END_RESTART;
		it->console_size = KIB(4);
		for (uint32_t j = 0; wishes[i][j].name; j++) {
			strcpy(it->shared[j].name, wishes[i][j].name);
			it->shared[j].size = KIB(wishes[i][j].size);
			it->shared[j].flags = wishes[i][j].writes ?
						      MULL_SHARED_WRITE :
						      0;
		}
	}
}

/* Its CPUs do what there is to do. */
static void work(uint32_t index)
{
	vm = vms[index];
	for (int i = 0; vm_work(vm) && i < 200; i++)
		; /* one that waits for zeros would go on */
	for (uint32_t i = 0; i < vm->vcpu_count; i++) {
		vcpu = vm->vcpus[i];
		vcpu_obey(vcpu);
	}
}

static void clean(void)
{
	for (int i = 0; shared_memory_clean(); i++)
		require(i < WORK_MAX);
}

static void settle(uint32_t index)
{
	for (int i = 0; i < 4; i++) {
		work(index);
		clean();
	}
}

static void remove_vm(uint32_t index)
{
	vm = vms[index];
	/* A start that was asked for before comes behind the first stop. */
	for (int i = 0; i < 2; i++) {
		vm_command(vm, MULL_COMMAND_STOP);
		settle(index);
	}
	require(vm_state_rests(vm->state));
	vm_destroy(vm);
}

static bool runs(uint32_t index)
{
	return atomic_load(&vms[index]->state) == MULL_VM_RUNNING;
}

static uint8_t *bytes_of(const struct shared_port *port)
{
	uint32_t frame = port->memory->frames[0];

	return fake_memory(hpa((uint64_t)frame << FRAME_SHIFT));
}

/* A store of a running guest without an exit, if it may. */
static void store(uint32_t index)
{
	struct shared_port *port = shared_port_at(vms[index], any(1) % 4);

	if (port && runs(index)) {
		require(port->held && !port->memory->clean);
		if (!port->writable)
			return;
		touch_frame(port->memory->frames[0]);
		bytes_of(port)[any(2) % port->memory->size] = (uint8_t)any(1);
	}
}

static void emulated_store(uint32_t index)
{
	struct shared_port *port = shared_port_at(vms[index], any(1) % 4);
	gpa_t at = gpa(MULL_GUEST_SHARED + any(1) % 8 * KIB(4) +
		       any(1) % 4 * MULL_SHARED_SIZE_MAX - any(1) % 16);
	uint32_t before = port ? *(uint32_t *)bytes_of(port) : 0;
	uint64_t value;
	bool refused;

	if (!runs(index))
		return;
	shared_ports_read(vms[index], at, &value, 1ull << any(1) % 4);
	shared_ports_write(vms[index], at, any(8), 1ull << any(1) % 4,
			   &refused);
	if (port && !port->writable)
		require(*(uint32_t *)bytes_of(port) == before);
}

static void drive(uint32_t index)
{
	static const uint64_t places[] = { 0x10, 0x14, 0x18, 0x1c,
					   0x04, 0x34, 0x40, 0x42 };
	uint8_t what = (uint8_t)any(1);
	uint64_t config = MULL_GUEST_ECAM + ((24ull + what % 4) << 15);
	uint32_t size = 1u << (what >> 2 & 3);
	uint64_t at = config + places[any(1) % ARRAY_COUNT(places)];

	if (what & 0x80)
		at = guest_pci_read(vms[index], gpa(config + 0x10), 4) + any(1);
	else if (what & 0x40)
		at = guest_pci_read(vms[index], gpa(config + 0x14), 4) +
		     any(2) % 4096;
	if (!guest_pci_is_at(vms[index], gpa(at)))
		return;
	if (what & 0x20)
		guest_pci_read(vms[index], gpa(at), size);
	else
		guest_pci_write(vms[index], gpa(at), size, any(size));
}

static void call(uint32_t index)
{
	const struct vm_exit exit = { .kind = EXIT_HYPERCALL, .length = 3 };

	if (!runs(index))
		return;
	vm = vms[index];
	vcpu = vm->vcpus[0];
	vcpu->gpr[RAX] = MULL_CALL_SHARED + any(1) % 4;
	vcpu->gpr[RBX] = any(1) % 5;
	vcpu->gpr[RCX] = any(1) % 2 ? any(8) : any(1) << 16 | any(1);
	on_hypercall(vcpu, &exit);
}

static void step(void)
{
	uint8_t what = (uint8_t)any(1);
	uint32_t index = what % VMS;

	if (!vms[index]) {
		vm_create(&descriptions[index], index, NULL);
		return;
	}
	vm = vms[index];
	switch (what / VMS % 10) {
	case 0:
		vm_command(vm, MULL_COMMAND_START);
		break;
	case 1:
		vm_command(vm,
			   any(1) % 2 ? MULL_COMMAND_STOP : MULL_COMMAND_RESET);
		break;
	case 2:
		if (any(1) % 4 == 0)
			remove_vm(index);
		break;
	case 3:
		store(index);
		break;
	case 4:
		emulated_store(index);
		break;
	case 5:
		call(index);
		break;
	case 6:
		drive(index);
		break;
	case 7:
		shared_memory_clean();
		break;
	case 8:
		settle(index);
		break;
	case 9:
		work(index);
		break;
	}
}

static void check_port(struct shared_port *port)
{
	static const uint8_t zeros[KIB(4)];
	struct shared_memory *memory = port->memory;

	require(memory->members & BIT(port->peer));
	require(shared_memory_peers(memory) == memory->members);
	require(!(memory->users & ~memory->members));
	require(port->held == !!(memory->users & BIT(port->peer)));
	require(frame_owner_of(memory->frames[0]) ==
		FRAME_SHARED + memory->number);
	require(!memory->clean || !memory->users);
	require(!memory->clean || !memcmp(bytes_of(port), zeros, sizeof zeros));
	for (uint32_t i = 0; i < MULL_VM_MAX; i++)
		require(memory->members & BIT(i) || !memory->peers[i].rung);
}

static void check(void)
{
	for (uint32_t i = 0; i < VMS; i++)
		for (uint32_t j = 0;
		     vms[i] && vms[i]->shared && j < vms[i]->shared->count; j++)
			check_port(&vms[i]->shared->ports[j]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint64_t free;

	input.data = data;
	input.size = size;
	memset(&fake_virt, 0, sizeof fake_virt);
	fake_cpu_count = VMS + 1;
	if (!free) {
		start_pool(POOL_FRAMES);
		describe_all();
		free = frames_free();
	}
	for (int i = 0; i < STEPS_MAX && input.size; i++) {
		step();
		fake_virt.mapping_count = 0;
		check();
	}
	for (uint32_t i = 0; i < VMS; i++)
		if (vms[i])
			remove_vm(i);
	clean();
	for (uint32_t i = 0; i < POOL_FRAMES; i++)
		require(frame_owner_of(i) < FRAME_VM);
	return 0;
}
