/* SPDX-License-Identifier: MIT */
/* What kind of image a file is. */
#ifndef MULLCTL_GUEST_FILE_H
#define MULLCTL_GUEST_FILE_H

#include <stddef.h>

#include "manifest.h"

/*
 * guest_file_probe - look at the file image->path
 *
 * Sets kind (0: of no kernel), kinds, size, needs, device and inode.  Where
 * kind is MULL_IMAGE_INITRD or MULL_IMAGE_DISK already, the file may hold
 * anything.  Returns NULL, or what is wrong in words without the file's name,
 * which free() releases.
 */
char *guest_file_probe(struct manifest_image *image);

#endif
