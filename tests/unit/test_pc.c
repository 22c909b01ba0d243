/* SPDX-License-Identifier: MIT */
/* A whole legacy PC: its ports, its lines up to the processor, its time. */
#include "vm_fixture.h"

#include <mullion/guest_clock.h>
#include <mullion/mtrr.h>
#include <mullion/pc.h>

#define RFLAGS_IF BIT(9)
#define MS 1000000ull

static struct vcpu *vcpu;

uint32_t cpu_loop_service(void)
{
	return 0;
}

void cpu_loop_move(struct vcpu *of)
{
	of->next = of->next ? NULL : of;
}

static uint32_t in(uint16_t port, uint32_t size)
{
	uint32_t value;

	lock_take(&vm->device_lock);
	value = vm->pc->operations->port_read(vm, port, size);
	lock_give(&vm->device_lock);
	return value;
}

static void out(uint16_t port, uint32_t size, uint32_t value)
{
	lock_take(&vm->device_lock);
	vm->pc->operations->port_write(vm, port, size, value);
	lock_give(&vm->device_lock);
}

static void open_pics(void)
{
	static const uint8_t words[] = { 0x11, 0x20, 4, 1 };

	for (size_t i = 0; i < 4; i++) {
		out(i ? 0x21 : 0x20, 1, words[i]);
		out(i ? 0xa1 : 0xa0, 1, i == 1 ? 0x28 : words[i]);
	}
}

static int running(void **state)
{
	(void)state;
	if (fresh(state))
		return -1;
	stop_all(state);
	describe(0, 2)->flags = MULL_VM_PLATFORM_PC;
	vm = vm_create(&boot_package.vms[0], 0, NULL);
	if (!vm)
		return -1;
	guest_clock_start(1700000000);
	start();
	vcpu = vm->vcpus[0];
	vcpu->rflags = RFLAGS_IF;
	fake_virt.can_interrupt = true;
	fake_virt.injected = 0;
	open_pics();
	return 0;
}

static void expect_injected(int vector)
{
	fake_virt.injected = 0;
	vcpu_prepare(vcpu);
	assert_int_equal(fake_virt.injected, vector >= 0);
	if (vector >= 0) {
		assert_int_equal(fake_virt.event.kind, EVENT_INTERRUPT);
		assert_int_equal(fake_virt.event.vector, vector);
	}
}

static void a_vm_without_the_word_has_none(void **state)
{
	stop_all(state);
	describe(0, 1);
	vm = vm_create(&boot_package.vms[0], 0, NULL);
	assert_non_null(vm);
	assert_null(vm->pc);
	start();
	assert_true(vm->deadline == ARCH_NO_DEADLINE);
}

static void the_timer_reaches_the_processor(void **state)
{
	(void)state;
	expect_injected(-1);
	out(0x43, 1, 0x34);
	out(0x40, 1, 0xa9);
	out(0x40, 1, 0x04); /* 1 ms */
	assert_in_range(vm->deadline - fake_time, MS - 1000, MS + 1000);
	for (int i = 0; i < 3; i++) {
		fake_time = vm->deadline - 1;
		work();
		assert_false(vcpu->requests & VCPU_PIC);
		fake_time++;
		work();
		assert_true(vcpu->requests & VCPU_PIC);
		vcpu->state = VCPU_HALTED;
		assert_true(vcpu_wakes(vcpu));
		vcpu->state = VCPU_RUNNABLE;
		expect_injected(0x20);
		expect_injected(-1); /* until its end */
		out(0x20, 1, 0x20);
	}
}

static void what_cannot_be_taken_waits_for_a_window(void **state)
{
	(void)state;
	fake_virt.can_interrupt = false;
	lock_take(&vm->device_lock);
	io_apic_set_line(vm, 4, true);
	lock_give(&vm->device_lock);
	expect_injected(-1);
	assert_true(vcpu->wants_window);
	vcpu->rflags = 0;
	vcpu->state = VCPU_HALTED;
	assert_false(vcpu_wakes(vcpu));
	vcpu->state = VCPU_RUNNABLE;
	fake_virt.can_interrupt = true;
	expect_injected(0x24);
	assert_false(vcpu->wants_window);
}

