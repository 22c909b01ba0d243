/* SPDX-License-Identifier: MIT */
/* Virtio disks of the machine, each of which becomes a struct block_device. */
#ifndef MULLION_VIRTIO_BLK_H
#define MULLION_VIRTIO_BLK_H

/* Finds and starts them, by waiting; boot CPU. */
void virtio_blk_start(void);

#endif
