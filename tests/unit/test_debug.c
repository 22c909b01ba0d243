/* SPDX-License-Identifier: MIT */
/* The operator looks into a paused VM. */
#include "vm_life.h"

#include "kernel/manage/request.h"

static struct virt_ops ops; /* the fake's, but with MSRs */
const struct virt_ops *virt = &ops;
static const uint8_t nothing;
static struct answer answer;
static uint32_t ram; /* bytes */

/* ---- what request.c gives a handler -------------------------------------- */

enum error answer_words(struct answer *to, enum error error, const char *format,
			...)
{
	(void)to;
	(void)format;
	return error;
}

enum error answer_wrong_state(struct answer *to, const struct vm *of)
{
	(void)to;
	(void)of;
	return ERR_WRONG_STATE;
}

void *answer_add(struct answer *to, size_t size)
{
	void *record = to->data + to->length;

	assert_true(size <= sizeof to->data - to->length);
	to->length += size;
	return record;
}

/* Each round the vCPUs' CPU looks around, too. */
static enum error ask(request_handler *handler, uint64_t argument,
		      const void *data, size_t length)
{
	struct asked asked = { .vm = vm,
			       .argument = argument,
			       .data = data ? data : &nothing,
			       .length = length };

	memset(&answer, 0, sizeof answer);
	for (int round = 0; round < 1000; round++) {
		enum error error;

		answer.pending = false;
		error = handler(&asked, &answer);
		if (!answer.pending)
			return error;
		obey_all();
	}
	fail_msg("it is never answered");
	return ERR_NONE;
}

static enum error look(uint64_t at, uint32_t wanted)
{
	return ask(request_memory, at, &wanted, sizeof wanted);
}

/* The MSRs that processors switch, by their last digit. */
static uint64_t msrs[8];

static enum error read_msr(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	(void)vcpu;
	*value = msrs[msr & 7];
	return ERR_NONE;
}

static enum error write_msr(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	(void)vcpu;
	if (value == 1)
		return ERR_BAD_REQUEST;
	msrs[msr & 7] = value;
	return ERR_NONE;
}

static int paused(void **state)
{
	ops = fake_virt_ops;
	ops.read_msr = read_msr;
	ops.write_msr = write_msr;
	if (fresh(state))
		return -1;
	start();
	vm_command(vm, MULL_COMMAND_PAUSE);
	finish();
	assert_int_equal(vm->state, MULL_VM_PAUSED);
	ram = vm->description.memory_size;
	soil();
	return 0;
}

static int end(void **state)
{
	vm->state = MULL_VM_PAUSED;
	return stop_all(state);
}

/* ---- memory -------------------------------------------------------------- */

static void memory_is_told_and_set(void **state)
{
	static const uint8_t bytes[] = { 0xcc, 1, 2 };

	(void)state;
	/* Over the border of two frames. */
	assert_int_equal(ask(request_set_memory, FRAME_SIZE - 2, bytes, 3), 0);
	assert_int_equal(look(FRAME_SIZE - 4, 8), ERR_NONE);
	assert_int_equal(answer.length, 8);
	assert_memory_equal(answer.data, "\xaa\xaa\xcc\x01\x02\xaa\xaa\xaa", 8);
	assert_int_equal(look(0, ~0u), ERR_NONE);
	assert_int_equal(answer.length, MULL_REPLY_DATA_MAX);
	assert_int_equal(look(ram - 8, 9), ERR_BAD_ADDRESS);
	assert_int_equal(look(~0ull, 2), ERR_BAD_ADDRESS);
	assert_int_equal(look(~7ull, 16), ERR_BAD_ADDRESS);
	assert_int_equal(ask(request_set_memory, ram - 2, bytes, 3),
			 ERR_BAD_ADDRESS);
	assert_int_equal(look(ram - 2, 2), ERR_NONE);
	assert_memory_equal(answer.data, "\xaa\xaa", 2);
}

