/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <mullion/bits.h>
#include <mullion/description.h>
#include <stdio.h>
#include <string.h>

/* Two good VMs, on which each test makes one mistake. */
static struct mull_machine machine;
static struct mull_vm vms[3];
static struct mull_limits limits;
static const uint32_t kinds[] = { MULL_IMAGE_BZIMAGE, MULL_IMAGE_ELF64,
				  MULL_IMAGE_INITRD,  0,
				  MULL_IMAGE_PVH,     MULL_IMAGE_FIRMWARE };
static bool bad[3];
static char story[4096];

static void on_complaint(void *context, int vm, enum mull_field field,
			 const char *words)
{
	size_t length = strlen(story);

	(void)context;
	assert_true(strlen(words) < MULL_COMPLAINT_MAX);
	snprintf(story + length, sizeof story - length, "%d/%d: %s\n", vm,
		 field, words);
}

static void good_vm(struct mull_vm *vm, const char *name, uint16_t cpu)
{
	*vm = (struct mull_vm){ .memory_size = MIB(64),
				.flags = MULL_VM_AUTOSTART,
				.vcpu_count = 2,
				.kernel = 0,
				.initrd = 2,
				.on_poweroff = MULL_END_STOP,
				.on_reset = MULL_END_RESTART,
				.on_crash = MULL_END_STOP,
				.console_size = KIB(64),
				.cpus = { cpu, (uint16_t)(cpu + 1) } };
	strcpy(vm->name, name);
	strcpy(vm->command_line, "console=ttyS0\tquiet");
}

static int fresh(void **state)
{
	(void)state;
	machine = (struct mull_machine){ .cpu_count = 4,
					 .serial_port = 0x3f8,
					 .serial_baud = 115200 };
	limits = (struct mull_limits){ .cpu_count = 4,
				       .memory_free = MIB(128) };
	good_vm(&vms[0], "web", 0);
	good_vm(&vms[1], "db-2", 2);
	memset(bad, 0, sizeof bad);
	story[0] = 0;
	return 0;
}

static size_t check(size_t count)
{
	return mull_check_vms(&machine, vms, count, kinds, ARRAY_COUNT(kinds),
			      &limits, bad, on_complaint, NULL);
}

/* Exactly one mistake is found, in @vm, about @field, with these words. */
static void expect_one(int vm, enum mull_field field, const char *words)
{
	char expected[256];

	snprintf(expected, sizeof expected, "%d/%d: %s\n", vm, field, words);
	assert_int_equal(check(2), 1);
	assert_string_equal(story, expected);
	assert_int_equal(bad[0], vm == 0);
	assert_int_equal(bad[1], vm == 1);
}

static void good_ones_pass(void **state)
{
	(void)state;
	assert_int_equal(check(2), 0);
	assert_int_equal(
		mull_check_machine(&machine, &limits, on_complaint, NULL), 0);
	assert_string_equal(story, "");
	assert_false(bad[0] || bad[1]);
}

static void names(void **state)
{
	static const char words[] = "the name is not 1 to 31 of a-z, 0-9 and -";

	vms[0].name[0] = 0;
	expect_one(0, MULL_FIELD_NAME, words);
	fresh(state);
	vms[0].name[1] = 'E';
	expect_one(0, MULL_FIELD_NAME, words);
	fresh(state);
	memset(vms[1].name, 'a', MULL_NAME_MAX);
	expect_one(1, MULL_FIELD_NAME, words);
	fresh(state);
	memset(vms[1].name, 'a', MULL_NAME_MAX - 1);
	assert_int_equal(check(2), 0);
	strcpy(vms[1].name, "web");
	expect_one(1, MULL_FIELD_NAME, "another VM has this name already");
	fresh(state);
	strcpy(vms[1].name, "we");
	assert_int_equal(check(2), 0);
}

