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

#define MULTIBOOT2_SEARCH 32768 /* its header lies in here */

static uint32_t little_endian(const uint8_t *bytes, size_t size)
{
	uint32_t value = 0;

	memcpy(&value, bytes, size);
	return value;
}

static char *probe_linux(struct manifest_image *image, const uint8_t *head)
{
	image->needs = MIB(1) + little_endian(head + SETUP_INIT_SIZE_AT, 4);
	if (little_endian(head + SETUP_VERSION_AT, 2) < SETUP_HAS_XLOADFLAGS ||
	    !(little_endian(head + SETUP_XLOADFLAGS_AT, 2) & XLF_KERNEL_64))
		return texts_format("is a Linux kernel without the 64-bit "
				    "entry point (x86-64, 3.8 or later)");
	return NULL;
}

/* ---- ELF ---------------------------------------------------------------- */

struct known_note {
	const char *owner;
	uint32_t owner_size; /* with the final zero */
	uint32_t type;
	uint32_t kind; /* that the file is then */
};

/* Xen, public/elfnote.h: XEN_ELFNOTE_PHYS32_ENTRY */
static const struct known_note known_notes[] = {
	{ MULL_NOTE_OWNER, sizeof MULL_NOTE_OWNER, MULL_NOTE_ABI,
	  MULL_IMAGE_ELF64 },
	{ "Xen", sizeof "Xen", 18, MULL_IMAGE_PVH },
};

static uint32_t kind_of_note(const Elf64_Nhdr *note, const uint8_t *name)
{
	for (size_t i = 0; i < ARRAY_COUNT(known_notes); i++)
		if (note->n_type == known_notes[i].type &&
		    note->n_namesz == known_notes[i].owner_size &&
		    !memcmp(name, known_notes[i].owner, note->n_namesz))
			return 1u << known_notes[i].kind;
	return 0;
}

/* The kinds that the notes at @offset name.  A mistake of the file in here
 * only means that they do not. */
static uint32_t kinds_of_notes(int file, uint64_t offset, uint64_t length)
{
	uint8_t notes[4096];
	ssize_t got = pread(file, notes,
			    length < sizeof notes ? length : sizeof notes,
			    (off_t)offset);
	size_t left = got < 0 ? 0 : (size_t)got, at = 0;
	uint32_t kinds = 0;

	while (left >= sizeof(Elf64_Nhdr)) {
		Elf64_Nhdr note;
		uint64_t size;

		memcpy(&note, notes + at, sizeof note);
		size = sizeof note + round_up((uint64_t)note.n_namesz, 4) +
		       round_up((uint64_t)note.n_descsz, 4);
		if (size > left)
			break;
		kinds |= kind_of_note(&note, notes + at + sizeof note);
		at += size;
		left -= size;
	}
	return kinds;
}

/* The program header @index of a file of 64 or 32 bits. */
static bool read_segment(int file, bool is_64, uint64_t at, Elf64_Phdr *segment)
{
	Elf32_Phdr narrow;

	if (is_64)
		return pread(file, segment, sizeof *segment, (off_t)at) ==
		       sizeof *segment;
	if (pread(file, &narrow, sizeof narrow, (off_t)at) != sizeof narrow)
		return false;
	*segment = (Elf64_Phdr){ .p_type = narrow.p_type,
				 .p_offset = narrow.p_offset,
				 .p_filesz = narrow.p_filesz };
	return true;
}

static uint32_t kinds_of_elf(int file, bool is_64, uint64_t table,
			     unsigned count)
{
	size_t step = is_64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
	uint32_t kinds = 0;

	for (unsigned i = 0; i < count && i < 64; i++) {
		Elf64_Phdr segment;

		if (!read_segment(file, is_64, table + i * step, &segment))
			break;
		if (segment.p_type == PT_NOTE)
			kinds |= kinds_of_notes(file, segment.p_offset,
						segment.p_filesz);
	}
	/* A guest of Mullion's own runs in 64 bits only. */
	return is_64 ? kinds : kinds & ~(1u << MULL_IMAGE_ELF64);
}

