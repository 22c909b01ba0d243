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

#define HALF "00112233445566778899AABBCCDDEEff"

static struct manifest manifest;

static int make_files(void **state)
{
	(void)state;
	if (!enter_folder())
		return -1;
	write_elf_file("sdk", 64, "Mullion", MULL_NOTE_ABI);
	write_file("key", HALF HALF "\n", 65);
	write_file("short", HALF, 32);
	write_file("long", HALF HALF "0", 65);
	write_file("words", HALF "g0112233445566778899aabbccddeeff", 64);
	return 0;
}

static int forget(void **state)
{
	(void)state;
	manifest_free(&manifest);
	return 0;
}

static void read_channel(const char *channel)
{
	char *yaml = texts_format("machine:\n"
				  "  uplink: {nic: 1, switch: lan}\n"
				  "  channel: %s\n"
				  "vms: {web: {memory: 64MiB, cpus: [0],\n"
				  "            kernel: sdk, networks: [{\n"
				  "  switch: lan, mac: 02:4d:0a:00:00:09}]}}\n",
				  channel);

	manifest_free(&manifest);
	write_file("m.yaml", yaml, strlen(yaml));
	manifest_read(&manifest, "m.yaml");
	free(yaml);
}

static void expect_mistake(const char *channel, const char *words)
{
	read_channel(channel);
	assert_int_equal(manifest.mistakes.count, 1);
	assert_string_equal(manifest.mistakes.list[0].words, words);
}

static void every_word_is_understood(void **state)
{
	const struct mull_machine *machine = &manifest.machine;

	(void)state;
	read_channel("{address: 10.0.0.2, port: 7000, key-file: key}");
	assert_int_equal(manifest.mistakes.count, 0);
	assert_int_equal(machine->address, 0x0a000002);
	assert_int_equal(machine->port, 7000);
	for (int i = 0; i < MULL_KEY_SIZE; i++)
		assert_int_equal(machine->key[i], i % 16 * 0x11);
	read_channel("{address: 10.0.0.2, key-file: key}");
	assert_int_equal(machine->port, 0);
	assert_int_equal(manifest.mistakes.count, 0);
}

static void mistakes_are_told(void **state)
{
	static const char no_key[] = "a key is 64 hexadecimal digits, such "
				     "as \"openssl rand -hex 32\" makes";
	static const char *const files[] = { "short", "long", "words" };

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(files); i++) {
		char *channel = texts_format("{key-file: %s}", files[i]);
		char *words = texts_format("machine: key-file %s: %s", files[i],
					   no_key);

		expect_mistake(channel, words);
		free(channel);
		free(words);
	}
	expect_mistake("{address: 10.0.0}",
		       "machine: address is not an address such as 10.0.0.1");
	expect_mistake("{address: 10.0.0.1}",
		       "machine: the channel has an address, but no key: "
		       "anybody could command the machine");
	expect_mistake("{address: 224.0.0.1, key-file: key}",
		       "machine: the channel's address is not that of a "
		       "station");
	expect_mistake("{key-file: key}",
		       "machine: the channel has no address");
	expect_mistake("{address: 10.0.0.1, key-file: key, port: 65536}",
		       "machine: port is not a number from 1 to 65535");
	expect_mistake("{address: 10.0.0.9, key-file: key}",
		       "vm \"web\": MAC 02:4d:0a:00:00:09 is the management "
		       "channel's");
}

#define TEST(name) cmocka_unit_test_teardown(name, forget)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_word_is_understood),
		TEST(mistakes_are_told),
	};

	return cmocka_run_group_tests(tests, make_files, remove_files);
}