static void memory(void **state)
{
	vms[0].memory_size = 0;
	expect_one(0, MULL_FIELD_MEMORY,
		   "memory of 0 bytes is not a multiple of 2 MiB, at least "
		   "one");
	fresh(state);
	vms[0].memory_size = MIB(3);
	expect_one(0, MULL_FIELD_MEMORY,
		   "memory of 3 MiB is not a multiple of 2 MiB, at least one");
	fresh(state);
	vms[1].memory_size = MIB(66);
	expect_one(1, MULL_FIELD_MEMORY,
		   "needs 66 MiB of memory, but only 64 MiB are left for it");
	fresh(state);
	/* no sum of sizes overflows */
	vms[0].memory_size = vms[1].memory_size = 0ull - MIB(2);
	assert_int_equal(check(2), 2);
	fresh(state);
	limits.memory_free = 0;
	vms[0].memory_size = GIB(1) << 20;
	assert_int_equal(check(2), 0);
}

static void cpus(void **state)
{
	vms[1].cpus[1] = 4;
	expect_one(1, MULL_FIELD_CPUS,
		   "needs CPU 4, but the machine has 4 (from 0)");
	fresh(state);
	vms[0].vcpu_count = 0;
	expect_one(0, MULL_FIELD_CPUS, "the number of vCPUs is not 1 to 64");
	fresh(state);
	vms[0].vcpu_count = 65;
	expect_one(0, MULL_FIELD_CPUS, "the number of vCPUs is not 1 to 64");
	fresh(state);
	machine.cpu_count = 0;
	limits.cpu_count = 0;
	vms[0].cpus[0] = 256;
	expect_one(0, MULL_FIELD_CPUS,
		   "needs CPU 256, but the highest possible is 255");
	fresh(state);
	limits.cpu_count = 3;
	expect_one(1, MULL_FIELD_CPUS,
		   "needs CPU 3, but the machine has 3 (from 0)");
}

static void shared_cpus(void **state)
{
	vms[1].cpus[0] = 1;
	expect_one(1, MULL_FIELD_CPUS,
		   "uses CPU 1, and so does vm \"web\" "
		   "(the machine's share-cpus is not set)");
	fresh(state);
	vms[1].cpus[1] = 2;
	expect_one(1, MULL_FIELD_CPUS,
		   "uses CPU 2 for two of its vCPUs "
		   "(the machine's share-cpus is not set)");
	machine.flags = MULL_MACHINE_SHARE_CPUS;
	bad[1] = false;
	assert_int_equal(check(2), 0);
}

static void images(void **state)
{
	vms[0].kernel = MULL_NO_IMAGE;
	expect_one(0, MULL_FIELD_KERNEL, "has no kernel");
	fresh(state);
	vms[0].kernel = 6;
	expect_one(0, MULL_FIELD_KERNEL, "has no kernel");
	fresh(state);
	vms[0].kernel = 3;
	expect_one(0, MULL_FIELD_KERNEL, "the kernel's image is damaged");
	fresh(state);
	vms[0].kernel = 2;
	expect_one(0, MULL_FIELD_KERNEL,
		   "the kernel is neither a Linux bzImage nor a PVH, Multiboot "
		   "or ELF64 image");
	fresh(state);
	vms[0].kernel = 5;
	vms[0].initrd = MULL_NO_IMAGE;
	expect_one(0, MULL_FIELD_KERNEL, "firmware needs the platform pc");
	fresh(state);
	vms[0].kernel = 5;
	vms[0].flags |= MULL_VM_PLATFORM_PC;
	expect_one(0, MULL_FIELD_INITRD, "an initrd is of no use to firmware");
	vms[0].initrd = MULL_NO_IMAGE;
	assert_int_equal(check(2), 0);
	fresh(state);
	vms[0].initrd = 6;
	expect_one(0, MULL_FIELD_INITRD, "the initrd is not in the package");
	fresh(state);
	vms[0].initrd = 3;
	expect_one(0, MULL_FIELD_INITRD, "the initrd's image is damaged");
	fresh(state);
	vms[0].initrd = 0;
	expect_one(0, MULL_FIELD_INITRD,
		   "the initrd is an image of another kind");
	fresh(state);
	vms[0].kernel = 1;
	expect_one(0, MULL_FIELD_INITRD,
		   "an initrd is of no use to a guest of Mullion's own");
	fresh(state);
	vms[0].kernel = 1;
	vms[0].initrd = MULL_NO_IMAGE;
	assert_int_equal(check(2), 0);
}

