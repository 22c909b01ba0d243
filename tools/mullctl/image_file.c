/* SPDX-License-Identifier: MIT */
#include "image_file.h"

#include <errno.h>
#include <fcntl.h>
#include <lz4hc.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest_file.h"
#include "texts.h"
#include "work.h"

static const char *const kinds[] = {
	[MULL_IMAGE_BZIMAGE] = "linux",
	[MULL_IMAGE_ELF64] = "elf",
	[MULL_IMAGE_INITRD] = "initrd",
	[MULL_IMAGE_PVH] = "pvh",
	[MULL_IMAGE_MULTIBOOT] = "multiboot",
	[MULL_IMAGE_MULTIBOOT2] = "multiboot2",
	[MULL_IMAGE_DISK] = "disk",
	[MULL_IMAGE_FIRMWARE] = "firmware",
};

#define KINDS (sizeof kinds / sizeof *kinds)

uint32_t image_kind_of(const char *word)
{
	for (uint32_t i = 1; i < KINDS; i++)
		if (kinds[i] && !strcmp(kinds[i], word))
			return i;
	return 0;
}

const char *image_kind_word(uint32_t kind)
{
	return kind < KINDS && kinds[kind] ? kinds[kind] : "unknown";
}

void image_hash(const void *bytes, size_t size, uint8_t sha256[32])
{
	if (!EVP_Digest(bytes, size, sha256, NULL, EVP_sha256(), NULL))
		memory_is_out();
}

/* ---- the file ----------------------------------------------------------- */

static bool cannot(const char *path)
{
	tell("%s: %s", path, errno ? strerror(errno) : "it has become shorter");
	return false;
}

static bool read_bytes(struct image_file *file)
{
	int fd = open(file->path, O_RDONLY | O_CLOEXEC);
	size_t at = 0;
	ssize_t got = 1;

	if (fd < 0)
		return cannot(file->path);
	file->bytes = memory_get(NULL, file->upload.size);
	while (at < file->upload.size && got > 0) {
		errno = 0;
		got = read(fd, file->bytes + at, file->upload.size - at);
		at += got > 0 ? (size_t)got : 0;
	}
	close(fd);
	return at == file->upload.size || cannot(file->path);
}

/* What kind it is, and whether it is the one that is wanted. */
static bool look(struct image_file *file, uint32_t kind)
{
	struct manifest_image image = {
		.path = (char *)file->path,
		.kind = kind == MULL_IMAGE_INITRD || kind == MULL_IMAGE_DISK ||
					kind == MULL_IMAGE_FIRMWARE ?
				kind :
				0,
	};
	char *wrong = guest_file_probe(&image);

	if (wrong) {
		tell("%s %s", file->path, wrong);
		free(wrong);
		return false;
	}
	if (kind && !(image.kinds >> kind & 1)) {
		tell("%s is no %s", file->path, image_kind_word(kind));
		return false;
	}
	file->upload.size = image.size;
	/* Anything may be an initial RAM disk. */
	file->upload.kind = kind       ? kind :
			    image.kind ? image.kind :
					 MULL_IMAGE_INITRD;
	return true;
}

static bool set_name(struct image_file *file, const char *name)
{
	const char *slash = strrchr(file->path, '/');

	if (!name)
		name = slash ? slash + 1 : file->path;
	for (const char *at = name; *at; at++)
		if (*at != texts_printable(*at) || *at == ' ') {
			tell("an image's name has no spaces and is printable "
			     "ASCII; give another by --name");
			return false;
		}
	if (!*name || strlen(name) >= MULL_NAME_MAX) {
		tell("the image's name \"%s\" has not 1 to %d letters; give "
		     "another by --name",
		     name, MULL_NAME_MAX - 1);
		return false;
	}
	strcpy(file->upload.name, name);
	return true;
}

/* ---- what is sent ------------------------------------------------------- */

/* A block that does not become smaller goes as it is. */
static size_t compress_block(const uint8_t *from, int size, uint8_t *to)
{
	int length = LZ4_compress_HC((const char *)from, (char *)to + 4, size,
				     size - 1, LZ4HC_CLEVEL_MAX);
	uint32_t word = (uint32_t)length;

	if (length <= 0) {
		length = size;
		word = MULL_BLOCK_STORED | (uint32_t)size;
		memcpy(to + 4, from, (size_t)size);
	}
	memcpy(to, &word, 4);
	return 4 + (size_t)length;
}

static bool compress_all(struct image_file *file)
{
	struct mull_upload *upload = &file->upload;
	size_t blocks = (upload->size - 1) / MULL_BLOCK_SIZE + 1, length = 0;

	file->wire = memory_get(NULL, upload->size + 4 * blocks);
	for (size_t at = 0; at < upload->size; at += MULL_BLOCK_SIZE) {
		size_t left = upload->size - at;

		length += compress_block(
			file->bytes + at,
			left < MULL_BLOCK_SIZE ? (int)left : MULL_BLOCK_SIZE,
			file->wire + length);
		progress("compressing %s: %zu%%", file->path,
			 at * 100 / upload->size);
		if (work_signal())
			return false;
	}
	progress_erase();
	upload->compression = MULL_COMPRESSION_LZ4;
	upload->wire_size = length;
	if (length < upload->size)
		return true;
	upload->compression = MULL_COMPRESSION_NONE;
	upload->wire_size = upload->size;
	memcpy(file->wire, file->bytes, upload->size);
	return true;
}

bool image_file_read(struct image_file *file, const char *path,
		     const char *name, uint32_t kind)
{
	*file = (struct image_file){ .path = path };
	if (!set_name(file, name) || !look(file, kind) || !read_bytes(file))
		return false;
	image_hash(file->bytes, file->upload.size, file->upload.sha256);
	return compress_all(file);
}

void image_file_free(struct image_file *file)
{
	free(file->bytes);
	free(file->wire);
	*file = (struct image_file){ .path = NULL };
}
