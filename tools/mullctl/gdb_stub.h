/* SPDX-License-Identifier: MIT */
/*
 * What gdb may ask of a VM that stands still: registers, memory, breakpoints,
 * threads, which are its vCPUs.  How it goes on is for the caller.
 *
 * A breakpoint is an INT3 in the guest's memory; it stays with its physical
 * address, and reads show what was there before.
 */
#ifndef MULLCTL_GDB_STUB_H
#define MULLCTL_GDB_STUB_H

#include <mullion/control.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gdb_packet.h"

#define GDB_BREAKPOINTS_MAX 256
#define GDB_PAGES 16 /* whose place is remembered until the VM goes on */

/* The VM; each returns false when it cannot be done. */
struct gdb_vm {
	void *context;
	uint32_t vcpu_count;
	bool (*read)(void *context, uint64_t address, void *bytes,
		     size_t length);
	bool (*write)(void *context, uint64_t address, const void *bytes,
		      size_t length);
	bool (*registers)(void *context, uint32_t vcpu,
			  struct mull_registers *registers);
	bool (*set_registers)(void *context, uint32_t vcpu,
			      const struct mull_registers *registers);
};

struct gdb_breakpoint {
	uint64_t linear, physical;
	uint8_t before; /* what the INT3 stands for */
};

struct gdb_stub {
	struct gdb_vm vm;
	uint32_t vcpu; /* the one that is asked about, and that stopped */
	uint32_t step_vcpu;
	bool without_acks; /* packets are no longer acknowledged */
	bool registers_known;
	struct mull_registers registers; /* of @vcpu */
	struct {
		bool known;
		uint64_t linear, physical;
	} pages[GDB_PAGES];
	size_t breakpoint_count;
	struct gdb_breakpoint breakpoints[GDB_BREAKPOINTS_MAX];
	char stop[64]; /* why it stands still, as a packet */
	size_t length; /* of the answer */
	char answer[GDB_PACKET_MAX];
};

enum gdb_action {
	GDB_ANSWER, /* the answer is to be sent */
	GDB_CONTINUE,
	GDB_STEP,   /* @step_vcpu */
	GDB_DETACH, /* after the answer */
	GDB_KILL,
};

enum gdb_action gdb_stub_take(struct gdb_stub *stub, const char *packet,
			      size_t length);

/* The VM stands still because of @vcpu, by a signal in Linux's numbers; whether
 * that vCPU is at one of gdb's breakpoints. */
bool gdb_stub_stopped(struct gdb_stub *stub, uint32_t vcpu, int signal);
/* The VM goes on: nothing is known of it. */
void gdb_stub_goes_on(struct gdb_stub *stub);
/* Puts the breakpoints' INT3s into memory, or takes them from there, while they
 * stay known; false when not all are. */
bool gdb_stub_arm(struct gdb_stub *stub, bool armed);
/* Takes all breakpoints away; false when one is left. */
bool gdb_stub_clear(struct gdb_stub *stub);

#endif