static int fresh_with_modules(void **state)
{
	fresh(state);
	vms[0].kernel = 4;
	vms[0].module_count = 2;
	vms[0].modules[0] = (struct mull_module){ 2, "one" };
	vms[0].modules[1] = (struct mull_module){ 2, "" };
	return 0;
}

static void modules(void **state)
{
	assert_int_equal(check(2), 0);
	vms[0].module_count = MULL_MODULE_MAX + 1;
	expect_one(0, MULL_FIELD_MODULES, "has more than 4 modules");
	fresh_with_modules(state);
	vms[0].module_count = ~0u;
	expect_one(0, MULL_FIELD_MODULES, "has more than 4 modules");
	fresh_with_modules(state);
	vms[0].modules[1].image = 6;
	expect_one(0, MULL_FIELD_MODULES, "module 2 is not in the package");
	fresh_with_modules(state);
	vms[0].modules[1].image = 3;
	expect_one(0, MULL_FIELD_MODULES, "module 2's image is damaged");
	fresh_with_modules(state);
	vms[0].modules[0].image = 4;
	expect_one(0, MULL_FIELD_MODULES,
		   "module 1 is an image of another kind");
	fresh_with_modules(state);
	memset(vms[0].modules[1].words, 'x', sizeof vms[0].modules[1].words);
	expect_one(0, MULL_FIELD_MODULES,
		   "the command line of module 2 is longer than 123 bytes");
	fresh_with_modules(state);
	vms[0].modules[0].words[1] = 7;
	expect_one(0, MULL_FIELD_MODULES,
		   "the command line of module 1 holds control character 7");
	fresh_with_modules(state);
	vms[0].modules[3].words[123] = 1;
	expect_one(0, MULL_FIELD_MODULES,
		   "has something behind its last module");
	fresh_with_modules(state);
	vms[0].kernel = 0;
	expect_one(0, MULL_FIELD_MODULES,
		   "modules are of use to a PVH or Multiboot kernel only");
}

static void texts_and_policies(void **state)
{
	memset(vms[0].command_line, 'x', MULL_COMMAND_LINE_MAX);
	expect_one(0, MULL_FIELD_COMMAND_LINE,
		   "the command line is longer than 2047 bytes");
	fresh(state);
	vms[0].command_line[3] = '\n';
	expect_one(0, MULL_FIELD_COMMAND_LINE,
		   "the command line holds control character 10");
	fresh(state);
	vms[0].on_poweroff = 0;
	expect_one(0, MULL_FIELD_POLICY,
		   "on-poweroff is neither stop nor restart");
	fresh(state);
	vms[0].on_reset = 3;
	expect_one(0, MULL_FIELD_POLICY,
		   "on-reset is neither stop nor restart");
	fresh(state);
	vms[0].on_crash = 9;
	expect_one(0, MULL_FIELD_POLICY,
		   "on-crash is neither stop nor restart");
	fresh(state);
	vms[0].console_size = KIB(12);
	expect_one(0, MULL_FIELD_CONSOLE,
		   "console of 12 KiB is not a power of two from 4 KiB to 2 "
		   "MiB");
	fresh(state);
	vms[0].console_size = MIB(4);
	assert_int_equal(check(2), 1);
	fresh(state);
	vms[0].console_size = 2048;
	assert_int_equal(check(2), 1);
	fresh(state);
	vms[0].watchdog = 255;
	assert_int_equal(check(2), 0);
	fresh(state);
	vms[0].watchdog = 256;
	expect_one(0, MULL_FIELD_WATCHDOG,
		   "a watchdog of 256 s waits longer than 255 s");
	fresh(state);
	vms[0].flags |= 16;
	expect_one(0, MULL_FIELD_FLAGS,
		   "asks for something that this version does not know");
	fresh(state);
	vms[1].reserved = 1;
	expect_one(1, MULL_FIELD_FLAGS,
		   "asks for something that this version does not know");
}

