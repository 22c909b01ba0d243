/* SPDX-License-Identifier: MIT */
/* The machine's word "uplink", as the tool reads it and as all check it. */
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

#include "manifest.h"
#include "support_guest_files.h"
#include "texts.h"
#include "work_folder.h"

static struct manifest manifest;

static int make_files(void **state)
{
	(void)state;
	if (!enter_folder())
		return -1;
	write_elf_file("sdk", 64, "Mullion", MULL_NOTE_ABI);
	return 0;
}

static int forget(void **state)
{
	(void)state;
	manifest_free(&manifest);
	return 0;
}

static void read_uplink(const char *uplink)
{
	char *yaml = texts_format("machine: {uplink: %s}\n"
				  "vms: {web: {memory: 64MiB, cpus: [0],\n"
				  "  kernel: sdk, networks: [lan]}}\n",
				  uplink);

	manifest_free(&manifest);
	write_file("m.yaml", yaml, strlen(yaml));
	manifest_read(&manifest, "m.yaml");
	free(yaml);
}

static void expect(const char *uplink, uint32_t nic, const char *name)
{
	read_uplink(uplink);
	assert_int_equal(manifest.mistakes.count, 0);
	assert_int_equal(manifest.machine.uplink_nic, nic);
	assert_string_equal(manifest.machine.uplink, name);
}

/* That @words are said, in words. */
static void expect_mistake(const char *uplink, const char *words)
{
	char *shown;
	size_t size;
	FILE *stream = open_memstream(&shown, &size);

	read_uplink(uplink);
	mistakes_print(&manifest.mistakes, manifest.file, stream);
	fclose(stream);
	if (!strstr(shown, words))
		print_error("%s: %s", uplink, shown);
	assert_non_null(strstr(shown, words));
	assert_int_equal(manifest.mistakes.count, 1);
	free(shown);
}

static void good_ones_are_understood(void **state)
{
	(void)state;
	expect("{nic: 1, switch: lan}", 1, "lan");
	expect("{switch: lan, nic: 8}", 8, "lan");
	expect("{switch: lan}", 1, "lan");
	/* VMs that use it may be made later. */
	expect("{nic: 2, switch: nobody}", 2, "nobody");
}

static void wrong_ones_are_refused(void **state)
{
	(void)state;
	expect_mistake("{nic: 0, switch: lan}",
		       "nic is not a number from 1 to 8");
	expect_mistake("{nic: 9, switch: lan}",
		       "nic is not a number from 1 to 8");
	expect_mistake("{nic: one, switch: lan}", "nic");
	expect_mistake("{nic: 1}", "the uplink has no switch");
	expect_mistake("{nic: 1, switch: ''}",
		       "a network's name is not 1 to 15 letters");
	expect_mistake("{nic: 1, switch: abcdefghijklmnop}",
		       "a network's name is not 1 to 15 letters");
	expect_mistake("{nic: 1, switch: LAN}",
		       "the name of the uplink's switch is not 1 to 15");
	expect_mistake("{nic: 1, switch: lan, rate: 1}", "rate");
	expect_mistake("lan", "uplink");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_teardown(name, forget)
		TEST(good_ones_are_understood),
		TEST(wrong_ones_are_refused),
	};

	return cmocka_run_group_tests(tests, make_files, remove_files);
}
