/* SPDX-License-Identifier: MIT */
/* The bytes of an image, wherever they are. */
#include <mullion/arch.h>
#include <mullion/bits.h>
#include <mullion/frame_pool.h>
#include <mullion/load.h>
#include <string.h>

const uint8_t *image_at(const struct load_image *image, uint64_t at,
			uint64_t *length)
{
	uint64_t offset = at % FRAME_SIZE;
	uint64_t frame;

	if (!image->frames)
		return image->bytes + at;
	frame = image->frames[at / FRAME_SIZE];
	if (*length > FRAME_SIZE - offset)
		*length = FRAME_SIZE - offset;
	return (const uint8_t *)arch_view(hpa(frame << FRAME_SHIFT)) + offset;
}

void image_read(const struct load_image *image, uint64_t at, void *to,
		size_t length)
{
	uint8_t *next = to;

	while (length) {
		uint64_t piece = length;
		const uint8_t *from = image_at(image, at, &piece);

		memcpy(next, from, piece);
		next += piece;
		at += piece;
		length -= piece;
	}
}

uint64_t image_firmware_room(const struct load_image *image)
{
	if (!image->record || image->record->kind != MULL_IMAGE_FIRMWARE ||
	    image->record->size > MULL_FIRMWARE_MAX)
		return 0;
	return round_up(image->record->size, FRAME_SIZE);
}
