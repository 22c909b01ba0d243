/* SPDX-License-Identifier: MIT */
/* What gdb_stub.c and gdb_memory.c share. */
#ifndef MULLCTL_GDB_MEMORY_H
#define MULLCTL_GDB_MEMORY_H

#include "gdb_stub.h"

/* Asks about that vCPU from now on. */
void gdb_choose(struct gdb_stub *stub, uint32_t vcpu);
/* stub->registers is as it is in the VM. */
bool gdb_registers_of(struct gdb_stub *stub);
void gdb_forget_pages(struct gdb_stub *stub);

/* How many bytes were read. */
size_t gdb_read(struct gdb_stub *stub, uint64_t linear, uint8_t *bytes,
		size_t length);
/* Changes @bytes. */
bool gdb_write(struct gdb_stub *stub, uint64_t linear, uint8_t *bytes,
	       size_t length);

/* Breakpoints; one that is there, or gone, already will do. */
bool gdb_insert(struct gdb_stub *stub, uint64_t linear);
bool gdb_remove(struct gdb_stub *stub, uint64_t linear);

#endif
