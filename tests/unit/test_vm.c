/* SPDX-License-Identifier: MIT */
#include "vm_life.h"

#include <mullion/guest.h>
#include <mullion/virtio_net.h>
#include <pthread.h>

/* ---- making and starting ------------------------------------------------- */

static void a_new_vm_rests(void **state)
{
	(void)state;
	assert_ptr_equal(vms[0], vm);
	assert_int_equal(vm->state, MULL_VM_STOPPED);
	assert_int_equal(vm_home(vm), 0);
	assert_int_equal(fake_virt.vcpus, 2);
	assert_int_equal(vm->vcpus[1]->state, VCPU_PARKED);
	assert_int_equal(vm->vcpus[1]->cpu, 1);
	assert_false(vm_work(vm));
	assert_int_equal(frame_owner_of(1), FRAME_HYPERVISOR);
}

static void its_networks_close_when_it_ends(void **state)
{
	struct mull_vm *description = describe(1, 1);

	(void)state;
	strcpy(description->nics[0].network, "lan");
	vm = vm_create(description, 1, NULL);
	start();
	assert_int_equal(vm->state, MULL_VM_RUNNING);
	vm->nics[0]->port.open = true; /* its driver has come */
	vm_end(vm, MULL_END_POWEROFF, 0, "off");
	work();
	obey_all();
	work();
	assert_false(vm->nics[0]->port.open);
	vm_destroy(vm);
}

static void its_networks_are_made_and_freed(void **state)
{
	uint64_t pages = pages_in_use();
	struct mull_vm *description = describe(1, 1);

	(void)state;
	strcpy(description->nics[0].network, "lan");
	strcpy(description->nics[1].network, "lan");
	assert_non_null(vm_create(description, 1, NULL));
	assert_non_null(vms[1]->nics[0]);
	assert_ptr_equal(vms[1]->pci.functions[9],
			 (struct pci_function *)vms[1]->nics[1]);
	assert_null(vms[1]->nics[2]);
	assert_true(pages_in_use() - pages > 2 * 64);
	vm_destroy(vms[1]);
	assert_int_equal(pages_in_use(), pages);
}

static void nothing_stays_of_a_vm_that_cannot_be_made(void **state)
{
	uint64_t pages = pages_in_use();

	(void)state;
	describe(1, 3);
	for (uint32_t most = 2; most <= 4; most++) {
		fake_virt.vcpus_max = most; /* the first VM has two */
		assert_null(vm_create(&boot_package.vms[1], 1, NULL));
		assert_null(vms[1]);
		assert_int_equal(fake_virt.vcpus, 2);
		assert_int_equal(pages_in_use(), pages);
	}
	fake_virt.vcpus_max = 0;
	assert_non_null(vm_create(&boot_package.vms[1], 1, NULL));
}

static void the_largest_console_can_be_made(void **state)
{
	(void)state;
	describe(1, 1)->console_size = MIB(2);
	assert_non_null(vm_create(&boot_package.vms[1], 1, NULL));
}

static void it_starts_in_zeroed_memory(void **state)
{
	uint64_t free = frames_free();

	(void)state;
	for (uint32_t i = 2; i <= POOL_FRAMES; i++)
		if (frame_owner_of(i) == FRAME_FREE)
			memset(frame_bytes(i), 0xaa, FRAME_SIZE);
	vm_command(vm, MULL_COMMAND_START);
	assert_true(fake_kicks[0] > 0);
	work();
	EXPECT_STATES(MULL_VM_STARTING, MULL_VM_RUNNING);
	assert_zero();
	assert_int_equal(frames_free(), free - 4);
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(frame_owner_of(vm->frames[i]), FRAME_VM);
	assert_int_equal(vm->started_at, fake_time);
	obey_all();
	assert_int_equal(vm->vcpus[0]->state, VCPU_RUNNABLE);
	assert_int_equal(vm->vcpus[1]->state, VCPU_WAITING);
	assert_int_equal(vm->ending, MULL_END_NONE);
}

