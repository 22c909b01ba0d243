/* SPDX-License-Identifier: MIT */
/* A VM's word "cache", as the tool reads it. */
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

static void read_cache(const char *cache)
{
	char *yaml = texts_format("vms: {web: {memory: 64MiB, cpus: [0],\n"
				  "  kernel: sdk, cache: %s}}\n",
				  cache);

	manifest_free(&manifest);
	write_file("m.yaml", yaml, strlen(yaml));
	manifest_read(&manifest, "m.yaml");
	free(yaml);
}

static void expect(const char *cache, uint32_t ways, uint32_t code,
		   uint32_t percent, uint32_t rate)
{
	const struct mull_vm *vm = &manifest.vms[0];

	read_cache(cache);
	assert_int_equal(manifest.mistakes.count, 0);
	assert_int_equal(vm->cache_ways, ways);
	assert_int_equal(vm->cache_code_ways, code);
	assert_int_equal(vm->bandwidth_percent, percent);
	assert_int_equal(vm->bandwidth_rate, rate);
}

static void expect_mistake(const char *cache, const char *words)
{
	char *shown;
	size_t size;
	FILE *stream = open_memstream(&shown, &size);

	read_cache(cache);
	mistakes_print(&manifest.mistakes, manifest.file, stream);
	fclose(stream);
	if (!strstr(shown, words) || manifest.mistakes.count != 1)
		print_error("%s: %s", cache, shown);
	assert_non_null(strstr(shown, words));
	assert_int_equal(manifest.mistakes.count, 1);
	free(shown);
}

static void good_ones_are_understood(void **state)
{
	(void)state;
	expect("{ways: 4}", 4, 0, 0, 0);
	expect("{ways: 4, code-ways: 2, bandwidth: 50%}", 4, 2, 50, 0);
	expect("{bandwidth: 8GB/s, ways: 31}", 31, 0, 0, 8000);
	expect("{bandwidth: 500MB/s}", 0, 0, 0, 500);
	expect("{bandwidth: 100%}", 0, 0, 100, 0);
	expect("{bandwidth: 4294967295MB/s}", 0, 0, 0, UINT32_MAX);
}

static void wrong_ones_are_refused(void **state)
{
	const char *bandwidth = "bandwidth is not a share up to 100% or a rate "
				"such as 8GB/s (MB/s or GB/s)";

	(void)state;
	expect_mistake("{ways: 0}", "ways is not a number from 1 to 31");
	expect_mistake("{ways: 32}", "ways is not a number from 1 to 31");
	expect_mistake("{ways: half}", "ways is not a number from 1 to 31");
	expect_mistake("{ways: 4, code-ways: 31}",
		       "code-ways is not a number from 1 to 30");
	expect_mistake("{ways: 4, code-ways: 4}",
		       "code-ways of its cache must be fewer than its ways");
	expect_mistake("{code-ways: 2}",
		       "code-ways of its cache must be fewer than its ways");
	expect_mistake("{bandwidth: 50}", bandwidth);
	expect_mistake("{bandwidth: 0%}", bandwidth);
	expect_mistake("{bandwidth: 101%}", bandwidth);
	expect_mistake("{bandwidth: \"%\"}", bandwidth);
	expect_mistake("{bandwidth: 0GB/s}", bandwidth);
	expect_mistake("{bandwidth: 4294967296MB/s}", bandwidth);
	expect_mistake("{bandwidth: 4294968GB/s}", bandwidth);
	expect_mistake("{bandwidth: 8GiB}", bandwidth);
	expect_mistake("{}", "cache is not a mapping of ways");
	expect_mistake("{way: 4}", "did you mean \"ways\"?");
}

static void colours_are_refused_in_words(void **state)
{
	const char *words = "memory has no cache colours here, since a frame "
			    "of 2 MiB has all of them: say \"ways\"";

	(void)state;
	expect_mistake("{colours: 4}", words);
	expect_mistake("{colors: [0, 1]}", words);
	expect_mistake("{ways: 2, colours: 0-7}", words);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(good_ones_are_understood, forget),
		cmocka_unit_test_teardown(wrong_ones_are_refused, forget),
		cmocka_unit_test_teardown(colours_are_refused_in_words, forget),
	};

	return cmocka_run_group_tests(tests, make_files, remove_files);
}
