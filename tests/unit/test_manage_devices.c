/* SPDX-License-Identifier: MIT */
/* Requests for disks and network devices that come and go: what is refused, in
 * words, and what is begun. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/unit/operator.h"
#include <mullion/switch.h>

static struct vcpu vcpu;
static struct switch_port others; /* somebody's, on the switch "lan" */

/* Two VMs that can be changed: 0 runs, 1 rests. */
static int with_vms(void **state)
{
	fresh(state);
	fake_cpu_count = 2;
	for (uint32_t i = 0; i < 2; i++) {
		struct mull_vm *description = &guests[i].description;

		*description = (struct mull_vm){ .memory_size = MIB(2),
						 .vcpu_count = 1,
						 .cpus = { (uint16_t)i },
						 .initrd = MULL_NO_IMAGE,
						 .on_poweroff = MULL_END_STOP,
						 .on_reset = MULL_END_STOP,
						 .on_crash = MULL_END_STOP,
						 .console_size = KIB(4) };
		strcpy(description->name, i ? "db" : "web");
		guests[i].vcpu_count = 1;
		guests[i].vcpus[0] = &vcpu;
		memset(&guests[i].attachment, 0, sizeof guests[i].attachment);
		guests[i].pc = NULL;
		vms[i] = &guests[i];
	}
	boot_package = (struct package){
		.bytes = (const uint8_t *)"image",
		.image_count = 2,
		.images = { { .kind = MULL_IMAGE_ELF64, .size = 5 },
			    { .kind = MULL_IMAGE_DISK, .size = 5 } }
	};
	if (!others.on)
		switch_attach(&others, "lan");
	memset(&attached, 0, sizeof attached);
	attach_error = ERR_NONE;
	guests[0].state = MULL_VM_RUNNING;
	guests[1].state = MULL_VM_STOPPED;
	return 0;
}

static char words[256];
static uint64_t value;

static enum error ask_with(uint32_t command, uint32_t number, uint64_t argument,
			   const void *data, size_t size)
{
	struct {
		struct mull_request request;
		uint8_t data[sizeof(struct mull_disk)];
	} asked = { .request = { command, number, argument } };
	uint32_t error;

	memcpy(asked.data, data, size);
	forget_heard();
	send(MULL_FRAME_REQUEST, 0, &asked, sizeof asked.request + size);
	serve(100);
	error = answer();
	memset(words, 0, sizeof words);
	for (uint32_t i = 0; i < heard_count; i++) {
		if (heard[i].header.type != MULL_FRAME_REPLY)
			continue;
		value = heard[i].reply.value;
		if (error)
			memcpy(words, heard[i].bytes + sizeof heard[i].reply,
			       heard[i].length - sizeof heard[i].reply);
	}
	return (enum error)error;
}

static enum error plug(uint32_t number, struct mull_disk disk)
{
	return ask_with(MULL_COMMAND_PLUG, number, 0, &disk, sizeof disk);
}

static enum error plug_nic(uint32_t number, struct mull_nic nic)
{
	return ask_with(MULL_COMMAND_PLUG_NIC, number, 0, &nic, sizeof nic);
}

static enum error unplug(uint32_t number, uint64_t what)
{
	return ask_with(MULL_COMMAND_UNPLUG, number, what, "", 0);
}

static void expect_words(const char *expected)
{
	if (!strstr(words, expected))
		fail_msg("\"%s\" is not \"%s\"", words, expected);
}

static const struct mull_nic lan = { .network = "lan" };
static const struct mull_disk data = { .kind = MULL_DISK_PARTITION,
				       .partition = "data" };

/* ---- network devices ------------------------------------------------------ */