/* Each frame is mapped once, where guest_read() finds it too. */
static void what_it_owns_is_mapped(void **state)
{
	uint64_t mapped = 0;

	(void)state;
	start();
	for (uint32_t i = 0; i < fake_virt.mapping_count; i++) {
		const struct fake_mapping *mapping = &fake_virt.mappings[i];

		assert_int_equal(mapping->root.value, vm->stage2.value);
		assert_int_equal(mapping->at.value, mapped);
		assert_int_equal(mapping->rights, STAGE2_ALL);
		for (uint64_t at = 0; at < mapping->size; at += FRAME_SIZE)
			assert_int_equal(
				(mapping->to.value + at) >> FRAME_SHIFT,
				vm->frames[(mapped + at) >> FRAME_SHIFT]);
		mapped += mapping->size;
	}
	assert_int_equal(mapped, 4 * FRAME_SIZE);
}

static void memory_makes_room_below_4_gib(void **state)
{
	struct vm *large;

	(void)state;
	describe(1, 1)->memory_size = GIB(4);
	large = vm_create(&boot_package.vms[1], 1, NULL);
	assert_int_equal(large->memory_low, MULL_GUEST_MMIO_START);
	assert_int_equal(large->memory_high, GIB(1));
	assert_int_equal(large->memory.region_count, 2);
	assert_int_equal(large->memory.regions[1].start.value, GIB(4));
	assert_ptr_equal(large->memory.regions[1].frames, large->frames + 1536);
	assert_true(guest_is_ram(&large->memory, gpa(GIB(5) - 1), 1));
	assert_false(guest_is_ram(&large->memory, gpa(GIB(5) - 1), 2));
	assert_false(guest_is_ram(&large->memory, gpa(GIB(3) - 1), 2));
	describe(2, 1)->memory_size = GIB(3);
	large = vm_create(&boot_package.vms[2], 2, NULL);
	assert_int_equal(large->memory.region_count, 1);
}

static void without_frames_it_is_refused(void **state)
{
	uint64_t free = frames_free();
	struct vm *small = vm;

	(void)state;
	describe(1, 1)->memory_size = 2 * POOL_FRAMES * FRAME_SIZE;
	vm = vm_create(&boot_package.vms[1], 1, NULL);
	free = frames_free();
	vm_command(vm, MULL_COMMAND_START);
	work();
	EXPECT_STATES(MULL_VM_REFUSED);
	assert_int_equal(vm->ending, MULL_END_BAD_IMAGE);
	assert_non_null(strstr(vm->end_words, "free frames"));
	assert_int_equal(frames_free(), free);
	assert_int_equal(fake_virt.roots, 0);
	vm = small;
	start();
	assert_int_equal(vm->state, MULL_VM_RUNNING);
}

static void without_page_tables_it_gives_its_memory_back(void **state)
{
	uint32_t free = (uint32_t)frames_free();

	(void)state;
	fake_virt.root_error = ERR_NO_MEMORY;
	vm_command(vm, MULL_COMMAND_START);
	work();
	EXPECT_STATES(MULL_VM_REFUSED);
	assert_at_rest(free);
	fake_virt.root_error = ERR_NONE;
	fake_virt.mapping_count = ARRAY_COUNT(fake_virt.mappings);
	vm_command(vm, MULL_COMMAND_START);
	work();
	EXPECT_STATES(MULL_VM_REFUSED);
	assert_non_null(strstr(vm->end_words, "page tables"));
	assert_at_rest(free);
	fake_virt.mapping_count = 0;
	start();
	assert_int_equal(vm->state, MULL_VM_RUNNING);
}

