/* SPDX-License-Identifier: MIT */
/* Disks and network devices that come to a VM and go, whatever its guest and
 * its operator do meanwhile. */
#include "vm_life.h"

#include <mullion/attach.h>
#include <mullion/bits.h>
#include <mullion/guest.h>
#include <mullion/switch.h>
#include <mullion/virtio_block.h>
#include <mullion/virtio_net.h>

#define ROOM_FRAMES 3
#define DISK_SLOT 2 /* of number 0 */
#define NIC_SLOT 8
#define NONE 0xff

static const uint8_t image_bytes[KIB(16)] = "image";
static const struct mull_image record = { .kind = MULL_IMAGE_DISK,
					  .size = sizeof image_bytes };
static const struct mull_disk in_memory = { .kind = MULL_DISK_MEMORY,
					    .flags = MULL_DISK_PRIVATE,
					    .room = ROOM_FRAMES * FRAME_SIZE };
static const struct mull_disk of_machine = { .kind = MULL_DISK_PARTITION,
					     .partition = "data" };
static const struct mull_nic port = { .network = "lan",
				      .mac = { 2, 0, 0, 0, 0, 1 },
				      .rate = 1000 };
static struct block_device device = { .sector_size = 512 };
static struct block_partition machine_partition;
static uint32_t free_before;
static uint64_t pages_before;

static int with_machine(void **state)
{
	if (fresh(state))
		return -1;
	image = (struct load_image){ .record = &record, .bytes = image_bytes };
	machine_partition = (struct block_partition){ .device = &device,
						      .name = "data",
						      .size = MIB(1) };
	machine_partitions[0] = &machine_partition;
	disk_asked = NULL;
	asked_count = disk_loads = 0;
	free_before = frames_free();
	pages_before = pages_in_use();
	return 0;
}

static enum attach_step step(void)
{
	return (enum attach_step)atomic_load(&vm->attachment.step);
}

/* Both CPUs do what they have, until there is no more. */
static void turn(void)
{
	for (int i = 0; i < 4; i++) {
		state_count = 0; /* an event each time */
		work();
		attach_settle();
		obey_all();
	}
}

static void flush_ends(enum error error)
{
	struct block_request *request = disk_asked;

	assert_non_null(request);
	assert_int_equal(request->operation, BLOCK_FLUSH);
	assert_int_equal(step(), ATTACH_FLUSH);
	disk_asked = NULL;
	request->error = error;
	request->done(request);
	turn();
}

static void disk_comes(const struct mull_disk *disk)
{
	const char *words;

	assert_int_equal(vm_attach_disk(vm, 0, disk, &words), ERR_NONE);
	turn();
	assert_int_equal(step(), ATTACH_IDLE);
	assert_null(vm->attachment.words);
	assert_non_null(vm->disks[0]);
}

static void nic_comes(uint32_t index)
{
	const char *words;

	assert_int_equal(vm_attach_nic(vm, index, &port, &words), ERR_NONE);
	turn();
	assert_int_equal(step(), ATTACH_IDLE);
	assert_non_null(vm->nics[index]);
}

/* The guest hears of the event, and does as it is asked. */
static void guest_lets_go(uint8_t slot)
{
	assert_int_equal(guest_pci_take_going(vm), slot);
	guest_pci_eject(vm, slot);
	turn();
}

static void assert_gone(void)
{
	assert_int_equal(step(), ATTACH_IDLE);
	assert_null(vm->disks[0]);
	assert_null(vm->nics[0]);
	assert_null(vm->pci.functions[DISK_SLOT]);
	assert_null(vm->pci.functions[NIC_SLOT]);
	assert_int_equal(vm->description.disks[0].kind, MULL_DISK_NONE);
	assert_int_equal(vm->description.nics[0].network[0], 0);
	assert_int_equal(machine_partition.users, 0);
	assert_int_equal(pages_in_use(), pages_before);
	assert_int_equal(frames_free(), vm_state_rests(vm->state) ?
						free_before :
						free_before - vm->frame_count);
}

