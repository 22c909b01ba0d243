/* SPDX-License-Identifier: MIT */
/*
 * A network card of the machine that does anything at any time: it writes what
 * it likes to all memory that it was given, and its registers say what they
 * like.  Its driver touches nothing else; packets have lengths that fit, rounds
 * end, the log is not flooded, and a card that was given up is left alone.
 */
#include "fuzz_input.h"
#include "tests/unit/fake_pci.h"

#include "kernel/net/uplink.c"

#include <mullion/frame_pool.h>
#include <stdio.h>
#include <stdlib.h>

#define STEPS_MAX 200
#define BAR_AT 0x1800000000
#define BAR_SIZE 0x20000
#define STORE 0x6000 /* of the registers that there are */
#define TOUCHES_MAX 1000
#define GIVEN_MAX 16
#define LIES 4
#define QUEUES 3

/* Of the virtio card: where its areas are in BAR 4. */
#define COMMON 0x0000
#define TABLE 0x1000
#define CONFIG 0x2000
#define NOTIFY 0x3000
/* Of the other: the registers that it needs to work. */
#define CTRL_RESET BIT(26)
#define EECD 0x10
#define EECD_AUTO_READ BIT(9)
#define RAL 0x5400
#define RAH 0x5404
#define RECEIVE_QUEUE 0x2800
#define SEND_QUEUE 0x3800
#define QUEUE_HEAD 0x10
#define QUEUE_TAIL 0x18

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t card_mac[MAC_SIZE] = { 0x52, 0x54, 0, 1, 2, 3 };
static const uint8_t vm_mac[MAC_SIZE] = { 2, 0, 0, 0, 0, 1 };

static struct switch_port vm_port;
static uint8_t vm_ring[PACKET_RING_BYTES] __attribute__((aligned(64)));
static struct fake_function *function;
static bool is_virtio;
static uint64_t time_step;
static uint32_t touches, lines;

/* The driver's pages: the ring of the port, the driver's own, then those that
 * the card may write. */
static struct given {
	uint8_t *bytes;
	size_t size;
} given[GIVEN_MAX];
static uint32_t given_count;

static uint8_t registers[STORE];
static struct lie {
	uint32_t offset;
	uint64_t value;
} lies[LIES]; /* registers that say something else */
static struct queue {
	uint64_t areas[3];
	uint16_t size, taken, used;
} queues[QUEUES];

static void require(bool holds)
{
	if (!holds)
		abort();
}

/* ---- the rest of the hypervisor ------------------------------------------- */

uint64_t arch_time(void)
{
	return fake_time += time_step;
}

uint32_t cpu_loop_service(void)
{
	return 0;
}

void log_write(const char *format, ...)
{
	char words[LOG_LINE_MAX];
	va_list arguments;

	va_start(arguments, format);
	require(format_text_list(words, sizeof words, format, arguments) <
		sizeof words);
	va_end(arguments);
	lines++;
}

_Noreturn void panic(const char *format, ...)
{
	fprintf(stderr, "panic: %s\n", format);
	abort();
}

frame_owner frame_owner_of(uint32_t frame)
{
	(void)frame;
	return FRAME_ABSENT;
}

/* Each its own piece of the heap, with a fence round it. */
void *page_alloc(uint32_t count)
{
	size_t size = (size_t)count * PAGE_SIZE;
	struct given *one = &given[given_count++];

	require(given_count <= GIVEN_MAX);
	if (one->size != size) { /* mostly it is as in the last case */
		free(one->bytes);
		*one = (struct given){ aligned_alloc(PAGE_SIZE, size), size };
	}
	memset(one->bytes, 0, size);
	return one->bytes;
}

void page_free(void *first, uint32_t count)
{
	(void)first; /* at the end of the case */
	(void)count;
}

static void on_notice(struct switch_port *of)
{
	require(of == &vm_port);
}

/* ---- the card --------------------------------------------------------------- */

static bool is_master(void)
{
	return function->config[1] & 4;
}

/* Memory at @at, if a card may use it. */
static uint8_t *reach(uint64_t at, size_t length)
{
	for (uint32_t i = 2; i < given_count; i++) {
		uint64_t offset = at - (uintptr_t)given[i].bytes;

		if (offset < given[i].size && length <= given[i].size - offset)
			return given[i].bytes + offset;
	}
	return NULL;
}

