/* SPDX-License-Identifier: MIT */
/*
 * A legacy PC whose guest does anything with its ports, MTRRs and I/O APIC,
 * while time passes.  No lock may stay, what is injected must be possible, and
 * what is due must lie ahead.
 */
#include "fuzz_input.h"
#include "fuzz_machine.h"

#include <kernel/exits/port.h>
#include <mullion/guest_clock.h>
#include <mullion/mtrr.h>
#include <mullion/pc.h>

#define POOL_FRAMES 8
#define STEPS_MAX 400

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void make_machine(void)
{
	static const struct mull_memory_range range = {
		0, (POOL_FRAMES + 1) * FRAME_SIZE, MULL_MEMORY_USABLE, 0
	};
	static frame_owner owners[POOL_FRAMES + 1];
	static struct mull_vm description = {
		.name = "fuzz",
		.memory_size = 2 * FRAME_SIZE,
		.flags = MULL_VM_PLATFORM_PC,
		.vcpu_count = 1,
		.on_poweroff = MULL_END_RESTART,
		.on_reset = MULL_END_RESTART,
		.on_crash = MULL_END_RESTART,
		.console_size = KIB(4),
	};

	fake_cpu_count = 1;
	page_start(arch_direct(hpa(FRAME_SIZE)), 1, 1);
	frame_pool_start(&range, 1, owners, ARRAY_COUNT(owners));
	frame_claim(FRAME_HYPERVISOR, 1);
	guest_clock_start(1700000000);
	vm = vm_create(&description, 0, NULL);
	require(vm);
	vcpu = vm->vcpus[0];
}

/* The devices' own, mostly. */
static uint16_t any_port(void)
{
	static const uint16_t ports[] = {
		0x20,  0x21,  0xa0,  0xa1,  0x4d0, 0x4d1, 0x40,	 0x41,
		0x42,  0x43,  0x60,  0x61,  0x64,  0x70,  0x71,	 0x92,
		0x510, 0x511, 0x600, 0x602, 0x604, 0x608, 0x630, 0xcf8,
		0xcfc, 0xcf9, 0x3f8, 0x3f9, 0x63f, 0x601, 0x605, 0x80,
	};
	uint8_t choice = (uint8_t)any(1);

	return choice < 32 ? (uint16_t)any(2) :
			     ports[choice % ARRAY_COUNT(ports)];
}

static void enter(void)
{
	vcpu_obey(vcpu);
	if (vcpu->state == VCPU_HALTED && vcpu_wakes(vcpu))
		vcpu->state = VCPU_RUNNABLE;
	if (vcpu->state != VCPU_RUNNABLE)
		return;
	fake_virt.can_interrupt = any(1) % 2;
	fake_virt.injected = 0;
	vcpu_prepare(vcpu);
	require(!fake_virt.injected || fake_virt.can_interrupt);
}

static void step(void)
{
	uint8_t what = (uint8_t)any(1);
	uint8_t size = (uint8_t)(1 << what / 16 % 3);
	uint64_t value;

	switch (what % 16) {
	case 0:
		fake_time += any(5);
		break;
	case 1:
		fake_time = vm->deadline < ARCH_NO_DEADLINE &&
					    vm->deadline > fake_time ?
				    vm->deadline :
				    fake_time + 1;
		break;
	case 2:
		mtrr_write(vcpu, 0x200 + (uint32_t)any(1), any(8));
		mtrr_read(vcpu, 0x200 + (uint32_t)any(1), &value);
		break;
	case 3:
		lock_take(&vm->device_lock);
		io_apic_write(vm, what & 16 ? 0 : 0x10, 4, any(4));
		io_apic_set_line(vm, (uint32_t)any(1) % 26, what & 32);
		lock_give(&vm->device_lock);
		break;
	case 4:
		lock_take(&vm->device_lock);
		platform_press_button(vm);
		lock_give(&vm->device_lock);
		break;
	case 5:
	case 6:
	case 7:
		enter();
		break;
	case 8:
	case 9:
	case 10:
		port_read(vm, any_port(), size);
		break;
	default:
		port_write(vm, any_port(), size, (uint32_t)any(4));
		break;
	}
	require(!atomic_flag_test_and_set(&vm->device_lock.held));
	lock_give(&vm->device_lock);
	for (int i = 0; i < 2000 && vm_work(vm); i++)
		;
	require(vm->state != MULL_VM_RUNNING || vm->deadline > fake_time);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!vm)
		make_machine();
	memset(&fake_virt, 0, sizeof fake_virt);
	input.data = data;
	input.size = size;
	fake_time = 1000;
	atomic_store(&vm->commands, 0);
	vm_command(vm, MULL_COMMAND_START);
	for (int i = 0; i < 2000 && vm_work(vm); i++)
		;
	require(vm->state == MULL_VM_RUNNING);
	vcpu->rflags = BIT(9) | 2;
	for (int i = 0; i < STEPS_MAX && input.size; i++)
		step();
	vm_command(vm, MULL_COMMAND_STOP);
	for (int i = 0; i < 4000; i++) {
		vcpu_obey(vcpu);
		vm_work(vm);
	}
	require(vm_state_rests(vm->state));
	return 0;
}