static void sockets(void **state)
{
	vms[0].vsock = vms[1].vsock = 7;
	expect_one(1, MULL_FIELD_VSOCK,
		   "has context identifier 7, and so has vm \"web\"");
	fresh(state);
	vms[0].vsock = 3;
	vms[1].vsock = 0xfffffffe;
	memcpy(vms[1].vsock_group, "all", 4);
	assert_int_equal(check(2), 0);
	memset(vms[1].vsock_group, 'a', MULL_LABEL_MAX); /* has no end */
	assert_int_equal(check(2), 1);
}

static void elastic_memory_has_a_least(void **state)
{
	fresh(state);
	vms[0].flags |= MULL_VM_ELASTIC;
	vms[0].memory_least = 1;
	assert_int_equal(check(2), 0);
	vms[0].memory_least = 0;
	expect_one(0, MULL_FIELD_MEMORY,
		   "the least of its memory, 0 times 2 MiB, is none or more "
		   "than all of it");
	fresh(state);
	vms[0].flags |= MULL_VM_ELASTIC;
	vms[0].memory_least = vms[0].memory_size / FRAME_SIZE + 1;
	assert_int_equal(check(2), 1);
	assert_true(bad[0]);
	fresh(state);
	vms[1].memory_least = 1;
	expect_one(1, MULL_FIELD_MEMORY,
		   "has a least memory, but no balloon that could take any");
	fresh(state);
	vms[0].flags |= MULL_VM_ELASTIC;
	vms[0].memory_least = 1;
	vms[0].memory_size = MULL_ELASTIC_MAX + FRAME_SIZE;
	expect_one(0, MULL_FIELD_MEMORY, "elastic memory has 64 GiB at most");
}

static struct mull_shared *share(uint32_t vm, uint32_t index, const char *name,
				 uint64_t size)
{
	struct mull_shared *shared = &vms[vm].shared[index];

	strcpy(shared->name, name);
	shared->size = size;
	return shared;
}

static void shared_memory(void **state)
{
	static const uint64_t sizes[] = { 0,	   KIB(2),
					  KIB(12), MIB(64) + KIB(4),
					  MIB(96), MIB(128),
					  BIT(63), ~0ull };
	static const char no_name[] =
		"a shared memory's name is not 1 to 15 of "
		"a-z, 0-9 and -";

	limits.memory_free = MIB(128 + 2 + 64);
	share(0, 0, "ring", KIB(64))->flags = MULL_SHARED_WRITE;
	share(0, 1, "abcdefghijklmno", KIB(4));
	share(1, 0, "large", MIB(64));
	share(1, 1, "ring", KIB(64));
	expect_one(1, MULL_FIELD_MEMORY,
		   "needs 128 MiB of memory, but only 126 MiB are left for it");
	story[0] = 0;
	bad[1] = false;
	limits.memory_free += MIB(2);
	assert_int_equal(check(2), 0);
	assert_int_equal(mull_memory_needed(vms, 2), limits.memory_free);
	share(1, 1, "ring", KIB(32));
	expect_one(1, MULL_FIELD_SHARED,
		   "shared memory \"ring\" has another size than for vm "
		   "\"web\"");
	for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
		fresh(state);
		share(1, 0, "ring", sizes[i]);
		limits.memory_free = 0;
		assert_int_equal(check(2), 1);
		assert_non_null(strstr(story, "is not a power of two from 4 "
					      "KiB to 64 MiB"));
	}
	fresh(state);
	memset(share(0, 0, "", KIB(64))->name, 'x', MULL_LABEL_MAX);
	memset(share(1, 0, "", KIB(32))->name, 'x', MULL_LABEL_MAX);
	limits.memory_free = 0;
	assert_int_equal(check(2), 2);
	assert_non_null(strstr(story, no_name));
	fresh(state);
	limits.memory_free = 0;
	share(0, 0, "Ring", KIB(64));
	expect_one(0, MULL_FIELD_SHARED, no_name);
	fresh(state);
	limits.memory_free = 0;
	share(0, 0, "ring", KIB(64));
	share(0, 1, "ring", KIB(64));
	expect_one(0, MULL_FIELD_SHARED, "names shared memory \"ring\" twice");
	fresh(state);
	share(0, 1, "ring", KIB(64));
	expect_one(0, MULL_FIELD_SHARED,
		   "names shared memory behind the end of the list");
	fresh(state);
	limits.memory_free = 0;
	share(0, 0, "ring", KIB(64))->flags = 2;
	expect_one(0, MULL_FIELD_FLAGS,
		   "asks of shared memory what this version does not know");
}

