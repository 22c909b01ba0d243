/* SPDX-License-Identifier: MIT */
/* CRC-32 of IEEE 802.3, as zlib, Ethernet and the package format use it. */
#ifndef MULLION_CRC32_H
#define MULLION_CRC32_H

#include <stddef.h>
#include <stdint.h>

/* What crc32_ieee gives over any data that its own CRC-32 follows,
 * little-endian. */
#define CRC32_RESIDUE 0x2144df1cu

/*
 * crc32_ieee - the CRC-32 of @size bytes at @data
 * @previous: 0, or the result over the bytes before these
 */
uint32_t crc32_ieee(uint32_t previous, const void *data, size_t size);

#endif