static uint32_t get_register(uint32_t offset)
{
	uint32_t value;

	memcpy(&value, registers + offset, 4);
	return value;
}

static void put_register(uint32_t offset, uint32_t value)
{
	memcpy(registers + offset, &value, 4);
}

static void reset_card(void)
{
	uint32_t high = 0;

	memset(queues, 0, sizeof queues);
	memset(registers, 0, sizeof registers);
	if (is_virtio) {
		memcpy(registers + CONFIG, card_mac, MAC_SIZE);
		registers[CONFIG + MAC_SIZE] = 1; /* its link */
		return;
	}
	put_register(EECD, EECD_AUTO_READ);
	put_register(8, BIT(1)); /* its link */
	memcpy(registers + RAL, card_mac, 4);
	memcpy(&high, card_mac + 4, 2);
	put_register(RAH, high | (uint32_t)BIT(31));
}

static uint64_t honest_read(uint32_t offset)
{
	const uint64_t features = BIT(32) | BIT(5) | BIT(16) | BIT(17) |
				  BIT(18);

	if (offset > STORE - 8)
		return 0;
	if (is_virtio && offset == 0x04)
		return get_register(0) ? features >> 32 : features;
	if (is_virtio && offset == 0x18)
		return 32;
	return get_register(offset);
}

static uint64_t on_read(hpa_t at, uint32_t size)
{
	uint32_t offset = (uint32_t)(at.value - BAR_AT);
	uint64_t value = honest_read(offset);

	require(at.value >= BAR_AT && offset + size <= BAR_SIZE);
	touches++;
	for (uint32_t i = 0; i < LIES; i++)
		if (lies[i].offset == offset + 1)
			value = lies[i].value;
	return value & BITS(8 * size - 1, 0);
}

static void on_write(hpa_t at, uint32_t size, uint64_t value)
{
	uint32_t offset = (uint32_t)(at.value - BAR_AT);
	struct queue *queue = &queues[registers[0x16] % QUEUES];

	require(at.value >= BAR_AT && offset + size <= BAR_SIZE);
	touches++;
	if (offset > STORE - 8)
		return;
	if (is_virtio ? offset == 0x14 && !value :
			!offset && value & CTRL_RESET) {
		reset_card();
		return;
	}
	memcpy(registers + offset, &value, size);
	if (is_virtio && offset == 0x18)
		queue->size = (uint16_t)value;
	else if (is_virtio && offset >= 0x20 && offset < 0x38)
		memcpy((uint8_t *)queue->areas + offset - 0x20, &value, size);
}

/* A chain of queue @number is done, with @length bytes; its descriptor. */
static const uint8_t *use(uint32_t number, uint32_t length)
{
	struct queue *queue = &queues[number];
	uint16_t size = queue->size ? queue->size : 1, head = 0;
	uint8_t *driver = reach(queue->areas[1], 4 + 2 * size);
	uint8_t *device = reach(queue->areas[2], 4 + 8 * size);
	const uint8_t *descriptors = reach(queue->areas[0], 16 * size);

	if (!driver || !device || !descriptors ||
	    !memcmp(driver + 2, &queue->taken, 2))
		return NULL;
	memcpy(&head, driver + 4 + queue->taken++ % size * 2, 2);
	memcpy(device + 4 + queue->used % size * 8,
	       (uint32_t[]){ head, length }, 8);
	queue->used++;
	memcpy(device + 2, &queue->used, 2);
	return descriptors + head % size * 16;
}

/* The same of the other kind: the descriptor at the head of a queue. */
static uint8_t *at_head(uint32_t queue, uint32_t size)
{
	uint32_t head = get_register(queue + QUEUE_HEAD) % size;
	uint64_t first = get_register(queue) | (uint64_t)get_register(queue + 4)
						       << 32;

	if (head == get_register(queue + QUEUE_TAIL))
		return NULL;
	put_register(queue + QUEUE_HEAD, (head + 1) % size);
	return reach(first + head * 16, 16);
}

