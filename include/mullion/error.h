/* SPDX-License-Identifier: MIT */
/* Errors: one enum and one table of words, shared by hypervisor and tools. */
#ifndef MULLION_ERROR_H
#define MULLION_ERROR_H

/* Never renumbered: the numbers go over the management channel. */
enum error {
	ERR_NONE = 0,
	ERR_NO_MEMORY = 1,    /* no free frame or page */
	ERR_BAD_ADDRESS = 2,  /* outside the guest's memory */
	ERR_BAD_REQUEST = 3,  /* a request or description breaks a rule */
	ERR_TRUNCATED = 4,    /* the data ends before it should */
	ERR_BAD_CHECKSUM = 5, /* a CRC-32 does not match */
	ERR_BAD_HASH = 6,     /* a SHA-256 does not match */
	ERR_BAD_IMAGE = 7, /* a guest image is not of the kind it is given as */
	ERR_NOT_FOUND = 8, /* no such VM, image, device, ... */
	ERR_UNSUPPORTED = 9, /* the processor or this build cannot do it */
	ERR_VERSION = 10,    /* another version of a format */
	ERR_TOO_LARGE = 11,  /* does not fit where it should go */
	ERR_BUSY = 12,	     /* owned by somebody else or not yet stopped */
	ERR_NOT_MAPPED = 13, /* a guest-virtual address has no translation */
	ERR_BAD_INSTRUCTION = 14, /* an instruction we do not emulate */
	ERR_TIMEOUT = 15,	  /* the hardware did not answer in time */
	ERR_EXISTS = 16,	  /* the name is taken */
	ERR_WRONG_STATE = 17,	  /* not in the state that the VM is in */
	ERR_DEVICE = 18,	  /* a device of the machine has failed */
	ERR_COUNT
};

/* What @error means, in lower-case words without a full stop. */
const char *error_text(enum error error);

#endif
