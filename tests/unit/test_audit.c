/* SPDX-License-Identifier: MIT */
/* The audit walks real second-stage tables, in which faults are planted. */
#include "kernel/manage/audit.c"

#include "vm_life.h"
#include <arch/x86/stage2.h>
#include <mullion/guest.h>
#include <mullion/shared_port.h>

static struct answer answer;
static struct mapping own; /* what the hypervisor maps; else nothing */

uint64_t log_time(void)
{
	return fake_time;
}

void *answer_add(struct answer *to, size_t size)
{
	to->length = size;
	return to->data;
}

void arch_look(uint64_t address, struct mapping *mapping)
{
	*mapping = (struct mapping){ .at = round_down(address, FRAME_SIZE),
				     .size = FRAME_SIZE };
	if (address == 0) /* all below is nothing */
		mapping->size = own.at;
	else if (address == own.at)
		*mapping = own;
	else
		mapping->size = BIT(48) - address;
}

static enum error map(hpa_t root, gpa_t at, hpa_t to, uint64_t size,
		      enum stage2_rights rights)
{
	static const uint64_t leaves[] = {
		[STAGE2_NONE] = 0,
		[STAGE2_ALL] = STAGE2_GRANTS,
		[STAGE2_READ] = STAGE2_GRANTS & ~STAGE2_WRITABLE,
		[STAGE2_WRITE] = STAGE2_GRANTS,
	};
	bool replaced = false;

	return stage2_map(root, at, to, size, leaves[rights], 3, &replaced);
}

static struct virt_ops ops;
const struct virt_ops *virt = &ops;

static int two_vms(void **state)
{
	ops = fake_virt_ops;
	ops.stage2_create = stage2_create;
	ops.stage2_map = map;
	ops.stage2_look = stage2_look;
	ops.stage2_destroy = stage2_destroy;
	own = (struct mapping){ .at = GIB(1), .size = FRAME_SIZE };
	if (fresh(state))
		return -1;
	strcpy(describe(1, 1)->name, "other");
	start();
	vm = vm_create(&boot_package.vms[1], 1, NULL);
	start();
	return 0;
}

static struct mull_audit audited(void)
{
	struct asked asked = { .argument = 1 };
	struct mull_audit record;
	int steps = 0;

	assert_int_equal(request_audit(&asked, &answer), ERR_NONE);
	while (audit_step()) {
		assert_in_range(steps++, 0, 1000);
		/* To begin is to look while one runs. */
		request_audit(&asked, &answer);
	}
	asked.argument = 0;
	request_audit(&asked, &answer);
	assert_int_equal(answer.length, sizeof record);
	memcpy(&record, answer.data, sizeof record);
	assert_false(record.running);
	assert_int_equal(record.finished_ns, fake_time);
	return record;
}

static hpa_t frame_at(uint32_t frame)
{
	return hpa((uint64_t)frame << FRAME_SHIFT);
}

static void no_fault_is_found_where_none_is(void **state)
{
	struct mull_audit record = audited();

	(void)state;
	assert_int_equal(record.faults, 0);
	assert_string_equal(record.words, "");
	assert_int_equal(record.frames, 8);
	assert_int_equal(record.tables, 2 * 3 + 3); /* @own looks like 3 */
	own.present = true;			    /* a device */
	own.to = hpa(0xfee00000);
	assert_int_equal(audited().faults, 0);
	assert_int_equal(audited().frames, 9);
}

static void a_frame_of_another_is_found(void **state)
{
	char words[160];
	uint32_t frame = vms[1]->frames[2];

	(void)state;
	/* 4 KiB of it, in a far corner. */
	assert_int_equal(map(vms[0]->stage2, gpa(GIB(513) + 0x3000),
			     hpa(frame_at(frame).value + 0x5000), 4096,
			     STAGE2_ALL),
			 ERR_NONE);
	assert_int_equal(audited().faults, 1);
	format_text(words, sizeof words,
		    "guest reaches frame %u (0x%lx) at guest-physical "
		    "0x8040003000; it belongs to other",
		    frame, frame_at(frame).value);
	assert_string_equal(audited().words, words);
	assert_int_equal(map(vms[0]->stage2, gpa(GIB(513) + 0x3000), hpa(0),
			     4096, STAGE2_NONE),
			 ERR_NONE);
	assert_int_equal(audited().faults, 0);
}

