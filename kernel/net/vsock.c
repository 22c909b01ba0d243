/* SPDX-License-Identifier: MIT */
#include <mullion/arch.h>
#include <mullion/vsock.h>
#include <string.h>

/* By their VMs' numbers; changed by the service CPU alone. */
static _Atomic(struct vsock_port *) ports[MULL_VM_MAX];

/* The last life that began. */
static _Atomic uint32_t lives;

/* ---- ports come and go ----------------------------------------------------- */

void vsock_attach(struct vsock_port *port)
{
	atomic_store(&ports[port->index], port);
}

void vsock_detach(struct vsock_port *port)
{
	if (atomic_load(&ports[port->index]) != port)
		return;
	atomic_store(&ports[port->index], NULL);
	/* Until all that may have seen it there are done with it. */
	for (uint32_t i = 0; i < MULL_VM_MAX; i++) {
		struct vsock_port *other = atomic_load(&ports[i]);
		uint32_t working = other ? atomic_load(&other->working) : 0;

		while (working % 2 && atomic_load(&other->working) == working)
			arch_pause();
	}
}

void vsock_begin(struct vsock_port *port)
{
	atomic_fetch_add(&port->working, 1);
}

void vsock_end(struct vsock_port *port)
{
	atomic_fetch_add_explicit(&port->working, 1, memory_order_release);
}

static bool reaches(const struct vsock_port *port,
		    const struct vsock_port *other)
{
	return other && other != port && port->group[0] &&
	       !memcmp(port->group, other->group, strlen(port->group) + 1);
}

struct vsock_port *vsock_find(const struct vsock_port *port, uint64_t cid)
{
	for (uint32_t i = 0; i < MULL_VM_MAX; i++) {
		struct vsock_port *other = atomic_load(&ports[i]);

		if (reaches(port, other) && other->cid == cid)
			return other;
	}
	return NULL;
}

static void tell_group(struct vsock_port *port, enum vsock_notice notice)
{
	for (uint32_t i = 0; i < MULL_VM_MAX; i++) {
		struct vsock_port *other = atomic_load(&ports[i]);

		if (reaches(port, other))
			other->notify(other, notice);
	}
}

/* ---- lives ------------------------------------------------------------------ */

static uint32_t life_in(uint64_t state)
{
	return (uint32_t)(state >> 32);
}

uint32_t vsock_life(const struct vsock_port *port)
{
	return life_in(atomic_load(&port->state));
}

uint32_t vsock_life_of(uint32_t index)
{
	const struct vsock_port *port = atomic_load(&ports[index]);

	return port ? vsock_life(port) : 0;
}

void vsock_open(struct vsock_port *port, uint32_t places)
{
	uint32_t life = atomic_fetch_add(&lives, 1) + 1;

	if (!life)
		life = atomic_fetch_add(&lives, 1) + 1;
	atomic_store(&port->state, (uint64_t)life << 32 | places);
}

void vsock_close(struct vsock_port *port)
{
	if (life_in(atomic_exchange(&port->state, 0)))
		tell_group(port, VSOCK_LIFE_ENDED);
}

bool vsock_take_place(struct vsock_port *port, uint32_t life)
{
	uint64_t state = atomic_load(&port->state);

	do {
		if (life_in(state) != life || !(uint32_t)state)
			return false;
	} while (
		!atomic_compare_exchange_weak(&port->state, &state, state - 1));
	return true;
}

void vsock_give_place(struct vsock_port *port, uint32_t life)
{
	uint64_t state = atomic_load(&port->state);

	do {
		if (life_in(state) != life)
			return;
	} while (
		!atomic_compare_exchange_weak(&port->state, &state, state + 1));
}

/* ---- letters ----------------------------------------------------------------- */

static struct packet *reserve(struct vsock_port *to, uint32_t length,
			      uint32_t *slot)
{
	struct packet *room = packet_ring_reserve(
		&to->ring, (uint32_t)sizeof(struct vsock_letter) + length,
		slot);

	if (room)
		room->length = (uint32_t)sizeof(struct vsock_letter) + length;
	return room;
}

struct packet *vsock_reserve(struct vsock_port *to, uint32_t length,
			     uint32_t *slot)
{
	struct packet *room = reserve(to, length, slot);

	if (room)
		return room;
	atomic_store(&to->wanted, true);
	/* The receiver may have looked for that before it was said. */
	return reserve(to, length, slot);
}

bool vsock_has_room(struct vsock_port *to)
{
	if (packet_ring_is_half_free(&to->ring))
		return true;
	atomic_store(&to->wanted, true);
	return packet_ring_is_half_free(&to->ring);
}

void vsock_commit(struct vsock_port *to, uint32_t slot)
{
	if (packet_ring_commit(&to->ring, slot))
		to->notify(to, VSOCK_HAS_LETTERS);
}

void vsock_pop(struct vsock_port *port)
{
	packet_ring_pop(&port->ring);
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load(&port->wanted) &&
	    packet_ring_is_half_free(&port->ring) &&
	    atomic_exchange(&port->wanted, false))
		tell_group(port, VSOCK_HAS_ROOM);
}
