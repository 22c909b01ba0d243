/* SPDX-License-Identifier: MIT */
#ifndef MULLCTL_QUIET_FRAME_H
#define MULLCTL_QUIET_FRAME_H

#include <mullion/frame.h>

/*
 * Encodes as frame_encode() does, under a number behind @header's, to which it
 * sets that.  The line may lead to a machine that has not started Mullion yet,
 * whose firmware takes the bytes for keys: so numbers are left out until the
 * frame, with its CRC, has no Esc and no Del in it, unless the payload has.
 * @wire has FRAME_WIRE_MAX bytes.  Returns the bytes used, 0 if @length is
 * more than MULL_FRAME_PAYLOAD_MAX.
 */
size_t quiet_frame_encode(struct mull_frame_header *header, const void *payload,
			  size_t length, uint8_t *wire);

#endif