static void with_a_bad_image_it_gives_its_memory_back_erased(void **state)
{
	uint32_t free = (uint32_t)frames_free();

	(void)state;
	load_error = ERR_BAD_HASH;
	vm_command(vm, MULL_COMMAND_START);
	while (vm->phase != PHASE_ERASE)
		assert_true(vm_work(vm));
	soil(); /* as the part that was loaded already does */
	work();
	EXPECT_STATES(MULL_VM_STARTING, MULL_VM_REFUSED);
	assert_int_equal(vm->ending, MULL_END_BAD_IMAGE);
	assert_string_equal(vm->end_words, "damaged");
	assert_zero();
	assert_at_rest(free);
}

/* ---- the end -------------------------------------------------------------- */

/* @reason with each policy; what becomes of the VM. */
static void end_by(enum mull_end_reason reason, enum mull_vm_state rest,
		   bool restarts)
{
	uint32_t free, restarts_before;

	assert_int_equal(vm->phase, PHASE_IDLE);
	free = (uint32_t)frames_free();
	start();
	state_count = 0;
	loads = 0;
	restarts_before = vm->restarts;
	soil();
	vm_end(vm, reason, 7, "because of %d", reason);
	work();
	EXPECT_STATES(MULL_VM_STOPPING);
	obey_all();
	work();
	if (restarts) {
		EXPECT_STATES(MULL_VM_STARTING, MULL_VM_RUNNING);
		assert_int_equal(loads, 1);
		assert_int_equal(vm->restarts, restarts_before + 1);
		assert_zero();
		obey_all();
		vm_command(vm, MULL_COMMAND_STOP);
		work();
		obey_all();
		work();
		assert_int_equal(vm->state, MULL_VM_STOPPED);
	} else {
		EXPECT_STATES(rest);
		assert_int_equal(vm->ending, reason);
		assert_int_equal(vm->end_code, 7);
		assert_non_null(strstr(vm->end_words, "because"));
		assert_int_equal(vm->restarts, restarts_before);
		assert_zero();
	}
	assert_at_rest(free);
}

static void each_reason_follows_its_policy(void **state)
{
	static const struct {
		enum mull_end_reason reason;
		enum mull_vm_state rest;
		size_t policy; /* offset in struct mull_vm */
	} reasons[] = {
		{ MULL_END_POWEROFF, MULL_VM_STOPPED,
		  offsetof(struct mull_vm, on_poweroff) },
		{ MULL_END_EXIT_CODE, MULL_VM_STOPPED,
		  offsetof(struct mull_vm, on_poweroff) },
		{ MULL_END_RESET, MULL_VM_STOPPED,
		  offsetof(struct mull_vm, on_reset) },
		{ MULL_END_TRIPLE_FAULT, MULL_VM_CRASHED,
		  offsetof(struct mull_vm, on_crash) },
		{ MULL_END_BAD_EXIT, MULL_VM_CRASHED,
		  offsetof(struct mull_vm, on_crash) },
		{ MULL_END_ALL_HALTED, MULL_VM_CRASHED,
		  offsetof(struct mull_vm, on_crash) },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(reasons); i++) {
		struct mull_vm *description = &vm->description;
		uint32_t *policy = (uint32_t *)((char *)description +
						reasons[i].policy);

		description->on_poweroff = MULL_END_STOP;
		description->on_reset = MULL_END_STOP;
		description->on_crash = MULL_END_STOP;
		end_by(reasons[i].reason, reasons[i].rest, false);
		*policy = MULL_END_RESTART;
		end_by(reasons[i].reason, reasons[i].rest, true);
	}
}

static void the_first_reason_counts(void **state)
{
	(void)state;
	start();
	vm_end(vm, MULL_END_POWEROFF, 0, "first");
	vm_end(vm, MULL_END_TRIPLE_FAULT, 3, "second");
	assert_int_equal(vm->ending, MULL_END_POWEROFF);
	assert_int_equal(vm->end_code, 0);
	assert_string_equal(vm->end_words, "first");
}

