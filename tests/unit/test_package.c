/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <mullion/bits.h>
#include <mullion/crc32.h>
#include <mullion/package_reader.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEADER 592
#define VMS 3
#define IMAGES 3
#define SIZE (5 * 4096 + 104)

/* A good package of three VMs, on which each test makes one mistake. */
static struct {
	struct mull_package_header header;
	struct mull_vm vms[VMS];
	struct mull_image images[IMAGES];
	uint8_t rest[SIZE - HEADER - VMS * 3600 - IMAGES * 96];
} file;

static struct package package;
static const struct mull_limits limits = { .cpu_count = 4 };
static char story[8192];

static void tell(void *context, const char *words)
{
	size_t length = strlen(story);

	(void)context;
	snprintf(story + length, sizeof story - length, "%s\n", words);
}

#define RENEW_CRC(record) \
	((record)->crc = 0, \
	 (record)->crc = crc32_ieee(0, (record), sizeof *(record)))

static void good_vm(struct mull_vm *vm, const char *name, uint16_t cpu)
{
	*vm = (struct mull_vm){ .memory_size = MIB(64),
				.vcpu_count = 1,
				.initrd = MULL_NO_IMAGE,
				.on_poweroff = MULL_END_STOP,
				.on_reset = MULL_END_RESTART,
				.on_crash = MULL_END_STOP,
				.console_size = KIB(64),
				.cpus = { cpu } };
	strcpy(vm->name, name);
	RENEW_CRC(vm);
}

static void good_image(struct mull_image *image, const char *name,
		       uint32_t kind, uint64_t offset, uint64_t size)
{
	*image = (struct mull_image){ .kind = kind,
				      .offset = offset,
				      .size = size };
	strcpy(image->name, name);
	RENEW_CRC(image);
}

static int fresh(void **state)
{
	(void)state;
	memset(&file, 0, sizeof file);
	file.header = (struct mull_package_header){
		.magic = MULL_PACKAGE_MAGIC,
		.version = MULL_PACKAGE_VERSION,
		.header_size = sizeof file.header,
		.total_size = SIZE,
		.vm_offset = sizeof file.header,
		.image_offset = sizeof file.header + sizeof file.vms,
		.vm_count = VMS,
		.vm_size = sizeof file.vms[0],
		.image_count = IMAGES,
		.image_size = sizeof file.images[0],
		.machine = { .service_cpu = 1, .serial_port = 0x2f8 },
	};
	RENEW_CRC(&file.header);
	good_vm(&file.vms[0], "web", 0);
	good_vm(&file.vms[1], "db", 1);
	good_vm(&file.vms[2], "timer", 2);
	file.vms[1].kernel = 1;
	file.vms[0].initrd = 2;
	RENEW_CRC(&file.vms[0]);
	RENEW_CRC(&file.vms[1]);
	good_image(&file.images[0], "vmlinuz", MULL_IMAGE_BZIMAGE, 12288, 4096);
	good_image(&file.images[1], "counter.elf", MULL_IMAGE_ELF64, 16384, 1);
	good_image(&file.images[2], "initrd.gz", MULL_IMAGE_INITRD, 20480, 104);
	return 0;
}

/* From a copy of the exact size, so that a read behind it is found. */
static enum error read_part(uint64_t size)
{
	uint8_t *bytes = malloc(size ? size : 1);
	enum error error;

	memcpy(bytes, &file, size);
	story[0] = 0;
	error = package_read(&package, bytes, size, &limits, tell, NULL);
	free(bytes);
	return error;
}

static enum error read_all(void)
{
	return read_part(sizeof file);
}

static void assert_told(const char *words)
{
	if (!strstr(story, words))
		fail_msg("\"%s\" is not in:\n%s", words, story);
}

static void good_package_has_no_complaint(void **state)
{
	struct load_image image;

	(void)state;
	assert_int_equal(sizeof file, SIZE);
	assert_int_equal(read_all(), ERR_NONE);
	assert_string_equal(story, "");
	assert_int_equal(package.vm_count, VMS);
	assert_int_equal(package.image_count, IMAGES);
	assert_string_equal(package.vms[1].name, "db");
	assert_int_equal(package.machine.serial_port, 0x2f8);
	for (int i = 0; i < VMS; i++)
		assert_string_equal(package.vm_words[i], "");
	image = package_image(&package, 1);
	assert_ptr_equal(image.bytes, package.bytes + 16384);
	assert_ptr_equal(image.record, &package.images[1]);
}

static void no_image_has_no_record(void **state)
{
	(void)state;
	assert_int_equal(read_all(), ERR_NONE);
	assert_null(package_image(&package, MULL_NO_IMAGE).record);
	assert_null(package_image(&package, IMAGES).bytes);
}