static void a_nic_comes_to_a_switch_that_is_known(void **state)
{
	struct mull_nic wrong = lan;

	(void)state;
	strcpy(wrong.network, "lam");
	assert_int_equal(plug_nic(0, wrong), ERR_NOT_FOUND);
	expect_words("there is no switch \"lam\"; there is: lan");
	assert_int_equal(attached.count, 0);
	assert_int_equal(plug_nic(0, lan), ERR_NONE);
	assert_int_equal(value, 0);
	assert_true(attached.nic);
	/* Its address is known from then on. */
	assert_int_equal(guests[0].description.nics[0].mac[0], 2);
	wrong = lan;
	memset(wrong.network, 'a', sizeof wrong.network);
	assert_int_equal(plug_nic(0, wrong), ERR_BAD_REQUEST);
	wrong = lan;
	wrong.flags = 1;
	assert_int_equal(plug_nic(0, wrong), ERR_BAD_REQUEST);
	expect_words("does not know");
	wrong = lan;
	wrong.network[0] = 0;
	assert_int_equal(plug_nic(0, wrong), ERR_BAD_REQUEST);
	assert_int_equal(attached.count, 1);
}

/* Also where those before it have gone, so that numbers have holes. */
static void an_address_is_one_vms(void **state)
{
	struct mull_nic nic = lan;

	(void)state;
	nic.mac[0] = 2;
	nic.mac[5] = 9;
	guests[0].description.nics[2] = nic;
	assert_int_equal(plug_nic(1, nic), ERR_BAD_REQUEST);
	expect_words("and so has vm \"web\"");
	assert_int_equal(plug_nic(0, nic), ERR_BAD_REQUEST);
	expect_words("twice on network \"lan\"");
	nic.mac[0] = 3;
	assert_int_equal(plug_nic(0, nic), ERR_BAD_REQUEST);
	expect_words("of a group");
	/* One made of a number is that number's, whoever comes before it. */
	memset(nic.mac, 0, sizeof nic.mac);
	guests[0].description.nics[2] = nic;
	assert_int_equal(plug_nic(0, nic), ERR_NONE);
	assert_int_equal(value, 0);
	assert_int_equal(plug_nic(0, nic), ERR_NONE);
	assert_int_equal(value, 1);
	assert_int_equal(plug_nic(0, nic), ERR_NONE);
	assert_int_equal(value, 3);
	assert_int_equal(plug_nic(0, nic), ERR_NO_MEMORY);
	expect_words("it has 4 nics");
	for (uint32_t i = 0; i < 4; i++)
		if (i != 2)
			assert_int_equal(guests[0].description.nics[i].mac[5],
					 i);
}

static void a_nic_keeps_off_the_channels_address(void **state)
{
	struct mull_nic nic = lan;

	(void)state;
	strcpy(boot_package.machine.uplink, "lan");
	boot_package.machine.uplink_nic = 1;
	boot_package.machine.address = 0x0a000001;
	mull_channel_mac(&boot_package.machine, nic.mac);
	assert_int_equal(plug_nic(0, nic), ERR_BAD_REQUEST);
	expect_words("the management channel's");
}

static const struct mull_vm_nic_status *nic_status(uint32_t at)
{
	assert_int_equal(ask_with(MULL_COMMAND_VM_NICS, 0, 0, "", 0), ERR_NONE);
	for (uint32_t i = 0; i < heard_count; i++)
		if (heard[i].header.type == MULL_FRAME_REPLY &&
		    heard[i].length >
			    sizeof heard[i].reply +
				    at * sizeof(struct mull_vm_nic_status))
			return (const struct mull_vm_nic_status
					*)(heard[i].bytes +
					   sizeof heard[i].reply) +
			       at;
	return NULL;
}