/* ---- while it runs -------------------------------------------------------- */

static void a_disk_in_memory_comes_and_goes(void **state)
{
	(void)state;
	start();
	disk_comes(&in_memory);
	assert_int_equal(disk_loads, 1);
	assert_int_equal(frames_free(),
			 free_before - vm->frame_count - ROOM_FRAMES);
	assert_int_equal(guest_pci_take_coming(vm), DISK_SLOT);
	assert_int_equal(guest_pci_take_coming(vm), NONE);
	assert_int_equal(vm->disks[0]->capacity, sizeof image_bytes);
	vm_detach(vm, false, 0, false);
	turn();
	assert_int_equal(step(), ATTACH_EJECT);
	guest_lets_go(DISK_SLOT);
	assert_int_equal(asked_count, 0);
	assert_gone();
}

static void a_nic_comes_and_goes(void **state)
{
	struct net_switch *on;

	(void)state;
	start();
	nic_comes(0);
	assert_int_equal(guest_pci_take_coming(vm), NIC_SLOT);
	on = vm->nics[0]->port.on;
	assert_non_null(on);
	assert_memory_equal(vm->nics[0]->port.mac, port.mac, 6);
	assert_int_equal(vm->nics[0]->rate, 1000);
	assert_true(switch_is_known("lan"));
	atomic_store(&vm->nics[0]->port.open, true); /* a driver was there */
	vm_detach(vm, true, 0, false);
	turn();
	guest_lets_go(NIC_SLOT);
	assert_gone();
	/* The same switch again, without another one being made. */
	nic_comes(0);
	assert_ptr_equal(vm->nics[0]->port.on, on);
	vm_detach(vm, true, 0, true);
	turn();
	assert_gone();
}

static void a_partition_is_nobody_elses_until_it_is_flushed(void **state)
{
	const char *words = NULL;
	uint64_t pages;

	(void)state;
	start();
	disk_comes(&of_machine);
	assert_int_equal(disk_loads, 0);
	assert_int_equal(machine_partition.users, 1);
	assert_true(machine_partition.written);
	assert_int_equal(vm->disks[0]->capacity, MIB(1));
	/* A second one is refused, and leaves nothing. */
	pages = pages_in_use();
	assert_int_equal(vm_attach_disk(vm, 1, &of_machine, &words), ERR_BUSY);
	assert_string_equal(words, "another VM has it");
	assert_int_equal(vm->description.disks[1].kind, MULL_DISK_NONE);
	assert_int_equal(pages_in_use(), pages);
	assert_int_equal(step(), ATTACH_IDLE);

	vm_detach(vm, false, 0, false);
	turn();
	/* What flies still touches the guest's memory. */
	atomic_store(&vm->disks[0]->flying, 1);
	guest_lets_go(DISK_SLOT);
	assert_int_equal(step(), ATTACH_EJECT);
	assert_non_null(vm->disks[0]);
	assert_int_equal(asked_count, 0);
	atomic_store(&vm->disks[0]->flying, 0);
	turn();
	assert_int_equal(asked_count, 1);
	assert_null(vm->disks[0]);
	assert_int_equal(machine_partition.users, 1);
	assert_int_equal(vm->description.disks[0].kind, MULL_DISK_PARTITION);
	flush_ends(ERR_NONE);
	assert_null(vm->attachment.words);
	assert_gone();
}

static void a_flush_that_fails_is_told(void **state)
{
	(void)state;
	start();
	disk_comes(&of_machine);
	vm_detach(vm, false, 0, false);
	turn();
	guest_lets_go(DISK_SLOT);
	flush_ends(ERR_DEVICE);
	assert_gone();
	assert_string_equal(vm->attachment.words,
			    "the machine's disk failed to keep what was "
			    "written last");
	assert_false(vm->attachment.words_net);
}

