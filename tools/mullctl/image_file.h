/* SPDX-License-Identifier: MIT */
/* A file as an image that can be uploaded. */
#ifndef MULLCTL_IMAGE_FILE_H
#define MULLCTL_IMAGE_FILE_H

#include <mullion/control.h>
#include <stdbool.h>
#include <stddef.h>

struct image_file {
	const char *path;
	struct mull_upload upload;
	uint8_t *bytes; /* of the file */
	uint8_t *wire;	/* what is sent: they, or they compressed */
};

/*
 * image_file_read - read, hash and compress @path
 * @name: NULL: the last part of @path
 * @kind: enum mull_image_kind; 0: as the file is
 *
 * false after a message; image_file_free() in every case.
 */
bool image_file_read(struct image_file *file, const char *path,
		     const char *name, uint32_t kind);
void image_file_free(struct image_file *file);

/* "linux", "elf", "initrd", "disk"; 0: none of them. */
uint32_t image_kind_of(const char *word);
const char *image_kind_word(uint32_t kind);

/* SHA-256, as the records have it. */
void image_hash(const void *bytes, size_t size, uint8_t sha256[32]);

#endif