static void nics_are_shown(void **state)
{
	struct attachment *it = &guests[0].attachment;

	(void)state;
	assert_null(nic_status(0));
	guests[0].description.nics[1] = lan;
	assert_int_equal(nic_status(0)->number, 1);
	assert_int_equal(nic_status(0)->state, MULL_DISK_PRESENT);
	assert_int_equal(nic_status(0)->nic.mac[5], 1);
	assert_null(nic_status(1));
	it->step = ATTACH_PLUG;
	it->index = 1;
	it->net = (struct virtio_net *)it; /* it is not looked into */
	assert_int_equal(nic_status(0)->state, MULL_DISK_COMING);
	it->going = true;
	assert_int_equal(nic_status(0)->state, MULL_DISK_GOING);
	it->net = NULL; /* it is disk 1 that goes */
	assert_int_equal(nic_status(0)->state, MULL_DISK_PRESENT);
	*it = (struct attachment){ .index = 2,
				   .words = "why not",
				   .words_net = true };
	assert_int_equal(nic_status(1)->number, 2);
	assert_int_equal(nic_status(1)->state, MULL_DISK_FAILED);
	assert_string_equal(nic_status(1)->words, "why not");
	/* That was no disk. */
	assert_int_equal(ask_with(MULL_COMMAND_DISKS, 0, 0, "", 0), ERR_NONE);
	for (uint32_t i = 0; i < heard_count; i++)
		if (heard[i].header.type == MULL_FRAME_REPLY)
			assert_int_equal(heard[i].length,
					 sizeof heard[i].reply);
}

/* ---- disks ---------------------------------------------------------------- */

static void a_partition_comes_unless_another_has_it(void **state)
{
	struct mull_disk disk = data;

	(void)state;
	assert_int_equal(plug(0, data), ERR_NONE);
	assert_false(attached.nic);
	assert_int_equal(plug(1, data), ERR_BAD_REQUEST);
	expect_words("which vm \"web\" has, too, and one of them writes it");
	assert_int_equal(plug(0, data), ERR_BAD_REQUEST);
	expect_words("the same vm");
	strcpy(disk.partition, "other");
	attach_error = ERR_NOT_FOUND;
	assert_int_equal(plug(1, disk), ERR_NOT_FOUND);
	expect_words("partition \"other\": the fake will not");
	attach_error = ERR_NONE;
	disk.flags = MULL_DISK_READ_ONLY;
	assert_int_equal(plug(0, disk), ERR_NONE);
	assert_int_equal(plug(1, disk), ERR_NONE);
	disk.flags = 0;
	assert_int_equal(plug(1, disk), ERR_BAD_REQUEST);
	strcpy(disk.overlay, "over");
	disk.flags = MULL_DISK_PRIVATE;
	assert_int_equal(plug(1, disk), ERR_UNSUPPORTED);
	expect_words("in its description only");
	assert_int_equal(attached.count, 3);
}

static void there_are_four_disks_at_most(void **state)
{
	struct mull_disk disk = data;

	(void)state;
	disk.flags = MULL_DISK_READ_ONLY;
	guests[0].description.disks[2] = disk; /* those before it have gone */
	for (uint32_t i = 0; i < 4; i++) {
		if (i == 2)
			continue;
		assert_int_equal(plug(0, disk), ERR_NONE);
		assert_int_equal(value, i);
	}
	assert_int_equal(plug(0, disk), ERR_NO_MEMORY);
	expect_words("it has 4 disks");
	disk.kind = MULL_DISK_NONE;
	assert_int_equal(plug(1, disk), ERR_BAD_REQUEST);
	disk = (struct mull_disk){ .kind = MULL_DISK_MEMORY,
				   .flags = MULL_DISK_READ_ONLY };
	assert_int_equal(plug(1, disk), ERR_BAD_REQUEST);
	expect_words("an image of another kind");
	disk.image = 1;
	assert_int_equal(plug(1, disk), ERR_NONE);
}

/* ---- what goes ------------------------------------------------------------ */