static void the_way_can_be_closed(void **state)
{
	(void)state;
	local_apic_mmio_write(vcpu, 0xf0, 4, 0x1ff);
	local_apic_mmio_write(vcpu, 0x350, 4, 0x10700);
	lock_take(&vm->device_lock);
	io_apic_set_line(vm, 4, true);
	lock_give(&vm->device_lock);
	expect_injected(-1);
	assert_false(vcpu->wants_window);
	/* Through the I/O APIC: input 0, ExtINT, to vCPU 1, then to 0. */
	lock_take(&vm->device_lock);
	io_apic_write(vm, 0, 4, 0x11);
	io_apic_write(vm, 0x10, 4, 1u << 24);
	io_apic_write(vm, 0, 4, 0x10);
	io_apic_write(vm, 0x10, 4, 0x700);
	lock_give(&vm->device_lock);
	expect_injected(-1);
	lock_take(&vm->device_lock);
	io_apic_write(vm, 0, 4, 0x11);
	io_apic_write(vm, 0x10, 4, 0);
	lock_give(&vm->device_lock);
	expect_injected(0x24);
	assert_false(vcpu->requests & VCPU_PIC);
}

static void a_line_that_falls_takes_it_back(void **state)
{
	(void)state;
	out(0x4d0, 1, 0x20);
	lock_take(&vm->device_lock);
	io_apic_set_line(vm, 5, true);
	assert_true(vcpu->requests & VCPU_PIC);
	io_apic_set_line(vm, 5, false);
	lock_give(&vm->device_lock);
	assert_false(vcpu->requests & VCPU_PIC);
	expect_injected(-1);
}

static void halted_for_ever_is_seen(void **state)
{
	(void)state;
	lock_take(&vm->device_lock);
	io_apic_set_line(vm, 4, true);
	lock_give(&vm->device_lock);
	vm->vcpus[1]->stuck = true;
	atomic_store(&vm->vcpus[1]->requests, 0);
	vcpu->rflags = 0;
	vcpu->state = VCPU_HALTED;
	vcpu_halted(vcpu);
	assert_int_equal(vm->ending, MULL_END_ALL_HALTED);
}

static void a_paused_guest_keeps_it(void **state)
{
	(void)state;
	lock_take(&vm->device_lock);
	io_apic_set_line(vm, 4, true);
	lock_give(&vm->device_lock);
	vcpu_request(vcpu, VCPU_PAUSE);
	vcpu_obey(vcpu);
	assert_int_equal(vcpu->state, VCPU_PAUSED);
	vcpu_request(vcpu, VCPU_RESUME);
	vcpu_obey(vcpu);
	expect_injected(0x24);
}

static void the_clock_and_the_sci_are_lines(void **state)
{
	(void)state;
	out(0x70, 1, 0x0b);
	out(0x71, 1, 0x42);
	fake_time = vm->deadline;
	work();
	expect_injected(0x28);
	out(0x70, 1, 0x0c);
	assert_int_equal(in(0x71, 1) & 0xc0, 0xc0);
	out(0xa0, 1, 0x20);
	out(0x20, 1, 0x20);
	out(0x70, 1, 0x0b);
	out(0x71, 1, 0x02);

	out(0x4d1, 1, 0x02); /* a level */
	out(0x602, 2, 0x100);
	lock_take(&vm->device_lock);
	platform_press_button(vm);
	lock_give(&vm->device_lock);
	assert_int_equal(in(0x600, 2), 0x100);
	expect_injected(0x29);
	out(0x600, 2, 0x100);
	out(0xa0, 1, 0x20);
	out(0x20, 1, 0x20);
	expect_injected(-1);
}

static void the_pm_timer_counts(void **state)
{
	uint32_t before = in(0x608, 4);

	(void)state;
	fake_time += 1000 * MS;
	assert_in_range(in(0x608, 4) - before, 3579544, 3579546);
	assert_int_equal(in(0x608, 4) >> 24, 0);
	assert_true(vm->deadline == ARCH_NO_DEADLINE);
	out(0x602, 2, 1);
	fake_time = vm->deadline;
	work();
	assert_int_equal(in(0x600, 1), 1);
	assert_int_equal(in(0x608, 4), 1u << 23);
	expect_injected(0x29);
}

static void power_off_and_resets(void **state)
{
	static const struct {
		uint16_t port;
		uint8_t size;
		uint32_t value;
		enum mull_end_reason reason;
	} rows[] = {
		{ 0x604, 2, 0x2000, MULL_END_POWEROFF },
		{ 0x604, 2, 0x3400, MULL_END_POWEROFF },
		{ 0x604, 2, 0x3800, MULL_END_NONE },
		{ 0x604, 2, 0x1400, MULL_END_NONE },
		{ 0x605, 1, 0x20, MULL_END_NONE }, /* the type was 5: it is 0 */
		{ 0xcf9, 1, 0x06, MULL_END_RESET },
		{ 0xcf9, 1, 0x02, MULL_END_NONE },
		{ 0x92, 1, 0x03, MULL_END_RESET },
		{ 0x92, 1, 0x02, MULL_END_NONE },
		{ 0x64, 1, 0xfe, MULL_END_RESET },
		{ 0x64, 1, 0xff, MULL_END_NONE },
		{ 0x600, 1, 0x34, MULL_END_NONE }, /* of other guests */
		{ 0x602, 1, 0x01, MULL_END_NONE },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		atomic_store(&vm->ending, MULL_END_NONE);
		out(rows[i].port, rows[i].size, rows[i].value);
		if (i != 4)
			assert_int_equal(vm->ending, rows[i].reason);
	}
	out(0x64, 1, 0xd1);
	out(0x60, 1, 0x02);
	assert_int_equal(vm->ending, MULL_END_RESET);
}