static void zeros_are_told_as_a_count(void **state)
{
	static const uint8_t one = 1;
	uint64_t end = FRAME_SIZE * 2 + 4096;

	(void)state;
	guest_zero(&vm->memory, gpa(4096), ram - 4096);
	assert_int_equal(ask(request_set_memory, end + 3, &one, 1), 0);
	assert_int_equal(look(4096, ~0u), ERR_NONE);
	assert_int_equal(answer.length, 0);
	assert_int_equal(answer.reply.value, end - 4096);
	/* No more than was wanted, and none beyond the memory. */
	assert_int_equal(look(4096, 100000), ERR_NONE);
	assert_in_range(answer.reply.value, 99993, 100000);
	assert_int_equal(look(end + 8, ~0u), ERR_NONE);
	assert_int_equal(answer.reply.value, ram - end - 8);
	assert_int_equal(look(4097, ~0u), ERR_NONE);
	assert_int_equal(answer.length, MULL_REPLY_DATA_MAX);
	/* A few zeros are sent as they are. */
	assert_int_equal(look(end - 16, 64), ERR_NONE);
	assert_int_equal(answer.length, 64);
	assert_int_equal(answer.reply.value, 0);
	assert_int_equal(answer.data[19], 1);
}

/* Whether it is asked for at a border, within, or at an odd address. */
static void what_is_in_the_balloon_is_zeros(void **state)
{
	(void)state;
	vm->memory.elastic = true;
	vm->frames[1] |= GUEST_HOLE;
	assert_int_equal(look(FRAME_SIZE - 4, 8), ERR_NONE);
	assert_memory_equal(answer.data, "\xaa\xaa\xaa\xaa\0\0\0\0", 8);
	assert_int_equal(look(FRAME_SIZE - 4, MULL_REPLY_DATA_MAX), ERR_NONE);
	assert_int_equal(answer.length, MULL_REPLY_DATA_MAX);
	assert_int_equal(look(2 * FRAME_SIZE - 3, 6), ERR_NONE);
	assert_memory_equal(answer.data, "\0\0\0\xaa\xaa\xaa", 6);
	assert_int_equal(look(FRAME_SIZE + 1, 5), ERR_NONE);
	assert_memory_equal(answer.data, "\0\0\0\0\0", 5);
	assert_int_equal(look(FRAME_SIZE, ~0u), ERR_NONE);
	assert_int_equal(answer.length, 0);
	assert_int_equal(answer.reply.value, FRAME_SIZE);
	assert_int_equal(ask(request_set_memory, FRAME_SIZE, "a", 1),
			 ERR_BAD_ADDRESS);
	vm->frames[1] &= ~GUEST_HOLE;
	vm->memory.elastic = false;
}

/* ---- registers ----------------------------------------------------------- */

static struct mull_registers registers_of(uint32_t vcpu)
{
	struct mull_registers registers;

	assert_int_equal(ask(request_registers, vcpu, NULL, 0), ERR_NONE);
	assert_int_equal(answer.length, sizeof registers);
	memcpy(&registers, answer.data, sizeof registers);
	return registers;
}

static void registers_are_told_by_their_cpu(void **state)
{
	struct vcpu *vcpu = vm->vcpus[0];
	struct mull_registers registers;

	(void)state;
	vcpu->gpr[RSP] = 0x1234;
	vcpu->gpr[R15] = 15;
	vcpu->rip = 0x5678;
	vcpu->rflags = 0x202;
	vcpu->paused_in = VCPU_HALTED;
	fake_virt.system.cr3 = 0x9000;
	fake_virt.system.dr6 = 6;
	fake_virt.system.segments[SEGMENT_TR].base = 77;
	for (uint32_t i = 1; i < 5; i++)
		msrs[i] = i << 4;
	registers = registers_of(0);
	assert_int_equal(registers.gpr[4], 0x1234);
	assert_int_equal(registers.gpr[15], 15);
	assert_int_equal(registers.rip, 0x5678);
	assert_int_equal(registers.rflags, 0x202);
	assert_int_equal(registers.cr3, 0x9000);
	assert_int_equal(registers.dr6, 6);
	assert_int_equal(registers.segments[7].base, 77);
	assert_int_equal(registers.star, 0x10);
	assert_int_equal(registers.lstar, 0x20);
	assert_int_equal(registers.fmask, 0x40);
	assert_int_equal(registers.halted, 1);
	assert_int_equal(registers_of(1).halted, 2);
	assert_int_equal(registers_of(1).vcpu, 1);
}