static void what_is_only_read_is_shared_and_not_flushed(void **state)
{
	struct mull_disk disk = of_machine;

	(void)state;
	disk.flags = MULL_DISK_READ_ONLY;
	machine_partition.users = 1; /* another one reads it */
	start();
	disk_comes(&disk);
	assert_int_equal(machine_partition.users, 2);
	assert_true(vm->disks[0]->read_only);
	vm_detach(vm, false, 0, false);
	turn();
	guest_lets_go(DISK_SLOT);
	assert_int_equal(machine_partition.users, 1);
	assert_int_equal(asked_count, 0);
	machine_partition.users = 0;
	assert_gone();
}

static void changes_over_a_partition_are_erased(void **state)
{
	struct mull_disk disk = in_memory;
	uint32_t first;

	(void)state;
	disk.kind = MULL_DISK_PARTITION;
	strcpy(disk.partition, "data");
	start();
	disk_comes(&disk);
	assert_false(machine_partition.written);
	assert_true(vm->disks[0]->over);
	first = vm->disks[0]->room[0];
	memset(frame_bytes(first), 0xaa, FRAME_SIZE);
	vm_detach(vm, false, 0, false);
	turn();
	guest_lets_go(DISK_SLOT);
	assert_int_equal(asked_count, 0);
	assert_int_equal(frame_owner_of(first), FRAME_FREE);
	assert_int_equal(*frame_bytes(first), 0);
	assert_gone();
}

/* ---- a guest that never lets go ------------------------------------------- */

static void it_is_asked_again(void **state)
{
	(void)state;
	start();
	disk_comes(&in_memory);
	assert_false(vm_detach_again(vm, false));
	vm_detach(vm, false, 0, false);
	turn();
	for (int i = 0; i < 3; i++) {
		assert_int_equal(guest_pci_take_going(vm), DISK_SLOT);
		assert_int_equal(guest_pci_take_going(vm), NONE);
		assert_int_equal(step(), ATTACH_EJECT);
		assert_true(vm_detach_again(vm, false));
		turn();
	}
	/* One that nobody asks for stays. */
	guest_pci_eject(vm, DISK_SLOT + 1);
	turn();
	assert_non_null(vm->disks[0]);
	assert_true(vm_detach_again(vm, true));
	turn();
	assert_gone();
	assert_false(vm_detach_again(vm, true));
}

/* While it starts, nobody can be asked. */
static void it_is_asked_when_it_runs(void **state)
{
	(void)state;
	disk_comes(&of_machine);
	vm_command(vm, MULL_COMMAND_START);
	vm_work(vm);
	assert_int_equal(vm->state, MULL_VM_STARTING);
	vm_detach(vm, false, 0, false);
	vm_work(vm);
	assert_int_equal(step(), ATTACH_UNPLUG);
	assert_true(vm_detach_again(vm, true));
	turn();
	assert_int_equal(vm->state, MULL_VM_RUNNING);
	flush_ends(ERR_NONE);
	assert_gone();
}

static void it_is_pulled_out(void **state)
{
	(void)state;
	start();
	disk_comes(&of_machine);
	vm_detach(vm, false, 0, true);
	turn();
	flush_ends(ERR_NONE);
	assert_gone();
	/* It hears of that afterwards, and may not take what comes next. */
	assert_int_equal(guest_pci_take_going(vm), DISK_SLOT);
	disk_comes(&in_memory);
	guest_pci_eject(vm, DISK_SLOT);
	turn();
	assert_non_null(vm->pci.functions[DISK_SLOT]);
	vm_detach(vm, false, 0, true);
	turn();
	assert_gone();
}

static void what_flies_lands_though_it_was_pulled(void **state)
{
	(void)state;
	start();
	disk_comes(&of_machine);
	atomic_store(&vm->disks[0]->flying, 1);
	vm_detach(vm, false, 0, true);
	turn();
	assert_int_equal(step(), ATTACH_EJECT);
	assert_int_equal(asked_count, 0);
	/* Nor does the VM's end come before. */
	vm_command(vm, MULL_COMMAND_STOP);
	turn();
	assert_int_equal(vm->state, MULL_VM_STOPPING);
	atomic_store(&vm->disks[0]->flying, 0);
	turn();
	assert_int_equal(vm->state, MULL_VM_STOPPED);
	flush_ends(ERR_NONE);
	assert_gone();
}

