/* SPDX-License-Identifier: MIT */
#include "guest_fixture.h"

#include <mullion/guest.h>
#include <mullion/shared_port.h>

#define HOLE 0xc8000000
#define LOAD_EAX "\x8b\x05"  /* MOV EAX, [disp32] */
#define STORE_EAX "\x89\x05" /* MOV [disp32], EAX */

static void leave(struct exit_memory memory)
{
	const struct vm_exit exit = { .kind = EXIT_MEMORY, .memory = memory };

	exit_handle(&vcpu, &exit);
}

static void put_access(const char *opcode, uint32_t address)
{
	char bytes[6];

	memcpy(bytes, opcode, 2);
	memcpy(bytes + 2, &address, 4);
	put(vcpu.rip, bytes, sizeof bytes);
}

static uint32_t load(uint32_t address)
{
	put_access(LOAD_EAX, address);
	vcpu.gpr[RAX] = 0x1122334455667788;
	leave((struct exit_memory){ .address = gpa(address), .read = true });
	assert_int_equal(vcpu.gpr[RAX] >> 32, 0);
	return (uint32_t)vcpu.gpr[RAX];
}

static void store(uint32_t address, uint32_t value)
{
	put_access(STORE_EAX, address);
	vcpu.gpr[RAX] = value;
	leave((struct exit_memory){ .address = gpa(address), .write = true });
}

static void the_hole_reads_as_ones_and_swallows_writes(void **state)
{
	(void)state;
	assert_int_equal(load(HOLE), 0xffffffff);
	assert_int_equal(vcpu.rip, CODE + 6);
	store(HOLE, 5);
	assert_int_equal(vcpu.rip, CODE + 12);
	assert_int_equal(ends, 0);
	assert_int_equal(complaints, 2);
	assert_int_equal(exception(), 0xff);
}

static void shared_memory_that_may_only_be_read_stays(void **state)
{
	static const uint32_t frame = 7;
	static struct shared_ports shared;
	uint32_t *bytes = fake_memory(hpa(7ull << 21));

	(void)state;
	memset(&shared, 0, sizeof shared);
	shared.count = shared.view.region_count = 1;
	shared.view.regions[0] = (struct guest_region){
		.start = gpa(MULL_GUEST_SHARED), .size = 4096, .frames = &frame
	};
	vm.shared = &shared;
	bytes[3] = 42;
	assert_int_equal(load(MULL_GUEST_SHARED + 12), 42);
	assert_int_equal(complaints, 0);
	store(MULL_GUEST_SHARED + 12, 43);
	assert_int_equal(bytes[3], 42);
	assert_int_equal(complaints, 1);
	assert_int_equal(shared.ports[0].refused, 1);
	shared.ports[0].writable = true; /* an exit of MOVS to here */
	store(MULL_GUEST_SHARED + 12, 43);
	assert_int_equal(bytes[3], 43);
	assert_int_equal(complaints, 1);
	assert_int_equal(load(MULL_GUEST_SHARED + 4096), ~0u);
	store(MULL_GUEST_SHARED + 4096, 9);
	assert_int_equal(bytes[1024], 0);
	assert_int_equal(complaints, 3);
	assert_int_equal(ends, 0);
	vm.shared = NULL;
}

static void the_local_apic_answers(void **state)
{
	(void)state;
	store(0xfee000f0, 0x1ff);
	assert_int_equal(load(0xfee000f0), 0x1ff);
	vcpu.index = 3;
	local_apic_reset(&vcpu);
	assert_int_equal(load(0xfee00020), 3 << 24);
	assert_int_equal(complaints, 0);
}

static void in_x2apic_mode_its_page_is_empty(void **state)
{
	(void)state;
	vcpu.apic.base |= BIT(10);
	assert_int_equal(load(0xfee000f0), 0xffffffff);
	store(0xfee000f0, 0x1ff);
	vcpu.apic.base &= ~BIT(10);
	assert_int_equal(load(0xfee000f0), 0xff);
	vcpu.apic.base &= ~(BIT(10) | BIT(11)); /* switched off */
	assert_int_equal(load(0xfee000f0), 0xffffffff);
	assert_int_equal(complaints, 3);
}

static void the_io_apic_answers(void **state)
{
	(void)state;
	store(MULL_GUEST_IO_APIC, 0x12);
	store(MULL_GUEST_IO_APIC + 0x10, 0x1004f);
	assert_int_equal(vm.io_apic.entries[1], 0x1004f);
	assert_int_equal(load(MULL_GUEST_IO_APIC + 0x10), 0x1004f);
	assert_int_equal(complaints, 0);
	assert_false(atomic_flag_test_and_set(&vm.device_lock.held));
}

