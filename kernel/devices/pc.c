/* SPDX-License-Identifier: MIT */
/*
 * The legacy PC put together: which port is whose, which line goes where, and
 * what is due when.  Every line of the machine is an input of the I/O APIC;
 * the interrupt controllers hang on the same lines, and their output is the
 * I/O APIC's input 0 and LINT0 of vCPU 0.
 */
#include "pc_parts.h"
#include "rate.h"

#include <mullion/arch.h>
#include <mullion/bits.h>
#include <mullion/guest_clock.h>
#include <mullion/page.h>

#define NS_A_SECOND 1000000000ull

#define LINE_TIMER 0
#define PIN_PIC 0   /* the controllers' output */
#define PIN_TIMER 2 /* "Interrupt Source Override Structure": IRQ 0 */
#define PIN_CLOCK 8

#define PORT_SYSTEM_B 0x61
#define SYSTEM_B_GATE BIT(0)
#define SYSTEM_B_WRITABLE BITS(3, 0)
#define SYSTEM_B_REFRESH BIT(4) /* changes with each of DRAM: 15 us */
#define REFRESH_TICKS 18
#define SYSTEM_B_OUTPUT BIT(5)

#define PORT_SYSTEM_A 0x92
#define SYSTEM_A_RESET BIT(0)

#define RESET_CONTROL_CPU BIT(2)
#define PORT_FW_CFG 0x510

/* ---- lines --------------------------------------------------------------- */

static void show_output(struct vm *vm)
{
	struct vcpu *vcpu = vm->vcpus[0];
	bool high = pic_output(&vm->pc->pic);

	io_apic_set_line(vm, PIN_PIC, high);
	if (!high)
		atomic_fetch_and(&vcpu->requests, ~(uint32_t)VCPU_PIC);
	else if (!(atomic_load(&vcpu->requests) & VCPU_PIC))
		vcpu_request(vcpu, VCPU_PIC);
}

static void set_line(struct vm *vm, uint32_t pin, bool high)
{
	uint32_t line = pin == PIN_TIMER ? LINE_TIMER : pin;

	if (pin == PIN_PIC || line >= PIC_LINES)
		return;
	pic_set_line(&vm->pc->pic, line, high);
	show_output(vm);
}

