/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/unit/operator.h"

static void describe(const struct mull_vm *description)
{
	struct {
		struct mull_request request;
		uint8_t data[1000];
	} piece;

	for (size_t at = 0; at < sizeof *description; at += 1000) {
		size_t rest = sizeof *description - at;

		if (rest > sizeof piece.data)
			rest = sizeof piece.data;
		piece.request = (struct mull_request){ MULL_COMMAND_DESCRIBE, 0,
						       at };
		memcpy(piece.data, (const uint8_t *)description + at, rest);
		send(MULL_FRAME_REQUEST, 0, &piece,
		     sizeof piece.request + rest);
		serve(300);
		assert_int_equal(answer(), ERR_NONE);
	}
	/* Behind the end of it nothing is written. */
	piece.request.argument = sizeof *description - 10;
	send(MULL_FRAME_REQUEST, 0, &piece, sizeof piece.request + 11);
	serve(300);
	assert_int_equal(answer(), ERR_TOO_LARGE);
	forget_heard();
}

static uint64_t created(void)
{
	assert_int_equal(ask(MULL_COMMAND_CREATE, 0, 0), ERR_NONE);
	for (uint32_t i = 0; i < heard_count; i++)
		if (heard[i].header.type == MULL_FRAME_REPLY)
			return heard[i].reply.value;
	return 0;
}

static void a_vm_is_made_from_what_was_described(void **unused)
{
	struct mull_vm good = { .name = "new",
				.memory_size = MIB(2),
				.vcpu_count = 1,
				.initrd = MULL_NO_IMAGE,
				.on_poweroff = MULL_END_STOP,
				.on_reset = MULL_END_STOP,
				.on_crash = MULL_END_STOP,
				.console_size = KIB(4) };
	struct mull_vm bad = good;

	(void)unused;
	boot_package = (struct package){
		.bytes = (const uint8_t *)"image",
		.image_count = 1,
		.images = { { .kind = MULL_IMAGE_ELF64 } }
	};
	/* What was refused has no CPU, whatever it asked for. */
	guests[1].description.vcpu_count = 1;
	strcpy(bad.name, "db"); /* that of VM 1, which was refused */
	describe(&bad);
	assert_int_equal(ask(MULL_COMMAND_CREATE, 0, 0), ERR_BAD_REQUEST);
	bad = good;
	bad.kernel = 1;
	describe(&bad);
	assert_int_equal(ask(MULL_COMMAND_CREATE, 0, 0), ERR_BAD_REQUEST);
	bad = good;
	bad.memory_size = MIB(12); /* 10 are free */
	describe(&bad);
	assert_int_equal(ask(MULL_COMMAND_CREATE, 0, 0), ERR_BAD_REQUEST);
	assert_null(vms[2]);
	describe(&good);
	assert_int_equal(created(), 2);
	assert_string_equal(vms[2]->description.name, "new");
	assert_true(vms[2]->created);
	serve(100);
	assert_int_equal(last_event(2)->event.state, MULL_VM_STOPPED);
	describe(&good);
	assert_int_equal(ask(MULL_COMMAND_CREATE, 0, 0), ERR_BAD_REQUEST);
}

static void a_vm_is_gone_when_all_cpus_let_go(void **unused)
{
	struct mull_request request = { MULL_COMMAND_DESTROY, 1, 0 };
	struct vcpu vcpu = { .index = 0 };

	(void)unused;
	destroyed = 0;
	guests[1].vcpus[0] = guests[1].vcpus[1] = &vcpu;
	guests[1].vcpu_count = 2;
	state(1, MULL_VM_RUNNING);
	assert_int_equal(ask(MULL_COMMAND_DESTROY, 1, 0), ERR_WRONG_STATE);
	state(1, MULL_VM_STOPPED);
	serve(100);
	send(MULL_FRAME_REQUEST, 0, &request, sizeof request);
	serve(50);
	assert_int_equal(answer(), UINT32_MAX);
	assert_int_equal(last_command, MULL_COMMAND_DESTROY);
	guests[1].state = MULL_VM_DESTROYED;
	guests[1].left = 1;
	manage_notify();
	serve(50);
	assert_int_equal(answer(), UINT32_MAX);
	assert_int_equal(destroyed, 0);
	guests[1].left = 2;
	manage_notify();
	serve(50);
	assert_int_equal(answer(), ERR_NONE);
	assert_int_equal(destroyed, 1);
	assert_int_equal(last_event(1)->event.state, MULL_VM_DESTROYED);
	assert_int_equal(ask(MULL_COMMAND_START, 1, 0), ERR_NOT_FOUND);
}

/* Its event waits for bytes that nobody will send any more. */
static void an_event_of_one_that_is_gone_is_not_held_back(void **unused)
{
	static uint8_t ring[4096];

	(void)unused;
	each_millisecond = NULL;
	print(0, "a long text that is not sent yet");
	guests[0].serial.output.head += 1000; /* as if more was printed */
	guests[0].state = MULL_VM_CRASHED;
	manage_event(&guests[0]);
	guests[0].serial.output = (struct console_ring){ .bytes = ring,
							 .size = sizeof ring };
	serve(100);
	assert_int_equal(last_event(0)->event.state, MULL_VM_CRASHED);
}

/* Nobody would tell its guest. */
static void disks_of_a_legacy_pc_change_at_rest_only(void **unused)
{
	static const struct {
		struct mull_request request;
		struct mull_disk disk;
	} plug = { .request = { MULL_COMMAND_PLUG, 0, 0 },
		   .disk = { .kind = MULL_DISK_MEMORY } };
	const struct heard *reply = heard;

	(void)unused;
	guests[0].vcpu_count = 1;
	guests[0].pc = (struct pc *)&guests[0]; /* it is not looked into */
	state(0, MULL_VM_RUNNING);
	send(MULL_FRAME_REQUEST, 0, &plug, sizeof plug);
	serve(50);
	assert_int_equal(answer(), ERR_UNSUPPORTED);
	while (reply->header.type != MULL_FRAME_REPLY)
		reply++;
	assert_non_null(memmem(reply->bytes, reply->length, "legacy PC", 9));
	assert_int_equal(ask(MULL_COMMAND_UNPLUG, 0, 0), ERR_UNSUPPORTED);
	state(0, MULL_VM_STOPPED);
	assert_int_equal(ask(MULL_COMMAND_UNPLUG, 0, 0), ERR_NOT_FOUND);
	guests[0].pc = NULL;
	state(0, MULL_VM_RUNNING);
	assert_int_equal(ask(MULL_COMMAND_UNPLUG, 0, 0), ERR_NOT_FOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_vm_is_made_from_what_was_described),
		TEST(a_vm_is_gone_when_all_cpus_let_go),
		TEST(an_event_of_one_that_is_gone_is_not_held_back),
		TEST(disks_of_a_legacy_pc_change_at_rest_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
