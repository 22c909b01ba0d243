/* SPDX-License-Identifier: MIT */
/* Why a vCPU left its guest: one record for both vendors. */
#ifndef MULLION_VM_EXIT_H
#define MULLION_VM_EXIT_H

#include <mullion/address.h>
#include <stdbool.h>
#include <stdint.h>

enum exit_kind {
	EXIT_NONE,	/* the entry was called off: look around, enter again */
	EXIT_INTERRUPT, /* a physical interrupt is pending */
	EXIT_NMI,	/* a kick from another CPU */
	EXIT_WINDOW,	/* the guest can take an interrupt now */
	EXIT_CPUID,
	EXIT_HALT,
	EXIT_PORT_IO,
	EXIT_MSR_READ,
	EXIT_MSR_WRITE,
	EXIT_HYPERCALL,
	EXIT_MEMORY, /* EPT violation, nested page fault */
	EXIT_XSETBV,
	EXIT_CACHE,	 /* WBINVD, INVD, WBNOINVD */
	EXIT_PRIVILEGED, /* an instruction that guests do not have: #UD */
	EXIT_COUNTER,	 /* RDPMC: #GP */
	EXIT_VENDOR,	 /* an exit that the vendor's code has dealt with */
	EXIT_BAD_STATE, /* the guest loaded a state the processor refuses: #GP */
	EXIT_TRIPLE_FAULT,
	EXIT_BREAKPOINT,	 /* INT3 or the end of a step, for a debugger */
	EXIT_SOFTWARE_INTERRUPT, /* INT n, INT3 too, while one has INT3 */
	EXIT_ENTRY_FAILED, /* the processor refused what we entered with */
	EXIT_UNKNOWN,	   /* a reason that this build does not know */
	EXIT_COMMAND,	   /* only counted: a WRMSR of the local APIC's command
			      register, for another CPU */
	EXIT_KIND_COUNT
};

/* Names that people read; the tool has them, too. */
const char *exit_kind_name(uint32_t kind);
/* Whether the guest itself asks for such exits; a guest at rest, or that only
 * computes, has others, or none. */
bool exit_is_asked_for(uint32_t kind);

struct exit_port {
	uint16_t port;
	uint8_t size; /* 1, 2 or 4 bytes */
	bool in;
	bool string; /* INS or OUTS */
	bool repeat;
};

struct exit_memory {
	gpa_t address;
	bool read, write, fetch;
	bool in_page_walk; /* the guest's own page tables lie there */
};

struct vm_exit {
	enum exit_kind kind;
	/* Bytes of the instruction that caused it; 0: not known yet, see
	 * vcpu_skip_instruction. */
	uint8_t length;
	union {
		struct exit_port port;
		struct exit_memory memory;
	};
	uint64_t raw[3];   /* the vendor's code and details, for messages */
	const char *words; /* what the code means; NULL: not known */
};

#endif
