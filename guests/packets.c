/* SPDX-License-Identifier: MIT */
/*
 * Counts what packets cost that go from one VM to another, with both on one
 * processor: do=send rings the bell of its network device for 1 or 8 packets,
 * and reads the time-stamp counter before and behind that; until it goes on,
 * the hypervisor has carried them over.  do=take, the other one, gives its
 * buffers back when it wakes up, and wants no interrupts.  As in bench.c, with
 * "shift=6" under QEMU; prints "BENCH operation minimum median maximum".
 */
#include "sdk.h"

#define ROUNDS 100
#define WARM_UP 5
#define MANY 8
#define HEADER 12
#define BUFFER 2048
#define BUFFERS 32 /* of each queue, a power of two */

/* VIRTIO 1.2, "Virtio Over PCI Bus", "Split Virtqueues" */
#define ID_NET 0x10411af4
#define STATUS_FEATURES_OK 11 /* with those before it */
#define STATUS_DRIVER_OK 15
#define WRITE 2 /* a descriptor's flag */
#define NO_INTERRUPT 1
enum { RECEIVE, TRANSMIT };

static struct queue {
	struct {
		uint64_t at;
		uint32_t length;
		uint16_t flags, next;
	} descriptors[BUFFERS];
	struct {
		uint16_t flags, index, ring[BUFFERS];
	} available;
	struct {
		uint16_t flags, index;
		struct {
			uint32_t id, length;
		} ring[BUFFERS];
	} used __attribute__((aligned(4)));
} __attribute__((aligned(4096))) queues[2];

static uint8_t buffers[2][BUFFERS][BUFFER] __attribute__((aligned(4096)));
static uint64_t common, bell, multiplier, configuration; /* addresses */
static uint8_t mac[6];
static uint64_t rounds[ROUNDS];

/* ---- the device ------------------------------------------------------------ */

static uint32_t get(uint64_t at)
{
	return *(volatile uint32_t *)at;
}

static void set_8(uint32_t offset, uint8_t value)
{
	*(volatile uint8_t *)(common + offset) = value;
}

static void set_16(uint32_t offset, uint16_t value)
{
	*(volatile uint16_t *)(common + offset) = value;
}

static void set_32(uint32_t offset, uint32_t value)
{
	*(volatile uint32_t *)(common + offset) = value;
}

static void set_address(uint32_t offset, const volatile void *to)
{
	set_32(offset, (uint32_t)(uint64_t)to);
	set_32(offset + 4, 0);
}

/* Its configuration space; 0: there is none. */
static uint64_t find(void)
{
	for (uint64_t slot = 0; slot < 32; slot++) {
		uint64_t at = MULL_GUEST_ECAM + (slot << 15);

		if (get(at) == ID_NET)
			return at;
	}
	return 0;
}

/* Where its structures are, of which all are in BAR 0. */
static void find_structures(uint64_t at)
{
	uint64_t bar = get(at + 0x10) & ~15u;
	uint32_t next = get(at + 0x34) & 0xff;

	while (next) {
		uint32_t word = get(at + next);
		uint64_t offset = get(at + next + 8);

		if ((word & 0xff) == 9) {
			switch (word >> 24) {
			case 1:
				common = bar + offset;
				break;
			case 2:
				bell = bar + offset;
				multiplier = get(at + next + 16);
				break;
			case 4:
				configuration = bar + offset;
				break;
			}
		}
		next = word >> 8 & 0xff;
	}
}

static void set_up(uint64_t at)
{
	find_structures(at);
	*(volatile uint16_t *)(at + 4) = 6; /* decode, and be a master */
	set_8(0x14, 0);
	set_8(0x14, 3);
	set_32(0x08, 1);
	set_32(0x0c, 1); /* VERSION_1, and no other feature */
	set_8(0x14, STATUS_FEATURES_OK);
	for (uint16_t i = 0; i < 2; i++) {
		set_16(0x16, i);
		set_16(0x18, BUFFERS);
		set_address(0x20, queues[i].descriptors);
		set_address(0x28, &queues[i].available);
		set_address(0x30, &queues[i].used);
		set_16(0x1c, 1);
		queues[i].available.flags = NO_INTERRUPT;
		for (uint32_t j = 0; j < BUFFERS; j++) {
			queues[i].descriptors[j].at = (uint64_t)buffers[i][j];
			queues[i].descriptors[j].length = BUFFER;
			queues[i].descriptors[j].flags = i == RECEIVE ? WRITE :
									0;
		}
	}
	set_8(0x14, STATUS_DRIVER_OK);
	for (int i = 0; i < 6; i++)
		mac[i] = *(volatile uint8_t *)(configuration + (uint64_t)i);
}

static void offer(uint32_t queue, uint16_t head)
{
	uint16_t index = queues[queue].available.index;

	queues[queue].available.ring[index % BUFFERS] = head;
	__atomic_store_n(&queues[queue].available.index, (uint16_t)(index + 1),
			 __ATOMIC_RELEASE);
}

