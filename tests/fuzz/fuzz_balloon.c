/* SPDX-License-Identifier: MIT */
/*
 * A guest with a balloon that says anything in its queues, touches what it has
 * given, resets device and machine, beside another VM that takes frames and
 * gives them.  Each frame has one owner, what the guest reaches is its own, and
 * afterwards everything is given back.
 */
#include "fuzz_input.h"
#include "fuzz_machine.h"
#include "tests/unit/packed_ring.h"

#include <mullion/balloon.h>
#include <mullion/guest.h>

#define FRAMES 4
#define POOL_FRAMES 12
#define STEPS_MAX 60
#define WORK_MAX 2000
#define SLOT 13
#define QUEUES 3
#define QUEUE_SIZE 8
#define OTHER (FRAME_VM + 7)
#define RING(q) (0x1000ull * (1 + (q)))
#define LIST 0x8000ull

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t free_frames, used_pages;
static bool is_packed;
static uint16_t offered[QUEUES];

static void work(void)
{
	for (int i = 0; i < WORK_MAX; i++) {
		bool more = vm_work(vm);

		for (uint32_t j = 0; j < vm->vcpu_count; j++)
			vcpu_obey(vm->vcpus[j]);
		if (!more)
			return;
	}
	/* A guest may give its home work without end, but not when it rests. */
	require(!vm_state_rests(vm->state));
}

static void set_register(uint32_t offset, uint32_t size, uint64_t value)
{
	lock_take(&vm->device_lock);
	guest_pci_write(vm,
			gpa(MULL_GUEST_PCI_MEMORY +
			    SLOT * (MULL_GUEST_PCI_MEMORY_SIZE / PCI_SLOTS) +
			    offset),
			size, value);
	lock_give(&vm->device_lock);
}

static void start_driver(bool packed)
{
	is_packed = packed;
	memset(offered, 0, sizeof offered);
	guest_zero(&vm->memory, gpa(RING(0)), QUEUES * 0x1000);
	lock_take(&vm->device_lock);
	guest_pci_write(vm, gpa(MULL_GUEST_ECAM + (SLOT << 15) + 4), 2, 2);
	lock_give(&vm->device_lock);
	set_register(0x14, 1, 0);
	/* A reset takes until the home CPU has emptied the balloon; what is
	 * written to the device before is not heard. */
	work();
	set_register(0x08, 4, 0);
	set_register(0x0c, 4, any(1) & 3);
	set_register(0x08, 4, 1);
	set_register(0x0c, 4, 1 | (is_packed ? PACKED >> 32 : 0));
	set_register(0x14, 1, 11);
	for (uint32_t q = 0; q < QUEUES; q++) {
		set_register(0x16, 2, q);
		set_register(0x18, 2, QUEUE_SIZE);
		set_register(0x20, 8, RING(q));
		set_register(0x28, 8, RING(q) + 0x200);
		set_register(0x30, 8, RING(q) + 0x400);
		set_register(0x1c, 2, 1);
	}
	set_register(0x14, 1, 15);
}

/* Mostly runs of pages, so that frames come whole. */
static uint32_t write_list(void)
{
	uint32_t first = (uint32_t)any(2) % (FRAMES * BALLOON_PAGES + 8);
	uint32_t count = (uint32_t)any(2) % (2 * BALLOON_PAGES);
	static uint32_t numbers[2 * BALLOON_PAGES];

	if (any(1) & 1) {
		first = first / BALLOON_PAGES * BALLOON_PAGES;
		count = BALLOON_PAGES;
	}
	for (uint32_t i = 0; i < count; i++)
		numbers[i] = first + i;
	if (any(1) == 0)
		numbers[0] = (uint32_t)any(4);
	guest_write(&vm->memory, gpa(LIST), numbers, count * 4);
	return count * 4;
}

struct descriptor {
	uint64_t at;
	uint32_t length;
	uint16_t words[2]; /* flags and next, or an id and flags */
};

static void offer_split(uint32_t q, struct descriptor descriptor)
{
	uint16_t head = offered[q] % QUEUE_SIZE, index = ++offered[q];

	guest_write(&vm->memory, gpa(RING(q) + 16u * head), &descriptor,
		    sizeof descriptor);
	guest_store_16(&vm->memory, gpa(RING(q) + 0x204 + 2u * head), head);
	guest_store_16(&vm->memory, gpa(RING(q) + 0x202), index);
}

static void offer_packed(uint32_t q, struct descriptor descriptor)
{
	uint16_t place = offered[q]++;

	descriptor.words[1] = descriptor.words[0] |
			      packed_offer_bits(place, QUEUE_SIZE);
	descriptor.words[0] = place;
	guest_write(&vm->memory, gpa(RING(q) + 16u * (place % QUEUE_SIZE)),
		    &descriptor, sizeof descriptor);
}

static void offer_descriptor(uint32_t q, struct descriptor descriptor)
{
	if (is_packed)
		offer_packed(q, descriptor);
	else
		offer_split(q, descriptor);
	set_register(0x3000 + 4 * q, 2, q);
}

static void offer(uint32_t q)
{
	struct descriptor descriptor = { LIST, write_list(), { 0, 0 } };

	descriptor.words[0] = any(1) ? 0 : 2;
	if (any(1) == 0)
		descriptor.length = (uint32_t)any(4);
	offer_descriptor(q, descriptor);
}

