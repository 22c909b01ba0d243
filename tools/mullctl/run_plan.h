/* SPDX-License-Identifier: MIT */
/* What a run shall be like: its options, understood. */
#ifndef MULLCTL_RUN_PLAN_H
#define MULLCTL_RUN_PLAN_H

#include <stdbool.h>

#include "manifest.h"
#include "status.h"
#include "verbs.h"

struct run_plan {
	struct manifest manifest;
	bool bochs, kvm, deterministic, no_reboot, gdb, verbose;
	uint32_t cpus;
	uint64_t memory;  /* bytes, whole MiB */
	double timeout;	  /* seconds; 0: none */
	const char *qemu; /* binary */
	const struct repeated *qemu_args, *disks, *nics;
	const char *listen; /* address for other clients, or NULL */
	const char *serial; /* file for log and text, or NULL */
	const char *folder; /* where all files of the run are */
	char *disk;	    /* the boot disk in it */
};

/* Reads the manifest, or makes one from the options; a message when they
 * cannot be used.  run_plan_free in every case. */
enum status run_plan_make(struct run_plan *plan, const struct options *options);
/* Makes the folder and the disk. */
enum status run_plan_pack(struct run_plan *plan, const struct options *options);
void run_plan_free(struct run_plan *plan);

#endif
