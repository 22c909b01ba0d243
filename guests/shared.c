/* SPDX-License-Identifier: MIT */
/*
 * Memory shared between VMs, seen by each of them.  "role=ping" and
 * "role=pong" send each other "rounds=N" messages, one by hypercalls, the
 * other as the driver of a PCI device; "role=reader" may not write, and
 * "role=stranger" is to find nothing.
 */
#include "sdk.h"

#define VECTOR_DOORBELL 0x60
#define NAME "ring"
#define DEVICE 0x11101af4
#define ROUNDS 200

/* Peers, in the manifest's order. */
enum { PING, PONG, READER };

enum phase { PHASE_NONE, PHASE_LISTENS, PHASE_READ, PHASE_END };

struct mailbox {
	volatile uint32_t phase;
	volatile uint32_t ping, pong; /* how many messages each has sent */
};

static struct shared shared;
static struct mailbox *box;
static volatile uint32_t taken; /* interrupts */

static void on_doorbell(struct interrupt_frame *frame)
{
	(void)frame;
	taken++;
}

/* ---- as a PCI device ------------------------------------------------------ */

#define CONFIG_COMMAND 0x04
#define COMMAND_MEMORY 0x2
#define CONFIG_BAR 0x10
#define CONFIG_CAPABILITIES 0x34
#define CAPABILITY_MSIX 0x11
#define MSIX_ENABLE 0x80000000

#define REGISTER_POSITION 8
#define REGISTER_DOORBELL 12

/* Its configuration space; 0: there is none. */
static uint64_t device_find(void)
{
	for (uint64_t slot = 0; slot < 32; slot++)
		if (mmio_read(MULL_GUEST_ECAM + slot * 0x8000) == DEVICE)
			return MULL_GUEST_ECAM + slot * 0x8000;
	return 0;
}

static uint64_t bar(uint64_t config, uint32_t number)
{
	return mmio_read(config + CONFIG_BAR + 4 * number) & ~15u;
}

static void msix_enable(uint64_t config)
{
	uint32_t at = mmio_read(config + CONFIG_CAPABILITIES) & 0xff;
	uint64_t table = bar(config, 1);

	while (at && (mmio_read(config + at) & 0xff) != CAPABILITY_MSIX)
		at = mmio_read(config + at) >> 8 & 0xff;
	mmio_write(table, MULL_GUEST_LOCAL_APIC);
	mmio_write(table + 4, 0);
	mmio_write(table + 8, VECTOR_DOORBELL);
	mmio_write(table + 12, 0); /* no longer masked */
	mmio_write(config + at, MSIX_ENABLE);
}

/* What a driver does to learn a BAR's size; and one that wants to move it. */
static void look_at_memory_bar(uint64_t config)
{
	uint64_t low = config + CONFIG_BAR + 8;
	uint32_t address = mmio_read(low);

	mmio_write(low, ~0u);
	report(~(mmio_read(low) & ~15u) + 1 == shared.told.size,
	       "the BAR tells the memory's size");
	mmio_write(low, 0xd0000000);
	report(mmio_read(low) == address &&
		       (address & ~15u) == shared.told.address,
	       "the BAR stays where the memory is");
}

static uint64_t device_start(void)
{
	uint64_t config = device_find();

	report(config, "there is an ivshmem device");
	if (!config)
		return 0;
	mmio_write(config + CONFIG_COMMAND, COMMAND_MEMORY);
	look_at_memory_bar(config);
	report(mmio_read(bar(config, 0) + REGISTER_POSITION) ==
		       shared.told.self,
	       "the device tells its number among the peers");
	msix_enable(config);
	return config;
}

/* ---- the roles ------------------------------------------------------------ */

/* Interrupts are off, so none can come between the look and the halt. */
static void wait_for_message(const volatile uint32_t *count, uint32_t value)
{
	while (*count != value)
		halt_until_interrupt();
}

static void wait_for_phase(enum phase phase)
{
	while (box->phase < phase)
		sleep_ns(NS_PER_MS);
}

static void ping(uint32_t rounds)
{
	uint32_t heard;

	report(shared_listen(&shared, VECTOR_DOORBELL), "ping listens");
	wait_for_phase(PHASE_LISTENS);
	for (uint32_t i = 1; i <= rounds; i++) {
		box->ping = i;
		if (!shared_ring(&shared, PONG, 0))
			break;
		wait_for_message(&box->pong, i);
		wait_for_message(&taken, i);
	}
	report(box->pong == rounds && taken == rounds,
	       "%u messages there and back, %u interrupts", box->pong, taken);
	if (shared.told.peers >> READER & 1) {
		heard = taken;
		box->phase = PHASE_READ;
		wait_for_message(&taken, heard + 1);
		report(box->ping == rounds, "the reader has changed nothing");
	}
	box->phase = PHASE_END;
	shared_ring(&shared, PONG, 1);
}

static void pong(uint32_t rounds)
{
	uint64_t config = device_start();

	if (!config)
		return;
	box->phase = PHASE_LISTENS;
	for (uint32_t i = 1; i <= rounds; i++) {
		wait_for_message(&box->ping, i);
		wait_for_message(&taken, i);
		box->pong = i;
		mmio_write(bar(config, 0) + REGISTER_DOORBELL, PING << 16);
	}
	report(taken == rounds, "%u interrupts by MSI-X", taken);
	/* Doorbells of its own, and of nobody. */
	mmio_write(bar(config, 0) + REGISTER_DOORBELL, 31 << 16);
	mmio_write(bar(config, 0) + REGISTER_DOORBELL, PING << 16 | 77);
	wait_for_phase(PHASE_END);
}

static void reader(uint32_t rounds)
{
	report(!(shared.told.flags & MULL_GUEST_SHARED_WRITE),
	       "it may not write");
	wait_for_phase(PHASE_READ);
	report(box->ping == rounds, "the reader sees %u messages", box->ping);
	box->ping = 12345;
	report(box->ping == rounds, "what it writes is not there");
	box->ping++;
	report(box->ping == rounds, "nor what it adds");
	report(shared_ring(&shared, PING, 3), "it may ring");
}

static void stranger(void)
{
	report(!shared_find(NAME, &shared), "a stranger finds no memory");
	report(!device_find(), "and no device");
	report(mmio_read(MULL_GUEST_SHARED) == ~0u, "and nothing is there");
	mmio_write(MULL_GUEST_SHARED, 1);
	report(hypercall(MULL_CALL_SHARED_RING, 0, PING << 16) < 0,
	       "nor can it ring");
}

int guest_main(void)
{
	uint32_t rounds = option_number("rounds", ROUNDS);
	char role[16];

	if (!option_text("role", role, sizeof role))
		return 99;
	interrupt_handle(VECTOR_DOORBELL, on_doorbell);
	if (strcmp(role, "stranger") == 0) {
		stranger();
		return report_done();
	}
	report(shared_find(NAME, &shared), "%s finds the memory", role);
	box = shared_bytes(&shared);
	print("%s: %lu bytes at 0x%lx, peer %u of 0x%lx\n", role,
	      shared.told.size, shared.told.address, shared.told.self,
	      shared.told.peers);
	if (strcmp(role, "ping") == 0)
		ping(rounds);
	else if (strcmp(role, "pong") == 0)
		pong(rounds);
	else
		reader(rounds);
	return report_done();
}
