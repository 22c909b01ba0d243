/* SPDX-License-Identifier: MIT */
#include "pack.h"

#include <errno.h>
#include <fcntl.h>
#include <mullion/bits.h>
#include <mullion/crc32.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "new_file.h"
#include "texts.h"
#include "work.h"

/* A package on its way: what stands before the images, in the file's order. */
struct package_head {
	struct mull_package_header header;
	struct mull_vm vms[MULL_VM_MAX];
	struct mull_image images[MULL_IMAGE_MAX];
	uint32_t order[MULL_IMAGE_MAX]; /* index in the manifest of each */
};

static enum status cannot(const char *file)
{
	tell("%s: %s", file, strerror(errno));
	return STATUS_HOST;
}

static enum status finish(struct new_file *file, enum status status)
{
	bool whole = new_file_close(file, status == STATUS_OK);

	return status == STATUS_OK && !whole ? STATUS_HOST : status;
}

static bool write_at(int fd, const void *bytes, size_t size, uint64_t offset)
{
	const char *at = bytes;

	while (size) {
		ssize_t done = pwrite(fd, at, size, (off_t)offset);

		if (done < 0 && errno != EINTR)
			return false;
		if (done > 0) {
			at += done;
			size -= (size_t)done;
			offset += (uint64_t)done;
		}
	}
	return true;
}

/* ---- one image ---------------------------------------------------------- */

/* The bytes of @path go to @file at @offset and through @digest. */
static enum status copy_bytes(int from, const char *path, uint64_t size,
			      const struct new_file *file, uint64_t offset,
			      EVP_MD_CTX *digest)
{
	static uint8_t block[1 << 20];
	uint64_t done = 0;
	ssize_t got;

	while ((got = read(from, block, sizeof block)) > 0) {
		if ((uint64_t)got > size - done)
			break;
		if (digest)
			EVP_DigestUpdate(digest, block, (size_t)got);
		if (!write_at(file->fd, block, (size_t)got, offset + done))
			return cannot(file->new_name);
		done += (uint64_t)got;
		progress("packing %s: %lu %%", path, done * 100 / size);
		if (work_signal())
			return STATUS_QUIT;
	}
	if (got < 0)
		return cannot(path);
	if (got == 0 && done == size)
		return STATUS_OK;
	tell("%s changed while it was packed", path);
	return STATUS_HOST;
}

static enum status add_image(const struct new_file *file, const char *path,
			     struct mull_image *image)
{
	int from = open(path, O_RDONLY | O_CLOEXEC);
	EVP_MD_CTX *digest;
	enum status status;

	if (from < 0)
		return cannot(path);
	digest = EVP_MD_CTX_new();
	if (!digest || !EVP_DigestInit_ex(digest, EVP_sha256(), NULL))
		memory_is_out();
	status = copy_bytes(from, path, image->size, file, image->offset,
			    digest);
	EVP_DigestFinal_ex(digest, image->sha256, NULL);
	EVP_MD_CTX_free(digest);
	close(from);
	return status;
}

/* ---- records ------------------------------------------------------------ */

/* Smallest first, so that a truncated package loses as few as possible. */
static void order_images(const struct manifest *manifest,
			 struct package_head *head)
{
	for (uint32_t i = 0; i < manifest->image_count; i++) {
		uint64_t size = manifest->images[i].size;
		uint32_t at = i;

		for (; at && manifest->images[head->order[at - 1]].size > size;
		     at--)
			head->order[at] = head->order[at - 1];
		head->order[at] = i;
	}
}

static uint32_t new_index(const struct package_head *head, uint32_t count,
			  uint32_t old)
{
	for (uint32_t i = 0; i < count; i++)
		if (head->order[i] == old)
			return i;
	return MULL_NO_IMAGE;
}

static void fill_head(const struct manifest *manifest,
		      struct package_head *head)
{
	struct mull_package_header *header = &head->header;
	uint32_t image_count = (uint32_t)manifest->image_count;
	uint64_t at;

