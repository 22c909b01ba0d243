/* SPDX-License-Identifier: MIT */
#include "vm_fixture.h"

#include <pthread.h>

#define RFLAGS_IF BIT(9)
#define LONG_CODE 0xa9b
#define PROTECTED_CODE 0xc9b /* the same, 32-bit */
#define FLAT_CODE 0xc9b
#define FLAT_DATA 0xc93
#define CODE 0x10000

static struct vcpu *first, *second;

uint32_t cpu_loop_service(void)
{
	return 0;
}

void cpu_loop_move(struct vcpu *vcpu)
{
	vcpu->next = vcpu->next ? NULL : vcpu;
}

/* Runs, in 32-bit code without paging, with a local APIC that is on. */
static int running(void **state)
{
	if (fresh(state))
		return -1;
	start();
	first = vm->vcpus[0];
	second = vm->vcpus[1];
	fake_virt.system.cr0 = 1;
	fake_virt.system.efer = 0;
	fake_virt.system.segments[SEGMENT_CS].attributes = FLAT_CODE;
	fake_virt.can_interrupt = true;
	first->rip = CODE;
	first->rflags = RFLAGS_IF;
	local_apic_mmio_write(first, 0xf0, 4, 0x1ff);
	return 0;
}

static void put_code(const char *bytes, size_t length)
{
	assert_int_equal(guest_write(&vm->memory, gpa(CODE), bytes, length),
			 ERR_NONE);
}

static void ask(struct vcpu *vcpu, uint32_t requests)
{
	atomic_fetch_or(&vcpu->requests, requests);
	vcpu_obey(vcpu);
}

/* ---- beginning ----------------------------------------------------------- */

static void the_first_begins_where_the_loader_says(void **state)
{
	struct guest_system *system = &fake_virt.system;

	(void)state;
	first->gpr[RDX] = 5;
	first->has_event = true;
	first->clock.msr = 1;
	fake_virt.resets = 0;
	ask(first, VCPU_BEGIN);
	assert_int_equal(fake_virt.resets, 1);
	assert_int_equal(first->state, VCPU_RUNNABLE);
	assert_int_equal(first->rip, 0x100000);
	assert_int_equal(first->gpr[RSP], 0x8000);
	assert_int_equal(first->gpr[RDI], 0x2000);
	assert_int_equal(first->gpr[RSI], 0x3000);
	assert_int_equal(first->gpr[RDX], 0);
	assert_int_equal(system->cr0 & (BIT(31) | BIT(0)), BIT(31) | BIT(0));
	assert_int_equal(system->cr3, 0x8000);
	assert_true(system->cr4 & BIT(5));
	assert_int_equal(system->efer & 0x500, 0x500);
	assert_int_equal(system->gdt_base, 0x1000);
	assert_int_equal(system->gdt_limit, 31);
	assert_int_equal(system->idt_limit, 0);
	assert_int_equal(system->segments[SEGMENT_CS].selector, 8);
	assert_int_equal(system->segments[SEGMENT_CS].attributes, LONG_CODE);
	for (int i = SEGMENT_ES; i <= SEGMENT_GS; i++)
		if (i != SEGMENT_CS) {
			assert_int_equal(system->segments[i].selector, 16);
			assert_int_equal(system->segments[i].attributes,
					 FLAT_DATA);
		}
	assert_false(first->has_event);
	assert_int_equal(first->clock.msr, 0);
}

