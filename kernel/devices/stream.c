/* SPDX-License-Identifier: MIT */
#include <mullion/stream.h>

size_t stream_read(struct stream *stream, uint64_t *position, void *to,
		   size_t room)
{
	struct console_ring *ring = &stream->from_guest;
	uint8_t *bytes = to;
	size_t count;

	if (*position > ring->head)
		*position = ring->head;
	if (*position < ring->tail)
		*position = ring->tail;
	ring->tail = *position;
	count = ring->head - ring->tail;
	if (count > room)
		count = room;
	for (size_t i = 0; i < count; i++)
		bytes[i] = ring->bytes[(*position + i) & (ring->size - 1)];
	return count;
}

void stream_reset(struct stream *stream)
{
	stream->open = false;
	stream->to_guest.tail = stream->to_guest.head;
}
