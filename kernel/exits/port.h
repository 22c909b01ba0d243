/* SPDX-License-Identifier: MIT */
/* Port I/O inside: on_port_io() is in <mullion/exits.h>. */
#ifndef PORT_H
#define PORT_H

#include <mullion/vcpu.h>

struct vm;

/* INS or OUTS (kernel/exits/port_string.c). */
void port_string(struct vcpu *vcpu, const struct vm_exit *exit);

/* One access of 1, 2 or 4 bytes to the devices.  A read that no device
 * answers in this size gives all ones; such a write has no effect. */
uint32_t port_read(struct vm *vm, uint16_t port, uint8_t size);
void port_write(struct vm *vm, uint16_t port, uint8_t size, uint32_t value);

#endif