/* As PVH and Multiboot kernels are promised: CR0.PE alone. */
static void one_without_paging_begins_in_protected_mode(void **state)
{
	struct guest_system *system = &fake_virt.system;
	const struct guest_segment *code = &system->segments[SEGMENT_CS];

	(void)state;
	vm->load.start.mode = GUEST_PROTECTED;
	fake_virt.system = (struct guest_system){ .cr3 = 7 };
	ask(first, VCPU_BEGIN);
	vm->load.start.mode = GUEST_LONG;
	assert_int_equal(first->state, VCPU_RUNNABLE);
	assert_int_equal(first->rip, 0x100000);
	assert_int_equal(first->gpr[RAX], 0x2bad);
	assert_int_equal(first->gpr[RBX], 0x4000);
	assert_int_equal(system->cr0, BIT(4) | BIT(0));
	assert_int_equal(system->cr4, 0);
	assert_int_equal(system->efer, 0);
	assert_int_equal(system->gdt_base, 0x1000);
	assert_int_equal(system->idt_limit, 0);
	assert_int_equal(code->selector, 8);
	assert_int_equal(code->base, 0);
	assert_int_equal(code->limit, ~0u);
	assert_int_equal(code->attributes, PROTECTED_CODE);
	for (int i = SEGMENT_ES; i <= SEGMENT_GS; i++)
		if (i != SEGMENT_CS)
			assert_int_equal(system->segments[i].attributes,
					 FLAT_DATA);
}

static void the_others_wait(void **state)
{
	(void)state;
	second->rip = 5;
	ask(second, VCPU_BEGIN);
	assert_int_equal(second->state, VCPU_WAITING);
	assert_int_equal(second->rip, 5); /* the loader's is not theirs */
	assert_int_equal(vm->ending, MULL_END_NONE);
}

static void sipi_starts_one_that_waits(void **state)
{
	(void)state;
	second->startup_vector = 0x9a;
	second->rip = 77;
	ask(second, VCPU_STARTUP);
	assert_int_equal(second->state, VCPU_RUNNABLE);
	assert_int_equal(second->rip, 0);
	assert_int_equal(fake_virt.system.segments[SEGMENT_CS].selector,
			 0x9a00);
	assert_int_equal(fake_virt.system.segments[SEGMENT_CS].base, 0x9a000);
	assert_int_equal(second->requests, 0);
}

static void sipi_is_nothing_to_one_that_runs(void **state)
{
	(void)state;
	first->startup_vector = 0x9a;
	ask(first, VCPU_STARTUP);
	assert_int_equal(first->rip, CODE);
	assert_int_equal(first->state, VCPU_RUNNABLE);
	assert_int_equal(first->requests, 0);
}

static void init_makes_it_wait(void **state)
{
	(void)state;
	ask(second, VCPU_STARTUP);
	second->has_event = true;
	second->wants_window = true;
	local_apic_mmio_write(second, 0xf0, 4, 0x1ff);
	local_apic_raise(&second->apic, 0x41, false);
	assert_int_equal(local_apic_pending(&second->apic), 0x41);
	local_apic_raise(&second->apic, 0x42, false);
	fake_virt.resets = 0;
	ask(second, VCPU_INIT);
	assert_int_equal(fake_virt.resets, 1);
	assert_int_equal(second->state, VCPU_WAITING);
	assert_int_equal(local_apic_pending(&second->apic), -1);
	assert_false(second->has_event);
	assert_false(second->wants_window);
}

static void init_and_sipi_may_come_in_one_go(void **state)
{
	(void)state;
	ask(second, VCPU_STARTUP);
	second->rip = 55;
	second->startup_vector = 7;
	ask(second, VCPU_INIT | VCPU_STARTUP);
	assert_int_equal(second->state, VCPU_RUNNABLE);
	assert_int_equal(second->rip, 0);
	assert_int_equal(fake_virt.system.segments[SEGMENT_CS].base, 0x7000);
}

static void init_undoes_the_sipi_before_it(void **state)
{
	(void)state;
	vcpu_request(second, VCPU_INIT);
	vcpu_request(second, VCPU_STARTUP);
	vcpu_request(second, VCPU_INIT);
	vcpu_obey(second);
	assert_int_equal(second->state, VCPU_WAITING);
}

/* The first vCPU may start others before their CPUs have looked. */
static void begin_init_and_sipi_may_come_in_one_go(void **state)
{
	(void)state;
	second->state = VCPU_PARKED;
	ask(second, VCPU_BEGIN | VCPU_INIT | VCPU_STARTUP);
	assert_int_equal(second->state, VCPU_RUNNABLE);
}