	order_images(manifest, head);
	*header = (struct mull_package_header){
		.magic = MULL_PACKAGE_MAGIC,
		.version = MULL_PACKAGE_VERSION,
		.header_size = sizeof *header,
		.vm_count = (uint32_t)manifest->vm_count,
		.vm_size = sizeof(struct mull_vm),
		.image_count = image_count,
		.image_size = sizeof(struct mull_image),
		.machine = manifest->machine,
	};
	header->vm_offset = round_up(sizeof *header, 8);
	header->image_offset = header->vm_offset +
			       header->vm_count * sizeof(struct mull_vm);
	at = header->image_offset + image_count * sizeof(struct mull_image);
	for (uint32_t i = 0; i < image_count; i++) {
		const struct manifest_image *from =
			&manifest->images[head->order[i]];

		head->images[i] = (struct mull_image){
			.kind = from->kind,
			.offset = round_up(at, PAGE_SIZE),
			.size = from->size,
		};
		memcpy(head->images[i].name, from->name, MULL_NAME_MAX);
		at = head->images[i].offset + from->size;
	}
	header->total_size = at;
	for (size_t i = 0; i < manifest->vm_count; i++) {
		struct mull_vm *vm = &head->vms[i];

		*vm = manifest->vms[i];
		vm->kernel = new_index(head, image_count, vm->kernel);
		vm->initrd = new_index(head, image_count, vm->initrd);
		for (size_t j = 0; j < vm->module_count; j++)
			vm->modules[j].image = new_index(head, image_count,
							 vm->modules[j].image);
		for (size_t j = 0; j < MULL_DISK_MAX; j++)
			if (vm->disks[j].kind == MULL_DISK_MEMORY)
				vm->disks[j].image = new_index(
					head, image_count, vm->disks[j].image);
	}
}

/* After the hashes are known. */
static void seal_head(struct package_head *head)
{
	struct mull_package_header *header = &head->header;

	for (uint32_t i = 0; i < header->vm_count; i++)
		head->vms[i].crc = crc32_ieee(0, &head->vms[i],
					      sizeof head->vms[i]);
	for (uint32_t i = 0; i < header->image_count; i++)
		head->images[i].crc = crc32_ieee(0, &head->images[i],
						 sizeof head->images[i]);
	header->crc = crc32_ieee(0, header, sizeof *header);
}

static bool write_head(const struct package_head *head, int fd)
{
	const struct mull_package_header *header = &head->header;

	return write_at(fd, header, sizeof *header, 0) &&
	       write_at(fd, head->vms, header->vm_count * sizeof *head->vms,
			header->vm_offset) &&
	       write_at(fd, head->images,
			header->image_count * sizeof *head->images,
			header->image_offset);
}

uint64_t pack_size(const struct manifest *manifest)
{
	struct package_head *head = memory_get(NULL, sizeof *head);
	uint64_t size;

	memset(head, 0, sizeof *head);
	fill_head(manifest, head);
	size = head->header.total_size;
	free(head);
	return size;
}

static enum status write_package(const struct manifest *manifest,
				 struct package_head *head,
				 const struct new_file *file)
{
	enum status status = STATUS_OK;

	fill_head(manifest, head);
	for (uint32_t i = 0; i < manifest->image_count; i++) {
		status = add_image(file, manifest->images[head->order[i]].path,
				   &head->images[i]);
		if (status != STATUS_OK)
			return status;
	}
	seal_head(head);
	return write_head(head, file->fd) ? STATUS_OK : cannot(file->new_name);
}

enum status pack_write(const struct manifest *manifest, const char *file)
{
	struct package_head *head;
	struct new_file new_file;
	enum status status;

	if (!new_file_open(&new_file, file))
		return STATUS_HOST;
	head = memory_get(NULL, sizeof *head);
	memset(head, 0, sizeof *head);
	status = finish(&new_file, write_package(manifest, head, &new_file));
	free(head);
	progress_erase();
	return status;
}

enum status pack_copy(const char *from, const char *to)
{
	int fd = open(from, O_RDONLY | O_CLOEXEC);
	struct new_file new_file;
	enum status status;
	struct stat about;

	if (fd < 0 || fstat(fd, &about))
		return cannot(from);
	if (!new_file_open(&new_file, to)) {
		close(fd);
		return STATUS_HOST;
	}
	status = copy_bytes(fd, from, (uint64_t)about.st_size, &new_file, 0,
			    NULL);
	close(fd);
	return finish(&new_file, status);
}
