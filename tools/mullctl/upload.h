/* SPDX-License-Identifier: MIT */
/* Uploading a file, so that people see how far it is. */
#ifndef MULLCTL_UPLOAD_H
#define MULLCTL_UPLOAD_H

#include "image_file.h"
#include "remote.h"

struct uploaded {
	uint32_t number;    /* of the image */
	uint64_t sent_from; /* byte of what is sent at which it began */
	double seconds;
	bool was_there; /* all of it, with the same SHA-256 */
};

/*
 * upload_file - have the hypervisor have that image
 * @replace: one that has the name and other contents is deleted first
 *
 * Goes on where an upload of the same image stopped.  Between work_begin() and
 * work_end().
 */
enum status upload_file(struct mull *mull, const struct image_file *file,
			bool replace, struct uploaded *uploaded);

#endif