/* ---- parking ------------------------------------------------------------- */

static void parking_is_told_once(void **state)
{
	(void)state;
	fake_kicks[0] = 0;
	ask(second, VCPU_PARK);
	assert_int_equal(second->state, VCPU_PARKED);
	assert_int_equal(vm->parked, 1);
	assert_int_equal(fake_kicks[0], 1);
	ask(second, VCPU_PARK);
	assert_int_equal(vm->parked, 1);
	assert_int_equal(second->requests, 0);
}

static void park_and_begin_in_one_go_is_told(void **state)
{
	(void)state;
	second->state = VCPU_PARKED;
	ask(second, VCPU_BEGIN | VCPU_PARK);
	assert_int_equal(second->state, VCPU_PARKED);
	assert_int_equal(vm->parked, 1);
}

static void one_that_is_parked_does_not_start(void **state)
{
	(void)state;
	ask(second, VCPU_PARK);
	ask(second, VCPU_INIT | VCPU_STARTUP);
	assert_int_equal(second->state, VCPU_PARKED);
	assert_int_equal(second->requests, 0);
}

/* ---- events -------------------------------------------------------------- */

static void an_exception_is_delivered_once(void **state)
{
	(void)state;
	vcpu_page_fault(first, 3, 0xdead0000);
	assert_true(vcpu_wakes(first));
	vcpu_prepare(first);
	assert_int_equal(fake_virt.injected, 1);
	assert_int_equal(fake_virt.event.kind, EVENT_EXCEPTION);
	assert_int_equal(fake_virt.event.vector, 14);
	assert_true(fake_virt.event.has_error_code);
	assert_int_equal(fake_virt.event.error_code, 3);
	assert_true(fake_virt.event.cr2 == 0xdead0000);
	vcpu_exception(first, 6);
	vcpu_prepare(first);
	assert_false(fake_virt.event.has_error_code);
	vcpu_prepare(first);
	assert_int_equal(fake_virt.injected, 2);
}

static void an_nmi_needs_no_interrupt_flag(void **state)
{
	(void)state;
	first->rflags = 0;
	fake_virt.can_interrupt = false;
	vcpu_request(first, VCPU_NMI);
	vcpu_obey(first);
	first->state = VCPU_HALTED;
	assert_true(vcpu_wakes(first));
	vcpu_prepare(first);
	assert_int_equal(fake_virt.injected, 1);
	assert_int_equal(fake_virt.event.kind, EVENT_NMI);
	assert_int_equal(fake_virt.event.vector, 2);
	assert_int_equal(first->requests, 0);
	assert_false(vcpu_wakes(first));
}

static void an_nmi_waits_for_what_is_being_delivered(void **state)
{
	(void)state;
	vcpu_request(first, VCPU_NMI);
	fake_virt.event_pending = true;
	vcpu_prepare(first);
	assert_int_equal(fake_virt.injected, 0);
	fake_virt.event_pending = false;
	vcpu_exception(first, 6);
	vcpu_prepare(first);
	assert_int_equal(fake_virt.event.kind, EVENT_EXCEPTION);
	vcpu_prepare(first);
	assert_int_equal(fake_virt.event.kind, EVENT_NMI);
	assert_int_equal(fake_virt.injected, 2);
}

static void one_that_waits_takes_no_nmi(void **state)
{
	(void)state;
	ask(second, VCPU_NMI);
	assert_int_equal(second->requests, 0);
	ask(second, VCPU_STARTUP);
	vcpu_prepare(second);
	assert_int_equal(fake_virt.injected, 0);
}

