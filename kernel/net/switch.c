/* SPDX-License-Identifier: MIT */
#include <mullion/arch.h>
#include <mullion/log.h>
#include <mullion/switch.h>
#include <string.h>

#define SWITCHES_MAX (MULL_VM_MAX * MULL_NIC_MAX)

/* Changed by the service CPU alone; senders on all CPUs follow the list. */
static struct net_switch {
	/* "": there is none.  It is known until another one needs its place,
	 * though its last port has gone. */
	char name[MULL_LABEL_MAX];
	uint32_t port_count;
	_Atomic(struct switch_port *) ports;
} switches[SWITCHES_MAX];

static char uplink_name[MULL_LABEL_MAX];

static bool same_name(const char *a, const char *b)
{
	return !memcmp(a, b, strlen(b) + 1);
}

/* ---- ports come and go --------------------------------------------------- */

static struct net_switch *find_switch(const char *name)
{
	for (uint32_t i = 0; i < SWITCHES_MAX; i++)
		if (same_name(switches[i].name, name))
			return &switches[i];
	return NULL;
}

/* A place that has never been one's, or else one whose ports have gone. */
static struct net_switch *make_switch(const char *name)
{
	struct net_switch *free = find_switch("");

	for (uint32_t i = 0; i < SWITCHES_MAX && !free; i++)
		if (!switches[i].port_count)
			free = &switches[i];
	if (free)
		memcpy(free->name, name, strlen(name) + 1);
	return free;
}

bool switch_is_known(const char *name)
{
	return find_switch(name);
}

const char *switch_name_at(uint32_t index)
{
	return index < SWITCHES_MAX ? switches[index].name : NULL;
}

enum error switch_attach(struct switch_port *port, const char *name)
{
	struct net_switch *on = find_switch(name);

	if (!on)
		on = make_switch(name);
	if (!on)
		return ERR_NO_MEMORY;
	port->on = on;
	on->port_count++;
	atomic_store(&port->next, atomic_load(&on->ports));
	atomic_store(&on->ports, port);
	return ERR_NONE;
}

/* Until every sender that may have seen what was taken off is done with it. */
static void wait_for_senders(const struct net_switch *on)
{
	for (struct switch_port *port = on->ports; port; port = port->next) {
		uint32_t sending = atomic_load(&port->sending);

		while (sending % 2 && atomic_load(&port->sending) == sending)
			arch_pause();
	}
}

void switch_detach(struct switch_port *port)
{
	struct net_switch *on = port->on;
	_Atomic(struct switch_port *) *link;

	if (!on)
		return;
	for (link = &on->ports; *link != port; link = &(*link)->next)
		;
	atomic_store(link, atomic_load(&port->next));
	wait_for_senders(on);
	port->on = NULL;
	on->port_count--;
}

void switch_set_uplink(const char *name)
{
	memcpy(uplink_name, name, strlen(name) + 1);
}

bool switch_has_uplink(const struct switch_port *port)
{
	return uplink_name[0] && same_name(port->on->name, uplink_name);
}

/* ---- packets ------------------------------------------------------------- */

static void count(_Atomic uint64_t *counter, uint64_t more)
{
	atomic_fetch_add_explicit(counter, more, memory_order_relaxed);
}

void switch_count_received(struct switch_port *port, uint32_t length)
{
	count(&port->received, 1);
	count(&port->received_bytes, length);
}

void switch_drop(struct switch_port *port, enum mull_drop why)
{
	count(&port->drops[why], 1);
}

/* Room for @packet in @to's ring, but for what is counted there. */
static struct packet *reserve(struct switch_port *to,
			      const struct outgoing *packet, uint32_t *slot)
{
	struct packet *room;

	if (!atomic_load_explicit(&to->open, memory_order_relaxed)) {
		switch_drop(to, MULL_DROP_CLOSED);
		return NULL;
	}
	room = packet_ring_reserve(&to->ring, packet->length, slot);
	if (!room) {
		switch_drop(to, MULL_DROP_FULL);
		return NULL;
	}
	room->length = packet->length;
	room->header = packet->header;
	memcpy(room->bytes, packet->start, PACKET_START);
	return room;
}

