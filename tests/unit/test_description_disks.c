/* SPDX-License-Identifier: MIT */
/* A VM with two good disks, on which each test makes one mistake. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <mullion/bits.h>
#include <mullion/description.h>
#include <stdio.h>
#include <string.h>

static struct mull_machine machine = { .cpu_count = 1 };
static struct mull_vm vm;
static struct mull_limits limits;
static const uint32_t kinds[] = { MULL_IMAGE_ELF64, MULL_IMAGE_DISK, 0 };
static char story[1024];
static bool bad;

static void on_complaint(void *context, int index, enum mull_field field,
			 const char *words)
{
	size_t length = strlen(story);

	(void)context;
	assert_int_equal(index, 0);
	snprintf(story + length, sizeof story - length, "%d: %s\n", field,
		 words);
}

static int fresh(void **state)
{
	(void)state;
	limits = (struct mull_limits){ .cpu_count = 1, .memory_free = MIB(16) };
	vm = (struct mull_vm){ .name = "web",
			       .memory_size = MIB(4),
			       .vcpu_count = 1,
			       .kernel = 0,
			       .initrd = MULL_NO_IMAGE,
			       .on_poweroff = MULL_END_STOP,
			       .on_reset = MULL_END_RESTART,
			       .on_crash = MULL_END_STOP,
			       .console_size = KIB(64) };
	vm.disks[0] = (struct mull_disk){ .kind = MULL_DISK_MEMORY,
					  .flags = MULL_DISK_PRIVATE,
					  .image = 1,
					  .room = MIB(12) };
	vm.disks[1] = (struct mull_disk){ .kind = MULL_DISK_MEMORY,
					  .flags = MULL_DISK_READ_ONLY,
					  .image = 1 };
	return 0;
}

static size_t check(void)
{
	story[0] = 0;
	bad = false;
	return mull_check_vms(&machine, &vm, 1, kinds, ARRAY_COUNT(kinds),
			      &limits, &bad, on_complaint, NULL);
}

static void expect_one(enum mull_field field, const char *words)
{
	char expected[256];

	snprintf(expected, sizeof expected, "%d: %s\n", field, words);
	assert_int_equal(check(), 1);
	assert_string_equal(story, expected);
	assert_true(bad);
	fresh(NULL);
}

static void expect_disk(const char *words)
{
	expect_one(MULL_FIELD_DISKS, words);
}

static void good_ones_pass(void **state)
{
	(void)state;
	assert_int_equal(check(), 0);
	for (uint32_t i = 0; i < MULL_DISK_MAX; i++)
		vm.disks[i] = vm.disks[1];
	assert_int_equal(check(), 0);
	vm.disks[0].room = MIB(4);
	vm.disks[0].flags = MULL_DISK_PRIVATE;
	assert_int_equal(check(), 0);
}

static void images(void **state)
{
	(void)state;
	vm.disks[0].image = 3;
	expect_disk("disk 0 has no image");
	vm.disks[1].image = MULL_NO_IMAGE;
	expect_disk("disk 1 has no image");
	vm.disks[1].image = 2;
	expect_disk("the image of disk 1 is damaged");
	vm.disks[0].image = 0;
	expect_disk("disk 0 is an image of another kind");
}

static void accesses(void **state)
{
	static const uint32_t wrong[] = { 0, 4, MULL_DISK_PRIVATE | 4, 1u << 31,
					  MULL_DISK_PRIVATE |
						  MULL_DISK_READ_ONLY };

	(void)state;
	for (uint32_t i = 0; i < ARRAY_COUNT(wrong); i++) {
		vm.disks[0].flags = wrong[i];
		vm.disks[0].room = wrong[i] & MULL_DISK_PRIVATE ? MIB(4) : 0;
		expect_disk("disk 0 is neither read-only nor private");
	}
}

static void rooms(void **state)
{
	static const struct {
		uint64_t room;
		const char *size;
	} wrong[] = { { 0, "0 bytes" },
		      { MIB(2), "2 MiB" },
		      { MIB(5), "5 MiB" },
		      { MIB(4) + 512, "4194816 bytes" } };
	char words[128];

	(void)state;
	for (uint32_t i = 0; i < ARRAY_COUNT(wrong); i++) {
		vm.disks[0].room = wrong[i].room;
		snprintf(words, sizeof words,
			 "disk 0 has room for %s of changes, which is not a "
			 "multiple of 2 MiB, at least two",
			 wrong[i].size);
		expect_disk(words);
	}
	vm.disks[1].room = MIB(2);
	vm.disks[0].room = MIB(4);
	expect_disk("disk 1 has room for changes, but needs none");
}

/* They are taken from the same memory as the VM's own. */
static void rooms_are_memory(void **state)
{
	(void)state;
	vm.disks[0].room = MIB(14);
	expect_one(MULL_FIELD_MEMORY,
		   "needs 18 MiB of memory, but only 16 MiB are left for it");
	vm.memory_size = MIB(6);
	expect_one(MULL_FIELD_MEMORY,
		   "needs 18 MiB of memory, but only 16 MiB are left for it");
	vm.disks[0].room = 0ull - MIB(2);
	assert_int_equal(mull_vm_memory(&vm), UINT64_MAX);
	assert_int_equal(check(), 1);
	/* Nor is that in order where nobody knows how much there is: their
	 * frames are numbered by 32 bits. */
	limits.memory_free = 0;
	expect_one(MULL_FIELD_MEMORY, "needs more memory than there can be");
	limits.memory_free = 0;
	vm.disks[1] = vm.disks[0];
	vm.disks[0].room = vm.disks[1].room = 1ull << 52;
	expect_one(MULL_FIELD_MEMORY, "needs more memory than there can be");
}

