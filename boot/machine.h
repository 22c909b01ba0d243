/* SPDX-License-Identifier: MIT */
/* What only the firmware knows of the machine. */
#ifndef BOOT_MACHINE_H
#define BOOT_MACHINE_H

#include <mullion/boot_info.h>

/* Fills in and says all that @info tells of firmware and machine but memory. */
void machine_describe(struct mull_boot_info *info);

#endif
