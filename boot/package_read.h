/* SPDX-License-Identifier: MIT */
#ifndef BOOT_PACKAGE_READ_H
#define BOOT_PACKAGE_READ_H

#include <mullion/boot_info.h>

#include "firmware.h"

/*
 * package_read - read MULL_PACKAGE_PATH from the volume that @image (the
 *		  loader) came from
 *
 * Fills in the package's address and size in @info, or package_problem, and
 * says which.  The package lies in whole frames of 2 MiB, the bytes behind
 * its end are zero.  A file that cannot be read to its end is handed over as
 * far as it could be read: the hypervisor knows what is missing.
 */
void package_read(EFI_HANDLE image, struct mull_boot_info *info);

#endif