static void what_is_not_known(void **state)
{
	(void)state;
	vm.disks[1].kind = 99;
	expect_disk("disk 1 is of kind 99, which is not known");
	vm.disks[0].reserved = 1;
	expect_disk("disk 0 asks for something that this version does not "
		    "know");
	vm.disks[1].more[5] = 1;
	expect_disk("disk 1 asks for something that this version does not "
		    "know");
	vm.disks[0].partition[0] = 'x';
	expect_disk("disk 0 is of memory, but names a partition");
	vm.disks[1].overlay[MULL_PARTITION_MAX - 1] = 'x';
	expect_disk("disk 1 is of memory, but names a partition");
}

static struct mull_disk partition(const char *name, uint32_t flags)
{
	struct mull_disk disk = { .kind = MULL_DISK_PARTITION, .flags = flags };

	disk.room = flags & MULL_DISK_PRIVATE ? MIB(4) : 0;
	strcpy(disk.partition, name);
	return disk;
}

static void bases_are_only_read(void **state)
{
	(void)state;
	vm.disks[0] = partition("base", MULL_DISK_PRIVATE);
	vm.disks[1] = partition("base", MULL_DISK_READ_ONLY);
	assert_int_equal(check(), 0);
	vm.disks[1] = partition("base", 0);
	expect_disk("disk 1 is partition \"base\", which the same vm \"web\" "
		    "has, too, and one of them writes it");
	vm.disks[0] = partition("base",
				MULL_DISK_PRIVATE | MULL_DISK_READ_ONLY);
	expect_disk("disk 0 is a partition, and can only be read-write, "
		    "read-only or private");
	vm.disks[0] = partition("base", MULL_DISK_PRIVATE);
	vm.disks[0].room = MIB(2);
	expect_disk("disk 0 has room for 2 MiB of changes, which is not a "
		    "multiple of 2 MiB, at least two");
}

static struct mull_disk over(const char *base, const char *name)
{
	struct mull_disk disk = partition(base, MULL_DISK_PRIVATE);

	disk.room = 0;
	strcpy(disk.overlay, name);
	return disk;
}