static void registers_are_set(void **state)
{
	struct vcpu *vcpu = vm->vcpus[0];
	struct mull_registers registers;

	(void)state;
	vcpu->paused_in = VCPU_HALTED;
	registers = registers_of(0);
	registers.gpr[15] = 15;
	registers.rip = 0x5678;
	registers.rflags = 0x200;
	registers.cr3 = 0xa000;
	registers.segments[2].attributes = 0xcf3;
	registers.lstar = 5;
	assert_int_equal(
		ask(request_registers, 0, &registers, sizeof registers),
		ERR_NONE);
	assert_int_equal(answer.length, 0);
	assert_int_equal(vcpu->gpr[R15], 15);
	assert_int_equal(vcpu->rip, 0x5678);
	assert_int_equal(vcpu->rflags, 0x202);
	assert_int_equal(vcpu->paused_in, VCPU_HALTED);
	assert_int_equal(fake_virt.system.cr3, 0xa000);
	assert_int_equal(fake_virt.system.cpl, 3);
	assert_int_equal(msrs[2], 5);
	registers.halted = 0;
	registers.kernel_gs_base = 9;
	registers.lstar = 1;
	assert_int_equal(
		ask(request_registers, 0, &registers, sizeof registers),
		ERR_BAD_REQUEST);
	assert_int_equal(vcpu->paused_in, VCPU_HALTED);
	assert_int_not_equal(msrs[2], 9); /* all or nothing */
	assert_int_equal(registers_of(0).lstar, 5);
	assert_int_not_equal(registers_of(0).kernel_gs_base, 9);
	registers.lstar = 5;
	registers.kernel_gs_base = 7;
	assert_int_equal(
		ask(request_registers, 0, &registers, sizeof registers),
		ERR_NONE);
	assert_int_equal(vcpu->paused_in, VCPU_RUNNABLE);
}

/* The operator's stop came first: the vCPU parks and forgets what else was
 * asked of it. */
static void a_vm_that_ends_meanwhile_is_no_riddle(void **state)
{
	struct asked asked = { .vm = vm, .data = &nothing };

	(void)state;
	memset(&answer, 0, sizeof answer);
	assert_int_equal(request_registers(&asked, &answer), ERR_NONE);
	assert_true(answer.pending);
	answer.pending = false;
	vm->state = MULL_VM_STOPPING;
	assert_int_equal(request_registers(&asked, &answer), ERR_WRONG_STATE);
	assert_false(answer.pending);
	vm->state = MULL_VM_PAUSED;
	assert_int_equal(registers_of(1).vcpu, 1);
}

/* ---- limits -------------------------------------------------------------- */

static void only_a_paused_vm_is_looked_into(void **state)
{
	uint8_t byte = 0;

	(void)state;
	assert_int_equal(ask(request_registers, 2, NULL, 0), ERR_NOT_FOUND);
	assert_int_equal(ask(request_inject, 2, NULL, 0), ERR_NOT_FOUND);
	vm->state = MULL_VM_RUNNING;
	for (int stands = 0; stands < 2; stands++) {
		assert_int_equal(look(0, 8), ERR_WRONG_STATE);
		assert_int_equal(ask(request_set_memory, 0, &byte, 1),
				 ERR_WRONG_STATE);
		assert_int_equal(ask(request_registers, 0, NULL, 0),
				 ERR_WRONG_STATE);
		/* A command that the home CPU has not seen yet. */
		vm->state = MULL_VM_PAUSED;
		vm->commands = 1u << MULL_COMMAND_STOP;
	}
	vm->commands = 0;
}

static void an_nmi_is_injected(void **state)
{
	(void)state;
	assert_int_equal(ask(request_inject, 0, NULL, 0), ERR_NONE);
	assert_true(vcpu_wakes(vm->vcpus[0]));
	vm_command(vm, MULL_COMMAND_RESUME);
	finish();
	vcpu_prepare(vm->vcpus[0]);
	assert_int_equal(fake_virt.event.kind, EVENT_NMI);
	vm->state = MULL_VM_STOPPED;
	assert_int_equal(ask(request_inject, 0, NULL, 0), ERR_WRONG_STATE);
}

/* ---- breakpoints and steps ----------------------------------------------- */

static void leave(enum exit_kind kind)
{
	struct vm_exit exit = { .kind = kind, .length = 2 };

	exit_handle(vm->vcpus[0], &exit);
}

static void resumed(void)
{
	vm_command(vm, MULL_COMMAND_RESUME);
	finish();
	assert_int_equal(vm->state, MULL_VM_RUNNING);
	assert_int_equal(vm->vcpus[0]->state, VCPU_RUNNABLE);
	state_count = 0;
}