/* Firmware chooses places for BARs, and the memory's cannot be moved. */
static void shared_memory_beside_firmware(void **state)
{
	(void)state;
	share(0, 0, "ring", KIB(64));
	vms[0].kernel = 5;
	vms[0].initrd = MULL_NO_IMAGE;
	vms[0].flags |= MULL_VM_PLATFORM_PC;
	expect_one(0, MULL_FIELD_SHARED,
		   "has firmware, which would put other devices where shared "
		   "memory lies");
}

static void networks(void **state)
{
	static const uint8_t given[] = { 2, 0, 0, 0, 0, 1 };
	uint8_t mac[6], again[6];

	strcpy(vms[0].nics[0].network, "lan");
	strcpy(vms[0].nics[1].network, "lan");
	strcpy(vms[1].nics[0].network, "lan");
	assert_int_equal(check(2), 0);
	assert_int_equal(mull_nic_count(&vms[0]), 2);
	mull_nic_mac(&vms[0], 0, mac);
	assert_int_equal(mac[0], 2); /* local, and of one device */
	mull_nic_mac(&vms[0], 1, again);
	assert_memory_not_equal(mac, again, 6);
	mull_nic_mac(&vms[1], 0, again);
	assert_memory_not_equal(mac, again, 6);

	memcpy(vms[0].nics[1].mac, given, 6);
	memcpy(vms[1].nics[0].mac, given, 6);
	expect_one(1, MULL_FIELD_NETWORKS,
		   "has MAC 02:00:00:00:00:01 on network \"lan\", and so has "
		   "vm \"web\"");
	bad[1] = false;
	story[0] = 0;
	strcpy(vms[1].nics[0].network, "la"); /* which is another one */
	assert_int_equal(check(2), 0);
	memcpy(vms[0].nics[0].mac, given, 6);
	expect_one(0, MULL_FIELD_NETWORKS,
		   "has MAC 02:00:00:00:00:01 twice on network \"lan\"");
	fresh(state);
	strcpy(vms[1].nics[0].network, "lan");
	vms[1].nics[0].mac[0] = 3;
	expect_one(1, MULL_FIELD_NETWORKS,
		   "MAC 03:00:00:00:00:00 is that of a group");
	fresh(state);
	strcpy(vms[0].nics[0].network, "Lan");
	expect_one(0, MULL_FIELD_NETWORKS,
		   "the name of network 1 is not 1 to 15 of a-z, 0-9 and -");
	fresh(state);
	memset(vms[0].nics[0].network, 'a', MULL_LABEL_MAX);
	assert_int_equal(check(2), 1);
	fresh(state);
	strcpy(vms[0].nics[1].network, "lan");
	expect_one(0, MULL_FIELD_NETWORKS, "network 1 has no name");
	fresh(state);
	strcpy(vms[0].nics[0].network, "lan");
	vms[0].nics[0].reserved = 1;
	expect_one(0, MULL_FIELD_NETWORKS,
		   "network \"lan\" asks for something that this version does "
		   "not know");
}

/* The first VM is bad, so the second may have its name, CPUs and memory. */
static void bad_ones_take_nothing(void **state)
{
	(void)state;
	limits.memory_free = MIB(64);
	vms[1] = vms[0];
	vms[0].console_size = 0;
	expect_one(0, MULL_FIELD_CONSOLE,
		   "console of 0 bytes is not a power of two from 4 KiB to 2 "
		   "MiB");
	fresh(state);
	vms[1] = vms[0];
	vms[0].console_size = 0;
	limits.memory_free = MIB(64);
	limits.bad_ones_count = true;
	assert_int_equal(check(2), 1 + 1 + 2 + 1);
}

