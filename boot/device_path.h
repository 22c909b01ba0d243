/* SPDX-License-Identifier: MIT */
#ifndef BOOT_DEVICE_PATH_H
#define BOOT_DEVICE_PATH_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Whether one of the device paths in @size bytes from @paths goes through a
 * UART (UEFI 2.10, "UART Device Path").  Malformed nodes end the search.
 */
bool device_path_has_uart(const void *paths, size_t size);

#endif