static char *probe_elf(struct manifest_image *image, int file,
		       const uint8_t *head)
{
	Elf64_Ehdr wide;
	Elf32_Ehdr narrow;

	memcpy(&wide, head, sizeof wide);
	memcpy(&narrow, head, sizeof narrow);
	if (wide.e_ident[EI_CLASS] == ELFCLASS64 && wide.e_machine == EM_X86_64)
		image->kinds |= kinds_of_elf(file, true, wide.e_phoff,
					     wide.e_phnum);
	else if (narrow.e_ident[EI_CLASS] == ELFCLASS32 &&
		 narrow.e_machine == EM_386)
		image->kinds |= kinds_of_elf(file, false, narrow.e_phoff,
					     narrow.e_phnum);
	else
		return texts_format("is an ELF file, but not for x86");
	if (!image->kinds)
		return texts_format(
			"is an ELF file without Mullion's note, so not made "
			"with its SDK, and neither a PVH nor a Multiboot "
			"kernel (for Linux take the bzImage, or a vmlinux "
			"with CONFIG_PVH)");
	return NULL;
}

/* ---- Multiboot ---------------------------------------------------------- */

/* Whether @words, whose first is @magic, add up to 0 somewhere in @head. */
static bool has_header(const uint8_t *head, size_t size, uint32_t magic,
		       size_t words, size_t align)
{
	for (size_t at = 0; at + 4 * words <= size; at += align) {
		uint32_t sum = 0;

		if (little_endian(head + at, 4) != magic)
			continue;
		for (size_t i = 0; i < words; i++)
			sum += little_endian(head + at + 4 * i, 4);
		if (!sum)
			return true;
	}
	return false;
}

/* Multiboot 0.6.96 and 2.0, "OS image format". */
static uint32_t kinds_of_multiboot(const uint8_t *head, size_t size)
{
	uint32_t kinds = 0;

	if (has_header(head, size < 8192 ? size : 8192, 0x1badb002, 3, 4))
		kinds |= 1u << MULL_IMAGE_MULTIBOOT;
	if (has_header(head, size, 0xe85250d6, 4, 8))
		kinds |= 1u << MULL_IMAGE_MULTIBOOT2;
	return kinds;
}

/* ---- the file ----------------------------------------------------------- */

/* The kind to take where the file is several: the plainest start first. */
static uint32_t best_kind(uint32_t kinds)
{
	static const uint8_t order[] = { MULL_IMAGE_BZIMAGE, MULL_IMAGE_ELF64,
					 MULL_IMAGE_PVH, MULL_IMAGE_MULTIBOOT2,
					 MULL_IMAGE_MULTIBOOT };

	for (size_t i = 0; i < ARRAY_COUNT(order); i++)
		if (kinds >> order[i] & 1)
			return order[i];
	return 0;
}

static char *probe_kernel(struct manifest_image *image, int file,
			  const uint8_t *head, size_t size)
{
	char *wrong = NULL;

	if (size >= SETUP_END && !memcmp(head + SETUP_MAGIC_AT, "HdrS", 4)) {
		image->kinds = 1u << MULL_IMAGE_BZIMAGE;
		wrong = probe_linux(image, head);
	} else {
		image->kinds = kinds_of_multiboot(head, size);
		if (size >= sizeof(Elf64_Ehdr) &&
		    !memcmp(head, ELFMAG, SELFMAG))
			wrong = probe_elf(image, file, head);
	}
	image->kind = best_kind(image->kinds);
	return wrong;
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
	static uint8_t head[MULTIBOOT2_SEARCH];
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
	image->kinds = 1u << image->kind;
	if (image->kind == MULL_IMAGE_INITRD)
		return NULL;
	if (image->kind == MULL_IMAGE_DISK)
		return image->size % 512 == 0 ?
			       NULL :
			       texts_format("is not made of sectors of 512 "
					    "bytes, so no disk");
	if (image->kind == MULL_IMAGE_FIRMWARE)
		return probe_firmware(image);
	got = pread(file, head, sizeof head, 0);
	if (got < 0)
		return texts_format("cannot be read: %s", strerror(errno));
	return probe_kernel(image, file, head, (size_t)got);
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