static void commit(struct switch_port *to, uint32_t slot)
{
	if (packet_ring_commit(&to->ring, slot))
		to->notify(to);
}

static enum error deliver(struct switch_port *to, const struct outgoing *packet)
{
	uint32_t slot;
	struct packet *room = reserve(to, packet, &slot);
	enum error error;

	if (!room)
		return ERR_NONE;
	error = packet->copy(packet, room->bytes + PACKET_START);
	if (error)
		room->length = 0;
	commit(to, slot);
	return error;
}

static bool may_pass(const struct switch_port *from,
		     const struct switch_port *to)
{
	return (!from->outside || to->uplink) && (!to->outside || from->uplink);
}

/* What is sent to several is still read once. */
static enum error flood(struct switch_port *from, const struct outgoing *packet)
{
	uint8_t rest[PACKET_PLAIN_MAX - PACKET_START];
	enum error error;

	if (packet->length > PACKET_PLAIN_MAX || packet->header.cut) {
		switch_drop(from, MULL_DROP_MALFORMED);
		return ERR_NONE;
	}
	error = packet->copy(packet, rest);
	if (error)
		return error;
	for (struct switch_port *to = from->on->ports; to; to = to->next) {
		uint32_t slot;
		struct packet *room;

		if (to == from || !may_pass(from, to))
			continue;
		room = reserve(to, packet, &slot);
		if (!room)
			continue;
		memcpy(room->bytes + PACKET_START, rest,
		       packet->length - PACKET_START);
		commit(to, slot);
	}
	return ERR_NONE;
}

/* Whose address it is; an uplink's own does not count. */
static struct switch_port *owner_of(const struct net_switch *on,
				    const uint8_t *mac)
{
	for (struct switch_port *port = on->ports; port; port = port->next)
		if (!port->uplink && mac_is(port->mac, mac))
			return port;
	return NULL;
}

static struct switch_port *uplink_of(const struct net_switch *on)
{
	for (struct switch_port *port = on->ports; port; port = port->next)
		if (port->uplink)
			return port;
	return NULL;
}

static bool is_spoofed(const struct switch_port *from, const uint8_t *source)
{
	if (from->uplink)
		return mac_is_group(source) || owner_of(from->on, source);
	return !mac_is(source, from->mac);
}

static enum error forward(struct switch_port *from,
			  const struct outgoing *packet)
{
	const uint8_t *destination = packet->start;
	struct switch_port *to;

	if (is_spoofed(from, packet->start + MAC_SIZE)) {
		switch_drop(from, MULL_DROP_SPOOFED);
		return ERR_NONE;
	}
	count(&from->sent, 1);
	count(&from->sent_bytes, packet->length);
	if (mac_is_group(destination))
		return flood(from, packet);
	to = owner_of(from->on, destination);
	if (to && !may_pass(from, to))
		to = from->outside ? uplink_of(from->on) : NULL;
	else if (!to)
		to = uplink_of(from->on);
	if (!to || to == from) {
		switch_drop(from, MULL_DROP_NOBODY);
		return ERR_NONE;
	}
	return deliver(to, packet);
}

enum error switch_send(struct switch_port *port, const struct outgoing *packet)
{
	enum error error;

	if (packet->length < PACKET_START || packet->length > PACKET_MAX ||
	    (packet->length > PACKET_PLAIN_MAX && !packet->header.cut)) {
		switch_drop(port, MULL_DROP_MALFORMED);
		return ERR_NONE;
	}
	/* Between these, no port that is met goes away. */
	atomic_fetch_add(&port->sending, 1);
	error = forward(port, packet);
	atomic_fetch_add_explicit(&port->sending, 1, memory_order_release);
	return error;
}

void switch_stats(const struct switch_port *port,
		  struct mull_device_stats *stats)
{
	memcpy(stats->network, port->on->name, sizeof stats->network);
	memcpy(stats->mac, port->mac, MAC_SIZE);
	stats->sent = atomic_load(&port->sent);
	stats->sent_bytes = atomic_load(&port->sent_bytes);
	stats->received = atomic_load(&port->received);
	stats->received_bytes = atomic_load(&port->received_bytes);
	for (int i = 0; i < MULL_DROP_REASONS; i++)
		stats->drops[i] = atomic_load(&port->drops[i]);
}
