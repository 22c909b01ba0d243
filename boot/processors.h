/* SPDX-License-Identifier: MIT */
#ifndef BOOT_PROCESSORS_H
#define BOOT_PROCESSORS_H

#include <mullion/boot_info.h>

/* Asks the firmware's MP Services for the processors, and says how many. */
void processors_describe(struct mull_boot_info *info);

#endif
