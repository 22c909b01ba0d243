/* SPDX-License-Identifier: MIT */
/* The handlers of exits: one function a kind (kernel/exits/). */
#ifndef MULLION_EXITS_H
#define MULLION_EXITS_H

#include <mullion/vm_exit.h>

struct vcpu;

typedef void exit_handler(struct vcpu *vcpu, const struct vm_exit *exit);

exit_handler on_cpuid, on_halt, on_port_io, on_msr_read, on_msr_write,
	on_hypercall, on_memory;

#endif
