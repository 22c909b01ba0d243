/* SPDX-License-Identifier: MIT */
/*
 * A machine around the management service: a 16550 with a line behind it, two
 * VMs with consoles, and the service CPU's loop, which polls only when it has
 * a reason to.  So a wake-up that is missing makes a test fail.  Included by
 * tests of the service, with the service's inside.
 */
#ifndef TESTS_FAKE_LINE_H
#define TESTS_FAKE_LINE_H

#include "kernel/manage/manage.c"
#include "kernel/manage/text.c"
#include <arch/fake/fake.h>
#include <cmocka.h>
#include <mullion/balloon.h>
#include <mullion/bits.h>
#include <mullion/block.h>
#include <mullion/cpu_loop.h>
#include <mullion/frame_pool.h>
#include <mullion/framebuffer.h>
#include <mullion/guest_clock.h>
#include <mullion/package_reader.h>
#include <mullion/page.h>
#include <mullion/virtio_console.h>
#include <mullion/virtio_vsock.h>
#include <stdlib.h>
#include <string.h>

#define PORT 0x3f8
#define MS 1000000 /* ticks of the fake clock */

/* ---- the UART, and what came out of it ----------------------------------- */

static struct {
	uint8_t line, modem, scratch, interrupts;
	uint32_t in_fifo;
	bool empty_pending; /* the transmitter's interrupt is due */
	bool level;	    /* of the interrupt line */
	bool absent, deaf;  /* no UART; no interrupt arrives */
	bool fast;	    /* each byte is out at once */
	bool held;	    /* no byte is, before the loop runs */
	uint32_t pace;	    /* bytes that the line takes a millisecond */
	uint8_t incoming[8192];
	size_t incoming_count, incoming_taken;
} chip;

static bool woken; /* the loop has a reason to poll */
static bool timed; /* before it slept it was told to poll by time */
static void on_wire(uint8_t byte); /* the test's */

static void chip_update(void)
{
	bool received = chip.incoming_taken < chip.incoming_count;
	bool level = (received && (chip.interrupts & 1)) ||
		     (chip.empty_pending && (chip.interrupts & 2));

	if (level && !chip.level && !chip.deaf && fake_interrupt_handler[4]) {
		fake_interrupt_handler[4]();
		woken = true;
	}
	chip.level = level;
}

static uint8_t chip_in(uint16_t port)
{
	bool received = chip.incoming_taken < chip.incoming_count;
	uint8_t byte;

	if (chip.absent)
		return 0xff;
	switch (port - PORT) {
	case 0:
		assert_true(received);
		byte = chip.incoming[chip.incoming_taken++];
		chip_update();
		return byte;
	case 2:
		return 0xc1;
	case 5:
		return (uint8_t)(received | (chip.in_fifo ? 0 : 0x60));
	case 6:
		return chip.modem & 0x10 ? 0x90 : 0xb0;
	case 7:
		return chip.scratch;
	}
	return 0;
}

static void chip_out(uint16_t port, uint8_t value)
{
	switch (port - PORT) {
	case 0:
		if (chip.line & 0x80)
			return;
		assert_true(chip.in_fifo < 16);
		on_wire(value);
		chip.empty_pending = false;
		/* Before the loop runs, the line is as fast as can be. */
		if ((serving && !chip.fast) || chip.held)
			chip.in_fifo++;
		break;
	case 1:
		if (chip.line & 0x80)
			return;
		if ((value & ~chip.interrupts & 2) && !chip.in_fifo)
			chip.empty_pending = true;
		chip.interrupts = value;
		break;
	case 3:
		chip.line = value;
		break;
	case 4:
		chip.modem = value;
		break;
	case 7:
		chip.scratch = value;
		break;
	}
	chip_update();
}

static inline void incoming(const void *bytes, size_t length)
{
	if (chip.incoming_taken == chip.incoming_count)
		chip.incoming_taken = chip.incoming_count = 0;
	assert_true(length <= sizeof chip.incoming - chip.incoming_count);
	memcpy(chip.incoming + chip.incoming_count, bytes, length);
	chip.incoming_count += length;
	chip_update();
}

/* ---- the loop ------------------------------------------------------------ */

static void (*each_millisecond)(void); /* what guests do meanwhile */

static uint32_t polls;

static void poll_while_needed(void)
{
	uint32_t rounds = 0;

	while (woken || fake_kicks[0]) {
		woken = false;
		fake_kicks[0] = 0;
		while (manage_poll())
			assert_true(++rounds < 10000);
		timed = manage_needs_polling();
		polls++;
		assert_true(++rounds < 10000);
	}
}

