/* SPDX-License-Identifier: MIT */
/*
 * What firmware is told about its machine, as QEMU does it: items that are
 * chosen by port 0x510 and read, a byte at a time, from port 0x511.  QEMU,
 * "QEMU Firmware Configuration (fw_cfg) Device".  Callers hold
 * vm->device_lock.
 */
#ifndef MULLION_FW_CFG_H
#define MULLION_FW_CFG_H

#include <stdint.h>

struct vm;

struct fw_cfg {
	uint16_t item;
	uint32_t offset; /* of the byte that comes next */
};

void fw_cfg_select(struct vm *vm, uint16_t item);
uint8_t fw_cfg_next(struct vm *vm);

#endif