static void the_keyboard_answers(void **state)
{
	(void)state;
	assert_int_equal(in(0x64, 1), 0x1c);
	out(0x64, 1, 0xaa);
	assert_int_equal(in(0x64, 1), 0x1d);
	assert_int_equal(in(0x60, 1), 0x55);
	assert_int_equal(in(0x64, 1), 0x1c);
	out(0x64, 1, 0xab);
	assert_int_equal(in(0x60, 1), 0);
	out(0x64, 1, 0x60);
	out(0x60, 1, 0x41);
	out(0x64, 1, 0x20);
	assert_int_equal(in(0x60, 1), 0x41);
	out(0x60, 1, 0xff);
	expect_injected(0x21);
	out(0x20, 1, 0x20);
	assert_int_equal(in(0x60, 1), 0xfa);
	expect_injected(0x21);
	out(0x20, 1, 0x20);
	assert_int_equal(in(0x60, 1), 0xaa);
	expect_injected(-1);
	out(0x60, 1, 0xf0);
	out(0x60, 1, 0x00);
	assert_int_equal(in(0x60, 1), 0xfa);
	assert_int_equal(in(0x60, 1), 0xfa);
	assert_int_equal(in(0x60, 1), 2);
	out(0x64, 1, 0xd4);
	out(0x60, 1, 0xff);
	assert_int_equal(in(0x64, 1), 0x1c); /* there is no mouse */
	for (int i = 0; i < 100; i++)
		out(0x60, 1, 0xf2);
	for (int i = 0; i < 8; i++)
		in(0x60, 1);
	assert_int_equal(in(0x64, 1), 0x1c);
}

static void port_61_has_gate_and_output(void **state)
{
	uint8_t first = (uint8_t)in(0x61, 1);

	(void)state;
	fake_time += 15086;
	assert_int_equal((in(0x61, 1) ^ first) & 0x10, 0x10);
	out(0x43, 1, 0xb0);
	out(0x42, 1, 0xa9);
	out(0x42, 1, 0x04);
	out(0x61, 1, 0xff);
	assert_int_equal(in(0x61, 1) & 0x2f, 0x0f);
	fake_time += MS + 1000;
	assert_int_equal(in(0x61, 1) & 0x2f, 0x2f);
	assert_int_equal(in(0x92, 1), 0);
	out(0x92, 1, 2);
	assert_int_equal(in(0x92, 1), 2);
}

static uint32_t item(uint16_t number, uint8_t *bytes, uint32_t count)
{
	out(0x510, 2, number);
	for (uint32_t i = 0; i < count; i++)
		bytes[i] = (uint8_t)in(0x511, 1);
	return bytes[0] | bytes[1] << 8;
}

static void firmware_is_told(void **state)
{
	const uint64_t tables = vm->memory_low - MULL_GUEST_ACPI_SIZE;
	uint8_t bytes[1200];
	uint32_t files;

	(void)state;
	assert_int_equal(guest_store_8(&vm->memory, gpa(tables + 5), 0x5a),
			 ERR_NONE);
	item(0, bytes, 5);
	assert_memory_equal(bytes, "QEMU", 5);
	assert_int_equal(item(1, bytes, 4), 1);
	assert_int_equal(item(5, bytes, 2), 2);
	item(0x19, bytes, sizeof bytes);
	files = bytes[3];
	assert_int_equal(files, 5);
	for (uint32_t i = 0; i < files; i++) {
		const uint8_t *entry = bytes + 4 + 64 * i;
		uint8_t file[8192];
		uint32_t size = (uint32_t)entry[2] << 8 | entry[3];

		item((uint16_t)(entry[4] << 8 | entry[5]), file, size + 1);
		assert_int_equal(file[size], 0);
		if (!strcmp((const char *)entry + 8, "etc/e820"))
			assert_int_equal(size, 40);
		if (!strcmp((const char *)entry + 8, "etc/acpi/tables"))
			assert_int_equal(file[5], 0x5a);
		if (!strcmp((const char *)entry + 8, "etc/table-loader")) {
			assert_int_equal(size, (2 + 8 + 2) * 128);
			assert_string_equal(file + 4, "etc/acpi/rsdp");
			assert_int_equal(file[128 + 4 + 56], 64);
			assert_int_equal(file[2 * 128], 2);
			assert_string_equal(file + 2 * 128 + 4 + 56,
					    "etc/acpi/tables");
		}
		if (!strcmp((const char *)entry + 8, "etc/sercon-port"))
			assert_int_equal(file[0] | file[1] << 8, 0x3f8);
	}
	assert_int_equal(item(0xffff, bytes, 2), 0);
	out(0x511, 1, 1);
	assert_int_equal(in(0x510, 1), 0xff);
}