static void an_interrupt_goes_from_request_to_service(void **state)
{
	(void)state;
	local_apic_raise(&first->apic, 0x41, false);
	local_apic_raise(&first->apic, 0x52, false);
	assert_true(vcpu_wakes(first));
	vcpu_prepare(first);
	assert_int_equal(fake_virt.injected, 1);
	assert_int_equal(fake_virt.event.kind, EVENT_INTERRUPT);
	assert_int_equal(fake_virt.event.vector, 0x52);
	assert_false(fake_virt.event.has_error_code);
	assert_false(fake_virt.want_window);
	vcpu_prepare(first); /* 0x41 waits behind it */
	assert_int_equal(fake_virt.injected, 1);
	assert_false(vcpu_wakes(first));
	local_apic_mmio_write(first, 0xb0, 4, 0);
	vcpu_prepare(first);
	assert_int_equal(fake_virt.event.vector, 0x41);
}

static void a_window_is_asked_for_and_given_up(void **state)
{
	(void)state;
	first->rflags = 0;
	fake_virt.can_interrupt = false;
	local_apic_raise(&first->apic, 0x41, false);
	assert_false(vcpu_wakes(first));
	vcpu_prepare(first);
	assert_int_equal(fake_virt.injected, 0);
	assert_true(fake_virt.want_window);
	assert_true(first->wants_window);
	local_apic_set_cr8(&first->apic, 5);
	vcpu_prepare(first);
	assert_false(fake_virt.want_window);
	local_apic_set_cr8(&first->apic, 0);
	fake_virt.can_interrupt = true;
	vcpu_prepare(first);
	assert_int_equal(fake_virt.injected, 1);
	assert_false(fake_virt.want_window);
}

static void a_processor_that_delivers_needs_no_injection(void **state)
{
	(void)state;
	fake_virt.can_interrupt = false;
	local_apic_raise(&first->apic, 0x41, false);
	vcpu_prepare(first); /* asks for a window */
	fake_virt.can_interrupt = fake_virt.delivers = true;
	local_apic_raise(&first->apic, 0x52, false);
	vcpu_prepare(first);
	assert_int_equal(fake_virt.injected, 0);
	assert_false(fake_virt.want_window);
	assert_int_equal(local_apic_requested(&first->apic), 0x52);
	assert_true(vcpu_wakes(first));
}

static void its_own_apic_gets_what_is_posted(void **state)
{
	(void)state;
	first->apic.given = true;
	memset(fake_apic_sent, 0, sizeof fake_apic_sent);
	local_apic_raise(&first->apic, 0x12, false);
	vcpu_prepare(first);
	assert_int_equal(fake_apic_sent[0x12], 1);
	assert_int_equal(fake_virt.injected, 0);
	assert_false(fake_virt.want_window);
	first->apic.given = false;
}

/* But the vendor follows its mode: a step may have left it. */
static void a_step_holds_the_interrupts_of_its_own_apic(void **state)
{
	(void)state;
	first->apic.given = true;
	fake_apic_priority = 0x20;
	ask(first, VCPU_PAUSE);
	ask(first, VCPU_STEP);
	assert_int_equal(fake_apic_priority, 0xff);
	fake_virt.asked_to_deliver = 0;
	vcpu_prepare(first);
	assert_int_equal(fake_virt.asked_to_deliver, 1);
	ask(first, VCPU_PAUSE);
	assert_int_equal(fake_apic_priority, 0x20);
	first->apic.given = false;
}

/* STI; HLT: the processor would halt and wake. */
static void in_the_shadow_of_sti_a_halt_is_done(void **state)
{
	(void)state;
	put_code("\xf4", 1);
	fake_virt.shadow_rip = CODE;
	vcpu_leave_shadow(first);
	assert_int_equal(first->rip, CODE + 1);
	assert_int_equal(first->state, VCPU_HALTED);
	assert_false(vcpu_wakes(first));
	local_apic_raise(&first->apic, 0x41, false);
	assert_true(vcpu_wakes(first));
	vcpu_prepare(first);
	assert_int_equal(fake_virt.event.vector, 0x41);
}

static void assert_shadow_stays(void)
{
	uint64_t rip = first->rip;

	vcpu_leave_shadow(first);
	assert_int_equal(first->rip, rip);
	assert_int_equal(first->state, VCPU_RUNNABLE);
}

