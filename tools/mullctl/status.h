/* SPDX-License-Identifier: MIT */
/* How mullctl ends; verbs.c documents each for people. */
#ifndef MULLCTL_STATUS_H
#define MULLCTL_STATUS_H

enum status {
	STATUS_OK = 0,
	STATUS_MISTAKE = 1, /* usage or manifest */
	STATUS_HOST = 2,    /* this computer lacks something */
	STATUS_REFUSED = 3, /* a VM was refused or could not be loaded */
	STATUS_CRASHED = 4,
	STATUS_RESET = 5, /* with --no-reboot */
	STATUS_TIMEOUT = 6,
	STATUS_DIED = 7,   /* the emulator or the hypervisor */
	STATUS_GUEST = 64, /* plus an SDK guest's exit code, at most 63 */
	STATUS_GUEST_MAX = 127,
	STATUS_QUIT = 130, /* Ctrl-] q */

	/* of the verbs that speak with a hypervisor */
	STATUS_FAILED = 1,
	STATUS_USAGE = 2,
	STATUS_NOT_FOUND = 3,
	STATUS_CONFLICT = 4,
	STATUS_UNREACHABLE = 6,
	STATUS_TIMED_OUT = 124,
};

#endif