static void serve(uint32_t milliseconds)
{
	while (milliseconds--) {
		uint32_t gone = chip.in_fifo < chip.pace ? chip.in_fifo :
							   chip.pace;

		if (each_millisecond)
			each_millisecond();
		poll_while_needed();
		fake_time += MS;
		chip.in_fifo -= gone;
		if (gone && !chip.in_fifo)
			chip.empty_pending = true;
		chip_update();
		woken |= timed;
		poll_while_needed();
	}
}

/* ---- the VMs ------------------------------------------------------------- */

static struct vm guests[4];
static uint8_t guest_rings[4][4096];
static char given[4][4096]; /* what the guests were given */
static size_t given_count[4];
static size_t given_at_most; /* each time that it is offered */
static uint32_t drains, buttons, commands;
static enum mull_command last_command;

size_t console_put(struct console_ring *ring, const void *bytes, size_t length)
{
	const uint8_t *from = bytes;
	size_t room = ring->detached ? ring->size :
				       ring->size - (ring->head - ring->tail);

	if (length > room)
		length = room;
	for (size_t i = 0; i < length; i++)
		ring->bytes[(ring->head + i) % ring->size] = from[i];
	ring->head += length;
	return length;
}

size_t console_take(struct console_ring *ring, void *bytes, size_t room)
{
	uint8_t *to = bytes;
	size_t length = ring->head - ring->tail;

	if (length > room)
		length = room;
	for (size_t i = 0; i < length; i++)
		to[i] = ring->bytes[(ring->tail + i) % ring->size];
	ring->tail += length;
	return length;
}

static uint64_t guests_printed;

uint64_t serial_take_printed(void)
{
	uint64_t printed = guests_printed;

	guests_printed = 0;
	return printed;
}

/* As the emulated UART does: a notice for the first byte of a run only. */
static inline size_t print(uint32_t vm, const char *text)
{
	struct console_ring *ring = &guests[vm].serial.output;
	bool empty = ring->head == ring->tail;
	size_t taken = console_put(ring, text, strlen(text));

	if (taken)
		guests_printed |= BIT(guests[vm].index);
	if (empty)
		manage_notify();
	return taken;
}

static void assert_locked(struct vm *vm)
{
	assert_true(atomic_flag_test_and_set(&vm->device_lock.held));
}

size_t serial_receive(struct vm *vm, const uint8_t *bytes, size_t length)
{
	size_t *count = &given_count[vm->index];

	assert_locked(vm);
	if (length > given_at_most)
		length = given_at_most;
	assert_true(length < sizeof given[0] - *count);
	memcpy(given[vm->index] + *count, bytes, length);
	*count += length;
	return length;
}

void serial_drained(struct vm *vm)
{
	assert_locked(vm);
	drains++;
}

/* The agent of guest 0, and what typed bytes a virtio console takes. */
static uint8_t agent_bytes[2][64];
static struct stream fake_agent = {
	.to_guest = { .bytes = agent_bytes[0], .size = 64 },
	.from_guest = { .bytes = agent_bytes[1], .size = 64 },
};
static bool virtio_typed;
static uint32_t agent_changes;

bool virtio_console_listens(const struct vm *vm)
{
	(void)vm;
	return virtio_typed;
}

size_t virtio_console_type(struct vm *vm, const uint8_t *bytes, size_t length)
{
	return serial_receive(vm, bytes, length > 3 ? 3 : length);
}

void virtio_console_drained(struct vm *vm)
{
	assert_locked(vm);
}

struct stream *virtio_console_agent(struct vm *vm)
{
	assert_locked(vm);
	return vm->index ? NULL : &fake_agent;
}

void virtio_console_agent_changed(struct vm *vm)
{
	assert_locked(vm);
	agent_changes++;
}

/* The one connection of a guest's sockets with the host. */
static struct vsock_host fake_host = {
	.state = VSOCK_HOST_ASKS,
	.guest_port = 80,
	.stream = { .to_guest = { .bytes = fake_host.to_guest,
				  .size = VSOCK_HOST_BUFFER },
		    .from_guest = { .bytes = fake_host.from_guest,
				    .size = VSOCK_HOST_BUFFER } },
};
static enum error fake_host_error;
static uint32_t fake_host_ends[2];

