/* SPDX-License-Identifier: MIT */
/* Three VMs: two name a memory, one of them to read it only; one does not. */
#include "vm_life.h"

#include <mullion/exits.h>
#include <mullion/guest.h>
#include <mullion/shared_port.h>

#define WRITER 0
#define READER 1
#define STRANGER 2
#define SIZE KIB(8)
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
#define RESULT 0x20000 /* in the guest's memory */

static void share(struct mull_vm *description, uint32_t index, const char *name,
		  uint64_t size, uint32_t flags)
{
	struct mull_shared *shared = &description->shared[index];

	strcpy(shared->name, name);
	shared->size = size;
	shared->flags = flags;
}

static struct vm *make(uint32_t index, const char *name)
{
	strcpy(boot_package.vms[index].name, name);
	boot_package.vms[index].cpus[0] = (uint16_t)index;
	return vm_create(&boot_package.vms[index], index, NULL);
}

static void clean(void)
{
	for (int i = 0; shared_memory_clean(); i++)
		assert_in_range(i, 0, 10000);
}

static int three_vms(void **state)
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

static int destroy_all(void **state)
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

static void start_vm(uint32_t index)
{
	vm = vms[index];
	start();
	assert_int_equal(vm->state, MULL_VM_RUNNING);
	for (uint32_t i = 0; i < vm->vcpu_count; i++)
		local_apic_mmio_write(vm->vcpus[i], 0xf0, 4, 0x1ff);
}

static void stop_vm(uint32_t index)
{
	vm = vms[index];
	vm_command(vm, MULL_COMMAND_STOP);
	finish();
	assert_int_equal(vm->state, MULL_VM_STOPPED);
}

static void start_both(void)
{
	start_vm(WRITER);
	start_vm(READER);
}

static struct shared_port *port(uint32_t index)
{
	return &vms[index]->shared->ports[0];
}

static uint8_t *bytes(void)
{
	return frame_bytes(port(WRITER)->memory->frames[0]);
}

/* ---- who has it ----------------------------------------------------------- */

static const struct fake_mapping *mapping_at(uint32_t index, uint64_t at)
{
	for (uint32_t i = 0; i < fake_virt.mapping_count; i++)
		if (fake_virt.mappings[i].root.value ==
			    vms[index]->stage2.value &&
		    fake_virt.mappings[i].at.value == at)
			return &fake_virt.mappings[i];
	return NULL;
}

static void each_has_it_with_its_own_rights(void **state)
{
	const struct fake_mapping *writes, *reads;

	(void)state;
	start_both();
	start_vm(STRANGER);
	writes = mapping_at(WRITER, MULL_GUEST_SHARED);
	reads = mapping_at(READER, MULL_GUEST_SHARED);
	assert_non_null(writes);
	assert_non_null(reads);
	assert_null(mapping_at(STRANGER, MULL_GUEST_SHARED));
	assert_null(vms[STRANGER]->shared);
	assert_int_equal(writes->rights, STAGE2_WRITE);
	assert_int_equal(reads->rights, STAGE2_READ);
	assert_int_equal(writes->to.value, reads->to.value);
	/* Of its frame, not a byte more. */
	assert_int_equal(writes->size, SIZE);
	assert_int_equal(reads->size, SIZE);
	assert_int_equal(frame_owner_of(port(WRITER)->memory->frames[0]),
			 FRAME_SHARED);
	assert_string_equal(shared_memory_name(FRAME_SHARED), "ring");
	assert_null(shared_memory_name(FRAME_SHARED + 1));
	assert_null(shared_memory_name(FRAME_VM));
}

static void a_large_one_has_all_its_frames(void **state)
{
	uint64_t free;

	(void)state;
	vm_destroy(vms[STRANGER]);
	free = frames_free();
	share(&boot_package.vms[STRANGER], 0, "ring", SIZE, 0);
	share(&boot_package.vms[STRANGER], 1, "large", MIB(8),
	      MULL_SHARED_WRITE);
	assert_non_null(make(STRANGER, "stranger"));
	assert_int_equal(free - frames_free(), 4);
	clean();
	start_vm(STRANGER);
	for (uint64_t i = 0; i < 4; i++) {
		uint64_t at = MULL_GUEST_SHARED + MULL_SHARED_SIZE_MAX +
			      i * FRAME_SIZE;
		const struct fake_mapping *mapping = mapping_at(STRANGER, at);

		assert_non_null(mapping);
		assert_int_equal(mapping->size, FRAME_SIZE);
		assert_int_equal(frame_owner_of((uint32_t)(mapping->to.value >>
							   FRAME_SHIFT)),
				 FRAME_SHARED + 1);
	}
}

