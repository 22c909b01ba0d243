/* SPDX-License-Identifier: MIT */
/* Where a UEFI computer boots from: a folder, or a disk image. */
#ifndef MULLCTL_BOOT_DISK_H
#define MULLCTL_BOOT_DISK_H

#include "manifest.h"
#include "status.h"

enum disk_format {
	DISK_GPT, /* with one EFI system partition */
	DISK_FAT, /* the file system alone, in whole cylinders for Bochs */
};

/* The hypervisor's file: @option, or MULLION_EFI, or beside mullctl.  NULL
 * after a message; free(). */
char *boot_disk_efi(const char *option);

/* Each writes mullion.efi and the package of @manifest, or gives a message. */
enum status boot_disk_folder(const struct manifest *manifest, const char *efi,
			     const char *folder);
enum status boot_disk_image(const struct manifest *manifest, const char *efi,
			    const char *image, enum disk_format format);

#endif
