/* SPDX-License-Identifier: MIT */
/* One run: the emulator, the channel, the consoles, the keys. */
#ifndef MULLCTL_SESSION_H
#define MULLCTL_SESSION_H

#include "run_plan.h"

/* Runs what @plan says to its end and tells what became of the VMs. */
enum status session_run(const struct run_plan *plan);

#endif
