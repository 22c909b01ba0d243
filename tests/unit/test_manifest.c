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

/* Multiboot headers of version 1 and 2, in a file of 9 KiB. */
static void write_multiboot_file(const char *name, bool both)
{
	static uint32_t words[9 * 1024 / 4];

	memset(words, 0, sizeof words);
	words[33] = 0x1badb002;
	words[35] = -0x1badb002u;
	if (both) {
		words[2050] = 0xe85250d6;
		words[2052] = 16;
		words[2053] = -(0xe85250d6 + 16);
	}
	write_file(name, words, sizeof words);
}

static int make_files(void **state)
{
	static char big[3 << 20];
	static const char rom[65536];

	(void)state;
	if (!enter_folder())
		return -1;
	write_linux_file("bz", 15, 1);
	write_linux_file("bz-old", 11, 1);
	write_linux_file("bz-32", 15, 0);
	write_elf_file("sdk", 64, "Mullion", MULL_NOTE_ABI);
	write_elf_file("vmlinux", 64, "Linux\0\0", MULL_NOTE_ABI);
	write_elf_file("other-note", 64, "Mullion", MULL_NOTE_ABI + 1);
	write_elf_file("elf32", 32, "Mullion", MULL_NOTE_ABI);
	write_file("initrd", "070701", 6);
	write_file("rom", rom, sizeof rom);
	write_file("empty", "", 0);
	write_file("big", big, sizeof big);
	write_elf_file("pvh", 64, "Xen\0\0\0\0", 18);
	write_elf32_file("pvh32", "Xen", 18);
	write_multiboot_file("multiboot", false);
	write_multiboot_file("xen", true);
	return link("bz", "same");
}

static int forget(void **state)
{
	(void)state;
	manifest_free(&manifest);
	return 0;
}

static void read_yaml(const char *text)
{
	manifest_free(&manifest);
	write_file("m.yaml", text, strlen(text));
	manifest_read(&manifest, "m.yaml");
}

/* All mistakes as mullctl shows them. */
static void expect_mistakes(const char *text, const char *expected)
{
	char *shown;
	size_t size;
	FILE *stream = open_memstream(&shown, &size);

	read_yaml(text);
	mistakes_print(&manifest.mistakes, manifest.file, stream);
	fclose(stream);
	assert_string_equal(shown, expected);
	free(shown);
}

/* One VM with one mistake, in line 2, where @word stands. */
static void expect_vm_mistake(const char *word, const char *expected)
{
	char *line = texts_format("m.yaml:2: vm \"web\": %s\n", expected);
	char *yaml = texts_format("vms: {web: {memory: 64MiB, cpus: [0],\n"
				  "  %s%s}}\n",
				  word,
				  strncmp(word, "kernel", 6) &&
						  strncmp(word, "firmware", 8) ?
					  ", kernel: bz" :
					  "");

	expect_mistakes(yaml, line);
	free(yaml);
	free(line);
}

static void expect_machine_mistake(const char *words, const char *expected)
{
	char *line = texts_format("m.yaml:1: machine: %s\n", expected);
	char *yaml = texts_format(
		"machine: {%s}\n"
		"vms: {web: {memory: 64MiB, cpus: [0], kernel: bz}}\n",
		words);

	expect_mistakes(yaml, line);
	free(yaml);
	free(line);
}

static void expect_devices(const struct mull_vm *vm)
{
	assert_string_equal(vm->shared[0].name, "ring");
	assert_int_equal(vm->shared[0].size, KIB(64));
	assert_int_equal(vm->shared[0].flags, MULL_SHARED_WRITE);
	assert_string_equal(vm->shared[1].name, "log");
	assert_int_equal(vm->shared[1].size, 4096);
	assert_int_equal(vm->shared[1].flags, 0);
	assert_string_equal(vm->shared[2].name, "");
	assert_string_equal(vm->nics[0].network, "lan");
	assert_string_equal(vm->nics[1].network, "wan");
	assert_memory_equal(vm->nics[1].mac, "\2\0\0\0\x0a\xff", 6);
	assert_int_equal(vm->nics[1].rate, 10000);
	assert_string_equal(vm->nics[2].network, "");
}