static void an_end_takes_it_away(void **state)
{
	(void)state;
	for (int nic = 0; nic < 2; nic++) {
		start();
		if (nic)
			nic_comes(0);
		else
			disk_comes(&of_machine);
		vm_detach(vm, nic, 0, false);
		turn();
		assert_int_equal(step(), ATTACH_EJECT);
		vm_command(vm, MULL_COMMAND_STOP);
		turn();
		assert_int_equal(vm->state, MULL_VM_STOPPED);
		if (!nic)
			flush_ends(ERR_NONE);
		assert_gone();
	}
}

static void the_next_life_has_it_no_more(void **state)
{
	(void)state;
	start();
	disk_comes(&of_machine);
	vm_detach(vm, false, 0, false);
	turn();
	vm_command(vm, MULL_COMMAND_RESET);
	turn();
	assert_int_equal(vm->state, MULL_VM_RUNNING);
	assert_int_equal(vm->restarts, 1);
	assert_null(vm->pci.functions[DISK_SLOT]);
	flush_ends(ERR_NONE);
	assert_gone();
}

static void one_that_is_destroyed_waits_for_the_flush(void **state)
{
	(void)state;
	start();
	disk_comes(&of_machine);
	vm_detach(vm, false, 0, true);
	turn();
	assert_int_equal(step(), ATTACH_FLUSH);
	vm_command(vm, MULL_COMMAND_STOP);
	turn();
	vm_command(vm, MULL_COMMAND_DESTROY);
	turn();
	assert_int_equal(vm->state, MULL_VM_STOPPED);
	/* Its home CPU sleeps, and is woken when it has ended. */
	disk_asked->done(disk_asked);
	disk_asked = NULL;
	fake_kicks[0] = 0;
	attach_settle();
	assert_true(fake_kicks[0]);
	turn();
	assert_int_equal(vm->state, MULL_VM_DESTROYED);
	atomic_store(&vm->state, MULL_VM_STOPPED);
	assert_gone();
}

/* ---- ends and starts in the middle ---------------------------------------- */

/* After @pieces of its work the VM is stopped; the disk is there for the next
 * life. */
static void stop_while_it_comes(const struct mull_disk *disk, uint32_t pieces)
{
	const char *words;

	start();
	assert_int_equal(vm_attach_disk(vm, 0, disk, &words), ERR_NONE);
	for (uint32_t i = 0; i < pieces; i++)
		vm_work(vm);
	vm_command(vm, MULL_COMMAND_STOP);
	turn();
	assert_int_equal(vm->state, MULL_VM_STOPPED);
	assert_int_equal(step(), ATTACH_IDLE);
	assert_non_null(vm->disks[0]);
	assert_int_equal(frames_free(), free_before);
	start();
	assert_int_equal(vm->state, MULL_VM_RUNNING);
	assert_non_null(vm->pci.functions[DISK_SLOT]);
	vm_command(vm, MULL_COMMAND_STOP);
	turn();
	vm_detach(vm, false, 0, false);
	turn();
	if (disk_asked)
		flush_ends(ERR_NONE);
	assert_gone();
}

static void a_stop_while_it_comes_puts_it_by(void **state)
{
	const uint32_t steps = ROOM_FRAMES * (FRAME_SIZE / FRAME_ZERO_PIECE);

	(void)state;
	for (uint32_t i = 0; i < 6; i++) {
		stop_while_it_comes(&of_machine, i);
		stop_while_it_comes(&in_memory, i);
		stop_while_it_comes(&in_memory, steps - 2 + i);
	}
}

static void at_rest_it_comes_and_goes_as_well(void **state)
{
	(void)state;
	nic_comes(0);
	vm_detach(vm, true, 0, false);
	turn();
	assert_gone();
	disk_comes(&of_machine);
	assert_int_equal(machine_partition.users, 1);
	vm_detach(vm, false, 0, false);
	turn();
	flush_ends(ERR_NONE);
	assert_gone();
}

