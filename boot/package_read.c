/* SPDX-License-Identifier: MIT */
#include "package_read.h"

#include <mullion/bits.h>
#include <mullion/package.h>
#include <string.h>

#include "console.h"
#include "memory_map.h"
#include "text.h"

#define CHUNK MIB(1)
#define PROGRESS_FROM MIB(8) /* smaller packages are read in a moment */
#define PROGRESS_STEP MIB(4)
/* What a file says of its size beyond this is not believed. */
#define ANNOUNCED_MAX GIB(1024)

struct reader {
	EFI_FILE_PROTOCOL *file;
	uint64_t announced; /* bytes; 0: the firmware did not say */
	uint8_t *memory;
	uint64_t room; /* bytes, a multiple of 2 MiB */
	uint64_t size; /* bytes read */
};

static EFI_STATUS open_package(EFI_HANDLE image, EFI_FILE_PROTOCOL **file,
			       const char **step)
{
	EFI_GUID loaded_image = EFI_LOADED_IMAGE_PROTOCOL_GUID;
	EFI_GUID file_system = EFI_SIMPLE_FILE_SYSTEM_PROTOCOL_GUID;
	EFI_BOOT_SERVICES *services = firmware->BootServices;
	EFI_LOADED_IMAGE_PROTOCOL *self = NULL;
	EFI_SIMPLE_FILE_SYSTEM_PROTOCOL *volume = NULL;
	EFI_FILE_PROTOCOL *root = NULL;
	CHAR16 *path = L"" MULL_PACKAGE_PATH;
	EFI_STATUS status;

	*step = "the firmware does not tell where the loader came from";
	status = services->HandleProtocol(image, &loaded_image, (void **)&self);
	if (EFI_ERROR(status))
		return status;
	*step = "the loader did not come from a volume with files";
	if (!self->DeviceHandle)
		return EFI_NOT_FOUND;
	status = services->HandleProtocol(self->DeviceHandle, &file_system,
					  (void **)&volume);
	if (EFI_ERROR(status))
		return status;
	*step = "the loader's volume cannot be read";
	status = volume->OpenVolume(volume, &root);
	if (EFI_ERROR(status))
		return status;
	*step = "cannot open " MULL_PACKAGE_PATH " on the loader's volume";
	status = root->Open(root, file, path, EFI_FILE_MODE_READ, 0);
	root->Close(root);
	return status;
}

/* What the file system says; a directory is no package. */
static EFI_STATUS ask_size(struct reader *reader)
{
	static union {
		EFI_FILE_INFO info;
		uint8_t bytes[1024]; /* with room for the file's name */
	} buffer;
	EFI_GUID wanted = EFI_FILE_INFO_ID;
	UINTN size = sizeof buffer;

	if (EFI_ERROR(reader->file->GetInfo(reader->file, &wanted, &size,
					    &buffer)))
		return EFI_SUCCESS; /* reading on will show */
	if (buffer.info.Attribute & EFI_FILE_DIRECTORY)
		return EFI_UNSUPPORTED;
	if (buffer.info.FileSize <= ANNOUNCED_MAX)
		reader->announced = buffer.info.FileSize;
	return EFI_SUCCESS;
}

/* Moves what was read to @room bytes of memory. */
static EFI_STATUS grow(struct reader *reader, uint64_t room)
{
	uint8_t *memory = firmware_allocate(room, FRAME_SIZE, PHYSICAL_LIMIT);

	if (!memory)
		return EFI_OUT_OF_RESOURCES;
	memcpy(memory, reader->memory, reader->size);
	firmware_free(reader->memory, reader->room);
	reader->memory = memory;
	reader->room = room;
	return EFI_SUCCESS;
}

static void show_progress(const struct reader *reader)
{
	if (reader->announced >= PROGRESS_FROM &&
	    reader->size % PROGRESS_STEP == 0)
		say_progress("Package:    %lu of %lu MiB",
			     reader->size / MIB(1), reader->announced / MIB(1));
}

/* Reads until the file ends, whatever its size was said to be. */
static EFI_STATUS read_all(struct reader *reader)
{
	/* One byte more, so that a true announcement leaves room to see it. */
	EFI_STATUS status = grow(reader,
				 round_up(reader->announced + 1, FRAME_SIZE));

	while (!EFI_ERROR(status)) {
		uint64_t room = reader->room - reader->size;
		UINTN length = room < CHUNK ? room : CHUNK;

		if (!length) {
			status = grow(reader, 2 * reader->room);
			continue;
		}
		status = reader->file->Read(reader->file, &length,
					    reader->memory + reader->size);
		if (EFI_ERROR(status) || !length)
			break;
		reader->size += length;
		show_progress(reader);
	}
	return status;
}

/* Gives back the frames behind the package's end, clears the last one's. */
static void trim(struct reader *reader)
{
	uint64_t kept = round_up(reader->size, FRAME_SIZE);

	memset(reader->memory + reader->size, 0, kept - reader->size);
	firmware_free(reader->memory + kept, reader->room - kept);
	reader->room = kept;
}

/* Nothing could be read: says why. */
static void explain(struct reader *reader, EFI_STATUS status,
		    struct mull_boot_info *info)
{
	char *to = info->package_problem;
	size_t room = sizeof info->package_problem;

	firmware_free(reader->memory, reader->room);
	if (status == EFI_OUT_OF_RESOURCES)
		text_format(to, room, "no free memory for the %lu bytes of %s",
			    reader->announced, MULL_PACKAGE_PATH);
	else if (EFI_ERROR(status))
		text_format(to, room, "cannot read %s (%s)", MULL_PACKAGE_PATH,
			    firmware_words(status));
	else
		text_format(to, room, "%s is an empty file", MULL_PACKAGE_PATH);
}

static void hand_over(struct reader *reader, EFI_STATUS status,
		      struct mull_boot_info *info)
{
	if (!reader->size) {
		explain(reader, status, info);
		return;
	}
	trim(reader);
	info->package_address = (uintptr_t)reader->memory;
	info->package_size = reader->size;
	say("Package:    %s, %lu bytes at 0x%lx\n", MULL_PACKAGE_PATH,
	    info->package_size, info->package_address);
	if (EFI_ERROR(status))
		say("Package:    READ ERROR at its byte %lu: %s\n",
		    reader->size, firmware_words(status));
	else if (reader->announced && reader->announced != reader->size)
		say("Package:    its volume says that it has %lu bytes\n",
		    reader->announced);
}

void package_read(EFI_HANDLE image, struct mull_boot_info *info)
{
	struct reader reader = { 0 };
	const char *step;
	EFI_STATUS status = open_package(image, &reader.file, &step);

	if (!EFI_ERROR(status)) {
		status = ask_size(&reader);
		step = "it is a directory: " MULL_PACKAGE_PATH;
	}
	if (EFI_ERROR(status)) {
		text_format(info->package_problem, sizeof info->package_problem,
			    "%s (%s)", step, firmware_words(status));
	} else {
		status = read_all(&reader);
		hand_over(&reader, status, info);
	}
	if (reader.file)
		reader.file->Close(reader.file);
	if (info->package_problem[0])
		say("Package:    NONE: %s\n", info->package_problem);
}