/* The rise of the timer's output; its fall is told with the next one. */
static void pulse(struct vm *vm)
{
	io_apic_set_line(vm, PIN_TIMER, false);
	io_apic_set_line(vm, PIN_TIMER, true);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* What hangs on the time: lines of now, and when to look again. */
static void settle(struct vm *vm, uint64_t now)
{
	struct pc *pc = vm->pc;
	uint64_t wall = guest_clock_wall(now);
	uint64_t deadline = pc->pit.next, next;

	io_apic_set_line(vm, PIN_CLOCK, rtc_line(&pc->rtc, wall));
	io_apic_set_line(vm, MULL_GUEST_EVENT_GSI, pc_power_line(vm, now));
	next = rtc_next(&pc->rtc);
	if (next != UINT64_MAX)
		deadline = earlier(deadline,
				   now + rate_time(next - wall, NS_A_SECOND));
	deadline = earlier(deadline, pc_power_next(vm, now));
	next = atomic_exchange(&vm->deadline, deadline);
	if (deadline < next && arch_cpu_index() != vm_home(vm))
		arch_kick(vm_home(vm));
}

void pc_work(struct vm *vm)
{
	uint64_t now = arch_time();

	if (now < atomic_load(&vm->deadline))
		return;
	lock_take(&vm->device_lock);
	if (pit_fires(&vm->pc->pit, now))
		pulse(vm);
	settle(vm, now);
	lock_give(&vm->device_lock);
}

static void press_button(struct vm *vm)
{
	pc_power_press(vm);
	settle(vm, arch_time());
}

/* ---- to the processor ---------------------------------------------------- */

int pc_take_interrupt(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	int vector;

	lock_take(&vm->device_lock);
	vector = pic_acknowledge(&vm->pc->pic);
	show_output(vm);
	lock_give(&vm->device_lock);
	return vector;
}

/* ---- ports --------------------------------------------------------------- */

static uint8_t read_pic(struct vm *vm, uint16_t port)
{
	uint8_t value = pic_read(&vm->pc->pic, port);

	show_output(vm); /* a poll acknowledges */
	return value;
}

static void write_pic(struct vm *vm, uint16_t port, uint8_t value)
{
	pic_write(&vm->pc->pic, port, value);
	show_output(vm);
}

static uint8_t read_pit(struct vm *vm, uint16_t port)
{
	return pit_read(&vm->pc->pit, port, arch_time());
}

static void write_pit(struct vm *vm, uint16_t port, uint8_t value)
{
	uint64_t now = arch_time();

	/* What is due by the old settings comes first. */
	if (pit_fires(&vm->pc->pit, now))
		pulse(vm);
	pit_write(&vm->pc->pit, port, value, now);
	settle(vm, now);
}

static uint8_t read_system_b(struct vm *vm, uint16_t port)
{
	uint64_t now = arch_time();
	uint8_t value = vm->pc->port_61;

	(void)port;
	if (rate_ticks(now - vm->started_at, PIT_HZ) / REFRESH_TICKS & 1)
		value |= SYSTEM_B_REFRESH;
	if (pit_output(&vm->pc->pit, PIT_SPEAKER, now))
		value |= SYSTEM_B_OUTPUT;
	return value;
}

static void write_system_b(struct vm *vm, uint16_t port, uint8_t value)
{
	(void)port;
	vm->pc->port_61 = value & SYSTEM_B_WRITABLE;
	pit_set_gate(&vm->pc->pit, PIT_SPEAKER, value & SYSTEM_B_GATE,
		     arch_time());
}

static uint8_t read_rtc(struct vm *vm, uint16_t port)
{
	uint64_t now = arch_time();
	uint8_t value = rtc_read(&vm->pc->rtc, port, guest_clock_wall(now));

	settle(vm, now);
	return value;
}

static void write_rtc(struct vm *vm, uint16_t port, uint8_t value)
{
	uint64_t now = arch_time();

	rtc_write(&vm->pc->rtc, port, value, guest_clock_wall(now));
	settle(vm, now);
}

static uint8_t read_power(struct vm *vm, uint16_t port)
{
	return pc_power_read(vm, port);
}

static void write_power(struct vm *vm, uint16_t port, uint8_t value)
{
	pc_power_write(vm, port, value);
	settle(vm, arch_time());
}

/* A20 is always open: the bit is kept, and changes nothing. */
static uint8_t read_system_a(struct vm *vm, uint16_t port)
{
	(void)port;
	return vm->pc->port_92;
}

static void write_system_a(struct vm *vm, uint16_t port, uint8_t value)
{
	(void)port;
	if (value & SYSTEM_A_RESET)
		vm_end(vm, MULL_END_RESET, 0,
		       "the guest asked for a reset by port 0x92");
	vm->pc->port_92 = value & ~SYSTEM_A_RESET;
}

static uint8_t read_reset(struct vm *vm, uint16_t port)
{
	(void)vm;
	(void)port;
	return 0;
}

static void write_reset(struct vm *vm, uint16_t port, uint8_t value)
{
	(void)port;
	if (value & RESET_CONTROL_CPU)
		vm_end(vm, MULL_END_RESET, 0,
		       "the guest asked for a reset by port 0xcf9");
}

static uint8_t read_fw_cfg(struct vm *vm, uint16_t port)
{
	(void)port;
	return fw_cfg_next(vm);
}

static void write_nothing(struct vm *vm, uint16_t port, uint8_t value)
{
	(void)vm;
	(void)port;
	(void)value;
}

static const struct pc_port {
	uint16_t first, last;
	uint8_t (*read)(struct vm *vm, uint16_t port);
	void (*write)(struct vm *vm, uint16_t port, uint8_t value);
} ports[] = {
	{ 0x20, 0x21, read_pic, write_pic },
	{ 0x40, 0x43, read_pit, write_pit },
	{ 0x60, 0x60, i8042_read, i8042_write },
	{ PORT_SYSTEM_B, PORT_SYSTEM_B, read_system_b, write_system_b },
	{ 0x64, 0x64, i8042_read, i8042_write },
	{ 0x70, 0x71, read_rtc, write_rtc },
	{ PORT_SYSTEM_A, PORT_SYSTEM_A, read_system_a, write_system_a },
	{ 0xa0, 0xa1, read_pic, write_pic },
	{ 0x4d0, 0x4d1, read_pic, write_pic },
	{ PORT_FW_CFG + 1, PORT_FW_CFG + 1, read_fw_cfg, write_nothing },
	{ MULL_GUEST_PC_POWER, MULL_GUEST_PC_POWER_LAST, read_power,
	  write_power },
	{ MULL_GUEST_PC_RESET, MULL_GUEST_PC_RESET, read_reset, write_reset },
};

static const struct pc_port *find(uint16_t port)
{
	for (size_t i = 0; i < ARRAY_COUNT(ports); i++)
		if (port >= ports[i].first && port <= ports[i].last)
			return &ports[i];
	return NULL;
}

/* Registers have one byte each: wider accesses are several, as on the bus. */
static uint32_t port_read(struct vm *vm, uint16_t port, uint32_t size)
{
	uint32_t value = 0;

	for (uint32_t i = 0; i < size; i++) {
		uint16_t at = (uint16_t)(port + i);
		const struct pc_port *found = find(at);

		value |= (uint32_t)(found ? found->read(vm, at) : 0xff)
			 << 8 * i;
	}
	return value;
}

static void port_write(struct vm *vm, uint16_t port, uint32_t size,
		       uint32_t value)
{
	if (port == PORT_FW_CFG && size == 2) { /* the only wide one */
		fw_cfg_select(vm, (uint16_t)value);
		return;
	}
	for (uint32_t i = 0; i < size; i++) {
		uint16_t at = (uint16_t)(port + i);
		const struct pc_port *found = find(at);

		if (found)
			found->write(vm, at, (uint8_t)(value >> 8 * i));
	}
}

static const struct pc_operations operations = {
	.set_line = set_line,
	.port_read = port_read,
	.port_write = port_write,
	.press_button = press_button,
};

/* ---- life ---------------------------------------------------------------- */

enum error pc_make(struct vm *vm)
{
	vm->pc = page_alloc(PC_PAGES);
	if (!vm->pc)
		return ERR_NO_MEMORY;
	vm->pc->operations = &operations;
	pc_chipset_add(vm);
	return ERR_NONE;
}

void pc_free(struct vm *vm)
{
	if (vm->pc)
		page_free(vm->pc, PC_PAGES);
}

void pc_reset(struct vm *vm)
{
	struct pc *pc = vm->pc;
	uint64_t now = arch_time();

	pic_reset(&pc->pic);
	pit_reset(&pc->pit);
	rtc_reset(&pc->rtc, vm->memory_low - MULL_GUEST_ACPI_SIZE,
		  vm->memory_high, vm->vcpu_count, guest_clock_wall(now));
	pc->i8042 = (struct i8042){ 0 };
	pc->fw_cfg = (struct fw_cfg){ 0 };
	pc_power_reset(vm);
	pc_mtrr_reset(vm);
	pc->port_61 = pc->port_92 = 0;
	settle(vm, now);
}