static void expect_clash(struct mull_disk one, struct mull_disk other,
			 const char *words)
{
	vm.disks[0] = one;
	vm.disks[1] = other;
	expect_disk(words);
}

static void overlays_are_their_vms_own(void **state)
{
	static const char words[] =
		"disk 1 is partition \"changes\", which the same vm \"web\" "
		"has, too, and one of them writes it";
	const struct mull_disk good = over("base", "changes");
	const struct mull_disk none = partition("other", 0);
	struct mull_disk wrong = good;

	(void)state;
	vm.disks[0] = good;
	vm.disks[1] = over("base", "others");
	assert_int_equal(check(), 0);
	expect_clash(good, over("base", "changes"), words);
	expect_clash(good, partition("changes", MULL_DISK_READ_ONLY), words);
	expect_clash(good, over("changes", "others"), words);
	expect_clash(partition("changes", 0), good, words);
	expect_clash(good, partition("base", 0),
		     "disk 1 is partition \"base\", which the same vm \"web\" "
		     "has, too, and one of them writes it");
	expect_clash(over("base", "base"), none,
		     "disk 0 has its base \"base\" as its overlay, too");
	wrong.flags = MULL_DISK_READ_ONLY;
	expect_clash(wrong, none, "disk 0 has an overlay, but is not private");
	wrong = good;
	wrong.room = MIB(4);
	expect_clash(wrong, none,
		     "disk 0 has room for changes, but needs none");
	wrong = good;
	memset(wrong.overlay, 'x', sizeof wrong.overlay);
	expect_clash(wrong, none,
		     "the overlay of disk 0 has no name of 1 to 39 printable "
		     "characters");
	wrong = over("base", "");
	wrong.overlay[3] = 'x';
	wrong.room = MIB(4);
	expect_clash(wrong, none,
		     "the overlay of disk 0 has no name of 1 to 39 printable "
		     "characters");
}

static void the_first_that_is_none_ends_the_list(void **state)
{
	(void)state;
	vm.disks[2].more[5] = 1;
	expect_disk("there is something behind the last disk");
	vm.disks[3] = vm.disks[1];
	expect_disk("there is something behind the last disk");
	vm.disks[0] = (struct mull_disk){ 0 };
	expect_disk("there is something behind the last disk");
	vm.disks[0] = vm.disks[1] = (struct mull_disk){ 0 };
	assert_int_equal(check(), 0);
}

static void rooms_hold_a_map_and_the_changes(void **state)
{
	(void)state;
	assert_int_equal(mull_disk_room(512, 512), MIB(4));
	assert_int_equal(mull_disk_room(MIB(64), MIB(64)), MIB(66));
	assert_int_equal(mull_disk_room(MIB(64), MIB(64) + 1), MIB(68));
	/* 2 GiB have as many blocks as a frame has places. */
	assert_int_equal(mull_disk_room(GIB(2) - 512, MIB(2)), MIB(4));
	assert_int_equal(mull_disk_room(GIB(2) + 512, MIB(2)), MIB(6));
	/* However much is asked for, it does not become little. */
	for (uint64_t size = MIB(1); size <= GIB(16); size *= 2)
		for (uint64_t less = 0; less < MIB(32); less += MIB(1))
			assert_true(mull_disk_room(size, UINT64_MAX - less) >=
				    1ull << 63);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(good_ones_pass, fresh),
		cmocka_unit_test_setup(images, fresh),
		cmocka_unit_test_setup(accesses, fresh),
		cmocka_unit_test_setup(rooms, fresh),
		cmocka_unit_test_setup(rooms_are_memory, fresh),
		cmocka_unit_test_setup(what_is_not_known, fresh),
		cmocka_unit_test_setup(bases_are_only_read, fresh),
		cmocka_unit_test_setup(overlays_are_their_vms_own, fresh),
		cmocka_unit_test_setup(the_first_that_is_none_ends_the_list,
				       fresh),
		cmocka_unit_test_setup(rooms_hold_a_map_and_the_changes, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