static void what_nobody_owns_is_found(void **state)
{
	(void)state;
	map(vms[1]->stage2, gpa(GIB(2)), hpa(GIB(1)), GIB(1), STAGE2_ALL);
	assert_int_equal(audited().faults, 1);
	assert_non_null(strstr(audited().words, "other reaches frame 512 "));
	assert_non_null(strstr(audited().words, "nobody: it is no free"));
	map(vms[1]->stage2, gpa(GIB(2)), frame_at(POOL_FRAMES), FRAME_SIZE,
	    STAGE2_ALL);
	assert_int_equal(frame_owner_of(POOL_FRAMES), FRAME_FREE);
}

static void the_hypervisors_memory_is_found(void **state)
{
	(void)state;
	map(vms[0]->stage2, gpa(GIB(5)), vms[0]->stage2, 4096, STAGE2_ALL);
	assert_non_null(strstr(audited().words, "belongs to the hypervisor"));
	assert_non_null(strstr(audited().words, "physical 0x140000000;"));
}

/* A guest that writes its own tables reaches everything. */
static void a_table_in_the_guests_memory_is_found(void **state)
{
	uint64_t *root = arch_direct(vms[0]->stage2);

	(void)state;
	root[7] = frame_at(vms[1]->frames[0]).value | STAGE2_GRANTS;
	assert_int_equal(audited().faults, 1);
	assert_non_null(strstr(audited().words, "belongs to other"));
	root[7] = 0;
}

static void guests_memory_in_the_hypervisor_is_found(void **state)
{
	(void)state;
	own.present = true;
	own.to = frame_at(vms[0]->frames[3]);
	assert_int_equal(audited().faults, 1);
	assert_non_null(strstr(audited().words, "the hypervisor reaches"));
	assert_non_null(strstr(audited().words,
			       "virtual 0x40000000; it belongs to guest"));
	own.to = frame_at(POOL_FRAMES);
	assert_non_null(strstr(audited().words, "nobody: it is free"));
}

static uint32_t looks;

static void look_locked(hpa_t root, gpa_t at, struct mapping *mapping)
{
	struct vm *of = vms[audit.tables];

	assert_int_equal(of->stage2.value, root.value);
	if (!atomic_flag_test_and_set(&of->stage2_lock.held)) {
		lock_give(&of->stage2_lock);
		fail_msg("they may go meanwhile");
	}
	stage2_look(root, at, mapping);
	looks++;
}

static void destroy_unlocked(hpa_t root)
{
	for (uint32_t i = 0; i < 2; i++) {
		assert_int_not_equal(vms[i]->stage2.value, root.value);
		assert_false(
			atomic_flag_test_and_set(&vms[i]->stage2_lock.held));
		lock_give(&vms[i]->stage2_lock);
	}
	stage2_destroy(root);
}

static void tables_stay_while_they_are_looked_at(void **state)
{
	(void)state;
	looks = 0;
	ops.stage2_look = look_locked;
	assert_int_equal(audited().faults, 0);
	assert_true(looks > 2);
	ops.stage2_destroy = destroy_unlocked;
	vm = vms[0];
	vm_command(vm, MULL_COMMAND_STOP);
	finish();
	assert_int_equal(vm->state, MULL_VM_STOPPED);
}

static void a_vm_that_ends_meanwhile_is_no_fault(void **state)
{
	struct asked asked = { .argument = 1 };

	(void)state;
	assert_int_equal(request_audit(&asked, &answer), ERR_NONE);
	look();
	assert_int_equal(audit.tables, 0);
	vm = vms[0];
	vm_command(vm, MULL_COMMAND_STOP);
	finish();
	assert_int_equal(vm->state, MULL_VM_STOPPED);
	while (audit_step())
		;
	assert_int_equal(audit.record.faults, 0);
	assert_true(audit.record.frames >= 4);
}

/* ---- shared memory -------------------------------------------------------- */

#define SHARED_AT gpa(MULL_GUEST_SHARED)

static void share(uint32_t index, const char *name, uint64_t size,
		  uint32_t flags)
{
	struct mull_shared *shared = boot_package.vms[index].shared;

	while (shared->name[0])
		shared++;
	strcpy(shared->name, name);
	shared->size = size;
	shared->flags = flags;
}

