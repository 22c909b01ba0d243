/* SPDX-License-Identifier: MIT */
/* A file with one VM, for a hypervisor that has images and runs others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
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
static const struct mull_image_status images[] = {
	{ .name = "linux", .number = 3, .kind = MULL_IMAGE_BZIMAGE, .size = 9 },
	{ .name = "root", .number = 5, .kind = MULL_IMAGE_INITRD, .size = 9 },
	{ .name = "half",
	  .number = 6,
	  .kind = MULL_IMAGE_BZIMAGE,
	  .size = 9,
	  .flags = MULL_IMAGE_PARTIAL },
	{ .name = "data", .number = 8, .kind = MULL_IMAGE_DISK, .size = 512 },
};
static const struct manifest_target target = {
	.images = images,
	.image_count = sizeof images / sizeof *images,
	.free_cpus = { 7, 2, 0 },
	.free_cpu_count = 3,
};

static int make_files(void **state)
{
	(void)state;
	if (!enter_folder())
		return -1;
	write_elf_file("linux", 64, "Mullion", MULL_NOTE_ABI);
	write_elf_file("sdk", 64, "Mullion", MULL_NOTE_ABI);
	return 0;
}

/* All mistakes as mullctl shows them. */
static void expect_mistakes(const char *text, const char *expected)
{
	char *shown;
	size_t size;
	FILE *stream = open_memstream(&shown, &size);

	manifest_free(&manifest);
	write_file("m.yaml", text, strlen(text));
	manifest_read_one(&manifest, "m.yaml", &target);
	mistakes_print(&manifest.mistakes, manifest.file, stream);
	fclose(stream);
	assert_string_equal(shown, expected);
	free(shown);
}

static void either_form_will_do(void **state)
{
	const struct mull_vm *vm = &manifest.vms[0];

	(void)state;
	expect_mistakes("{name: web, memory: 64MiB, cpus: 2, kernel: linux,\n"
			" initrd: root}\n",
			"");
	assert_int_equal(manifest.vm_count, 1);
	assert_string_equal(vm->name, "web");
	assert_int_equal(vm->vcpu_count, 2);
	assert_int_equal(vm->cpus[0], 7);
	assert_int_equal(vm->cpus[1], 2);
	assert_int_equal(manifest.images[vm->kernel].there->number, 3);
	assert_int_equal(manifest.images[vm->initrd].there->number, 5);
	/* A path is a file's. */
	expect_mistakes("vms: {web: {memory: 64MiB, cpus: [4],\n"
			" kernel: ./linux}}\n",
			"");
	assert_int_equal(vm->cpus[0], 4);
	assert_null(manifest.images[vm->kernel].there);
	assert_string_equal(manifest.images[vm->kernel].path, "./linux");
	expect_mistakes("{name: a, memory: 2MiB, cpus: 1, kernel: sdk}\n", "");
	assert_string_equal(manifest.images[vm->kernel].path, "sdk");
}

static void disks_can_be_there_already(void **state)
{
	const struct mull_vm *vm = &manifest.vms[0];

	(void)state;
	write_file("more.img", "\0", 1);
	assert_int_equal(truncate("more.img", 3072), 0);
	expect_mistakes("{name: web, memory: 64MiB, cpus: 1, kernel: linux,\n"
			" disks: [data, {image: more.img}, {image: data,\n"
			" access: read-only}]}\n",
			"");
	assert_int_equal(manifest.image_count, 3);
	assert_int_equal(manifest.images[vm->disks[0].image].there->number, 8);
	assert_int_equal(vm->disks[0].room, 4 << 20);
	assert_null(manifest.images[vm->disks[1].image].there);
	assert_int_equal(vm->disks[2].image, vm->disks[0].image);
	assert_int_equal(vm->disks[2].room, 0);
}

static void mistakes_are_told(void **state)
{
#define VM(words) "{name: web, memory: 64MiB, " words "}\n"
	(void)state;
	expect_mistakes(VM("cpus: 4, kernel: sdk"),
			"m.yaml:1: vm \"web\": takes 4 processors, but 3 are "
			"free (mullctl stats shows them)\n");
	expect_mistakes(VM("cpus: 0, kernel: sdk"),
			"m.yaml:1: vm \"web\": takes 0 processors, but 3 are "
			"free (mullctl stats shows them)\n");
	expect_mistakes(VM("cpus: 1, kernel: root"),
			"m.yaml:1: vm \"web\": image \"root\" is of kind "
			"initrd, so no kernel\n");
	expect_mistakes(VM("cpus: 1, kernel: sdk, initrd: linux"),
			"m.yaml:1: vm \"web\": image \"linux\" is of kind "
			"linux, so no initrd\n");
	expect_mistakes(VM("cpus: 1, kernel: data"),
			"m.yaml:1: vm \"web\": image \"data\" is of kind "
			"disk, so no kernel\n");
	expect_mistakes(VM("cpus: 1, kernel: sdk, disks: [root]"),
			"m.yaml:1: vm \"web\": image \"root\" is of kind "
			"initrd, so no disk\n");
	expect_mistakes(VM("cpus: 1, kernel: sdk, disks: [half]"),
			"m.yaml:1: vm \"web\": image \"half\" is not whole: "
			"upload it again\n");
	expect_mistakes(VM("cpus: 1, kernel: half"),
			"m.yaml:1: vm \"web\": image \"half\" is not whole: "
			"upload it again\n");
	expect_mistakes("vms:\n"
			"  a: {memory: 2MiB, cpus: [0], kernel: sdk}\n"
			"  b: {memory: 2MiB, cpus: [1], kernel: sdk}\n",
			"m.yaml:1: there are 2 VMs, but one is made at a "
			"time\n");
}

/* Without a hypervisor nobody knows what is free. */
static void a_manifest_names_its_processors(void **state)
{
	(void)state;
	manifest_free(&manifest);
	write_file("m.yaml", "vms: {a: {memory: 2MiB, cpus: 1, kernel: sdk}}",
		   46);
	manifest_read(&manifest, "m.yaml");
	assert_int_equal(manifest.mistakes.count, 1);
	manifest_free(&manifest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(either_form_will_do),
		cmocka_unit_test(disks_can_be_there_already),
		cmocka_unit_test(mistakes_are_told),
		cmocka_unit_test(a_manifest_names_its_processors),
	};

	return cmocka_run_group_tests(tests, make_files, remove_files);
}
