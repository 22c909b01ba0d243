/* SPDX-License-Identifier: MIT */
#ifndef MULLCTL_PUT_STORAGE_H
#define MULLCTL_PUT_STORAGE_H

#include <mullctl.h>

#include "output.h"

/* The machine's disks and their partitions, as lists, if there are some; errors
 * as mull_machine_disks(). */
int put_machine_disks(struct mull *mull, struct output *output);
/* What its disks have done. */
int put_disk_counts(struct mull *mull, struct output *output);

#endif
