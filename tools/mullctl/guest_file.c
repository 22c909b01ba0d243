/* SPDX-License-Identifier: MIT */
#include "guest_file.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <mullion/bits.h>
#include <mullion/guest.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "texts.h"

/* Linux, Documentation/arch/x86/boot.rst, "Details of Header Fields" */
#define SETUP_MAGIC_AT 0x202 /* "HdrS" */
#define SETUP_VERSION_AT 0x206
#define SETUP_XLOADFLAGS_AT 0x236
#define SETUP_INIT_SIZE_AT 0x260
#define SETUP_END 0x264
#define SETUP_HAS_XLOADFLAGS 0x020c /* protocol 2.12 */
#define XLF_KERNEL_64 1

static uint32_t little_endian(const uint8_t *bytes, size_t size)
{
	uint32_t value = 0;

	memcpy(&value, bytes, size);
	return value;
}

static char *probe_linux(struct manifest_image *image, const uint8_t *head)
{
	image->kind = MULL_IMAGE_BZIMAGE;
	image->needs = MIB(1) + little_endian(head + SETUP_INIT_SIZE_AT, 4);
	if (little_endian(head + SETUP_VERSION_AT, 2) < SETUP_HAS_XLOADFLAGS ||
	    !(little_endian(head + SETUP_XLOADFLAGS_AT, 2) & XLF_KERNEL_64))
		return texts_format("is a Linux kernel without the 64-bit "
				    "entry point (x86-64, 3.8 or later)");
	return NULL;
}

/* Whether the notes in a segment name Mullion.  A mistake of the file in
 * here only means that they do not. */
static bool has_note(int file, const Elf64_Phdr *segment)
{
	uint8_t notes[4096];
	ssize_t got = pread(file, notes,
			    segment->p_filesz < sizeof notes ?
				    segment->p_filesz :
				    sizeof notes,
			    (off_t)segment->p_offset);
	size_t left = got < 0 ? 0 : (size_t)got, at = 0;

	while (left >= sizeof(Elf64_Nhdr)) {
		Elf64_Nhdr note;
		uint64_t size;

		memcpy(&note, notes + at, sizeof note);
		size = sizeof note + round_up(note.n_namesz, 4) +
		       round_up(note.n_descsz, 4);
		if (size > left)
			return false;
		if (note.n_type == MULL_NOTE_ABI &&
		    note.n_namesz == sizeof MULL_NOTE_OWNER &&
		    !memcmp(notes + at + sizeof note, MULL_NOTE_OWNER,
			    sizeof MULL_NOTE_OWNER))
			return true;
		at += size;
		left -= size;
	}
	return false;
}

static char *probe_elf(struct manifest_image *image, int file,
		       const uint8_t *head)
{
	Elf64_Ehdr elf;

	memcpy(&elf, head, sizeof elf);
	if (elf.e_ident[EI_CLASS] != ELFCLASS64 || elf.e_machine != EM_X86_64)
		return texts_format("is an ELF file, but not for 64-bit x86");
	image->kind = MULL_IMAGE_ELF64;
	for (unsigned i = 0; i < elf.e_phnum && i < 64; i++) {
		Elf64_Phdr segment;

		if (pread(file, &segment, sizeof segment,
			  (off_t)(elf.e_phoff + i * sizeof segment)) !=
		    sizeof segment)
			break;
		if (segment.p_type == PT_NOTE && has_note(file, &segment))
			return NULL;
	}
	return texts_format("is an ELF file without Mullion's note, so not "
			    "made with its SDK (for Linux take the bzImage, "
			    "not vmlinux)");
}

static char *probe_firmware(const struct manifest_image *image)
{
	if (image->size <= MULL_FIRMWARE_MAX && image->size % PAGE_SIZE == 0)
		return NULL;
	return texts_format("is no firmware: its size is not a multiple of "
			    "4 KiB up to 16 MiB");
}

static char *probe_open(struct manifest_image *image, int file)
{
	uint8_t head[SETUP_END] = { 0 };
	struct stat status;
	ssize_t got;

	if (fstat(file, &status))
		return texts_format("cannot be read: %s", strerror(errno));
	if (!S_ISREG(status.st_mode))
		return texts_format("is not a regular file");
	if (status.st_size == 0)
		return texts_format("is empty");
	image->size = (uint64_t)status.st_size;
	image->needs = image->size;
	image->device = status.st_dev;
	image->inode = status.st_ino;
	if (image->kind == MULL_IMAGE_INITRD)
		return NULL;
	if (image->kind == MULL_IMAGE_DISK)
		return image->size % 512 == 0 ?
			       NULL :
			       texts_format("is not made of sectors of 512 "
					    "bytes, so no disk");
	if (image->kind == MULL_IMAGE_FIRMWARE)
		return probe_firmware(image);
	image->kind = 0;
	got = pread(file, head, sizeof head, 0);
	if (got < 0)
		return texts_format("cannot be read: %s", strerror(errno));
	if (got == SETUP_END && !memcmp(head + SETUP_MAGIC_AT, "HdrS", 4))
		return probe_linux(image, head);
	if ((size_t)got >= sizeof(Elf64_Ehdr) && !memcmp(head, ELFMAG, SELFMAG))
		return probe_elf(image, file, head);
	return NULL;
}

char *guest_file_probe(struct manifest_image *image)
{
	int file = open(image->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char *words;

	if (file < 0)
		return texts_format("cannot be read: %s", strerror(errno));
	words = probe_open(image, file);
	close(file);
	return words;
}