static void every_truncation_is_survived(void **state)
{
	(void)state;
	for (uint64_t size = 0; size < sizeof file; size++) {
		enum error error = read_part(size);

		assert_string_not_equal(story, "");
		assert_int_equal(error,
				 size < HEADER + VMS * 3600 + IMAGES * 96 ?
					 ERR_TRUNCATED :
					 ERR_NONE);
	}
	/* Of the last one a byte was missing in one image of one VM. */
	assert_string_equal(package.vm_words[0],
			    "the initrd's image is damaged");
	assert_string_equal(package.vm_words[1], "");
	assert_string_equal(package.image_words[2],
			    "ends at byte 20584, but the package has 20583");
	assert_null(package_image(&package, 2).bytes);
	assert_non_null(package_image(&package, 2).record);
	assert_told("image \"initrd.gz\": ends at byte 20584");
	assert_told("vm \"web\": the initrd's image is damaged");
	assert_told("package: ends at byte 20583, but 20584 were packed");
}

static void truncated_header_gives_no_vms(void **state)
{
	(void)state;
	assert_int_equal(read_part(11000), ERR_TRUNCATED);
	assert_int_equal(package.vm_count, 0);
	assert_int_equal(package.image_count, 0);
}

/* The order of the tables is the packer's matter. */
static void truncation_within_vms_at_the_end_is_found(void **state)
{
	const uint64_t images = HEADER + sizeof file.vms;

	(void)state;
	file.header.vm_offset = 16400;
	file.header.image_offset = HEADER;
	file.header.vm_count = 1;
	file.header.image_count = 1;
	RENEW_CRC(&file.header);
	memcpy((uint8_t *)&file + 16400, &file.vms[2], sizeof file.vms[2]);
	memcpy((uint8_t *)&file + HEADER, (uint8_t *)&file + images,
	       sizeof file.images[0]);
	assert_int_equal(read_all(), ERR_NONE);
	assert_string_equal(story, "");
	assert_int_equal(read_part(16400 + 3599), ERR_TRUNCATED);
}

static void bytes_behind_the_package_are_nobodys(void **state)
{
	(void)state;
	file.header.total_size -= 104;
	RENEW_CRC(&file.header);
	assert_int_equal(read_all(), ERR_NONE);
	assert_told("image \"initrd.gz\": ends at byte 20584, but the package "
		    "has 20480");
}

static void every_flipped_bit_of_the_records_is_found(void **state)
{
	const size_t records = HEADER + VMS * 3600 + IMAGES * 96;

	(void)state;
	for (size_t i = 0; i < records; i++) {
		((uint8_t *)&file)[i] ^= (uint8_t)(1u << i % 8);
		read_all();
		assert_string_not_equal(story, "");
		((uint8_t *)&file)[i] ^= (uint8_t)(1u << i % 8);
	}
}

static void damage_to_one_vm_leaves_the_others(void **state)
{
	(void)state;
	file.vms[1].memory_size = 5; /* no complaint of its own */
	assert_int_equal(read_all(), ERR_NONE);
	assert_string_equal(story,
			    "vm \"db\": its record is damaged (CRC-32)\n");
	assert_string_equal(package.vm_words[0], "");
	assert_string_equal(package.vm_words[1],
			    "its record is damaged (CRC-32)");
	assert_string_equal(package.vm_words[2], "");
}

static void damaged_image_costs_its_vms_only(void **state)
{
	(void)state;
	file.images[1].sha256[3] ^= 1;
	assert_int_equal(read_all(), ERR_NONE);
	assert_told("image \"counter.elf\": its record is damaged (CRC-32)");
	assert_told("vm \"db\": the kernel's image is damaged");
	assert_string_equal(package.vm_words[0], "");
	assert_string_equal(package.vm_words[2], "");
}

static void first_complaint_becomes_the_words_of_the_vm(void **state)
{
	(void)state;
	file.vms[2].memory_size = 5;
	file.vms[2].kernel = 77;
	RENEW_CRC(&file.vms[2]);
	assert_int_equal(read_all(), ERR_NONE);
	assert_string_equal(package.vm_words[2],
			    "memory of 5 bytes is not a multiple of 2 MiB, at "
			    "least one");
	assert_told("vm \"timer\": has no kernel");
}