static void ring(uint16_t queue)
{
	*(volatile uint16_t *)(bell + queue * multiplier) = queue;
}

static uint16_t used(uint32_t queue)
{
	return __atomic_load_n(&queues[queue].used.index, __ATOMIC_ACQUIRE);
}

/* What was received so far goes back to the device, which looks by itself;
 * returns how much that was. */
static uint32_t recycle(void)
{
	static uint16_t seen;
	uint32_t count = 0;

	while (seen != used(RECEIVE)) {
		uint32_t at = seen++ % BUFFERS;

		offer(RECEIVE, (uint16_t)queues[RECEIVE].used.ring[at].id);
		count++;
	}
	return count;
}

static void begin_to_receive(void)
{
	for (uint16_t i = 0; i < BUFFERS; i++)
		offer(RECEIVE, i);
	ring(RECEIVE);
}

/* @count packets of @length bytes to @to are ready but for the bell. */
static void prepare(uint32_t count, const uint8_t *to, uint32_t length)
{
	for (uint32_t i = 0; i < count; i++) {
		uint16_t head = queues[TRANSMIT].available.index % BUFFERS;
		uint8_t *packet = buffers[TRANSMIT][head];

		memset(packet, 0, HEADER);
		memcpy(packet + HEADER, to, 6);
		memcpy(packet + HEADER + 6, mac, 6);
		queues[TRANSMIT].descriptors[head].length = HEADER + length;
		offer(TRANSMIT, head);
	}
}

/* ---- the two ---------------------------------------------------------------- */

static const uint8_t everybody[6] = { 255, 255, 255, 255, 255, 255 };

static int take(void)
{
	uint32_t count = 0;

	begin_to_receive();
	/* Until the other one answers, whose address is then known to it. */
	do {
		prepare(1, everybody, 60);
		ring(TRANSMIT);
		sleep_ns(5 * NS_PER_MS);
	} while (!recycle());
	print("the other one is there\n");
	for (;;) {
		sleep_ns(5 * NS_PER_MS);
		count += recycle();
		/* The last one is shorter. */
		if (queues[RECEIVE]
			    .used.ring[(uint16_t)(used(RECEIVE) - 1) % BUFFERS]
			    .length == HEADER + 61)
			break;
	}
	report(count >= 2 * ROUNDS * (MANY + 1), "packets arrive (%u)", count);
	return report_done();
}

static void sort(void)
{
	for (size_t i = 1; i < ROUNDS; i++) {
		uint64_t value = rounds[i];
		size_t at = i;

		for (; at > 0 && rounds[at - 1] > value; at--)
			rounds[at] = rounds[at - 1];
		rounds[at] = value;
	}
}

static void measure(const char *operation, const uint8_t *to, uint32_t count,
		    uint32_t length)
{
	uint64_t shift = option_number("shift", 0);

	for (int i = -WARM_UP; i < ROUNDS; i++) {
		uint16_t before = used(TRANSMIT);
		uint64_t start;

		/* The other one has its turn. */
		sleep_ns(12 * NS_PER_MS);
		prepare(count, to, length);
		start = tsc_read();
		ring(TRANSMIT);
		rounds[i < 0 ? 0 : i] = tsc_read() - start;
		if ((uint16_t)(used(TRANSMIT) - before) != count)
			report(false, "they are gone at once");
	}
	sort();
	print("BENCH %s %lu %lu %lu\n", operation, rounds[0] >> shift,
	      rounds[ROUNDS / 2] >> shift, rounds[ROUNDS - 1] >> shift);
}

static int send(void)
{
	static const uint8_t nobody[6] = { 2, 9, 9, 9, 9, 9 };
	const uint8_t *packet = buffers[RECEIVE][0] + HEADER;
	uint8_t to[6];

	begin_to_receive();
	while (!used(RECEIVE))
		sleep_ns(NS_PER_MS);
	memcpy(to, packet + 6, 6);
	prepare(1, to, 60);
	ring(TRANSMIT);
	sleep_ns(20 * NS_PER_MS);
	measure("net-1-for-nobody", nobody, 1, 1514);
	measure("net-8-for-nobody", nobody, MANY, 1514);
	measure("net-1-of-1514", to, 1, 1514);
	measure("net-8-of-1514", to, MANY, 1514);
	measure("net-1-of-60", to, 1, 60);
	measure("net-8-of-60", to, MANY, 60);
	prepare(1, to, 61);
	ring(TRANSMIT);
	return report_done();
}

int guest_main(void)
{
	uint64_t device = find();
	char what[8] = "";

	option_text("do", what, sizeof what);
	report(device, "there is a network device");
	if (!device)
		return report_done();
	set_up(device);
	timer_calibrate();
	return what[0] == 's' ? send() : take();
}
