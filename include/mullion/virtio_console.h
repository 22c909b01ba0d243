/* SPDX-License-Identifier: MIT */
/*
 * VIRTIO 1.2, "Console Device", with two ports: a console that shares the VM's
 * console with its UART, and a port for the guest's agent.  Callers hold
 * vm->device_lock.
 */
#ifndef MULLION_VIRTIO_CONSOLE_H
#define MULLION_VIRTIO_CONSOLE_H

#include <mullion/stream.h>
#include <mullion/virtio.h>

#define VIRTIO_CONSOLE_PORTS 2
#define VIRTIO_CONSOLE_AGENT "org.qemu.guest_agent.0"

/* A power of two each. */
#define VIRTIO_CONSOLE_TYPED 64
#define VIRTIO_CONSOLE_TO_AGENT 2048
#define VIRTIO_CONSOLE_FROM_AGENT 4096

struct virtio_console {
	struct virtio_device device; /* first: one is made of the other */
	struct console_port {
		struct stream stream; /* the console's has no from_guest */
		uint64_t sent;	      /* bytes taken of its next chain */
		bool blocked;	      /* there was no room for more */
		uint32_t due;	      /* messages to its driver, as bits */
	} ports[VIRTIO_CONSOLE_PORTS];
	bool preferred; /* to the UART, where both listen */
	uint8_t typed[VIRTIO_CONSOLE_TYPED];
	uint8_t to_agent[VIRTIO_CONSOLE_TO_AGENT];
	uint8_t from_agent[VIRTIO_CONSOLE_FROM_AGENT];
};

/* Puts @console on @vm's bus at @slot; no lock. */
void virtio_console_add(struct vm *vm, struct virtio_console *console,
			uint32_t slot);

/*
 * Whether it is the one to type to: its driver is there, and either the kernel's
 * command line makes it the main console, as the last of "console=", or nothing
 * listens at the UART.
 */
bool virtio_console_listens(const struct vm *vm);
/* How many of @length bytes it took; the rest is offered again. */
size_t virtio_console_type(struct vm *vm, const uint8_t *bytes, size_t length);
/* The console's reader has made room: what the guest prints goes on. */
void virtio_console_drained(struct vm *vm);

/* The agent's bytes; NULL: there is no device. */
struct stream *virtio_console_agent(struct vm *vm);
/* There is more for the agent, or room for more from it. */
void virtio_console_agent_changed(struct vm *vm);

#endif