static void hostile_names_are_shown_harmless(void **state)
{
	(void)state;
	memset(file.vms[0].name, 'a', MULL_NAME_MAX);
	file.vms[0].name[0] = '\033';
	RENEW_CRC(&file.vms[0]);
	memset(file.images[2].name, 'b', MULL_NAME_MAX);
	RENEW_CRC(&file.images[2]);
	memset(file.vms[2].name, 0, MULL_NAME_MAX);
	RENEW_CRC(&file.vms[2]);
	assert_int_equal(read_all(), ERR_NONE);
	assert_told("vm \"?aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\": the name");
	assert_string_equal(package.vms[0].name,
			    "?aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
	assert_told("image \"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\": its name");
	assert_told("vm number 2: the name");
	assert_int_equal(strlen(package.images[2].name), MULL_NAME_MAX - 1);
}

#define HEADER_CASE(field, value, error) \
	do { \
		fresh(NULL); \
		file.header.field = (value); \
		RENEW_CRC(&file.header); \
		assert_int_equal(read_all(), error); \
		assert_string_not_equal(story, ""); \
		assert_int_equal(package.vm_count, 0); \
	} while (0)

static void header_fields_are_checked(void **state)
{
	const uint64_t images_end = HEADER + sizeof file.vms +
				    sizeof file.images;

	(void)state;
	HEADER_CASE(magic, 1, ERR_BAD_REQUEST);
	HEADER_CASE(version, MULL_PACKAGE_VERSION - 1, ERR_VERSION);
	HEADER_CASE(header_size, HEADER + 8, ERR_VERSION);
	HEADER_CASE(vm_count, 0, ERR_BAD_REQUEST);
	HEADER_CASE(vm_count, MULL_VM_MAX + 1, ERR_BAD_REQUEST);
	HEADER_CASE(vm_count, 0xffffffff, ERR_BAD_REQUEST);
	HEADER_CASE(vm_count, MULL_VM_MAX, ERR_BAD_REQUEST); /* too long */
	HEADER_CASE(image_count, 0, ERR_BAD_REQUEST);
	HEADER_CASE(image_count, MULL_IMAGE_MAX + 1, ERR_BAD_REQUEST);
	HEADER_CASE(vm_size, 3592, ERR_VERSION);
	HEADER_CASE(image_size, 0, ERR_VERSION);
	HEADER_CASE(reserved[8], 1, ERR_VERSION);
	HEADER_CASE(vm_offset, 0, ERR_BAD_REQUEST); /* over the header */
	HEADER_CASE(vm_offset, 244, ERR_BAD_REQUEST);
	HEADER_CASE(vm_offset, ~7ull, ERR_BAD_REQUEST);
	HEADER_CASE(vm_offset, SIZE - SIZE % 8, ERR_BAD_REQUEST);
	HEADER_CASE(image_offset, HEADER + sizeof file.vms + 4,
		    ERR_BAD_REQUEST);
	HEADER_CASE(image_offset, 232, ERR_BAD_REQUEST);
	HEADER_CASE(image_offset, 1ull << 63, ERR_BAD_REQUEST);
	/* On the last VM's last bytes, and VMs on the first image's. */
	HEADER_CASE(image_offset, HEADER + sizeof file.vms - 8,
		    ERR_BAD_REQUEST);
	HEADER_CASE(vm_offset, images_end - 8, ERR_BAD_REQUEST);
	HEADER_CASE(total_size, images_end - 1, ERR_BAD_REQUEST);
	HEADER_CASE(total_size, 0, ERR_BAD_REQUEST);
}

#define IMAGE_CASE(index, field, value, words) \
	do { \
		fresh(NULL); \
		file.images[index].field = (value); \
		RENEW_CRC(&file.images[index]); \
		assert_int_equal(read_all(), ERR_NONE); \
		assert_told(words); \
		assert_null(package_image(&package, index).bytes); \
	} while (0)

static void image_records_are_checked(void **state)
{
	(void)state;
	IMAGE_CASE(0, kind, 0, "image \"vmlinuz\": its kind is not known");
	IMAGE_CASE(0, kind, 9, "its kind is not known");
	IMAGE_CASE(0, reserved, 1, "asks for something");
	IMAGE_CASE(0, pad, 1, "asks for something");
	IMAGE_CASE(0, size, 0, "it is empty");
	IMAGE_CASE(0, offset, 12287, "multiple of 4096");
	IMAGE_CASE(0, offset, 0, "overlaps the package's header or records");
	IMAGE_CASE(0, offset, 4096, "overlaps the package's header or records");
	IMAGE_CASE(2, size, ~0ull, "its size is absurd");
	IMAGE_CASE(2, size, ~0ull - 20480, "ends at byte 18446744073709551615");
	IMAGE_CASE(2, offset, ~4095ull, "ends at byte 18446744073709547624");
	IMAGE_CASE(2, size, 105,
		   "ends at byte 20585, but the package has "
		   "20584");
	IMAGE_CASE(1, offset, 12288, "\"counter.elf\": it overlaps another");
	IMAGE_CASE(0, name[0], 0, "its name");
	IMAGE_CASE(0, name[2], '\n', "image \"vm?inuz\": its name");
}

static void later_of_two_overlapping_images_is_at_fault(void **state)
{
	(void)state;
	file.images[1].size = 4097;
	RENEW_CRC(&file.images[1]);
	assert_int_equal(read_all(), ERR_NONE);
	assert_told("image \"initrd.gz\": it overlaps another");
	assert_non_null(package_image(&package, 1).bytes);
	assert_null(package_image(&package, 2).bytes);
}

/* Told at fault, an image takes nothing from those behind it. */
static void bad_image_overlaps_nothing(void **state)
{
	(void)state;
	file.images[0].size = MIB(1);
	RENEW_CRC(&file.images[0]);
	assert_int_equal(read_all(), ERR_NONE);
	assert_told("image \"vmlinuz\": ends at byte 1060864");
	assert_null(strstr(story, "overlaps"));
}

/* VMs that have a part in them are refused, the others start. */
static void bad_schedules_are_dropped(void **state)
{
	struct mull_schedule *schedule = &file.header.machine.schedules[0];

	(void)state;
	*schedule = (struct mull_schedule){ .name = "normal",
					    .slot_count = 1,
					    .slots_us = { 1000 } };
	file.vms[1].slots[0] = 1;
	RENEW_CRC(&file.vms[1]);
	RENEW_CRC(&file.header);
	assert_int_equal(read_all(), ERR_NONE);
	assert_string_equal(package.machine.schedules[0].name, "normal");
	assert_string_equal(package.vm_words[1], "");
	schedule->slots_us[0] = 99;
	RENEW_CRC(&file.header);
	assert_int_equal(read_all(), ERR_NONE);
	assert_told("machine: schedule normal has a slot of less than 100 us");
	assert_int_equal(mull_schedule_count(&package.machine), 0);
	assert_string_equal(package.vm_words[0], "");
	assert_string_equal(package.vm_words[1],
			    "has a part in schedule 1, which the machine has "
			    "not, or has without that slot");
}

static void bad_machine_falls_back_to_defaults(void **state)
{
	(void)state;
	file.header.machine.service_cpu = 9;
	file.header.machine.cpu_count = 8;
	file.header.machine.serial_mode = 7;
	file.header.machine.serial_port = 0x3f9;
	file.header.machine.mitigations = 3;
	file.header.machine.uplink_nic = 1;
	memset(file.header.machine.uplink, 'a',
	       sizeof file.header.machine.uplink);
	RENEW_CRC(&file.header);
	assert_int_equal(read_all(), ERR_NONE);
	assert_told("machine: counts on more CPUs than the 4");
	assert_told("machine: there is no CPU 9");
	assert_told("machine: serial mode 7 is not known");
	assert_int_equal(package.machine.service_cpu, 0);
	assert_int_equal(package.machine.cpu_count, 0);
	assert_int_equal(package.machine.serial_mode, MULL_SERIAL_TEXT);
	assert_int_equal(package.machine.serial_port, 0);
	assert_told("machine: mitigations 3 are not known");
	assert_int_equal(package.machine.mitigations, MULL_MITIGATIONS_AUTO);
	assert_told("machine: the name of the uplink's switch is not 1 to 15 "
		    "of a-z, 0-9 and -");
	assert_int_equal(package.machine.uplink_nic, 0);
	assert_int_equal(package.machine.uplink[0], 0);
	assert_string_equal(package.vm_words[0], "");
}

static void pad_of_a_vm_is_checked(void **state)
{
	(void)state;
	file.vms[0].pad = 1;
	RENEW_CRC(&file.vms[0]);
	assert_int_equal(read_all(), ERR_NONE);
	assert_told("vm \"web\": asks for something");
}

#define TEST(test) cmocka_unit_test_setup(test, fresh)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(good_package_has_no_complaint),
		TEST(no_image_has_no_record),
		TEST(every_truncation_is_survived),
		TEST(truncated_header_gives_no_vms),
		TEST(truncation_within_vms_at_the_end_is_found),
		TEST(bytes_behind_the_package_are_nobodys),
		TEST(every_flipped_bit_of_the_records_is_found),
		TEST(damage_to_one_vm_leaves_the_others),
		TEST(damaged_image_costs_its_vms_only),
		TEST(first_complaint_becomes_the_words_of_the_vm),
		TEST(hostile_names_are_shown_harmless),
		TEST(header_fields_are_checked),
		TEST(image_records_are_checked),
		TEST(later_of_two_overlapping_images_is_at_fault),
		TEST(bad_image_overlaps_nothing),
		TEST(bad_schedules_are_dropped),
		TEST(bad_machine_falls_back_to_defaults),
		TEST(pad_of_a_vm_is_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