static void fill(uint64_t at)
{
	uint32_t before = is_virtio ? 12 : 0;
	uint8_t *bytes = reach(at, 2048);

	if (!bytes)
		return;
	memcpy(bytes + before, vm_mac, MAC_SIZE);
	memcpy(bytes + before + MAC_SIZE, any(1) % 4 ? card_mac : vm_mac,
	       MAC_SIZE);
	bytes[before + 6 + 5] ^= (uint8_t)any(1);
}

/* As it should be, but for what it says of the length. */
static void card_receives(void)
{
	uint32_t length = any(1) % 8 ? 14 + (uint32_t)any(1) : (uint32_t)any(3);
	uint8_t *written;
	const uint8_t *descriptor;
	uint64_t at;

	if (is_virtio) {
		descriptor = use(0, length + 12);
	} else {
		descriptor = written = at_head(RECEIVE_QUEUE, 128);
		if (written) {
			memcpy(written + 8, &length, 2);
			written[12] = any(1) % 4 ? 3 : (uint8_t)any(1);
			written[13] = any(1) % 4 ? 0 : (uint8_t)any(1);
		}
	}
	if (!descriptor)
		return;
	memcpy(&at, descriptor, 8);
	fill(at);
}

static void card_sends(void)
{
	uint8_t *descriptor;

	if (is_virtio) {
		use(any(1) % 4 ? 1 : 2, 0);
		return;
	}
	descriptor = at_head(SEND_QUEUE, 64);
	if (descriptor)
		descriptor[12] |= 1;
}

/* It is done with what it was not given, or not yet. */
static void card_is_wrong(void)
{
	struct queue *queue = &queues[any(1) % QUEUES];
	uint16_t size = queue->size ? queue->size : 1;
	uint8_t what = (uint8_t)any(1);
	uint8_t *device = reach(queue->areas[2], 4 + 8 * size);
	uint32_t entry[2] = { what & 64 ? (uint32_t)any(4) : what % 34, 72 };

	if (!is_virtio) { /* a byte of a descriptor of any state */
		device = given_count > 2 ? given[2].bytes : registers;
		device[any(1) * 16 + what % 16] = (uint8_t)any(1);
	} else if (device) {
		memcpy(device + 4 + queue->used % size * 8, entry, 8);
		queue->used += what & 128 ? (uint16_t)any(2) : 1;
		memcpy(device + 2, &queue->used, 2);
	}
}

static void card_writes(void)
{
	struct given *to;
	uint32_t offset, length;

	if (given_count <= 2)
		return;
	to = &given[2 + any(1) % (given_count - 2)];
	offset = (uint32_t)any(2) % to->size;
	for (length = 1u << any(1) % 4; length && offset < to->size; length--)
		to->bytes[offset++] = (uint8_t)any(1);
}

static void card_lies(void)
{
	static const uint16_t places[] = {
		0x00, 0x04,   0x08,	  0x10, 0x14, 0x18, 0x1a,   0x1e,
		0xc0, CONFIG, CONFIG + 6, RAL,	RAH,  0xe4, 0x5400, NOTIFY,
	};
	struct lie *lie = &lies[any(1) % LIES];
	uint8_t what = (uint8_t)any(1);

	lie->offset = what & 128 ?
			      (uint32_t)places[what % ARRAY_COUNT(places)] + 1 :
			      0;
	lie->value = what & 64 ? ~0ull : any(what & 32 ? 4 : 1);
}

/* ---- the others -------------------------------------------------------------- */

static void take_all(void)
{
	struct packet *packet;

	while ((packet = packet_ring_first(&vm_port.ring))) {
		uint32_t length = packet->length;

		require(!length ||
			(length >= PACKET_START && length <= PACKET_PLAIN_MAX));
		require(!length || !mac_is(packet->bytes + MAC_SIZE, vm_mac));
		packet_ring_pop(&vm_port.ring);
	}
	packet_ring_wait(&vm_port.ring);
}

static enum error copy_zeros(const struct outgoing *packet, uint8_t *to)
{
	memset(to, 0, packet->length - PACKET_START);
	return ERR_NONE;
}

