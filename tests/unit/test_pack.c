/* SPDX-License-Identifier: MIT */
/* Packages as mullctl writes them, read by the hypervisor's own reader. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <mullion/package_reader.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "boot_disk.h"
#include "manifest.h"
#include "pack.h"
#include "texts.h"
#include "work.h"
#include "work_folder.h"

static struct manifest manifest;
static struct package package;
static uint8_t *bytes;
static uint64_t size;

/* @name with @length bytes; a Linux kernel as far as mullctl looks. */
static void write_file(const char *name, size_t length)
{
	uint8_t *image = memory_get(NULL, length);
	FILE *stream = fopen(name, "w");

	assert_non_null(stream);
	for (size_t i = 0; i < length; i++)
		image[i] = (uint8_t)(i * 7 + length);
	if (length >= 1024) {
		memcpy(image + 0x202, "HdrS\x0f\x02", 6);
		image[0x236] = 1;
		memset(image + 0x260, 0, 4);
	}
	assert_int_equal(fwrite(image, 1, length, stream), length);
	assert_int_equal(fclose(stream), 0);
	free(image);
}

static int make_files(void **state)
{
	FILE *stream;

	(void)state;
	if (!enter_folder())
		return -1;
	write_file("big", 2000000);
	write_file("kernel", 5000);
	write_file("ram disk\x01", 100);
	write_file("mullion.efi", 777);
	stream = fopen("m.yaml", "w");
	fputs("machine: {cpus: 4, serial: {mode: text}}\n"
	      "vms:\n"
	      "  web: {memory: 64MiB, cpus: [1, 2], kernel: big,\n"
	      "        initrd: \"ram disk\\x01\", cmdline: quiet}\n"
	      "  db: {memory: 32MiB, cpus: [3], kernel: kernel,\n"
	      "       on-crash: restart}\n"
	      "  copy: {memory: 32MiB, cpus: [0], kernel: kernel}\n",
	      stream);
	return fclose(stream);
}

static void map_file(const char *name)
{
	struct stat about;
	int fd = open(name, O_RDONLY);

	assert_true(fd >= 0 && !fstat(fd, &about));
	size = (uint64_t)about.st_size;
	bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	assert_ptr_not_equal(bytes, MAP_FAILED);
	close(fd);
}

static void no_complaint(void *context, const char *words)
{
	(void)context;
	fail_msg("%s", words);
}

static void count_complaint(void *context, const char *words)
{
	(void)words;
	++*(int *)context;
}

static int pack(void **state)
{
	(void)state;
	manifest_read(&manifest, "m.yaml");
	assert_int_equal(manifest.mistakes.count, 0);
	assert_int_equal(pack_write(&manifest, "package"), STATUS_OK);
	map_file("package");
	return 0;
}

static int unpack(void **state)
{
	(void)state;
	munmap(bytes, size);
	manifest_free(&manifest);
	return 0;
}

static void the_hypervisor_reads_it(void **state)
{
	const struct mull_limits limits = { .cpu_count = 4,
					    .memory_free = 128 << 20 };

	(void)state;
	assert_int_equal(pack_size(&manifest), size);
	assert_int_equal(package_read(&package, bytes, size, &limits,
				      no_complaint, NULL),
			 ERR_NONE);
	assert_int_equal(package.machine.cpu_count, 4);
	assert_int_equal(package.machine.serial_mode, MULL_SERIAL_TEXT);
	assert_int_equal(package.vm_count, 3);
	assert_int_equal(package.image_count, 3);
	assert_string_equal(package.vms[0].name, "web");
	assert_string_equal(package.vms[0].command_line, "quiet");
	assert_int_equal(package.vms[0].cpus[1], 2);
	assert_int_equal(package.vms[1].on_crash, MULL_END_RESTART);
	assert_int_equal(package.vms[1].kernel, package.vms[2].kernel);
	assert_int_equal(package.vms[1].initrd, MULL_NO_IMAGE);
}

static void images_are_whole_and_the_smallest_first(void **state)
{
	const struct mull_limits limits = { .cpu_count = 0 };
	static const uint64_t sizes[] = { 100, 5000, 2000000 };

	(void)state;
	package_read(&package, bytes, size, &limits, no_complaint, NULL);
	for (uint32_t i = 0; i < 3; i++) {
		const struct mull_image *image = &package.images[i];
		uint8_t hash[SHA256_DIGEST_LENGTH];

		assert_int_equal(image->size, sizes[i]);
		assert_int_equal(image->offset % 4096, 0);
		assert_true(bytes[image->offset] == (uint8_t)sizes[i]);
		SHA256(bytes + image->offset, image->size, hash);
		assert_memory_equal(hash, image->sha256, sizeof hash);
	}
	assert_string_equal(package.images[0].name, "ram?disk?");
	assert_int_equal(package.vms[0].initrd, 0);
	assert_int_equal(package.vms[1].kernel, 1);
	assert_int_equal(package.vms[0].kernel, 2);
}

