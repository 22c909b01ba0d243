/* SPDX-License-Identifier: MIT */
/* Shared memory as its PCI device, and the doorbells that it rings. */
#include "shared_vms.h"

#define SLOT 24
#define CONFIG (MULL_GUEST_ECAM + (SLOT << 15))
#define COMMAND 4
#define BAR_REGISTERS 0x10
#define BAR_MSIX 0x14
#define BAR_MEMORY 0x18
#define MASK 0
#define STATUS 4
#define POSITION 8
#define DOORBELL 12

static uint64_t config_read(uint32_t index, uint32_t at, uint32_t size)
{
	return guest_pci_read(vms[index], gpa(CONFIG + at), size);
}

static void config_write(uint32_t index, uint32_t at, uint32_t size,
			 uint64_t value)
{
	guest_pci_write(vms[index], gpa(CONFIG + at), size, value);
}

static gpa_t bar(uint32_t index, uint32_t at, uint32_t offset)
{
	return gpa((config_read(index, at, 4) & ~15ull) + offset);
}

static void ring_by_register(uint32_t index, uint32_t value)
{
	guest_pci_write(vms[index], bar(index, BAR_REGISTERS, DOORBELL), 4,
			value);
}

static void drive(uint32_t index, uint32_t doorbell, uint8_t vector)
{
	uint32_t at = (uint32_t)config_read(index, 0x34, 1);
	gpa_t entry;

	config_write(index, COMMAND, 2, 2);
	entry = bar(index, BAR_MSIX, 16 * doorbell);
	guest_pci_write(vms[index], entry, 4, MULL_GUEST_LOCAL_APIC);
	guest_pci_write(vms[index], gpa(entry.value + 8), 4, vector);
	guest_pci_write(vms[index], gpa(entry.value + 12), 4, 0);
	config_write(index, at + 2, 2, 0x8000);
}

static void a_doorbell_wakes_the_other_once(void **state)
{
	(void)state;
	start_both();
	drive(READER, 2, 0x55);
	drive(WRITER, 0, 0x44);
	memset(fake_kicks, 0, sizeof fake_kicks);
	ring_by_register(WRITER, 1 << 16 | 2);
	ring_by_register(WRITER, 1 << 16 | 2);
	ring_by_register(WRITER, 1 << 16 | 3);
	assert_int_equal(fake_kicks[READER], 1);
	assert_int_equal(fake_kicks[WRITER], 0);
	assert_false(interrupted(READER, 0, 0x55));
	vm_work(vms[WRITER]);
	assert_false(interrupted(READER, 0, 0x55));
	vm_work(vms[READER]);
	assert_true(interrupted(READER, 0, 0x55));
	assert_false(interrupted(READER, 0, 0x55));
	assert_int_equal(port(READER)->rings, 2);
	memset(fake_kicks, 0, sizeof fake_kicks);
	ring_by_register(WRITER, 1 << 16 | 2);
	assert_int_equal(fake_kicks[READER], 1);
	vm_work(vms[READER]);
	assert_true(interrupted(READER, 0, 0x55));
	/* Who may not write may ring, and one may ring at home. */
	ring_by_register(READER, 0);
	vm_work(vms[WRITER]);
	assert_true(interrupted(WRITER, 0, 0x44));
	ring_by_register(WRITER, 0);
	vm_work(vms[WRITER]);
	assert_true(interrupted(WRITER, 0, 0x44));
}

static void nobody_else_can_be_rung(void **state)
{
	static const uint32_t targets[] = {
		2 << 16, STRANGER << 16, 31 << 16,     32 << 16,
		~0u,	 0x80000000,	 1 << 16 | 4,  4,
		0xffff,	 33 << 16,	 1 << 16 | 77, 1 << 16 | 0x8000
	};

	(void)state;
	start_both();
	start_vm(STRANGER);
	drive(WRITER, 0, 0x44);
	memset(fake_kicks, 0, sizeof fake_kicks);
	for (size_t i = 0; i < ARRAY_COUNT(targets); i++) {
		ring_by_register(WRITER, targets[i]);
		assert_int_equal(
			shared_memory_ring(port(WRITER)->memory, targets[i]),
			ERR_NOT_FOUND);
	}
	for (uint32_t i = 0; i < MULL_CPU_MAX; i++)
		assert_int_equal(fake_kicks[i], 0);
	for (uint32_t i = 0; i < MULL_VM_MAX; i++)
		assert_int_equal(port(WRITER)->memory->peers[i].rung, 0);
}

static void a_peer_that_goes_is_rung_no_more(void **state)
{
	(void)state;
	start_vm(WRITER);
	assert_int_equal(shared_memory_peers(port(WRITER)->memory), 3);
	shared_memory_ring(port(WRITER)->memory, 1 << 16);
	vm_destroy(vms[READER]);
	assert_int_equal(port(WRITER)->memory->peers[1].rung, 0);
	assert_int_equal(shared_memory_peers(port(WRITER)->memory), 1);
	assert_int_equal(shared_memory_ring(port(WRITER)->memory, 1 << 16),
			 ERR_NOT_FOUND);
	assert_non_null(make(READER, "reader"));
	assert_int_equal(port(READER)->peer, 1);
	assert_int_equal(shared_memory_ring(port(WRITER)->memory, 1 << 16),
			 ERR_NONE);
}

static void a_new_guest_does_not_hear_what_the_last_was_rung(void **state)
{
	(void)state;
	start_vm(WRITER);
	drive(WRITER, 0, 0x44);
	/* It rests, and keeps nobody from running. */
	shared_memory_ring(port(WRITER)->memory, 1 << 16);
	assert_false(vm_work(vms[READER]));
	start_vm(READER);
	drive(READER, 0, 0x55);
	vm_work(vms[READER]);
	assert_false(interrupted(READER, 0, 0x55));
	assert_int_equal(port(READER)->rings, 0);
	shared_memory_ring(port(WRITER)->memory, 1 << 16);
	vm_work(vms[READER]);
	assert_true(interrupted(READER, 0, 0x55));
}

