/* SPDX-License-Identifier: MIT */
/*
 * A guest of two vCPUs that does anything: exits of every kind with any
 * registers, system state and memory, between them interrupts, requests,
 * commands and time.  No assertion may fail, no lock may stay, what is
 * injected must be possible, and afterwards the VM can be stopped and has
 * given everything back.
 */
#include "fuzz_input.h"
#include "fuzz_machine.h"

#define VCPUS 2
#define POOL_FRAMES 8
#define STEPS_MAX 100
#define WORK_MAX 2000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct guest_system systems[VCPUS];
static uint64_t free_frames, used_pages;

/* ---- any value ----------------------------------------------------------- */

/* Often one where something is, or near a limit. */
static uint64_t any_address(void)
{
	static const uint64_t places[] = {
		0,
		0x1000,
		0x1ff000,
		0x200000,
		0xc0000000,
		0xfec00000,
		0xfee00000,
		0xfffff000,
		0x100000000,
		0x7ffffffff000,
		0x800000000000,
		0xffff800000000000,
		0xfffffffffffff000,
	};
	uint8_t choice = (uint8_t)any(1);

	if (choice < 64)
		return any(8);
	return places[choice % ARRAY_COUNT(places)] + any(2) % 0x1010;
}

static struct guest_segment any_segment(void)
{
	static const uint16_t attributes[] = { 0xa9b, 0xc9b, 0x9b,  0xc93,
					       0x93,  0xcf3, 0xc97, 0 };
	uint8_t choice = (uint8_t)any(1);

	return (struct guest_segment){
		.base = choice & 0x80 ? any_address() : 0,
		.limit = choice & 0x40 ? (uint32_t)any(4) : ~0u,
		.selector = choice,
		.attributes = choice & 0x20 ? (uint16_t)any(2) :
					      attributes[choice % 8],
	};
}

/* ---- steps --------------------------------------------------------------- */

static void set_registers(void)
{
	uint8_t which = (uint8_t)any(1);

	if (which < 128)
		vcpu->gpr[which % GPR_COUNT] = any_address();
	else if (which < 160)
		vcpu->rip = any_address();
	else
		vcpu->rflags = any(3) | 2;
}

static void set_system(void)
{
	struct guest_system *system = &systems[vcpu->index];
	uint8_t which = (uint8_t)any(1);

	switch (which % 8) {
	case 0:
		system->cr0 = any(1) % 2 ? 0x80000011 : any(5);
		break;
	case 1:
		system->cr3 = any_address();
		break;
	case 2:
		system->cr4 = any(3);
		break;
	case 3:
		system->efer = any(2);
		break;
	case 4:
		system->cpl = any(1) % 4;
		break;
	default:
		system->segments[which / 8 % SEGMENT_COUNT] = any_segment();
		break;
	}
}

static void write_memory(bool at_rip)
{
	uint8_t bytes[24];
	uint64_t at = at_rip ? vcpu->rip : any_address();
	size_t length = any(1) % sizeof bytes;

	for (size_t i = 0; i < length; i++)
		bytes[i] = (uint8_t)any(1);
	guest_write(&vm->memory, gpa(at), bytes, length);
}

static struct vm_exit any_exit(void)
{
	static const uint16_t ports[] = { 0x3f8, 0x3f9, 0x3fd, 0x600, 0x601,
					  0x602, 0x603, 0x64,  0xcf9, 0x80 };
	struct vm_exit exit = { .kind = (enum exit_kind)(any(1) %
							 EXIT_KIND_COUNT),
				.length = (uint8_t)(any(1) % 16) };
	uint8_t flags = (uint8_t)any(1);

	if (exit.kind == EXIT_PORT_IO) {
		exit.port = (struct exit_port){
			.port = flags & 0x80 ?
					(uint16_t)any(2) :
					ports[any(1) % ARRAY_COUNT(ports)],
			.size = (uint8_t)(1 << flags % 3),
			.in = flags & 4,
			.string = flags & 8,
			.repeat = flags & 16,
		};
	} else if (exit.kind == EXIT_MEMORY) {
		exit.length = 0;
		exit.memory = (struct exit_memory){
			.address = gpa(any_address()),
			.read = flags & 1,
			.write = flags & 2,
			.fetch = (flags & 0x1c) == 0x1c,
			.in_page_walk = (flags & 0xe0) == 0xe0,
		};
	} else if (exit.kind == EXIT_MSR_READ || exit.kind == EXIT_MSR_WRITE) {
		if (flags & 1)
			vcpu->gpr[RCX] = 0x800 + any(1);
	}
	exit.raw[0] = flags;
	return exit;
}

static void interrupt(void)
{
	uint8_t flags = (uint8_t)any(1);
	const struct apic_message message = {
		.destination = (uint32_t)any(1),
		.vector = (uint8_t)any(1),
		.delivery = flags & 7,
		.logical = flags & 8,
		.level = flags & 16,
		.x2apic = flags & 32,
	};

	vm_interrupt(vm, &message);
}