static void what_it_has_can_go(void **state)
{
	(void)state;
	assert_int_equal(unplug(0, 0), ERR_NOT_FOUND);
	expect_words("it has no disk0");
	assert_int_equal(unplug(0, MULL_UNPLUG_NIC | 7), ERR_NOT_FOUND);
	expect_words("it has no nic7");
	assert_int_equal(unplug(0, 200), ERR_NOT_FOUND);
	assert_int_equal(unplug(0, MULL_UNPLUG_ALL + 0x100), ERR_BAD_REQUEST);
	guests[0].description.disks[2] = data;
	guests[0].description.nics[1] = lan;
	assert_int_equal(unplug(0, 2), ERR_NONE);
	assert_true(attached.went && !attached.nic && !attached.pull);
	assert_int_equal(attached.index, 2);
	assert_int_equal(unplug(0, MULL_UNPLUG_ALL | 1), ERR_NONE);
	assert_true(attached.went && attached.nic && attached.pull);
	assert_int_equal(attached.index, 1);
	strcpy(guests[0].description.disks[2].overlay, "over");
	assert_int_equal(unplug(0, 2), ERR_UNSUPPORTED);
	assert_int_equal(attached.count, 2);
}

static void one_at_a_time(void **state)
{
	struct attachment *it = &guests[0].attachment;

	(void)state;
	guests[0].description.disks[0] = data;
	guests[0].description.disks[1] = data;
	it->index = 1;
	it->step = ATTACH_CLEAR;
	assert_int_equal(plug_nic(0, lan), ERR_BUSY);
	expect_words("disk1 is still coming");
	assert_int_equal(unplug(0, 1), ERR_BUSY);
	it->going = true;
	it->step = ATTACH_FLUSH;
	assert_int_equal(unplug(0, 1), ERR_BUSY);
	expect_words("disk1 is still going");
	it->step = ATTACH_EJECT;
	assert_int_equal(plug(0, data), ERR_BUSY);
	expect_words("the guest has not let go of disk1 yet");
	assert_int_equal(unplug(0, 0), ERR_BUSY);
	assert_int_equal(unplug(0, MULL_UNPLUG_NIC | 1), ERR_BUSY);
	assert_int_equal(attached.count, 0);
	assert_int_equal(unplug(0, 1), ERR_NONE);
	assert_true(attached.again && !attached.pull);
	assert_int_equal(unplug(0, MULL_UNPLUG_PULL | 1), ERR_NONE);
	assert_true(attached.again && attached.pull);
	assert_int_equal(attached.count, 2);
	/* Another VM is not concerned. */
	assert_int_equal(plug_nic(1, lan), ERR_NONE);
}

static void vms_that_are_no_more_take_nothing(void **state)
{
	(void)state;
	guests[0].state = MULL_VM_DESTROYED;
	assert_int_equal(plug_nic(0, lan), ERR_WRONG_STATE);
	assert_int_equal(plug(0, data), ERR_WRONG_STATE);
	guests[1].vcpu_count = 0;
	guests[1].state = MULL_VM_REFUSED;
	assert_int_equal(plug_nic(1, lan), ERR_WRONG_STATE);
	assert_int_equal(unplug(1, 0), ERR_WRONG_STATE);
	guests[0].state = MULL_VM_RUNNING;
	guests[0].pc = (struct pc *)&guests[0]; /* it is not looked into */
	assert_int_equal(plug_nic(0, lan), ERR_UNSUPPORTED);
	expect_words("a legacy PC's disks and nics");
	guests[0].pc = NULL;
	attach_error = ERR_NO_MEMORY;
	assert_int_equal(plug_nic(0, lan), ERR_NO_MEMORY);
	expect_words("the fake will not");
}

#define WITH(name) cmocka_unit_test_setup(name, with_vms)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(a_nic_comes_to_a_switch_that_is_known),
		WITH(an_address_is_one_vms),
		WITH(a_nic_keeps_off_the_channels_address),
		WITH(nics_are_shown),
		WITH(a_partition_comes_unless_another_has_it),
		WITH(there_are_four_disks_at_most),
		WITH(what_it_has_can_go),
		WITH(one_at_a_time),
		WITH(vms_that_are_no_more_take_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