static void in_the_shadow_anything_else_runs_first(void **state)
{
	(void)state;
	put_code("\x90", 1);
	fake_virt.shadow_rip = CODE;
	assert_shadow_stays();
	local_apic_raise(&first->apic, 0x41, false);
	vcpu_prepare(first);
	assert_int_equal(fake_virt.injected, 0);
	assert_true(fake_virt.want_window);
}

/* There HLT is #GP, which the guest must see. */
static void in_user_mode_a_halt_is_not_done(void **state)
{
	(void)state;
	put_code("\xf4", 1);
	fake_virt.shadow_rip = CODE;
	fake_virt.system.cpl = 3;
	assert_shadow_stays();
}

static void a_halt_is_not_done_without_a_shadow(void **state)
{
	(void)state;
	put_code("\xf4", 1);
	assert_shadow_stays();
	fake_virt.shadow_rip = CODE;
	first->rflags = 0;
	assert_shadow_stays();
	first->rflags = RFLAGS_IF;
	fake_virt.event_pending = true;
	assert_shadow_stays();
}

static void code_that_is_not_there_is_not_done(void **state)
{
	(void)state;
	first->rip = GIB(3);
	fake_virt.shadow_rip = GIB(3);
	assert_shadow_stays();
}

/* ---- stuck --------------------------------------------------------------- */

static void halt(struct vcpu *vcpu, uint64_t rflags)
{
	vcpu->rflags = rflags;
	vcpu->state = VCPU_HALTED;
	vcpu_halted(vcpu);
}

static void a_vm_that_cannot_go_on_ends(void **state)
{
	(void)state;
	halt(first, 0); /* the second still waits */
	assert_int_equal(vm->ending, MULL_END_ALL_HALTED);
	assert_int_equal(vm->state, MULL_VM_STOPPING);
}

static void a_halt_that_an_interrupt_ends_is_none(void **state)
{
	(void)state;
	halt(first, RFLAGS_IF);
	assert_int_equal(vm->ending, MULL_END_NONE);
	assert_false(first->stuck);
}

static void one_that_runs_keeps_the_vm_alive(void **state)
{
	(void)state;
	ask(second, VCPU_STARTUP);
	halt(first, 0);
	assert_int_equal(vm->ending, MULL_END_NONE);
	halt(second, 0);
	assert_int_equal(vm->ending, MULL_END_ALL_HALTED);
}

static void init_of_all_is_an_end(void **state)
{
	(void)state;
	ask(first, VCPU_INIT);
	assert_int_equal(vm->ending, MULL_END_ALL_HALTED);
}

static void a_request_keeps_the_vm_alive(void **state)
{
	(void)state;
	second->startup_vector = 1;
	vcpu_request(second, VCPU_STARTUP);
	halt(first, 0);
	assert_int_equal(vm->ending, MULL_END_NONE);
	vcpu_obey(second);
	assert_int_equal(second->state, VCPU_RUNNABLE);
	assert_int_equal(vm->ending, MULL_END_NONE);
}

/* A SIPI does not wake one that has halted. */
static void a_request_that_changes_nothing_leaves_it_stuck(void **state)
{
	(void)state;
	ask(second, VCPU_STARTUP);
	halt(first, 0);
	ask(first, VCPU_STARTUP);
	assert_true(first->stuck);
	vcpu_request(first, VCPU_STARTUP);
	halt(second, 0);
	assert_int_equal(vm->ending, MULL_END_NONE);
	vcpu_obey(first);
	assert_int_equal(vm->ending, MULL_END_ALL_HALTED);
}

static void an_nmi_to_one_that_waits_saves_nobody(void **state)
{
	(void)state;
	ask(second, VCPU_NMI);
	halt(first, 0);
	assert_int_equal(vm->ending, MULL_END_ALL_HALTED);
}

