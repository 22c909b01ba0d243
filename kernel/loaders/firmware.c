/* SPDX-License-Identifier: MIT */
/*
 * Firmware: an image that ends at 4 GiB, where a processor begins.  As on a
 * PC, its last 128 KiB are seen below 1 MiB, too: a copy, since firmware
 * writes there once it has opened the shadow memory.
 */
#include "loader.h"

#include <mullion/bits.h>
#include <mullion/guest.h>

#define SHADOW_MAX KIB(128)

enum error firmware_check(struct load *load)
{
	const struct load_image *image = &load->request.kernel;
	struct load_work *work = load_work(load);
	uint64_t size = image->record->size;
	uint64_t shadow = size < SHADOW_MAX ? size : SHADOW_MAX;

	if (size > MULL_FIRMWARE_MAX || size % PAGE_SIZE)
		return load_fail(load, ERR_BAD_IMAGE,
				 "firmware of %lu bytes is not a multiple of "
				 "4 KiB up to 16 MiB",
				 (unsigned long)size);
	work->pieces[0] = (struct load_piece){ .to = GIB(4) - size,
					       .image = image,
					       .copied = size,
					       .size = size };
	work->pieces[1] = (struct load_piece){ .to = MIB(1) - shadow,
					       .image = image,
					       .from = size - shadow,
					       .copied = shadow,
					       .size = shadow };
	work->piece_count = 2;
	load->start.mode = GUEST_AT_RESET;
	return ERR_NONE;
}