static void a_breakpoint_pauses_the_vm(void **state)
{
	(void)state;
	fake_virt.watches = 0;
	assert_int_equal(ask(request_debug, 1, NULL, 0), ERR_NONE);
	obey_all();
	assert_int_equal(fake_virt.watches, 2);
	assert_true(vm->debugged);
	resumed();
	leave(EXIT_BREAKPOINT);
	assert_true(vm->vcpus[0]->held);
	finish();
	EXPECT_STATES(MULL_VM_PAUSED);
	assert_int_equal(vm->stopped_by, 1);
	assert_false(vm->vcpus[0]->held);
	resumed();
	assert_int_equal(vm->stopped_by, 0);
}

static void what_is_no_int3_goes_on(void **state)
{
	struct vcpu *vcpu = vm->vcpus[0];

	(void)state;
	memset(&fake_virt.system, 0, sizeof fake_virt.system);
	resumed();
	guest_write(&vm->memory, gpa(0x1000), "\xcd\x80\xcc", 3);
	vcpu->rip = 0x1000;
	leave(EXIT_SOFTWARE_INTERRUPT);
	assert_int_equal(vcpu->rip, 0x1002);
	assert_int_equal(vcpu->event.kind, EVENT_SOFTWARE);
	assert_int_equal(vcpu->event.vector, 0x80);
	assert_false(vcpu->held);
	leave(EXIT_SOFTWARE_INTERRUPT);
	assert_int_equal(vcpu->rip, 0x1002);
	assert_true(vcpu->held);
}

static void one_vcpu_does_a_step(void **state)
{
	struct vcpu *vcpu = vm->vcpus[0];

	(void)state;
	vcpu->rflags = BIT(9) | BIT(1);
	fake_virt.can_interrupt = true;
	local_apic_mmio_write(vcpu, 0xf0, 4, 0x1ff);
	vcpu->apic.timer_deadline = ARCH_NO_DEADLINE;
	state_count = 0;
	for (int by_exit = 0; by_exit < 2; by_exit++) {
		assert_int_equal(ask(request_step, 0, NULL, 0), ERR_NONE);
		obey_all();
		EXPECT_STATES(MULL_VM_RUNNING);
		assert_int_equal(vcpu->state, VCPU_RUNNABLE);
		assert_int_equal(vm->vcpus[1]->state, VCPU_PAUSED);
		assert_true(vcpu->rflags & BIT(8));
		/* Nothing comes in between. */
		fake_virt.injected = 0;
		vcpu_request(vcpu, VCPU_NMI);
		vcpu_prepare(vcpu);
		assert_int_equal(fake_virt.injected, 0);
		/* The processor's trap, or an instruction that exits. */
		leave(by_exit ? EXIT_CPUID : EXIT_BREAKPOINT);
		finish();
		EXPECT_STATES(MULL_VM_PAUSED);
		assert_int_equal(vm->stopped_by, 1);
		assert_false(vcpu->has_event);
		assert_int_equal(vcpu->rflags, BIT(9) | BIT(1));
	}
	resumed();
	assert_int_equal(vm->vcpus[1]->state, VCPU_WAITING);
}

static void a_step_that_lasts_can_be_paused(void **state)
{
	(void)state;
	assert_int_equal(ask(request_step, 0, NULL, 0), ERR_NONE);
	vm_command(vm, MULL_COMMAND_PAUSE);
	finish();
	assert_int_equal(vm->state, MULL_VM_PAUSED);
	assert_int_equal(vm->stopped_by, 0);
	assert_false(vm->vcpus[0]->rflags & BIT(8));
	/* One that waits has nothing to do. */
	assert_int_equal(ask(request_step, 1, NULL, 0), ERR_WRONG_STATE);
	assert_int_equal(ask(request_step, 2, NULL, 0), ERR_NOT_FOUND);
	resumed();
	assert_int_equal(ask(request_step, 0, NULL, 0), ERR_WRONG_STATE);
}

#define PAUSED(name) cmocka_unit_test_setup_teardown(name, paused, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PAUSED(memory_is_told_and_set),
		PAUSED(zeros_are_told_as_a_count),
		PAUSED(what_is_in_the_balloon_is_zeros),
		PAUSED(registers_are_told_by_their_cpu),
		PAUSED(registers_are_set),
		PAUSED(a_vm_that_ends_meanwhile_is_no_riddle),
		PAUSED(only_a_paused_vm_is_looked_into),
		PAUSED(an_nmi_is_injected),
		PAUSED(a_breakpoint_pauses_the_vm),
		PAUSED(what_is_no_int3_goes_on),
		PAUSED(one_vcpu_does_a_step),
		PAUSED(a_step_that_lasts_can_be_paused),
	};

	return cmocka_run_group_tests(tests, start_memory, NULL);
}
