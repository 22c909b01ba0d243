/* SPDX-License-Identifier: MIT */
/*
 * The management channel: frames over any byte stream (a serial line first).
 *
 * A frame on the line is one zero byte, the COBS encoding (Cheshire and
 * Baker, "Consistent Overhead Byte Stuffing") of header, payload and CRC-32,
 * and one zero byte.  COBS leaves no zero byte inside, so a reader that has
 * lost its place is right again at the next zero.  The CRC-32 (IEEE 802.3)
 * covers header and payload and stands behind them, little-endian.  Bytes
 * between zeros that do not decode to a frame are plain text (the firmware's,
 * the loader's, a panic's) or noise: shown or dropped, never obeyed.
 */
#ifndef MULLION_CHANNEL_H
#define MULLION_CHANNEL_H

#include <assert.h>
#include <mullion/package.h>
#include <stdint.h>

#define MULL_CHANNEL_VERSION 1
#define MULL_FRAME_PAYLOAD_MAX 1024 /* bytes */
#define MULL_STREAM_HYPERVISOR 0xffff

enum mull_frame_type {
	/* from the hypervisor */
	MULL_FRAME_HELLO = 1,	/* struct mull_hello, once at start */
	MULL_FRAME_LOG = 2,	/* text: a piece of the hypervisor's log */
	MULL_FRAME_CONSOLE = 3, /* bytes that VM @stream printed */
	MULL_FRAME_EVENT = 4,	/* struct mull_event about VM @stream */
	MULL_FRAME_REPLY = 5,	/* struct mull_reply, data */
	MULL_FRAME_PENDING = 6, /* the same, of a request that is being done */
	/* to the hypervisor */
	MULL_FRAME_INPUT = 16,	     /* bytes typed to VM @stream's console */
	MULL_FRAME_REQUEST = 17,     /* struct mull_request, data */
	MULL_FRAME_UPLOAD_DATA = 18, /* struct mull_upload_data */
};

struct mull_frame_header {
	uint8_t version; /* MULL_CHANNEL_VERSION */
	uint8_t type;	 /* enum mull_frame_type */
	uint16_t stream; /* VM number, or MULL_STREAM_HYPERVISOR */
	uint32_t
		sequence; /* counts up by one a frame, each direction its own */
};

struct mull_hello {
	char version[32]; /* of the hypervisor, e.g. "0.1.0" */
	uint32_t cpu_count;
	uint32_t vm_count;
	uint64_t memory_free; /* bytes in the frame pool */
};

/* Why a VM is in the state it is in. */
enum mull_vm_state {
	MULL_VM_STOPPED = 1,  /* by its own power-off or by command */
	MULL_VM_STARTING = 2, /* memory is prepared, images are loaded */
	MULL_VM_RUNNING = 3,
	MULL_VM_STOPPING = 4,  /* its vCPUs are asked to leave the guest */
	MULL_VM_CRASHED = 5,   /* ended with a fault; see the reason */
	MULL_VM_REFUSED = 6,   /* its description or images are at fault */
	MULL_VM_PAUSED = 7,    /* by command, or at a breakpoint */
	MULL_VM_DESTROYED = 8, /* it is gone, and its number is free */
};

enum mull_end_reason {
	MULL_END_NONE = 0,
	MULL_END_POWEROFF = 1, /* the guest asked for S5 */
	MULL_END_RESET = 2,    /* the guest asked for a reset */
	MULL_END_TRIPLE_FAULT = 3,
	MULL_END_BAD_EXIT = 4,	 /* it did what cannot be emulated */
	MULL_END_COMMAND = 5,	 /* the operator's command */
	MULL_END_BAD_IMAGE = 6,	 /* it could not be loaded */
	MULL_END_EXIT_CODE = 7,	 /* an SDK guest ended itself; see the code */
	MULL_END_ALL_HALTED = 8, /* all vCPUs halted with interrupts off */
	MULL_END_BREAKPOINT = 9, /* paused by a debugger's; code: the vCPU */
	MULL_END_WATCHDOG = 10,	 /* not fed; code: for so many seconds */
};

/* Sent at each change of a VM's state. */
struct mull_event {
	char name[MULL_NAME_MAX];
	uint32_t state;	   /* enum mull_vm_state */
	uint32_t reason;   /* enum mull_end_reason */
	uint32_t code;	   /* of MULL_END_EXIT_CODE */
	uint32_t restarts; /* how often it was started again */
	uint64_t time_ns;  /* since the hypervisor started */
	char words[160];   /* the reason in words */
};

/* The commands and the records that go with them: <mullion/control.h>. */
struct mull_request {
	uint32_t command; /* enum mull_command */
	uint32_t vm;
	uint64_t argument;
};

struct mull_reply {
	uint32_t sequence; /* of the request's frame */
	uint32_t error;	   /* enum error */
	uint64_t value;
};

static_assert(sizeof(struct mull_frame_header) == 8, "wire format");
static_assert(sizeof(struct mull_hello) == 48, "wire format");
static_assert(sizeof(struct mull_event) == 216, "wire format");
static_assert(sizeof(struct mull_request) == 16, "wire format");
static_assert(sizeof(struct mull_reply) == 16, "wire format");

#endif