static void it_waits_until_all_have_left_the_guest(void **state)
{
	(void)state;
	start();
	memset(fake_kicks, 0, sizeof fake_kicks);
	vm_end(vm, MULL_END_POWEROFF, 0, "off");
	assert_int_equal(fake_kicks[0], 1);
	assert_int_equal(fake_kicks[1], 1);
	work();
	vcpu_obey(vm->vcpus[0]);
	work();
	assert_int_equal(vm->state, MULL_VM_STOPPING);
	assert_int_equal(frame_owner_of(vm->frames[0]), FRAME_VM);
	fake_kicks[0] = 0;
	vcpu_obey(vm->vcpus[1]);
	assert_int_equal(fake_kicks[0], 1); /* the home CPU goes on */
	work();
	assert_int_equal(vm->state, MULL_VM_STOPPED);
}

#define VM_MEMORY (4 * FRAME_SIZE)
#define LONELY 3 /* the CPU of no other test's VM */

/* A VM on a CPU where there are @others. */
static void make_lonely(uint32_t others)
{
	fake_cpu = LONELY;
	for (uint32_t i = 1; i <= 1 + others; i++) {
		describe(i, 1)->cpus[0] = LONELY;
		assert_non_null(vm_create(&boot_package.vms[i], i, NULL));
	}
	vm = vms[1];
}

static void destroy_lonely(uint32_t others)
{
	vm_command(vm, MULL_COMMAND_STOP);
	work();
	for (uint32_t i = 1; i <= 1 + others; i++)
		vm_destroy(vms[i]);
}

/* Steps until it is loaded, while each round of the loop forgets the kicks
 * before it; @wanted: another one comes in each. */
static uint32_t steps_to_load(bool wanted)
{
	uint32_t steps = 0;

	vm_command(vm, MULL_COMMAND_START);
	do {
		fake_kicks[LONELY] = wanted;
		steps++;
		assert_true(vm_work(vm));
	} while (vm->phase == PHASE_CLEAR);
	return steps;
}

/* The work for one step is bounded, whatever the VM's size. */
static void memory_is_zeroed_in_pieces(void **state)
{
	(void)state;
	make_lonely(0);
	assert_int_equal(steps_to_load(true), VM_MEMORY / FRAME_ZERO_LONG);
	destroy_lonely(0);
}

static void several_pieces_go_into_a_step_that_nobody_ends(void **state)
{
	(void)state;
	make_lonely(0);
	assert_int_equal(steps_to_load(false),
			 VM_MEMORY / FRAME_ZERO_LONG / 16);
	destroy_lonely(0);
}

static void one_piece_goes_into_a_step_on_a_shared_cpu(void **state)
{
	(void)state;
	make_lonely(1);
	assert_int_equal(steps_to_load(false), VM_MEMORY / FRAME_ZERO_PIECE);
	destroy_lonely(1);
}

static uint32_t looks_left;

static void kick_at_last_look(void)
{
	fake_kicks[LONELY] += !--looks_left;
}

static void a_kick_ends_a_step(void **state)
{
	(void)state;
	make_lonely(0);
	vm_command(vm, MULL_COMMAND_START);
	fake_kicks[LONELY] = 0;
	looks_left = 3;
	fake_interrupts = kick_at_last_look;
	vm_work(vm);
	fake_interrupts = NULL;
	assert_int_equal(vm->phase_offset, 3 * FRAME_ZERO_LONG);
	destroy_lonely(0);
}

static void a_vm_ends_before_all_its_vcpus_have_begun(void **state)
{
	(void)state;
	vm_command(vm, MULL_COMMAND_START);
	work();
	vcpu_obey(vm->vcpus[0]);
	vm_end(vm, MULL_END_POWEROFF, 0, "off");
	work();
	obey_all();
	work();
	assert_int_equal(vm->state, MULL_VM_STOPPED);
}

