/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <mullion/bits.h>
#include <mullion/guest.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "manifest.h"
#include "support_guest_files.h"
#include "texts.h"
#include "work_folder.h"

static struct manifest manifest;

static void write_disk(const char *name, off_t size)
{
	write_file(name, "\0", 1);
	assert_int_equal(truncate(name, size), 0);
}

static int make_files(void **state)
{
	(void)state;
	if (!enter_folder())
		return -1;
	write_elf_file("sdk", 64, "Mullion", MULL_NOTE_ABI);
	write_disk("root.img", MIB(3));
	write_disk("data.img", 512);
	write_disk("odd.img", 1000);
	write_file("empty", "", 0);
	return 0;
}

static int forget(void **state)
{
	(void)state;
	manifest_free(&manifest);
	return 0;
}

static void read_disks(const char *disks)
{
	char *yaml = texts_format("vms: {web: {memory: 64MiB, cpus: [0],\n"
				  "  kernel: sdk,\n"
				  "  disks: %s}}\n",
				  disks);

	manifest_free(&manifest);
	write_file("m.yaml", yaml, strlen(yaml));
	manifest_read(&manifest, "m.yaml");
	free(yaml);
}

static void expect_disk(uint32_t index, const char *path, uint32_t flags,
			uint64_t room)
{
	const struct mull_disk *disk = &manifest.vms[0].disks[index];

	assert_int_equal(manifest.mistakes.count, 0);
	assert_int_equal(disk->kind, MULL_DISK_MEMORY);
	assert_int_equal(disk->flags, flags);
	assert_int_equal(disk->room, room);
	assert_int_equal(manifest.images[disk->image].kind, MULL_IMAGE_DISK);
	assert_string_equal(manifest.images[disk->image].path, path);
}

/* One mistake of the VM, in @line. */
static void expect_mistake(const char *disks, int line, const char *words)
{
	char *expected = texts_format("m.yaml:%d: vm \"web\": %s\n", line,
				      words);
	char *shown;
	size_t size;
	FILE *stream = open_memstream(&shown, &size);

	read_disks(disks);
	mistakes_print(&manifest.mistakes, manifest.file, stream);
	fclose(stream);
	assert_string_equal(shown, expected);
	free(shown);
	free(expected);
}

static void a_name_will_do(void **state)
{
	(void)state;
	read_disks("[root.img, data.img]");
	expect_disk(0, "root.img", MULL_DISK_PRIVATE, MIB(6));
	expect_disk(1, "data.img", MULL_DISK_PRIVATE, MIB(4));
	assert_int_equal(manifest.vms[0].disks[2].kind, MULL_DISK_NONE);
	assert_int_equal(manifest_memory(&manifest), MIB(64 + 6 + 4));
	read_disks("[]");
	assert_int_equal(manifest.mistakes.count, 0);
	assert_int_equal(manifest.vms[0].disks[0].kind, MULL_DISK_NONE);
}

static void every_word_is_understood(void **state)
{
	(void)state;
	read_disks("\n"
		   "  [{image: root.img, access: read-only},\n"
		   "   {room: 5MiB, access: private, image: root.img},\n"
		   "   {image: data.img, room: 1KiB},\n"
		   "   {image: root.img}]");
	expect_disk(0, "root.img", MULL_DISK_READ_ONLY, 0);
	expect_disk(1, "root.img", MULL_DISK_PRIVATE, MIB(8));
	expect_disk(2, "data.img", MULL_DISK_PRIVATE, MIB(4));
	expect_disk(3, "root.img", MULL_DISK_PRIVATE, MIB(6));
	/* A file is stored once. */
	assert_int_equal(manifest.image_count, 3);
}

/* A kernel may lie on a disk; then it is in the package as both. */
static void a_file_can_be_two_images(void **state)
{
	(void)state;
	assert_int_equal(truncate("sdk", 1024), 0);
	read_disks("[sdk]");
	expect_disk(0, "sdk", MULL_DISK_PRIVATE, MIB(4));
	assert_int_equal(manifest.image_count, 2);
}

static void partitions_are_named(void **state)
{
	const struct mull_disk *disks = manifest.vms[0].disks;

	(void)state;
	read_disks(
		"[{partition: web root}, {access: read-only, partition: b}]");
	assert_int_equal(manifest.mistakes.count, 0);
	assert_int_equal(disks[0].kind, MULL_DISK_PARTITION);
	assert_string_equal(disks[0].partition, "web root");
	assert_int_equal(disks[0].flags, 0);
	assert_string_equal(disks[1].partition, "b");
	assert_int_equal(disks[1].flags, MULL_DISK_READ_ONLY);
	expect_mistake("[{partition: a}, {partition: a}]", 3,
		       "disk 1 is partition \"a\", which the same vm \"web\" "
		       "has, too, and one of them writes it");
	expect_mistake("[{partition: a, access: private}]", 3,
		       "disk 0 is a private partition and says neither "
		       "room nor overlay for what is written");
	expect_mistake("[{partition: a, overlay: b, access: read-only}]", 3,
		       "disk 0 has an overlay, but is not private");
	expect_mistake("[{partition: a, overlay: b, room: 4MiB}]", 3,
		       "disk 0 has room for changes, but needs none");
	expect_mistake("[{partition: a, overlay: ''}]", 3,
		       "overlay is not the name of a GPT partition, of 1 to 39 "
		       "letters");
	read_disks("[{partition: a, overlay: b}, {partition: a, access: "
		   "private, overlay: c}]");
	assert_int_equal(manifest.mistakes.count, 0);
	assert_int_equal(disks[0].flags, MULL_DISK_PRIVATE);
	assert_int_equal(disks[0].room, 0);
	assert_string_equal(disks[0].overlay, "b");
	assert_string_equal(disks[1].overlay, "c");
	read_disks("[{partition: a, access: private, room: 8MiB}]");
	assert_int_equal(manifest.mistakes.count, 0);
	assert_int_equal(disks[0].flags, MULL_DISK_PRIVATE);
	assert_int_equal(disks[0].room, MIB(8));
	expect_mistake("[{partition: ''}]", 3,
		       "partition is not the name of a GPT partition, of 1 to "
		       "39 letters");
}

