/* SPDX-License-Identifier: MIT */
/* Writes the boot package of <mullion/package.h>. */
#ifndef MULLCTL_PACK_H
#define MULLCTL_PACK_H

#include "manifest.h"
#include "status.h"

/* The bytes that the package of @manifest will have. */
uint64_t pack_size(const struct manifest *manifest);

/* Writes it to @file, which is there only when all went well; else a message
 * has been given. */
enum status pack_write(const struct manifest *manifest, const char *file);

/* Copies @from to @to as pack_write does. */
enum status pack_copy(const char *from, const char *to);

#endif