/* What the operator and the service CPU do meanwhile. */
static void serve(void)
{
	uint8_t bytes[64], what = (uint8_t)any(1);

	switch (what % 4) {
	case 0:
		vm_command(vm, (enum mull_command)(MULL_COMMAND_RESET +
						   what / 4 % 3));
		break;
	case 1:
		console_take(&vm->serial.output, bytes, sizeof bytes);
		lock_take(&vm->device_lock);
		serial_drained(vm);
		lock_give(&vm->device_lock);
		break;
	case 2:
		memset(bytes, what, sizeof bytes);
		lock_take(&vm->device_lock);
		serial_receive(vm, bytes, what / 4);
		lock_give(&vm->device_lock);
		break;
	case 3:
		lock_take(&vm->device_lock);
		platform_press_button(vm);
		lock_give(&vm->device_lock);
		break;
	}
}

static void check_injected(void)
{
	const struct guest_event *event = &fake_virt.event;

	if (!fake_virt.injected)
		return;
	fake_virt.injected = 0;
	switch (event->kind) {
	case EVENT_INTERRUPT:
		require(event->vector >= APIC_VECTOR_MIN);
		require(vcpu->rflags & BIT(9));
		break;
	case EVENT_NMI:
		require(event->vector == 2);
		break;
	case EVENT_SOFTWARE:
		break;
	case EVENT_EXCEPTION:
		require(event->vector < 32 && event->vector != 2);
		break;
	}
}

/* As the loop of the vCPU's CPU does; whether the guest was entered. */
static void enter(void)
{
	struct vm_exit exit;

	vcpu_obey(vcpu);
	if (vcpu->state == VCPU_HALTED && vcpu_wakes(vcpu)) {
		vcpu->state = VCPU_RUNNABLE;
		atomic_store(&vcpu->stuck, false);
	}
	if (vcpu->state != VCPU_RUNNABLE)
		return;
	local_apic_timer(vcpu, arch_time());
	fake_virt.can_interrupt = vcpu->rflags & BIT(9) && any(1) % 4;
	fake_virt.event_pending = any(1) % 16 == 0;
	vcpu_prepare(vcpu);
	check_injected();
	exit = any_exit();
	exit_handle(vcpu, &exit);
	/* What it changed of the system state stays with the vCPU. */
	systems[vcpu->index] = fake_virt.system;
	require(!atomic_flag_test_and_set(&vm->device_lock.held));
	lock_give(&vm->device_lock);
	require(vcpu->state == VCPU_RUNNABLE || vcpu->state == VCPU_HALTED);
}

static void step(void)
{
	uint8_t what = (uint8_t)any(1);

	vcpu = vm->vcpus[what / 64 % VCPUS];
	fake_cpu = vcpu->cpu;
	fake_virt.system = systems[vcpu->index];
	switch (what % 16) {
	case 0:
	case 1:
		set_registers();
		break;
	case 2:
		set_system();
		break;
	case 3:
		write_memory(true);
		break;
	case 4:
		write_memory(false);
		break;
	case 5:
		fake_time += any(4);
		break;
	case 6:
		interrupt();
		break;
	case 7:
		serve();
		break;
	case 8:
		fake_cpu = 0;
		vm_work(vm);
		break;
	default:
		enter();
		break;
	}
}

/* ---- beginning and end --------------------------------------------------- */

static void make_machine(void)
{
	static const struct mull_memory_range range = {
		0, (POOL_FRAMES + 1) * FRAME_SIZE, MULL_MEMORY_USABLE, 0
	};
	static frame_owner owners[POOL_FRAMES + 1];
	static struct package package;
	struct mull_vm *description = &package.vms[0];

	fake_cpu_count = VCPUS;
	page_start(arch_direct(hpa(FRAME_SIZE)), 1, 1);
	frame_pool_start(&range, 1, owners, ARRAY_COUNT(owners));
	frame_claim(FRAME_HYPERVISOR, 1);
	strcpy(description->name, "fuzz");
	description->memory_size = FRAME_SIZE;
	description->vcpu_count = VCPUS;
	description->cpus[1] = 1;
	description->on_poweroff = description->on_crash = MULL_END_STOP;
	description->on_reset = MULL_END_RESTART;
	description->console_size = KIB(4);
	vm = vm_create(&package.vms[0], 0, NULL);
	require(vm);
	free_frames = frames_free();
	used_pages = pages_in_use();
}

static void work(void)
{
	fake_cpu = 0;
	for (int i = 0; i < WORK_MAX; i++) {
		if (!vm_work(vm))
			return;
	}
	require(false);
}

static void obey_all(void)
{
	for (uint32_t i = 0; i < VCPUS; i++) {
		vcpu = vm->vcpus[i];
		fake_cpu = vcpu->cpu;
		fake_virt.system = systems[i];
		vcpu_obey(vcpu);
		systems[i] = fake_virt.system;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!vm)
		make_machine();
	memset(&fake_virt, 0, sizeof fake_virt);
	memset(systems, 0, sizeof systems);
	input.data = data;
	input.size = size;
	fake_time = 1000;
	vm_command(vm, MULL_COMMAND_START);
	work();
	require(vm->state == MULL_VM_RUNNING);
	obey_all();
	for (int i = 0; i < STEPS_MAX && input.size; i++)
		step();
	work(); /* what was commanded before comes first */
	vm_command(vm, MULL_COMMAND_STOP);
	work();
	obey_all();
	work();
	require(vm->state == MULL_VM_STOPPED || vm->state == MULL_VM_CRASHED);
	require(vm->commands == 0);
	require(frames_free() == free_frames && pages_in_use() == used_pages);
	require(fake_virt.roots == 0);
	return 0;
}