enum error virtio_vsock_connect(struct vm *vm, uint32_t port, bool listens,
				uint32_t *number)
{
	assert_locked(vm);
	fake_host.own_port = port + listens;
	*number = MULL_STREAM_VSOCK + 1;
	return fake_host_error;
}

struct vsock_host *virtio_vsock_host(struct vm *vm, uint32_t number)
{
	assert_locked(vm);
	return vm->vsock && number == MULL_STREAM_VSOCK + 1 ? &fake_host : NULL;
}

void virtio_vsock_changed(struct vm *vm)
{
	assert_locked(vm);
	agent_changes++;
}

void virtio_vsock_end(struct vm *vm, uint32_t number, bool all)
{
	assert_locked(vm);
	assert_int_equal(number, MULL_STREAM_VSOCK + 1);
	fake_host_ends[all]++;
}

void platform_press_button(struct vm *vm)
{
	assert_locked(vm);
	buttons++;
}

/* The machine's disks. */
static struct block_device *fake_disks;
static const struct block_partition *fake_partitions;
static uint32_t fake_disk_count, fake_partition_count;

struct block_device *block_device_at(uint32_t index)
{
	return index < fake_disk_count ? &fake_disks[index] : NULL;
}

const struct block_partition *block_partition_at(uint32_t index)
{
	return index < fake_partition_count ? &fake_partitions[index] : NULL;
}

static uint32_t balloon_target; /* frames, as the last one was set */

void balloon_set_target(struct vm *vm, uint32_t frames)
{
	(void)vm;
	balloon_target = frames;
}

void balloon_ask(struct vm *vm)
{
	(void)vm;
}

void vm_command(struct vm *vm, enum mull_command command)
{
	vm->commands |= 1u << command;
	commands++;
	last_command = command;
}

/* Nobody looks into the VMs here, and they have no tables. */
struct vm *vms[MULL_VM_MAX];
struct vcpu_look vcpu_look;

void vcpu_request(struct vcpu *vcpu, enum vcpu_request request)
{
	(void)vcpu;
	(void)request;
}

void vm_step(struct vcpu *vcpu)
{
	(void)vcpu;
}

uint32_t cpu_loop_service(void)
{
	return 0;
}

void cpu_loop_stats(uint32_t cpu, uint64_t time_ns,
		    struct mull_cpu_stats *stats)
{
	stats->cpu = cpu;
	stats->idle_ns = time_ns;
}

/* Odd ones follow a schedule. */
bool cpu_loop_has_slots(uint32_t cpu)
{
	return cpu % 2;
}

void cpu_loop_slot_stats(uint32_t cpu, struct mull_slot_stats *stats)
{
	stats->cpu = cpu;
	stats->slots = 100 + cpu;
}

uint64_t guest_clock_wall(uint64_t time)
{
	return time + 7;
}

static void describe_nothing(char *to, size_t room)
{
	format_text(to, room, "one, two");
}

uint32_t vm_home(const struct vm *vm)
{
	return vm->index;
}

uint32_t vm_vcpus_on(uint32_t cpu)
{
	uint32_t count = 0;

	for (size_t i = 0; i < ARRAY_COUNT(guests); i++)
		for (uint32_t j = 0; j < guests[i].vcpu_count; j++)
			count += guests[i].vcpus[j]->cpu == cpu;
	return count;
}

struct vm *vms[MULL_VM_MAX];
static uint32_t destroyed;

/* Two vCPUs of which nothing is looked at. */
struct vm *vm_create(const struct mull_vm *description, uint32_t index,
		     const char *refusal)
{
	static struct vm made;
	static struct vcpu vcpu;

	assert_null(refusal);
	assert_null(vms[index]);
	made = (struct vm){ .index = index,
			    .description = *description,
			    .state = MULL_VM_STOPPED,
			    .vcpus = { &vcpu, &vcpu },
			    .vcpu_count = 2 };
	vms[index] = &made;
	return &made;
}

void vm_destroy(struct vm *vm)
{
	vms[vm->index] = NULL;
	destroyed++;
}

/* What has come or gone last. */
static struct {
	uint32_t count;
	bool nic, went, again, pull;
	uint32_t index;
} attached;
static enum error attach_error;
static uint32_t settled; /* the service has looked for what is to be ended */

void attach_settle(void)
{
	settled++;
}

enum error vm_attach_disk(struct vm *vm, uint32_t index,
			  const struct mull_disk *disk, const char **words)
{
	*words = "the fake will not";
	if (attach_error)
		return attach_error;
	attached.count++;
	attached.nic = attached.went = false;
	attached.index = index;
	vm->description.disks[index] = *disk;
	return ERR_NONE;
}

