/* SPDX-License-Identifier: MIT */
#include "device_path.h"

#include <stdint.h>

/* UEFI 2.10, "Generic Device Path Node Structure" */
struct node {
	uint8_t type;
	uint8_t subtype;
	uint8_t length[2]; /* bytes with this header, little-endian */
};

#define TYPE_MESSAGING 3
#define MESSAGING_UART 14
#define TYPE_END 0x7f
#define END_OF_ALL 0xff

bool device_path_has_uart(const void *paths, size_t size)
{
	const uint8_t *at = paths;

	while (size >= sizeof(struct node)) {
		const struct node *node = (const struct node *)at;
		size_t length = node->length[0] | node->length[1] << 8;

		if (node->type == TYPE_MESSAGING &&
		    node->subtype == MESSAGING_UART)
			return true;
		if (node->type == TYPE_END && node->subtype == END_OF_ALL)
			return false;
		if (length < sizeof *node || length > size)
			return false;
		at += length;
		size -= length;
	}
	return false;
}
