/* SPDX-License-Identifier: MIT */
/* Disks that come and go.  Home CPU only. */
#ifndef PARTITION_VM_ATTACH_H
#define PARTITION_VM_ATTACH_H

#include <mullion/vm.h>

/* The next piece of what is asked for; whether there is more to do at once. */
bool vm_attach_work(struct vm *vm);

static inline bool vm_attaches(const struct vm *vm)
{
	return atomic_load(&vm->attachment.step) != ATTACH_IDLE;
}

#endif
