/* SPDX-License-Identifier: MIT */
/* NVMe disks of the machine, each of which becomes a struct block_device. */
#ifndef MULLION_NVME_H
#define MULLION_NVME_H

/* Finds and starts them, by waiting; boot CPU. */
void nvme_start(void);

#endif