/* One flipped bit in each record is noticed and costs that record only. */
static void each_record_carries_its_checksum(void **state)
{
	const struct mull_limits limits = { .cpu_count = 0 };
	size_t vm_at = sizeof(struct mull_package_header);
	int complaints = 0;

	(void)state;
	bytes[vm_at + 8] ^= 1;
	assert_int_equal(package_read(&package, bytes, size, &limits,
				      count_complaint, &complaints),
			 ERR_NONE);
	assert_int_equal(complaints, 1);
	assert_string_not_equal(package.vm_words[0], "");
	assert_string_equal(package.vm_words[1], "");
	bytes[vm_at + 8] ^= 1;
	bytes[16] ^= 1;
	assert_int_not_equal(package_read(&package, bytes, size, &limits,
					  count_complaint, &complaints),
			     ERR_NONE);
}

static void a_file_that_shrinks_is_noticed(void **state)
{
	(void)state;
	assert_int_equal(truncate("kernel", 4000), 0);
	assert_int_equal(pack_write(&manifest, "other"), STATUS_HOST);
	assert_int_not_equal(access("other", F_OK), 0);
	assert_int_not_equal(access("other.new", F_OK), 0);
	write_file("kernel", 6000);
	assert_int_equal(pack_write(&manifest, "other"), STATUS_HOST);
	write_file("kernel", 5000);
	assert_int_equal(pack_write(&manifest, "other"), STATUS_OK);
}

static void expect_equal_files(const char *a, const char *b)
{
	char *command = texts_format("cmp '%s' '%s'", a, b);

	assert_int_equal(system(command), 0);
	free(command);
}

static void a_folder_to_boot_from(void **state)
{
	(void)state;
	assert_int_equal(boot_disk_folder(&manifest, "mullion.efi", "esp"),
			 STATUS_OK);
	expect_equal_files("esp/EFI/BOOT/BOOTX64.EFI", "mullion.efi");
	expect_equal_files("esp/EFI/MULLION/PACKAGE.MPK", "package");
	assert_int_equal(boot_disk_folder(&manifest, "none", "esp"),
			 STATUS_HOST);
}

/* Read back by mtools; the partition's place is the one that sgdisk wrote. */
static void expect_disk(const char *image, unsigned long start)
{
	char *command = texts_format(
		"MTOOLS_SKIP_CHECK=1 mcopy -n -i %s@@%lu "
		"::/EFI/MULLION/PACKAGE.MPK ::/EFI/BOOT/BOOTX64.EFI .",
		image, start);

	assert_int_equal(system(command), 0);
	expect_equal_files("BOOTX64.EFI", "mullion.efi");
	expect_equal_files("PACKAGE.MPK", "package");
	unlink("BOOTX64.EFI");
	unlink("PACKAGE.MPK");
	free(command);
}

static void disks_to_boot_from(void **state)
{
	const uint8_t gpt[] = "EFI PART";
	struct stat about;

	(void)state;
	work_begin();
	assert_int_equal(
		boot_disk_image(&manifest, "mullion.efi", "fat.img", DISK_FAT),
		STATUS_OK);
	expect_disk("fat.img", 0);
	assert_int_equal(stat("fat.img", &about), 0);
	assert_int_equal(about.st_size % 516096, 0);

	assert_int_equal(
		boot_disk_image(&manifest, "mullion.efi", "gpt.img", DISK_GPT),
		STATUS_OK);
	munmap(bytes, size);
	map_file("gpt.img");
	assert_memory_equal(bytes + 512, gpt, 8);
	/* UEFI 2.10, "GPT Partition Entry": first sector of the first one */
	assert_int_equal(bytes[1024 + 32] | bytes[1024 + 33] << 8, 2048);
	expect_disk("gpt.img", 2048 * 512);
	assert_int_equal(boot_disk_image(&manifest, "mullion.efi",
					 "nowhere/x.img", DISK_GPT),
			 STATUS_HOST);
	work_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_hypervisor_reads_it, pack,
						unpack),
		cmocka_unit_test_setup_teardown(
			images_are_whole_and_the_smallest_first, pack, unpack),
		cmocka_unit_test_setup_teardown(
			each_record_carries_its_checksum, pack, unpack),
		cmocka_unit_test_setup_teardown(a_file_that_shrinks_is_noticed,
						pack, unpack),
		cmocka_unit_test_setup_teardown(a_folder_to_boot_from, pack,
						unpack),
		cmocka_unit_test_setup_teardown(disks_to_boot_from, pack,
						unpack),
	};

	return cmocka_run_group_tests(tests, make_files, remove_files);
}
