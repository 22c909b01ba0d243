/* SPDX-License-Identifier: MIT */
/*
 * Any chains on any queue of a virtio console, and any use of the channel's
 * side: rings hold no more than they can, work comes to an end, and a driver
 * that starts anew is served.
 */
#include "fuzz_device.h"
#include "fuzz_input.h"
#include "tests/unit/virtio_guest.h"

#include <mullion/virtio_console.h>

#define QUEUES 6
#define STEPS_MAX 200
/* A chain can name all memory with each descriptor, and goes out in pieces. */
#define LONGEST_CHAIN (QUEUE_SIZE * RAM_SIZE / 128) /* steps */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct virtio_console console;
static uint8_t ring[512];
static uint64_t position;

/* ---- the guest's side ------------------------------------------------------ */

static void offer_any(uint32_t q)
{
	uint8_t bytes[64];
	uint32_t out = (uint32_t)any(1) % sizeof bytes;

	for (uint32_t i = 0; i < out; i++)
		bytes[i] = (uint8_t)any(1);
	offer_chain(q, bytes, out, (uint32_t)any(1));
}

static void spoil_descriptor(uint32_t q)
{
	uint64_t address = any(1) % 2 ? any(4) : RAM_SIZE - any(1);
	uint32_t index = any(1) % QUEUE_SIZE, length = (uint32_t)any(4);
	uint16_t flags = (uint16_t)(any(1) % 8), next = (uint16_t)(any(1) % 10);

	if (!is_packed)
		describe_at(RING(q), index, address, length, flags, next);
	else if (index % 2)
		offer_place(q, address, length, flags, next);
	else /* an id comes first, and flags are more */
		describe_at(RING(q), index, address, length, next,
			    flags | (uint16_t)(any(1) << 8));
}

static void control(void)
{
	uint8_t bytes[8] = { (uint8_t)(any(1) % 4) };

	bytes[4] = (uint8_t)(any(1) % 9);
	bytes[6] = (uint8_t)(any(1) % 2);
	offer_chain(3, bytes, sizeof bytes, 0);
}

/* ---- the channel's side ---------------------------------------------------- */

static void use_channel(uint8_t what)
{
	struct stream *agent = virtio_console_agent(&vm);
	uint8_t bytes[300] = "";
	size_t room = (size_t)any(1), count;
	uint64_t before = position;

	switch (what % 5) {
	case 0:
		if (virtio_console_listens(&vm))
			require(virtio_console_type(&vm, bytes, room) <= room);
		break;
	case 1:
		console_take(&vm.serial.output, bytes, room);
		virtio_console_drained(&vm);
		break;
	case 2:
		console_put(&agent->to_guest, bytes, room);
		virtio_console_agent_changed(&vm);
		break;
	case 3:
		count = stream_read(agent, &position, bytes, room);
		require(count <= room && position >= before);
		position += count;
		virtio_console_agent_changed(&vm);
		break;
	case 4:
		/* As update_ring(): a reader begins with what is there. */
		vm.serial.output.tail = vm.serial.output.head;
		vm.serial.output.detached = room & 1;
		virtio_console_drained(&vm);
		break;
	}
}

static void check_ring(const struct console_ring *of)
{
	require(of->head - of->tail <= of->size);
}

static void step(void)
{
	uint8_t what = (uint8_t)any(1);
	uint32_t q = what / 8 % QUEUES;

	switch (what % 8) {
	case 0:
		start_driver(QUEUES,
			     (what & 8 ? 2 : 0) | (what & 16 ? PACKED : 0));
		break;
	case 1:
	case 2:
		offer_any(q);
		break;
	case 3:
		spoil_descriptor(q);
		break;
	case 4:
		put_16(RING(q) + (what & 64 ? RING_DRIVER : RING_DEVICE) +
			       any(1) % 32 * 2,
		       (uint16_t)any(2));
		break;
	case 5:
		use_channel(what / 8);
		break;
	case 6:
		control();
		break;
	case 7:
		require(work_within(1000 + LONGEST_CHAIN));
		break;
	}
	if (!vm.serial.output.detached)
		check_ring(&vm.serial.output);
	for (uint32_t i = 0; i < VIRTIO_CONSOLE_PORTS; i++) {
		check_ring(&console.ports[i].stream.to_guest);
		check_ring(&console.ports[i].stream.from_guest);
	}
}

static void require_health(uint64_t features)
{
	uint8_t got[sizeof ring];

	vm.serial.output.detached = false;
	vm.serial.output.tail = vm.serial.output.head;
	memset(ram, 0, sizeof ram);
	start_driver(QUEUES, 2 | features);
	/* Through the ring more than twice. */
	for (int i = 0; i <= 2 * QUEUE_SIZE; i++) {
		offer_chain(1, "Mullion", 7, 0);
		require(work_all() && (i || chains_used(1) == 1));
		require(console_take(&vm.serial.output, got, sizeof got) == 7 &&
			!memcmp(got, "Mullion", 7));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	input.data = data;
	input.size = size;
	fake_cpu_count = 1;
	memset(&vm, 0, sizeof vm);
	memset(&console, 0, sizeof console);
	memset(ram, 0, 0x30000);
	position = 0;
	vm.vcpus[0] = &first;
	vm.serial.output = (struct console_ring){ .bytes = ring,
						  .size = sizeof ring };
	virtio_console_add(&vm, &console, DRIVEN_SLOT);
	guest_pci_reset(&vm);
	for (int i = 0; i < STEPS_MAX && input.size; i++)
		step();
	require_health(0);
	require_health(PACKED);
	return 0;
}