static void the_bridges_are_intels(void **state)
{
	const uint64_t ecam = 0xb0000000;

	(void)state;
	lock_take(&vm->device_lock);
	assert_int_equal(guest_pci_read(vm, gpa(0xe0000000), 4), 0x29c08086);
	assert_int_equal(guest_pci_read(vm, gpa(0xe00f8000), 4), 0x29188086);
	assert_int_equal(guest_pci_read(vm, gpa(0xe00f8040), 4), 0x601);
	guest_pci_write(vm, gpa(0xe00f8040), 4, 0);
	assert_int_equal(guest_pci_read(vm, gpa(0xe00f8040), 4), 0x601);
	assert_false(guest_pci_is_at(vm, gpa(ecam)));
	guest_pci_write(vm, gpa(0xe0000060), 4, (uint32_t)ecam | 1);
	assert_true(guest_pci_is_at(vm, gpa(ecam)));
	assert_int_equal(guest_pci_read(vm, gpa(ecam + 0xf8000), 4),
			 0x29188086);
	assert_int_equal(guest_pci_read(vm, gpa(ecam + 0x100000), 4),
			 0xffffffff);
	guest_pci_reset(vm);
	lock_give(&vm->device_lock);
	assert_false(guest_pci_is_at(vm, gpa(ecam)));
}

static void mtrrs_are_kept(void **state)
{
	uint64_t value;

	(void)state;
	assert_int_equal(mtrr_read(vcpu, 0xfe, &value), ERR_NONE);
	assert_int_equal(value, 0x108);
	for (uint32_t msr = 0x200; msr < 0x280; msr++) {
		bool there = msr < 0x210 || msr == 0x250 || msr == 0x258 ||
			     msr == 0x259 || (msr >= 0x268 && msr < 0x270);

		assert_int_equal(mtrr_write(vcpu, msr, msr) == ERR_NONE, there);
		assert_int_equal(mtrr_read(vcpu, msr, &value) == ERR_NONE,
				 there);
		if (there)
			assert_int_equal(value, msr);
	}
	assert_int_equal(mtrr_write(vcpu, 0x2ff, 0xc00), ERR_NONE);
	assert_int_equal(mtrr_write(vcpu, 0x2ff, 0xc02), ERR_BAD_REQUEST);
	assert_int_equal(mtrr_write(vcpu, 0x2ff, 0x1000), ERR_BAD_REQUEST);
	assert_int_equal(mtrr_read(vcpu, 0x2ff, &value), ERR_NONE);
	assert_int_equal(value, 0xc00);
}

static void a_reset_begins_anew(void **state)
{
	uint64_t value;

	(void)state;
	out(0x43, 1, 0x34);
	out(0x40, 2, 0x1000);
	out(0x43, 1, 0x34);
	out(0x40, 1, 0);
	out(0x40, 1, 0x10);
	out(0x61, 1, 3);
	mtrr_write(vcpu, 0x200, 5);
	lock_take(&vm->device_lock);
	pc_reset(vm);
	lock_give(&vm->device_lock);
	assert_true(vm->deadline == ARCH_NO_DEADLINE);
	assert_int_equal(in(0x61, 1) & 3, 0);
	assert_int_equal(in(0x21, 1), 0xff);
	mtrr_read(vcpu, 0x200, &value);
	assert_int_equal(value, 0);
}

#define PC(name) cmocka_unit_test_setup_teardown(name, running, stop_all)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PC(a_vm_without_the_word_has_none),
		PC(the_timer_reaches_the_processor),
		PC(what_cannot_be_taken_waits_for_a_window),
		PC(the_way_can_be_closed),
		PC(a_line_that_falls_takes_it_back),
		PC(halted_for_ever_is_seen),
		PC(a_paused_guest_keeps_it),
		PC(the_clock_and_the_sci_are_lines),
		PC(the_pm_timer_counts),
		PC(power_off_and_resets),
		PC(the_keyboard_answers),
		PC(port_61_has_gate_and_output),
		PC(firmware_is_told),
		PC(the_bridges_are_intels),
		PC(mtrrs_are_kept),
		PC(a_reset_begins_anew),
	};

	return cmocka_run_group_tests(tests, start_memory, NULL);
}
