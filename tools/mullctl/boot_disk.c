/* SPDX-License-Identifier: MIT */
#include "boot_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <mullion/bits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pack.h"
#include "program.h"
#include "texts.h"
#include "work.h"

#define SECTOR 512
#define CYLINDER (16 * 63 * SECTOR) /* what Bochs counts disks in */
/* UEFI asks for FAT32 on disks, which needs 65,525 clusters. */
#define FAT_MIN MIB(64)
/* With one sector a cluster up to here, eight above. */
#define FAT_SMALL MIB(512)
#define FILE_MAX 0xffffffffull /* of FAT */
#define PARTITION_START MIB(1)

/* Beside mullctl, as make builds it, or where make install puts it. */
static char *find_efi(void)
{
	char self[4096] = "", *slash, *file, *installed;

	if (readlink("/proc/self/exe", self, sizeof self - 1) < 0)
		self[0] = 0;
	slash = strrchr(self, '/');
	if (slash)
		*slash = 0;
	file = texts_format("%s/mullion.efi", self);
	installed = texts_format("%s/../share/mullion/mullion.efi", self);
	if (access(file, F_OK) < 0 && !access(installed, F_OK)) {
		free(file);
		return installed;
	}
	free(installed);
	return file;
}

char *boot_disk_efi(const char *option)
{
	const char *name = option ? option : getenv("MULLION_EFI");
	char *file = name && *name ? texts_format("%s", name) : find_efi();
	char magic[2] = "";
	int fd;

	fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		tell("%s: %s (the hypervisor: build it with make, or name it "
		     "by --efi FILE)",
		     file, strerror(errno));
	} else if (read(fd, magic, 2) != 2 || memcmp(magic, "MZ", 2)) {
		tell("%s is not a UEFI application", file);
	} else {
		close(fd);
		return file;
	}
	if (fd >= 0)
		close(fd);
	free(file);
	return NULL;
}

static bool make_folder(const char *base, const char *below, char **made)
{
	*made = texts_format("%s%s", base, below);
	if (!mkdir(*made, 0777) || errno == EEXIST)
		return true;
	tell("%s: %s", *made, strerror(errno));
	return false;
}

enum status boot_disk_folder(const struct manifest *manifest, const char *efi,
			     const char *folder)
{
	static const char *const parts[] = { "", "/EFI", "/EFI/BOOT",
					     "/EFI/MULLION" };
	enum status status = STATUS_OK;
	char *name;

	for (size_t i = 0; i < ARRAY_COUNT(parts); i++) {
		if (!make_folder(folder, parts[i], &name))
			status = STATUS_HOST;
		free(name);
		if (status != STATUS_OK)
			return status;
	}
	name = texts_format("%s/EFI/BOOT/BOOTX64.EFI", folder);
	status = pack_copy(efi, name);
	free(name);
	if (status != STATUS_OK)
		return status;
	name = texts_format("%s/EFI/MULLION/PACKAGE.MPK", folder);
	status = pack_write(manifest, name);
	free(name);
	return status;
}

/* ---- disk images -------------------------------------------------------- */

struct disk {
	const struct manifest *manifest;
	const char *efi;
	char *image;  /* under its temporary name */
	char *volume; /* the file system in it, as mtools names it */
	char *package;
	enum disk_format format;
	uint64_t fat_size; /* bytes */
};

/* The tools, once found. */
struct disk_tools {
	char *sgdisk, *mformat, *mmd, *mcopy;
};

static bool find_tools(struct disk_tools *tools, enum disk_format format)
{
	if (format == DISK_GPT)
		tools->sgdisk = program_need("sgdisk", "gdisk");
	tools->mformat = program_need("mformat", "mtools");
	if (!tools->mformat || (format == DISK_GPT && !tools->sgdisk))
		return false;
	tools->mmd = program_need("mmd", "mtools");
	tools->mcopy = program_need("mcopy", "mtools");
	return tools->mmd && tools->mcopy;
}

static void free_tools(struct disk_tools *tools)
{
	free(tools->sgdisk);
	free(tools->mformat);
	free(tools->mmd);
	free(tools->mcopy);
}

/* Room for @content bytes, the two FATs and the directories. */
static uint64_t fat_size_for(uint64_t content)
{
	uint64_t size = content + content / 32 + MIB(4);

	size = size < FAT_MIN ? FAT_MIN : size;
	return (size + CYLINDER - 1) / CYLINDER * CYLINDER;
}