static void one_that_is_masked_waits(void **state)
{
	gpa_t control;

	(void)state;
	start_both();
	drive(READER, 1, 0x55);
	control = bar(READER, BAR_MSIX, 16 + 12);
	guest_pci_write(vms[READER], control, 4, 1);
	ring_by_register(WRITER, 1 << 16 | 1); /* no decoding: lost */
	drive(WRITER, 0, 0x44);
	ring_by_register(WRITER, 1 << 16 | 1);
	vm_work(vms[READER]);
	assert_false(interrupted(READER, 0, 0x55));
	assert_int_equal(
		guest_pci_read(vms[READER], bar(READER, BAR_MSIX, 0x800), 4),
		2);
	guest_pci_write(vms[READER], control, 4, 0);
	assert_true(interrupted(READER, 0, 0x55));
}

/* ---- the PCI device ------------------------------------------------------- */

static void drivers_know_the_device(void **state)
{
	(void)state;
	start_both();
	assert_int_equal(config_read(WRITER, 0, 4), 0x11101af4);
	assert_int_equal(config_read(WRITER, 8, 4), 0x05000001);
	assert_int_equal(config_read(WRITER, 0x2c, 4), 0x11101af4);
	assert_int_equal(config_read(STRANGER, 0, 4), 0xffffffff);
	assert_int_equal(config_read(WRITER, BAR_MEMORY, 8),
			 MULL_GUEST_SHARED | 0xc);
	assert_int_equal(
		config_read(WRITER, config_read(WRITER, 0x34, 1) + 4, 4),
		1); /* the table, in BAR 1 */
	config_write(READER, COMMAND, 2, 2);
	assert_int_equal(guest_pci_read(vms[READER],
					bar(READER, BAR_REGISTERS, POSITION),
					4),
			 1);
	guest_pci_write(vms[READER], bar(READER, BAR_REGISTERS, MASK), 4, 5);
	assert_int_equal(guest_pci_read(vms[READER],
					bar(READER, BAR_REGISTERS, MASK), 4),
			 5);
	for (uint32_t offset = 0; offset < 256; offset += 2) {
		gpa_t at = bar(READER, BAR_REGISTERS, offset);

		assert_int_equal(guest_pci_read(vms[READER], at, 2), 0xffff);
		guest_pci_write(vms[READER], at, 2, ~0u);
		if (offset % 4 == 0 && offset != MASK && offset != POSITION)
			assert_int_equal(guest_pci_read(vms[READER], at, 4), 0);
	}
}

static void its_memory_tells_its_size_and_stays(void **state)
{
	static const uint32_t moves[] = { 0,	      0xd0000000, 0xfee00000,
					  0xc0002000, 0xfffe0000, 0x12345678 };

	(void)state;
	start_both();
	config_write(WRITER, BAR_MEMORY, 4, ~0u);
	assert_int_equal(config_read(WRITER, BAR_MEMORY, 4),
			 ~(uint32_t)(SIZE - 1) | 0xc);
	config_write(WRITER, BAR_MEMORY + 4, 4, ~0u);
	assert_int_equal(config_read(WRITER, BAR_MEMORY + 4, 4), ~0u);
	config_write(WRITER, BAR_MEMORY, 4, MULL_GUEST_SHARED);
	config_write(WRITER, BAR_MEMORY + 4, 4, 0);
	for (size_t i = 0; i < ARRAY_COUNT(moves); i++) {
		config_write(WRITER, BAR_MEMORY, 4, moves[i]);
		config_write(WRITER, BAR_MEMORY + 4, 4, moves[i] & ~1u);
		assert_int_equal(config_read(WRITER, BAR_MEMORY, 8),
				 MULL_GUEST_SHARED | 0xc);
	}
	for (uint32_t i = 0; i < 8; i++)
		config_write(WRITER, BAR_MEMORY + i, 1, 0x5a);
	assert_int_equal(config_read(WRITER, BAR_MEMORY, 8),
			 MULL_GUEST_SHARED | 0xc);
	/* Those behind it are none. */
	config_write(WRITER, BAR_MEMORY + 8, 8, ~0ull);
	assert_int_equal(config_read(WRITER, BAR_MEMORY + 8, 8), 0);
	/* The others move. */
	config_write(WRITER, BAR_MSIX, 4, ~0u);
	assert_int_equal(config_read(WRITER, BAR_MSIX, 4), 0xfffff000);
	config_write(WRITER, BAR_REGISTERS, 4, ~0u);
	assert_int_equal(config_read(WRITER, BAR_REGISTERS, 4), 0xffffff00);
	config_write(WRITER, BAR_REGISTERS, 4, 0xd1000000);
	config_write(WRITER, COMMAND, 2, 2);
	assert_int_equal(guest_pci_read(vms[WRITER], gpa(0xd1000000 + 8), 4),
			 0);
	assert_int_equal(fake_virt.mapping_count, 4); /* none came or went */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		THREE(a_doorbell_wakes_the_other_once),
		THREE(nobody_else_can_be_rung),
		THREE(a_peer_that_goes_is_rung_no_more),
		THREE(a_new_guest_does_not_hear_what_the_last_was_rung),
		THREE(one_that_is_masked_waits),
		THREE(drivers_know_the_device),
		THREE(its_memory_tells_its_size_and_stays),
	};

	return cmocka_run_group_tests(tests, start_memory, NULL);
}