static void every_word_is_understood(void **state)
{
	const struct mull_vm *vm;

	(void)state;
	expect_mistakes("machine:\n"
			"  {cpus: 4, memory: 2GiB, service-cpu: 3,\n"
			"   serial: {mode: channel, port: 0x2f8,\n"
			"            baud: 57600}, mitigations: all}\n"
			"vms:\n"
			"- name: web\n"
			"  memory: 512 MiB\n"
			"  cpus: [1, 2]\n"
			"  kernel: bz\n"
			"  type: linux\n"
			"  initrd: initrd\n"
			"  cmdline: >\n"
			"    console=ttyS0\n"
			"    quiet\n"
			"  autostart: false\n"
			"  on-poweroff: restart\n"
			"  on-reset: stop\n"
			"  on-crash: restart\n"
			"  console: 128KiB\n"
			"  networks:\n"
			"  - lan\n"
			"  - switch: wan\n"
			"    mac: '02:00:00:00:0a:FF'\n"
			"    rate: 10Mbit\n"
			"  shared:\n"
			"  - {name: ring, size: 64KiB, write: true}\n"
			"  - {name: log, size: 4096, write: false}\n"
			"  watchdog: 30s\n",
			"");
	assert_int_equal(manifest.machine.cpu_count, 4);
	assert_int_equal(manifest.machine.memory_size, GIB(2));
	assert_int_equal(manifest.machine.service_cpu, 3);
	assert_int_equal(manifest.machine.serial_mode, MULL_SERIAL_CHANNEL);
	assert_int_equal(manifest.machine.serial_port, 0x2f8);
	assert_int_equal(manifest.machine.serial_baud, 57600);
	assert_int_equal(manifest.machine.mitigations, MULL_MITIGATIONS_ALL);
	assert_int_equal(manifest.vm_count, 1);
	vm = &manifest.vms[0];
	assert_string_equal(vm->name, "web");
	assert_int_equal(vm->memory_size, MIB(512));
	assert_int_equal(vm->vcpu_count, 2);
	assert_int_equal(vm->cpus[1], 2);
	assert_int_equal(manifest.images[vm->kernel].kind, MULL_IMAGE_BZIMAGE);
	assert_int_equal(manifest.images[vm->initrd].kind, MULL_IMAGE_INITRD);
	assert_string_equal(vm->command_line, "console=ttyS0 quiet");
	assert_int_equal(vm->flags, 0);
	assert_int_equal(vm->on_poweroff, MULL_END_RESTART);
	assert_int_equal(vm->on_reset, MULL_END_STOP);
	assert_int_equal(vm->on_crash, MULL_END_RESTART);
	assert_int_equal(vm->console_size, KIB(128));
	expect_devices(vm);
}

static void defaults_and_a_map_of_vms(void **state)
{
	(void)state;
	expect_mistakes("vms:\n"
			"  a: {memory: 64MiB, cpus: [0], kernel: bz}\n"
			"  b: {memory: 2MiB, cpus: [3], kernel: sdk}\n",
			"");
	assert_int_equal(manifest.vm_count, 2);
	assert_string_equal(manifest.vms[1].name, "b");
	assert_int_equal(manifest.vms[0].flags, MULL_VM_AUTOSTART);
	assert_int_equal(manifest.vms[0].initrd, MULL_NO_IMAGE);
	assert_int_equal(manifest.vms[0].on_poweroff, MULL_END_STOP);
	assert_int_equal(manifest.vms[0].on_reset, MULL_END_RESTART);
	assert_int_equal(manifest.vms[0].on_crash, MULL_END_STOP);
	assert_int_equal(manifest.vms[0].console_size, KIB(64));
	assert_int_equal(manifest.machine.serial_mode, MULL_SERIAL_TEXT);
	assert_int_equal(manifest.machine.serial_port, 0x3f8);
	assert_int_equal(manifest_cpus_needed(&manifest), 4);
	assert_int_equal(manifest_memory(&manifest), MIB(66));
}

static void a_file_is_stored_once(void **state)
{
	(void)state;
	expect_mistakes(
		"vms:\n"
		"  a: {memory: 64MiB, cpus: [0], kernel: bz, initrd: bz}\n"
		"  b: {memory: 64MiB, cpus: [1], kernel: ./bz}\n"
		"  c: {memory: 64MiB, cpus: [2], kernel: same}\n",
		"");
	assert_int_equal(manifest.image_count, 2);
	assert_int_equal(manifest.vms[2].kernel, manifest.vms[0].kernel);
	assert_int_not_equal(manifest.vms[0].kernel, manifest.vms[0].initrd);
}

