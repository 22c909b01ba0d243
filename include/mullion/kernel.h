/* SPDX-License-Identifier: MIT */
/* Where arch/ calls the kernel: at start, and on each CPU that has started. */
#ifndef MULLION_KERNEL_H
#define MULLION_KERNEL_H

#include <mullion/boot_info.h>

/* Boot CPU, before there is memory: makes the frame pool and the pages. */
void kernel_memory_start(const struct mull_boot_info *boot);

/* Boot CPU, all processors started; never returns. */
_Noreturn void kernel_main(const struct mull_boot_info *boot);

/* Every other CPU, ready to enable virtualization; never returns. */
_Noreturn void kernel_cpu_main(void);

#endif