/* "guest" may write "ring" and "large", "other" may read "ring". */
static int two_that_share(void **state)
{
	if (two_vms(state) || stop_all(state))
		return -1;
	vm_destroy(vms[0]);
	vm_destroy(vms[1]);
	share(0, "ring", KIB(8), MULL_SHARED_WRITE);
	share(0, "large", MIB(4), MULL_SHARED_WRITE);
	share(1, "ring", KIB(8), 0);
	for (uint32_t i = 0; i < 2; i++) {
		vm = vm_create(&boot_package.vms[i], i, NULL);
		while (shared_memory_clean())
			;
		start();
	}
	return 0;
}

static int destroy_both(void **state)
{
	stop_all(state);
	vm_destroy(vms[0]);
	vm_destroy(vms[1]);
	while (shared_memory_clean())
		;
	return 0;
}

static hpa_t shared_frame(uint32_t index)
{
	return frame_at(vms[0]->shared->ports[index].memory->frames[0]);
}

static void what_is_shared_is_no_fault(void **state)
{
	(void)state;
	assert_int_equal(audited().faults, 0);
	assert_string_equal(audited().words, "");
	/* 4 frames of RAM each; 2 pages of 4 KiB each, and 2 frames. */
	assert_int_equal(audited().frames, 8 + 4 + 2);
	/* One that may write need not. */
	map(vms[0]->stage2, SHARED_AT, shared_frame(0), KIB(8), STAGE2_READ);
	assert_int_equal(audited().faults, 0);
}

static void a_reader_that_can_write_is_found(void **state)
{
	char words[160];

	(void)state;
	map(vms[1]->stage2, gpa(MULL_GUEST_SHARED + 4096),
	    hpa(shared_frame(0).value + 4096), KIB(4), STAGE2_WRITE);
	assert_int_equal(audited().faults, 1);
	format_text(words, sizeof words,
		    "other writes frame %lu (0x%lx) at guest-physical "
		    "0xc0001000; it belongs to shared memory ring",
		    shared_frame(0).value >> FRAME_SHIFT,
		    shared_frame(0).value);
	assert_string_equal(audited().words, words);
}

static void shared_memory_that_is_not_named_is_found(void **state)
{
	(void)state;
	map(vms[1]->stage2, gpa(GIB(3)), shared_frame(1), MIB(2), STAGE2_READ);
	assert_int_equal(audited().faults, 1);
	assert_non_null(strstr(audited().words, "other reaches frame"));
	assert_non_null(strstr(audited().words, "to shared memory large"));
}

/* Of a frame that it does not fill. */
static void the_rest_of_a_shared_frame_is_found(void **state)
{
	(void)state;
	map(vms[1]->stage2, gpa(GIB(5)), hpa(shared_frame(0).value + KIB(8)),
	    KIB(4), STAGE2_READ);
	assert_int_equal(audited().faults, 1);
	assert_non_null(strstr(audited().words, "belongs to shared memory"));
	map(vms[1]->stage2, gpa(GIB(5)), hpa(0), KIB(4), STAGE2_NONE);
	assert_int_equal(audited().faults, 0);
	map(vms[0]->stage2, gpa(GIB(6)), shared_frame(0), MIB(2), STAGE2_READ);
	assert_int_equal(audited().faults, 1);
}

static void shared_memory_in_the_hypervisor_is_found(void **state)
{
	(void)state;
	own.present = true;
	own.to = shared_frame(0);
	assert_int_equal(audited().faults, 1);
	assert_non_null(strstr(audited().words, "to shared memory ring"));
}

#define SHARE(name) \
	cmocka_unit_test_setup_teardown(name, two_that_share, destroy_both)
#define VMS(name) cmocka_unit_test_setup_teardown(name, two_vms, stop_all)

int main(void)
{
	const struct CMUnitTest tests[] = {
		VMS(no_fault_is_found_where_none_is),
		VMS(a_frame_of_another_is_found),
		VMS(what_nobody_owns_is_found),
		VMS(the_hypervisors_memory_is_found),
		VMS(a_table_in_the_guests_memory_is_found),
		VMS(guests_memory_in_the_hypervisor_is_found),
		VMS(tables_stay_while_they_are_looked_at),
		VMS(a_vm_that_ends_meanwhile_is_no_fault),
		SHARE(what_is_shared_is_no_fault),
		SHARE(a_reader_that_can_write_is_found),
		SHARE(shared_memory_that_is_not_named_is_found),
		SHARE(the_rest_of_a_shared_frame_is_found),
		SHARE(shared_memory_in_the_hypervisor_is_found),
	};

	return cmocka_run_group_tests(tests, start_memory, NULL);
}