static void nothing_stays_of_one_that_cannot_be_made(void **state)
{
	uint64_t free;

	(void)state;
	start_both();
	free = frames_free();
	vm_destroy(vms[STRANGER]);
	share(&boot_package.vms[STRANGER], 0, "ring", SIZE, 0);
	for (uint32_t i = 1; i < MULL_SHARED_MAX; i++) {
		char name[2] = { (char)('a' + i), 0 };

		share(&boot_package.vms[STRANGER], i, name,
		      MULL_SHARED_SIZE_MAX, 0);
	}
	for (int i = 0; i < 200; i++) { /* the pool has not three times 32 */
		assert_null(make(STRANGER, "stranger"));
		clean();
	}
	assert_int_equal(frames_free(), free);
	assert_int_equal(shared_memory_peers(port(WRITER)->memory), 3);
}

/* ---- when it is zero ------------------------------------------------------ */

static bool all_zero(void)
{
	for (uint64_t i = 0; i < SIZE; i++)
		if (bytes()[i])
			return false;
	return true;
}

static void none_starts_before_it_is_zero(void **state)
{
	(void)state;
	start_vm(WRITER);
	memset(bytes(), 0xaa, SIZE);
	stop_vm(WRITER);
	assert_false(all_zero());
	vm = vms[READER];
	vm_command(vm, MULL_COMMAND_START);
	for (int i = 0; i < 1000; i++)
		vm_work(vm);
	assert_int_equal(vm->state, MULL_VM_STARTING);
	notices = 0;
	clean();
	assert_true(all_zero());
	work();
	assert_int_equal(vm->state, MULL_VM_RUNNING);
	assert_int_equal(loads, 2);
}

static void a_start_that_waits_can_be_stopped(void **state)
{
	(void)state;
	start_vm(WRITER);
	stop_vm(WRITER);
	vm = vms[READER];
	vm_command(vm, MULL_COMMAND_START);
	for (int i = 0; i < 1000; i++)
		vm_work(vm);
	stop_vm(READER);
	assert_int_equal(port(READER)->memory->users, 0);
	clean();
	start_both();
}

static void it_stays_while_one_lives(void **state)
{
	(void)state;
	start_both();
	bytes()[5] = 7;
	vm = vms[WRITER];
	vm_command(vm, MULL_COMMAND_RESET);
	finish();
	obey_all();
	clean();
	assert_int_equal(vm->state, MULL_VM_RUNNING);
	assert_int_equal(bytes()[5], 7);
	stop_vm(WRITER);
	clean();
	assert_int_equal(bytes()[5], 7);
	start_vm(WRITER);
	stop_vm(READER);
	clean();
	assert_int_equal(bytes()[5], 7);
	notices = 0;
	stop_vm(WRITER);
	assert_true(notices > 0); /* who zeroes it hears of that */
	clean();
	assert_true(all_zero());
}

static void its_frames_are_free_when_nobody_names_it(void **state)
{
	uint32_t frame = port(WRITER)->memory->frames[0];

	(void)state;
	start_vm(WRITER);
	memset(bytes(), 0xaa, SIZE);
	stop_vm(WRITER);
	vm_destroy(vms[READER]);
	clean();
	assert_int_equal(frame_owner_of(frame), FRAME_SHARED);
	start_vm(WRITER);
	memset(bytes(), 0xaa, SIZE);
	stop_vm(WRITER);
	vm_destroy(vms[WRITER]);
	/* Not before they are zero; who asks for that name has another. */
	assert_int_equal(frame_owner_of(frame), FRAME_SHARED);
	assert_non_null(make(READER, "reader"));
	assert_int_not_equal(port(READER)->memory->frames[0], frame);
	clean();
	assert_int_equal(frame_owner_of(frame), FRAME_FREE);
	assert_int_equal(frame_bytes(frame)[0], 0);
	assert_int_equal(frame_bytes(frame)[SIZE - 1], 0);
}