static void the_pci_bus_answers(void **state)
{
	(void)state;
	/* Nobody is there: as a bus without functions, and no complaint. */
	assert_int_equal(load(MULL_GUEST_ECAM), 0xffffffff);
	store(MULL_GUEST_ECAM, 0);
	assert_int_equal(load(MULL_GUEST_PCI_MEMORY), 0xffffffff);
	store(MULL_GUEST_PCI_MEMORY, 0);
	assert_int_equal(complaints, 0);
	assert_int_equal(ends, 0);
	assert_false(atomic_flag_test_and_set(&vm.device_lock.held));
}

/* Each page answers for its own bytes. */
static void an_access_across_a_devices_end_is_split(void **state)
{
	(void)state;
	assert_int_equal(load(MULL_GUEST_LOCAL_APIC + 0xffe) >> 16, 0xffff);
	assert_int_equal(load(MULL_GUEST_LOCAL_APIC - 2) & 0xffff, 0xffff);
	assert_int_equal(load(MULL_GUEST_IO_APIC + 0xffe) >> 16, 0xffff);
	assert_int_equal(complaints, 3);
	assert_int_equal(ends, 0);
}

static void a_single_step_ends_behind_the_access(void **state)
{
	(void)state;
	vcpu.rflags |= RFLAGS_TF;
	load(HOLE);
	assert_int_equal(exception(), 1);
	assert_int_equal(fake_virt.system.dr6, BIT(14));
}

static void what_cannot_go_on_ends_the_vm(void **state)
{
	(void)state;
	leave((struct exit_memory){ .address = gpa(HOLE), .fetch = true });
	assert_int_equal(end_reason, MULL_END_BAD_EXIT);
	assert_string_equal(end_words, "it jumped at 0xc8000000, where there "
				       "is no memory (vCPU 0, RIP 0x10000)");
	leave((struct exit_memory){
		.address = gpa(HOLE), .read = true, .in_page_walk = true });
	assert_non_null(strstr(end_words, "page tables"));
	fake_virt.event_pending = true;
	leave((struct exit_memory){ .address = gpa(HOLE), .write = true });
	assert_non_null(strstr(end_words, "delivery"));
	assert_int_equal(ends, 3);
	assert_int_equal(vcpu.rip, CODE);
}

static void what_is_not_emulated_is_an_invalid_opcode(void **state)
{
	(void)state;
	put_code("\x0f\x10\x05\x00\x00\x00\xd0"); /* MOVUPS */
	leave((struct exit_memory){ .address = gpa(HOLE), .read = true });
	assert_int_equal(exception(), 6);
	assert_int_equal(vcpu.rip, CODE);
	assert_int_equal(complaints, 1);
}

static void an_instruction_that_is_gone_is_tried_again(void **state)
{
	const struct vcpu before = vcpu;

	(void)state;
	fake_virt.system.cr0 = 0x80000001; /* no tables: nothing is mapped */
	leave((struct exit_memory){ .address = gpa(HOLE), .read = true });
	assert_memory_equal(&vcpu, &before, sizeof vcpu);
	assert_int_equal(ends, 0);
}

/* Code that runs from what is no RAM could not have run. */
static void code_outside_of_memory_ends_the_vm(void **state)
{
	(void)state;
	vcpu.rip = HOLE;
	leave((struct exit_memory){ .address = gpa(HOLE), .read = true });
	assert_int_equal(ends, 1);
	assert_int_equal(end_reason, MULL_END_BAD_EXIT);
}

/* PUSH [HOLE] with a stack that has no limit left. */
static void the_guest_gets_the_faults_that_it_earned(void **state)
{
	(void)state;
	put_code("\xff\x35\x00\x00\x00\xd0");
	fake_virt.system.segments[SEGMENT_SS].attributes = FLAT_DATA & ~BIT(10);
	fake_virt.system.segments[SEGMENT_SS].limit = 0xff;
	vcpu.gpr[RSP] = 0x200;
	leave((struct exit_memory){ .address = gpa(HOLE), .read = true });
	assert_int_equal(exception(), 12);
	assert_int_equal(vcpu.rip, CODE);
	assert_int_equal(vcpu.gpr[RSP], 0x200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_hole_reads_as_ones_and_swallows_writes),
		TEST(shared_memory_that_may_only_be_read_stays),
		TEST(the_local_apic_answers),
		TEST(in_x2apic_mode_its_page_is_empty),
		TEST(the_io_apic_answers),
		TEST(the_pci_bus_answers),
		TEST(an_access_across_a_devices_end_is_split),
		TEST(a_single_step_ends_behind_the_access),
		TEST(what_cannot_go_on_ends_the_vm),
		TEST(what_is_not_emulated_is_an_invalid_opcode),
		TEST(an_instruction_that_is_gone_is_tried_again),
		TEST(code_outside_of_memory_ends_the_vm),
		TEST(the_guest_gets_the_faults_that_it_earned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