/* ---- what cannot be ------------------------------------------------------- */

static void no_memory_leaves_nothing(void **state)
{
	uint32_t taken[POOL_FRAMES], count = 0;
	const char *words;

	(void)state;
	start();
	while (frames_free() >= ROOM_FRAMES)
		frame_take(FRAME_VM + 5, 1, &taken[count++]);
	assert_int_equal(vm_attach_disk(vm, 0, &in_memory, &words), ERR_NONE);
	turn();
	while (count)
		frame_give(FRAME_VM + 5, taken[--count]);
	assert_string_equal(vm->attachment.words,
			    "there are not enough free frames for its room");
	assert_gone();
}

static void a_wrong_image_leaves_nothing(void **state)
{
	struct mull_disk disk = in_memory;
	struct mull_image other = record;
	const char *words;

	(void)state;
	start();
	load_error = ERR_BAD_HASH;
	assert_int_equal(vm_attach_disk(vm, 0, &in_memory, &words), ERR_NONE);
	turn();
	assert_non_null(strstr(vm->attachment.words, "SHA-256"));
	assert_gone();
	load_error = ERR_NONE;
	other.size = 513;
	image.record = &other;
	assert_int_equal(vm_attach_disk(vm, 0, &in_memory, &words), ERR_NONE);
	turn();
	assert_non_null(strstr(vm->attachment.words, "512 bytes"));
	assert_gone();
	/* A partition whose map has no room. */
	machine_partition.size = 2 * GIB(2) + 512;
	disk.kind = MULL_DISK_PARTITION;
	strcpy(disk.partition, "data");
	assert_int_equal(vm_attach_disk(vm, 0, &disk, &words), ERR_NONE);
	turn();
	assert_non_null(strstr(vm->attachment.words, "too large"));
	assert_gone();
	strcpy(disk.partition, "other");
	assert_int_equal(vm_attach_disk(vm, 0, &disk, &words), ERR_NOT_FOUND);
	assert_string_equal(words, "there is no such partition");
	assert_int_equal(step(), ATTACH_IDLE);
	assert_int_equal(pages_in_use(), pages_before);
}

static void a_thousand_times_leave_the_same_memory(void **state)
{
	(void)state;
	start();
	for (int i = 0; i < 1000; i++) {
		if (i % 3 == 0)
			disk_comes(&in_memory);
		else if (i % 3 == 1)
			disk_comes(&of_machine);
		else
			nic_comes(0);
		guest_pci_take_coming(vm);
		vm_detach(vm, i % 3 == 2, 0, i % 2);
		turn();
		if (i % 2 == 0)
			guest_lets_go(i % 3 == 2 ? NIC_SLOT : DISK_SLOT);
		else
			guest_pci_take_going(vm);
		if (i % 3 == 1)
			flush_ends(ERR_NONE);
		assert_gone();
	}
}

#define WITH(name) cmocka_unit_test_setup_teardown(name, with_machine, stop_all)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(a_disk_in_memory_comes_and_goes),
		WITH(a_nic_comes_and_goes),
		WITH(a_partition_is_nobody_elses_until_it_is_flushed),
		WITH(a_flush_that_fails_is_told),
		WITH(what_is_only_read_is_shared_and_not_flushed),
		WITH(changes_over_a_partition_are_erased),
		WITH(it_is_asked_again),
		WITH(it_is_asked_when_it_runs),
		WITH(it_is_pulled_out),
		WITH(what_flies_lands_though_it_was_pulled),
		WITH(an_end_takes_it_away),
		WITH(the_next_life_has_it_no_more),
		WITH(one_that_is_destroyed_waits_for_the_flush),
		WITH(a_stop_while_it_comes_puts_it_by),
		WITH(at_rest_it_comes_and_goes_as_well),
		WITH(no_memory_leaves_nothing),
		WITH(a_wrong_image_leaves_nothing),
		WITH(a_thousand_times_leave_the_same_memory),
	};

	return cmocka_run_group_tests(tests, start_memory, NULL);
}