static void an_nmi_wakes_one_that_is_stuck(void **state)
{
	(void)state;
	ask(second, VCPU_STARTUP);
	halt(first, 0);
	vcpu_request(first, VCPU_NMI);
	vcpu_obey(first);
	halt(second, 0);
	assert_true(vcpu_wakes(first));
	assert_int_equal(vm->ending, MULL_END_NONE);
}

/* A #DB behind a HLT that was stepped over. */
static void an_exception_behind_the_halt_wakes(void **state)
{
	(void)state;
	vcpu_exception(first, 1);
	halt(first, 0);
	assert_int_equal(vm->ending, MULL_END_NONE);
	assert_true(vcpu_wakes(first));
}

#define ROUNDS 30000

static _Atomic int turn;

/* The second vCPU's CPU: obeys the SIPI as soon as it is there. */
static void *obey_rounds(void *context)
{
	for (int round = 1; round <= ROUNDS; round++) {
		while (turn != round)
			;
		while (second->state == VCPU_WAITING)
			vcpu_obey(second);
		turn = -round;
	}
	return context;
}

/* One starts another and halts while that is starting. */
static void starting_another_is_no_end(void **state)
{
	pthread_t other;

	(void)state;
	assert_int_equal(pthread_create(&other, NULL, obey_rounds, NULL), 0);
	for (int round = 1; round <= ROUNDS; round++) {
		second->state = VCPU_WAITING;
		second->stuck = true;
		first->stuck = false;
		turn = round;
		vcpu_request(second, VCPU_STARTUP);
		/* Meet the other at each place of its way. */
		for (volatile int i = 0; i < round % 200; i++)
			;
		halt(first, 0);
		while (turn != -round)
			;
	}
	pthread_join(other, NULL);
	assert_int_equal(vm->ending, MULL_END_NONE);
}

#undef TEST
#define TEST(name) cmocka_unit_test_setup_teardown(name, running, stop_all)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_first_begins_where_the_loader_says),
		TEST(one_without_paging_begins_in_protected_mode),
		TEST(the_others_wait),
		TEST(sipi_starts_one_that_waits),
		TEST(sipi_is_nothing_to_one_that_runs),
		TEST(init_makes_it_wait),
		TEST(init_and_sipi_may_come_in_one_go),
		TEST(init_undoes_the_sipi_before_it),
		TEST(begin_init_and_sipi_may_come_in_one_go),
		TEST(parking_is_told_once),
		TEST(park_and_begin_in_one_go_is_told),
		TEST(one_that_is_parked_does_not_start),
		TEST(an_exception_is_delivered_once),
		TEST(an_nmi_needs_no_interrupt_flag),
		TEST(an_nmi_waits_for_what_is_being_delivered),
		TEST(one_that_waits_takes_no_nmi),
		TEST(an_interrupt_goes_from_request_to_service),
		TEST(a_window_is_asked_for_and_given_up),
		TEST(a_processor_that_delivers_needs_no_injection),
		TEST(its_own_apic_gets_what_is_posted),
		TEST(a_step_holds_the_interrupts_of_its_own_apic),
		TEST(in_the_shadow_of_sti_a_halt_is_done),
		TEST(in_the_shadow_anything_else_runs_first),
		TEST(in_user_mode_a_halt_is_not_done),
		TEST(a_halt_is_not_done_without_a_shadow),
		TEST(code_that_is_not_there_is_not_done),
		TEST(a_vm_that_cannot_go_on_ends),
		TEST(a_halt_that_an_interrupt_ends_is_none),
		TEST(one_that_runs_keeps_the_vm_alive),
		TEST(init_of_all_is_an_end),
		TEST(a_request_keeps_the_vm_alive),
		TEST(a_request_that_changes_nothing_leaves_it_stuck),
		TEST(an_nmi_to_one_that_waits_saves_nobody),
		TEST(an_nmi_wakes_one_that_is_stuck),
		TEST(an_exception_behind_the_halt_wakes),
		TEST(starting_another_is_no_end),
	};

	return cmocka_run_group_tests(tests, start_memory, NULL);
}