static void known_bad_ones_are_passed_over(void **state)
{
	(void)state;
	memset(&vms[0], 0xff, sizeof vms[0]);
	bad[0] = true;
	assert_int_equal(check(2), 0);
}

static void machine_mistakes(void **state)
{
	static const struct {
		struct mull_machine machine;
		const char *words;
	} rows[] = {
		{ { .cpu_count = 257 }, "-1/9: more than 256 CPUs\n" },
		{ { .cpu_count = 5 },
		  "-1/9: counts on more CPUs than the 4 that are there\n" },
		{ { .service_cpu = 4 },
		  "-1/11: there is no CPU 4 to serve the management "
		  "channel\n" },
		{ { .cpu_count = 2, .service_cpu = 2 },
		  "-1/11: there is no CPU 2 to serve the management "
		  "channel\n" },
		{ { .serial_mode = 3 }, "-1/12: serial mode 3 is not known\n" },
		{ { .serial_port = 65536 },
		  "-1/12: serial port 65536 is not a multiple of 8 below "
		  "65536\n" },
		{ { .serial_port = 0x3f9 },
		  "-1/12: serial port 1017 is not a multiple of 8 below "
		  "65536\n" },
		{ { .serial_baud = 110000 },
		  "-1/12: serial rate 110000 is not 115200 divided by a whole "
		  "number\n" },
		{ { .flags = 2 },
		  "-1/13: asks for something that this version does not "
		  "know\n" },
		{ { .mitigations = 3 },
		  "-1/14: mitigations 3 are not known\n" },
		{ { .port = 1 }, "-1/23: the channel has no address\n" },
		{ { .key = { 1 } }, "-1/23: the channel has no address\n" },
		{ { .address = 0x0a000001, .key = { 1 } },
		  "-1/23: the channel has an address, but the machine has no "
		  "uplink\n" },
		{ { .gateway = 0x0a000001 },
		  "-1/13: asks for something that this version does not "
		  "know\n" },
		{ { .reserved = { [5] = 1 } },
		  "-1/13: asks for something that this version does not "
		  "know\n" },
	};

	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		fresh(state);
		assert_int_equal(mull_check_machine(&rows[i].machine, &limits,
						    on_complaint, NULL),
				 1);
		assert_string_equal(story, rows[i].words);
	}
}

/* A package of random bytes reads nothing outside its records. */
static void noise_is_survived(void **state)
{
	uint64_t seed = 1;

	(void)state;
	for (int round = 0; round < 2000; round++) {
		uint8_t *bytes = (uint8_t *)vms;

		for (size_t i = 0; i < sizeof vms; i++) {
			seed = seed * 6364136223846793005u + 1;
			bytes[i] = (uint8_t)(seed >> 60);
		}
		story[0] = 0;
		memset(bad, 0, sizeof bad);
		limits.bad_ones_count = round & 1;
		assert_true(check(3) >= 3);
		assert_true(bad[0] && bad[1] && bad[2]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(good_ones_pass, fresh),
		cmocka_unit_test_setup(names, fresh),
		cmocka_unit_test_setup(memory, fresh),
		cmocka_unit_test_setup(cpus, fresh),
		cmocka_unit_test_setup(shared_cpus, fresh),
		cmocka_unit_test_setup(images, fresh),
		cmocka_unit_test_setup(modules, fresh_with_modules),
		cmocka_unit_test_setup(texts_and_policies, fresh),
		cmocka_unit_test_setup(sockets, fresh),
		cmocka_unit_test_setup(elastic_memory_has_a_least, fresh),
		cmocka_unit_test_setup(shared_memory, fresh),
		cmocka_unit_test_setup(shared_memory_beside_firmware, fresh),
		cmocka_unit_test_setup(networks, fresh),
		cmocka_unit_test_setup(bad_ones_take_nothing, fresh),
		cmocka_unit_test_setup(known_bad_ones_are_passed_over, fresh),
		cmocka_unit_test_setup(machine_mistakes, fresh),
		cmocka_unit_test_setup(noise_is_survived, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