/* ---- doorbells ------------------------------------------------------------ */

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

/* Whether @vector is requested of @index's vCPU, which takes it. */
static bool interrupted(uint32_t index, uint32_t vcpu, uint8_t vector)
{
	struct local_apic *apic = &vms[index]->vcpus[vcpu]->apic;

	local_apic_take_posted(apic);
	if (local_apic_pending(apic) != vector)
		return false;
	local_apic_accept(apic, vector);
	local_apic_mmio_write(vms[index]->vcpus[vcpu], 0xb0, 4, 0);
	return true;
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
	vm_destroy(vms[READER]);
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

/* ---- accesses that exit --------------------------------------------------- */

static void a_reader_writes_nothing(void **state)
{
	uint64_t value;
	bool refused;

	(void)state;
	start_both();
	assert_true(shared_ports_write(vms[WRITER], gpa(MULL_GUEST_SHARED),
				       0x1122334455667788, 8, &refused));
	assert_false(refused);
	assert_int_equal(*(uint64_t *)bytes(), 0x1122334455667788);
	assert_true(shared_ports_write(vms[READER], gpa(MULL_GUEST_SHARED), 0,
				       8, &refused));
	assert_true(refused);
	assert_int_equal(port(READER)->refused, 1);
	assert_true(shared_ports_read(vms[READER], gpa(MULL_GUEST_SHARED + 6),
				      &value, 2));
	assert_int_equal(value, 0x1122);
}

static void what_is_not_shared_is_not_reached(void **state)
{
	static const uint64_t outside[] = {
		MULL_GUEST_SHARED + SIZE,
		MULL_GUEST_SHARED + SIZE - 4,
		MULL_GUEST_SHARED - 4,
		MULL_GUEST_SHARED + MULL_SHARED_SIZE_MAX,
		MULL_GUEST_SHARED_LAST - 3,
		0,
		~0ull - 3,
	};
	uint64_t value;
	bool refused;

	(void)state;
	start_both();
	for (uint32_t index = WRITER; index <= STRANGER; index++) {
		for (size_t i = 0; i < ARRAY_COUNT(outside); i++) {
			gpa_t at = gpa(outside[i]);

			assert_false(
				shared_ports_read(vms[index], at, &value, 8));
			assert_false(shared_ports_write(vms[index], at, ~0ull,
							8, &refused));
		}
	}
	assert_false(shared_ports_read(vms[STRANGER], gpa(MULL_GUEST_SHARED),
				       &value, 4));
	assert_true(all_zero());
	assert_int_equal(bytes()[SIZE], 0);
}

/* ---- hypercalls ----------------------------------------------------------- */

static int64_t call(uint32_t index, uint64_t number, uint64_t rbx, uint64_t rcx)
{
	const struct vm_exit exit = { .kind = EXIT_HYPERCALL, .length = 3 };
	struct vcpu *vcpu = vms[index]->vcpus[0];

	vcpu->gpr[RAX] = number;
	vcpu->gpr[RBX] = rbx;
	vcpu->gpr[RCX] = rcx;
	on_hypercall(vcpu, &exit);
	return (int64_t)vcpu->gpr[RAX];
}

static void guests_are_told_of_it(void **state)
{
	struct mull_guest_shared told;

	(void)state;
	start_both();
	start_vm(STRANGER);
	assert_int_equal(call(READER, MULL_CALL_SHARED, 0, RESULT), 0);
	assert_int_equal(guest_read(&vms[READER]->memory, gpa(RESULT), &told,
				    sizeof told),
			 ERR_NONE);
	assert_string_equal(told.name, "ring");
	assert_int_equal(told.address, MULL_GUEST_SHARED);
	assert_int_equal(told.size, SIZE);
	assert_int_equal(told.flags, 0);
	assert_int_equal(told.self, 1);
	assert_int_equal(told.peers, 3);
	call(WRITER, MULL_CALL_SHARED, 0, RESULT);
	guest_read(&vms[WRITER]->memory, gpa(RESULT), &told, sizeof told);
	assert_int_equal(told.flags, MULL_GUEST_SHARED_WRITE);
	for (uint64_t i = MULL_CALL_SHARED; i <= MULL_CALL_SHARED_LISTEN; i++) {
		assert_int_equal(call(READER, i, 1, RESULT), -ERR_NOT_FOUND);
		assert_int_equal(call(READER, i, ~0ull, 0), -ERR_NOT_FOUND);
		assert_int_equal(call(STRANGER, i, 0, 0), -ERR_NOT_FOUND);
	}
	assert_int_equal(call(READER, MULL_CALL_SHARED, 0, MULL_GUEST_SHARED),
			 -ERR_BAD_ADDRESS);
	assert_int_equal(call(READER, MULL_CALL_SHARED, 0, ~0ull),
			 -ERR_BAD_ADDRESS);
}

static void guests_ring_by_hypercall(void **state)
{
	static const uint64_t wrong[] = {
		0x8000000000000055, 0x20f, 0x10, 15, 0x255, 1, 0x100
	};

	(void)state;
	start_both();
	assert_int_equal(call(WRITER, MULL_CALL_SHARED_LISTEN, 0, 0x155), 0);
	assert_int_equal(call(READER, MULL_CALL_SHARED_RING, 0, 3), 0);
	vm_work(vms[WRITER]);
	assert_false(interrupted(WRITER, 0, 0x55));
	assert_true(interrupted(WRITER, 1, 0x55));
	for (size_t i = 0; i < ARRAY_COUNT(wrong); i++)
		if (wrong[i] != 0x10)
			assert_int_equal(call(WRITER, MULL_CALL_SHARED_LISTEN,
					      0, wrong[i]),
					 -ERR_BAD_REQUEST);
	assert_int_equal(call(WRITER, MULL_CALL_SHARED_LISTEN, 0, 0), 0);
	assert_int_equal(call(READER, MULL_CALL_SHARED_RING, 0, 3), 0);
	vm_work(vms[WRITER]);
	assert_false(interrupted(WRITER, 1, 0x55));
	assert_int_equal(call(READER, MULL_CALL_SHARED_RING, 0, 1ull << 32),
			 -ERR_NOT_FOUND);
	assert_int_equal(call(READER, MULL_CALL_SHARED_RING, 0, 9 << 16),
			 -ERR_NOT_FOUND);
	/* The next guest has not asked for it. */
	call(WRITER, MULL_CALL_SHARED_LISTEN, 0, 0x155);
	stop_vm(WRITER);
	start_vm(WRITER);
	call(READER, MULL_CALL_SHARED_RING, 0, 0);
	vm_work(vms[WRITER]);
	assert_false(interrupted(WRITER, 1, 0x55));
}

#define THREE(name) \
	cmocka_unit_test_setup_teardown(name, three_vms, destroy_all)

int main(void)
{
	const struct CMUnitTest tests[] = {
		THREE(each_has_it_with_its_own_rights),
		THREE(a_large_one_has_all_its_frames),
		THREE(nothing_stays_of_one_that_cannot_be_made),
		THREE(none_starts_before_it_is_zero),
		THREE(a_start_that_waits_can_be_stopped),
		THREE(it_stays_while_one_lives),
		THREE(its_frames_are_free_when_nobody_names_it),
		THREE(a_doorbell_wakes_the_other_once),
		THREE(nobody_else_can_be_rung),
		THREE(a_peer_that_goes_is_rung_no_more),
		THREE(a_new_guest_does_not_hear_what_the_last_was_rung),
		THREE(one_that_is_masked_waits),
		THREE(drivers_know_the_device),
		THREE(its_memory_tells_its_size_and_stays),
		THREE(a_reader_writes_nothing),
		THREE(what_is_not_shared_is_not_reached),
		THREE(guests_are_told_of_it),
		THREE(guests_ring_by_hypercall),
	};

	return cmocka_run_group_tests(tests, start_memory, NULL);
}