/* What a vCPU asked another for after that had left the guest. */
static void the_next_guest_hears_nothing_of_the_last(void **state)
{
	(void)state;
	start();
	vm_end(vm, MULL_END_RESET, 0, "reset");
	vcpu_obey(vm->vcpus[0]);
	vcpu_request(vm->vcpus[0], VCPU_NMI);
	vcpu_request(vm->vcpus[0], VCPU_INIT);
	vcpu_obey(vm->vcpus[1]);
	work();
	assert_int_equal(vm->state, MULL_VM_RUNNING);
	obey_all();
	assert_int_equal(vm->vcpus[0]->state, VCPU_RUNNABLE);
	fake_virt.can_interrupt = true;
	vcpu_prepare(vm->vcpus[0]);
	assert_int_equal(fake_virt.injected, 0);
}

static void a_vm_at_rest_wants_no_timer(void **state)
{
	(void)state;
	start();
	vm->vcpus[0]->apic.timer_deadline = fake_time + 10;
	vm_end(vm, MULL_END_POWEROFF, 0, "off");
	obey_all();
	assert_true(vm->vcpus[0]->apic.timer_deadline == ARCH_NO_DEADLINE);
}

/* ---- devices -------------------------------------------------------------- */

static void a_restart_resets_the_devices(void **state)
{
	(void)state;
	start();
	vm->platform.events = 1;
	vm->serial.scr = 0x55;
	vm->io_apic.entries[4] = 0x30;
	serial_print(vm, "last words", 10);
	vm_end(vm, MULL_END_RESET, 0, "reset");
	finish();
	assert_int_equal(vm->platform.events, 0);
	assert_int_equal(vm->serial.scr, 0);
	assert_int_equal(vm->io_apic.entries[4], 1 << 16);
	assert_int_equal(vm->serial.output.head - vm->serial.output.tail, 10);
	assert_false(atomic_flag_test_and_set(&vm->device_lock.held));
}

static _Atomic bool reading;
static uint64_t taken;

static void *read_console(void *context)
{
	uint8_t byte;

	(void)context;
	while (reading)
		taken += console_take(&vm->serial.output, &byte, 1);
	return NULL;
}

/* The service CPU reads the console whatever the VM is doing. */
static void a_reset_leaves_the_console_to_its_reader(void **state)
{
	uint64_t put = 0;
	pthread_t reader;

	(void)state;
	taken = 0;
	reading = true;
	assert_int_equal(pthread_create(&reader, NULL, read_console, NULL), 0);
	for (int i = 0; i < 300000; i++) {
		put += console_put(&vm->serial.output, "01234567", 8);
		for (int j = 0; j < 4; j++)
			serial_reset(vm);
	}
	reading = false;
	pthread_join(reader, NULL);
	taken += vm->serial.output.head - vm->serial.output.tail;
	assert_int_equal(taken, put);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_new_vm_rests),
		TEST(its_networks_close_when_it_ends),
		TEST(its_networks_are_made_and_freed),
		TEST(nothing_stays_of_a_vm_that_cannot_be_made),
		TEST(the_largest_console_can_be_made),
		TEST(it_starts_in_zeroed_memory),
		TEST(what_it_owns_is_mapped),
		TEST(memory_makes_room_below_4_gib),
		TEST(without_frames_it_is_refused),
		TEST(without_page_tables_it_gives_its_memory_back),
		TEST(with_a_bad_image_it_gives_its_memory_back_erased),
		TEST(each_reason_follows_its_policy),
		TEST(the_first_reason_counts),
		TEST(it_waits_until_all_have_left_the_guest),
		TEST(memory_is_zeroed_in_pieces),
		TEST(several_pieces_go_into_a_step_that_nobody_ends),
		TEST(one_piece_goes_into_a_step_on_a_shared_cpu),
		TEST(a_kick_ends_a_step),
		TEST(a_vm_ends_before_all_its_vcpus_have_begun),
		TEST(the_next_guest_hears_nothing_of_the_last),
		TEST(a_vm_at_rest_wants_no_timer),
		TEST(a_restart_resets_the_devices),
		TEST(a_reset_leaves_the_console_to_its_reader),
	};

	return cmocka_run_group_tests(tests, start_memory, NULL);
}