/* Whether the device gave back all that was offered, @count chains. */
static bool is_used(uint32_t q, uint16_t count)
{
	uint16_t place = (uint16_t)(count - 1), got, wanted;

	if (!is_packed)
		return guest_load_16(&vm->memory, gpa(RING(q) + 0x402), &got) ==
			       ERR_NONE &&
		       got == count;
	wanted = place / QUEUE_SIZE % 2 ? 0 : PACKED_BITS;
	return guest_load_16(&vm->memory,
			     gpa(RING(q) + 16u * (place % QUEUE_SIZE) + 14),
			     &got) == ERR_NONE &&
	       (got & PACKED_BITS) == wanted;
}

static void other_takes(void)
{
	uint32_t frame;

	frame_take(OTHER, 1, &frame);
}

static void other_gives(void)
{
	for (uint32_t i = 0; i < POOL_FRAMES + 1; i++)
		if (frame_owner_of(i) == OTHER) {
			frame_give(OTHER, i);
			return;
		}
}

static void step(void)
{
	switch (any(1) % 12) {
	case 0:
		start_driver(any(1) & 1);
		break;
	case 1:
	case 2:
	case 3:
		offer(0);
		break;
	case 4:
	case 5:
		offer(1);
		break;
	case 6:
		offer(2);
		balloon_ask(vm);
		break;
	case 7:
		other_takes();
		break;
	case 8:
		other_gives();
		break;
	case 9:
		vm_balloon_touch(vm, gpa(any(2) * KIB(64)));
		break;
	case 10:
		balloon_set_target(vm, (uint32_t)any(1) % (FRAMES + 1));
		set_register((uint32_t)any(2) % 0x6000, 4, any(4));
		break;
	case 11:
		if (any(1) & 1)
			vm_command(vm, MULL_COMMAND_RESET);
		fake_time += any(3) * 16;
		break;
	}
	if (any(1) & 1)
		work();
	else
		vm_work(vm);
}

/* The pages that are lent are counted rightly: a frame's, and all. */
static void check_lent(const struct balloon *balloon)
{
	uint32_t lent = 0;

	for (uint32_t i = 0; i < FRAMES; i++) {
		uint32_t bits = 0;

		for (uint32_t j = 0; j < BALLOON_PAGES / 64; j++)
			bits += (uint32_t)__builtin_popcountll(
				balloon->pages[i][j]);
		require(!balloon->counts[i] || balloon->counts[i] == bits);
		lent += balloon->counts[i];
	}
	require(lent == atomic_load(&balloon->lent));
}

/* Each frame that the guest reaches is its own, and no two are the same. */
static void check(void)
{
	uint32_t own = 0, gone = 0;

	if (!vm->stage2.value)
		return;
	for (uint32_t i = 0; i < FRAMES; i++) {
		uint32_t frame = vm->frames[i] & ~GUEST_HOLE;

		gone += vm->frames[i] == GUEST_HOLE;
		if (vm->frames[i] == GUEST_HOLE)
			continue;
		require(frame_owner_of(frame) == FRAME_VM);
		for (uint32_t j = 0; j < i; j++)
			require((vm->frames[j] & ~GUEST_HOLE) != frame);
	}
	for (uint32_t i = 0; i <= POOL_FRAMES; i++)
		own += frame_owner_of(i) == FRAME_VM;
	require(own == FRAMES - gone + vm->balloon->has_frame);
	require(gone == atomic_load(&vm->balloon->gone));
	check_lent(vm->balloon);
}

/* A driver that starts anew is served, through its ring more than twice. */
static void require_health(bool packed)
{
	uint32_t page = 16; /* behind the list; the guest has it */

	for (uint32_t i = 0; i < POOL_FRAMES; i++)
		other_gives();
	for (int i = 0; i < FRAMES; i++) {
		fake_time += 1000 * arch_time_khz(); /* it looks again */
		work();
	}
	start_driver(packed);
	if (vm->state != MULL_VM_RUNNING)
		return;
	guest_write(&vm->memory, gpa(LIST), &page, sizeof page);
	for (uint16_t i = 1; i <= 2 * QUEUE_SIZE + 1; i++) {
		offer_descriptor(1, (struct descriptor){ LIST, 4, { 0, 0 } });
		work();
		if (vm->state != MULL_VM_RUNNING)
			return;
		require(is_used(1, i));
	}
}

static void end(void)
{
	vm_command(vm, MULL_COMMAND_STOP);
	for (int i = 0; i < 3; i++)
		work();
	require(vm_state_rests(vm->state));
	vm_destroy(vm);
	require(frames_free() == free_frames);
	require(pages_in_use() == used_pages);
}

static void make(void)
{
	static struct mull_vm description = {
		.name = "guest",
		.memory_size = FRAMES * FRAME_SIZE,
		.memory_least = 1,
		.flags = MULL_VM_ELASTIC,
		.vcpu_count = 2,
		.on_poweroff = MULL_END_STOP,
		.on_reset = MULL_END_RESTART,
		.on_crash = MULL_END_RESTART,
		.console_size = KIB(4),
		.cpus = { 0, 1 },
	};

	fake_time = 1000;
	fake_cpu_count = 2;
	fake_virt.mapping_count = 0;
	vm = vm_create(&description, 0, NULL);
	require(vm);
	vcpu = vm->vcpus[0];
	vm_command(vm, MULL_COMMAND_START);
	work();
	require(vm->state == MULL_VM_RUNNING);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool started;

	if (!started) {
		start_pool(POOL_FRAMES);
		started = true;
		free_frames = frames_free();
		used_pages = pages_in_use();
	}
	input.data = data;
	input.size = size;
	make();
	start_driver(any(1) & 1);
	for (int i = 0; i < STEPS_MAX && input.size; i++) {
		fake_virt.mapping_count = 0;
		step();
		check();
	}
	require_health(!is_packed);
	end();
	return 0;
}
