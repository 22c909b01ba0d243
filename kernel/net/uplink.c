/* SPDX-License-Identifier: MIT */
/*
 * The way from a switch to a card of the machine and back.  Packets are as on a
 * wire on both sides, and the switch decides who may send as whom.
 */
#include <mullion/arch.h>
#include <mullion/cpu_loop.h>
#include <mullion/log.h>
#include <mullion/page.h>
#include <mullion/switch.h>
#include <mullion/uplink.h>
#include <string.h>

#define PACKETS_A_ROUND 16
#define RING_PAGES (PACKET_RING_BYTES / PAGE_SIZE)

static struct nic *nic; /* NULL: there is no uplink */
static struct switch_port port;
static char switch_name[MULL_LABEL_MAX];
static bool full; /* the card has no room, and something waits */

const char *uplink_switch(void)
{
	return nic ? switch_name : NULL;
}

const uint8_t *uplink_mac(void)
{
	return nic ? nic->mac : NULL;
}

/* ---- from the wire --------------------------------------------------------- */

static enum error copy_rest(const struct outgoing *packet, uint8_t *to)
{
	const uint8_t *bytes = packet->from;

	memcpy(to, bytes + PACKET_START, packet->length - PACKET_START);
	return ERR_NONE;
}

static void receive(struct nic *from, const uint8_t *bytes, uint32_t length)
{
	struct outgoing packet = { .header = { .buffers = 1 },
				   .length = length,
				   .copy = copy_rest,
				   .from = bytes };

	(void)from;
	memcpy(packet.start, bytes, PACKET_START);
	switch_send(&port, &packet);
}

/* ---- to the wire ----------------------------------------------------------- */

static void notify(struct switch_port *of)
{
	(void)of;
	arch_kick(cpu_loop_service());
}

/* Whether it is done with @packet. */
static bool send(struct packet *packet)
{
	uint32_t length = packet->length;

	if (!length) /* nothing came of it */
		return true;
	if (!nic_takes(nic)) {
		switch_drop(&port, MULL_DROP_CLOSED);
		return true;
	}
	if (length > PACKET_PLAIN_MAX || packet->header.cut) {
		switch_drop(&port, MULL_DROP_TOO_LONG);
		return true;
	}
	if (packet->header.flags & PACKET_NEEDS_CHECKSUM) {
		packet_sum(packet);
		packet->header.flags = 0;
	}
	if (!nic->driver->send(nic, packet))
		return false;
	nic->sent++;
	nic->sent_bytes += length;
	switch_count_received(&port, length);
	return true;
}

/* Whether there is more. */
static bool send_some(void)
{
	uint32_t count = 0;

	full = false;
	while (count < PACKETS_A_ROUND && !full) {
		struct packet *packet = packet_ring_first(&port.ring);

		if (packet && send(packet)) {
			packet_ring_pop(&port.ring);
			count++;
		} else if (packet) {
			full = true;
		} else if (packet_ring_wait(&port.ring)) {
			break;
		}
	}
	if (count && nic->ready)
		nic->driver->flush(nic);
	return count == PACKETS_A_ROUND;
}

/* ---- the service's round --------------------------------------------------- */

bool uplink_poll(void)
{
	bool more;

	if (!nic)
		return false;
	more = nic_poll(nic);
	atomic_store(&port.open, nic_takes(nic));
	return send_some() || more;
}

uint64_t uplink_deadline(void)
{
	return nic ? nic_deadline(nic, full) : ARCH_NO_DEADLINE;
}

void uplink_stats(struct mull_nic_status *status)
{
	if (!nic || nic->number != status->number)
		return;
	memcpy(status->network, switch_name, sizeof status->network);
	for (int i = 0; i < MULL_DROP_REASONS; i++)
		status->drops[i] = atomic_load(&port.drops[i]);
}

/* ---- at start -------------------------------------------------------------- */

/* Words: why there will be none. */
static const char *start(struct nic *with, const char *name)
{
	const char *words;

	if (!with)
		return "the machine has no such card";
	port.ring.bytes = page_alloc(RING_PAGES);
	if (!port.ring.bytes)
		return "no memory for its packets";
	words = nic_open(with, receive);
	if (words) {
		page_free(port.ring.bytes, RING_PAGES);
		return words;
	}
	port.notify = notify;
	port.uplink = true;
	memcpy(port.mac, with->mac, MAC_SIZE);
	if (switch_attach(&port, name) != ERR_NONE)
		return "there are too many switches"; /* not: it is the first */
	switch_set_uplink(name);
	memcpy(switch_name, name, sizeof switch_name);
	nic = with;
	return NULL;
}

void uplink_start(const struct mull_machine *machine)
{
	uint32_t number = machine->uplink_nic;
	const char *words;

	nics_start();
	if (!number)
		return;
	words = start(nic_at(number), machine->uplink);
	if (words)
		log_write(LOG_WARNING "switch %s has no uplink by nic %u: %s",
			  machine->uplink, number, words);
	else
		log_write("switch %s has an uplink: nic %u", machine->uplink,
			  number);
}
