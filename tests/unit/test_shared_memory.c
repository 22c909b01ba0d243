/* SPDX-License-Identifier: MIT */
/* Who has a shared memory, when it is zero, and what guests are told of it. */
#include "shared_vms.h"

#include <mullion/exits.h>

#define RESULT 0x20000 /* in the guest's memory */

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

static void each_vm_can_be_a_peer(void **state)
{
	struct shared_memory *memory = port(WRITER)->memory;
	const struct mull_shared wanted = { .name = "ring", .size = SIZE };
	uint32_t peer, last = MULL_VM_MAX - 1;

	(void)state;
	for (uint32_t i = 2; i <= last; i++) {
		assert_ptr_equal(shared_memory_join(&wanted, 0, &peer), memory);
		assert_int_equal(peer, i);
	}
	assert_int_equal(shared_memory_peers(memory), BITS(last, 0));
	assert_true(shared_memory_hold(memory, last));
	assert_int_equal(memory->users, BIT(last));
	assert_int_equal(shared_memory_ring(memory, last << 16), ERR_NONE);
	assert_int_equal(shared_memory_heard(memory, last), 1);
	shared_memory_release(memory, last);
	for (uint32_t i = 2; i <= last; i++)
		shared_memory_leave(memory, i);
	assert_int_equal(shared_memory_peers(memory), 3);
	assert_int_equal(memory->members, 3);
}

/* ---- when it is zero ------------------------------------------------------ */

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

/* Adjoining in the guest, with different rights. */
static void a_write_that_ends_in_another_is_refused(void **state)
{
	const uint64_t border = MULL_GUEST_SHARED + MULL_SHARED_SIZE_MAX;
	struct mull_vm *description = &boot_package.vms[STRANGER];
	uint64_t value;
	bool refused;

	(void)state;
	vm_destroy(vms[STRANGER]);
	share(description, 0, "large", MULL_SHARED_SIZE_MAX, MULL_SHARED_WRITE);
	share(description, 1, "ring", SIZE, 0);
	assert_non_null(make(STRANGER, "stranger"));
	assert_true(shared_ports_write(vms[STRANGER], gpa(border - 4), ~0ull, 8,
				       &refused));
	assert_true(refused);
	assert_true(all_zero());
	assert_true(shared_ports_write(vms[STRANGER], gpa(border - 8), ~0ull, 8,
				       &refused));
	assert_false(refused);
	assert_true(
		shared_ports_read(vms[STRANGER], gpa(border - 4), &value, 8));
	assert_int_equal(value, 0xffffffff);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		THREE(each_has_it_with_its_own_rights),
		THREE(a_large_one_has_all_its_frames),
		THREE(nothing_stays_of_one_that_cannot_be_made),
		THREE(each_vm_can_be_a_peer),
		THREE(none_starts_before_it_is_zero),
		THREE(a_start_that_waits_can_be_stopped),
		THREE(it_stays_while_one_lives),
		THREE(its_frames_are_free_when_nobody_names_it),
		THREE(a_reader_writes_nothing),
		THREE(a_write_that_ends_in_another_is_refused),
		THREE(what_is_not_shared_is_not_reached),
		THREE(guests_are_told_of_it),
		THREE(guests_ring_by_hypercall),
	};

	return cmocka_run_group_tests(tests, start_memory, NULL);
}