static void files_lie_beside_the_manifest(void **state)
{
	char *path = texts_format("%s/m.yaml", folder);

	(void)state;
	read_yaml("vms: {a: {memory: 64MiB, cpus: [0], kernel: bz}}");
	manifest_free(&manifest);
	assert_int_equal(chdir("/"), 0);
	manifest_read(&manifest, path);
	assert_int_equal(manifest.mistakes.count, 0);
	assert_int_equal(chdir(folder), 0);
	free(path);
}

static void mistakes_in_values(void **state)
{
	static const struct {
		const char *word, *words;
	} rows[] = {
		{ "cmdlin: x", "unknown word \"cmdlin\" in the VM "
			       "(did you mean \"cmdline\"?)" },
		{ "auto: x", "unknown word \"auto\" in the VM "
			     "(did you mean \"autostart\"?)" },
		{ "zebra: x", "unknown word \"zebra\" in the VM" },
		{ "[a]: x", "unknown word \"?\" in the VM" },
		{ "cpus: [1]", "cpus stands twice in the VM" },
		{ "name: other", "has a second name, \"other\"" },
		{ "type: windows", "type is not one of linux, elf, pvh, "
				   "multiboot, multiboot2, firmware" },
		{ "autostart: 1", "autostart is not true or false" },
		{ "on-crash: halt", "on-crash is not one of stop, restart" },
		{ "watchdog: soon",
		  "watchdog is not a number of seconds (30s)" },
		{ "watchdog: 0s", "watchdog is not a number of seconds (30s)" },
		{ "watchdog: 10m",
		  "watchdog is not a number of seconds (30s)" },
		{ "watchdog: 1000s",
		  "a watchdog of 1000 s waits longer than 255 s" },
		{ "console: big", "console is not a size such as 512MiB" },
		{ "console: 99GiB", "console of 4294967295 bytes is not a "
				    "power of two from 4 KiB to 2 MiB" },
		{ "cmdline: [a]", "cmdline is not a text" },
		{ "cmdline: \"a\\0b\"", "cmdline is not a text" },
		{ "cmdline: \"a\\nb\"",
		  "the command line holds control character 10" },
		{ "initrd: none", "initrd \"none\" cannot be read: "
				  "No such file or directory" },
		{ "initrd: empty", "initrd \"empty\" is empty" },
		{ "initrd: /", "initrd \"/\" is not a regular file" },
		{ "initrd: ''", "initrd is not the name of a file" },
		{ "kernel: sdk, initrd: initrd",
		  "an initrd is of no use to a guest of Mullion's own" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
		expect_vm_mistake(rows[i].word, rows[i].words);
}

static void mistakes_in_kernels(void **state)
{
	static const struct {
		const char *word, *words;
	} rows[] = {
		{ "kernel: initrd", "kernel \"initrd\" is neither a Linux "
				    "bzImage nor an ELF file, and has no "
				    "Multiboot header" },
		{ "kernel: bz-old", "kernel \"bz-old\" is a Linux kernel "
				    "without the 64-bit entry point (x86-64, "
				    "3.8 or later)" },
		{ "kernel: bz-32", "kernel \"bz-32\" is a Linux kernel "
				   "without the 64-bit entry point (x86-64, "
				   "3.8 or later)" },
		{ "kernel: elf32", "kernel \"elf32\" is an ELF file, but not "
				   "for x86" },
		{ "kernel: vmlinux", "kernel \"vmlinux\" is an ELF file "
				     "without Mullion's note, so not made with "
				     "its SDK, and neither a PVH nor a "
				     "Multiboot kernel (for Linux take the "
				     "bzImage, or a vmlinux with CONFIG_PVH)" },
		{ "kernel: other-note", "kernel \"other-note\" is an ELF file "
					"without Mullion's note, so not made "
					"with its SDK, and neither a PVH nor a "
					"Multiboot kernel (for Linux take the "
					"bzImage, or a vmlinux with "
					"CONFIG_PVH)" },
		{ "kernel: sdk, type: linux",
		  "kernel \"sdk\" is an ELF file of "
		  "Mullion's SDK, but its type is given as "
		  "linux" },
		{ "kernel: bz, type: elf", "kernel \"bz\" is a Linux bzImage, "
					   "but its type is given as elf" },
		{ "firmware: rom", "firmware needs the platform pc" },
		{ "kernel: rom, type: firmware",
		  "firmware needs the platform pc" },
		{ "firmware: rom, platform: pc, initrd: initrd",
		  "an initrd is of no use to firmware" },
		{ "firmware: sdk, platform: pc",
		  "kernel \"sdk\" is no firmware: its size is not a multiple "
		  "of 4 KiB up to 16 MiB" },
		{ "kernel: bz, firmware: rom, platform: pc",
		  "has a kernel and firmware; one of them starts it" },
		{ "kernel: sdk, platform: mac", "platform is not one of pc" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
		expect_vm_mistake(rows[i].word, rows[i].words);
}

static void mistakes_in_networks_and_sockets(void **state)
{
	static const struct {
		const char *word, *words;
	} rows[] = {
		{ "networks: lan",
		  "networks is not a list of switches such as [lan]" },
		{ "networks: ['']", "a network's name is not 1 to 15 letters: "
				    "\"\"" },
		{ "networks: [abcdefghijklmnop]",
		  "a network's name is not 1 to 15 letters: "
		  "\"abcdefghijklmnop\"" },
		{ "networks: [Lan]", "the name of network 1 is not 1 to 15 of "
				     "a-z, 0-9 and -" },
		{ "networks: [[lan]]", "networks is not a text" },
		{ "networks: [{mac: '02:00:00:00:00:01'}]",
		  "a network has no switch" },
		{ "networks: [{switch: a, mac: '02:00:00:00:00'}]",
		  "mac is not an address such as 02:00:00:00:00:01" },
		{ "networks: [{switch: a, mac: '2:0:0:0:0:1'}]",
		  "mac is not an address such as 02:00:00:00:00:01" },
		{ "networks: [{switch: a, mac: '00:00:00:00:00:00'}]",
		  "mac is not an address such as 02:00:00:00:00:01" },
		{ "networks: [{switch: a, mac: 'ff:ff:ff:ff:ff:ff'}]",
		  "MAC ff:ff:ff:ff:ff:ff is that of a group" },
		{ "networks: [{switch: a, rate: 10}]",
		  "rate is not a rate such as 10Mbit (kbit, Mbit or Gbit)" },
		{ "networks: [{switch: a, rate: 0Mbit}]",
		  "rate is not a rate such as 10Mbit (kbit, Mbit or Gbit)" },
		{ "networks: [{switch: a, rate: 5000Gbit}]",
		  "rate is not a rate such as 10Mbit (kbit, Mbit or Gbit)" },
		{ "networks: [{switch: a, speed: 1}]",
		  "unknown word \"speed\" in a network" },
		{ "networks: [a, b, c, d, e]",
		  "networks has more than 4 entries" },
		{ "vsock: many", "vsock is not a number from 1 to 4294967295" },
		{ "vsock: 0", "vsock is not a number from 1 to 4294967295" },
		{ "vsock: 2", "context identifier 2 is not 3 to 4294967294" },
		{ "vsock: 4294967295", "context identifier 4294967295 is not 3 "
				       "to 4294967294" },
		{ "vsock: {group: a}", "is in a vsock group without a context "
				       "identifier (cid)" },
		{ "vsock: {cid: 3, group: A}",
		  "the name of its vsock group is not 1 to 15 of a-z, 0-9 and "
		  "-" },
		{ "vsock: {cid: 3, group: abcdefghijklmnop}",
		  "group is not 1 to 15 letters" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
		expect_vm_mistake(rows[i].word, rows[i].words);
}

static void mistakes_in_shared_memory(void **state)
{
	static const struct {
		const char *word, *words;
	} rows[] = {
		{ "shared: ring", "shared is not a list such as "
				  "[{name: ring, size: 64KiB}]" },
		{ "shared: [ring]",
		  "shared is not a mapping of words to values" },
		{ "shared: [{size: 64KiB}]", "a shared memory has no name" },
		{ "shared: [{name: abcdefghijklmnop, size: 4KiB}]",
		  "name is not 1 to 15 letters" },
		{ "shared: [{name: ring}]",
		  "shared memory \"ring\" of 0 bytes is not a power of two "
		  "from 4 KiB to 64 MiB" },
		{ "shared: [{name: ring, size: 4KiB, writes: true}]",
		  "unknown word \"writes\" in shared (did you mean "
		  "\"write\"?)" },
		{ "shared: [{name: a, size: 4KiB}, {name: b, size: 4KiB}, "
		  "{name: c, size: 4KiB}, {name: d, size: 4KiB}, "
		  "{name: e, size: 4KiB}]",
		  "shared has more than 4 entries" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		expect_vm_mistake(rows[i].word, rows[i].words);
}

static void mistakes_in_modules(void **state)
{
	static const struct {
		const char *word, *words;
	} rows[] = {
		{ "kernel: xen, type: pvh",
		  "kernel \"xen\" is a Multiboot 2 kernel, but its type is "
		  "given as pvh" },
		{ "modules: initrd", "modules is not a list of files, or of "
				     "mappings of file and cmdline" },
		{ "modules: [initrd]", "modules are of use to a PVH or "
				       "Multiboot kernel only" },
		{ "kernel: pvh, modules: [none]",
		  "module \"none\" cannot be read: No such file or "
		  "directory" },
		{ "kernel: pvh, modules: [{cmdline: x}]",
		  "a module has no file" },
		{ "kernel: pvh, modules: ['']",
		  "file is not the name of a file" },
		{ "kernel: pvh, modules: [{file: initrd, line: x}]",
		  "unknown word \"line\" in the module (did you mean "
		  "\"file\"?)" },
		{ "kernel: pvh, modules: [bz, bz, bz, bz, bz]",
		  "modules has more than 4 entries" },
	};
	char line[200];

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
		expect_vm_mistake(rows[i].word, rows[i].words);
	snprintf(line, sizeof line,
		 "kernel: pvh, modules: [{file: bz, cmdline: %0124d}]", 0);
	expect_vm_mistake(line,
			  "the cmdline of a module is longer than 123 bytes");
}

/* What a file is, and what it can be taken for. */
static void kernels_are_recognized(void **state)
{
	static const struct {
		const char *word;
		uint32_t kind;
	} rows[] = {
		{ "pvh", MULL_IMAGE_PVH },
		{ "pvh32", MULL_IMAGE_PVH },
		{ "pvh, type: pvh", MULL_IMAGE_PVH },
		{ "multiboot", MULL_IMAGE_MULTIBOOT },
		{ "xen", MULL_IMAGE_MULTIBOOT2 },
		{ "xen, type: multiboot", MULL_IMAGE_MULTIBOOT },
		{ "xen, type: multiboot2", MULL_IMAGE_MULTIBOOT2 },
		{ "sdk", MULL_IMAGE_ELF64 },
		{ "bz", MULL_IMAGE_BZIMAGE },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		char *yaml = texts_format("vms: {a: {memory: 64MiB, cpus: [0], "
					  "kernel: %s}}\n",
					  rows[i].word);

		expect_mistakes(yaml, "");
		assert_int_equal(manifest.images[manifest.vms[0].kernel].kind,
				 rows[i].kind);
		free(yaml);
	}
}

static void modules_stand_in_their_order(void **state)
{
	const struct mull_vm *vm = &manifest.vms[0];

	(void)state;
	expect_mistakes("vms:\n"
			"  a:\n"
			"    {memory: 64MiB, cpus: [0], kernel: xen,\n"
			"     modules: [initrd, {file: bz, cmdline: a b},\n"
			"               {file: initrd, cmdline: c}]}\n",
			"");
	assert_int_equal(vm->module_count, 3);
	assert_int_equal(vm->modules[0].image, vm->modules[2].image);
	assert_int_equal(manifest.images[vm->modules[1].image].kind,
			 MULL_IMAGE_INITRD);
	assert_string_equal(manifest.images[vm->modules[1].image].name, "bz");
	assert_string_equal(vm->modules[0].words, "");
	assert_string_equal(vm->modules[1].words, "a b");
	assert_string_equal(vm->modules[2].words, "c");
	expect_mistakes("vms: {a: {memory: 2MiB, cpus: [0], kernel: xen,\n"
			" modules: [big]}}\n",
			"m.yaml:1: vm \"a\": memory of 2 MiB cannot hold "
			"kernel and modules, which need 3.1 MiB\n");
}

static void mistakes_of_the_machine(void **state)
{
	(void)state;
	expect_machine_mistake("cpus: many",
			       "cpus is not a number from 1 to 256");
	expect_machine_mistake("cpus: 257",
			       "cpus is not a number from 1 to 256");
	expect_machine_mistake("cpus: -1",
			       "cpus is not a number from 1 to 256");
	expect_machine_mistake("cpus: 0", "cpus is not a number from 1 to 256");
	expect_machine_mistake("memory: 64MiB",
			       "the hypervisor itself needs 64 MiB of memory, "
			       "so nothing is left for VMs");
	expect_machine_mistake("memory: 18446744073709551616",
			       "memory is not a size such as 512MiB");
	expect_machine_mistake("memory: 99999999999GiB",
			       "memory is not a size such as 512MiB");
	expect_machine_mistake("cpus: 2, service-cpu: 2",
			       "there is no CPU 2 to serve the management "
			       "channel");
	expect_machine_mistake("serial: {mode: loud}",
			       "mode is not one of none, text, channel");
	expect_machine_mistake("serial: on", "serial is not a mapping of "
					     "words to values");
	expect_machine_mistake("serial: {baud: 7000}",
			       "serial rate 7000 is not 115200 divided by a "
			       "whole number");
	expect_machine_mistake("mitigations: some",
			       "mitigations is not one of auto, off, all");
	expect_machine_mistake("share-cpus: perhaps",
			       "share-cpus is not true or false");
	expect_machine_mistake("colour: blue",
			       "unknown word \"colour\" in machine");
}

static void all_mistakes_by_line(void **state)
{
	(void)state;
	expect_mistakes(
		"vms:\n"
		"- memory: lots\n"
		"  kernel: none\n"
		"  name: web\n"
		"- name: web\n"
		"  memory: 512MiB\n"
		"  cpus: [0, 9]\n"
		"  kernel: bz\n"
		"- name: UPPER\n"
		"  memory: 3MiB\n"
		"  cpus: [0]\n"
		"  kernel: bz\n"
		"- just words\n"
		"machine: {cpus: 2, memory: 128MiB}\n"
		"more: x\n",
		"m.yaml:2: vm \"web\": memory is not a size such as 512MiB\n"
		"m.yaml:2: vm \"web\": has no cpus\n"
		"m.yaml:3: vm \"web\": kernel \"none\" cannot be read: No such "
		"file or directory\n"
		"m.yaml:5: vm \"web\": another VM has this name already\n"
		"m.yaml:6: vm \"web\": needs 512 MiB of memory, but only 64 "
		"MiB are left for it\n"
		"m.yaml:7: vm \"web\": needs CPU 9, but the machine has 2 "
		"(from 0)\n"
		"m.yaml:9: vm \"UPPER\": the name is not 1 to 31 of a-z, 0-9 "
		"and -\n"
		"m.yaml:10: vm \"UPPER\": memory of 3 MiB is not a multiple of "
		"2 MiB, at least one\n"
		"m.yaml:10: vm \"UPPER\": memory of 3 MiB cannot hold kernel "
		"and initrd, which need 33 MiB\n"
		"m.yaml:11: vm \"UPPER\": uses CPU 0, and so does vm \"web\" "
		"(the machine's share-cpus is not set)\n"
		"m.yaml:13: vm number 4: the VM is not a mapping of words to "
		"values\n"
		"m.yaml:15: unknown word \"more\" in the manifest\n");
}

static void shared_cpus_are_a_word_away(void **state)
{
	(void)state;
	expect_mistakes("machine: {share-cpus: true}\n"
			"vms:\n"
			"  a: {memory: 64MiB, cpus: [0, 0], kernel: bz}\n"
			"  b: {memory: 64MiB, cpus: [0], kernel: bz}\n",
			"");
	assert_int_equal(manifest.machine.flags, MULL_MACHINE_SHARE_CPUS);
}

static void what_is_no_manifest(void **state)
{
	(void)state;
	expect_mistakes("vms: [a\nb: {",
			"m.yaml:2: not YAML: did not find expected ',' or "
			"']', while parsing a flow sequence\n");
	expect_mistakes("", "m.yaml:1: the manifest is empty\n");
	expect_mistakes("- a\n", "m.yaml:1: the manifest is not a mapping of "
				 "words to values\n");
	expect_mistakes("machine: {cpus: 2}\n", "m.yaml:1: there are no vms\n");
	expect_mistakes("vms: {}\n", "m.yaml:1: vms is not a list of VMs\n");
	expect_mistakes("vms: {a: {memory: 64MiB, cpus: [0], kernel: bz}}\n"
			"---\nb: c\n",
			"m.yaml:3: a second YAML document is not read\n");
	expect_mistakes("vms: &loop [*loop]\n",
			"m.yaml:1: vm number 1: the VM is not a mapping of "
			"words to values\n");
	manifest_free(&manifest);
	manifest_read(&manifest, "nowhere.yaml");
	assert_int_equal(manifest.mistakes.count, 1);
	assert_string_equal(manifest.mistakes.list[0].words,
			    "nowhere.yaml: No such file or directory");
}

/* @count times @item. */
static char *repeat(const char *item, size_t count)
{
	char *text = memory_get(NULL, count * strlen(item) + 1);

	text[0] = 0;
	for (size_t i = 0; i < count; i++)
		strcpy(text + i * strlen(item), item);
	return text;
}

static void too_much_of_everything(void **state)
{
	char *long_text = repeat("x", 3000);
	char *many = repeat("0, ", 65);
	char *vms = repeat("{}, ", MULL_VM_MAX + 1);
	char *yaml;

	(void)state;
	yaml = texts_format("cmdline: %s", long_text);
	expect_vm_mistake(yaml, "cmdline is longer than 2047 bytes");
	free(yaml);
	yaml = texts_format("machine: {share-cpus: true}\n"
			    "vms: {a: {memory: 64MiB, kernel: bz, cpus: [%s]}}",
			    many);
	expect_mistakes(yaml, "m.yaml:2: vm \"a\": cpus has more than 64 "
			      "entries\n");
	free(yaml);
	yaml = texts_format("vms: [%s]\n", vms);
	read_yaml(yaml);
	assert_int_equal(manifest.vm_count, MULL_VM_MAX);
	assert_string_equal(
		manifest.mistakes.list[manifest.mistakes.count - 1].words,
		"more than 64 VMs");
	free(yaml);
	yaml = texts_format("vms: {%.40s: {memory: 64MiB, cpus: [0], "
			    "kernel: bz}}",
			    long_text);
	expect_mistakes(yaml,
			"m.yaml:1: vm \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\": "
			"the name is longer than 31 letters\n");
	free(yaml);
	free(long_text);
	free(many);
	free(vms);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(every_word_is_understood, forget),
		cmocka_unit_test_teardown(defaults_and_a_map_of_vms, forget),
		cmocka_unit_test_teardown(a_file_is_stored_once, forget),
		cmocka_unit_test_teardown(files_lie_beside_the_manifest,
					  forget),
		cmocka_unit_test_teardown(mistakes_in_values, forget),
		cmocka_unit_test_teardown(mistakes_in_shared_memory, forget),
		cmocka_unit_test_teardown(mistakes_in_kernels, forget),
		cmocka_unit_test_teardown(mistakes_in_modules, forget),
		cmocka_unit_test_teardown(kernels_are_recognized, forget),
		cmocka_unit_test_teardown(modules_stand_in_their_order, forget),
		cmocka_unit_test_teardown(mistakes_in_networks_and_sockets,
					  forget),
		cmocka_unit_test_teardown(mistakes_of_the_machine, forget),
		cmocka_unit_test_teardown(all_mistakes_by_line, forget),
		cmocka_unit_test_teardown(shared_cpus_are_a_word_away, forget),
		cmocka_unit_test_teardown(what_is_no_manifest, forget),
		cmocka_unit_test_teardown(too_much_of_everything, forget),
	};

	return cmocka_run_group_tests(tests, make_files, remove_files);
}