static void mistakes_are_told(void **state)
{
	(void)state;
	expect_mistake("root.img", 3,
		       "disks is not a list of disks such as [root.img]");
	expect_mistake("[[root.img]]", 3,
		       "the disk is not a mapping of words to values");
	expect_mistake("\n   [root.img, {access: private}]", 4,
		       "disk 1 has neither image nor partition");
	expect_mistake("[{}]", 3, "disk 0 has neither image nor partition");
	expect_mistake("['']", 3, "image is not the name of a file");
	expect_mistake("[{image: [a]}]", 3, "image is not a text");
	expect_mistake("[{image: root.img, access: shared}]", 3,
		       "access is not one of private, read-only, read-write");
	expect_mistake("[{image: root.img, room: much}]", 3,
		       "room is not a size such as 512MiB");
	expect_mistake("[{image: root.img, rom: 4MiB}]", 3,
		       "unknown word \"rom\" in the disk (did you mean "
		       "\"room\"?)");
	expect_mistake("[{image: root.img, image: data.img}]", 3,
		       "image stands twice in the disk");
	expect_mistake("[{image: root.img, access: read-only, room: 4MiB}]", 3,
		       "disk 0 has room for changes, but needs none");
	expect_mistake("[{image: root.img, room: 16777215TiB}]", 1,
		       "needs more memory than there can be");
}

/* Each in the line of its disk. */
static void files_are_looked_at(void **state)
{
	(void)state;
	expect_mistake("\n"
		       "   [root.img,\n"
		       "    none.img,\n"
		       "    {image: data.img,\n"
		       "     access: private}]",
		       5,
		       "disk \"none.img\" cannot be read: No such file or "
		       "directory");
	expect_mistake("[empty]", 3, "disk \"empty\" is empty");
	expect_mistake("[odd.img]", 3,
		       "disk \"odd.img\" is not made of sectors of 512 bytes, "
		       "so no disk");
	expect_mistake("[.]", 3, "disk \".\" is not a regular file");
}

static void too_many_of_them(void **state)
{
	(void)state;
	read_disks("[data.img, data.img, data.img, data.img]");
	expect_disk(3, "data.img", MULL_DISK_PRIVATE, MIB(4));
	expect_mistake("\n"
		       "   [data.img, data.img, data.img, data.img,\n"
		       "    root.img, root.img]",
		       5, "has more than 4 disks");
}

/* 128 files are in a package at most. */
static void too_many_files(void **state)
{
	char *yaml = texts_format("machine: {share-cpus: true}\nvms:\n");

	(void)state;
	for (uint32_t vm = 0; vm < MULL_VM_MAX; vm++) {
		char *names[5], *longer;

		for (uint32_t i = 0; i < 5; i++) {
			names[i] = texts_format("file-%u", vm * 5 + i);
			if (i)
				write_disk(names[i], 512);
			else
				write_elf_file(names[i], 64, "Mullion",
					       MULL_NOTE_ABI);
		}
		longer = texts_format("%s  vm-%u: {memory: 2MiB, cpus: [0], "
				      "kernel: %s, disks: [%s, %s, %s, %s]}\n",
				      yaml, vm, names[0], names[1], names[2],
				      names[3], names[4]);
		for (uint32_t i = 0; i < 5; i++)
			free(names[i]);
		free(yaml);
		yaml = longer;
	}
	manifest_free(&manifest);
	write_file("m.yaml", yaml, strlen(yaml));
	manifest_read(&manifest, "m.yaml");
	assert_int_equal(manifest.image_count, MULL_IMAGE_MAX);
	assert_int_equal(manifest.mistakes.count, 1);
	assert_string_equal(manifest.mistakes.list[0].words,
			    "machine: the VMs have more than 128 files");
	free(yaml);
}

#define TEST(name) cmocka_unit_test_teardown(name, forget)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_name_will_do),		TEST(every_word_is_understood),
		TEST(a_file_can_be_two_images), TEST(partitions_are_named),
		TEST(a_file_can_be_two_images), TEST(mistakes_are_told),
		TEST(files_are_looked_at),	TEST(too_many_of_them),
		TEST(too_many_files),
	};

	return cmocka_run_group_tests(tests, make_files, remove_files);
}
