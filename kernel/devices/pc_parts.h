/* SPDX-License-Identifier: MIT */
/* What the files of the legacy PC share.  Callers hold vm->device_lock. */
#ifndef PC_PARTS_H
#define PC_PARTS_H

#include <mullion/bits.h>
#include <mullion/pc.h>
#include <mullion/vm.h>

#define PC_PAGES ((sizeof(struct pc) + PAGE_SIZE - 1) / PAGE_SIZE)

/* kernel/devices/i8042.c: ports 0x60 and 0x64. */
uint8_t i8042_read(struct vm *vm, uint16_t port);
void i8042_write(struct vm *vm, uint16_t port, uint8_t value);

/* kernel/devices/pc_power.c: from MULL_GUEST_PC_POWER on, in bytes. */
void pc_power_reset(struct vm *vm);
void pc_power_press(struct vm *vm);
uint8_t pc_power_read(struct vm *vm, uint16_t port);
void pc_power_write(struct vm *vm, uint16_t port, uint8_t value);
/* The system control interrupt; and when it may come next by time alone. */
bool pc_power_line(struct vm *vm, uint64_t now);
uint64_t pc_power_next(struct vm *vm, uint64_t now);

/* kernel/devices/pc_mtrr.c; the registers are in <mullion/mtrr.h>. */
void pc_mtrr_reset(struct vm *vm);

/* kernel/devices/pc_chipset.c: what firmware knows a PC by, on the PCI bus. */
void pc_chipset_add(struct vm *vm);

#endif