static void vm_sends(void)
{
	struct outgoing packet = {
		.header = { .buffers = 1 },
		.length = PACKET_START +
			  (uint32_t)any(2) % (PACKET_PLAIN_MAX - PACKET_START),
		.copy = copy_zeros,
	};

	memset(packet.start, 0xfe, MAC_SIZE);
	memcpy(packet.start + MAC_SIZE, vm_mac, MAC_SIZE);
	require(switch_send(&vm_port, &packet) == ERR_NONE);
}

static void poll(void)
{
	bool dead = nic->dead;

	touches = 0;
	uplink_poll();
	require(touches <= (dead ? 0 : TOUCHES_MAX));
	require(!nic->dead || (!is_master() && !nic->ready));
	require(nic->waiting <= 64 && nic->waiting <= nic->sent);
	require(!atomic_load(&port.drops[MULL_DROP_MALFORMED]));
	require(nic->told <= NIC_LINES_A_MINUTE);
	require(uplink_deadline() >= fake_time);
}

static void step(void)
{
	struct mull_nic_status status;
	uint8_t what = (uint8_t)any(1);

	switch (what % 12) {
	case 0:
		fake_time += any(2) * 1000000; /* up to a minute */
		break;
	case 1:
	case 2:
		vm_sends();
		break;
	case 3:
	case 4:
		if (is_master())
			card_receives();
		break;
	case 5:
		if (is_master())
			card_sends();
		break;
	case 6:
		if (is_master())
			card_writes();
		break;
	case 7:
		if (is_master())
			card_is_wrong();
		break;
	case 8:
		card_lies();
		break;
	case 9:
		if (fake_message_count)
			fake_messages[0].handler(fake_messages[0].context);
		break;
	case 10:
		take_all();
		break;
	case 11:
		nic_describe(nic, &status);
		uplink_stats(&status);
		break;
	}
	if (what & 128)
		poll();
}

static void add_area(uint8_t at, uint32_t type, uint32_t offset,
		     uint32_t length)
{
	fake_pci_add_capability(function, at, PCI_CAPABILITY_VENDOR,
				type << 8 | 16);
	function->config[at / 4 + 1] = 4;
	function->config[at / 4 + 2] = offset;
	function->config[at / 4 + 3] = length;
}

static void plug(void)
{
	uint32_t bar = is_virtio ? 4 : 0;

	fake_pci_start();
	fake_mmio_read = on_read;
	fake_mmio_write = on_write;
	function = fake_pci_add(0, is_virtio ? 0x10411af4 : 0x10d38086,
				PCI_CLASS_ETHERNET);
	fake_pci_set_bar(function, bar, BAR_AT, BAR_SIZE);
	fake_pci_add_capability(function, 0x40, PCI_CAPABILITY_MSIX, 1);
	function->config[0x11] = TABLE | bar;
	if (is_virtio) {
		add_area(0x50, 4, CONFIG, 0x40);
		add_area(0x60, 1, COMMON, 0x38);
		add_area(0x80, 2, NOTIFY, 0x100);
		function->config[0x90 / 4] = 4; /* 4 bytes apart */
	}
	reset_card();
	pci_quiesce();
}

static void begin(void)
{
	const struct mull_machine machine = { .uplink = "lan",
					      .uplink_nic = 1 };

	fake_time = 1;
	given_count = lines = 0;
	memset(lies, 0, sizeof lies);
	plug();
	while (any(1) % 4 == 3) /* one that lies from the start */
		card_lies();
	time_step = 1000000; /* so that waiting ends */
	uplink_start(&machine);
	time_step = 1000;
	vm_port = (struct switch_port){ .notify = on_notice, .open = true };
	memcpy(vm_port.mac, vm_mac, MAC_SIZE);
	vm_port.ring.bytes = vm_ring;
	require(switch_attach(&vm_port, "lan") == ERR_NONE);
}

static void end(void)
{
	switch_detach(&vm_port);
	if (port.on)
		switch_detach(&port);
	switch_set_uplink("");
	port = (struct switch_port){ .on = NULL };
	nic = NULL;
	full = false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	input.data = data;
	input.size = size;
	fake_cpu_count = 1;
	is_virtio = any(1) % 2;
	begin();
	for (int i = 0; nic && i < STEPS_MAX && input.size; i++)
		step();
	if (nic)
		poll();
	take_all();
	end();
	return 0;
}