enum error vm_attach_nic(struct vm *vm, uint32_t index,
			 const struct mull_nic *nic, const char **words)
{
	*words = "the fake will not";
	if (attach_error)
		return attach_error;
	attached.count++;
	attached.nic = true;
	attached.went = false;
	attached.index = index;
	vm->description.nics[index] = *nic;
	return ERR_NONE;
}

void vm_detach(struct vm *vm, bool nic, uint32_t index, bool pull)
{
	(void)vm;
	attached.count++;
	attached.nic = nic;
	attached.went = true;
	attached.again = false;
	attached.index = index;
	attached.pull = pull;
}

bool vm_detach_again(struct vm *vm, bool pull)
{
	if (atomic_load(&vm->attachment.step) != ATTACH_EJECT)
		return false;
	attached.count++;
	attached.again = true;
	attached.pull = pull;
	return true;
}

static const struct virt_ops fake_ops = { .name = "fake",
					  .describe = describe_nothing };
const struct virt_ops *virt = &fake_ops;

void framebuffer_write(const char *text, size_t length)
{
	(void)text;
	(void)length;
}

static inline void state(uint32_t vm, enum mull_vm_state to)
{
	guests[vm].state = to;
	manage_event(&guests[vm]);
}

/* ---- start --------------------------------------------------------------- */

static void forget_service(void)
{
	char line_of_log[LOG_LINE_MAX];

	while (log_take(LOG_SERIAL, line_of_log, sizeof line_of_log))
		;
	ending = end_now = (enum mull_machine_end)0;
	serving = notified = interrupted = interrupts_work = false;
	wants_receive = wants_transmit = false;
	wire_length = wire_sent = 0;
	uart = NULL;
	atomic_flag_clear(&sending_early);
	line.owner = NOBODY;
	listener = 0;
	for (uint32_t i = 0; i < MULL_VM_MAX; i++)
		if (console_of(i))
			console_remove(console_of(i)->vm);
}

static void add_vms(uint32_t count)
{
	static const char *const names[] = { "web", "db", "log", "mail" };

	memset(guests, 0, sizeof guests);
	memset(vms, 0, sizeof vms);
	for (uint32_t i = 0; i < count; i++) {
		struct vm *vm = &guests[i];

		vm->index = i;
		strcpy(vm->description.name, names[i]);
		vm->state = MULL_VM_STOPPED;
		vm->serial.output = (struct console_ring){
			.bytes = guest_rings[i],
			.size = sizeof guest_rings[i],
		};
		manage_add_vm(vm);
		vms[i] = vm;
	}
}

static struct mull_boot_info fake_boot = {
	.wall_clock = 5,
	.firmware_vendor = "Pear 1.2",
	.memory_count = 3,
	.memory = { { .size = MIB(3), .kind = MULL_MEMORY_USABLE },
		    { .size = MIB(4), .kind = MULL_MEMORY_LOADER },
		    { .size = MIB(16), .kind = MULL_MEMORY_DEVICE } },
};
static const uint8_t fake_sha256[32] = { 0xaa, 0xbb };
/* Frames 1 to 5. */
static void start_pool(void)
{
	static frame_owner owners[6];
	static const struct mull_memory_range range = {
		0, ARRAY_COUNT(owners) * FRAME_SIZE, MULL_MEMORY_USABLE, 0
	};

	memset(owners, 0, sizeof owners);
	frame_pool_start(&range, 1, owners, ARRAY_COUNT(owners));
}

static void begin(enum mull_serial_mode mode, uint32_t count)
{
	struct mull_machine machine = { .serial_mode = mode };

	start_pool();
	memset(&chip, 0, sizeof chip);
	chip.pace = 11; /* 115200 baud */
	fake_port_in = chip_in;
	fake_port_out = chip_out;
	fake_time = 1000 * (uint64_t)MS;
	memset(fake_interrupt_handler, 0, sizeof fake_interrupt_handler);
	memset(given_count, 0, sizeof given_count);
	memset(given, 0, sizeof given);
	given_at_most = 64;
	each_millisecond = NULL;
	drains = buttons = commands = polls = 0;
	forget_service();
	log_start();
	manage_describe(&fake_boot, fake_sha256);
	manage_start(&machine);
	add_vms(count);
	woken = true; /* the loop begins with a round */
}

#endif