static bool make_empty(const struct disk *disk)
{
	bool gpt = disk->format == DISK_GPT;
	/* a copy of the partition table ends the disk */
	uint64_t size = disk->fat_size + (gpt ? 2 * PARTITION_START : 0);
	int fd = open(disk->image, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC,
		      0666);

	if (fd < 0 || ftruncate(fd, (off_t)size)) {
		tell("%s: %s", disk->image, strerror(errno));
		if (fd >= 0)
			close(fd);
		return false;
	}
	return !close(fd);
}

static bool make_partition(const struct disk *disk, const char *sgdisk)
{
	char *extent = texts_format("--new=1:%lu:+%lu",
				    PARTITION_START / SECTOR,
				    disk->fat_size / SECTOR);
	const char *arguments[] = { sgdisk,
				    "--clear",
				    extent,
				    "--typecode=1:ef00",
				    "--change-name=1:MULLION",
				    disk->image,
				    NULL };
	bool done = program_run(arguments);

	free(extent);
	return done;
}

static bool make_file_system(const struct disk *disk, const char *mformat)
{
	char *sectors = texts_format("%lu", disk->fat_size / SECTOR);
	char *hidden = texts_format(
		"%lu", disk->format == DISK_GPT ? PARTITION_START / SECTOR : 0);
	const char *arguments[] = { mformat,   "-i", disk->volume, "-F",   "-v",
				    "MULLION", "-T", sectors,	   "-h",   "16",
				    "-s",      "63", "-H",	   hidden, "-c",
				    NULL,      "::", NULL };
	bool done;

	arguments[15] = disk->fat_size < FAT_SMALL ? "1" : "8";
	done = program_run(arguments);
	free(sectors);
	free(hidden);
	return done;
}

static bool fill_file_system(const struct disk *disk,
			     const struct disk_tools *tools)
{
	const char *folders[] = { tools->mmd, "-i",	     disk->volume,
				  "::/EFI",   "::/EFI/BOOT", "::/EFI/MULLION",
				  NULL };
	const char *efi[] = { tools->mcopy,
			      "-i",
			      disk->volume,
			      disk->efi,
			      "::/EFI/BOOT/BOOTX64.EFI",
			      NULL };
	const char *package[] = { tools->mcopy,
				  "-i",
				  disk->volume,
				  disk->package,
				  "::/EFI/MULLION/PACKAGE.MPK",
				  NULL };

	return program_run(folders) && program_run(efi) && program_run(package);
}

static enum status make_image(struct disk *disk, const struct disk_tools *tools)
{
	enum status status = pack_write(disk->manifest, disk->package);

	if (status != STATUS_OK)
		return status;
	progress("making the disk image");
	if (!make_empty(disk) ||
	    (tools->sgdisk && !make_partition(disk, tools->sgdisk)) ||
	    !make_file_system(disk, tools->mformat) ||
	    !fill_file_system(disk, tools))
		status = STATUS_HOST;
	unlink(disk->package);
	return work_signal() ? STATUS_QUIT : status;
}

static bool size_fits(struct disk *disk)
{
	uint64_t package = pack_size(disk->manifest);
	struct stat about;

	if (package > FILE_MAX) {
		tell("the package would have %lu bytes, but FAT holds files "
		     "below 4 GiB only",
		     package);
		return false;
	}
	if (stat(disk->efi, &about))
		about.st_size = 0;
	disk->fat_size = fat_size_for(package + (uint64_t)about.st_size);
	return true;
}

enum status boot_disk_image(const struct manifest *manifest, const char *efi,
			    const char *image, enum disk_format format)
{
	struct disk disk = { .manifest = manifest,
			     .efi = efi,
			     .format = format };
	struct disk_tools tools = { .sgdisk = NULL };
	enum status status = STATUS_HOST;
	const char *folder = NULL;

	if (size_fits(&disk) && find_tools(&tools, format))
		folder = work_folder();
	if (folder) {
		disk.image = texts_format("%s.new", image);
		disk.volume = texts_format(
			"%s@@%lu", disk.image,
			format == DISK_GPT ? PARTITION_START : 0);
		disk.package = texts_format("%s/package.mpk", folder);
		status = make_image(&disk, &tools);
		if (status == STATUS_OK && rename(disk.image, image)) {
			tell("%s: %s", image, strerror(errno));
			status = STATUS_HOST;
		}
		if (status != STATUS_OK)
			unlink(disk.image);
		free(disk.image);
		free(disk.volume);
		free(disk.package);
	}
	free_tools(&tools);
	progress_erase();
	return status;
}
